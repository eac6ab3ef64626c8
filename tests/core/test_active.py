"""Active bytes: one state per edge, moved one arrow at a time."""

import pytest
from spreadcore.active import FREE, REARM, SIGNALLED, TRACKED, ActiveTable
from spreadcore.errors import CoreError, TableFull
from spreadcore.region import Region


@pytest.fixture
def active(make_instance):
    return make_instance(n_sources=2, n_symbols=5, n_edges=15).active


def test_every_byte_is_free_at_first(active):
    assert [] == active.not_free()
    assert {FREE} == {active.state(edge) for edge in range(15)}


def test_the_life_of_a_signal(active):
    for old, new in [(FREE, SIGNALLED), (SIGNALLED, TRACKED), (TRACKED, REARM), (REARM, FREE)]:
        assert active.move(7, old, new) is True
        assert new == active.state(7)
        assert active.move(7, old, new) is False  # it is another already
        assert new == active.state(7)


def test_states_of_edges_do_not_mix(active):
    active.move(4, FREE, SIGNALLED)
    active.move(5, FREE, REARM)
    active.move(14, FREE, TRACKED)
    assert [(4, SIGNALLED), (5, REARM), (14, TRACKED)] == active.not_free()


def test_edges_beyond_the_table_are_refused(active):
    with pytest.raises(TableFull, match="edge 15, expected below 15"):
        active.state(15)
    with pytest.raises(TableFull):
        active.move(15, FREE, SIGNALLED)


@pytest.mark.parametrize(("old", "new"), [(0, 4), (-1, 0), (256, 0), (0, 300)])
def test_what_is_no_state_is_refused(active, old, new):
    with pytest.raises(CoreError, match="expected 0 to 3"):
        active.move(0, old, new)


def test_a_read_only_mapping_may_look_and_no_more(active):
    reader = ActiveTable(Region(active.region.path.rpartition("/")[0], "active"))
    active.move(0, FREE, TRACKED)
    assert TRACKED == reader.state(0)
    with pytest.raises(CoreError, match="mapped read-only"):
        reader.move(0, TRACKED, FREE)
