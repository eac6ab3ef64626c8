"""Simulated markets for the feed tests; making one takes a while, so there are two in all."""

import pytest

from known import LATER
from spreadscan.sim import Market


@pytest.fixture(scope="session")
def moving() -> Market:
    """A busy market: the first symbols of every source tick several times a second."""
    return Market(seed=1, rate=10_000.0, also=LATER)


@pytest.fixture(scope="session")
def still() -> Market:
    """A market in which nothing ever ticks: only first pushes and repeats are sent."""
    return Market(seed=1, freeze_after_s=0.0, also=LATER)


@pytest.fixture(params=["picows", "aiohttp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)
