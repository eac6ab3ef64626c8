"""Asking over a control socket: one request, one answer, and never longer than it may take."""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from spreadscan.control.requests import Request
from spreadscan.control.server import ANSWER_BYTES, check_path
from spreadscan.errors import ConfigError, ConnectionLost, SpreadError

_AT_ONCE = 1 << 16


def ask(path: Path, request: Request, within_s: float) -> Mapping[str, Any]:
    """Return what is answered to a request.

    ConnectionLost where nobody answers within that time: what was asked is not done later. The
    answer's own refusal is a ConfigError where a human can mend it, else a SpreadError.
    """
    deadline = time.monotonic() + within_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(within_s)
        found = bytearray()
        try:
            _connect(sock, check_path(path), deadline)
            sock.sendall(msgspec.json.encode(request) + b"\n")
            while not found.endswith(b"\n"):
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                part = sock.recv(_AT_ONCE)
                if not part or len(found) > ANSWER_BYTES:
                    raise ConnectionLost(f"{path}: {len(found)} bytes, expected a whole answer")
                found += part
        except TimeoutError:
            raise ConnectionLost(f"{path}: expected an answer within {within_s:g} s") from None
        except OSError as error:
            raise ConnectionLost(f"{path}: {error.strerror}, expected a scanner there") from None
    try:
        answer = msgspec.json.decode(found, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConnectionLost(f"{path}: {error}, expected an answer") from None
    if not answer.get("ok"):
        words = str(answer.get("error"))
        raise ConfigError(words) if answer.get("usage") else SpreadError(words)
    return answer


def _connect(sock: socket.socket, path: Path, deadline: float) -> None:
    while True:
        try:
            return sock.connect(str(path))
        except BlockingIOError:  # very many wait to be taken
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(0.01)
