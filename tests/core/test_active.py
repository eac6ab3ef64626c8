"""Active bytes: one state per (direction, symbol), moved one arrow at a time."""

import pytest
from spreadcore.active import FREE, REARM, SIGNALLED, TRACKED, ActiveTable
from spreadcore.errors import CoreError, TableFull
from spreadcore.region import Region


@pytest.fixture
def active(make_instance):
    return make_instance(n_sources=2, n_symbols=5, n_directions=3).active


def test_every_byte_is_free_at_first(active):
    assert [] == active.not_free()
    assert {FREE} == {active.state(d, s) for d in range(3) for s in range(5)}


def test_the_life_of_a_signal(active):
    for old, new in [(FREE, SIGNALLED), (SIGNALLED, TRACKED), (TRACKED, REARM), (REARM, FREE)]:
        assert active.move(1, 2, old, new) is True
        assert new == active.state(1, 2)
        assert active.move(1, 2, old, new) is False  # it is another already
        assert new == active.state(1, 2)


def test_states_of_pairs_do_not_mix(active):
    active.move(0, 4, FREE, SIGNALLED)
    active.move(1, 0, FREE, REARM)
    active.move(2, 4, FREE, TRACKED)
    assert [(0, 4, SIGNALLED), (1, 0, REARM), (2, 4, TRACKED)] == active.not_free()


@pytest.mark.parametrize(("direction", "symbol"), [(3, 0), (0, 5)])
def test_ids_beyond_the_table_are_refused(active, direction, symbol):
    with pytest.raises(TableFull, match=f"direction {direction}, symbol {symbol}, expected below"):
        active.state(direction, symbol)
    with pytest.raises(TableFull):
        active.move(direction, symbol, FREE, SIGNALLED)


@pytest.mark.parametrize(("old", "new"), [(0, 4), (-1, 0), (256, 0), (0, 300)])
def test_what_is_no_state_is_refused(active, old, new):
    with pytest.raises(CoreError, match="expected 0 to 3"):
        active.move(0, 0, old, new)


def test_a_read_only_mapping_may_look_and_no_more(active):
    reader = ActiveTable(Region(active.region.path.rpartition("/")[0], "active"))
    active.move(0, 0, FREE, TRACKED)
    assert TRACKED == reader.state(0, 0)
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.move(0, 0, TRACKED, FREE)


def test_a_pair_has_an_edge_and_an_edge_a_pair(active):
    edges = [active.edge(d, s) for d in range(3) for s in range(5)]
    assert list(range(15)) == edges
    assert [(d, s) for d in range(3) for s in range(5)] == [active.pair(edge) for edge in edges]
    with pytest.raises(TableFull, match="direction 3"):
        active.pair(15)
