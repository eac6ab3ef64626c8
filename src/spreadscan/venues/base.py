"""What a venue is: a table of facts (VenueSpec), a book schema, and pure functions.

No I/O and no clocks here. Sessions (feeds/) obey the limits of a spec; the simulators (sim/)
serve a venue through its own `render`; the reference decoder (venues/reference.py) reads a
BookSchema, and so will the compiled one.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import msgspec

from spreadscan.catalogue import Kind
from spreadscan.config import Config, urls_of
from spreadscan.errors import BadFrame, Refused, VenueDown
from spreadscan.types import (
    LIST_BYTES_MAX,
    PAGE_BYTES_MAX,
    QUOTES,
    ROWS_MAX,
    Book,
    Cost,
    FundingRate,
    Instrument,
)
from spreadscan.venues.answers import UNSURE, Meaning
from spreadscan.venues.values import MISSING_FIELD, name_in, page_object, small_number, unix_ms

LIST_PAGES_MAX = 100
FACTS_LAST_DAYS = 90  # venues change fees and addresses a few times a year

NOT_TRADING, OTHER_QUOTE = "not_trading", "other_quote"  # reasons to leave a row out
_NAMELESS = "row "  # and its number: of a row without a symbol


class Facts(NamedTuple):
    """Where a table of a venue is published, and the day it was last held against that."""

    source: str
    checked: str  # YYYY-MM-DD

    def is_old(self, today: date) -> bool:
        return (today - date.fromisoformat(self.checked)).days > FACTS_LAST_DAYS


class VenueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one source; limits are the venue's, obeyed by sessions and simulators."""

    name: str  # "binance-spot"
    exchange: str
    kind: Kind
    aliases: tuple[str, ...] = ()  # what recordings of others call it
    ws_urls: tuple[str, ...]  # in order of preference; the next is tried where one fails
    rest_urls: tuple[str, ...]  # likewise; scheme and host only, paths come from requests
    addresses: Facts  # what ws_urls, rest_urls and paths are from
    limits: Facts  # pings, topics, bytes, frames, connects, silence
    fees: Facts  # taker_bps
    rest: Facts  # rest_limit and the weights of requests
    # what sizes on the wire count; contracts: unusable where the contract's own size is not known
    sizes: Literal["coins", "contracts"] = "coins"
    # (name, value) that every handshake and every REST request carries beside the usual
    headers: tuple[tuple[str, str], ...] = ()
    ping_kind: Literal["server", "client"]  # who sends pings; "client": an application message
    ping_every_s: float  # client: we send each; server: the venue's own interval
    pong_deadline_s: float  # without an answer (or a server ping) for this long: reconnect
    stale_after_s: float  # a symbol silent for longer is not tradable
    # an unchanged top is sent again before stale_after_s; if not, silence is health, and how much
    # of it is learnt per pair, up to stale_after_s. Above 10 s a pair's usual pause is learnt, too
    repeats: bool = True
    topics_per_frame: int
    bytes_per_frame: int
    topics_per_socket: int
    frames_per_s: float  # frames we may send on one socket
    requests_per_hour: int = 0  # subscribe and unsubscribe requests on one socket; 0 = any number
    connects_per_s: float
    connects_per_5min: int
    # (weight, seconds) that a REST host takes from one address; where each path has a limit of its
    # own, the lowest that is met often. Sources of one host and one limit share it
    rest_limit: tuple[int, float]
    taker_bps: float  # base tier, for orders by API: that is how spreads are traded
    validate_batch: int  # symbols per validation socket in discovery
    # an instrument list of exactly so many rows goes on from there, by offset; 0 = it says itself
    # where (InstrumentPage.cursor)
    list_page: int = 0
    # whether a pair that is halted stays in the list, with a status; False: its row is left out
    lists_halted: bool = True
    ids_per_request: Literal["one", "many"] = "many"  # "one": acks carry no id, one in flight
    # what a refusal that names topics is about: those, or the whole request they stood in
    refuses: Literal["topic", "request"] = "topic"
    socket_life_s: float = 0.0  # the venue closes sockets at this age; 0 = not known to
    time_path: str  # a GET of this on the REST host is cheap and gives the venue's clock,
    time_key: str  # Unix ms under these dotted keys and indexes

    @property
    def facts(self) -> dict[str, Facts]:
        """Return where each of its tables is from, by what it holds."""
        return {
            "fees": self.fees,
            "addresses": self.addresses,
            "limits": self.limits,
            "REST limits": self.rest,
        }


def old_facts(spec: VenueSpec, today: date) -> str:
    """Return in one sentence which tables of a venue are too old to be relied on; '' for none."""
    old = {name: facts for name, facts in spec.facts.items() if facts.is_old(today)}
    if not old:
        return ""
    told = ", ".join(f"{name} of {facts.checked}" for name, facts in old.items())
    sources = " and ".join(dict.fromkeys(facts.source for facts in old.values()))
    return (
        f"{spec.name}: {told}, expected no older than {FACTS_LAST_DAYS} days: use a newer release, "
        f"or look at {sources} and set [venues.{spec.name}]"
    )


class Match(NamedTuple):
    """A condition on a frame: path, pattern ('*' = any run of characters), required.

    Text is compared as it is, a whole number by its decimal digits; nothing else ever matches.
    A condition that is not required holds when the path is absent (or null).
    """

    path: str
    pattern: str
    required: bool = True


class BookSchema(msgspec.Struct, frozen=True, kw_only=True):
    """Which frames are quotes and where their fields are, as data.

    Paths are dotted keys and indexes ("data.b.0.0"); protobuf paths are field numbers
    ("315.1"). A path that starts with "." is relative to the root: the first of `roots` that
    exists in the frame ("" is the frame itself; a trailing ".*" means every element of that
    list, one book each). A frame with none of its roots is no quote. Tuples of paths are
    fall-backs: the first that exists counts. An empty list on the way to a price, or an empty
    string as a price, is a missing side; so is an absent protobuf price. Null is absent.
    """

    wire: Literal["json", "protobuf"] = "json"
    match: tuple[Match, ...]
    roots: tuple[str, ...] = ("",)
    symbol: str
    symbol_prefix: str = ""  # cut from the symbol; a symbol without it is another channel
    bid_px: str
    bid_qty: str
    ask_px: str
    ask_qty: str
    # of JSON: sizes are text; a number beside a price is one that the venue rounded, a bad frame
    qty_text: bool = False
    delta: Match | None = None  # frames for which this holds are deltas with the lists below
    bids: str = ""
    asks: str = ""
    venue_ms: tuple[str, ...] = ()
    update_id: tuple[str, ...] = ()
    # An id lower than the last one is old, except: "is_one": id 1 restarts the sequence;
    # "newer_time": a later venue time says that the sequence was restarted.
    id_reset: Literal["never", "is_one", "newer_time"] = "never"


class Ack(NamedTuple):
    """A request was accepted. topics: those named by the answer, else empty.

    subscribes: whether it was to subscribe or to unsubscribe, None where the answer does not say.
    """

    request_id: str = ""
    topics: tuple[str, ...] = ()
    subscribes: bool | None = None


class Refusal(NamedTuple):
    """A request was refused, wholly or for the topics named; meaning: what to do next."""

    text: str
    request_id: str = ""
    topics: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()  # a partial refusal: these went through
    meaning: Meaning = UNSURE


class Pong(NamedTuple):
    """The answer to a client ping."""

    def __bool__(self) -> bool:
        return True  # a tuple of no fields would be false, and `if control:` overlook it


class Event(NamedTuple):
    """An announcement. restart: the venue is about to close this socket."""

    text: str
    restart: bool = False


Control = Ack | Refusal | Pong | Event


class InstrumentPage(NamedTuple):
    """One parsed REST page: pairs that trade now, why others were left out, next cursor.

    Of every quote currency of types.QUOTES; of() leaves those that are wanted.
    """

    instruments: list[Instrument]
    skipped: dict[str, int]  # reason -> rows
    cursor: str
    left_out: dict[str, str]  # symbol, or "row 7" -> reason; ": " and what it lacks may follow
    quote: dict[str, str]  # of those left out, where it is one of QUOTES

    @property
    def n_rows(self) -> int:
        return len(self.instruments) + sum(self.skipped.values())

    @property
    def incomplete(self) -> dict[str, str]:
        """Return those left out that lack something."""
        return {name: why for name, why in self.left_out.items() if ": " in why}

    def of(self, quotes: Collection[str]) -> "InstrumentPage":
        """Return the page without the pairs of other quote currencies, which are left out, too."""
        kept = [i for i in self.instruments if i.quote in quotes]
        other = [i.venue_symbol for i in self.instruments if i.quote not in quotes]
        known = [name for name, quote in self.quote.items() if quote not in quotes]
        skipped = Counter(self.skipped)
        skipped.subtract(_reason(self.left_out[name]) for name in known)
        skipped[OTHER_QUOTE] += len(other) + len(known)
        return self._replace(
            instruments=kept,
            skipped=dict(+skipped),
            left_out=self.left_out | dict.fromkeys([*known, *other], OTHER_QUOTE),
            quote={name: quote for name, quote in self.quote.items() if quote in quotes},
        )

    def halts(self) -> Counter[str]:
        """Return how many rows say that they do not trade now, by quote currency."""
        return Counter(q for name, q in self.quote.items() if self.left_out[name] == NOT_TRADING)


class RestRequest(NamedTuple):
    """One GET: path on one of the spec's rest_urls, query string already escaped ('' for none).

    weight: what it costs of the spec's rest_limit. apart_s: above 0 it costs nothing of that; the
        path has a limit of its own, one in so many seconds.
    most_bytes: of an answer; what is larger is none.
    """

    path: str
    query: str = ""
    weight: int = 1
    apart_s: float = 0.0
    most_bytes: int = PAGE_BYTES_MAX

    @property
    def cost(self) -> Cost:
        return Cost(1, self.path, self.apart_s) if self.apart_s else Cost(self.weight)

    def url(self, host: str) -> str:
        """Return the whole address on a host (scheme://name[:port])."""
        return f"{host.rstrip('/')}{self.path}" + (f"?{self.query}" if self.query else "")


class Ticker(NamedTuple):
    """The touch of one symbol in a REST answer, in wire units; symbol is the venue's own.

    A side that the venue does not show is 0.0: missing, null, "", 0, below it, or no finite number.
    A crossed row keeps its prices. row_ns: the row's own Unix time in ns, 0 where it has none.
    """

    symbol: str
    bid_px: float
    ask_px: float
    row_ns: int = 0


class StatusChange(NamedTuple):
    """What a venue pushes of one symbol's status, changed or not; word: the venue's own for it.

    trading: None for a word that its table does not have.
    """

    symbol: str
    trading: bool | None
    word: str


class Maintenance(NamedTuple):
    """Maintenance that a venue announces and that concerns market data or trading of a source.

    begin_ns, end_ns: Unix, 0 where it does not say. title and what (the services) are printable.
    """

    state: Literal["scheduled", "ongoing"]
    title: str
    begin_ns: int
    end_ns: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPush:
    """A channel that pushes the status of every symbol as it changes, on a socket of its own.

    subscribe() -> text frames, to be sent once the socket is open.
    ping(request_id) -> text frame every spec.ping_every_s, None where the server pings.
    read(frame) -> what it says of symbols, [] for any other frame. Never raises.
    """

    path: str = ""  # on the host of the quotes; "" = the very address of these
    subscribe: Callable[[], list[str]]
    ping: Callable[[int], str | None]
    read: Callable[[bytes], list[StatusChange]]

    def url(self, ws_url: str) -> str:
        """Return where its socket is opened, given one of Venue.ws_urls."""
        return urlunsplit((*urlsplit(ws_url)[:2], self.path, "", "")) if self.path else ws_url


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPages:
    """What a source is asked to learn whether its silent quotes are still true.

    tickers(payload) -> the rows of tickers_request and of ask_request; rows without a usable
        symbol are left out. Raises as Venue.instruments does; BadFrame for an answer of which no
        row has a symbol and a price's key. An empty list is a valid answer.
    ask_request(venue_symbols) -> about 1 to ask_at_once symbols.
    maintenance(payload) -> what is scheduled or ongoing; raises likewise. It speaks of the whole
        exchange where only one of its sources has it.
    """

    tickers_request: RestRequest  # every symbol in one answer
    tickers: Callable[[bytes], list[Ticker]]
    ask_request: Callable[[Sequence[str]], RestRequest]
    ask_at_once: int = 1
    older_by_s: float  # an answer may show what the sockets told so long before it
    rows_tell_time: bool = False  # row_ns is when that touch stood, else it says nothing
    trading_only: bool = False  # whom a complete answer to tickers_request lacks does not trade
    status_every_s: float  # between reads of the instrument list for statuses
    push: StatusPush | None = None
    maintenance_request: RestRequest | None = None
    maintenance: Callable[[bytes], list[Maintenance]] | None = None


@dataclass(frozen=True, slots=True)
class Venue:
    """One source: its spec, its schema and its pure functions.

    instruments_request(cursor) -> RestRequest of the page ('' = first; where spec.list_page is
        set, the number of rows before it). ListPages goes through them.
    instruments(payload) -> InstrumentPage, of every currency of QUOTES; raises what an error body
        means (answers.rest_error: RateLimited, VenueDown, Refused), BadFrame for what is no
        instrument list.
    topic(venue_symbol) -> the name that acks and refusals use for this subscription.
    subscribe(venue_symbols, request_id) and unsubscribe: ONE text frame; the caller keeps to
        topics_per_frame and bytes_per_frame.
    ping(request_id) -> text frame, None where the server pings.
    stamp(frame, unix_s) -> such a frame with the time at which it is sent, no longer than before;
        None where the venue does not want to know it. sent_at() is what asks.
    classify(frame) -> Control of a frame that is no quote, None if it is neither (data of
        another channel, or garbage). Never raises.
    render(book) -> the data frame that the venue would send (bytes; binary for protobuf).
    audit: what it is asked beside the sockets, and what its answers say.
    funding_request, funding(payload): one GET that lists every perpetual's next funding payment,
        and what it says of each that has one; None on spot. Raises as instruments() does. Where it
        is the first page of the instrument list, each page of that is read for both.
    """

    spec: VenueSpec
    schema: BookSchema
    instruments_request: Callable[[str], RestRequest]
    instruments: Callable[[bytes], InstrumentPage]
    topic: Callable[[str], str]
    subscribe: Callable[[Sequence[str], int], str]
    unsubscribe: Callable[[Sequence[str], int], str]
    ping: Callable[[int], str | None]
    classify: Callable[[bytes], Control | None]
    render: Callable[[Book], bytes]
    audit: AuditPages
    stamp: Callable[[str, int], str] | None = None
    funding_request: RestRequest | None = None
    funding: Callable[[bytes], list[FundingRate]] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    def sent_at(self, frame: str, unix_s: float) -> str:
        """Return a request or a ping as it leaves at that time."""
        return self.stamp(frame, int(unix_s)) if self.stamp else frame

    def ws_urls(self, config: Config) -> tuple[str, ...]:
        """Return where its sockets are opened, in order: the config's URLs, else the spec's."""
        own = config.venues.get(self.name)
        return urls_of(own.ws_url) if own and own.ws_url else self.spec.ws_urls

    def rest_urls(self, config: Config) -> tuple[str, ...]:
        """Return where it is asked, in order: the config's schemes and hosts, else the spec's."""
        own = config.venues.get(self.name)
        return urls_of(own.rest_url) if own and own.rest_url else self.spec.rest_urls

    def stale_after_s(self, config: Config) -> float:
        """Return the age from which no quote of it is tradable: the config's, else the spec's."""
        own = config.venues.get(self.name)
        limit_s = own.stale_after_s if own else None
        return self.spec.stale_after_s if limit_s is None else limit_s

    def learn_to_s(self, config: Config) -> float:
        """Return up to which age limits per pair are learnt, 0 where nothing is to be learnt.

        That is where the venue repeats itself as soon as any limit that is learnt would end.
        """
        limit_s = self.stale_after_s(config)
        return 0.0 if self.spec.repeats and limit_s <= _LEARNT_FROM_S else limit_s

    def learn_from_s(self, config: Config) -> float:
        """Return the shortest limit that is learnt: where it repeats itself its own, so that of
        its pauses only doubts come."""
        return self.stale_after_s(config) if self.spec.repeats else _LEARNT_FROM_S

    def __str__(self) -> str:
        return self.spec.name


class ListPages:
    """The requests for the pages of an instrument list, one by one, each answered by take().

    torn: a page that was announced had no row. Raises Refused where there is no end to them, by
    pages or by rows.
    """

    def __init__(self, venue: Venue) -> None:
        self.torn = False
        self._venue = venue
        self._cursors = [""]
        self._next: str | None = ""
        self._by_offset = False  # that
        self._names: set[str] = set()
        self._n_rows = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RestRequest:
        if self._next is None:
            raise StopIteration
        if len(self._cursors) > LIST_PAGES_MAX:  # again would be as many
            raise Refused(f"{self._venue.name}: more than {LIST_PAGES_MAX} pages")
        request = self._venue.instruments_request(self._next)
        return request._replace(most_bytes=LIST_BYTES_MAX)

    def take(self, page: InstrumentPage) -> None:
        """Note the page that came. VenueDown: one asked for by offset has the rows before it."""
        names = {i.venue_symbol for i in page.instruments}
        names |= {name for name in page.left_out if not is_nameless(name)}
        if self._by_offset and page.n_rows and names <= self._names:
            raise VenueDown(
                f"{self._venue.name}: found the rows before row {self._n_rows} from there on, "
                "expected others or none: the list may be cut"
            )
        self.torn |= bool(self._next) and not self._by_offset and not page.n_rows
        self._names |= names
        self._n_rows += page.n_rows
        if self._n_rows > ROWS_MAX:
            raise Refused(f"{self._venue.name}: more than {ROWS_MAX:,} rows")
        is_full = 0 < self._venue.spec.list_page == page.n_rows
        self._by_offset = is_full and not page.cursor
        cursor = str(self._n_rows) if self._by_offset else page.cursor
        # '' after the last page; a venue may also repeat itself
        self._next = None if cursor in self._cursors else cursor
        self._cursors.append(cursor)


_LEARNT_FROM_S = 10.0
# 1000 to 1,000,000,000, or 1M, before what is no number alone; a further 0 is a part of the number
_PREFIX = re.compile(r"^(10{3,9}|1M)(?!0)(?=.*\D)")
_SUFFIX = re.compile(r"(?<=\D)(10{3,9})$")
# Binance and Bybit list perpetuals of Terra 2.0 as LUNA2; its spot pairs are LUNA (2026-11).
_OTHER_NAMES = {"LUNA2": "LUNA"}


def split_multiplier(listed_base: str) -> tuple[str, float]:
    """Return (coin, multiplier) of a listed base: '1000PEPE' -> ('PEPE', 1000.0).

    Every power of ten from 1000 to 10^9 as a prefix, in any script, 1M, and as a suffix
    (SHIB1000); and other names of a coin (LUNA2). '1INCH' stays. Only a guess by name: discovery
    takes it back where nobody writes the coin otherwise, or prices contradict.
    """
    for pattern in (_PREFIX, _SUFFIX):
        found = pattern.search(listed_base)
        if found:
            coin = listed_base[: found.start()] + listed_base[found.end() :]
            return coin, 1e6 if found[1] == "1M" else float(found[1])
    return _OTHER_NAMES.get(listed_base, listed_base), 1.0


def decimal_text(value: float) -> str:
    """Return the shortest decimal that reads back as value, without exponent; '' for NaN."""
    if value != value:
        return ""
    text = repr(value)
    if "e" in text:
        return format(Decimal(text), "f")
    return text.removesuffix(".0")


def time_ms(spec: VenueSpec, payload: bytes) -> int:
    """Return the Unix ms that a venue's answer to time_path says. BadFrame where it has none."""
    value: Any = page_object(payload, f"{spec.name} time")
    try:
        for key in spec.time_key.split("."):
            value = value[int(key)] if isinstance(value, list) else value[key]
        found = unix_ms(value)
    except (LookupError, TypeError, ValueError):
        found = 0
    if not found:
        raise BadFrame(f"{spec.name} time: found {payload[:60]!r}, expected {spec.time_key} in ms")
    return found


def read_funding(
    rows: list[Any],
    symbol_key: str,
    rate_key: str,
    next_key: str,
    read_ms: Callable[[object], int] = unix_ms,
) -> list[FundingRate]:
    """Return the next payment of each row that has one; dated contracts have none.

    Rates are shares of the notional, decimal text or numbers; one of 1 or more is no rate. Times
    are Unix ms, text or whole numbers; read_ms: unix_s where they are seconds.
    """
    found = []
    for row in rows:
        if type(row) is not dict:
            continue
        symbol = name_in(row, symbol_key)
        rate, next_ms = small_number(row.get(rate_key)), read_ms(row.get(next_key))
        if symbol and rate is not None and next_ms:
            found.append(FundingRate(symbol, rate, next_ms * 1_000_000))
    return found


def read_rows(
    rows: list[Any],
    quote_of: Callable[[dict[str, Any]], str],
    read: Callable[[dict[str, Any], str], Instrument | str],
    cursor: str = "",
    symbol_key: str = "symbol",
) -> InstrumentPage:
    """Return the page of what `read` makes of each row: an Instrument, or why it is left out.

    quote_of: the currency that a row is quoted, and settled, in; '' where it does not say or where
    `read` knows better why it is none of ours. `read` is given it, and no row of other currencies
    than QUOTES.
    What stands behind ": " in a reason is told of that row alone. A row that is no object counts
    as "missing_field"; of two rows for one symbol the first stays. symbol_key: where a row has its
    symbol, by which it is told.
    """
    kept: dict[str, Instrument] = {}
    skipped: dict[str, int] = {}
    left_out: dict[str, str] = {}
    quoted: dict[str, str] = {}
    for number, row in enumerate(rows):
        quote = ""
        got: Instrument | str = f"{MISSING_FIELD}: it is no object"
        if type(row) is dict:
            quote = quote_of(row)
            got = OTHER_QUOTE if quote and quote not in QUOTES else read(row, quote)
        if isinstance(got, Instrument):
            if got.venue_symbol not in kept:
                kept[got.venue_symbol] = got
                continue
            got = "duplicate"
        reason = _reason(got)
        skipped[reason] = skipped.get(reason, 0) + 1
        name = (name_in(row, symbol_key) if type(row) is dict else "") or f"{_NAMELESS}{number}"
        if name not in left_out:
            left_out[name] = got
            if quote in QUOTES:
                quoted[name] = quote
    return InstrumentPage(list(kept.values()), skipped, cursor, left_out, quoted)


def _reason(why: str) -> str:
    return why.partition(": ")[0]


def is_nameless(name: str) -> bool:
    """Return whether this key of InstrumentPage.left_out is of a row without a symbol."""
    return name.startswith(_NAMELESS)
