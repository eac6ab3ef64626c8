"""What status shows of the spreads that are followed now."""

import io
import math
import re
import time

import pytest
from rich.console import Console
from spreadcore.layout import ENGINE_COUNTERS, SOURCE_COUNTERS, TRACKER_COUNTERS
from spreadcore.opentracks import OpenTuple

from flags import flags_of
from known import DIRECTIONS, SOURCE_BY_NAME, every_edge
from spreadscan.app.build import begin_run
from spreadscan.app.healthy import judge
from spreadscan.app.status import (
    best_spread,
    late_roles,
    live_spreads,
    roles_of,
    status,
)
from spreadscan.cli.table import LiveTable, status_tables, switched_off
from spreadscan.clock import now_ns
from spreadscan.config import Config, Paths
from spreadscan.discovery import outcome
from spreadscan.discovery.write import write_set
from spreadscan.errors import RateLimited, RegionBlocked
from spreadscan.inuse import leave_lists, leave_settings
from spreadscan.lists import Failure, Lists
from spreadscan.net.bans import bans_of
from spreadscan.venues import VENUES

NAMES = ("A-USDT", "B-USDT", "C-USDT")


EDGES = {edge.id: edge for edge in every_edge(64)}


def lists_of(edges):
    return Lists(
        generation=1, names=NAMES, retired=frozenset(), pairs={}, sources={},
        edges=tuple(edges.values()),
    )  # fmt: skip


def follow(instance, symbol, state="open", unproven=False):
    """As the tracker does with a signal of the first direction, 7 s ago."""
    opened_ns = now_ns() - 7 * 10**9
    nans = [math.nan] * 4
    track = OpenTuple(
        symbol, symbol, symbol, state, opened_ns, opened_ns, *nans, -1, -1, *nans, 0.0, False,
        unproven,
    )  # fmt: skip
    instance.tracks.put(symbol, track)


@pytest.fixture
def instance(make_instance):
    """Two followed pairs of the first direction, of 100 bps gross; the funding of one is known."""
    made = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    direction, now = DIRECTIONS[0], now_ns()
    for symbol in (0, 1):
        made.quotes.write(direction.buy.id, symbol, 99.9, 100.0, 3.0, 3.0, 0, now)
        made.quotes.write(direction.sell.id, symbol, 101.0, 101.1, 2.0, 2.0, 0, now)
        follow(made, symbol)
    made.funding.write(direction.buy.id, 0, 0.5, 1, now + 10**12)
    made.funding.write(direction.sell.id, 0, -0.00025, 1, now + 10**12)
    made.funding.write(direction.sell.id, 1, 0.0001, 1, now)
    return made


@pytest.fixture
def config(instance, tmp_path):
    paths = Paths(generated=str(tmp_path), data=str(tmp_path))
    return Config(instance=instance.name, paths=paths)


def test_a_live_spread_has_its_funding_beside_net(instance, config):
    rows = live_spreads(instance, config, NAMES, EDGES)
    assert [("A-USDT", -2.5), ("B-USDT", None)] == sorted(
        (row["symbol"], row["funding_bps"]) for row in rows
    )
    for row in rows:
        assert 82.0 == pytest.approx(row["net_bps"])  # both fees off, and nothing else
        assert 7 <= row["age_s"] < 60
        assert not math.isnan(row["gross_bps"])


def test_pairs_are_those_that_are_fresh(instance, config):
    """One quote that is new says nothing of the source's other pairs."""
    name = config.sources[DIRECTIONS[0].buy.id]
    source_id, now = SOURCE_BY_NAME[name].id, now_ns()
    ages_s = {0: 0.0, 1: 5.0, 2: 9.0, 3: 11.0, 4: 500.0}
    for symbol, age_s in ages_s.items():
        own = flags_of(limit_s=10.0)
        at = now - round(age_s * 1e9)
        instance.quotes.write(source_id, symbol, 99.9, 100.0, 3.0, 3.0, 0, at, own)
    found = status(instance, config)["sources"][name]
    assert (0, 5, None, None) == tuple(found[k] for k in ("pairs", "stale", "age_ms", "oldest_ms"))
    instance.health.beat(source_id, now_ns())
    shown = status(instance, config)
    found = shown["sources"][name]
    assert (3, 2) == (found["pairs"], found["stale"])
    assert 5_000 <= found["age_ms"] < 9_000 <= found["oldest_ms"] < 11_000
    table = next(
        t for t in status_tables(shown) if (getattr(t, "title", "") or "").startswith("sources")
    )
    cells = {column.header: [str(cell) for cell in column.cells] for column in table.columns}
    at = config.sources.index(name)
    assert ("3", "2") == (cells["pairs"][at], cells["stale"][at])


def test_what_was_not_believed_is_counted_for_people(instance, config):
    health = instance.health
    health.add(health.role("engine"), ENGINE_COUNTERS.index("frozen"), 7)
    health.add(SOURCE_BY_NAME["okx-spot"].id, SOURCE_COUNTERS.index("id_restarts"), 3)
    health.add(SOURCE_BY_NAME["okx-spot"].id, SOURCE_COUNTERS.index("odd_times"), 5)
    found = status(instance, config)
    assert 7 == found["signals"]["frozen"]
    okx = found["sources"]["okx-spot"]
    assert (3, 5) == (okx["id_restarts"], okx["odd_times"])
    shown = "\n".join(map(str, status_tables(found)))
    # of the run and of its last minute
    assert 2 == shown.count("frozen 7")


def test_what_is_open_is_what_the_tracker_says(instance, config):
    follow(instance, 0, "ended")
    follow(instance, 2, unproven=True)
    rows = live_spreads(instance, config, NAMES, EDGES)
    assert {"B-USDT": True, "C-USDT": False} == {row["symbol"]: row["proven"] for row in rows}


def test_more_tracks_than_can_be_seen_are_told(instance, config):
    role = instance.health.role("tracker")
    for n_open, told in ((4096, False), (5000, True)):
        instance.health.set(role, TRACKER_COUNTERS.index("open"), n_open)
        lines = [str(line) for line in status_tables(status(instance, config))]
        text = "5,000 open tracks, of which 4,096 can be seen: capacity.tracks"
        assert told == (text in lines)


def test_the_live_table_shows_it(instance, config):
    table = LiveTable(instance, config)
    rows = live_spreads(instance, config, NAMES, EDGES)
    shown = table._spreads_table(rows)
    cells = {column.header: list(column.cells) for column in shown.columns}
    assert {"A-USDT": "-2.5", "B-USDT": "-"} == dict(
        zip(cells["pair"], cells["funding bps"], strict=True)
    )


def test_who_has_not_taken_the_newest_lists_is_late(instance, config):
    health, control = instance.health, instance.control
    roles = {"engine": health.role("engine"), "okx-spot": SOURCE_BY_NAME["okx-spot"].id}
    leases = [instance.lease(role) for role in roles]
    control.reload_generation = 7
    for role, acked in (("engine", 7), ("okx-spot", 6)):
        health.acknowledge(roles[role], acked)
    assert {"okx-spot": 6} == late_roles(instance, config, roles, 7)
    assert {} == late_roles(instance, config, roles, 6)
    found = status(instance, config)
    assert 7 == found["generation"]
    told = [str(line) for line in status_tables(found)]
    assert "generation 7 not taken yet by: okx-spot" in told
    health.acknowledge(roles["okx-spot"], 8)  # a newer one: asked for meanwhile
    assert not any("not taken yet" in str(line) for line in status_tables(status(instance, config)))
    for lease in leases:
        lease.close()


def test_the_live_table_takes_the_names_of_new_lists(instance, config, tmp_path):
    table = LiveTable(instance, config)
    assert 0 == table._look()["generation"]
    assert () == table._names
    write_set(
        tmp_path, generation=1, names=NAMES, retired=frozenset(), pairs={}, sources={}, n_listed={},
        report="", unix_ns=0,
    )  # fmt: skip
    instance.control.reload_generation = 1
    table._look()
    assert NAMES == table._names


def test_status_says_why_a_source_is_left_alone(instance, config):
    bans = bans_of(config)
    bans.record(VENUES["okx-spot"].ws_urls(config)[0], RateLimited("HTTP 418", 300.0))
    bans.record(VENUES["bybit-spot"].ws_urls(config)[0], RegionBlocked("HTTP 451: set ws_url"))
    found = status(instance, config)
    barred = {name: source["barred"] for name, source in found["sources"].items()}
    assert {"until": None, "reason": "HTTP 451: set ws_url"} == barred["bybit-spot"]
    assert "HTTP 418" == barred["okx-spot"]["reason"]
    assert barred["mexc-spot"] is None
    shown = [str(part) for part in status_tables(found)]
    assert f"okx-spot is left alone until {barred['okx-spot']['until']}: HTTP 418" in shown
    assert "bybit-spot is blocked: HTTP 451: set ws_url" in shown


def test_status_says_above_all_else_that_it_is_killed(instance, config):
    instance.control.throw_kill(now_ns(), "a wrong [b]fee")
    found = status(instance, config)
    assert "a wrong [b]fee" == found["killed"]["reason"]
    roles = dict.fromkeys(roles_of(config), {"state": "running"})
    found |= {"roles": roles, "sources": {}, "audit": None}
    health = judge(found)
    assert ("killed", 3) == (health.state, health.exit_code)
    assert "a wrong [b]fee" in health.sentence
    assert 0 == judge(found | {"killed": None}).exit_code
    pauses = [{"of": "okx-spot", "since": "2026-11-20T12:00:00Z", "until": None, "reason": "fees"}]
    found |= {"killed": None, "pauses": pauses}
    assert ("paused", 3) == judge(found)[:2]
    (line,) = switched_off(found)
    assert line == (
        "paused since 2026-11-20T12:00:00Z: okx-spot: fees; "
        f"`spreadscan ctl resume okx-spot --instance {instance.name}` ends it"
    )
    found |= {"killed": {"since": None, "reason": "a wrong [b]fee"}, "pauses": []}
    (line,) = switched_off(status(instance, config))
    assert re.fullmatch(
        r"KILLED since 2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ: a wrong \[b\]fee; no signals until "
        rf"`spreadscan ctl resume --after-kill WHY --instance {instance.name}`",
        line,
    )
    assert line == str(status_tables(status(instance, config))[0])
    table = LiveTable(instance, config)
    table._console = Console(file=io.StringIO(), width=120, height=50, force_terminal=True)
    table._console.print(table._page(math.inf))
    assert "KILLED since" in "".join(table._console.file.getvalue().splitlines()[:2])


def test_status_says_what_discovery_went_without(instance, config, tmp_path):
    failure = Failure(why="HTTP 503", list_written="2026-11-20T12:00:00.000000Z")
    roles = dict.fromkeys(roles_of(config), {"state": "running"})
    good = status(instance, config) | {"roles": roles, "sources": {}, "audit": None}

    def healthy(found):
        return judge(found).exit_code == 0

    def lists():
        return status(instance, config)["lists"]

    assert {"written": None, "failed": {}, "refused": None} == lists()
    assert healthy(good | {"lists": lists()})
    write_set(
        tmp_path, generation=1, names=NAMES, retired=frozenset(), pairs={}, sources={}, n_listed={},
        report="", unix_ns=time.time_ns(), failed={"okx-spot": failure, "no-source": failure},
    )  # fmt: skip
    told = {"okx-spot": {"why": "HTTP 503", "list_written": failure.list_written}}
    assert (told, None) == (lists()["failed"], lists()["refused"])
    assert not healthy(good | {"lists": lists()})
    shown = [str(part) for part in status_tables(status(instance, config))]
    assert (
        "okx-spot failed in discovery: HTTP 503; its pairs in the set: those it listed at "
        "2026-11-20T12:00:00Z" in shown
    )
    write_set(
        tmp_path, generation=2, names=NAMES, retired=frozenset(), pairs={}, sources={}, n_listed={},
        report="", unix_ns=time.time_ns(),
    )  # fmt: skip
    assert healthy(good | {"lists": lists()})
    outcome.write(config, refused="discovery: 5 of 8 sources list their pairs")
    assert "discovery: 5 of 8 sources list their pairs" == lists()["refused"]
    assert not healthy(good | {"lists": lists()})
    shown = [str(part) for part in status_tables(status(instance, config))]
    assert any(line.startswith("the last discovery was refused, the lists stay") for line in shown)
    write_set(
        tmp_path, generation=3, names=NAMES, retired=frozenset(), pairs={}, sources={}, n_listed={},
        report="", unix_ns=time.time_ns(),
    )  # fmt: skip
    assert lists()["refused"] is None  # of before this set


def count(instance, role, **counters):
    """Add to the counters of a role, by name."""
    names = list(instance.health.counters(role))
    for name, n in counters.items():
        instance.health.add(role, names.index(name), n)


def test_counts_are_of_the_run_and_totals_are_named_so(instance, config):
    health = instance.health
    okx, engine, tracker = 6, health.role("engine"), health.role("tracker")
    count(instance, okx, quotes=100, declined_crossed=3, reconnects=2)
    count(instance, engine, suspect=7)
    count(instance, tracker, converged=4, sync_errors=1, untrusted_rows=9)
    for _ in range(5):
        instance.ring.push(0, 1, 1, 1, 1.0, 1.0, 1.0, 1.0)
        instance.ring.advance()
    instance.ring.push(0, 1, 1, 1, 1.0, 1.0, 1.0, 1.0)
    begin_run(instance)
    for role in (okx, engine, tracker):
        health.beat(role, now_ns())
    count(instance, okx, quotes=10, declined_crossed=1)
    count(instance, tracker, converged=1)
    instance.ring.advance()
    found = status(instance, config)
    for counts in (found, found["last_minute"]):
        source = counts["sources"]["okx-spot"]
        assert (10, 1, 0) == (source["quotes"], source["declined"], source["reconnects"])
        assert {"produced": 1, "tracked": 1, "queued": 0, "suspect": 0, "frozen": 0} == counts[
            "signals"
        ]
        assert (1, 1) == (counts["tracks"]["opened"], counts["tracks"]["converged"])
        assert 0 == counts["files"]["sync_errors"]
        assert 0 <= counts["seconds"] < 60
    total = found["since_creation"]
    assert 110 == total["sources"]["okx-spot"]["quotes"]
    assert {"produced": 6, "tracked": 6, "queued": 0, "suspect": 7, "frozen": 0} == total["signals"]
    assert (5, 9) == (total["tracks"]["converged"], total["files"]["untrusted_rows"])
    assert total["since"] <= found["since"]
    texts = [str(part) for part in status_tables(found)]
    assert any(t.startswith(f"this run, since {found['since'][11:19]}Z: signals 1 =")
               for t in texts)  # fmt: skip
    assert any(t.startswith("since creation, 20") and "signals 6" in t for t in texts)
    assert any(t.startswith("last 0 s: signals 1,") for t in texts)
    assert not any(t.startswith("disk:") for t in texts)  # of a run before
    count(instance, tracker, sync_errors=1, untrusted_rows=3)
    texts = [str(part) for part in status_tables(status(instance, config))]
    assert any("disk: 1 syncs failed in this run, 3 rows" in t for t in texts)


def test_a_role_by_itself_begins_a_run_unless_a_supervisor_lives(instance, config):
    health, lease = instance.health, instance.lease("supervisor")
    count(instance, 6, quotes=100)
    begin_run(instance, [6])
    assert 100 == status(instance, config)["sources"]["okx-spot"]["quotes"]
    lease.close()
    begin_run(instance, [6])
    count(instance, 6, quotes=1)
    assert 1 == health.counters(6, "run", now_ns())["quotes"]


def test_the_live_table_shows_the_age_of_the_older_quote(instance, config):
    direction, now = DIRECTIONS[0], now_ns()
    instance.quotes.write(direction.buy.id, 0, 99.9, 100.0, 3.0, 3.0, 0, now - 7 * 10**9)
    rows = live_spreads(instance, config, NAMES, EDGES)
    ages = {row["symbol"]: row["quote_age_ms"] for row in rows}
    assert 7_000 <= ages["A-USDT"] < 60_000
    shown = LiveTable(instance, config)._spreads_table(rows)
    cells = {column.header: list(column.cells) for column in shown.columns}
    at = cells["pair"].index("A-USDT")
    assert 7_000 <= float(cells["quote ms"][at].replace(",", "")) < 60_000


def test_a_leg_without_a_quote_has_no_age_and_no_number(instance, config):
    direction = DIRECTIONS[0]
    for symbol in (0, 1):
        instance.quotes.write_empty(direction.sell.id, symbol)
    rows = live_spreads(instance, config, NAMES, EDGES)
    assert {None} == {row["quote_age_ms"] for row in rows}
    shown = LiveTable(instance, config)._spreads_table(rows)
    cells = {column.header: set(column.cells) for column in shown.columns}
    for name in ("gross bps", "net bps", "notional", "quote ms"):
        assert {"-"} == cells[name]


def test_the_live_table_follows_an_instance_that_was_made_anew(instance, config, make_instance):
    """Its name and its settings' place are the same, its counts are in other memory."""
    count(instance, 6, quotes=100)
    table = LiveTable(instance, config, reread=lambda: (anew, config, {}))
    assert 100 == table._look()["sources"]["okx-spot"]["quotes"]
    anew = make_instance(n_sources=8, n_symbols=128, n_edges=1536, force=True)
    count(anew, 6, quotes=7)
    assert 100 == table._look()["sources"]["okx-spot"]["quotes"]  # nobody runs there yet
    leave_settings(anew, config, {})
    found = table._look()
    assert 7 == found["sources"]["okx-spot"]["quotes"]
    assert 0 == table._rates(found)["okx-spot"]  # not below


def test_a_narrow_screen_cuts_no_name_and_no_trouble_off(instance, config, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    for symbol in range(2, 30):
        for source in (DIRECTIONS[0].buy.id, DIRECTIONS[0].sell.id):
            instance.quotes.write(source, symbol, 99.9, 100.0, 3.0, 3.0, 0, now_ns())
        follow(instance, symbol)
    leave_lists(instance, lists_of(EDGES))
    table = LiveTable(instance, config)
    table._console = Console(force_terminal=True, color_system=None)
    lines = table._console.render_lines(table._page(float("inf")), pad=False)
    text = ["".join(part.text for part in line) for line in lines]
    assert len(text) <= 24
    for name in config.sources:
        assert any(line.startswith(f"{name} ") for line in text)
    assert any(line.startswith("nothing runs") for line in text)
    assert any(line.startswith(DIRECTIONS[0].name) for line in text)


def test_the_best_spread_is_one_that_could_be_traded_and_is_proven(instance, config):
    rows = [
        {"symbol": name, "net_bps": net, "tradable": tradable, "proven": proven}
        for name, net, tradable, proven in (
            ("old", 90.0, False, True), ("unproven", 80.0, True, False), ("good", 70.0, True, True),
        )
    ]  # fmt: skip
    best = best_spread(rows)
    assert best is not None
    assert "good" == best["symbol"]
    assert best_spread(rows[:2]) is None
    rows = live_spreads(instance, config, NAMES, EDGES)
    shown = LiveTable(instance, config)._spreads_table([rows[0] | {"proven": False}, rows[1]])
    cells = [str(cell) for cell in shown.columns[1].cells]
    assert [f"{rows[0]['symbol']} unproven", rows[1]["symbol"]] == cells


def test_a_converted_spread_is_told_in_the_currency_that_it_sells_for(instance, config):
    """Beside one that is not: net by the converted price, the name by both currencies."""
    now = now_ns()
    instance.quotes.write(0, 5, 0.98, 0.99, 1e6, 1e6, 0, now)
    edge = EDGES[0]._replace(sell_row=1, converted="buy", rate_source=0, rate_row=5)
    names = ["A-USDC", "A-USDT", *NAMES[2:]]
    plain, converted = (
        next(r for r in live_spreads(instance, config, names, edges) if r["edge_id"] == 0)
        for edges in (EDGES, {**EDGES, 0: edge})
    )
    assert ("A-USDC", "") == (plain["symbol"], plain["converted"])
    assert ("A-USDC/USDT", "buy") == (converted["symbol"], converted["converted"])
    assert 1e4 * (101.0 / 100.0 - 1) == pytest.approx(plain["gross_bps"])
    assert 1e4 * (101.0 / (100.0 * 0.99) - 1) == pytest.approx(converted["gross_bps"])
