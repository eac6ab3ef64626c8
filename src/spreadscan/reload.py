"""The set that a process runs on: at every beat it looks whether a newer one is asked for.

The control section says which generation everyone should take. A set that cannot be taken over
is refused with a sentence; the one in use stays, and the new one is tried again some seconds later.
"""

import logging
import threading
from collections.abc import Callable

from spreadcore import Instance

from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.errors import BadGenerated, SpreadError
from spreadscan.lists import Lists, check_capacity, load, successor
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_AGAIN_NS = 5_000_000_000


class Reload:
    """The newest usable set of one process, of all its roles. lists: what is in use now.

    prepare: is given each newer set before it is in use, by whichever thread loads it; for what
    takes time to make of a set.
    """

    def __init__(self, config: Config, lists: Lists, instance: Instance) -> None:
        self.lists = lists
        self.prepare: Callable[[Lists], None] = lambda _: None
        self._config = config
        self._control = instance.control
        region = instance.region("control")
        self._n_symbols, self._n_edges = region.n_symbols, region.n_edges
        self._loading = threading.Lock()
        self._again_at_ns = 0
        self._told = ""

    def newest(self) -> Lists:
        """Return the set to use. A newer one is loaded by a thread, so this never waits."""
        if self._due() and self._loading.acquire(blocking=False):
            threading.Thread(target=self._load_beside, name="reload", daemon=True).start()
        return self.lists

    def load(self) -> Lists:
        """Load a newer set where one is asked for, here and now; return the set to use."""
        if not self._due():
            return self.lists
        self._again_at_ns = now_ns() + _AGAIN_NS
        try:
            found = self._load(self._control.reload_generation)
            self.prepare(found)
            self.lists = found
            self._told = ""
        except SpreadError as error:
            if str(error) != self._told:
                in_use = facts(error=str(error), in_use=self.lists.generation)
                log.error("new lists refused", extra=in_use)
            self._told = str(error)
        else:
            self._again_at_ns = 0
            log.info("new lists loaded", extra=facts(generation=self.lists.generation))
        return self.lists

    def _due(self) -> bool:
        asked = self._control.reload_generation
        return asked > self.lists.generation and now_ns() >= self._again_at_ns

    def _load_beside(self) -> None:
        try:
            self.load()
        finally:
            self._loading.release()

    def _load(self, asked: int) -> Lists:
        found = load(self._config.paths.generated)
        if found.generation < asked:
            raise BadGenerated(
                f"{self._config.paths.generated}: generation {found.generation}, expected at "
                f"least {asked}"
            )
        check_capacity(found, self._n_symbols, self._n_edges)
        return successor(self.lists, found)
