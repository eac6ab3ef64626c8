"""Tickers and order books over REST, in each venue's own shapes: what an audit asks for, and what
clients look up by hand.

A venue answers for both of its markets wherever the parameters tell them apart (Bybit, OKX).
"""

from collections.abc import Callable, Mapping, Sequence

from spreadscan.sim.pages.rows import Row, Rows
from spreadscan.sim.pages.tickers import binance, bybit, mexc, okx
from spreadscan.sim.pages.tickers.view import View
from spreadscan.types import FundingRate

__all__ = ["TICKER_PATHS", "Views", "bybit_tickers", "page_of", "ticker_page", "with_others"]

Views = Mapping[str, View]  # by source: those of one exchange
Query = Mapping[str, str]
Rates = Callable[[], Mapping[str, FundingRate]]
_Page = Callable[[Query, View, int], bytes | Rows]
_OkxPage = Callable[[Query, Views, int], bytes | Rows]

_BINANCE_SPOT: dict[str, _Page] = {
    "/api/v3/ping": binance.ping,
    "/api/v3/ticker/bookTicker": binance.spot_book_ticker,
    "/api/v3/ticker/price": binance.spot_price,
    "/api/v3/ticker/24hr": binance.spot_day,
    "/api/v3/depth": binance.spot_depth,
}
_BINANCE_FUTURES: dict[str, _Page] = {
    "/fapi/v1/ping": binance.ping,
    "/fapi/v1/ticker/bookTicker": binance.only_symbol(binance.futures_book_ticker),
    "/fapi/v1/ticker/price": binance.only_symbol(binance.futures_price),
    "/fapi/v2/ticker/price": binance.only_symbol(binance.futures_price),
    "/fapi/v1/ticker/24hr": binance.only_symbol(binance.futures_day),
    "/fapi/v1/depth": binance.futures_depth,
}
_MEXC_SPOT: dict[str, _Page] = {
    "/api/v3/ping": binance.ping,
    "/api/v3/ticker/bookTicker": binance.only_symbol(binance.spot_book_ticker),
    "/api/v3/ticker/price": binance.only_symbol(binance.spot_price),
    "/api/v3/ticker/24hr": binance.only_symbol(binance.spot_day),
    "/api/v3/depth": binance.spot_depth,
    "/api/v3/symbol/offline": binance.mexc_offline,
}
_MEXC_FUTURES: dict[str, _Page] = {
    "/api/v1/contract/ticker": mexc.ticker,
    "/api/v1/contract/depth/{symbol}": mexc.depth,
}
_OKX: dict[str, _OkxPage] = {
    "/api/v5/market/tickers": okx.tickers,
    "/api/v5/market/ticker": okx.ticker,
    "/api/v5/market/books": okx.books,
    "/api/v5/public/mark-price": okx.mark_prices,
}
_OF_ONE_SOURCE = {
    "binance-spot": _BINANCE_SPOT, "binance-futures": _BINANCE_FUTURES,
    "mexc-spot": _MEXC_SPOT, "mexc-futures": _MEXC_FUTURES,
}  # fmt: skip
_BYBIT_TICKERS, _BYBIT_BOOK = "/v5/market/tickers", "/v5/market/orderbook"

TICKER_PATHS: dict[str, tuple[str, ...]] = {
    **{source: tuple(pages) for source, pages in _OF_ONE_SOURCE.items()},
    "bybit-spot": (_BYBIT_TICKERS, _BYBIT_BOOK),
    "bybit-futures": (_BYBIT_BOOK,),  # its tickers are its funding page, too
    "okx-spot": tuple(_OKX),
    "okx-futures": tuple(_OKX),
}


def page_of(path: str, query: Query) -> str:
    """Return which page of a fault script one of the TICKER_PATHS is with a query."""
    if path.endswith(("/ping", "/offline")):
        return "time" if path.endswith("/ping") else "instruments"
    named = any(query.get(key) for key in ("symbol", "symbols", "instId"))
    return "ask" if named or path.endswith("{symbol}") else "tickers"


def ticker_page(
    source: str, path: str, query: Query, views: Views, rates: Rates, unix_ms: int
) -> bytes | Rows:
    """Return the body that a source answers to one of its TICKER_PATHS; Refusal where it refuses.

    rates: of the exchange's perpetuals, by venue symbol.
    """
    if source.startswith("okx"):
        kinds = {"SPOT": views["okx-spot"], "SWAP": views["okx-futures"]}
        return _OKX[path](query, kinds, unix_ms)
    if path == _BYBIT_TICKERS:
        return bybit_tickers(query, views, rates, unix_ms)
    if path == _BYBIT_BOOK:
        return bybit.order_book(query, _of_category(query, views, unix_ms), unix_ms)
    return _OF_ONE_SOURCE[source][path](query, views[source], unix_ms)


def bybit_tickers(query: Query, views: Views, rates: Rates, unix_ms: int) -> Rows:
    """Return Bybit's tickers: of linear contracts with their funding."""
    view = _of_category(query, views, unix_ms)
    return bybit.tickers(query, view, unix_ms, rates() if query["category"] == "linear" else {})


def with_others(page: Rows, others: Sequence[str], zeros: Sequence[str] = ()) -> Rows:
    """Return a page of all pairs with more rows: of pairs that nobody here trades, as the first.

    zeros: those that Binance's spot has kept for years without a book.
    """

    def whole(rows: list[Row]) -> bytes:
        if not rows:
            return page.whole(rows)
        first, key = rows[0], "instId" if "instId" in rows[0] else "symbol"
        none = first | dict.fromkeys(first.keys() - {key}, "0.00000000")
        rows = rows + [first | {key: symbol} for symbol in others]
        return page.whole(rows + [none | {key: symbol} for symbol in zeros])

    return page._replace(whole=whole)


def _of_category(query: Query, views: Views, unix_ms: int) -> View:
    source = {"spot": "bybit-spot", "linear": "bybit-futures"}.get(query.get("category", ""))
    if source is None:
        raise bybit.refuse("params error: category is invalid", unix_ms)
    return views[source]
