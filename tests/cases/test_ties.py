"""Edges of exactly a limit, through the program: ordinary prices, no digit of which is unusual."""

import json
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from cases.kit import environment
from scan.replay.story import FEES, PERP, SPOT, signals
from scan.replay.tapes import MS, START_NS, write_generated, write_recording
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES

TIES = Path(__file__).parents[3] / "shared/cases/ties.tsv"
LIMITS = (15, 20, 30, 50, 100)


def given_ties():
    """The ties that are told beside the repository; nothing where they are absent."""
    if not TIES.is_file():
        return []
    rows = [line.split() for line in TIES.read_text().splitlines() if line[:1].isdigit()]
    return [(buy, sell) for buy, sell, _ in rows]


def own_ties(n):
    """Prices of few digits whose edge is exactly one of the limits."""
    rng, found = random.Random(12), []
    for _ in range(n):
        whole, decimals = rng.randrange(1, 100_000), rng.randint(0, 7)
        sell = whole * (10_000 + rng.choice(LIMITS))
        found.append((f"{whole}e-{decimals}", f"{sell}e-{decimals + 4}"))
    return found


class Coin:
    """One pair at a tie, or one unit of the sell price's last digit beside it."""

    def __init__(self, number, buy, sell, ticks):
        self.name = f"T{number}"
        digits = sell.partition("e")[0]
        last = int(sell.partition("e")[2] or 0) - len(digits.partition(".")[2])
        moved = Fraction(sell) + ticks * Fraction(10) ** last
        self.buy, self.sell = float(buy), float(moved)
        assert Fraction(str(self.sell)) == moved
        self.gross = (moved / Fraction(buy) - 1) * 10_000

    def instrument(self, source):
        symbol = f"{self.name}{'-' if source == SPOT else '_'}USDT"
        return Instrument(
            venue_symbol=symbol, base=self.name, listed_base=self.name, quote="USDT",
            contract_size=1.0,
        )  # fmt: skip

    def frame(self, source, px, at_ms):
        low, high = (px * 0.9, px) if source == SPOT else (px, px * 1.1)
        book = Book(self.instrument(source).venue_symbol, low, 1e9, high, 1e9, 0, at_ms + 1)
        return START_NS + at_ms * MS, 1, 1, VENUES[source].render(book)


COINS = [
    Coin(3 * i + ticks + 1, buy, sell, ticks)
    for i, (buy, sell) in enumerate(given_ties() + own_ties(200))
    for ticks in (-1, 0, 1)
]


def recording(folder, *, wide_first):
    """Every coin at its edge; wide_first: a second after one of 500 bps."""
    spots = [coin.frame(SPOT, coin.buy, 0) for coin in COINS]
    perps = [coin.frame(PERP, coin.buy * 1.05, 10) for coin in COINS if wide_first]
    perps += [coin.frame(PERP, coin.sell, 1000) for coin in COINS]
    perps += [COINS[0].frame(PERP, COINS[0].sell, at_ms) for at_ms in range(1100, 2000, 100)]
    lists = {source: [coin.instrument(source) for coin in COINS] for source in (SPOT, PERP)}
    write_generated(folder / "generated", lists)
    return write_recording(folder, {SPOT: spots, PERP: perps}, settings=FEES)


def program(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", "replay", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=environment(),
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("ties") / "plain", wide_first=False)


def sweep(folder, out, key, *settings):
    """Replay under each limit as `key`; yield it with the signals rows."""
    values = ",".join(map(str, LIMITS))
    more = [word for setting in settings for word in ("--set", setting)]
    program("--frames", folder, "--out", out, "--set", f"{key}={values}", *more)
    for limit in LIMITS:
        (found,) = out.glob(f"**/*{key}={limit}*")
        yield limit, signals(found)


def those(rows, **columns):
    return sorted(row["symbol"] for row in rows if columns.items() <= row.items())


def expected(holds):
    return sorted(f"{coin.name}-USDT" for coin in COINS if holds(coin.gross))


def test_a_threshold_counts_itself(plain, tmp_path):
    for limit, rows in sweep(plain, tmp_path, "engine.threshold_bps"):
        assert expected(lambda gross, limit=limit: gross >= limit) == those(rows, event="OPEN")


def test_the_highest_gross_counts_itself(plain, tmp_path):
    low = "engine.threshold_bps=-9999", "engine.converge_bps=-10000"
    for limit, rows in sweep(plain, tmp_path, "engine.max_gross_bps", *low):
        assert expected(lambda gross, limit=limit: gross <= limit) == those(rows, event="OPEN")


def test_a_spread_converges_below_its_limit_only(tmp_path):
    folder = recording(tmp_path / "wide", wide_first=True)
    high = "engine.threshold_bps=400"
    for limit, rows in sweep(folder, tmp_path / "out", "engine.converge_bps", high):
        assert len(COINS) == len(those(rows, event="OPEN"))
        converged = those(rows, event="CLOSE", reason="CONVERGED")
        assert expected(lambda gross, limit=limit: gross < limit) == converged


def test_the_account_is_strictly_above(plain):
    edges = ",".join(map(str, LIMITS))
    text = program(
        "--frames", plain, "--directions", f"{SPOT}:{PERP}", f"--edges={edges}", "--json"
    )
    found = json.loads(text)["edges"]
    for i, limit in enumerate(LIMITS):
        above = sorted(edge["symbol"] for edge in found if edge["above"][i]["updates"])
        assert expected(lambda gross, limit=limit: gross > limit) == above
