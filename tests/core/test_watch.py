"""Both legs of a pair as of one moment, judged by the engine's rule."""

import math

import pytest
from spreadcore.errors import TableFull
from spreadcore.spread import edge_exit_bps, edge_gross_bps
from spreadcore.watch import PairWatch

from flags import flags_of

T = 10**12
S = 10**9
SPOT, PERP, SYMBOL = 0, 1, 5
LEARNT = flags_of(limit_s=20.0)


@pytest.fixture
def instance(make_instance):
    made = make_instance(n_sources=3, n_symbols=16, n_edges=16)
    made.quotes.write(SPOT, SYMBOL, 99.9, 100.0, 1.0, 2.0, 0, T - 3)
    made.quotes.write(PERP, SYMBOL, 101.0, 101.1, 3.0, 4.0, 0, T - 1)
    for source in (SPOT, PERP):
        made.health.beat(source, T)
    return made


@pytest.fixture
def watch(instance):
    return PairWatch(instance.quotes, instance.health, stale_after_s={PERP: 10.0})


def test_a_pair_is_shown_whole(watch):
    watch.refresh(T)
    expected = (
        99.9, 100.0, 1.0, 2.0, 101.0, 101.1, 3.0, 4.0, 3, 1,
        edge_gross_bps(100.0, 101.0), edge_exit_bps(99.9, 101.1), True,
    )  # fmt: skip
    assert expected == watch.read(SPOT, SYMBOL, PERP, SYMBOL, T)


def test_nothing_is_tradable_before_a_look(watch):
    assert not watch.read(SPOT, SYMBOL, PERP, SYMBOL, T).tradable


def test_ages_are_those_of_tradable_quotes(watch, instance):
    instance.quotes.write(PERP, 6, 1.0, 1.1, 1.0, 1.0, 0, T - 10 * S - 1)  # of its source's 10 s
    instance.quotes.write(SPOT, 6, 1.0, 1.1, 1.0, 1.0, 0, T - 20 * S - 1, LEARNT)  # of its 20 s
    instance.quotes.write(SPOT, 7, 1.0, 1.1, 1.0, 1.0, 0, T - 20 * S, LEARNT)
    assert [] == watch.ages(SPOT, T)
    watch.refresh(T)
    assert [3, 20 * S] == watch.ages(SPOT, T)
    assert [1] == watch.ages(PERP, T)
    watch.refresh(T + 2 * S)
    assert [] == watch.ages(SPOT, T + 2 * S)
    with pytest.raises(TableFull):
        watch.ages(3, T)


def test_a_leg_is_judged_by_its_own_limit_too(watch, instance):
    watch.refresh(T)
    for age, stands in ((20 * S, True), (20 * S + 1, False)):
        instance.quotes.write(SPOT, SYMBOL, 99.9, 100.0, 1.0, 2.0, 0, T - age, LEARNT)
        assert stands == watch.read(SPOT, SYMBOL, PERP, SYMBOL, T).tradable


@pytest.mark.parametrize("empty", [SPOT, PERP])
def test_an_empty_leg_has_no_edges(watch, instance, empty):
    instance.quotes.write_empty(empty, SYMBOL)
    watch.refresh(T)
    found = watch.read(SPOT, SYMBOL, PERP, SYMBOL, T)
    assert not found.tradable
    assert math.isnan(found.gross_bps)
    assert math.isnan(found.exit_bps)
    assert (-1 if empty == SPOT else 3) == found.buy_age_ns
    assert (-1 if empty == PERP else 1) == found.sell_age_ns


@pytest.mark.parametrize("quiet", [SPOT, PERP])
def test_a_beat_must_be_young_as_of_the_last_look(watch, instance, quiet):
    watch.refresh(T + 2 * S)
    assert not watch.read(SPOT, SYMBOL, PERP, SYMBOL, T + 2 * S).tradable
    instance.health.beat(SPOT, T + S)
    instance.health.beat(PERP, T + S)
    watch.refresh(T + 2 * S)
    assert watch.read(SPOT, SYMBOL, PERP, SYMBOL, T + 2 * S).tradable
    instance.health.beat(quiet, T)
    assert watch.read(SPOT, SYMBOL, PERP, SYMBOL, T + 2 * S).tradable
    watch.refresh(T + 2 * S)
    assert not watch.read(SPOT, SYMBOL, PERP, SYMBOL, T + 2 * S).tradable


def test_age_limits_are_per_source(watch, instance):
    at = T - 1 + 10 * S
    for source in (SPOT, PERP):
        instance.health.beat(source, at)
    watch.refresh(at)
    assert watch.read(SPOT, SYMBOL, PERP, SYMBOL, at).tradable  # 10 s is allowed; spot has no limit
    assert not watch.read(SPOT, SYMBOL, PERP, SYMBOL, at + 1).tradable


@pytest.mark.parametrize("busy", [SPOT, PERP])
def test_a_slot_left_half_way_gives_nothing(watch, instance, busy):
    with instance.region("quotes").buffer() as raw:
        raw[64 + 64 * (SYMBOL * 3 + busy)] |= 1
    watch.refresh(T)
    assert watch.read(SPOT, SYMBOL, PERP, SYMBOL, T) is None


@pytest.mark.parametrize("ids", [(3, 0, 1, 0), (0, 0, 3, 0), (0, 16, 1, 0), (0, 0, 1, 16)])
def test_ids_beyond_the_table_are_refused(watch, ids):
    with pytest.raises(TableFull):
        watch.read(*ids, T)


def test_stale_limits_are_of_known_sources(instance):
    with pytest.raises(TableFull, match="source id: 3, expected below 3"):
        PairWatch(instance.quotes, instance.health, stale_after_s={3: 1.0})
