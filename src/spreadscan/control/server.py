"""The control socket: requests and answers, a JSON object a line each, between users of a machine.

Served by a loop that has more to do, so nothing here waits: it says which file descriptors to poll
and is told of their events. A client has one request on its way, of bounded length; one that is
silent makes room for another, one that does not take its answer is closed. Whose process asks is
the kernel's word (SO_PEERCRED). Files of the socket's folder decide who can ask at all.
"""

import grp
import logging
import os
import select
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError
from spreadscan.logs import facts

log = logging.getLogger(__name__)

REQUEST_BYTES = 4096
ANSWER_BYTES = 4 << 20  # of a client that takes its answer slowly; a status has some 50 kB
PATH_BYTES = 107  # of an address of a Unix socket, without the zero at its end
_CLIENTS = 16  # of each socket
_BACKLOG = 128  # that wait to be taken
_SILENT_NS = 60_000_000_000
_SLOW_NS = 5_000_000_000
_NO_GROUP = -1
_SO_PEERGROUPS = 59  # Linux 4.13; not in the socket module
_CREDENTIALS = struct.Struct("=iII")  # pid, uid, gid

Answer = Callable[[bytes], Mapping[str, Any]]


class Peer(NamedTuple):
    """Who is at the other end, when it connected."""

    pid: int
    uid: int
    groups: frozenset[int]


class Door(NamedTuple):
    """A socket and who may come in: this user, and the members of `group` where there is one.

    answer: gives what is answered to a line; it raises nothing.
    """

    path: Path
    answer: Answer
    group: str = ""


class _Client:
    def __init__(self, sock: socket.socket, door: Door, peer: Peer) -> None:
        self.sock = sock
        self.door = door
        self.peer = peer
        self.asked = bytearray()
        self.unsent = bytearray()
        self.since_ns = now_ns()  # of its last request, or of its answer
        self.ends = False  # once what is unsent has gone

    @property
    def due_ns(self) -> int:
        return self.since_ns + (_SLOW_NS if self.unsent else _SILENT_NS)


class ControlServer:
    """Listens at doors. ConfigError where one cannot be had."""

    def __init__(self, *doors: Door) -> None:
        self._listening: dict[int, tuple[socket.socket, Door, int]] = {}  # and the group's number
        self._clients: dict[int, _Client] = {}
        self._made: dict[Path, tuple[int, int]] = {}
        self._full_until_ns = 0  # no file descriptor was left for another client
        try:
            for door in doors:
                gid = _gid_of(door.group) if door.group else _NO_GROUP
                sock = self._listen(door, gid)
                self._listening[sock.fileno()] = sock, door, gid
        except BaseException:
            self.close()
            raise

    def polled(self) -> dict[int, int]:
        """Return what to poll for, by file descriptor; who has gone or is late is dropped first."""
        now = now_ns()
        for client in [c for c in self._clients.values() if now >= c.due_ns]:
            self._drop(client)
        listening = self._listening if now >= self._full_until_ns else {}
        return dict.fromkeys(listening, select.POLLIN) | {
            fd: select.POLLOUT if client.unsent else select.POLLIN
            for fd, client in self._clients.items()
        }

    def ready(self, fd: int, events: int) -> bool:
        """Do what an event asks for; False for a file descriptor that is none of ours."""
        if fd in self._listening:
            for _ in range(_CLIENTS):
                if not self._accept(*self._listening[fd]):
                    break
        elif client := self._clients.get(fd):
            # who has hung up has given up: what it asked for long ago is not done behind its back
            if events & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                self._drop(client)
            elif events & select.POLLOUT:
                self._send(client)
            elif events & select.POLLIN:
                self._read(client)
        else:
            return False
        return True

    def close(self) -> None:
        """Close everything and remove the sockets' files."""
        for path, made in self._made.items():
            with suppress(OSError):
                found = path.lstat()
                if (found.st_dev, found.st_ino) == made:
                    path.unlink()
        self._made.clear()
        self.drop()

    def drop(self) -> None:
        """Close this process's share: what a forked child does, which answers nobody."""
        for client in list(self._clients.values()):
            self._drop(client)
        for sock, *_ in self._listening.values():
            sock.close()
        self._listening.clear()

    # -- listening

    def _listen(self, door: Door, gid: int) -> socket.socket:
        path = check_path(door.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)  # nobody else may connect before it has its own mode
        try:
            _remove_old(path)
            sock.bind(str(path))
            found = path.lstat()
            self._made[path] = found.st_dev, found.st_ino
            if door.group:  # chown() is refused to services that are restricted, also of nothing
                os.chown(path, -1, gid)
            path.chmod(0o660 if door.group else 0o600)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise ConfigError(
                f"{path}: {error.strerror}, expected a place for the control socket"
            ) from None
        except ConfigError:
            sock.close()
            raise
        finally:
            os.umask(before)
        return sock

    def _accept(self, listening: socket.socket, door: Door, gid: int) -> bool:
        """Take a client that waits; False where there is none."""
        try:
            sock, _ = listening.accept()
        except BlockingIOError:
            return False
        except OSError as error:  # no file descriptor is left, or it has gone again
            self._full_until_ns = now_ns() + 1_000_000_000
            log.warning("control client not taken", extra=facts(error=error.strerror))
            return False
        sock.setblocking(False)
        self._make_room(door)
        client = _Client(sock, door, _peer_of(sock))
        self._clients[sock.fileno()] = client
        if fault := _fault(client.peer, door, gid):
            log.warning("control client refused", extra=facts(pid=client.peer.pid, reason=fault))
            client.ends = True
            self._answer(client, failure(fault))
        return True

    def _make_room(self, door: Door) -> None:
        """Drop the client that has been silent for longest, where no more is allowed."""
        of_door = [c for c in self._clients.values() if c.door is door]
        if len(of_door) >= _CLIENTS:
            self._drop(min(of_door, key=lambda client: client.since_ns))

    # -- asking and answering

    def _read(self, client: _Client) -> None:
        try:
            found = client.sock.recv(REQUEST_BYTES + 1)
        except BlockingIOError:
            return
        except OSError:
            found = b""
        if not found:
            self._drop(client)
            return
        client.asked += found
        line, newline, more = bytes(client.asked).partition(b"\n")
        if not newline and len(line) <= REQUEST_BYTES:
            return
        client.asked.clear()
        client.since_ns = now_ns()
        if len(line) > REQUEST_BYTES or more:
            client.ends = True
            what = "more than one request at a time" if more else f"more than {REQUEST_BYTES} bytes"
            self._answer(client, failure(f"found {what}, expected one line, and then its answer"))
            return
        self._answer(client, client.door.answer(line))

    def _answer(self, client: _Client, answer: Mapping[str, Any]) -> None:
        line = msgspec.json.encode(answer)
        if len(line) >= ANSWER_BYTES:
            line = msgspec.json.encode(failure(f"an answer of {len(line)} bytes is too long"))
        client.since_ns = now_ns()
        client.unsent += line + b"\n"
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.sock.send(client.unsent, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        del client.unsent[:sent]
        if not client.unsent and client.ends:
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.sock.fileno()]
        client.sock.close()


def failure(words: str, *, usage: bool = True) -> dict[str, Any]:
    """Return the answer that says why something is not done; usage: a human can mend it."""
    return {"ok": False, "error": words, "usage": usage}


def check_path(path: Path) -> Path:
    """Return the path of a socket. ConfigError where no socket can have it."""
    n_bytes = len(os.fsencode(path))
    if n_bytes > PATH_BYTES:
        raise ConfigError(
            f"{path}: {n_bytes} bytes, expected at most {PATH_BYTES}, which a Unix socket may have"
        )
    return path


def _remove_old(path: Path) -> None:
    """Remove the socket of one that was killed. ConfigError for what is no socket of ours."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{path}: something else is there, expected nothing, or a socket of ours")
    path.unlink()


def _peer_of(sock: socket.socket) -> Peer:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        more = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)  # what Python takes at most
    except OSError:  # more groups than that: those of a member of very many are not known
        more = b""
    groups = struct.unpack(f"={len(more) // 4}I", more)
    return Peer(pid, uid, frozenset((gid, *groups)))


def _gid_of(group: str) -> int:
    """Return the number of a group, as of now. ConfigError where this machine has none."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(
            f"control.status_group: no group {group!r}, expected one of this machine"
        ) from None


def _fault(peer: Peer, door: Door, gid: int) -> str:
    """Return why a peer may not come in, '' where it may. gid: of the door's group."""
    if peer.uid == os.geteuid() or (door.group and gid in peer.groups):
        return ""
    group = f", or a member of {door.group}" if door.group else ""
    return f"user {peer.uid}, expected user {os.geteuid()}{group}"
