"""The timer of a running scanner: discovery anew every few hours, in a process of its own.

Sooner where one failed, or a source in it, also one that a user ran (`ctl reload`). Whatever
becomes of that process, the scan goes on with the lists it has.
"""

import contextlib
import logging
import os
import random
import signal
from collections.abc import Callable

from spreadscan.clock import now_ns
from spreadscan.discovery.outcome import Outcome
from spreadscan.logs import facts

log = logging.getLogger(__name__)

DEGRADED = 3  # exit code of a discovery that wrote a set without an answer of every source
_SPREAD = (0.9, 1.1)  # of the period: many scanners must not ask a venue in one minute


class Rediscovery:
    """When to discover next, and the child that does it. every_h 0: never.

    again_s: so soon after a discovery that was not whole, then twice as long each time, up to
    every_h. fork: forks a child that runs its argument and exits with what that returns; gives
    its pid. last: gives how the last discovery ended, of this child or of another program.
    """

    def __init__(
        self,
        discover: Callable[[], int],
        every_h: float,
        again_s: float,
        fork: Callable[[Callable[[], int]], int],
        last: Callable[[], Outcome | None],
    ) -> None:
        self._discover = discover
        self._every_s = every_h * 3600.0
        self._again_s = again_s
        self._fork = fork
        self._last = last
        self._failures = 0  # discoveries in a row that were not whole
        self._known = ""  # when the last one ended
        self._due_ns = 0
        self.pidfd = -1  # of the child while there is one
        self._pid = 0
        if not self._look():
            self._plan(whole=True)

    def start_when_due(self) -> None:
        """Fork the child where it is time; one at a time."""
        if self._pid or not self._every_s:
            return
        self._look()
        if now_ns() < self._due_ns:
            return
        self._start()

    def _start(self) -> None:
        self._pid = self._fork(self._discover)
        self.pidfd = os.pidfd_open(self._pid)
        log.info("discovery started", extra=facts(worker_pid=self._pid))

    def start_now(self) -> bool:
        """Fork the child whatever the time; False where there is one."""
        if self._pid:
            return False
        self._start()
        return True

    def ended(self) -> bool:
        """Take up the child that has ended; True where it wrote a new set."""
        code = self._reap()
        if not self._look():  # killed, or its disk is full
            self._plan(whole=code == 0)
        again_s = round((self._due_ns - now_ns()) / 1e9)
        if code == DEGRADED:
            log.warning("discovery without every source", extra=facts(again_s=again_s))
        elif code:
            log.error(
                "discovery failed, the lists stay", extra=facts(exit_code=code, again_s=again_s)
            )
        return code in (0, DEGRADED)

    def _look(self) -> bool:
        """Plan by a discovery that has ended, whoever ran it; False where none has since."""
        outcome = self._last()
        if outcome is None or outcome.ended == self._known:
            return False
        self._known = outcome.ended
        self._plan(outcome.whole)
        return True

    def _plan(self, whole: bool) -> None:
        self._failures = 0 if whole else self._failures + 1
        wait_s = self._every_s
        if self._failures:
            wait_s = min(wait_s, self._again_s * 2.0 ** min(self._failures - 1, 40))
        self._due_ns = now_ns() + int(wait_s * 1e9 * random.uniform(*_SPREAD))

    def stop(self) -> None:
        """End the child where there is one; the set that it was writing stays whole."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        os.close(self.pidfd)
        self._pid, self.pidfd = 0, -1
        return os.waitstatus_to_exitcode(status)
