"""The kill switch: in memory at once, on the disk then, and never off by an accident."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.region import create, unlink

from spreadscan.app import build
from spreadscan.config import Config
from spreadscan.config import load as load_config
from spreadscan.control import switches
from spreadscan.errors import ConfigError


def config_of(name: str, folder: Path) -> Config:
    flags = {"instance": f'"{name}"', "paths.data": f'"{folder}/data"'}
    return load_config((), flags, environ={}).config


@pytest.fixture
def scene(instance_name: str, tmp_path: Path) -> tuple[Instance, Config]:
    config = config_of(instance_name, tmp_path)
    create(instance_name, n_sources=8, n_symbols=64, n_edges=64)
    return build.open_instance(config, "ctl"), config


def test_a_kill_is_in_memory_and_on_the_disk_with_its_first_reason(
    scene: tuple[Instance, Config],
) -> None:
    instance, config = scene
    reason = "a wrong fee\x1b[31m\nin the table, " + "x" * 60
    assert switches.kill(instance, config, reason)
    assert not switches.kill(instance, config, "another")
    kept = switches.on_disk(config).kill
    held = switches.killed(instance)
    assert kept
    assert held
    assert kept.reason == "a wrong fee [31m in the table, " + "x" * 60
    assert held.reason == kept.reason[:48]  # as much as there is room for in memory
    assert kept.since
    assert held.since
    assert abs((kept.since - held.since).total_seconds()) < 1.0
    assert 0o600 == switches.path_of(config).stat().st_mode & 0o777


def made_anew(config: Config) -> None:
    build.create_instance(config, force=True)


def removed(config: Config) -> None:
    unlink(config.instance)
    build.create_instance(config)


def prepared(config: Config) -> None:
    build.prepare_instance(config, 2048, 64, lambda line: None)  # too small: made anew


@pytest.mark.parametrize("again", [made_anew, removed, prepared])
def test_a_kill_outlives_its_instance(
    scene: tuple[Instance, Config], again: Callable[[Config], None]
) -> None:
    instance, config = scene
    switches.kill(instance, config, "a test")
    before = switches.killed(instance)
    again(config)
    assert instance.superseded
    found = Instance(config.instance)
    after = switches.killed(found)
    assert before
    assert after
    assert before.since
    assert after.since
    assert before.reason == after.reason
    assert abs((before.since - after.since).total_seconds()) < 1.0


def test_a_kill_that_found_no_room_on_the_disk_gets_there_when_a_scanner_starts(
    scene: tuple[Instance, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, config = scene

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(switches.whole, "replace", full)
        with pytest.raises(ConfigError, match="No space left on device, expected room"):
            switches.kill(instance, config, "a test")
    assert switches.killed(instance)
    assert not switches.on_disk(config).kill
    build.keep_switches(config)
    kept = switches.on_disk(config).kill
    assert kept
    assert kept.reason == "a test"


def test_a_kill_that_the_disk_keeps_is_not_cleared(
    scene: tuple[Instance, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, config = scene
    switches.kill(instance, config, "a test")

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(switches.whole, "replace", full)
        with pytest.raises(ConfigError, match="No space left"):
            switches.clear_kill(instance, config, "mended")
    assert switches.killed(instance)
    switches.clear_kill(instance, config, "mended")
    assert not switches.killed(instance)
    assert not switches.on_disk(config).kill
    with pytest.raises(ConfigError, match="not killed, expected a thrown kill switch"):
        switches.clear_kill(instance, config, "again")


def test_a_kill_holds_whoever_hangs_while_he_writes(
    scene: tuple[Instance, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, config = scene
    monkeypatch.setattr(switches, "_WRITER_WITHIN_S", 0.05)
    hanging = instance.lease("switches")
    with pytest.raises(ConfigError, match="try again"):
        switches.kill(instance, config, "a test")
    assert switches.killed(instance)
    hanging.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kill": 1}', '{"kill": {"since": "x"}}'])
def test_a_file_that_nobody_can_read_starts_no_scanner(
    scene: tuple[Instance, Config], text: str
) -> None:
    _, config = scene
    path = switches.path_of(config)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match="expected what is switched off"):
        build.prepare_instance(config, 64, 64, lambda line: None)


def test_a_kill_of_a_moment_to_come_was_thrown_now(scene: tuple[Instance, Config]) -> None:
    """The wall clock was put back since."""
    instance, config = scene
    path = switches.path_of(config)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"kill": {"since": "2999-01-01T00:00:00Z", "reason": "a test"}}))
    build.keep_switches(config)
    found = switches.killed(instance)
    assert found
    assert found.since
    assert found.since.year < 2999
    assert os.path.exists(path)
