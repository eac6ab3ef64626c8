"""Which pairs get a number: those that a direction can use; and how long it stays theirs."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known import EIGHT
from scan.discovery.kit import instrument
from spreadscan.catalogue import built_in
from spreadscan.config import Config
from spreadscan.discovery import ids as ids_module
from spreadscan.discovery.ids import (
    NONE,
    REUSE_AFTER_S,
    Ids,
    assign_edges,
    assign_ids,
    comparable,
    ids_before,
)
from spreadscan.errors import ConfigError
from spreadscan.lists import Edge, Lists
from spreadscan.types import Instrument

NAMES = st.sets(st.text("ABC", min_size=1, max_size=3), max_size=20)
DAY = 86_400


def listed(**sources: str) -> dict[str, dict[str, Instrument]]:
    """Lists by source of coins of one letter each."""
    return {
        name.replace("_", "-"): {f"{coin}-USDT": instrument(f"{coin}USDT", coin) for coin in coins}
        for name, coins in sources.items()
    }


def kept(config: Config, **sources: str) -> dict[str, str]:
    found = comparable(config, listed(**sources))
    return {source: "".join(name[0] for name in rows) for source, rows in found.kept.items()}


# -- pairs that a direction can use


def test_what_one_market_or_one_exchange_lists_alone_is_left_out() -> None:
    """B: spot alone. C: perpetual alone. D: both of one exchange. E: spot here, perpetual there."""
    lists = {"mexc_spot": "ABDE", "mexc_futures": "ACD", "okx_spot": "AB", "bybit_futures": "CE"}
    assert {
        "mexc-spot": "AE", "mexc-futures": "A", "okx-spot": "A", "bybit-futures": "E",
    } == kept(Config(), **lists)  # fmt: skip
    found = comparable(Config(), listed(**lists))
    assert ({"A-USDT", "E-USDT"}, 3) == (found.names, found.n_left_out)
    assert {"mexc-spot": 2, "mexc-futures": 2, "okx-spot": 1, "bybit-futures": 1} == found.left_out


def test_a_usable_pair_stays_where_it_is_a_witness_only() -> None:
    """okx-spot can buy A for no perpetual of another exchange; what it says of A still counts."""
    lists = {"okx_spot": "A", "okx_futures": "A", "bybit_spot": "A"}
    assert {"okx-spot": "A", "okx-futures": "A", "bybit-spot": "A"} == kept(Config(), **lists)


def test_directions_that_are_not_enabled_make_nothing_usable() -> None:
    config = Config(sources=("okx-spot", "mexc-futures"))
    assert {"okx-spot": "A", "mexc-futures": "A"} == kept(config, okx_spot="AB", mexc_futures="AC")


@given(st.fixed_dictionaries({s.name.replace("-", "_"): st.text("ABCDE") for s in EIGHT}))
def test_left_out_is_exactly_what_no_direction_has(sources: dict[str, str]) -> None:
    """By the words of the rule, listing by listing."""
    config = Config()
    usable = {
        coin
        for coin in "ABCDE"
        for buy in EIGHT
        for sell in EIGHT
        if (buy.kind, sell.kind) == ("spot", "perpetual") and buy.exchange != sell.exchange
        and coin in sources[buy.name.replace("-", "_")]
        and coin in sources[sell.name.replace("-", "_")]
    }  # fmt: skip
    for source, coins in kept(config, **sources).items():
        assert set(coins) == usable & set(sources[source.replace("-", "_")])


# -- numbers


def names_of(found: Ids) -> tuple[tuple[str, ...], set[int]]:
    return found.names, set(found.retired)


def test_first_ids_are_sorted() -> None:
    assert (("A", "B", "C"), set()) == names_of(assign_ids({"C", "A", "B"}, NONE, 0))


def test_known_names_keep_their_ids_new_ones_follow_missing_ones_retire() -> None:
    found = assign_ids({"D", "A", "B"}, Ids(("C", "A"), {}), 7)
    assert Ids(("C", "A", "B", "D"), {0: 7}) == found
    assert {"A": 1, "B": 2, "D": 3} == found.in_use
    again = assign_ids({"C"}, found, 9)
    assert Ids(("C", "A", "B", "D"), {1: 9, 2: 9, 3: 9}) == again


def test_an_id_is_given_to_another_pair_only_after_a_month_without_one() -> None:
    found = assign_ids({"B"}, Ids(("A", "B", "C"), {}), 1_000)
    assert {0: 1_000, 2: 1_000} == found.retired
    early = assign_ids({"B", "D"}, found, 1_000 + REUSE_AFTER_S - 1)
    assert (("A", "B", "C", "D"), {0, 2}) == names_of(early)
    late = assign_ids({"B", "D"}, found, 1_000 + REUSE_AFTER_S)
    assert Ids(("D", "B", "C"), {2: 1_000}) == late
    # the lowest first, the rest at the end
    more = assign_ids({"B", "D", "E", "F"}, found, 1_000 + REUSE_AFTER_S)
    assert (("D", "B", "E", "F"), set()) == names_of(more)


def test_a_pair_that_comes_back_in_time_has_its_id_and_its_month_begins_anew() -> None:
    gone = assign_ids(set(), Ids(("A",), {}), 0)
    back = assign_ids({"A", "B"}, gone, 20 * DAY)
    assert Ids(("A", "B"), {}) == back
    again = assign_ids({"B"}, back, 25 * DAY)
    assert Ids(("A", "B", "C"), {0: 25 * DAY}) == assign_ids({"B", "C"}, again, 50 * DAY)


def test_a_pair_that_comes_back_after_its_id_went_is_a_new_one() -> None:
    gone = assign_ids({"B"}, Ids(("A", "B"), {}), 0)
    other = assign_ids({"B", "C"}, gone, 31 * DAY)
    assert (("C", "B", "A"), set()) == names_of(assign_ids({"A", "B", "C"}, other, 32 * DAY))


def test_a_clock_that_was_put_back_gives_nothing_away() -> None:
    gone = assign_ids({"B"}, Ids(("A", "B"), {}), 90 * DAY)
    assert (("A", "B", "C"), {0}) == names_of(assign_ids({"B", "C"}, gone, 5))


def test_ids_of_a_set_that_does_not_say_since_when_retire_now() -> None:
    lists = Lists(
        generation=1, names=("A", "B", "C"), retired=frozenset({0, 2}), pairs={}, sources={},
        retired_unix_s={2: 5},
    )  # fmt: skip
    assert Ids(("A", "B", "C"), {0: 77, 2: 5}) == ids_before(lists, 77)
    assert NONE == ids_before(None, 77)


@given(st.lists(NAMES, max_size=6), st.integers(0, 40 * DAY))
def test_ids_are_as_many_names_and_stay_while_they_are_in_use(
    runs: list[set[str]], step_s: int
) -> None:
    found = NONE
    for n, symbols in enumerate(runs):
        before, unix_s = found, n * step_s
        found = assign_ids(symbols, before, unix_s)
        assert symbols == set(found.in_use)
        assert len(found.names) == len(set(found.names))
        for i, name in enumerate(before.names):
            old = i in before.retired and unix_s - before.retired[i] >= REUSE_AFTER_S
            assert found.names[i] == name or (old and name not in symbols)
        if step_s == 0:
            assert before.names == found.names[: len(before.names)]


def test_more_ids_than_the_layout_can_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids_module, "SYMBOLS_MAX", 3)
    found = assign_ids({"A", "B", "C"}, NONE, 0)
    with pytest.raises(ConfigError, match=r"4 ids needed \(4 pairs.* 0 ids without.*at most 3"):
        assign_ids({"A", "B", "C", "D"}, found, 0)
    # an id without a pair takes room for a month, too
    with pytest.raises(ConfigError, match=r"4 ids needed \(3 pairs.* 1 ids without.*--fresh"):
        assign_ids({"A", "B", "D"}, found, 0)
    gone = assign_ids({"A", "B"}, found, 0)
    assert ("A", "B", "D") == assign_ids({"A", "B", "D"}, gone, 30 * DAY).names


# -- edges

CATALOGUE = built_in()


def edges_of(pairs: dict[int, set[int]], before: Iterable[Edge], unix_s: int) -> dict[int, Edge]:
    found = assign_edges(CATALOGUE, pairs, before, unix_s)
    assert sorted(edge.id for edge in found) == [edge.id for edge in found]
    return {edge.id: edge for edge in found}


def test_edges_of_a_pair_stand_side_by_side_and_name_the_legs_of_their_direction() -> None:
    found = edges_of({0: {1, 0}, 3: {1}}, (), DAY)
    okx_mexc, mexc_okx = CATALOGUE.direction_at[0], CATALOGUE.direction_at[3]
    assert [
        Edge(0, 0, okx_mexc.buy.id, 0, okx_mexc.sell.id, 0),
        Edge(1, 0, okx_mexc.buy.id, 1, okx_mexc.sell.id, 1),
        Edge(2, 3, mexc_okx.buy.id, 1, mexc_okx.sell.id, 1),
    ] == list(found.values())


def test_the_number_of_an_edge_that_is_gone_is_free_after_a_month_and_no_sooner() -> None:
    first = edges_of({0: {0, 1}}, (), DAY)
    gone = edges_of({0: {1}}, first.values(), 2 * DAY)
    assert (2 * DAY, False, True) == (gone[0].retired_unix_s, gone[0].in_use, gone[1].in_use)
    soon = edges_of({0: {1, 2}}, gone.values(), 31 * DAY)
    assert (0, 2) == (soon[0].buy_row, soon[2].buy_row)
    assert 2 * DAY == soon[0].retired_unix_s  # not anew
    late = edges_of({0: {1, 2}}, gone.values(), 32 * DAY)
    assert {0: 2, 1: 1} == {number: edge.buy_row for number, edge in late.items()}
    back = edges_of({0: {0, 1}}, gone.values(), 31 * DAY)
    assert first == back
    assert 2 * DAY == edges_of({0: {1}}, gone.values(), 5)[0].retired_unix_s  # a clock put back


@given(
    st.lists(
        st.dictionaries(st.integers(0, 11), st.sets(st.integers(0, 5)), max_size=4), max_size=6
    ),
    st.integers(0, 40 * DAY),
)
def test_edges_are_as_many_as_wanted_and_stay_while_they_are_in_use(
    runs: list[dict[int, set[int]]], step_s: int
) -> None:
    found: dict[int, Edge] = {}
    for n, pairs in enumerate(runs):
        before, unix_s = found, DAY + n * step_s
        found = edges_of(pairs, before.values(), unix_s)
        used = [(edge.direction, edge.buy_row) for edge in found.values() if edge.in_use]
        assert sorted((d, row) for d, rows in pairs.items() for row in rows) == sorted(used)
        for number, old in before.items():
            free = not old.in_use and unix_s - old.retired_unix_s >= REUSE_AFTER_S
            assert free or found[number][:6] == old[:6]


def test_more_edges_than_the_layout_can_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids_module, "EDGES_MAX", 3)
    assert 3 == len(edges_of({0: {0, 1, 2}}, (), DAY))
    with pytest.raises(ConfigError, match="4 edges, expected at most 3"):
        edges_of({0: {0, 1, 2}, 1: {0}}, (), DAY)
