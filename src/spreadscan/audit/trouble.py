"""What may go wrong for a while with a source: told when it begins and when it is over."""

import logging

from spreadscan.logs import facts


class Trouble:
    """One kind of it. begins, ends: the phrases of the log lines."""

    def __init__(self, log: logging.Logger, source: str, begins: str, ends: str) -> None:
        self._log = log
        self._source = source
        self._begins = begins
        self._ends = ends
        self._on = False

    def on(self, **told: object) -> None:
        """Hear that it is so; told once."""
        if not self._on:
            self._log.warning(self._begins, extra=facts(source=self._source, **told))
        self._on = True

    def off(self) -> bool:
        """Hear that it is not so; return whether that is news."""
        was, self._on = self._on, False
        if was:
            self._log.info(self._ends, extra=facts(source=self._source))
        return was
