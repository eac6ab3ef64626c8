"""A bad day on lists of real size: pairs that freeze and halt, ids that begin anew, a mute venue,
lists that fail. What the scanner says is held against an oracle in plain Python (bad_day.py).

No OPEN on a pair that has been silent for longer than its limit, none on a price that was not the
last one published; and no healthy pair lost for longer than it takes to notice.
"""

import json
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import spreadcore

from e2e import oracle
from e2e.bad_day import RATE, SEED, Day, Heard, Pair, live_pairs, make_day, of_the_set
from e2e.conftest import Scanner, Simulators, until
from known import EIGHT as SOURCES
from known import TWELVE as DIRECTIONS
from spreadscan.clock import now_ns
from spreadscan.lists import Lists
from spreadscan.lists import load as load_lists
from spreadscan.sim.market import Market

pytestmark = pytest.mark.e2e

SLACK_S = 2.0  # clocks are read apart; sockets and loops of a busy machine
RECOVERY_S = 40.0  # a pair that speaks again: subscribed anew, or its socket replaced, until then
LOST_S = 6.0  # a healthy pair may look old for so long: its own pauses, and a busy machine
FRESH_S = 10.0  # no limit is shorter


class Watch:
    """Looks at every pair of every source once a second, and remembers who was lost for how long.

    disturbed(pair, at_s) says whom not to blame.
    """

    def __init__(self, scan: Scanner, rows: dict[Pair, int], is_disturbed: Callable[..., bool]):
        self._table = spreadcore.attach(scan.name)
        self._pairs = list(rows)
        self._at = (np.array(list(rows.values())), np.array([p[0] for p in rows]))
        self._disturbed = is_disturbed
        self._since: dict[Pair, float] = {}
        self.lost: dict[Pair, float] = {}  # the longest, in seconds
        self.looks = 0

    def look(self, at_s: float) -> None:
        seen = self._table.snapshot()
        ages_s = (now_ns() - seen["recv_ns"][self._at]) * 1e-9  # an empty one is as old as the boot
        self.looks += 1
        old = {self._pairs[i] for i in np.flatnonzero(ages_s > FRESH_S)}
        for pair in [*self._since]:
            if pair not in old or self._disturbed(pair, at_s):
                del self._since[pair]
        for pair in old:
            if not self._disturbed(pair, at_s):
                began = self._since.setdefault(pair, at_s)
                self.lost[pair] = max(self.lost.get(pair, 0.0), at_s - began)

    def close(self) -> None:
        self._table.close()


def check_opens(
    scan: Scanner, sim: Simulators, lists: Lists, market: Market, heard: Heard, since_s: float
) -> int:
    """Return how many OPEN rows were judged, all of them true when they were written."""
    index = oracle.listings(lists, market)
    rows = [r for r in oracle.event_rows(scan.folder / "data") if r["event"] == "OPEN"]
    for row in rows:
        at_s = datetime.fromisoformat(row["time"]).timestamp() - sim.t0_unix_ns / 1e9
        direction = DIRECTIONS[int(row["direction_id"])]
        for source_id, px, side in (
            (direction.buy.id, row["buy_px"], "ask_px"),
            (direction.sell.id, row["sell_px"], "bid_px"),
        ):
            pair = source_id, index[source_id, row["symbol"]]
            where = f"{SOURCES[source_id].name} {row['symbol']} at {at_s:.2f} s"
            silent_s = heard.silence_at(pair, at_s)
            limit_s = heard.longest_limit_s(pair, since_s, at_s)
            assert silent_s <= limit_s + SLACK_S, f"{where}: silent for {silent_s:.1f} s"
            touches = heard.touches(pair, at_s, SLACK_S)
            believed = [getattr(touch, side) for touch in touches]
            assert any(abs(float(px) / p - 1) < 1e-12 for p in believed), f"{where}: {px}"
    return len(rows)


def judge_a_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    generated: Path,
    day: Day,
    market: Market,
    end_s: float,
    reload_at_s: float | None = None,
) -> None:
    shutil.copytree(generated, tmp_path / "generated")
    script = day.write(tmp_path / "day.toml")
    sim = simulators("--faults", str(script), "--universe", "real", seed=SEED, rate=RATE)

    def at() -> float:
        return (now_ns() - sim.t0_boottime_ns) / 1e9

    scan = scanner(sim)
    lists = load_lists(scan.folder / "generated")
    rows = live_pairs(lists, market)
    instance = scan.attach()
    n = {s.id: len({p for p in rows if p[0] == s.id}) for s in SOURCES}

    def all_heard() -> bool:
        with spreadcore.attach(scan.name) as table:
            seen = table.snapshot()["recv_ns"]
        return all(
            np.count_nonzero(seen[:, s.id]) >= 0.97 * n[s.id]
            for s in SOURCES
            if s.id not in day.mute
        )

    until(all_heard, "quotes of nearly every pair", within_s=60.0)
    since_s = at()
    # what a new subscriber gets first may be of before the simulators opened
    heard = Heard(market, day, -30.0, end_s + 5.0)
    silent_from = {pair: span[0] for pair, span in day.silent.items()}
    assert since_s < min(silent_from.values()), "the day began before the scanner was ready"
    watch = Watch(scan, rows, lambda pair, at_s: heard.disturbed(pair, at_s, RECOVERY_S))
    reloads = []
    while at() < end_s:
        watch.look(at())
        if reload_at_s is not None and at() >= reload_at_s:
            reload_at_s = None
            before = load_lists(scan.folder / "generated").pairs
            reloads.append((before, scan.ctl("reload", "-c", str(sim.config))))
        time.sleep(1.0)
    watch.close()
    restarts = sum(instance.health.counters(s.id)["id_restarts"] for s in SOURCES)
    status = json.loads(scan.ctl("status", "--json").stdout)
    # the pairs in use may lack the answer of a source whose list failed: degraded, and told
    failed = load_lists(scan.folder / "generated").failed
    assert scan.stop() == (3 if failed else 0)

    worst = sorted(watch.lost.items(), key=lambda item: -item[1])[:5]
    assert not worst or worst[0][1] <= LOST_S, [
        f"{SOURCES[p[0]].name} {market.instruments[p[0]][p[1]].venue_symbol}: {s:.1f} s"
        for p, s in worst
    ]
    assert watch.looks > 0.5 * (end_s - since_s)
    assert restarts >= len(day.ids)
    assert check_opens(scan, sim, lists, market, heard, since_s) > 20
    for before, done in reloads:
        # its lists failed in the middle of it, and pairs were halted: what they had stays
        assert 3 == done.returncode, done.stdout + done.stderr
        assert all(f"{SOURCES[i].name}: " in done.stdout + done.stderr for i in day.lists)
        now = load_lists(scan.folder / "generated")
        for d in DIRECTIONS:
            gone = set(before[d.id]).difference(now.pairs[d.id])
            assert not gone, f"{d.name}: {[now.names[i] for i in gone]}"
    assert status["roles"]["engine"]["state"] == "running"


def test_a_minute_of_a_bad_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    discovered_real: Path,
    market: Market,
) -> None:
    begin_s, end_s = 25.0, 85.0
    day = make_day(
        market, of_the_set(market, discovered_real, 200), SEED, begin_s, end_s,
        silent=60, ids=30,
    )  # fmt: skip
    judge_a_day(simulators, scanner, tmp_path, discovered_real, day, market, end_s)


@pytest.mark.soak
def test_twenty_minutes_of_a_bad_day(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    discovered_real: Path,
    market: Market,
) -> None:
    begin_s, end_s = 60.0, 1_260.0
    day = make_day(
        market, of_the_set(market, discovered_real, 400), SEED, begin_s, end_s,
        silent=200, ids=100, mute=("okx-futures",), lists=("bybit-futures", "mexc-spot"),
    )  # fmt: skip
    at_s = max(begin for begin, _ in day.lists.values()) + 20.0
    judge_a_day(
        simulators, scanner, tmp_path, discovered_real, day, market, end_s, reload_at_s=at_s
    )
