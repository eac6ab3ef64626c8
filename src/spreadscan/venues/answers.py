"""Error answers of the venues, sorted by what to do next; for WebSocket requests and REST bodies.

Each exchange's file holds its table (rows of codes and wording, with where they stand); `meaning`
is the one place that reads them. A row of the venue's own comes first, by code before wording;
what no table knows is sorted by the words that venues have in common, and else is UNSURE.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from spreadscan.errors import (
    RateLimited,
    Refused,
    RequestRefused,
    SpreadError,
    VenueDown,
    printable,
)

# passing: of the moment (too many, busy, internal): wait, then the same again
# topics: the topics that it names, or the only one of its request; the others are good
# request: something in the request, it does not say what
# final: no topic and no waiting changes it, a human has to
Kind = Literal["passing", "topics", "request", "final"]


class Meaning(NamedTuple):
    """What an error answer asks for.

    tries: a passing one means so many times what it says, then the topics; 0 = always. limited:
    it speaks of our pace. smaller: a smaller request may pass. pause_s: a REST host is left
    alone for at least so long; sockets have pauses of their own, which grow.
    """

    kind: Kind
    tries: int = 0
    limited: bool = False
    smaller: bool = False
    pause_s: float = 0.0


class Row(NamedTuple):
    """One row of a table: codes, or wording (a regular expression, in any case), or both."""

    meaning: Meaning
    codes: tuple[str, ...] = ()
    words: str = ""


BUSY = Meaning("passing")
LIMITED = Meaning("passing", limited=True, pause_s=3.0)
BANNED = Meaning("passing", limited=True, pause_s=600.0)  # ten minutes is what Bybit asks for
FULL = Meaning("passing", smaller=True)  # the socket has no room for all of it
TOPICS = Meaning("topics")
REQUEST = Meaning("request")
FINAL = Meaning("final")
# A pair that is retired by mistake costs more than five requests with growing pauses between.
UNSURE = Meaning("passing", tries=5)

_COMMON = (
    Row(FULL, words=r"too many (subscription|topic|stream|channel)"),
    Row(LIMITED, words=r"too (many|frequent)|too fast|rate.?limit|frequen(t|cy)|throttl"),
    Row(
        BUSY,
        words=r"busy|try again|internal|system error|server error|time.?out|unavailable"
        r"|maintenance|restarting|upgrading|overload",
    ),
    Row(TOPICS, words=r"(not|n't) exist|invalid symbol|invalid topic|unknown symbol"),
)


def meaning(table: Sequence[Row], code: str, text: str) -> Meaning:
    """Return what an answer means by a venue's table. code: '' where the answer has none."""
    if code:
        for row in table:
            if code in row.codes and _says(row, text):
                return row.meaning
    for row in (*table, *_COMMON):
        if not row.codes and _says(row, text):
            return row.meaning
    return UNSURE


def _says(row: Row, text: str) -> bool:
    return not row.words or bool(re.search(row.words, text, re.IGNORECASE))


def rest_error(exchange: str, table: Sequence[Row], code: str, text: str) -> SpreadError:
    """Return the error that an error body of a REST answer is.

    RateLimited for pause_s (`rest.ask` adds what the answer itself tells), Refused for what is
    final, RequestRefused for what is about the request, VenueDown for the rest.
    """
    found, said = meaning(table, code, text), f"{exchange}: {code[:40]} {text[:200]}".rstrip()
    said = printable(said)
    if found.limited:
        return RateLimited(said, found.pause_s)
    if found.kind in ("topics", "request"):
        return RequestRefused(said)
    return Refused(said) if found.kind == "final" else VenueDown(said)
