"""Logging of one process: JSON lines to a file, handed over by a queue so no feed waits.

Workers call start_logging() after the fork (the queue's thread must be theirs); the supervisor,
which may have no second thread, passes direct=True.
"""

import logging
import logging.handlers
import queue
from pathlib import Path

import orjson

from spreadscan.clock import iso_utc


def facts(**values: object) -> dict[str, object]:
    """Return `extra` for a log call: log.warning("feed down", extra=facts(venue=...))."""
    return {"facts": values}


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, phrase, then the facts."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, object] = {
            "time": iso_utc(int(record.created * 1e9)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(row, default=str).decode()


class Logging:
    """Handle to a process's logging; stop() writes what is queued."""

    def __init__(
        self, listener: logging.handlers.QueueListener | None, handler: logging.Handler
    ) -> None:
        self._listener = listener
        self._handler = handler

    def stop(self) -> None:
        if self._listener:
            self._listener.stop()
            self._listener = None
        self._handler.close()


def start_logging(
    role: str, folder: str | Path, level: str = "INFO", keep_mb: float = 50.0, *,
    direct: bool = False,
) -> Logging:
    """Log to <folder>/<role>.log; direct=True writes in the calling thread.

    The file is rotated once at keep_mb.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        Path(folder) / f"{role}.log", maxBytes=int(keep_mb * 1e6), backupCount=1, encoding="utf-8"
    )
    file.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.setLevel(level)
    if direct:
        root.addHandler(file)
        return Logging(None, file)
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root.addHandler(_FactsQueue(records))
    listener = logging.handlers.QueueListener(records, file)
    listener.start()
    return Logging(listener, file)


class _FactsQueue(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # same process: no pickling, so keep the record (and its traceback) as it is
        return record

