"""The whole scanner against the simulated market: every number, every spread, both transports
and both layouts. Real processes throughout; the truth is worked out by brute force.
"""

import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
import spreadcore

from e2e import oracle
from e2e.conftest import RATE, SEED, Scanner, Simulators, until
from known import EIGHT as SOURCES
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from known import TWELVE as DIRECTIONS
from spreadscan.app.fees import direction_fees_bps
from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.config import Config, load
from spreadscan.defaults import default_file
from spreadscan.discovery.ids import assign_edges
from spreadscan.discovery.normalise import direction_pairs
from spreadscan.discovery.write import write_set
from spreadscan.lists import Lists
from spreadscan.lists import load as load_lists
from spreadscan.sim.market import Market

pytestmark = pytest.mark.e2e

SCAN_S = 26.0
# quotes of every pair are known this long after the sockets are open: all tick within 6 s
KNOWN_AFTER_S = 7.0
COMBINATIONS = [
    ("processes", "picows"), ("processes", "aiohttp"), ("single", "picows"), ("single", "aiohttp"),
]  # fmt: skip


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def run(request: pytest.FixtureRequest) -> tuple[str, str]:
    layout, transport = request.param
    return layout, transport


def all_sockets_open(instance: spreadcore.Instance, expected: dict[str, int]) -> bool:
    sockets = {s.name: instance.health.counters(s.id)["sockets"] for s in SOURCES}
    return sockets == expected


# 434 pairs that directions can use at 200 a socket, and so on: the fewest that the limits allow
SOCKETS = {
    "binance-spot": 3, "binance-futures": 3, "bybit-spot": 3, "bybit-futures": 2,
    "mexc-spot": 17, "mexc-futures": 4, "okx-spot": 3, "okx-futures": 3,
}  # fmt: skip


DEMO = default_file("demo.toml")
# beside the twelve: every perpetual against every other
CLASS = {"directions.perpetual->perpetual.threshold_bps": 10.0}


def compare_more(found: Path, folder: Path, config: Config) -> None:
    """Copy a set, with the edges that a discovery with these settings would give it."""
    lists = load_lists(found)
    names = {s: [row.symbol for row in rows.compared] for s, rows in lists.sources.items()}
    ids = {name: symbol_id for symbol_id, name in enumerate(lists.names)}
    pairs = {d: [ids[n] for n in both] for d, both in direction_pairs(config, names).items()}
    assert len(pairs) == 24
    write_set(
        folder, generation=lists.generation, names=lists.names, retired=lists.retired,
        pairs=pairs, edges=assign_edges(config.catalogue, pairs, lists.edges, int(time.time())),
        sources=lists.sources, n_listed=lists.n_listed, report="", unix_ns=time.time_ns(),
    )  # fmt: skip


def test_it_finds_what_the_market_holds_and_nothing_else(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    run: tuple[str, str],
    discovered: Path,
    tmp_path: Path,
) -> None:
    layout, transport = run
    config = load([DEMO], CLASS, {}).config
    compare_more(discovered, tmp_path / "generated", config)
    sim = simulators("--freeze-after", str(SCAN_S))
    settings = (f'feeds.transport="{transport}"', *(f"{key}={n}" for key, n in CLASS.items()))
    scan = scanner(sim, *(x for s in settings for x in ("--set", s)), layout=layout)
    lists = load_lists(scan.folder / "generated")
    market = Market(SEED, RATE, SCAN_S)
    with_sizes = scan.attach()
    until(lambda: all_sockets_open(with_sizes, SOCKETS), "every socket of every source")
    opened_ns = now_ns() - sim.t0_boottime_ns
    time.sleep(max(0.0, SCAN_S + 1.5 - (now_ns() - sim.t0_boottime_ns) / 1e9))

    check_table_equals_market(scan, lists, market, int(SCAN_S * 1e9))
    check_funding(scan, sim, lists, market)
    check_no_direction_of_two_coins(lists, market)

    latency = scan.status()["latency_ns"]
    assert scan.stop() == 0
    check_files(scan, with_sizes)
    check_spreads(scan, sim, lists, market, opened_ns, config)
    for name in ("receive_slot", "receive_signal"):
        assert 0 < latency[name]["p50"] <= latency[name]["p99"]


def check_table_equals_market(scan: Scanner, lists: Lists, market: Market, at_ns: int) -> None:
    """Every slot holds the published top of the frozen market, in coins and per coin."""
    index = oracle.listings(lists, market)
    with spreadcore.attach(scan.name) as table:
        seen = table.snapshot()
    compared = 0
    for source in SOURCES:
        for row in lists.sources[source.name].subscribed:
            touch = market.touch(source.id, index[source.id, row.symbol], at_ns)
            slot = seen[row.symbol_id, source.id]
            if row.silent_runs:
                assert math.isnan(slot["bid_px"]), f"{source.name} {row.symbol} never ticks"
                continue
            assert touch is not None
            for name, value in zip(("bid_px", "bid_qty", "ask_px", "ask_qty"), touch, strict=True):
                # one rounding each: the venue's text, the contract size, the multiplier
                assert slot[name] == pytest.approx(value, rel=1e-12, abs=0), (
                    f"{source.name} {row.symbol} {name}"
                )
            compared += 1
    assert compared > 3100


def check_no_direction_of_two_coins(lists: Lists, market: Market) -> None:
    """A source where a ticker is another coin has it in quarantine; the others go on."""
    assert market.suspects
    for source_id, index in market.suspects:
        name = market.instruments[source_id][index].symbol
        symbol_id = lists.names.index(name)
        rows = {row.symbol: row for row in lists.sources[SOURCES[source_id].name].symbols}
        assert "quarantined" == rows[name].state
        inside = [d for d in DIRECTIONS if symbol_id in lists.pairs[d.id]]
        assert inside
        assert not any(source_id in (d.buy.id, d.sell.id) for d in inside)


def check_funding(scan: Scanner, sim: Simulators, lists: Lists, market: Market) -> None:
    """What is known of every perpetual, and what stands in the files, is what its venue pays."""
    index = oracle.listings(lists, market)
    with spreadcore.attach(scan.name) as table:
        known = table.funding()
    seconds = range(int(time.time() - sim.t0_unix_ns / 1e9) + 2)
    clocks = [sim.t0_unix_ns + second * 10**9 for second in seconds]
    said: dict[tuple[int, str], set[tuple[float, int]]] = {}
    for source in SOURCES:
        for row in lists.sources[source.name].subscribed:
            slot = known[row.symbol_id, source.id]
            if source.kind == "spot":
                assert math.isnan(slot["rate"])
                continue
            at = index[source.id, row.symbol]
            rates = {market.funding(source.id, at, unix_ns)[1:] for unix_ns in clocks}
            said[source.id, row.symbol] = rates
            # between a payment and the next look at the venue nothing is known
            paid = len({next_ns for _, next_ns in rates}) > 1
            assert (slot["rate"], slot["next_ns"]) in rates or (paid and math.isnan(slot["rate"]))
    opened = {
        r["track_id"]: (built_in().direction_at[int(r["direction_id"])], r["symbol"])
        for r in oracle.event_rows(scan.folder / "data") if r["event"] == "OPEN"
    }  # fmt: skip
    found = {"spot": 0, "perpetual": 0}  # kind of the leg that is bought
    for path in (scan.folder / "data").glob("snapshots-*.csv"):
        for snapshot in oracle.read_csv(path):
            text, track = snapshot["funding_bps"], opened.get(snapshot["track_id"])
            if text and track:
                direction, symbol = track
                found[direction.buy.kind] += 1
                paid_by = [said.get((leg.id, symbol), {(0.0, 0)}) for leg in direction[1:]]
                # two decimals: half of the last is the most that rounding may take or give
                off = min(abs(float(text) - (s[0] - b[0]) * 1e4) for b, s in product(*paid_by))
                assert off <= 0.005 + 1e-9
    assert min(found.values()) > 50


def check_told(instance: spreadcore.Instance, rows: list[dict[str, str]]) -> None:
    """Nobody was killed: others were told of every signal and row, and see what is open."""
    signals, lost = instance.engine_stream.reader(0).read(10**6)
    assert (list(range(instance.ring.produced)), 0) == ([s.track for s in signals], lost)
    events, lost = instance.tracker_stream.reader(0).read(10**6)
    expected = sorted((r["event"].lower(), int(r["sequence"]), int(r["at_ns"])) for r in rows)
    assert (expected, 0) == (sorted((e.kind, e.track, e.at_ns) for e in events), lost)
    assert seen(instance) == open_in(rows)


def seen(instance: spreadcore.Instance) -> set[int]:
    return {track.track for track in instance.tracks.all()}


def open_in(rows: list[dict[str, str]]) -> set[int]:
    opened, closed = (
        {int(r["sequence"]) for r in rows if r["event"] == event} for event in ("OPEN", "CLOSE")
    )
    return opened - closed


def check_files(scan: Scanner, instance: spreadcore.Instance) -> None:
    """Whole lines, every sequence once, and the sum that always holds."""
    ring = instance.ring
    assert ring.produced == ring.read + ring.queued
    rows = oracle.event_rows(scan.folder / "data")
    sequences = [int(r["sequence"]) for r in rows if r["event"] == "OPEN"]
    assert list(range(ring.read)) == sequences
    assert ring.read > 10
    check_told(instance, rows)
    closes = [r["track_id"] for r in rows if r["event"] == "CLOSE"]
    assert len(closes) == len(set(closes))
    opened = {r["track_id"] for r in rows if r["event"] == "OPEN"}
    snapshots = 0
    for path in (scan.folder / "data").glob("*.csv"):
        assert path.read_bytes().endswith(b"\n")
    for path in (scan.folder / "data").glob("snapshots-*.csv"):
        for row in oracle.read_csv(path):
            assert row["track_id"] in opened
            snapshots += 1
    assert snapshots > 100


def check_spreads(
    scan: Scanner, sim: Simulators, lists: Lists, market: Market, opened_ns: int, config: Config
) -> None:
    rules = oracle.Rules(
        direction_fees_bps(config),
        0.0,  # below: its own of each direction
        config.engine.converge_bps,
        config.engine.max_gross_bps,
        config.engine.min_notional_usdt,
        int(config.tracker.expire_after_s * 1e9),
    )
    rows = oracle.event_rows(scan.folder / "data")

    def to_sim_ns(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp() * 1e9) - sim.t0_unix_ns

    tracks = oracle.tracks_of(rows, to_sim_ns)
    index = oracle.listings(lists, market)
    since = opened_ns + int(KNOWN_AFTER_S * 1e9)
    frozen = int(SCAN_S * 1e9)
    steps = oracle.Steps(market, 0, frozen)
    missed, doubled, ends, untrue = [], [], [], []
    found_edges: Counter[bool] = Counter()  # by: whether the direction is built in
    judged_ends = 0
    for direction in config.enabled_directions:
        rules.threshold_bps = config.limits_bps(direction)[0]
        for symbol_id in lists.pairs[direction.id]:
            symbol = lists.names[symbol_id]
            edges = oracle.Edges(
                steps,
                direction.id,
                index[direction.buy.id, symbol],
                index[direction.sell.id, symbol],
                rules,
            )
            here = tracks.get((direction.id, symbol), [])
            name = f"{direction.name} {symbol}"
            for start, end in oracle.clear_edges(edges, rules, since):
                found_edges[direction.built_in] += 1
                in_time = [
                    t for t in here if start - 50_000_000 <= t.at_ns <= start + oracle.WITHIN_NS
                ]
                during = [t for t in here if start - 50_000_000 <= t.at_ns < end]
                if not in_time:
                    missed.append(f"{name} from {start / 1e9:.3f} to {end / 1e9:.3f} s")
                elif len(during) > 1:
                    doubled.append(f"{name} from {start / 1e9:.3f} s: {len(during)} signals")
            for track in here:
                highest = edges.highest(track.at_ns - 300_000_000, track.at_ns + 50_000_000)
                if highest < rules.threshold_bps - oracle.MARGIN_BPS:
                    untrue.append(f"{name} at {track.at_ns / 1e9:.3f} s: {highest:.2f} bps")
                expected = oracle.expected_end(edges, rules, track.at_ns, frozen)
                if expected == "?":
                    continue
                judged_ends += 1
                by_then = track.reason if track.reason and track.closed_ns <= frozen else ""
                if by_then != expected:
                    ends.append(
                        f"{name} at {track.at_ns / 1e9:.3f} s: {by_then!r}, not {expected!r}"
                    )
    assert [] == missed
    assert [] == doubled
    assert [] == untrue
    assert [] == ends
    assert found_edges.total() > 10
    assert found_edges[False] > 2
    assert judged_ends > 10


def test_everything_ends_within_5_s_of_a_signal(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    """Scenario 18."""
    sim = simulators()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        scan = scanner(sim)
        pids = [r["pid"] for r in scan.status()["roles"].values() if r["pid"]]
        began = time.monotonic()
        assert scan.stop(number) == 0
        # the promise to users, with room for a busy machine; not a measure of speed
        assert time.monotonic() - began < 8.0
        for pid in pids:
            assert not Path(f"/proc/{pid}").exists()


def test_what_dies_is_started_again(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    import os

    sim = simulators()
    scan = scanner(sim)
    instance = scan.attach()
    until(lambda: instance.ring.read > 0, "a signal")
    for role in ("okx-futures", "engine", "tracker"):
        source = SOURCE_BY_NAME.get(role)
        number = source.id if source else instance.health.role(role)
        # 0 before it runs: that would be the process group of these tests
        until(lambda number=number: instance.health.info(number)["pid"], f"{role} to run")
        pid = instance.health.info(number)["pid"]
        others = {s.name: instance.health.info(s.id)["pid"] for s in SOURCES if s.name != role}
        os.kill(pid, signal.SIGKILL)
        until(
            lambda number=number, pid=pid: (
                instance.health.info(number)["pid"] != pid
                and instance.health.info(number)["state"] == "running"
            ),
            f"{role} to run again",
        )
        assert instance.health.info(number)["restarts"] == 1
        assert others == {s: instance.health.info(SOURCE_BY_NAME[s].id)["pid"] for s in others}
    before = instance.ring.read
    until(lambda: instance.ring.read > before, "a signal after the restarts")
    assert scan.stop() == 0
    assert instance.ring.produced == instance.ring.read + instance.ring.queued
    rows = oracle.event_rows(scan.folder / "data")
    assert list(range(instance.ring.read)) == [
        int(r["sequence"]) for r in rows if r["event"] == "OPEN"
    ]
    closes = [r["track_id"] for r in rows if r["event"] == "CLOSE"]
    assert len(closes) == len(set(closes))
    assert any(r["event"] == "GAP" for r in rows)
    assert seen(instance) == open_in(rows)
    streams = instance.engine_stream, instance.tracker_stream
    assert [2, 2] == [stream.generation for stream in streams]


def test_the_children_go_with_their_supervisor(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    scan = scanner(simulators())
    pids = [r["pid"] for n, r in scan.status()["roles"].items() if r["pid"] and n != "supervisor"]
    assert len(pids) == 11
    scan.process.kill()
    scan.process.wait(10)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "every child's end")
    assert scan.ctl("stop").returncode == 2  # nothing is running, and it says so
