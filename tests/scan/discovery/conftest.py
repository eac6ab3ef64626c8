"""The simulated market of the discovery tests; making one takes a while, so there is one."""

import pytest

from spreadscan.sim import Market


@pytest.fixture(scope="session")
def moving() -> Market:
    return Market(seed=1, rate=10_000.0)
