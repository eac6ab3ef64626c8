"""What a service manager is told: sd_notify(3), one datagram each to the socket in NOTIFY_SOCKET.

READY once the scanner works, STATUS as a sentence, WATCHDOG for as long as it may live, STOPPING.
Without that variable (in a terminal) nothing is told.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

from spreadscan.app.healthy import CORE
from spreadscan.clock import now_ns
from spreadscan.errors import printable
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_LOOK_S = 1.0


class Condition(NamedTuple):
    """ready: all that was started works. alive: it may live on. sentence: how it fares."""

    ready: bool
    alive: bool
    sentence: str


def condition(found: Mapping[str, Any], given_up: Set[str]) -> Condition:
    """Return what a manager is told of a scanner by its status.

    given_up: roles that are not started again; the scanner may be ready without.
    """
    states = {name: role["state"] for name, role in found["roles"].items()}
    alive = not any(states.get(name) in ("off", "hung") for name in CORE)
    waiting = [n for n, state in states.items() if state in ("off", "hung", "starting")]
    ready = bool(states) and alive and given_up >= {*waiting}
    return Condition(ready, alive, found["health"]["sentence"])


def _status(sentence: str) -> str:
    return f"STATUS={printable(sentence)}"  # a line of its own would be another message


class ServiceManager:
    """The manager that started this process, if any did. No second thread, never waits.

    address: a path, or @name; "": nobody to tell. watchdog_s: it ends who is silent for as long;
    0: it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._every_s = min(_LOOK_S, watchdog_s / 2) if watchdog_s else _LOOK_S
        self._watched = watchdog_s > 0
        self._next_ns = 0
        self._ready = False
        self._sentence = ""
        self._failing = False

    @classmethod
    def of_environment(cls) -> "ServiceManager":
        """Return who started us; takes the variables away, which no child may follow."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        every_us, pid = (os.environ.pop(f"WATCHDOG_{name}", "") for name in ("USEC", "PID"))
        ours = pid in ("", str(os.getpid())) and every_us.isdecimal()
        return cls(address, int(every_us) / 1e6 if ours else 0.0)

    def follow(self, look: Callable[[], Condition]) -> None:
        """Tell what is due, about once a second, or twice a watchdog's time; for each beat."""
        now = now_ns()
        if not self._address or now < self._next_ns:
            return
        self._next_ns = now + int(self._every_s * 1e9)
        found = look()
        lines = [_status(found.sentence)] if found.sentence != self._sentence else []
        if found.ready and not self._ready:
            lines.append("READY=1")
        if found.alive and self._watched:
            lines.append("WATCHDOG=1")
        if lines and self._send(lines):
            self._sentence = found.sentence
            self._ready = self._ready or found.ready

    def say(self, sentence: str) -> None:
        """Tell how it fares, now."""
        self._send([_status(sentence)])

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send(["STOPPING=1", "STATUS=stopping"])

    def _send(self, lines: list[str]) -> bool:
        if not self._address:
            return False
        flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, flags) as out:
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:  # it restarts, or is behind: said again a second later
            if not self._failing:
                log.warning("service manager does not listen", extra=facts(error=str(error)))
            self._failing = True
            return False
        self._failing = False
        return True
