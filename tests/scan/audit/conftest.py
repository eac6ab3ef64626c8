"""An instance, and answers that prove a thing in seconds instead of a quarter of a minute."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from spreadcore import Instance

from known import LATER, SOURCES
from spreadscan.audit import doubts, status
from spreadscan.sim import Market
from spreadscan.venues import VENUES


@pytest.fixture(scope="session")
def still() -> Market:
    """A market in which nothing ever ticks."""
    return Market(seed=1, freeze_after_s=0.0, also=LATER)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_sources=len(SOURCES), n_symbols=64)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second answer may follow after half a second, and a list that is wanted after one."""
    monkeypatch.setattr(doubts, "SECOND_AFTER_NS", 500_000_000)
    monkeypatch.setattr(status, "_SOON_S", 1.0)
    monkeypatch.setattr(status, "_ALIVE_NS", 1_000_000_000)
    monkeypatch.setattr(status, "_OLDER_BY_NS", 500_000_000)


@pytest.fixture
def unweighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a venue allows in a minute may be asked for in a second: a page that weighs a whole
    window, or many rounds, are not waited for."""
    for name, venue in list(VENUES.items()):
        spec = msgspec.structs.replace(venue.spec, rest_limit=(100_000, 1.0))
        monkeypatch.setitem(VENUES, name, replace(venue, spec=spec))
