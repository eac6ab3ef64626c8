"""The REST pages of the simulated venues: instruments, funding, time; in each venue's own shape.

Every list of the market carries a few rows that a scanner of USDT pairs has to leave out; crowd.py
has as many of them as real lists.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from functools import partial

import orjson

from spreadscan.catalogue import built_in
from spreadscan.sim.pages import binance, bybit, filters, mexc, okx
from spreadscan.sim.pages.rows import Row, symbol_of
from spreadscan.types import FundingRate, Instrument

__all__ = [
    "FUNDING_PATHS",
    "INSTRUMENT_PATHS",
    "TIME_PATHS",
    "Pages",
    "funding_page",
    "time_page",
]

INSTRUMENT_PATHS: dict[str, str] = {
    "binance-spot": "/api/v3/exchangeInfo",
    "binance-futures": "/fapi/v1/exchangeInfo",
    "bybit-spot": "/v5/market/instruments-info",
    "bybit-futures": "/v5/market/instruments-info",
    "mexc-spot": "/api/v3/exchangeInfo",
    "mexc-futures": "/api/v1/contract/detail",
    "okx-spot": "/api/v5/public/instruments",
    "okx-futures": "/api/v5/public/instruments",
}
TIME_PATHS: dict[str, str] = {
    "binance-spot": "/api/v3/time",
    "binance-futures": "/fapi/v1/time",
    "bybit-spot": "/v5/market/time",
    "bybit-futures": "/v5/market/time",
    "mexc-spot": "/api/v3/time",
    "mexc-futures": "/api/v1/contract/ping",
    "okx-spot": "/api/v5/public/time",
    "okx-futures": "/api/v5/public/time",
}
FUNDING_PATHS: dict[str, str] = {
    "binance-futures": "/fapi/v1/premiumIndex",
    "bybit-futures": "/v5/market/tickers",
    "mexc-futures": "/api/v1/contract/funding_rate",
    "okx-futures": "/api/v5/public/funding-rate",
}

_WHOLE = {
    "binance-spot": binance.spot_page,
    "binance-futures": binance.futures_page,
    "mexc-spot": mexc.spot_page,
}


class Pages:
    """The instrument pages of all sources; rendered once, Bybit's linear list page by page.

    others: with rows of pairs that nobody trades here. more: gives, of a source and the rows of its
    list so far, what else it holds.
    """

    def __init__(
        self,
        instruments: Sequence[Sequence[Instrument]],
        unix_ms: int,
        bybit_page_rows: int = bybit.PAGE_ROWS,
        others: bool = True,
        more: Callable[[str, list[Row]], list[Row]] | None = None,
    ) -> None:
        self._unix_ms = unix_ms
        self._bybit_page_rows = bybit_page_rows
        self._others = others
        self._more = more
        self._bybit: dict[str, list[Row]] = {}
        self._okx: dict[str, bytes] = {"FUTURES": okx.page([])}
        self._whole: dict[str, bytes] = {}
        for source, listed in zip(built_in().sources, instruments, strict=True):
            self._render(source.name, listed)

    def with_listed(self, source_name: str, listed: Sequence[Instrument]) -> "Pages":
        """Return the pages as they are with another list at one source."""
        other = copy(self)
        other._render(source_name, listed)
        return other

    def with_halted(self, source_name: str, symbols: Collection[str]) -> "Pages":
        """Return the pages as they are with these pairs of one source halted."""
        other, name = copy(self), source_name
        if name.startswith("bybit"):
            category = "spot" if name == "bybit-spot" else "linear"
            rows = filters.halted_rows(name, self._bybit[category], symbols)
            other._bybit = self._bybit | {category: rows}
        elif name.startswith("okx"):
            kind = "SPOT" if name == "okx-spot" else "SWAP"
            other._okx = self._okx | {kind: filters.with_halts(name, self._okx[kind], symbols)}
        else:
            other._whole = self._whole | {
                name: filters.with_halts(name, self._whole[name], symbols)
            }
        return other

    def rows(self, source_name: str) -> dict[str, Row]:
        """Return the rows of one source's list, by venue symbol."""
        exchange, _, market = source_name.partition("-")
        if exchange == "bybit":
            found = self._bybit["spot" if market == "spot" else "linear"]
        else:
            body = self._whole.get(source_name) or self._okx["SPOT" if market == "spot" else "SWAP"]
            page = orjson.loads(body)
            found = page.get("symbols") or page["data"]
        return {symbol_of(row): row for row in found}

    def _render(self, name: str, listed: Sequence[Instrument]) -> None:
        # new dicts: a copy of these pages keeps its own
        others, unix_ms = self._others, self._unix_ms
        more = partial(self._more, name) if self._more else None
        if name == "bybit-spot":
            self._bybit = self._bybit | {"spot": bybit.spot_rows(listed, others, more)}
        elif name == "bybit-futures":
            self._bybit = self._bybit | {"linear": bybit.linear_rows(listed, others, more)}
        elif name == "okx-spot":
            self._okx = self._okx | {"SPOT": okx.page(okx.spot_rows(listed, others, more))}
        elif name == "okx-futures":
            self._okx = self._okx | {"SWAP": okx.page(okx.swap_rows(listed, others, more))}
        elif name == "mexc-futures":
            self._whole = self._whole | {name: mexc.futures_page(listed, others, more)}
        else:
            render = _WHOLE[name]
            self._whole = self._whole | {name: render(listed, unix_ms, others, more)}

    def get(self, source_name: str, query: Mapping[str, str]) -> bytes:
        """Return the body that the source answers to INSTRUMENT_PATHS, or a Refusal."""
        exchange = source_name.partition("-")[0]
        if exchange == "bybit":
            rows = self._bybit.get(query.get("category", ""))
            return bybit.page(rows, query, self._unix_ms, self._bybit_page_rows)
        if exchange == "okx":
            body = self._okx.get(query.get("instType", ""), okx.UNKNOWN_TYPE)
            return filters.okx(body, query)
        return filters.OF[source_name](self._whole[source_name], query)


def funding_page(
    source_name: str,
    query: Mapping[str, str],
    rates: Sequence[FundingRate],
    mark_px: Callable[[str], float],
    unix_ns: int,
) -> bytes:
    """Return the body that a perpetual source answers to FUNDING_PATHS with this query.

    Bybit's is its tickers page (tickers/). Refusal: where the query names no contract of it.
    """
    ms = unix_ns // 1_000_000
    exchange = source_name.partition("-")[0]
    if exchange == "okx":
        return okx.funding_page(rates, query, ms)
    if exchange == "mexc":
        return mexc.funding_page(rates, ms)
    return binance.funding_page(rates, query, mark_px, ms)


def time_page(source_name: str, unix_ns: int) -> bytes:
    """Return the body that the source answers to TIME_PATHS."""
    ms = unix_ns // 1_000_000
    exchange = source_name.partition("-")[0]
    body: dict[str, object] = {"serverTime": ms}
    if exchange == "bybit":
        result = {"timeSecond": str(ms // 1000), "timeNano": str(unix_ns)}
        body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": ms}
    elif exchange == "okx":
        body = {"code": "0", "data": [{"ts": str(ms)}], "msg": ""}
    elif source_name == "mexc-futures":
        body = {"success": True, "code": 0, "data": ms}
    return orjson.dumps(body)
