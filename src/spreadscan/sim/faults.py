"""Fault scripts: what goes wrong at the simulated venues, where and when; read from TOML.

docs/faults.md shows every fault. fault_effects.py does what is written here.
"""

import tomllib
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from spreadscan.catalogue import built_in
from spreadscan.errors import ConfigError
from spreadscan.sim.pages.sources import PAGES
from spreadscan.sim.protocols import PROTOCOLS

# What a value may be; of connects and requests each.
_RANGES: dict[str, tuple[int, float]] = {
    "connects": (1, inf),
    "after_frames": (0, inf),
    "drop_bytes": (1, inf),
    "size_bytes": (1, 2**63 - 1),  # what a frame header can say
    "piece_bytes": (1, inf),
    "code": (0, 4999),
    "notice_s": (0, inf),
    "from_connect": (1, inf),
    "every": (1, inf),
    "share": (0, 1),
    "requests": (1, inf),
    "status": (400, 599),
    "retry_after_s": (0, inf),
    "hang_s": (0, inf),
    "age_s": (0, inf),
}
ANNOUNCING = tuple(name for name, protocol in PROTOCOLS.items() if protocol.notice)
MAINTAINED = tuple(name for name, pages in PAGES.items() if pages.maintenance_path)


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry. source: a name or "*". In force from at_s until until_s after the start."""

    source: str
    at_s: float = 0.0
    until_s: float = inf


class SocketFault(Fault, frozen=True, kw_only=True):
    """Befalls sockets. connects: which of the source, the first is 1; none named = each.

    after_frames: data frames that a socket gets before.
    """

    connects: tuple[int, ...] = ()
    after_frames: int = 0


class Mute(SocketFault, frozen=True, kw_only=True):
    """No data any more. pongs: pings and requests are still answered."""

    pongs: bool = True


class Busy(SocketFault, frozen=True, kw_only=True):
    """Requests are refused with words of the moment; pings are answered, and data goes on."""


class HalfOpen(SocketFault, frozen=True, kw_only=True):
    """Nothing is sent or read any more, and nothing is closed."""


class Drip(SocketFault, frozen=True, kw_only=True):
    """What is sent leaves in drops of so many bytes, 20 drops a second."""

    drop_bytes: int = 1


class HugeFrame(SocketFault, frozen=True, kw_only=True):
    """A frame header that promises size_bytes; nothing follows."""

    size_bytes: int = 1 << 30


class EndlessFrame(SocketFault, frozen=True, kw_only=True):
    """A message whose fragments never end; each has piece_bytes, 20 a second."""

    piece_bytes: int = 65_536


class Close(SocketFault, frozen=True, kw_only=True):
    """The socket ends; code 0 cuts the connection without a close frame."""

    code: int = 0


class Restart(SocketFault, frozen=True, kw_only=True):
    """The venue announces that it will close, and does so notice_s later."""

    notice_s: float = 1.0


class BookFault(Fault, frozen=True, kw_only=True):
    """Befalls books. symbols: as the venue writes them; none = all.

    from_connect: not before the source has had so many sockets.
    """

    symbols: tuple[str, ...] = ()
    from_connect: int = 1


class Prices(BookFault, frozen=True, kw_only=True):
    """Prices that cannot be or hardly can. spike: both sides times 100."""

    how: Literal["crossed", "zero", "locked", "spike"]


class OldIds(BookFault, frozen=True, kw_only=True):
    """Update ids as they were `back` before."""

    back: int = 1_000_000


class Clock(BookFault, frozen=True, kw_only=True):
    """The venue's time is off by shift_s, or counts seconds in place of its unit (1/1000)."""

    shift_s: float = 0.0
    seconds: bool = False


class Garbage(BookFault, frozen=True, kw_only=True):
    """Every n-th frame is garbage: bytes that are no text, half a frame, a depth of 100,000."""

    how: Literal["bytes", "half", "deep"]
    every: int = 2


class Refuse(Fault, frozen=True, kw_only=True):
    """These symbols are listed but unknown to the sockets; refused as the venue refuses."""

    symbols: tuple[str, ...]


class Delist(Fault, frozen=True, kw_only=True):
    """These symbols are neither listed nor sent nor subscribed. With until_s: listed from then."""

    symbols: tuple[str, ...]


class Freeze(Fault, frozen=True, kw_only=True):
    """These symbols send nothing, although they are listed, subscribed and acknowledged."""

    symbols: tuple[str, ...]


class Halt(Freeze, frozen=True, kw_only=True):
    """As frozen, and the venue says so: in the status that its list has, or by leaving them out,
    on its status channel, and in its tickers.

    shows: what stands in the tickers; "venue" is that venue's own way. With another one a
    symbolStatus=TRADING does not leave the pair out.
    """

    shows: Literal["venue", "zeros", "empty", "absent", "last"] = "venue"


class Shrink(Fault, frozen=True, kw_only=True):
    """The instrument list lacks this share of its rows, drawn by the seed."""

    share: float = 0.6


_Page = Literal["instruments", "time", "funding", "tickers", "ask", "maintenance", "*"]


class RestFault(Fault, frozen=True, kw_only=True):
    """Befalls REST answers. requests: which of that page, the first is 1; none named = each.

    tickers: what is told of all pairs; ask: of those that a request names. "*": every page.
    """

    page: _Page = "instruments"
    requests: tuple[int, ...] = ()


class Status(RestFault, frozen=True, kw_only=True):
    """An error status; html: with a page for people, as a firewall sends it."""

    status: int
    retry_after_s: int | None = None
    html: bool = False


class Hang(RestFault, frozen=True, kw_only=True):
    """No answer for so long."""

    hang_s: float = 3_600.0


class PartialPage(RestFault, frozen=True, kw_only=True):
    """Status 200, and half of the body."""


class MissingPage(RestFault, frozen=True, kw_only=True):
    """Every page after the first is status 404 (Bybit's lists have pages)."""


class Stale(RestFault, frozen=True, kw_only=True):
    """What is told is age_s old. row_times "now": and its times are as if it were not."""

    page: _Page = "tickers"
    age_s: float
    row_times: Literal["old", "now"] = "old"


class Cached(RestFault, frozen=True, kw_only=True):
    """An answer is made every age_s, counted from at_s, and given to all until the next."""

    page: _Page = "tickers"
    age_s: float


class MissingRows(RestFault, frozen=True, kw_only=True):
    """A whole answer without this share of its rows, drawn by the seed. same: always the same."""

    page: _Page = "tickers"
    share: float = 0.5
    same: bool = False


class RowFault(RestFault, frozen=True, kw_only=True):
    """Befalls some rows of an answer. symbols: as the venue writes them; none = all."""

    page: _Page = "tickers"
    symbols: tuple[str, ...] = ()


class KeptRows(RowFault, frozen=True, kw_only=True):
    """A row that was shown is shown so again for age_s, among others that are made anew."""

    age_s: float


class DoubleRows(RowFault, frozen=True, kw_only=True):
    """A second row follows, which shows no book."""


class RowClock(RowFault, frozen=True, kw_only=True):
    """The rows' own times are off, those of the others are not."""

    shift_s: float


class WrongShape(RestFault, frozen=True, kw_only=True):
    """Status 200 and something else. text: its numbers as text; numbers: its text as numbers.

    redirect: status 302, to a host that has the page.
    """

    page: _Page = "tickers"
    how: Literal[
        "other_venue", "html", "redirect", "half", "text", "numbers", "empty_list", "error_body"
    ]


class PageClock(RestFault, frozen=True, kw_only=True):
    """The clock that pages are made by is off: their own time and that of their rows."""

    page: _Page = "*"
    shift_s: float


class Maintenance(Fault, frozen=True, kw_only=True):
    """A maintenance on the page of the system's status; begins and ends so long after the start."""

    title: str = "System upgrade"
    begin_s: float
    end_s: float


KINDS: dict[str, type[Fault]] = {
    "mute": Mute, "busy": Busy, "half_open": HalfOpen, "drip": Drip, "huge_frame": HugeFrame,
    "endless_frame": EndlessFrame, "close": Close, "restart": Restart,
    "prices": Prices, "old_ids": OldIds, "clock": Clock, "garbage": Garbage,
    "refuse": Refuse, "delist": Delist, "shrink": Shrink, "freeze": Freeze, "halt": Halt,
    "status": Status, "hang": Hang, "partial_page": PartialPage, "missing_page": MissingPage,
    "stale": Stale, "cached": Cached, "missing_rows": MissingRows, "wrong_shape": WrongShape,
    "kept_rows": KeptRows, "double_rows": DoubleRows, "row_clock": RowClock,
    "page_clock": PageClock, "maintenance": Maintenance,
}  # fmt: skip


def read_faults(path: Path) -> tuple[Fault, ...]:
    """Return the faults of a TOML file. ConfigError: not readable, or an entry makes no sense."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}, expected a fault script") from None
    except ValueError as error:  # of TOML or of UTF-8
        raise ConfigError(f"{path}: {error}, expected TOML") from None
    other = sorted(table.keys() - {"fault"})
    entries = table.get("fault", [])
    if other or not isinstance(entries, list):
        found = f"key '{other[0]}'" if other else f"fault = {entries!r}"
        raise ConfigError(f"{path}: found {found}, expected [[fault]] entries only")
    return tuple(_read(f"{path}: fault {n}", entry) for n, entry in enumerate(entries, 1))


def check(faults: Sequence[Fault]) -> None:
    """Raise a ConfigError for the first fault whose values make no sense."""
    for n, fault in enumerate(faults, 1):
        _check(f"fault {n}", fault)


def _read(where: str, entry: Any) -> Fault:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: found {entry!r}, expected a table")
    values = dict(entry)
    what = values.pop("what", None)
    kind = KINDS.get(what) if isinstance(what, str) else None
    if kind is None:
        raise ConfigError(f"{where}: found what = {what!r}, expected one of {', '.join(KINDS)}")
    known = kind.__struct_fields__
    unknown = sorted(values.keys() - set(known))
    if unknown:
        raise ConfigError(
            f"{where} ({what}): found key '{unknown[0]}', expected one of {', '.join(known)}"
        )
    try:
        fault = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where} ({what}): {_sentence(kind, values, error)}") from None
    _check(f"{where} ({what})", fault)
    return fault


def _sentence(kind: type[Fault], values: dict[str, Any], error: Exception) -> str:
    key = str(error).rpartition("$.")[2].split("`")[0].split("[")[0]
    if key not in values:
        return f"{error}"  # Object missing required field ...
    choices = get_args(kind.__annotations__.get(key))
    expected = f"one of {', '.join(map(str, choices))}" if choices else str(error).split(" - ")[0]
    return f"found {key} = {values[key]!r}, expected {expected.removeprefix('Expected ')}"


def _check(where: str, fault: Fault) -> None:
    if fault.source != "*" and fault.source not in built_in().source:
        names = ", ".join(("*", *built_in().source))
        raise ConfigError(f"{where}: found source '{fault.source}', expected one of {names}")
    if not 0.0 <= fault.at_s < fault.until_s:
        raise ConfigError(
            f"{where}: found at_s = {fault.at_s:g}, until_s = {fault.until_s:g}, "
            "expected 0 <= at_s < until_s"
        )
    if isinstance(fault, Restart) and fault.source not in ("*", *ANNOUNCING):
        raise ConfigError(
            f"{where}: {fault.source} announces nothing, expected one of {', '.join(ANNOUNCING)}"
        )
    if isinstance(fault, Maintenance):
        if fault.source not in ("*", *MAINTAINED):
            raise ConfigError(
                f"{where}: {fault.source} has no page for it, expected one of "
                f"{', '.join(MAINTAINED)}"
            )
        if not fault.begin_s < fault.end_s:
            raise ConfigError(
                f"{where}: found begin_s = {fault.begin_s:g}, end_s = {fault.end_s:g}, "
                "expected begin_s < end_s"
            )
    for key, (least, most) in _RANGES.items():
        found = getattr(fault, key, None)
        for value in found if isinstance(found, tuple) else () if found is None else (found,):
            if not least <= value <= most:
                told = f"{least} or more" if most == inf else f"{least} to {most:g}"
                raise ConfigError(f"{where}: found {key} = {value}, expected {told}")
