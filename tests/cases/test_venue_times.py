"""Venue times that are no Unix ms: the quote is whole, the time scaled or unknown, and counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cases.kit import TRANSPORTS, Fake, case, environment, until
from scan.replay.conftest import futures
from spreadscan.types import Book
from spreadscan.venues import VENUES

GIVEN = Path(__file__).parents[3] / "shared/cases/16-frame-times-in-us/bybit-futures"
S = 1_789_299_659  # 2026, in seconds
KINDS = {
    "us": (S * 10**6 + 915_000, S * 10**9 + 915_000_000),
    "ns": (S * 10**9 + 915, S * 10**9 + 915),
    "minus": (-1, 0),
    "float": (1789299659915.5, 0),
    "zero": (0, 0),
    "text zero": ("0", 0),
    "text us": (str(S * 10**6), S * 10**9),
    "words": ("soon", 0),
    "list": ([], 0),
}


def account(folder):
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", "replay", "--frames", str(folder), "--json"],
        capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)["sources"]


def with_time(source, time, n):
    """The source's own frame, its times replaced: by key, wherever they stand."""
    names = {"bybit": "BTCUSDT", "binance": "BTCUSDT", "mexc": "BTC_USDT", "gate": "BTC_USDT"}
    symbol = names.get(source.partition("-")[0], "BTC-USDT")
    tree = json.loads(VENUES[source].render(Book(symbol, 60000.1, 5.0, 60000.2, 5.0, 10**18, n)))

    def walk(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key in ("ts", "cts", "T", "E", "t", "time_ms"):
                node[key] = time
            elif isinstance(value, (dict, list)):
                walk(value)

    walk(tree)
    return json.dumps(tree)


def test_each_source_and_each_kind(tmp_path):
    """All JSON sources whose wire tells a time; a file per kind, twenty quotes each."""
    sources = [
        name for name, venue in VENUES.items()
        if venue.schema.venue_ms and venue.schema.wire == "json"
    ]  # fmt: skip
    for source in sources:
        (tmp_path / source).mkdir()
        for kind, (time, _) in KINDS.items():
            lines = [with_time(source, time, n) for n in range(1, 21)]
            (tmp_path / source / f"{kind}.jsonl").write_text("\n".join(lines))
    found = account(tmp_path)
    for source in sources:
        counted = 20 * len(KINDS)
        if VENUES[source].spec.sizes == "contracts":
            # their sizes need a contract size; the time is not what they are declined for
            assert {"no_contract_size": counted} == found[source]["declined"]
        else:
            assert (counted, {}) == (found[source]["quotes"], found[source]["declined"])
        assert counted == found[source]["odd_times"], source


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_that_is_kept(tmp_path, kind):
    time, ns = KINDS[kind]
    (tmp_path / "binance-futures").mkdir()
    frame = json.loads(futures("60000.1", "60000.2", 7))
    frame["data"]["T"] = time
    (tmp_path / "binance-futures/a.jsonl").write_text(json.dumps(frame))
    last = account(tmp_path)["binance-futures"]["last"]["BTCUSDT"]
    assert (60000.1, 60000.2, ns) == (last["bid_px"], last["ask_px"], last["venue_ns"])


@pytest.mark.skipif(not GIVEN.is_dir(), reason=f"no frames at {GIVEN}")
def test_the_given_frames():
    (source,) = account(GIVEN).values()
    assert (20, {}, 20) == (source["quotes"], source["declined"], source["odd_times"])
    last = source["last"]["BTCUSDT"]
    assert (60000.1, 60000.2) == (last["bid_px"], last["ask_px"])


class InMicroseconds(Fake):
    """Its times are a thousand times what they should be."""

    def quote(self, symbol, number):
        book = super().quote(symbol, number)
        return book and book._replace(venue_ns=book.venue_ns * 1000)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_live_source_lives_with_times_in_us(tmp_path, transport):
    fakes = [Fake("okx-spot"), InMicroseconds("bybit-futures")]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0'
    with case(tmp_path, *fakes, extra=extra) as it:
        found = it.run("discover")
        assert 0 == found.returncode, found.stderr
        sockets = fakes[1].n_sockets
        with it.scanning("--no-discover"):
            until(lambda: fakes[1].counters.subscriptions >= len(fakes[1].px), "quotes")
            fakes[0].px["DOGE-USDT"] *= 0.98
            until(lambda: any("DOGE-USDT" in row for row in it.opens()), "a signal")
            assert sockets + 1 == fakes[1].n_sockets  # none was replaced
