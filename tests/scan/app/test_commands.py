"""What a scanner answers on its sockets: to its own user everything, to a group the status."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from spreadcore import Instance

from spreadscan.app.commands import _Commands
from spreadscan.app.status import status
from spreadscan.config import Config
from spreadscan.config import load as load_config
from spreadscan.control import requests, switches
from spreadscan.errors import ConfigError

DOCS = Path(__file__).parents[3] / "docs" / "control.md"


class Steered:
    def __init__(self) -> None:
        self.done: list[str] = []

    def discover_now(self) -> bool:
        self.done.append("discover")
        return len(self.done) == 1

    def restart(self, role: str) -> None:
        if role == "nobody":
            raise ConfigError("restart: no worker")
        self.done.append(f"restart {role}")

    def stop(self) -> None:
        self.done.append("stop")


@pytest.fixture
def scene(make_instance: Any, tmp_path: Path) -> tuple[_Commands, Steered, Instance, Config]:
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=64)
    flags = {"instance": f'"{instance.name}"', "paths.data": f'"{tmp_path}"'}
    config = load_config((), flags, environ={}).config
    steered = Steered()
    return _Commands(instance, config, steered), steered, instance, config


def asked(answer: Any, **request: Any) -> Mapping[str, Any]:
    line = json.dumps(request).encode()
    found: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(answer(line)))
    return found


def test_its_own_user_steers(scene: tuple[_Commands, Steered, Instance, Config]) -> None:
    commands, steered, instance, config = scene
    owner = commands.of_owner
    assert {"ok": True, "started": True} == asked(owner, do="reload")
    assert {"ok": True, "started": False} == asked(owner, do="reload")
    assert {"ok": True, "role": "engine"} == asked(owner, do="restart", role="engine")
    failed = {"ok": False, "error": "restart: no worker", "usage": True}
    assert failed == asked(owner, do="restart", role="nobody")
    assert {"ok": True} == asked(owner, do="stop")
    assert ["discover", "discover", "restart engine", "stop"] == steered.done
    until = "2999-01-01T01:00:00+01:00"
    pause = asked(owner, do="pause", what="okx-spot", until=until, reason="fees")["pause"]
    assert ("okx-spot", "fees") == (pause["of"], pause["reason"])
    assert "until 2999-01-01T00:00:00Z, fees" == switches.on_disk(config).pauses[0].why
    assert ["okx-spot"] == [p["of"] for p in asked(owner, do="resume")["ended"]]
    killed = asked(owner, do="kill", why="a wrong fee")
    assert (True, "a wrong fee") == (killed["thrown"], killed["killed"]["reason"])
    assert "KILLED" in asked(owner, do="resume")["error"]
    assert asked(owner, do="resume", after_kill="mended")["kill_cleared"]
    assert not instance.control.kill


def test_a_group_sees_the_status_and_no_more(
    scene: tuple[_Commands, Steered, Instance, Config],
) -> None:
    commands, steered, instance, config = scene
    assert set(status(instance, config)) == set(asked(commands.of_group, do="status")["status"])
    others = [{"do": "kill"}, {"do": "pause"}, {"do": "resume"}, {"do": "reload"}, {"do": "stop"}]
    for request in (*others, {"do": "restart", "role": "engine"}):
        answer = asked(commands.of_group, **request)
        assert (False, True) == (answer["ok"], "for the status alone" in answer["error"])
    assert [] == steered.done
    assert not instance.control.kill
    assert switches.Switches() == switches.on_disk(config)


def test_a_status_is_found_out_no_more_often_than_it_changes(
    scene: tuple[_Commands, Steered, Instance, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, _, _, _ = scene
    found = []
    monkeypatch.setattr("spreadscan.app.commands.status", lambda *_: found.append(1) or {})
    for _ in range(100):
        commands.of_owner(b'{"do": "status"}')
    assert 1 <= len(found) < 20


def test_the_page_has_every_request_with_its_fields() -> None:
    kinds = get_args(requests.Request)
    lines = DOCS.read_text().split("## The socket")[1].splitlines()
    cells = [line.split("|") for line in lines if line.startswith("| `")]
    rows = {row[1].strip(" `"): row[2] for row in cells}
    assert {kind.__struct_config__.tag for kind in kinds} == set(rows) - {"do"}
    for kind in kinds:
        named = set(re.findall(r"`(\w+)`", rows[kind.__struct_config__.tag]))
        assert set(kind.__struct_fields__) == named
