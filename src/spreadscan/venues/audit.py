"""Answers to the audit, as far as venues answer alike: tickers, statuses, maintenance.

Each exchange's file says which keys hold what; what is a price or a name is decided in values.py.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote

from spreadscan.errors import BadFrame, printable
from spreadscan.venues.base import Maintenance, RestRequest, StatusChange, Ticker
from spreadscan.venues.values import Statuses, label, name_in, positive_float, unix_ms

_STATES: dict[str, Literal["scheduled", "ongoing"]] = {
    "scheduled": "scheduled",
    "ongoing": "ongoing",
    "pre_open": "ongoing",  # orders are taken and not yet matched
}
_TITLE_MAX = 200


def ask_one(path: str, key: str, before: str = "", weight: int = 1) -> Callable[..., RestRequest]:
    """Return an AuditPages.ask_request about one symbol; before: what stands before it ("a=b&")."""

    def request(venue_symbols: Sequence[str]) -> RestRequest:
        (symbol,) = venue_symbols
        return RestRequest(path, f"{before}{key}={quote(symbol, safe='')}", weight)

    return request


def read_tickers(
    rows: list[Any], what: str, symbol_key: str, bid_key: str, ask_key: str, ms_key: str = ""
) -> list[Ticker]:
    """Return what each row with a symbol shows; prices and times are text or numbers.

    BadFrame where there are rows and none of them has a symbol and one of the prices' keys: that
    is no list of tickers, and would make every book look empty.
    """
    found = []
    known_shape = not rows
    for row in rows:
        if type(row) is not dict:
            continue
        symbol = name_in(row, symbol_key)
        if not symbol:
            continue
        known_shape = known_shape or bid_key in row or ask_key in row
        bid_px, ask_px = positive_float(row.get(bid_key)), positive_float(row.get(ask_key))
        found.append(Ticker(symbol, bid_px, ask_px, unix_ms(row.get(ms_key)) * 1_000_000))
    if not known_shape:
        raise BadFrame(
            f"{what}: found {len(rows)} rows of another shape, "
            f"expected {symbol_key}, {bid_key} and {ask_key} in them"
        )
    return found


def read_statuses(
    rows: object,
    symbol_key: str,
    status_key: str,
    statuses: Statuses,
    words: Mapping[str, str] = MappingProxyType({}),
) -> list[StatusChange]:
    """Return the status of each row (or of one) that has a symbol and one; [] for no rows.

    words: for statuses that are numbers.
    """
    found = []
    for row in rows if type(rows) is list else [rows]:
        if type(row) is not dict:
            continue
        symbol, status = name_in(row, symbol_key), label(row.get(status_key))
        if symbol and status:
            word = printable(words.get(status, status), 40)
            found.append(StatusChange(symbol, statuses.trading(status), word))
    return found


def read_maintenance(
    rows: list[Any], what: str, services: Callable[[dict[str, Any]], str]
) -> list[Maintenance]:
    """Return what is scheduled or ongoing in production (env 1), as Bybit and OKX write it.

    services(row): which of ours it is about, '' for none; that is left out, too. BadFrame where
    there are rows and none of them has a state.
    """
    found = []
    known_shape = not rows
    for row in rows:
        if type(row) is not dict:
            continue
        known_shape = known_shape or "state" in row
        state = _STATES.get(label(row.get("state")))
        about = services(row)
        if not state or not about or label(row.get("env")) not in ("", "1"):
            continue
        title = printable(label(row.get("title")), _TITLE_MAX)
        begin_ns, end_ns = (unix_ms(row.get(key)) * 1_000_000 for key in ("begin", "end"))
        found.append(Maintenance(state, title, begin_ns, end_ns, about))
    if not known_shape:
        raise BadFrame(f"{what}: found {len(rows)} rows without a state, expected one in each")
    return found
