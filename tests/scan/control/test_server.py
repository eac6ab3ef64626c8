"""The control socket under clients of all kinds: each gets an answer, or is let go of, alone."""

import contextlib
import grp
import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from spreadscan.control import requests, server
from spreadscan.control.client import ask
from spreadscan.control.server import ControlServer, Door
from spreadscan.errors import ConfigError, ConnectionLost, SpreadError


class Serving:
    """A server in a thread of its own, whose turns can be held."""

    def __init__(self, folder: Path, group: str = "", mode: int = 0) -> None:
        self.path = folder / "control.sock"
        self.answered: list[bytes] = []
        self.reply: Mapping[str, Any] = {"ok": True, "n": 1}
        self.server = ControlServer(Door(self.path, self._answer, group))
        if mode:
            assert 0o660 == self.path.stat().st_mode & 0o777
            self.path.chmod(mode)
        (folder / "ready").touch()
        self.held = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        self.answered.append(line)
        return self.reply

    def _run(self) -> None:
        while not self._ended:
            with self.held:
                poll = select.poll()
                for fd, events in self.server.polled().items():
                    poll.register(fd, events)
                for fd, events in poll.poll(5):
                    self.server.ready(fd, events)
            time.sleep(0.001)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(5.0)
        sock.connect(str(self.path))
        return sock

    def end(self) -> None:
        self._ended = True
        self._thread.join(10.0)
        self.server.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    found = Serving(tmp_path)
    yield found
    found.end()
    assert not found.path.exists()


def line_of(sock: socket.socket) -> dict[str, Any]:
    found = b""
    while not found.endswith(b"\n"):
        part = sock.recv(1 << 16)
        assert part, "closed before a whole answer"
        found += part
    answer: dict[str, Any] = json.loads(found)
    return answer


def is_closed(sock: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return sock.recv(1 << 20) == b""
    return True


def test_one_asks_again_and_again_on_one_socket(serving: Serving) -> None:
    with serving.connect() as sock:
        for n in range(20):
            sock.sendall(b'{"do": "status"')
            if n % 2:
                time.sleep(0.005)  # a line in two parts
            sock.sendall(b"}\n")
            assert {"ok": True, "n": 1} == line_of(sock)
    assert [b'{"do": "status"}'] * 20 == serving.answered
    assert 0o600 == serving.path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"x" * 5000, "found more than 4096 bytes, expected one line"),
        (b"a\nb\n", "found more than one request at a time"),
    ],
)
def test_too_much_is_refused_and_closed(serving: Serving, sent: bytes, words: str) -> None:
    with serving.connect() as sock:
        sock.sendall(sent)
        answer = line_of(sock)
        assert (False, True) == (answer["ok"], answer["usage"])
        assert answer["error"].startswith(words)
        assert is_closed(sock)
    assert [] == serving.answered


def test_silent_clients_make_room_for_others(serving: Serving) -> None:
    silent = [serving.connect() for _ in range(40)]
    try:
        assert ask(serving.path, requests.Status(), 5.0)["n"] == 1
        closed = [sock for sock in silent[:24] if is_closed(sock)]
        assert 24 == len(closed)  # the oldest
    finally:
        for sock in silent:
            sock.close()


def test_a_silent_client_is_closed_in_the_end(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SILENT_NS", 50_000_000)
    with serving.connect() as sock:
        sock.sendall(b'{"do"')  # it never ends its line
        assert is_closed(sock)


def test_a_client_that_does_not_take_its_answer_holds_nobody_up(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SLOW_NS", 300_000_000)
    serving.reply = {"ok": True, "words": "x" * (2 << 20)}  # more than the kernel takes
    slow = serving.connect()
    slow.sendall(b"{}\n")
    while not serving.answered:
        time.sleep(0.001)
    serving.reply = {"ok": True, "n": 2}
    begun = time.monotonic()
    assert ask(serving.path, requests.Status(), 5.0)["n"] == 2
    assert time.monotonic() - begun < 5.0
    time.sleep(0.5)  # it has been let go of: what the kernel has still comes, no more
    found = 0
    with contextlib.suppress(ConnectionResetError):
        while part := slow.recv(1 << 20):
            found += len(part)
    assert found < 2 << 20
    slow.close()


def test_an_answer_without_bounds_becomes_a_sentence(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ANSWER_BYTES", 1000)
    serving.reply = {"ok": True, "words": "x" * 1000}
    with pytest.raises(ConfigError, match="an answer of 1022 bytes is too long"):
        ask(serving.path, requests.Status(), 5.0)


def test_who_gave_up_is_not_served_later(serving: Serving) -> None:
    """A scanner that hung does not do what was done without it since."""
    with serving.held, pytest.raises(ConnectionLost, match="expected an answer within 0.05 s"):
        ask(serving.path, requests.Stop(), 0.05)
    assert ask(serving.path, requests.Status(), 5.0)["n"] == 1
    assert [b'{"do":"status"}'] == serving.answered


def test_a_refusal_is_an_error_of_its_kind(serving: Serving) -> None:
    for usage, kind in ((True, ConfigError), (False, SpreadError)):
        serving.reply = server.failure("nothing of that name", usage=usage)
        with pytest.raises(kind, match="^nothing of that name$") as caught:
            ask(serving.path, requests.Status(), 5.0)
        assert usage == isinstance(caught.value, ConfigError)


def test_nobody_there_is_a_connection_lost(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost, match="No such file or directory, expected a scanner"):
        ask(tmp_path / "control.sock", requests.Status(), 1.0)


def test_what_is_in_the_way_is_told_and_a_dead_ones_socket_is_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    ControlServer(Door(path, lambda line: {})).close()
    path.write_text("not ours")
    with pytest.raises(ConfigError, match="something else is there, expected nothing"):
        ControlServer(Door(path, lambda line: {}))
    assert "not ours" == path.read_text()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="something else is there"):
        ControlServer(Door(path, lambda line: {}))
    long = tmp_path / ("x" * 100) / "control.sock"
    with pytest.raises(
        ConfigError, match=r"\d{3} bytes, expected at most 107, which a Unix socket"
    ):
        ControlServer(Door(long, lambda line: {}))
    with pytest.raises(ConfigError, match="no group 'no-such-group', expected one of this machine"):
        ControlServer(Door(tmp_path / "s", lambda line: {}, "no-such-group"))
    with pytest.raises(ConfigError, match="No such file or directory, expected a place"):
        ControlServer(Door(tmp_path / "none" / "s", lambda line: {}))


def as_user(uid: int, gid: int, groups: list[int], path: Path) -> dict[str, Any]:
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    end = time.monotonic() + 5.0
    while not (path.parent / "ready").exists() and time.monotonic() < end:
        time.sleep(0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5.0)
        try:
            sock.connect(str(path))
        except PermissionError:
            return {"denied": True}
        sock.sendall(b"{}\n")
        return line_of(sock)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("opened", [False, True])
def test_other_users_are_refused_and_members_of_the_group_are_not(
    tmp_path: Path, children: Any, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    """Also where somebody lets all the world connect: the kernel says who asks. And where the
    group has gone since."""
    gid = 1  # daemon
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(0o755 if folder != Path("/tmp") else 0o1777)
    members = {"main": (65534, gid, []), "member": (65534, 65534, [7, gid])}
    path = tmp_path / "control.sock"  # before there is a thread here
    for name, (uid, primary, groups) in members.items():
        children.start(name, as_user, uid, primary, groups, path)
    children.start("other", as_user, 65534, 65534, [7], path)
    serving = Serving(tmp_path, "daemon", 0o666 if opened else 0o660)
    monkeypatch.setattr(grp, "getgrnam", {}.__getitem__)
    try:
        assert gid == serving.path.stat().st_gid
        found = children.results(10.0)
        assert {"ok": True, "n": 1} == found["main"] == found["member"]
        if opened:
            assert "user 65534, expected user 0, or a member of daemon" == found["other"]["error"]
        else:
            assert {"denied": True} == found["other"]
        assert 2 == len(serving.answered)
    finally:
        serving.end()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "request: "),
        (b'{"do": "dance"}', "Invalid value 'dance'"),
        (b'{"do": "status", "x": 1}', "unknown field `x`"),
        (b'{"do": "restart"}', "missing required field `role`"),
        (b'{"do": "pause", "until": "2026-11-20T12:00:00"}', "timezone component"),
        (b"[" * 4000, "request: "),
        (b"\xff\xfe", "request: "),
    ],
)
def test_what_is_no_request_is_a_sentence(line: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        requests.read(line)
