"""One recording of all sources for the tests of this room."""

from pathlib import Path

import pytest

from known import LATER
from scan.sim.recorded import kit
from spreadscan.sim import Market
from spreadscan.types import Book


@pytest.fixture(scope="session")
def market() -> Market:
    return Market(seed=1, rate=10_000.0, also=LATER)


@pytest.fixture(scope="session")
def day(
    market: Market, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list[Book]]]:
    """A recording of half a second, and the last books of each source."""
    folder = tmp_path_factory.mktemp("yesterday") / "recording"
    return folder, kit.record(folder, market)
