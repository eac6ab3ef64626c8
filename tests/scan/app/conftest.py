"""A scanner of which every role runs, as far as shared memory tells."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME
from spreadscan.app.status import roles_of
from spreadscan.clock import now_ns
from spreadscan.config import Config


@pytest.fixture
def running(instance: Instance, config: Config) -> Iterator[Callable[[str], None]]:
    """Every role runs, since a quarter of an hour; give a name to end one."""
    health, leases = instance.health, {}
    with ExitStack() as stack:
        for role in roles_of(config):
            number = SOURCE_BY_NAME[role].id if role in SOURCE_BY_NAME else health.role(role)
            health.start(number, max(1, now_ns() - 900 * 10**9))
            health.beat(number, now_ns())
            leases[role] = instance.lease(role)
            stack.callback(leases[role].close)
        yield lambda role: leases[role].close()
