"""OKX v5 over REST, SPOT and SWAP: every value is text but instIdCode."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

import orjson

from spreadscan.sim.coins import Coin
from spreadscan.sim.pages.base import (
    Limits,
    Lists,
    MarkPx,
    Names,
    Query,
    Rates,
    Row,
    SourcePages,
    Spent,
    TickerPage,
    Units,
    Views,
    Work,
    list_rows,
)
from spreadscan.sim.pages.maintenance import demo, past
from spreadscan.sim.pages.others import METALS, STOCKS
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers import okx as tickers
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

_SOURCES = {"SPOT": "okx-spot", "SWAP": "okx-futures"}  # by instType
UNKNOWN_TYPE = orjson.dumps({"code": "51000", "data": [], "msg": "Parameter instType error"})
UNKNOWN_ID = orjson.dumps(
    {
        "code": "51001",
        "data": [],
        "msg": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    }
)
_SPLIT_EVERY = 20  # of the swaps states its contract as ctVal * ctMult with ctMult 10


def _page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the list of instType= as instId=, instFamily= and uly= leave it; empty are none."""
    kind = query.get("instType", "")
    if kind not in (*_SOURCES, "FUTURES"):
        return UNKNOWN_TYPE
    rows = lists[_SOURCES[kind]] if kind in _SOURCES else []
    asked = {key: query[key] for key in ("instId", "instFamily", "uly") if query.get(key)}
    if asked:
        rows = [row for row in rows if all(row.get(k, "") == v for k, v in asked.items())]
        if not rows:
            return UNKNOWN_ID
    return _body(rows)


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"instId": "BTC-USDC", "quoteCcy": "USDC"},
        first | {"instId": "ETH-BTC", "baseCcy": "ETH", "quoteCcy": "BTC"},
        first | {"instId": "PAUSE-USDT", "baseCcy": "PAUSE", "state": "suspend"},
        first | {"instId": "TRY-USDT", "baseCcy": "TRY", "state": "test"},
        _placeholder("SPOT", "SOON-USDT"),
        _placeholder("SPOT", "LISTING-SPOT-XXX-USDT"),
    ]


def _swap_others(first: Row) -> list[Row]:
    inverse = {"ctType": "inverse", "ctVal": "100", "ctValCcy": "USD", "settleCcy": "BTC"}
    return [
        first | inverse | _named("BTC-USD"),
        first | {"settleCcy": "USDC"} | _named("BTC-USDC"),
        first | {"settleCcy": "USD"} | _named("BTC-USD_UM"),
        first | {"ctValCcy": "AAPL", "instCategory": "3"} | _named("AAPL-USDT"),
        first | {"ctValCcy": "EARLY", "ruleType": "pre_market"} | _named("EARLY-USDT"),
        first | {"ctValCcy": "SPLIT", "ruleType": "rebase_contract"} | _named("SPLIT-USDT"),
        first | {"ctValCcy": "MAKER", "state": "post_only"} | _named("MAKER-USDT"),
        _placeholder("SWAP", "SOON-USDT-SWAP"),
    ]


def _funding(query: Query, rates: Sequence[FundingRate], mark_px: MarkPx, unix_ms: int) -> bytes:
    """Return the funding of every swap, which instId=ANY asks for, or of the one that it names."""
    named = query.get("instId", "")
    if named != "ANY":
        rates = [rate for rate in rates if rate.symbol == named]
        if not rates:
            return UNKNOWN_ID
    rows = [
        {
            "formulaType": "withRate",
            "fundingRate": decimal_text(rate.rate),
            "fundingTime": str(rate.next_ns // 1_000_000),
            "instId": rate.symbol,
            "instType": "SWAP",
            "method": "current_period",
            "nextFundingRate": "",
            "nextFundingTime": str(rate.next_ns // 1_000_000 + 28_800_000),
            "settFundingRate": "0.0001",
            "settState": "settled",
            "ts": str(unix_ms),
        }
        for rate in rates
    ]
    return _body([*rows, rows[0] | {"instId": "BTC-USD-SWAP"}] if named == "ANY" else rows)


def _named(family: str) -> Row:
    return {"instId": f"{family}-SWAP", "instFamily": family, "uly": family}


def _body(rows: list[Row]) -> bytes:
    return orjson.dumps({"code": "0", "data": rows, "msg": ""})


def _spot_row(n: int, i: Instrument) -> Row:
    return _row(n, i) | {"baseCcy": i.base, "quoteCcy": i.quote, "tradeQuoteCcyList": [i.quote]}


def _swap_row(n: int, i: Instrument) -> Row:
    split = n % _SPLIT_EVERY == _SPLIT_EVERY - 1 and i.contract_size >= 10.0
    family = f"{i.base}-{i.quote}"
    return _row(n, i) | {
        "baseCcy": "",
        "quoteCcy": "",
        "ctMult": "10" if split else "1",
        "ctType": "linear",
        "ctVal": decimal_text(i.contract_size / 10 if split else i.contract_size),
        "ctValCcy": i.base,
        "instFamily": family,
        "instType": "SWAP",
        "settleCcy": i.quote,
        "tradeQuoteCcyList": [],
        "uly": family,
    }


def _row(n: int, i: Instrument) -> Row:
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "",
        "category": "1",
        "ctMult": "",
        "ctType": "",
        "ctVal": "",
        "ctValCcy": "",
        "expTime": "",
        "groupId": "1",
        "instCategory": "1",
        "instFamily": "",
        "instId": i.venue_symbol,
        "instIdCode": 10_000 + n,
        "instType": "SPOT",
        "lever": "10",
        "listTime": "1573557408000",
        "lotSz": decimal_text(i.lot_step),
        "maxIcebergSz": decimal_text(i.max_qty),
        "maxLmtAmt": "20000000",
        "maxLmtSz": decimal_text(i.max_qty),
        "maxMktAmt": "",
        "maxMktSz": decimal_text(i.max_qty),
        "minSz": decimal_text(i.min_qty),
        "optType": "",
        "quoteCcy": "",
        "ruleType": "normal",
        "settleCcy": "",
        "state": "live",
        "stk": "",
        "tickSz": decimal_text(i.tick),
        "uly": "",
    }


def _placeholder(inst_type: str, inst_id: str) -> Row:
    # New listings show up with nearly all fields empty.
    return {"instId": inst_id, "instType": inst_type, "listTime": "1798185600000",
            "state": "preopen", "baseCcy": "", "quoteCcy": "", "ctVal": ""}  # fmt: skip


def _time(unix_ns: int) -> Row:
    return {"code": "0", "data": [{"ts": str(unix_ns // 1_000_000)}], "msg": ""}


def _of_kinds(page: tickers.Page) -> TickerPage:
    def ask(query: Query, views: Views, rates: Rates, unix_ms: int) -> bytes | Rows:
        return page(query, {kind: views[name] for kind, name in _SOURCES.items()}, unix_ms)

    return ask


def _maintenance(query: Query, works: Sequence[Work], unix_ms: int) -> bytes:
    """Return what state= asks for, without one only what is not over; of the demo trading, too."""
    told = [(work, work.state(unix_ms), 1) for work in works] + past(unix_ms)
    if works:
        told.append((demo(unix_ms), "ongoing", 2))
    asked = query.get("state")
    states = (asked,) if asked else ("scheduled", "ongoing", "pre_open")
    return _body([_work(*entry) for entry in told if entry[1] in states])


def _work(work: Work, state: str, env: int) -> Row:
    return {
        "begin": str(work.begin_ms),
        "end": str(work.end_ms),
        "href": "",
        "preOpenBegin": "",
        "scheDesc": "",
        "serviceType": "5",
        "state": state,
        "maintType": "1",
        "env": str(env),
        "system": "unified",
        "title": work.title,
    }


# -- what real lists hold


def _spot_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    first = rows[0]
    for base in ("EARLY", "LATER"):
        yield _hardly_a_row("SPOT", f"{base}-USDT")
        yield _hardly_a_row("SPOT", f"LISTING-SPOT-{base}-USDT")
    for state in ("suspend", "preopen", "rebase", "settling", "a_new_state"):
        base = next(names)
        yield first | {"instId": f"{base}-USDT", "baseCcy": base, "state": state}
    quotes = ("USD", "USDC", "EUR", "BTC", "ETH", "BRL", "AED", "TRY")
    own = [row for row in rows if row.get("baseCcy")]
    for i in range(8 * len(own)):
        row, quote = own[i // len(quotes)], quotes[i % len(quotes)]
        name = f"{row['baseCcy']}-{quote}"
        if row["baseCcy"] != quote:
            yield row | {"instId": name, "quoteCcy": quote, "tradeQuoteCcyList": [quote]}


def _swap_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    first = rows[0]

    def row(family: str, **fields: object) -> Row:
        name = {"instId": f"{family}-SWAP", "instFamily": family, "uly": family}
        return first | name | fields

    for base in ("ETH", "SOL", "XRP", "LTC", "BCH", "DOGE", "ADA", "AVAX", "DOT", "LINK"):
        inverse = {"ctType": "inverse", "ctVal": "10", "ctValCcy": "USD"}
        yield row(f"{base}-USD", settleCcy=base, **inverse)
    for base in (*STOCKS[1:], *METALS):
        yield row(f"{base}-USDT", ctValCcy=base, instCategory="4" if base in METALS else "3")
    for state in ("suspend", "preopen", "test", "settling", "rebase"):
        base = next(names)
        yield row(f"{base}-USDT", ctValCcy=base, state=state)
    yield _hardly_a_row("SWAP", "LATER-USDT-SWAP")
    own = [r for r in rows[1:] if r.get("ctType") == "linear" and r["settleCcy"] == "USDT"]
    for template, quote in zip(own, cycle(("USD_UM", "USDC")), strict=False):
        base = template["ctValCcy"]
        name = row(f"{base}-{quote}", ctValCcy=base, settleCcy=quote.removesuffix("_UM"))
        yield template | {key: name[key] for key in ("instId", "instFamily", "uly", "settleCcy")}


def _hardly_a_row(inst_type: str, inst_id: str) -> Row:
    return {"instId": inst_id, "instType": inst_type, "listTime": "", "state": "preopen"}


# -- limits


def _beyond(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    return 429, {}, orjson.dumps({"code": "50011", "data": [], "msg": "Too Many Requests"})


def _swap_lot(coin: Coin) -> int:
    return -2 if coin.rank < 5 else -1 if coin.rank < 30 else 0


_SPOT = SourcePages(
    units=Units(small=278, real=290, rows=700, symbol="{}-USDT", symbol_usdc="{}-USDC"),
    limits=Limits(
        pool=(20, 2.0),
        paths={
            "/api/v5/public/time": (10, 2.0),
            "/api/v5/public/mark-price": (10, 2.0),
            "/api/v5/market/books": (40, 2.0),
            "/api/v5/system/status": (1, 5.0),
        },
        per_path=True,
        kind_key="instType",
        refusal=_beyond,
    ),
    instruments_path="/api/v5/public/instruments",
    rows=list_rows(_spot_row, _spot_others),
    page=_page,
    time_path="/api/v5/public/time",
    time=_time,
    symbol_keys=("instId",),
    base_of=lambda row: str(row.get("baseCcy", "")),
    live={"state": "live"},
    halted={"state": "suspend"},
    gone={"state": "expired"},
    shows_halted="empty",
    shows_new="empty",
    tickers={
        "/api/v5/market/tickers": _of_kinds(tickers.tickers),
        "/api/v5/market/ticker": _of_kinds(tickers.ticker),
        "/api/v5/market/books": _of_kinds(tickers.books),
        "/api/v5/public/mark-price": _of_kinds(tickers.mark_prices),
    },
    maintenance_path="/api/v5/system/status",
    maintenance=_maintenance,
    error={"code": "50001", "data": [], "msg": "Service temporarily unavailable. Try again later"},
    crowd=_spot_crowd,
)
PAGES = {
    "okx-spot": _SPOT,
    "okx-futures": replace(
        _SPOT,
        units=Units(
            small=252,
            real=280,
            rows=370,
            symbol="{}-USDT-SWAP",
            symbol_usdc="{}-USDC-SWAP",
            contract_usdt=10.0,
            contract_size={
                "BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "DOGE": 1e3, "PEPE": 1e7, "SHIB": 1e6,
                "BONK": 1e5, "FLOKI": 1e5, "SATS": 1e7, "BABYDOGE": 1e9,
            },
            lot_exponent=_swap_lot,
        ),
        rows=list_rows(_swap_row, _swap_others),
        base_of=lambda row: str(row.get("ctValCcy", "")),
        funding_path="/api/v5/public/funding-rate",
        funding=_funding,
        crowd=_swap_crowd,
    ),
}  # fmt: skip
