"""Log files: one JSON object a line, nothing lost, and no thread where there may be none."""

import io
import json
import logging
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from spreadscan.errors import ConfigError
from spreadscan.logs import ConsoleLines, crashes_told, facts, start_logging

log = logging.getLogger("spreadscan.somewhere")


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(folder: Path, role: str = "feed") -> list[dict[str, Any]]:
    text = (folder / f"{role}.log").read_text("utf-8")
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def other_threads() -> set[threading.Thread]:
    return set(threading.enumerate()) - {threading.main_thread()}


@pytest.fixture(params=[False, True], ids=["queued", "direct"])
def direct(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_line_has_time_level_logger_phrase_and_facts(tmp_path: Path, direct: bool) -> None:
    logging_ = start_logging("feed", tmp_path, direct=direct)
    log.warning("feed down", extra=facts(venue="okx-spot", retry_s=1.5, names=("a", "b")))
    logging_.stop()
    (row,) = lines(tmp_path)
    assert row.pop("time").endswith("Z")
    expected = {
        "level": "WARNING",
        "logger": "spreadscan.somewhere",
        "message": "feed down",
        "venue": "okx-spot",
        "retry_s": 1.5,
        "names": ["a", "b"],
    }
    assert expected == row


def test_an_exception_leaves_its_traceback_in_one_line(tmp_path: Path, direct: bool) -> None:
    logging_ = start_logging("feed", tmp_path, direct=direct)
    try:
        raise ValueError("of no use\nat all")
    except ValueError:
        log.exception("broken")
    logging_.stop()
    (row,) = lines(tmp_path)
    assert "ERROR" == row["level"]
    assert "ValueError: of no use\nat all" in row["traceback"]
    assert "test_logs.py" in row["traceback"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Path("/a/b"), "/a/b"),
        (float("nan"), None),
        ({1: "one"}, {"1": "one"}),
        (10**30, 10**30),
        ("half \ud800 a pair", "half   a pair"),
        ({"a": {"b": [1, None]}}, {"a": {"b": [1, None]}}),
        ("two\nlines\x00\x1b[31m", "two lines  [31m"),
    ],
)
def test_any_fact_can_be_written(tmp_path: Path, value: object, written: object) -> None:
    logging_ = start_logging("feed", tmp_path, direct=True)
    log.warning("odd", extra=facts(value=value))
    logging_.stop()
    assert [written] == [row["value"] for row in lines(tmp_path)]


def test_the_level_holds(tmp_path: Path, direct: bool) -> None:
    logging_ = start_logging("feed", tmp_path, "WARNING", direct=direct)
    log.info("not this")
    log.error("but %s", "this")
    logging_.stop()
    assert ["but this"] == [row["message"] for row in lines(tmp_path)]


def test_stop_writes_everything_that_many_threads_queued(tmp_path: Path) -> None:
    before = other_threads()
    logging_ = start_logging("feed", tmp_path)
    assert 1 == len(other_threads() - before)

    def shout(number: int) -> None:
        for i in range(500):
            log.info("turn", extra=facts(thread=number, i=i))

    threads = [threading.Thread(target=shout, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logging_.stop()
    assert before == other_threads()
    rows = lines(tmp_path)
    assert 2_000 == len(rows)
    for number in range(4):
        assert list(range(500)) == [row["i"] for row in rows if row["thread"] == number]


def test_direct_writes_at_once_and_has_no_second_thread(tmp_path: Path) -> None:
    before = other_threads()
    logging_ = start_logging("supervisor", tmp_path, direct=True)
    log.info("now")
    assert before == other_threads()
    assert ["now"] == [row["message"] for row in lines(tmp_path, "supervisor")]
    logging_.stop()


def test_after_stop_nothing_is_kept_or_written(tmp_path: Path, direct: bool) -> None:
    logging_ = start_logging("feed", tmp_path, direct=direct)
    log.info("in time")
    logging_.stop()
    logging_.stop()  # twice does no harm
    assert [] == logging.getLogger().handlers
    log.info("too late")
    assert ["in time"] == [row["message"] for row in lines(tmp_path)]


def test_a_full_file_is_kept_once(tmp_path: Path, direct: bool) -> None:
    logging_ = start_logging("feed", tmp_path, keep_mb=0.002, direct=direct)
    for i in range(100):
        log.info("line", extra=facts(i=i))
    logging_.stop()
    assert {"feed.log", "feed.log.1"} == {path.name for path in tmp_path.iterdir()}
    assert all(path.stat().st_size <= 2_000 for path in tmp_path.iterdir())
    assert 99 == lines(tmp_path)[-1]["i"]


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_file_that_was_taken_away_is_opened_anew(tmp_path: Path, how: str) -> None:
    logging_ = start_logging("feed", tmp_path, direct=True)
    log.info("one")
    path = tmp_path / "feed.log"
    if how == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "elsewhere.log")
    log.info("two")
    logging_.stop()
    assert ["two"] == [row["message"] for row in lines(tmp_path)]
    if how == "moved":
        assert ["one"] == [row["message"] for row in lines(tmp_path, "elsewhere")]


def test_a_second_start_goes_on_in_the_same_file(tmp_path: Path, direct: bool) -> None:
    for word in ("first", "second"):
        logging_ = start_logging("feed", tmp_path / "deep" / "folder", direct=direct)
        log.info(word)
        logging_.stop()
    rows = lines(tmp_path / "deep" / "folder")
    assert ["first", "second"] == [row["message"] for row in rows]


def test_a_folder_that_is_none_is_a_config_error(tmp_path: Path, direct: bool) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"paths\.logs: .*file"):
        start_logging("feed", tmp_path / "file", direct=direct)
    (tmp_path / "feed.log").mkdir()
    with pytest.raises(ConfigError, match=r"paths\.logs: .*feed\.log: Is a directory"):
        start_logging("feed", tmp_path, direct=direct)
    os.mkfifo(tmp_path / "tracker.log")
    with pytest.raises(ConfigError, match=r"paths\.logs: .*tracker\.log: Not a plain file"):
        start_logging("tracker", tmp_path, direct=direct)


def test_lines_that_the_disk_refuses_are_told_once(tmp_path: Path, children: Any) -> None:
    """Each time that it begins to refuse; what it takes again is whole."""

    def work() -> str:
        told = io.StringIO()
        logging_ = start_logging("feed", tmp_path, direct=True)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with redirect_stderr(told):
            for limit in (300, soft, 300):
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
                for _ in range(5):
                    log.warning("line", extra=facts(padding="x" * 400))
            logging_.stop()
        return told.getvalue()

    children.start("logger", work)
    said = children.results(10)["logger"].splitlines()
    assert 2 == len(said), said
    assert all("feed.log: File too large, expected room for log lines" in line for line in said)
    whole = (tmp_path / "feed.log").read_text().splitlines()[1:]  # the first was cut by the limit
    assert 4 <= len([json.loads(line) for line in whole])


def test_a_crash_of_compiled_code_leaves_where_it_was(tmp_path: Path) -> None:
    logging_ = start_logging("feed", tmp_path, direct=True)
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(10)
            with crashes_told("feed", tmp_path):
                os.kill(os.getpid(), signal.SIGSEGV)
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    logging_.stop()
    assert -signal.SIGSEGV == os.waitstatus_to_exitcode(status)
    text = (tmp_path / "feed.log").read_text()
    assert "Fatal Python error: Segmentation fault" in text
    assert "test_a_crash_of_compiled_code" in text


def test_a_console_that_takes_nothing_is_not_waited_for(children: Any) -> None:
    """A pipe that nobody reads: lines are left out, and counted once it is read again."""
    read_fd, write_fd = os.pipe()
    filled_read, filled_write = os.pipe()
    go_read, go_write = os.pipe()

    def work() -> int:
        os.dup2(write_fd, sys.stderr.fileno())
        console = ConsoleLines()
        told = logging.LogRecord("x", logging.WARNING, "", 0, "worker died", (), None)
        told.facts = {"role": "engine", "name": "two\nlines\x1b[31m"}  # type: ignore[attr-defined]
        for _ in range(2_000):
            console.handle(told)
        os.write(filled_write, b"x")
        os.read(go_read, 1)
        console.handle(told)
        return 1

    # the child needs a stderr of its own, which pytest has taken from this process
    pid = children.start("console", work)
    assert select.select([filled_read], [], [], 10)[0]
    os.close(write_fd)
    first = os.read(read_fd, 1 << 20)
    os.write(go_write, b"x")
    assert pid
    assert {"console": 1} == children.results(10)
    last = os.read(read_fd, 1 << 20).decode().splitlines()
    os.close(read_fd)
    lines = first.decode().splitlines()
    assert 10 < len(lines) < 2_000
    assert {"Z worker died: role engine, name two lines [31m"} == {line[8:] for line in lines}
    assert [f"{2_000 - len(lines)} line(s) left out, the log has them", lines[0][8:]] == [
        last[0], last[1][8:],
    ]  # fmt: skip
    for fd in (filled_read, filled_write, go_read, go_write):
        os.close(fd)
