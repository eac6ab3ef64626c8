"""What a scanner leaves beside its instance: it reads back, and says what differs."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.errors import RegionRefused

from spreadscan.config import (
    Config,
    DirectionSettings,
    Engine,
    Paths,
    Universe,
    VenueSettings,
    with_absolute_paths,
)
from spreadscan.errors import ConfigError
from spreadscan.inuse import (
    held_roles,
    leave_lists,
    leave_settings,
    lists_in_use,
    maintenance_announced,
    settings_in_use,
    settings_stamp,
    unlike,
)
from spreadscan.lists import Hosts, Lists, Origin

CONFIG = Config(
    sources=("okx-spot", "mexc-futures"),
    account_tier='vip.1 "a"',
    tiers={'vip.1 "a"': {"okx-spot": 8.0}},
    universe=Universe(include=("BTC-*", "币安人生-*")),
    venues={"okx-spot": VenueSettings(ws_url="ws://127.0.0.1:1", taker_bps=-0.5)},
    directions={"okx->mexc": DirectionSettings(threshold_bps=30.0)},
    engine=Engine(threshold_bps=1e-7, converge_bps=-1.0),
    paths=Paths(data="my data", generated="/srv/generated"),
)
ORIGINS = {
    "engine.threshold_bps": "command line",
    "directions.okx->mexc.threshold_bps": 'a "b".toml',
}


def put(instance: Instance, name: str, text: str) -> None:
    path = Path(instance.directory, name)
    path.touch(0o600)
    path.chmod(0o600)
    path.write_text(text)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_symbols=64)


def test_settings_read_back_with_where_they_come_from(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_in_use(instance) is None
    assert 0 == settings_stamp(instance)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/spreadscan", "run", "--set", "a=b c"])
    monkeypatch.chdir(tmp_path)
    leave_settings(instance, CONFIG, ORIGINS)
    monkeypatch.chdir("/")
    found = settings_in_use(instance)
    assert found is not None
    assert (CONFIG, CONFIG.hash(), ORIGINS) == (found.given, found.given.hash(), found.origins)
    assert with_absolute_paths(CONFIG, tmp_path) == found.config
    paths = found.config.paths
    assert (str(tmp_path / "my data"), "/srv/generated") == (paths.data, paths.generated)
    assert os.getpid() == found.pid
    assert "spreadscan run --set 'a=b c'" == found.command
    assert settings_stamp(instance)


def test_nobody_else_may_read_them_and_they_are_replaced_whole(instance: Instance) -> None:
    umask = os.umask(0)
    try:
        for threshold_bps in (20.0, 30.0):
            leave_settings(instance, Config(engine=Engine(threshold_bps=threshold_bps)), {})
    finally:
        os.umask(umask)
    path = Path(instance.directory, "settings.toml")
    assert 0o600 == path.stat().st_mode & 0o777
    assert not list(path.parent.glob(".*.part"))
    found = settings_in_use(instance)
    assert found is not None
    assert 30.0 == found.config.engine.threshold_bps


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pid = ", "settings.toml: TOMLDecodeError"),
        ("pid = 1", "settings.toml: KeyError('settings')"),
        ("[settings]\nengine.spins_us = 1.0", "unknown key 'engine.spins_us'"),
        ("[settings]\nengine.park_ms = -1.0", "settings.toml: engine.park_ms: -1.0"),
    ],
)
def test_settings_of_another_version_are_a_sentence(
    instance: Instance, text: str, said: str
) -> None:
    put(instance, "settings.toml", text)
    with pytest.raises(ConfigError) as caught:
        settings_in_use(instance)
    assert said in str(caught.value)


def test_what_is_not_safely_ours_is_not_read(instance: Instance, children: Any) -> None:
    """A FIFO would be waited for, for ever."""
    names = ("settings.toml", "lists.json", "maintenance.json")
    for name in names:
        os.mkfifo(Path(instance.directory, name), 0o600)

    def read() -> bool:
        with pytest.raises(RegionRefused, match=r"settings\.toml: mode"):
            settings_in_use(instance)
        return lists_in_use(instance) is None and [] == maintenance_announced(instance)

    children.start("reader", read)
    assert {"reader": True} == children.results(10)


def test_what_was_given_here_and_is_another_there_is_told(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    leave_settings(instance, CONFIG, ORIGINS)
    in_use = settings_in_use(instance)
    assert in_use is not None
    same = {key: "x" for key in ("instance", "sources", "paths.data", "engine.threshold_bps")}
    assert [] == unlike(in_use, CONFIG, same)
    monkeypatch.chdir("/")  # the same words are another folder from here
    assert [f'paths.data is "{tmp_path}/my data" (default), not "/my data" (x)'] == unlike(
        in_use, CONFIG, same
    )
    own = Config(
        engine=Engine(threshold_bps=15.0), directions={"okx->bybit": DirectionSettings(20.0)}
    )
    origins = {"engine.threshold_bps": "my.toml", "directions.okx->bybit.threshold_bps": "y"}
    assert [
        "engine.threshold_bps is 1e-7 (command line), not 15.0 (my.toml)",
        "directions.okx->bybit.threshold_bps is null (default), not 20.0 (y)",
    ] == unlike(in_use, own, origins)


def test_the_lists_in_use_read_back(instance: Instance) -> None:
    assert lists_in_use(instance) is None
    origin = Origin(
        hosts={"okx-spot": Hosts(("a",), ("b",))}, quotes=("USDT",), include=("*",),
        exclude=(), majors=(), identity="",
    )  # fmt: skip
    lists = Lists(
        generation=7, names=("A-USDT", "B-USDT"), retired=frozenset({1}), pairs={}, sources={},
        written="now", retired_unix_s={1: 5}, origin=origin,
    )  # fmt: skip
    leave_lists(instance, lists)
    found = lists_in_use(instance)
    assert found is not None
    for name in ("generation", "names", "retired", "retired_unix_s", "written", "origin"):
        assert getattr(lists, name) == getattr(found, name), name
    put(instance, "lists.json", "{")
    assert lists_in_use(instance) is None


def test_roles_that_run_are_those_whose_leases_are_held(instance: Instance) -> None:
    assert [] == held_roles(instance.directory)
    leases = [instance.lease(role) for role in ("okx-futures", "engine", "record")]
    assert ["engine", "okx-futures"] == held_roles(instance.directory)
    for lease in leases:
        lease.close()


def test_no_room_is_a_sentence(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(old: object, new: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device, expected room beside the"):
        leave_settings(instance, Config(), {})
    assert not list(Path(instance.directory).glob(".*.part"))
