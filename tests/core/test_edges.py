"""The index: which edges a changed quote takes part in."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore.edges import RECORD, EdgeIndex, LegsTuple
from spreadcore.errors import CoreError, TableFull

TWELVE = [
    (6, 5), (6, 3), (6, 1), (4, 7), (4, 3), (4, 1), (2, 7), (2, 5), (2, 1), (0, 7), (0, 5), (0, 3),
]  # fmt: skip


def test_each_source_takes_part_in_three_of_twelve():
    index = EdgeIndex(8, 10, 12)
    for edge, (buy, sell) in enumerate(TWELVE):
        index.add(edge, buy, 7, sell, 7, rule=edge)
    assert 12 == index.n_in_use == index.n_edges
    for source in range(8):
        expected = [edge for edge, legs in enumerate(TWELVE) if source in legs]
        assert expected == index.edges_of(source, 7)
        assert 3 == len(expected)
        assert [] == index.edges_of(source, 6)
    assert LegsTuple(6, 7, 5, 7, 0) == index.legs(0)


slots = st.tuples(st.integers(0, 5), st.integers(0, 8))
graphs = st.dictionaries(
    st.integers(0, 39), st.tuples(slots, slots).filter(lambda legs: legs[0] != legs[1]), max_size=40
)


@settings(deadline=None)
@given(graphs, st.booleans())
def test_any_graph_is_walked_as_it_was_given(graph, at_once):
    index = EdgeIndex(6, 9, 40)
    if at_once:
        index.add_all(
            b"".join(
                struct.pack(RECORD, edge, buy[1], sell[1], edge, buy[0], sell[0])
                for edge, (buy, sell) in graph.items()
            )
        )
    else:
        for n, (edge, (buy, sell)) in enumerate(graph.items()):
            index.add(edge, *buy, *sell, edge)
            if n == 20:
                index.edges_of(0, 0)  # what comes after a walk is found by the next one
    assert len(graph) == index.n_in_use
    for source in range(6):
        for row in range(9):
            expected = sorted(edge for edge, legs in graph.items() if (source, row) in legs)
            assert expected == index.edges_of(source, row)
    for edge in range(40):
        legs = graph.get(edge)
        assert index.legs(edge) == (LegsTuple(*legs[0], *legs[1], edge) if legs else None)


def test_there_is_no_limit_per_slot():
    index = EdgeIndex(64, 2, 1000)
    for edge in range(1000):
        index.add(edge, 0, 0, 1 + edge % 63, 1)
    assert list(range(1000)) == index.edges_of(0, 0)


def test_an_edge_is_added_once_and_has_two_slots():
    index = EdgeIndex(2, 3, 5)
    index.add(4, 0, 2, 1, 2)
    with pytest.raises(CoreError, match="edge 4: added twice"):
        index.add(4, 0, 1, 1, 1)
    with pytest.raises(CoreError, match="edge 3: buys and sells on source 1, row 2"):
        index.add(3, 1, 2, 1, 2)
    index.add(3, 1, 2, 1, 1)  # two listings of one source
    assert [3, 4] == index.edges_of(1, 2)
    assert 2 == index.n_in_use


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        ((5, 0, 0, 1, 0), "edge 5: expected below 5"),
        ((0, 2, 0, 1, 0), "sources 2 and 1, rows 0 and 0, expected below 2 and 3"),
        ((0, 0, 0, 1, 3), "sources 0 and 1, rows 0 and 3, expected below 2 and 3"),
        ((0, 0, 0, 1, 0, 65536), "rule 65536, expected below 65536"),
    ],
)
def test_what_the_index_has_no_room_for_is_refused(edge, said):
    index = EdgeIndex(2, 3, 5)
    with pytest.raises(TableFull, match=said):
        index.add(*edge)
    assert 0 == index.n_in_use


def test_half_a_record_is_refused():
    with pytest.raises(CoreError, match="edges: 15 bytes, expected a multiple of 16"):
        EdgeIndex(2, 3, 5).add_all(b"x" * 15)


@pytest.mark.parametrize("room", [(0, 1, 1), (65, 1, 1), (1, 0, 1), (1, 65537, 1), (1, 1, 1048577)])
def test_capacities_beyond_the_layout_are_refused(room):
    with pytest.raises(TableFull, match="expected 1 to"):
        EdgeIndex(*room)


def test_slots_and_edges_beyond_the_index_are_refused():
    index = EdgeIndex(2, 3, 5)
    for slot in ((2, 0), (0, 3)):
        with pytest.raises(TableFull):
            index.edges_of(*slot)
    with pytest.raises(TableFull):
        index.legs(5)


def test_the_largest_index():
    index = EdgeIndex(64, 65536, 1 << 20)
    index.add((1 << 20) - 1, 62, 65535, 63, 65535)
    assert [(1 << 20) - 1] == index.edges_of(63, 65535)
