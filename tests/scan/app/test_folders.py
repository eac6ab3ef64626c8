"""What cannot be written is refused before anything is started."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spreadscan.app.folders import refuse_unwritable
from spreadscan.config import Config, Paths
from spreadscan.errors import ConfigError
from spreadscan.tracker import SIGNALS, SNAPSHOTS


def config_in(folder: Path) -> Config:
    return Config(
        paths=Paths(
            data=str(folder / "data"),
            logs=str(folder / "logs"),
            generated=str(folder / "generated"),
        )
    )


def check(folder: Path, *, discovers: bool = True) -> None:
    refuse_unwritable(config_in(folder), (SIGNALS, SNAPSHOTS), discovers=discovers)


def as_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


def as_folder(path: Path) -> None:
    path.mkdir(parents=True)


def as_fifo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def as_dead_end(path: Path) -> None:
    path.symlink_to("/proc/nowhere")


@pytest.mark.parametrize(
    ("setting", "name", "harm"),
    [
        ("logs", "logs", as_file),
        ("logs", "logs/okx-spot.log", as_folder),
        ("logs", "logs/engine.log", as_fifo),
        ("data", "data", as_dead_end),
        ("data", "data/state", as_file),
        ("data", "data/signals-20261120.csv", as_folder),
        ("generated", "generated", as_file),
    ],
)
def test_it_is_named_with_its_setting(
    tmp_path: Path, setting: str, name: str, harm: Callable[[Path], None]
) -> None:
    harm(tmp_path / name)
    with pytest.raises(ConfigError, match=rf"^paths\.{setting}: {tmp_path / name}.*, expected a "):
        check(tmp_path)


def test_what_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    check(tmp_path)  # makes what is missing
    (tmp_path / "logs" / "engine.log").write_text("a line\n")
    (tmp_path / "data" / "signals-20261120.csv").write_text("rows\n")
    check(tmp_path)
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    assert ["signals-20261120.csv", "engine.log"] == [p.name for p in files]
    assert ["rows\n", "a line\n"] == [p.read_text() for p in files]


def test_a_set_that_is_used_as_it_is_need_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "generated").write_text("")
    check(tmp_path, discovers=False)
