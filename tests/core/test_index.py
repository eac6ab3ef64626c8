"""The index: which directions a changed quote takes part in."""

import pytest
from spreadcore.errors import CoreError, TableFull
from spreadcore.index import SourceSymbolIndex

TWELVE = [
    (0, 6, 5), (1, 6, 3), (2, 6, 1), (3, 4, 7), (4, 4, 3), (5, 4, 1),
    (6, 2, 7), (7, 2, 5), (8, 2, 1), (9, 0, 7), (10, 0, 5), (11, 0, 3),
]  # fmt: skip


def test_each_source_takes_part_in_three_of_twelve():
    index = SourceSymbolIndex(8, 10, TWELVE)
    for direction, _, _ in TWELVE:
        index.add(direction, 7)
    assert 12 == index.n_pairs == index.n_directions
    for source in range(8):
        expected = [d for d, buy, sell in TWELVE if source in (buy, sell)]
        assert expected == index.directions_of(source, 7)
        assert 3 == len(expected)
        assert [] == index.directions_of(source, 6)


def test_directions_know_their_sources():
    index = SourceSymbolIndex(8, 10, TWELVE)
    assert (6, 5) == index.sources_of(0)
    assert (0, 3) == index.sources_of(11)


def test_there_is_room_for_six_and_a_seventh_changes_nothing():
    index = SourceSymbolIndex(8, 1, [(d, 0, d + 1) for d in range(7)])
    for direction in range(6):
        index.add(direction, 0)
    with pytest.raises(TableFull, match="source 0, symbol 0: more than 6 directions"):
        index.add(6, 0)
    assert list(range(6)) == index.directions_of(0, 0)
    assert [] == index.directions_of(7, 0)
    assert 6 == index.n_pairs


def test_a_full_sell_side_leaves_the_buy_side_alone():
    index = SourceSymbolIndex(8, 1, [(d, d, 7) for d in range(7)])
    for direction in range(6):
        index.add(direction, 0)
    with pytest.raises(TableFull, match="source 7, symbol 0"):
        index.add(6, 0)
    assert [] == index.directions_of(6, 0)


def test_a_pair_is_added_once():
    index = SourceSymbolIndex(2, 3, [(4, 0, 1)])
    index.add(4, 2)
    with pytest.raises(CoreError, match="direction 4, symbol 2: added twice"):
        index.add(4, 2)
    assert 1 == index.n_pairs


@pytest.mark.parametrize("direction", [-1, 1, 254, 255, 256])
def test_a_direction_that_was_not_given_is_refused(direction):
    index = SourceSymbolIndex(2, 3, [(0, 0, 1)])
    with pytest.raises(CoreError, match=f"direction {direction}: unknown"):
        index.add(direction, 0)
    with pytest.raises(CoreError, match=f"direction {direction}: unknown"):
        index.sources_of(direction)


@pytest.mark.parametrize("row", [(0, 2, 1), (0, 0, 2), (0, 1, 1), (0, -1, 1)])
def test_a_direction_needs_two_sources_of_the_table(row):
    with pytest.raises(CoreError, match="expected two below 2"):
        SourceSymbolIndex(2, 3, [row])


@pytest.mark.parametrize("direction", [-1, 255, 256])
def test_a_direction_id_fits_a_byte(direction):
    with pytest.raises(TableFull, match=f"direction id: {direction}, expected 0 to 254"):
        SourceSymbolIndex(2, 3, [(direction, 0, 1)])


def test_a_direction_is_given_once():
    with pytest.raises(CoreError, match="direction 3: given twice"):
        SourceSymbolIndex(4, 3, [(3, 0, 1), (3, 2, 1)])


@pytest.mark.parametrize(("n_sources", "n_symbols"), [(0, 1), (65, 1), (1, 0), (1, 16385)])
def test_capacities_beyond_the_layout_are_refused(n_sources, n_symbols):
    with pytest.raises(TableFull, match="expected 1 to 64 and 1 to 16384"):
        SourceSymbolIndex(n_sources, n_symbols, [])


@pytest.mark.parametrize(("source", "symbol"), [(2, 0), (0, 3)])
def test_ids_beyond_the_index_are_refused(source, symbol):
    index = SourceSymbolIndex(2, 3, [(0, 0, 1)])
    with pytest.raises(TableFull):
        index.directions_of(source, symbol)
    with pytest.raises(TableFull):
        index.add(0, 3)


def test_the_largest_index():
    index = SourceSymbolIndex(64, 16384, [(254, 62, 63)])
    index.add(254, 16383)
    assert [254] == index.directions_of(63, 16383)
    assert 255 == index.n_directions
