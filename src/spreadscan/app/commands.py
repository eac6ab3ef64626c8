"""What a running scanner answers on its control sockets. Synchronous, and quick enough to be so."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError

from spreadscan.app.status import status
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.control import requests, switches
from spreadscan.control.server import ControlServer, Door, failure
from spreadscan.errors import ConfigError, SpreadError
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_SOCKET = "control.sock"
_STATUS_NS = 250_000_000  # however many ask, it is found out no more often than this


class Steered(Protocol):
    """What commands need of a supervisor."""

    def discover_now(self) -> bool:
        """Begin a discovery; False where one is under way."""

    def restart(self, role: str) -> None:
        """End a worker and start it anew. ConfigError for what is no worker."""

    def stop(self) -> None:
        """End everything, soon."""


def socket_of(instance: Instance) -> Path:
    """Return where a scanner's control socket is: beside what else it leaves."""
    return Path(instance.directory, _SOCKET)


def open_server(instance: Instance, config: Config, steered: Steered) -> ControlServer:
    """Listen: for this user, and where the settings say so for a group that may see the status.

    ConfigError where a socket cannot be had.
    """
    commands = _Commands(instance, config, steered)
    doors = [Door(socket_of(instance), commands.of_owner)]
    if config.control.status_socket:
        path = Path(config.control.status_socket)
        doors.append(Door(path, commands.of_group, config.control.status_group))
    return ControlServer(*doors)


class _Commands:
    def __init__(self, instance: Instance, config: Config, steered: Steered) -> None:
        self._instance = instance
        self._config = config
        self._steered = steered
        self._status: dict[str, Any] = {}
        self._status_ns = -_STATUS_NS
        self._done: dict[type, Callable[[Any], Mapping[str, Any]]] = {
            requests.Status: lambda _: self._found(),
            requests.Kill: self._kill,
            requests.Pause: self._pause,
            requests.Resume: self._resume,
            requests.Reload: lambda _: {"started": self._steered.discover_now()},
            requests.Restart: self._restart,
            requests.Stop: self._stop,
        }

    def of_owner(self, line: bytes) -> Mapping[str, Any]:
        return _answer(line, self._do)

    def of_group(self, line: bytes) -> Mapping[str, Any]:
        return _answer(line, self._do_status)

    def _do(self, request: requests.Request) -> Mapping[str, Any]:
        if not isinstance(request, requests.Status):
            log.info("asked over the control socket", extra=facts(request=str(request)))
        return self._done[type(request)](request)

    def _do_status(self, request: requests.Request) -> Mapping[str, Any]:
        if not isinstance(request, requests.Status):
            raise ConfigError('this socket is for the status alone, expected {"do": "status"}')
        return self._found()

    def _found(self) -> Mapping[str, Any]:
        now = now_ns()
        if now - self._status_ns >= _STATUS_NS:
            self._status = {"status": status(self._instance, self._config)}
            self._status_ns = now
        return self._status

    def _kill(self, asked: requests.Kill) -> Mapping[str, Any]:
        thrown = switches.kill(self._instance, self._config, asked.why)
        return {"thrown": thrown, "killed": switches.killed(self._instance)}

    def _pause(self, asked: requests.Pause) -> Mapping[str, Any]:
        pause = switches.pause(self._instance, self._config, asked.what, asked.until, asked.reason)
        return {"pause": pause}

    def _resume(self, asked: requests.Resume) -> Mapping[str, Any]:
        return switches.switch_on(self._instance, self._config, asked.what, asked.after_kill)

    def _restart(self, asked: requests.Restart) -> Mapping[str, Any]:
        self._steered.restart(asked.role)
        return {"role": asked.role}

    def _stop(self, asked: requests.Stop) -> Mapping[str, Any]:
        self._steered.stop()
        return {}


def _answer(line: bytes, do: Callable[[requests.Request], Mapping[str, Any]]) -> dict[str, Any]:
    try:
        return {"ok": True, **msgspec.to_builtins(do(requests.read(line)))}
    except (SpreadError, CoreError) as error:
        return failure(str(error), usage=isinstance(error, ConfigError))
