"""How far a list may shrink: of each quote currency by itself."""

import pytest
from msgspec.structs import replace

from spreadscan.discovery.guards import refuse_shrunk, shrunk, trading_or_halted
from spreadscan.errors import VenueDown
from spreadscan.lists import Lists

BEFORE = Lists(
    generation=7, names=(), retired=frozenset(), pairs={}, sources={},
    n_listed={"okx-spot": {"USDT": 278, "USDC": 20}, "okx-futures": {"USDT": 250, "USDC": 4}},
    n_halted={"okx-spot": {"USDC": 2}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "listed", "few"),
    [
        ("okx-spot", {"USDT": 195, "USDC": 14}, []),
        ("okx-spot", {"USDT": 900, "USDC": 13}, ["USDC"]),  # others do not stand in for them
        ("okx-spot", {"USDT": 194, "USDC": 0}, ["USDT", "USDC"]),
        ("okx-spot", {"USDT": 195}, []),  # nobody asks for USDC any more
        ("okx-futures", {"USDT": 250, "USDC": 1}, []),  # three of few prove nothing
        ("okx-futures", {"USDT": 250, "USDC": 0}, ["USDC"]),
        ("mexc-spot", {"USDC": 0}, []),
    ],
)
def test_each_currency_is_held_against_its_own_pairs_of_before(
    source: str, listed: dict[str, int], few: list[str]
) -> None:
    assert few == shrunk(BEFORE, source, listed)
    assert [] == shrunk(None, source, listed)
    if not few:
        refuse_shrunk(BEFORE, {source: listed})
        return
    with pytest.raises(VenueDown) as caught:
        refuse_shrunk(BEFORE, {source: listed})
    assert all(f"lists {listed[quote]} {quote} pairs" in str(caught.value) for quote in few)


def test_halts_of_one_currency_excuse_none_of_another() -> None:
    halts = {"USDT": 90, "USDC": 3}
    listed = trading_or_halted(BEFORE, "okx-spot", {"USDT": 188, "USDC": 8}, halts)
    assert {"USDT": 278, "USDC": 9} == listed
    assert ["USDC"] == shrunk(BEFORE, "okx-spot", listed)
    first = replace(BEFORE, n_halted={})  # a source that was never asked before
    assert {"USDT": 188} == trading_or_halted(first, "okx-spot", {"USDT": 188}, halts)
