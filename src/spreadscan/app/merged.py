"""The log files of all processes as one, by the time of their lines."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import orjson

from spreadscan.errors import ConfigError, printable

_TAIL_BYTES = 1 << 20  # of each file, for the lines of before
_READ_BYTES = 4 << 20  # of each file at a time


class LogLine(NamedTuple):
    """A line of a log; text: as it stands in the file."""

    time: str
    role: str
    text: str

    def __str__(self) -> str:
        """Return it for people, with a traceback below it."""
        try:
            row = dict(orjson.loads(self.text))
            level, message = row.pop("level"), row.pop("message")
        except (ValueError, TypeError, KeyError):
            return f"{self.time} {self.role}: {printable(self.text)}"
        traceback = str(row.pop("traceback", ""))
        told = {key: value for key, value in row.items() if key not in ("time", "logger")}
        facts = ", ".join(f"{key} {printable(str(value))}" for key, value in told.items())
        line = f"{self.time} {level:<7} {self.role}: {printable(str(message))}"
        below = "".join(f"\n    {printable(part)}" for part in traceback.splitlines())
        return line + (f": {facts}" if facts else "") + below


class _Log:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._time = ""  # of the last line that had one

    def tail(self, n: int) -> list[LogLine]:
        """Return the last n lines, and go on from there."""
        file = self._open()
        if file is None:
            return []
        begin = max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES)
        file.seek(begin)
        lines = self._lines(file)
        return lines[1 if begin else 0 :][-n:] if n else []

    def more(self) -> list[LogLine]:
        """Return what was written since, also to a file that took the place of this one."""
        found = self._lines(self._file) if self._file else []
        try:
            there = self.path.stat()
        except OSError:
            return found
        if self._file:
            ours = os.fstat(self._file.fileno())
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                if there.st_size < self._file.tell():  # cut short
                    self._file.seek(0)
                return found
        self.close()
        self._rest = b""
        file = self._open()
        return found + self._lines(file) if file else found

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO | None:
        try:
            self._file = self.path.open("rb")
        except OSError:
            self._file = None
        return self._file

    def _lines(self, file: BinaryIO) -> list[LogLine]:
        *whole, self._rest = (self._rest + file.read(_READ_BYTES)).split(b"\n")
        return [self._line(line.decode("utf-8", "replace")) for line in whole]

    def _line(self, text: str) -> LogLine:
        with suppress(orjson.JSONDecodeError, TypeError, KeyError):  # it stays beside the last one
            self._time = str(orjson.loads(text)["time"])
        return LogLine(self._time, self.path.stem, text)


class MergedLogs:
    """The logs of a folder, of some roles or of all; a context, whose files are closed at its end.

    ConfigError where there is none of a role.
    """

    def __init__(self, folder: str, roles: Sequence[str] = ()) -> None:
        self._folder = Path(folder)
        self._roles = roles
        self._logs: dict[Path, _Log] = {}
        there = sorted(path.stem for path in self._folder.glob("*.log"))
        missing = [role for role in roles if role not in there]
        if missing or not there:
            raise ConfigError(
                f"{self._folder}: no log of {', '.join(missing) or 'anybody'}, expected one of: "
                f"{', '.join(there) or 'none is there'}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for log in self._logs.values():
            log.close()

    def last(self, n: int) -> list[LogLine]:
        """Return the last n lines of all together; more() goes on from there."""
        found = self._merged(log.tail(n) for log in self._all())
        return found[-n:] if n else []

    def more(self) -> list[LogLine]:
        """Return what was written since, to logs that are new, too."""
        return self._merged(log.more() for log in self._all())

    def _paths(self) -> list[Path]:
        return [
            path
            for path in sorted(self._folder.glob("*.log"))
            if not self._roles or path.stem in self._roles
        ]

    def _all(self) -> list[_Log]:
        for path in self._paths():
            if path not in self._logs:
                self._logs[path] = _Log(path)
        return list(self._logs.values())

    def _merged(self, of_each: Iterator[list[LogLine]]) -> list[LogLine]:
        return sorted((line for lines in of_each for line in lines), key=lambda line: line.time)
