"""Silence proves nothing: what quiet pairs keep, for how long, and what they never get."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED, TRACKED

from known import SOURCE_BY_NAME, TWELVE, every_edge
from scan.discovery.kit import NOBODY, config_for, listed, run, simulated
from spreadscan.config import Config, VenueSettings
from spreadscan.discovery import Result, discover
from spreadscan.discovery.confirmed import Confirmed
from spreadscan.discovery.judge import Verdict, judge, open_legs
from spreadscan.discovery.validate import Validation
from spreadscan.lists import Failure, Listing, Lists, SourceList, load
from spreadscan.sim import Market
from spreadscan.venues import VENUES

SPOT, PERP = "okx-spot", "mexc-futures"


def before(state: Any, base: str = "X", runs: int = 0, reason: str = "") -> Lists:
    """Return a set in which SPOT's pair was of that state."""
    row = listed(base)
    pair = Listing(
        symbol_id=0,
        symbol="X-USDT",
        state=state,
        reason=reason,
        silent_runs=runs,
        instrument=row,
    )
    return Lists(
        generation=1,
        names=("X-USDT",),
        retired=frozenset(),
        pairs={},
        sources={SPOT: SourceList(source=SPOT, symbols=(pair,))},
    )


def verdict(
    previous: Lists | None = None,
    *,
    base: str = "X",
    mid: float | None = None,
    asked: bool = True,
    confirmed: Confirmed = Confirmed(),  # noqa: B008 (frozen)
    is_open: bool = False,
    hint: float | None = None,
    other: float | None = 1.0,
    failed: str = "",
) -> Verdict:
    """Return what becomes of X on SPOT, which is at `other` on PERP.

    hint: what SPOT's book, which the gate refused, showed of its price.
    """
    rows = {SPOT: {"X-USDT": listed(base)}, PERP: {"X-USDT": listed("X")}}
    validations = {name: Validation(VENUES[name], Config()) for name in rows}
    if other is not None:
        validations[PERP].mids["XUSDT"] = other
    if hint is not None:
        validations[SPOT].hints[f"{base}USDT"] = hint
        validations[SPOT].faults[f"{base}USDT"] = "crossed"
    if mid is not None:
        validations[SPOT].mids[f"{base}USDT"] = mid
    if asked:
        validations[SPOT].asked.add(f"{base}USDT")
    validations[SPOT].connected = True
    validations[SPOT].error = "why"
    legs = frozenset({(SPOT, "X-USDT")} if is_open else ())
    failures = {SPOT: failed} if failed else {}
    return judge(rows, validations, confirmed, previous, legs, failures)[SPOT]["X-USDT"]


def test_a_price_that_agrees_is_valid_and_ends_the_count() -> None:
    assert Verdict("valid") == verdict(mid=1.0)
    assert Verdict("valid") == verdict(before("quiet", runs=7), mid=1.1)


def test_silent_runs_are_counted_where_the_pair_was_asked_for() -> None:
    assert Verdict("quiet", "no update", 1) == verdict()
    assert Verdict("quiet", "no update", 1) == verdict(before("valid"))
    assert Verdict("quiet", "no update, 2 runs in a row", 2) == verdict(before("quiet", runs=1))
    third = verdict(before("quiet", runs=2))
    assert Verdict("quiet", "no update, 3 runs in a row: in no direction", 3) == third
    # a socket that never answered says nothing of its pairs
    assert Verdict("quiet", "not answered: why, 2 runs in a row", 2) == (
        verdict(before("quiet", runs=2), asked=False)
    )


def test_a_run_that_follows_one_without_a_source_counts_no_silence() -> None:
    """It comes within minutes: three of them are not the day that three others are."""
    retry = {"failed": {PERP: Failure(why="HTTP 503")}}
    was = replace(before("quiet", runs=2), **retry)
    assert Verdict("quiet", "no update, 2 runs in a row", 2) == verdict(was)
    assert 1 == verdict(replace(before("valid", "1000X"), sources={}, **retry)).silent_runs  # new


def test_a_pair_with_an_open_spread_says_that_it_is_kept() -> None:
    found = verdict(before("quiet", runs=5), is_open=True)
    assert "no update, 6 runs in a row: kept for a spread that is open" == found.reason


def test_a_quarantined_pair_that_falls_silent_stays_where_it_is() -> None:
    was = before("quarantined", reason="identity: 9, others 1")
    once = verdict(was)
    why = "identity: 9, others 1 (silent now: not compared again)"
    assert Verdict("quarantined", why, 1) == once
    assert Verdict("quarantined", why, 2) == verdict(before("quarantined", "X", 1, once.reason))
    assert Verdict("valid") == verdict(was, mid=1.0)
    same = Confirmed(same=frozenset({(SPOT, "X-USDT")}))
    assert "quiet" == verdict(was, confirmed=same).state


def test_a_multiplier_that_no_price_has_proved_makes_no_direction() -> None:
    why = "identity: 1000 coins by its name, and no price yet to prove it"
    assert Verdict("quarantined", why, 1) == verdict(base="1000X")
    assert "quarantined" == verdict(before("valid", "10000X"), base="1000X").state
    assert "quiet" == verdict(before("valid", "1000X"), base="1000X").state
    assert "valid" == verdict(base="1000X", mid=1000.0).state


def test_a_book_that_the_gate_refuses_ends_the_silence() -> None:
    """One side, or crossed: an auction, a halt, a thin market; its first good quote counts."""
    assert Verdict("quiet", "no good quote yet: crossed", 0) == verdict(hint=1.0)
    assert Verdict("quiet", "no good quote yet: crossed", 0) == verdict(
        before("quiet", runs=9), hint=1.0
    )
    was = before("quarantined", reason="identity: 9, others 1")
    assert "quarantined" == verdict(was, hint=9.0).state
    assert "quiet" == verdict(was, hint=1.0).state


def test_a_book_that_the_gate_refuses_may_prove_a_multiplier() -> None:
    assert "quiet" == verdict(base="1000X", hint=1100.0).state
    for wrong in (1.0, 1300.0, 1e6):
        found = verdict(base="1000X", hint=wrong)
        assert ("quarantined", True) == (found.state, "no price yet" in found.reason)
    assert "quarantined" == verdict(base="1000X", hint=1000.0, other=None).state


def test_a_quarantined_pair_that_quotes_alone_stays_where_it_is() -> None:
    was = before("quarantined", reason="identity: 9, others 1")
    why = "identity: 9, others 1 (alone now: not compared again)"
    once = verdict(was, mid=9.0, other=None)
    assert Verdict("quarantined", why) == once
    again = before("quarantined", reason=once.reason)
    assert once == verdict(again, mid=9.0, other=None)
    assert "identity: 9, others 1 (silent now: not compared again)" == verdict(again).reason
    assert Verdict("valid") == verdict(before("valid"), mid=9.0, other=None)
    same = Confirmed(same=frozenset({(SPOT, "X-USDT")}))
    assert Verdict("valid") == verdict(was, mid=9.0, other=None, confirmed=same)


def test_whom_a_missing_witness_leaves_one_against_one_is_judged_as_before() -> None:
    was = before("quarantined", reason="identity: 5, others 1")
    why = "identity: 5, median of 1 others 1: same ticker, other coin"
    assert Verdict("quarantined", why) == verdict(was, mid=5.0)
    assert "no majority" in verdict(before("valid"), mid=5.0).reason


def test_the_pairs_of_a_source_that_failed_are_what_they_were() -> None:
    for state, runs in (
        ("valid", 0),
        ("quiet", 2),
        ("quiet", 5),
        ("quarantined", 1),
        ("invalid", 0),
    ):
        was = before(state, runs=runs, reason="why")
        assert Verdict(state, "why", runs) == verdict(was, failed="HTTP 503")
        assert Verdict(state, "why", runs) == verdict(was, failed="mute", hint=9.0)
    assert Verdict("quiet", "HTTP 503", 0) == verdict(failed="HTTP 503")  # new
    assert "quarantined" == verdict(failed="HTTP 503", base="1000X").state
    same = Confirmed(same=frozenset({(SPOT, "X-USDT")}))
    assert "quiet" == verdict(before("quarantined"), failed="HTTP 503", confirmed=same).state
    different = Confirmed(different=frozenset({(SPOT, "X-USDT")}))
    assert "quarantined" == verdict(before("valid"), failed="HTTP 503", confirmed=different).state


def test_what_is_confirmed_as_another_coin_is_out_whatever_it_says() -> None:
    different = Confirmed(different=frozenset({(SPOT, "X-USDT")}))
    for mid in (None, 1.0, 9.0):
        found = verdict(mid=mid, confirmed=different)
        assert Verdict("quarantined", "identity: confirmed to be another coin") == found


# -- the running instance


@pytest.fixture
def instance() -> Iterator[Instance]:
    name = f"discovery-{os.getpid()}"
    region.create(name)
    try:
        yield Instance(name, ("active",))
    finally:
        region.unlink(name)


EDGES = every_edge(3)


def test_both_legs_of_open_spreads_are_in_use(instance: Instance) -> None:
    config = Config(instance=instance.name)
    names = ("A-USDT", "B-USDT", "C-USDT")
    assert frozenset() == open_legs(config, names, EDGES)
    assert instance.active.move(1, FREE, SIGNALLED)  # okx -> mexc
    assert instance.active.move(35, FREE, SIGNALLED)  # binance -> bybit
    assert instance.active.move(35, SIGNALLED, TRACKED)
    assert instance.active.move(900, FREE, SIGNALLED)  # an edge that the set does not know
    assert {
        ("okx-spot", "B-USDT"),
        ("mexc-futures", "B-USDT"),
        ("binance-spot", "C-USDT"),
        ("bybit-futures", "C-USDT"),
    } == open_legs(config, names, EDGES)
    assert frozenset() == open_legs(config, (), ())
    converted = [EDGES[1]._replace(converted="buy", rate_source=2, rate_row=0), *EDGES[2:]]
    assert ("bybit-spot", "A-USDT") in open_legs(config, names, converted)


def test_without_an_instance_nothing_is_in_use() -> None:
    config = Config(instance=f"discovery-none-{os.getpid()}")
    assert frozenset() == open_legs(config, ("A-USDT",), EDGES)


# -- against simulated sources


def a_quiet_pair(market: Market) -> str:
    """Return a pair that okx-spot and mexc-futures list and that never quotes on okx-spot."""
    spot, perp = SOURCE_BY_NAME[SPOT].id, SOURCE_BY_NAME[PERP].id
    there = {i.symbol for i in market.instruments[perp]}
    dead = (market.instruments[s][i].symbol for s, i in sorted(market.dead) if s == spot)
    return next(name for name in dead if name in there)


def discovered(market: Market, folder: Path, *include: str, **options: Any) -> Result:
    async def main() -> Result:
        async with simulated(market) as server:
            options.setdefault("no_new_s", 0.2)
            return await discover(
                config_for(folder, server, include=include, **options, again_s=0.0)
            )

    result: Result = run(main())
    return result


def test_a_quiet_pair_leaves_its_directions_at_the_third_run_unless_a_spread_is_open(
    moving: Market, tmp_path: Path, instance: Instance
) -> None:
    quiet = a_quiet_pair(moving)
    reasons, inside = [], []
    for n in range(5):
        if n == 3:
            before = load(tmp_path / "generated")
            symbol_id = before.names.index(quiet)
            [edge] = [e.id for e in before.edges if (e.direction, e.buy_row) == (0, symbol_id)]
            assert instance.active.move(edge, FREE, SIGNALLED)
        result = discovered(moving, tmp_path, "BTC-*", quiet)
        lists = load(tmp_path / "generated")
        symbol_id = lists.names.index(quiet)
        assert quiet in [row.symbol for row in lists.sources[SPOT].subscribed]
        assert symbol_id not in lists.retired
        reasons.append(result.sources[SPOT].quiet_pairs[quiet])
        inside.append(symbol_id in lists.pairs[0])
        if n == 3:
            assert instance.active.move(edge, SIGNALLED, FREE)
    assert [
        "no update",
        "no update, 2 runs in a row",
        "no update, 3 runs in a row: in no direction",
        "no update, 4 runs in a row: kept for a spread that is open",
        "no update, 5 runs in a row: in no direction",
    ] == reasons
    assert [True, True, False, True, False] == inside


def test_a_source_that_cannot_be_reached_is_not_silent(moving: Market, tmp_path: Path) -> None:
    async def main() -> Result:
        async with simulated(moving) as server:
            rest_url = server.endpoints()[SPOT][0]
            venues = {SPOT: VenueSettings(rest_url=rest_url, ws_url=f"ws://{NOBODY}/")}
            config = config_for(
                tmp_path, server, include=("BTC-*", "PEPE-*"), venues=venues, batch_limit_s=2.0
            )
            return await discover(config)

    for _ in range(3):
        run(main())
    lists = load(tmp_path / "generated")
    assert {0} == {row.silent_runs for row in lists.sources[SPOT].symbols}
    assert {d.id: 2 for d in TWELVE} == {d: len(ids) for d, ids in lists.pairs.items()}
