"""Logging of one process: JSON lines to a file, handed over by a queue so no feed waits.

Workers call start_logging() after the fork (the queue's thread must be theirs); the supervisor,
which may have no second thread, passes direct=True.
"""

import errno
import faulthandler
import json
import logging
import logging.handlers
import os
import queue
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from spreadscan.clock import iso_utc
from spreadscan.credentials import masked
from spreadscan.errors import ConfigError, printable

_CONSOLE_LINE = 1_000  # characters, in four bytes each at most: a pipe that polls takes 4,096


def facts(**values: object) -> dict[str, object]:
    """Return `extra` for a log call: log.warning("feed down", extra=facts(venue=...))."""
    return {"facts": values}


def _shown(value: Any) -> Any:
    """Return what others may have written, in texts, lists and dicts, fit to be looked at."""
    value = masked(value)
    if isinstance(value, str):
        return value if value.isprintable() else printable(value)
    if type(value) is dict:
        return {_shown(key): _shown(inner) for key, inner in value.items()}
    return [*map(_shown, value)] if type(value) in (list, tuple) else value


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, phrase, then the facts."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, object] = {
            "time": iso_utc(int(record.created * 1e9)),
            "level": record.levelname,
            "logger": record.name,
            "message": _shown(record.getMessage()),
            **_shown(getattr(record, "facts", {})),
        }
        if record.exc_info:
            row["traceback"] = "\n".join(
                map(_shown, self.formatException(record.exc_info).split("\n"))
            )
        try:
            return orjson.dumps(row, default=str).decode()
        except TypeError:  # half a surrogate pair, an endless integer, keys of a strange kind
            return json.dumps(row, default=str, skipkeys=True)


class Lines(logging.Formatter):
    """A line for people: the phrase, then the facts."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = getattr(record, "facts", {})
        text = ", ".join(f"{key} {printable(str(value))}" for key, value in told.items())
        return masked(super().format(record) + (f": {text}" if text else ""))


class ConsoleLines(logging.Handler):
    """Lines for people on stderr, with the time (UTC).

    One that stderr does not take at once is left out and counted: a terminal that somebody has
    stopped, or a pipe that nobody reads, must not hold up whoever writes.
    """

    def __init__(self, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self.setFormatter(Lines())
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # closed: the log has it
            poll = select.poll()
            poll.register(sys.stderr.fileno(), select.POLLOUT)
            if not any(events & select.POLLOUT for _, events in poll.poll(0)):
                self._left_out += 1
                return
            more = f"{self._left_out} line(s) left out, the log has them\n" * bool(self._left_out)
            time = iso_utc(int(record.created * 1e9))[11:19]
            # longer than what a pipe surely takes would be waited for
            text = f"{more}{time}Z {printable(self.format(record))}"[:_CONSOLE_LINE]
            os.write(sys.stderr.fileno(), f"{text}\n".encode())
            self._left_out = 0


def warn_on_stderr() -> None:
    """Tell warnings to people, until start_logging(): not without their facts, as Python does."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(Lines())
        root.addHandler(handler)


class Logging:
    """Handle to a process's logging; stop() writes what is queued and lets go of the file."""

    def __init__(
        self,
        file: logging.Handler,
        attached: logging.Handler,
        listener: logging.handlers.QueueListener | None = None,
    ) -> None:
        self._file = file
        self._attached = attached
        self._listener = listener

    def stop(self) -> None:
        logging.getLogger().removeHandler(self._attached)
        if self._listener:
            self._listener.stop()
            self._listener = None
        self._file.close()


def start_logging(
    role: str,
    folder: str | Path,
    level: str = "INFO",
    keep_mb: float = 50.0,
    *,
    direct: bool = False,
) -> Logging:
    """Log to <folder>/<role>.log; direct=True writes in the calling thread.

    The file is rotated once at keep_mb. ConfigError where it cannot be written.
    """
    path = Path(folder) / f"{role}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (path.is_file() or path.is_dir()):  # a FIFO would be waited for
            raise FileExistsError(errno.EEXIST, "Not a plain file", str(path))
        file = _File(path, maxBytes=int(keep_mb * 1e6), backupCount=1, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"paths.logs: {error.filename}: {error.strerror}, expected a folder to write to"
        ) from None
    file.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.setLevel(level)
    if direct:
        root.addHandler(file)
        return Logging(file, file)
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    attached = _FactsQueue(records)
    root.addHandler(attached)
    listener = logging.handlers.QueueListener(records, file)
    listener.start()
    return Logging(file, attached, listener)


@contextmanager
def crashes_told(role: str, folder: str | Path) -> Iterator[int]:
    """Let a crash in compiled code leave the lines where it was in <folder>/<role>.log.

    Gives the descriptor, for others who can only write a line at the end. The lines are plain text.
    ConfigError where the file cannot be written.
    """
    path = Path(folder) / f"{role}.log"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(
            f"paths.logs: {path}: {error.strerror}, expected a file to write to"
        ) from None
    faulthandler.enable(fd)
    try:
        yield fd
    finally:
        faulthandler.disable()
        os.close(fd)


class _File(logging.handlers.RotatingFileHandler):
    """Lines that the disk refuses are lost: that is told once on stderr, without a traceback."""

    _refused = _failing = False

    def emit(self, record: logging.LogRecord) -> None:
        # a file that somebody moved or deleted is opened anew, not written on unseen
        if self.stream and not os.path.exists(self.baseFilename):
            self._drop()
        self._refused = False
        super().emit(record)
        self._failing = self._refused

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        self._refused = True
        self._drop()  # else what was refused is written again with the next line
        if not self._failing:
            print(
                f"spreadscan: {self.baseFilename}: {error.strerror}, expected room for log lines: "
                "they are lost until there is",
                file=sys.stderr,
            )

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        """Let the stream go, whatever the disk says; the base class opens it again."""
        stream, self.stream = self.stream, None
        if stream:
            with suppress(OSError):
                stream.close()


class _FactsQueue(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # same process: no pickling, so keep the record (and its traceback) as it is
        return record
