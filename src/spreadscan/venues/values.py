"""JSON bodies and the values in them, read alike for every venue: names, numbers, times, words.

What is no name, no number or no time is so here once for all; no body makes these raise anything
but our errors.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from spreadscan.errors import BadFrame
from spreadscan.types import ROWS_MAX
from spreadscan.venues.answers import Row, rest_error

MISSING_FIELD = "missing_field"
UNKNOWN_STATUS = "unknown_status"

_INF = float("inf")
_LONG_BYTES = 256 * 1024
# Of a body, per value in it: 16 MB of {} become 5.6 million objects, hundreds of MB, while nobody
# else has the interpreter. Venues' lists have 15 or more (2026-11).
_LEAST_BYTES = 6
_DENSE_FROM_BYTES = 32 * 1024
_DEEPEST = 2  # such lists stand no deeper in an answer
_LOOK_BYTES = 64
# What the sockets' decoders take for a number; float() takes "1_0", " 1", "nan" and more
is_decimal = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_NAME = re.compile(r"""[^ "',\\]{1,64}""").fullmatch  # of printable text: no other blanks


class _RowList(list[Any]):
    """The values of a long list, each decoded when it is come to.

    All at once they take ten times their text, and decoding them holds up whoever waits for the
    interpreter.
    """

    def __iter__(self) -> Iterator[Any]:
        try:
            for raw in super().__iter__():
                yield orjson.loads(memoryview(raw))
        except ValueError as error:
            raise BadFrame(
                f"found a row that is no JSON ({error}), expected a list of rows"
            ) from None


def _body(payload: bytes, what: str) -> Any:
    """Return the JSON value that a body is, None for one that is no JSON.

    BadFrame for one that costs more than a list of the venue's can: too many values or rows.
    """
    if len(payload) >= _DENSE_FROM_BYTES:
        n_values = sum(map(payload.count, (b",", b"[", b"{")))
        if n_values * _LEAST_BYTES > len(payload):
            raise BadFrame(
                f"{what}: found {n_values:,} values in {len(payload):,} bytes, expected "
                f"{_LEAST_BYTES} bytes or more for each"
            )
    try:
        return _decoded(payload)
    except ValueError:
        return None


def _decoded(text: bytes | memoryview, depth: int = 0) -> Any:
    """Return a JSON value, the long lists at its top as _RowList. ValueError for what is none."""
    begin = bytes(text[:_LOOK_BYTES]).lstrip()[:1]
    if len(text) < _LONG_BYTES or depth > _DEEPEST or begin not in (b"[", b"{"):
        return orjson.loads(text)
    try:
        if begin == b"[":
            rows = msgspec.json.decode(text, type=list[msgspec.Raw])
            if len(rows) > ROWS_MAX:
                raise BadFrame(f"found {len(rows):,} rows in a list, expected {ROWS_MAX:,} at most")
            return _RowList(rows)
        values = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return {key: _decoded(memoryview(value), depth + 1) for key, value in values.items()}


def json_object(frame: bytes | memoryview) -> dict[str, Any] | None:
    """Return the JSON object that frame is, None for anything else. Never raises."""
    try:
        value = orjson.loads(frame)
    except ValueError:
        return None
    return value if type(value) is dict else None


def page_object(payload: bytes, what: str = "instruments") -> dict[str, Any]:
    """Return the JSON object of a REST answer; BadFrame shows only how the body begins."""
    page = _body(payload, what)
    if type(page) is not dict:
        raise BadFrame(f"{what}: found {payload[:60]!r}, expected a JSON object")
    return page


GOOD_CODES = ("", "0", "200")  # no venue's error: the body of another venue, if none of ours


def page_rows(
    payload: bytes,
    exchange: str,
    table: Sequence[Row],
    what: str,
    *,
    symbol_key: str = "symbol",
    code_key: str = "code",
    words_key: str = "msg",
) -> list[Any]:
    """Return the rows of an answer that is a bare list, or that one row where one was asked for.

    Raises what an error body (an object with a code, maybe words) is by that table, BadFrame for
    anything else.
    """
    page = _body(payload, f"{exchange} {what}")
    if isinstance(page, list):
        return page
    if type(page) is dict:
        code = label(page.get(code_key))
        if code not in GOOD_CODES:
            raise rest_error(exchange, table, code, label(page.get(words_key)))
        if symbol_key in page:
            return [page]
    raise BadFrame(f"{exchange} {what}: found {payload[:60]!r}, expected a list of rows")


class Statuses(NamedTuple):
    """A venue's words for whether a symbol trades. What stands in neither is unknown, never no.

    halted: those in which nobody can take what is quoted; over: those of them that are for good.
    """

    trades: tuple[str, ...]
    halted: tuple[str, ...]
    over: tuple[str, ...] = ()

    def trading(self, word: object) -> bool | None:
        """Return whether a symbol of that status trades, None for a word that is not known."""
        said = label(word)
        if said in self.trades:
            return True
        return False if said in self.halted or said in self.over else None

    def why_not(self, word: object) -> str:
        """Return why a row of an instrument list is left out, '' for one that trades."""
        trades = self.trading(word)
        if trades is None:
            return UNKNOWN_STATUS
        if trades:
            return ""
        return "delisted" if label(word) in self.over else "not_trading"


def label(value: object) -> str:
    """Return text as it is and a whole number as its digits: ids, codes; '' for the rest."""
    if type(value) is str:
        return value
    return str(value) if type(value) is int else ""


def name_in(row: dict[str, Any], key: str) -> str:
    """Return a symbol's or coin's name; '' where it is absent or no name.

    Any script will do, but no blanks, quotes, commas, backslashes or invisible characters:
    names go into requests, CSV rows and screens as they are.
    """
    value = row.get(key)
    if type(value) is not str or not value.isprintable() or not _NAME(value):
        return ""
    return value


def lacks(row: dict[str, Any], *keys: str) -> str:
    """Return why a row without one of these names is left out, '' where it has them all."""
    return next((f"{MISSING_FIELD}: {key}" for key in keys if not name_in(row, key)), "")


def quote_in(row: dict[str, Any], key: str, *also: str) -> str:
    """Return the currency under a key, and 'A/B' where another key says another; '' for none."""
    quote = name_in(row, key)
    others = [label(row.get(other)) for other in also] if quote else []
    return "/".join(dict.fromkeys([quote, *others]))


def positive_float(text: object) -> float:
    """Return a number from a venue's decimal text or JSON number; 0.0 for anything that is none."""
    if isinstance(text, str):
        if not is_decimal(text):
            return 0.0
    elif isinstance(text, bool) or not isinstance(text, (int, float)):
        return 0.0
    try:
        value = float(text)
    except OverflowError:  # a whole number beyond any double
        return 0.0
    return value if 0.0 < value < _INF else 0.0


def positive_text(value: object) -> str:
    """Return decimal text as it is, a JSON number as its shortest text.

    "" where positive_float() gives 0.0.
    """
    if not positive_float(value):
        return ""
    return value if isinstance(value, str) else repr(value)


def step_text(digits: object) -> str:
    """Return the step of a number with so many decimals, 2 -> "1e-2"; "" for what is no count."""
    text = label(digits)
    if not re.fullmatch("[0-9]{1,2}", text):
        return ""
    return f"1e-{int(text)}" if int(text) else "1"


def small_number(text: object) -> float | None:
    """Return a share, above -1 and below 1, from text or a JSON number; None for anything else."""
    if type(text) not in (str, int, float):
        return None
    try:
        value = float(text)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return value if -1.0 < value < 1.0 else None


def unix_ms(text: object) -> int:
    """Return a Unix time in ms from text or a whole number, 0 where it is neither."""
    digits = label(text)
    # 13 digits reach the year 2286; in ns they still fit 64 bits
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 13 else 0


def unix_s(text: object) -> int:
    """Return Unix ms of a time in s, text or a whole number, 0 where it is neither."""
    whole = int(text) if type(text) is float and text.is_integer() else text  # 1790380800.0
    digits = label(whole)
    return int(digits) * 1000 if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
