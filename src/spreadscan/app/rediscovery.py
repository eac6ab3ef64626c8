"""The timer of a running scanner: discovery anew every few hours, in a process of its own.

Whatever becomes of that process, the scan goes on with the lists it has.
"""

import contextlib
import logging
import os
import random
import signal
from collections.abc import Callable

from spreadscan.clock import now_ns
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_SPREAD = (0.9, 1.1)  # of the period: many scanners must not ask a venue in one minute


class Rediscovery:
    """When to discover next, and the child that does it. every_h 0: never.

    fork: forks a child that runs its argument and exits with what that returns; gives its pid.
    """

    def __init__(
        self, discover: Callable[[], int], every_h: float, fork: Callable[[Callable[[], int]], int]
    ) -> None:
        self._discover = discover
        self._every_h = every_h
        self._fork = fork
        self._due_ns = self._next_ns()
        self.pidfd = -1  # of the child while there is one
        self._pid = 0

    def start_when_due(self) -> None:
        """Fork the child where it is time; one at a time."""
        if self._pid or not self._every_h or now_ns() < self._due_ns:
            return
        self._pid = self._fork(self._discover)
        self.pidfd = os.pidfd_open(self._pid)
        log.info("discovery started", extra=facts(worker_pid=self._pid))

    def ended(self) -> bool:
        """Take up the child that has ended; True where it wrote a new set."""
        code = self._reap()
        self._due_ns = self._next_ns()
        if code:
            log.error("discovery failed, the lists stay", extra=facts(exit_code=code))
        return code == 0

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

    def _next_ns(self) -> int:
        return now_ns() + int(self._every_h * 3_600e9 * random.uniform(*_SPREAD))
