"""What the server side of a venue's WebSocket conversation is: limits, timers and answers.

Each exchange's file has its conversations, and under PROTOCOLS by source which one each speaks.

Written from what the venues publish and what was recorded, not from spreadscan.venues: a
mistake there must not be repeated here. No sockets and no clocks; the server passes both in.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from spreadscan.types import Book


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits and timers of one source, in wall-clock seconds; 0 = not in force."""

    max_topics: int = 0  # per socket
    max_args: int = 0  # per request
    max_arg_chars: int = 0  # of all topics of a socket, or of one request: see the venue
    max_request_bytes: int = 0  # a longer request is never answered
    frames_per_s: int = 0  # incoming; more closes the socket
    ops_per_hour: int = 0
    server_ping_s: float = 0.0
    pong_within_s: float = 0.0
    client_ping_s: float = 0.0  # close without an application ping for this long
    idle_s: float = 0.0  # close without traffic for this long: see the venue
    no_topic_s: float = 0.0  # close while nothing is subscribed
    repeat_s: float = 0.0  # an unchanged book is sent again after this long
    first_push_s: float | None = None  # the book follows a subscription; None: not before it ticks


class Close(NamedTuple):
    """End the socket with this close frame; code 0: without one."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does next: send texts, change what it pushes, ping, close."""

    texts: tuple[str, ...] = ()
    added: tuple[str, ...] = ()  # venue symbols that begin to push
    removed: tuple[str, ...] = ()
    ping: bytes | None = None
    close: Close | None = None


NOTHING = Answer()
_VERBS = ("op", "method", "event")  # where requests say what they want


@dataclass(slots=True)
class Conversation:
    """One socket as the venue sees it; the venues' classes add `text` and `timers`.

    topics: name of a subscription -> venue symbol. as_is: data frames go to this socket as they
    are rendered, else as form() makes them.
    """

    rules: Rules
    topics: Mapping[str, str]
    conn_id: str
    opened_s: float
    as_is: bool = True
    names: set[str] = field(default_factory=set)  # accepted, pushing or not
    last_text_s: float = 0.0
    last_push_s: float = 0.0
    _recent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.last_text_s = self.last_push_s = self.opened_s

    def opened(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Take notice of what the handshake asked for; headers are found in any case."""
        return NOTHING

    def form(self, payload: bytes) -> bytes:
        """Return a data frame as this socket gets it, where that is not as it is rendered."""
        raise NotImplementedError

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        """Return the answer to a text frame of the client."""
        raise NotImplementedError

    def busy(self, frame: str) -> str | None:
        """Return how the venue says that it is too busy for a request; None: it is none."""
        request = read_object(frame)
        verb = next((str(request[key]) for key in _VERBS if request and request.get(key)), "")
        return self.refusal(request or {}) if verb.lower().startswith(("sub", "unsub")) else None

    def refusal(self, request: dict[str, Any]) -> str:
        """Return a refusal of the moment to a request."""
        raise NotImplementedError

    def control(self, pong: bool, now_s: float) -> Answer:
        """Return the answer to a protocol ping or pong of the client."""
        return NOTHING

    def timers(self, now_s: float) -> Answer:
        """Return what is due by time alone; asked several times a second."""
        raise NotImplementedError

    def too_fast(self, now_s: float) -> bool:
        """Count an incoming frame; True when it is one too many within a second."""
        limit, recent = self.rules.frames_per_s, self._recent
        if not limit:
            return False
        recent.append(now_s)
        while recent[0] <= now_s - 1.0:
            recent.popleft()
        return len(recent) > limit


Render = Callable[[Book], bytes]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How one source talks.

    open: a Conversation of (rules, topics, conn_id, opened_s). paths: its WebSocket paths.
    repeat: the frame for a book sent again, of (render, book, times repeated, Unix ns).
    binary: data frames are binary. pushes_first: data of a subscription overtakes its answer.
    notice: what it says before it closes a socket, of Unix ms; None: it says nothing.
    status: the name that a conversation gives to the channel of trading statuses, '' for none;
    status_path: how the paths begin that have it; status_push: what it sends there of a row of
    the instrument list, of (row, Unix ms). id_step: what ids rise by from book to book.
    clock_ns: of its books' times, which are whole steps of that; 0: they have none.
    """

    rules: Rules
    topic: Callable[[str], str]
    open: Callable[..., Conversation]
    paths: tuple[str, ...]
    repeat: Callable[[Render, Book, int, int], bytes] | None = None
    binary: bool = False
    pushes_first: bool = False
    notice: Callable[[int], str] | None = None
    status: str = ""
    status_path: str = "/"
    status_push: Callable[[Row, int], bytes] | None = None
    id_step: int = 3
    clock_ns: int = 1_000_000


def same_again(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    """Return a book that is repeated as it was."""
    return render(book)


def passed(limit_s: float, since_s: float, now_s: float) -> bool:
    """Return whether a limit that is in force has run out."""
    return limit_s > 0.0 and now_s - since_s >= limit_s


def read_object(frame: str) -> dict[str, Any] | None:
    """Return the JSON object that frame is, else None."""
    try:
        value = orjson.loads(frame)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_names(value: object) -> list[str] | None:
    """Return a JSON list of text, else None."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    return None


def compact(message: dict[str, Any]) -> str:
    """Return a message as JSON without spaces, keys in the order given, None left out."""
    return orjson.dumps({k: v for k, v in message.items() if v is not None}).decode()
