"""The logs of all processes as one: by time, followed over rotation, whatever stands in them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from spreadscan.app.merged import MergedLogs
from spreadscan.errors import ConfigError


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def line(second: int, message: str, **told: object) -> str:
    time = f"2026-11-20T12:00:{second:02d}.000000Z"
    return (
        json.dumps({"time": time, "level": "INFO", "logger": "x", "message": message, **told})
        + "\n"
    )


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(lines))


def test_lines_of_all_stand_by_their_time_and_more_follow(tmp_path: Path, stack: ExitStack) -> None:
    engine, tracker = tmp_path / "engine.log", tmp_path / "tracker.log"
    write(engine, line(1, "a"), line(4, "d"), line(6, "f"))
    write(tracker, line(2, "b"), line(3, "c"), line(5, "e")[:-9])
    merged = stack.enter_context(MergedLogs(str(tmp_path)))
    assert ["c", "d", "f"] == [json.loads(found.text)["message"] for found in merged.last(3)]
    assert [] == merged.more()
    write(tracker, line(5, "e")[-9:])  # its end comes later
    write(engine, line(7, "g"))
    write(tmp_path / "audit.log", line(8, "h"))  # a process that is new
    found = merged.more()
    assert ["e", "g", "h"] == [json.loads(each.text)["message"] for each in found]
    assert ["tracker", "engine", "audit"] == [each.role for each in found]


def test_a_log_is_followed_into_the_file_that_takes_its_place(
    tmp_path: Path, stack: ExitStack
) -> None:
    path = tmp_path / "engine.log"
    write(path, line(1, "a"))
    merged = stack.enter_context(MergedLogs(str(tmp_path), ["engine"]))
    assert 1 == len(merged.last(5))
    write(path, line(2, "b"))
    path.rename(tmp_path / "engine.log.1")
    write(path, line(3, "c"))
    assert ["b", "c"] == [json.loads(each.text)["message"] for each in merged.more()]
    path.write_text("")  # cut short, and written anew
    assert [] == merged.more()
    write(path, line(4, "d"))
    assert ["d"] == [json.loads(each.text)["message"] for each in merged.more()]
    path.unlink()
    assert [] == merged.more()


def test_of_none_before_and_of_one_role(tmp_path: Path, stack: ExitStack) -> None:
    write(tmp_path / "engine.log", line(1, "a"))
    write(tmp_path / "audit.log", line(1, "x"))
    merged = stack.enter_context(MergedLogs(str(tmp_path), ["engine"]))
    assert [] == merged.last(0)
    write(tmp_path / "engine.log", line(2, "b"))
    write(tmp_path / "audit.log", line(2, "y"))
    assert ["b"] == [json.loads(each.text)["message"] for each in merged.more()]


def test_lines_are_shown_with_their_facts_and_without_what_moves_a_cursor(
    tmp_path: Path, stack: ExitStack
) -> None:
    path = tmp_path / "okx-spot.log"
    write(path, line(1, "ended", error="\x1b[2Jgone", role="x", traceback="one\n  two"))
    write(path, "no JSON\x1b[2J\n", "[]\n")
    merged = stack.enter_context(MergedLogs(str(tmp_path)))
    shown = [str(each) for each in merged.last(9)]
    time = "2026-11-20T12:00:01.000000Z"
    assert [
        f"{time} INFO    okx-spot: ended: error  [2Jgone, role x\n    one\n      two",
        f"{time} okx-spot: no JSON [2J",
        f"{time} okx-spot: []",
    ] == shown


def test_a_folder_without_the_log_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no log of anybody, expected one of: none is there"):
        MergedLogs(str(tmp_path))
    (tmp_path / "engine.log").touch()
    with pytest.raises(ConfigError, match="no log of nobody, expected one of: engine"):
        MergedLogs(str(tmp_path), ["engine", "nobody"])
