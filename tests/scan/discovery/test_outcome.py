"""How the last discovery ended, left for whoever asks."""

from pathlib import Path

import pytest

from spreadscan.config import Config, Paths
from spreadscan.discovery import outcome
from spreadscan.lists import Failure
from spreadscan.net.bans import state_folder


def config_at(folder: Path, generated: str = "generated") -> Config:
    return Config(paths=Paths(generated=str(folder / generated), data=str(folder / "data")))


def test_the_last_one_is_what_was_noted_last(tmp_path: Path) -> None:
    config = config_at(tmp_path)
    assert outcome.last(config) is None
    outcome.write(config, refused="too few sources")
    first = outcome.last(config)
    assert first
    assert ("too few sources", False) == (first.refused, first.whole)
    failed = {"okx-spot": Failure(why="HTTP 503", list_written="2026-11-20T12:00:00Z")}
    outcome.write(config, failed=failed)
    second = outcome.last(config)
    assert second
    assert (failed, "", False) == (second.failed, second.refused, second.whole)
    assert first.ended < second.ended
    outcome.write(config)
    third = outcome.last(config)
    assert third
    assert third.whole
    assert ["discovery.json"] == [path.name for path in state_folder(config).iterdir()]


def test_one_of_another_folder_is_none_of_ours(tmp_path: Path) -> None:
    outcome.write(config_at(tmp_path, "elsewhere"), refused="x")
    assert outcome.last(config_at(tmp_path)) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"generated": 1}', b"[" * 10_000])
def test_what_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    config = config_at(tmp_path)
    outcome.write(config)
    (state_folder(config) / "discovery.json").write_bytes(content)
    assert outcome.last(config) is None


def test_a_folder_that_cannot_be_written_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("a file")
    outcome.write(config_at(tmp_path), refused="x")
    assert outcome.last(config_at(tmp_path)) is None
    assert ["outcome not written"] == [record.getMessage() for record in caplog.records]
