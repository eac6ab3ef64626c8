"""The kill switch and pauses: in memory at once, on the disk then, and never off by an accident."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from spreadcore import Instance
from spreadcore.region import create, unlink

from known import SOURCE_BY_NAME
from spreadscan.app import build
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.config import load as load_config
from spreadscan.control import switches
from spreadscan.errors import ConfigError
from spreadscan.inuse import leave_lists
from spreadscan.lists import Edge, Lists


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


# -- pauses

NAMES = ("A-USDT", "B-USDT", "C-USDT")
SPOT, PERP = SOURCE_BY_NAME["okx-spot"].id, SOURCE_BY_NAME["mexc-futures"].id


def lists_of(*rows: int) -> Lists:
    """A set in which these rows are compared along direction 0."""
    edges = tuple(Edge(2 * row, 0, SPOT, row, PERP, row) for row in rows)
    return Lists(
        generation=1, names=NAMES, retired=frozenset(), pairs={}, sources={}, edges=edges
    )  # fmt: skip


def words_of(instance: Instance) -> set[tuple[str, int]]:
    """What is paused now, by kind and number."""
    now, kinds = now_ns(), (("source", 8), ("class", 64), ("edge", 64))
    pauses = instance.pauses
    return {(k, n) for k, room in kinds for n in range(room) if pauses.until(k, n) > now}  # type: ignore[arg-type]


OF = {
    "okx-spot": {("source", SPOT)},
    "okx->mexc": {("class", 0)},
    "B-USDT": {("edge", 2)},
    "all": set[tuple[str, int]](),
}


@pytest.mark.parametrize("of", OF)
def test_a_pause_is_in_memory_and_on_the_disk_until_it_is_ended(
    scene: tuple[Instance, Config], of: str
) -> None:
    instance, config = scene
    leave_lists(instance, lists_of(0, 1))
    made = switches.pause(instance, config, of, None, "fees\x1b[31m\n changed")
    assert "fees [31m changed" == made.reason
    assert (OF[of], of == "all") == (words_of(instance), instance.control.pause)
    assert (made,) == switches.on_disk(config).pauses
    made_anew(config)
    found = build.open_instance(config, "ctl")
    leave_lists(found, lists_of(0, 1))
    switches.restore(found, config)
    assert (OF[of], of == "all") == (words_of(found), found.control.pause)
    assert [made] == switches.resume(found, config)
    assert (set(), False) == (words_of(found), found.control.pause)
    assert () == switches.on_disk(config).pauses


@pytest.mark.parametrize("of", OF)
def test_a_pause_ends_by_itself(scene: tuple[Instance, Config], of: str) -> None:
    instance, config = scene
    leave_lists(instance, lists_of(0, 1))
    watch = switches.Watch(config)
    until = datetime.now(UTC) + timedelta(seconds=0.3)
    switches.pause(instance, config, of, until)
    assert words_of(instance) or instance.control.pause
    assert {of: f"until {until:%Y-%m-%dT%H:%M:%SZ}"} == watch()
    time.sleep(0.4)
    assert (set(), False, {}) == (words_of(instance), instance.control.pause, watch())
    assert () == switches.on_disk(config).pauses
    with pytest.raises(ConfigError, match=f"'{of}' is not paused, expected one of: nothing"):
        switches.resume(instance, config, of)
    with pytest.raises(ConfigError, match="expected a time to come"):
        switches.pause(instance, config, of, until)


def test_of_two_pauses_one_is_ended_and_one_stays(scene: tuple[Instance, Config]) -> None:
    instance, config = scene
    leave_lists(instance, lists_of(0, 1))
    for of in ("okx-spot", "B-USDT", "okx-spot"):  # the second of one takes its place
        switches.pause(instance, config, of, None)
    assert OF["okx-spot"] | OF["B-USDT"] == words_of(instance)
    assert ["okx-spot"] == [p.of for p in switches.resume(instance, config, "okx-spot")]
    assert OF["B-USDT"] == words_of(instance)


def test_edges_that_new_lists_bring_to_a_paused_pair_are_paused(
    scene: tuple[Instance, Config],
) -> None:
    instance, config = scene
    leave_lists(instance, lists_of(0, 1))
    switches.pause(instance, config, "B-USDT", None)
    more = lists_of(0, 1)
    more = msgspec.structs.replace(more, edges=(*more.edges, Edge(9, 1, SPOT, 1, PERP, 1)))
    leave_lists(instance, more)
    switches.restore(instance, config)
    assert {("edge", 2), ("edge", 9)} == words_of(instance)
    leave_lists(instance, lists_of(0))  # the pair is gone: what it is called may be a word again
    switches.restore(instance, config)
    assert set() == words_of(instance)
    assert ["B-USDT"] == [pause.of for pause in switches.on_disk(config).pauses]


@pytest.mark.parametrize(
    ("of", "near"), [("okx-sopt", ": okx-spot?"), ("B-USDC", ": B-USDT?"), ("x" * 9, "a pair$")]
)
def test_what_nothing_is_called_is_not_paused(
    scene: tuple[Instance, Config], of: str, near: str
) -> None:
    instance, config = scene
    leave_lists(instance, lists_of(0, 1))
    with pytest.raises(ConfigError, match=f"'{of}' is in use nowhere, expected .*{near}"):
        switches.pause(instance, config, of, None)


def test_a_pause_that_finds_no_room_on_the_disk_is_none(
    scene: tuple[Instance, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, config = scene

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switches.whole, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device, expected room"):
        switches.pause(instance, config, "okx-spot", None)
    assert set() == words_of(instance)


def test_whoever_watches_goes_by_what_he_read_while_the_file_is_broken(
    scene: tuple[Instance, Config], caplog: pytest.LogCaptureFixture
) -> None:
    instance, config = scene
    watch = switches.Watch(config)
    assert {} == watch()
    switches.pause(instance, config, "okx-spot", None, "fees")
    assert {"okx-spot": "fees"} == watch()
    switches.path_of(config).write_text("{")
    for _ in range(3):
        assert {"okx-spot": "fees"} == watch()
    assert ["switches cannot be read"] == [record.message for record in caplog.records]
    switches.path_of(config).unlink()
    assert {} == watch()


def test_whoever_watches_survives_a_folder_that_cannot_be_entered(
    scene: tuple[Instance, Config], caplog: pytest.LogCaptureFixture
) -> None:
    instance, config = scene
    watch = switches.Watch(config)
    switches.pause(instance, config, "okx-spot", None, "fees")
    assert {"okx-spot": "fees"} == watch()
    folder = switches.path_of(config).parent
    moved = folder.rename(folder.with_name("elsewhere"))
    folder.write_text("no folder")
    for _ in range(3):
        assert {"okx-spot": "fees"} == watch()
    assert ["switches cannot be read"] == [record.message for record in caplog.records]
    folder.unlink()
    moved.rename(folder)
    switches.resume(instance, config)
    assert {} == watch()
