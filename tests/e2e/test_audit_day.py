"""A day on which venues halt and freeze pairs and their REST APIs lie, with the audit at work; what
it says is held against an oracle in plain Python (bad_day.py).

No signal leaves on a leg that has been silent for longer than ask_after_s unless its venue still
shows that price; every pair that froze at another price is emptied in time, halted ones as such; no
healthy pair is ever emptied; the figure of the end is the oracle's.
"""

import json
import math
import shutil
import time
import urllib.request
from collections.abc import Callable, Container, Iterable
from datetime import datetime
from itertools import groupby, takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

from e2e import oracle
from e2e.bad_day import RATE, SEED, Day, Heard, Pair, live_pairs, make_day, of_the_set
from e2e.conftest import Scanner, Simulators, until
from known import EIGHT as SOURCES
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from known import TWELVE as DIRECTIONS
from spreadscan.clock import now_ns
from spreadscan.config import load as load_settings
from spreadscan.lists import Lists
from spreadscan.lists import load as load_lists
from spreadscan.sim.market import Market

pytestmark = pytest.mark.e2e

EVERY_S = 5.0  # between rounds; the least that may be asked for
ASK_AFTER_S = 5.0
OLDER_BY_S = 5.0  # of the honest sources: a quote that stood for less is not accused
SLACK_S = 2.0
# a quote is accused 10 s at most after it stood, by the next round, and wrong by one 10 s later
ROUNDS_S = 10.0 + 2 * 1.1 * EVERY_S + 10.0 + 3.0
STATUS_S = 45.0  # where a halt is told by the absence of a row, twice; or pushed
LISTED_S = 420.0  # where only the instrument list tells, by two absences
SETTLED_S = 120.0  # after which whatever ended is over: sockets, subscriptions, ids, statuses

# how the venues' pages lie, each in another way
LIES = """
[[fault]]
what = "cached"
source = "mexc-spot"
age_s = 8.0

[[fault]]
what = "missing_rows"
source = "binance-futures"
share = 0.3

[[fault]]
what = "stale"
source = "okx-futures"
age_s = 30.0
row_times = "now"

[[fault]]
what = "wrong_shape"
source = "mexc-futures"
how = "other_venue"
"""
BLIND = ("okx-futures", "mexc-futures")  # whose answers cannot be believed
HONEST = ("binance-spot", "bybit-spot", "bybit-futures", "okx-spot")


class Verdicts:
    """Looks at every verdict once a second, and remembers what was ever said of a pair."""

    def __init__(self, scan: Scanner, rows: dict[Pair, int], day: Day) -> None:
        self._instance = scan.attach()
        self._day = day
        self._rows = rows
        self.said: dict[Pair, set[str]] = {}
        self.first: dict[tuple[Pair, str], float] = {}
        self.emptied: dict[Pair, float] = {}

    def look(self, at_s: float) -> None:
        audit, quotes = self._instance.audit, self._instance.quotes
        for pair, symbol_id in self._rows.items():
            kind = audit.read(pair[0], symbol_id).kind
            self.said.setdefault(pair, set()).add(kind)
            self.first.setdefault((pair, kind), at_s)
            quote = quotes.read(pair[0], symbol_id)
            begun = pair in self._day.silent and at_s >= self._day.silent[pair][0]
            if begun and quote and not quote.recv_ns:  # by the audit, or with its socket
                self.emptied.setdefault(pair, at_s)

    def figures(self) -> dict[str, dict[str, int]]:
        return {s.name: self._instance.audit.figures(s.id) for s in SOURCES}

    def engine(self) -> dict[str, int]:
        health = self._instance.health
        found: dict[str, int] = health.counters(health.role("engine"))
        return found

    def is_running(self) -> bool:
        return self._instance.lease_held("audit")

    def close(self) -> None:
        self._instance.close()


def differences(market: Market, heard: Heard, pair: Pair, end_s: float) -> list[bool]:
    """Return for each second of a frozen pair's silence whether its venue shows another price."""
    (begin_s, until_s), *_ = heard.silences(pair)
    last_s = heard.last_tick_s(pair, begin_s)
    assert last_s is not None
    tick = market.instruments[pair[0]][pair[1]].tick
    held = market.touch(*pair, int(last_s * 1e9))
    assert held is not None
    found = []
    for at_s in range(int(begin_s), int(min(until_s, end_s)) + 1):
        shown = market.touch(*pair, int(at_s * 1e9))
        assert shown is not None
        found.append(
            any(
                abs(a - b) > tick + 1e-9 * a
                for a, b in ((held.bid_px, shown.bid_px), (held.ask_px, shown.ask_px))
            )
        )
    return found


def differs_from_s(market: Market, heard: Heard, pair: Pair, end_s: float) -> float | None:
    """Return since when a frozen pair's venue shows another price than its last, until the end."""
    differ = differences(market, heard, pair, end_s)
    if not differ[-1]:
        return None
    n_last = len(list(takewhile(bool, reversed(differ))))
    (begin_s, _), *_ = heard.silences(pair)
    return int(begin_s) + len(differ) - n_last


class Due(NamedTuple):
    """What a source's round has to come to: pairs that hold their venue's price, pairs of which it
    is not certain, those of the first that ticked while the answer was under way, and those of
    these that had stood for so long before that they may be accused."""

    stand: set[Pair]
    perhaps: set[Pair]
    changed: set[Pair]
    late: set[Pair]


def due_at(
    market: Market,
    heard: Heard,
    day: Day,
    pairs: Iterable[Pair],
    live: Container[Pair],
    at_s: float,
    since_s: float,
) -> Due:
    """Work out a round that was asked for at at_s; the sockets were open at since_s.

    A pair stands if it has ticked since it could be heard, or if nothing about it changed while it
    was frozen. One that does not live may have told its price when it was subscribed to. One that
    is halted, or whose venue has shown another price for long enough, is gone. What has just begun
    or ended is not certain.
    """
    stand, perhaps = set(), set()
    for pair in pairs:
        begin_s, until_s = day.silent.get(pair, (math.inf, math.inf))
        heard_s = since_s
        if at_s >= until_s:
            heard_s = until_s + SETTLED_S
        if at_s >= day.mute.get(pair[0], (math.inf, math.inf))[0]:
            heard_s = max(heard_s, day.mute[pair[0]][1] + SETTLED_S)
        if at_s >= day.ids.get(pair, math.inf):
            heard_s = max(heard_s, day.ids[pair] + SETTLED_S)
        before_s = (min(at_s, begin_s) if at_s < until_s else at_s) - SLACK_S
        last_s = heard.last_tick_s(pair, before_s)
        is_known = pair in live and last_s is not None and heard_s < last_s
        if begin_s <= at_s < until_s:
            if pair in day.halted:
                listed = SOURCES[pair[0]].name.startswith("bybit")
                if at_s < begin_s + (LISTED_S if listed else STATUS_S):
                    perhaps.add(pair)
                continue
            differ = differences(market, heard, pair, at_s)
            runs = [len(list(run)) for is_other, run in groupby(differ) if is_other]
            if max(runs, default=0) > ROUNDS_S:
                continue
            (perhaps if runs or not is_known else stand).add(pair)
        else:
            (stand if is_known else perhaps).add(pair)
    changed = {pair for pair in stand if heard.ticks_within(pair, at_s - 0.5, at_s + 1.0)}
    late = {pair for pair in changed if not heard.ticks_within(pair, at_s - OLDER_BY_S, at_s - 0.5)}
    return Due(stand, perhaps, changed, late)


def check_opens(
    scan: Scanner, sim: Simulators, lists: Lists, market: Market, heard: Heard, day: Day
) -> int:
    """Return how many OPEN rows were judged; on old legs the venue showed that very price."""
    index = oracle.listings(lists, market)
    rows = [r for r in oracle.event_rows(scan.folder / "data") if r["event"] == "OPEN"]
    for row in rows:
        at_s = datetime.fromisoformat(row["time"]).timestamp() - sim.t0_unix_ns / 1e9
        direction = DIRECTIONS[int(row["direction_id"])]
        for source_id, px, age, side in (
            (direction.buy.id, row["buy_px"], row["buy_age_ms"], "ask_px"),
            (direction.sell.id, row["sell_px"], row["sell_age_ms"], "bid_px"),
        ):
            pair = source_id, index[source_id, row["symbol"]]
            silent_s = heard.silence_at(pair, at_s)
            if silent_s <= ASK_AFTER_S + SLACK_S or int(age) <= ASK_AFTER_S * 1e3:
                continue
            where = f"{SOURCES[source_id].name} {row['symbol']} at {at_s:.2f} s"
            # what the venue has shown since it was asked: its answer may be as old as that
            shown = [
                market.touch(*pair, int((at_s - back) * 1e9)) for back in (0.0, 1.0, 2.0, 4.0, 7.0)
            ]
            believed = [getattr(touch, side) for touch in shown if touch]
            tick = market.instruments[pair[0]][pair[1]].tick
            near = any(abs(float(px) - p) <= tick + 1e-9 * p for p in believed)
            assert near, f"{where}: silent for {silent_s:.1f} s, {px} is none of {believed}"
    return len(rows)


def judge_an_audited_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    generated: Path,
    day: Day,
    market: Market,
    end_s: float,
) -> None:
    shutil.copytree(generated, tmp_path / "generated")
    script = day.write(tmp_path / "day.toml")
    sim = simulators("--faults", str(script), "--universe", "real", seed=SEED, rate=RATE)

    def at() -> float:
        return (now_ns() - sim.t0_boottime_ns) / 1e9

    scan = scanner(sim, "--set", f"audit.every_s={EVERY_S}")
    lists = load_lists(scan.folder / "generated")
    rows = live_pairs(lists, market)
    verdicts = Verdicts(scan, rows, day)

    def rounds_made() -> bool:
        figures = verdicts.figures()
        return all(figures[name]["rounds"] >= 2 for name in HONEST)

    until(rounds_made, "two rounds of every honest source", within_s=60.0)
    since_s = at()
    heard = Heard(market, day, -30.0, end_s + 5.0)
    assert at() < min(span[0] for span in day.silent.values()), "the day began too early"
    while at() < end_s:
        verdicts.look(at())
        time.sleep(1.0)
    figures, engine = verdicts.figures(), verdicts.engine()
    while (again := verdicts.figures()) != figures:  # a round was being told
        figures = again
        time.sleep(0.1)
    assert verdicts.is_running()
    verdicts.close()
    scan.stop()

    bad: list[str] = []
    told = ("wrong", "not_trading")
    for pair in rows:
        name = SOURCES[pair[0]].name
        symbol = market.instruments[pair[0]][pair[1]].venue_symbol
        said = verdicts.said[pair].intersection(told)
        if pair not in day.silent:
            if said:  # an auditor that lies would be worse than none
                bad.append(f"healthy {name} {symbol}: {said}")
            continue
        begin_s, until_s = day.silent[pair]
        is_halt = pair in day.halted
        if name in BLIND:
            if said and not is_halt:
                bad.append(f"{name} {symbol}: {said} by answers that lie")
            continue
        if name not in HONEST:
            continue
        if is_halt:
            due_s = begin_s + (LISTED_S if name.startswith("bybit") else STATUS_S)
            if due_s < min(until_s, end_s) and "not_trading" not in said:
                bad.append(f"halted {name} {symbol} since {begin_s:.0f} s: {said or 'nothing'}")
            continue
        differs_s = differs_from_s(market, heard, pair, end_s)
        if differs_s is None:
            continue
        due_s = max(differs_s, begin_s) + ROUNDS_S
        if due_s < min(until_s, end_s):
            emptied_s = verdicts.emptied.get(pair)
            if emptied_s is None or emptied_s > due_s:
                bad.append(
                    f"frozen {name} {symbol} since {begin_s:.0f} s, differs since {differs_s} s: "
                    f"emptied {emptied_s}, {said}"
                )
    told = (scan.folder / "logs" / "audit.log").read_text()
    assert not bad, f"{bad}; the audit's log:\n{told}"
    assert check_opens(scan, sim, lists, market, heard, day) > 20
    # the figure for truth: whoever is heard or confirmed agrees, whoever is frozen is gone by now
    listed = oracle.listings(lists, market)
    for name in HONEST:
        found = figures[name]
        assert found["failing_ns"] == 0, (name, found)
        round_s = (found["round_ns"] - sim.t0_boottime_ns) / 1e9
        ours = [(source_id, index) for (source_id, _), index in listed.items()
                if SOURCES[source_id].name == name]  # fmt: skip
        due = due_at(market, heard, day, ours, rows, round_s, since_s)
        told = f"{name} at {round_s:.1f} s: {found}, {[*map(len, due)]}"
        n, n_perhaps = len(due.stand), len(due.perhaps)
        assert found["agreed"] + found["accused"] + found["not_judged"] == found["audited"], told
        assert n <= found["audited"] <= n + n_perhaps, told
        assert found["not_judged"] <= len(due.changed) + n_perhaps, told
        assert found["accused"] <= len(due.late) + n_perhaps, told
        assert n > 3 * n_perhaps, told  # else this says little
    for name in BLIND:
        found = figures[name]
        assert found["failing_ns"] > 0, (name, found)
        assert found["wrong"] == 0, (name, found)
    assert engine["asked"] > 0
    # within the venues' weights, discovery and all
    for name in SOURCE_BY_NAME:
        url = load_settings([sim.config], {}, {}).config.venues[name].rest_url
        with urllib.request.urlopen(f"{url}/sim", timeout=5) as answer:
            weights = json.load(answer)["weights"]
        assert weights["refused"] == 0, (name, weights)


def test_a_minute_of_an_audited_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    discovered_real: Path,
    market: Market,
) -> None:
    begin_s, end_s = 40.0, 125.0
    day = make_day(
        market, of_the_set(market, discovered_real, 200), SEED + 1, begin_s, end_s,
        silent=60, ids=0,
    )  # fmt: skip
    day.script += LIES
    judge_an_audited_day(simulators, scanner, tmp_path, discovered_real, day, market, end_s)


@pytest.mark.soak
def test_twenty_minutes_of_an_audited_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    discovered_real: Path,
    market: Market,
) -> None:
    """A venue is mute as a whole for a while, too: that empties nobody one by one."""
    begin_s, end_s = 60.0, 1_260.0
    day = make_day(
        market, of_the_set(market, discovered_real, 400), SEED + 1, begin_s, end_s,
        silent=200, ids=50, mute=("bybit-futures",),
    )  # fmt: skip
    day.script += LIES
    judge_an_audited_day(simulators, scanner, tmp_path, discovered_real, day, market, end_s)
