"""Remarks of the signals file: EVENT rows that say what an operator switched off and on again.

The kill switch and each pause has one row when it begins and one when it is over, however often the
tracker starts meanwhile: what the files say already is not said again.
"""

from collections.abc import Mapping

from spreadscan.tracker.columns import safe_text

KILL = "kill"  # what is off; anything else is what a pause is of
_KILLED, _CLEARED, _PAUSED, _RESUMED = "KILLED", "KILL CLEARED", "PAUSED", "RESUMED"


class Remarks:
    """What is switched off, as far as rows tell."""

    def __init__(self) -> None:
        self._off: dict[str, str] = {}  # by what: why, as it was told

    def read(self, text: str) -> None:
        """Take up a row that is there already. Rows of others' making say nothing here."""
        head, _, why = text.partition(": ")
        verb, _, what = head.partition(" ")
        if head == _KILLED:
            self._off[KILL] = why
        elif head == _CLEARED:
            self._off.pop(KILL, None)
        elif verb == _PAUSED:
            self._off[what] = why
        elif verb == _RESUMED:
            self._off.pop(what, None)

    def due(self, off: Mapping[str, str], on: Mapping[str, str]) -> list[str]:
        """Return the texts that are due. off: why, by what is off now; on: why it no longer is."""
        off = {what: safe_text(why) for what, why in off.items()}  # as it will be read again
        found = [_on(what, on.get(what, "")) for what in self._off if what not in off]
        found += [_off(what, why) for what, why in off.items() if self._off.get(what) != why]
        self._off = off
        return found


def is_thrown(text: str) -> bool:
    """Return whether a row says that the kill switch was thrown."""
    return text == _KILLED or text.startswith(f"{_KILLED}: ")


def is_cleared(text: str) -> bool:
    """Return whether a row says that the kill switch was cleared."""
    return text == _CLEARED or text.startswith(f"{_CLEARED}: ")


def _off(what: str, why: str) -> str:
    return _because(_KILLED if what == KILL else f"{_PAUSED} {what}", why)


def _on(what: str, why: str) -> str:
    return _because(_CLEARED if what == KILL else f"{_RESUMED} {what}", why)


def _because(head: str, why: str) -> str:
    return f"{head}: {why}" if why else head
