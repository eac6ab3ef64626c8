"""The dirty set: every mark is taken once, at any capacity; parking ends for a reason."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore.dirty import DirtySet
from spreadcore.errors import CoreError, TableFull
from spreadcore.region import Region

MS = 1_000_000


@pytest.fixture
def dirty(make_instance):
    return make_instance(n_sources=3, n_symbols=200, n_edges=200).dirty


@pytest.fixture
def wide(make_instance):
    return make_instance(n_sources=2, n_symbols=16384, n_edges=16384).dirty


def test_nothing_is_dirty_at_first(dirty):
    assert not dirty.pending()
    assert [[], [], []] == [dirty.take(source) for source in range(3)]


def test_marks_are_taken_once_in_ascending_order(dirty):
    for symbol in (199, 0, 64, 63, 64, 0):
        dirty.mark(1, symbol)
    assert dirty.pending()
    assert [] == dirty.take(0)
    assert [0, 63, 64, 199] == dirty.take(1)
    assert [] == dirty.take(1)
    assert not dirty.pending()


def test_sources_do_not_mix(dirty):
    for source in range(3):
        dirty.mark(source, 10 + source)
    assert [[10], [11], [12]] == [dirty.take(source) for source in range(3)]


@pytest.mark.parametrize("symbol", [0, 63, 64, 4095, 4096, 4097, 8191, 8192, 16383])
def test_each_word_of_both_levels_works(wide, symbol):
    wide.mark(1, symbol)
    assert [] == wide.take(0)
    assert [symbol] == wide.take(1)


def test_the_whole_capacity_at_once(wide):
    """Far more than one look has room for: what does not fit is put back."""
    for symbol in range(16384):
        wide.mark(0, symbol)
    assert list(range(16384)) == wide.take(0)
    assert not wide.pending()


def test_any_set_of_marks_comes_back(wide):
    @settings(max_examples=200, deadline=None)
    @given(st.sets(st.integers(0, 16383), max_size=60))
    def check(symbols):
        for symbol in symbols:
            wide.mark(1, symbol)
        assert sorted(symbols) == wide.take(1)

    check()


@pytest.mark.parametrize(("source", "symbol"), [(3, 0), (0, 200)])
def test_ids_beyond_the_table_are_refused(dirty, source, symbol):
    with pytest.raises(TableFull, match=f"source {source}, symbol {symbol}, expected below 3"):
        dirty.mark(source, symbol)


def test_a_read_only_mapping_may_look_and_no_more(dirty):
    reader = DirtySet(Region(dirty.region.path.rpartition("/")[0], "dirty"))
    dirty.mark(0, 1)
    assert reader.pending()
    for call in (lambda: reader.mark(0, 1), lambda: reader.take(0), reader.wake,
                 lambda: reader.park(0)):  # fmt: skip
        with pytest.raises(CoreError, match="mapped read-only"):
            call()
    assert [1] == dirty.take(0)


# -- parking: in a child where it may sleep for ever


def test_nobody_is_woken_while_nobody_sleeps(dirty):
    dirty.mark(0, 0)
    assert dirty.wake() is False


def test_work_that_is_there_keeps_the_engine_awake(dirty):
    dirty.mark(2, 199)
    assert "work" == dirty.park(-1)
    assert dirty.wake() is False  # it does not count as asleep any more


def test_a_quiet_sleep_ends_by_its_time_out(dirty):
    assert "timeout" == dirty.park(1 * MS)
    assert dirty.wake() is False


def parked(children, dirty, timeout_ns):
    """Start a child that parks, and come back when it sleeps."""
    children.start("engine", dirty.park, timeout_ns)
    with dirty.region.buffer() as raw:
        while raw[64 + 64] == 0:  # the word `sleeping`
            time.sleep(0.0005)
    time.sleep(0.02)  # from `sleeping` into the kernel


def test_a_writer_wakes_the_engine(dirty, children):
    parked(children, dirty, -1)
    dirty.mark(0, 5)
    assert dirty.wake() is True
    assert {"engine": "woken"} == children.results(20)
    assert dirty.wake() is False
    assert [5] == dirty.take(0)


def test_a_writer_killed_between_bit_and_wake_costs_one_time_out(dirty, children):
    parked(children, dirty, 200 * MS)
    dirty.mark(0, 5)
    assert {"engine": "timeout_with_work"} == children.results(20)


def test_a_wake_for_one_source_wakes_for_all(dirty, children):
    parked(children, dirty, -1)
    for source in range(3):
        dirty.mark(source, source)
    assert dirty.wake() is True
    assert {"engine": "woken"} == children.results(20)
    assert [[0], [1], [2]] == [dirty.take(source) for source in range(3)]
