"""What real lists hold beside USDT pairs that trade: other quotes, dated contracts, stocks, rests.

Each venue's part fills a list up to the rows that it has, with the kinds of rows, names, states and
spellings that were recorded of it. Nothing of this is ever traded; a scanner has to leave it out.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, cycle, islice
from typing import Any

from spreadscan.sim.coins import invent

Row = dict[str, Any]
Names = Iterator[str]  # tickers that the list does not have yet

STOCKS = (
    "AAPL", "AMD", "AMZN", "BABA", "COIN", "CRCL", "GME", "GOOGL", "HOOD", "INTC", "JPM", "KO",
    "MA", "MCD", "META", "MSFT", "MSTR", "MU", "NFLX", "NVDA", "ORCL", "PLTR", "QQQ", "SPY", "TSLA",
    "TSM", "UBER", "V", "WMT", "XOM",
)  # fmt: skip
METALS = ("XAU", "XAG", "XPT", "XPD", "COPPER")
CURRENCIES = ("EUR", "GBP", "JPY", "CHF", "AUD")
_DATES = ("261204", "261211", "261225", "270326", "270625")
_MONTHS = ("04DEC26", "11DEC26", "25DEC26", "29JAN27", "26MAR27", "25JUN27")


def filler(rows: Mapping[str, int], seed: int) -> Callable[[str, list[Row]], list[Row]]:
    """Return what gives the rows that a source's list lacks of its total, `rows` by source.

    The same for a seed; as many as for the first list of a source where another one is shorter.
    """
    lacking: dict[str, int] = {}

    def more(source: str, listed: list[Row]) -> list[Row]:
        names = _names(random.Random(f"{seed}/crowd/{source}"), listed)
        new = _once(_CROWDS[source](listed, names), {_symbol(row) for row in listed})
        return list(islice(new, lacking.setdefault(source, max(0, rows[source] - len(listed)))))

    return more


def _once(rows: Iterator[Row], seen: set[str]) -> Iterator[Row]:
    for row in rows:
        if _symbol(row) not in seen:
            seen.add(_symbol(row))
            yield row


def _symbol(row: Row) -> str:
    return str(row.get("symbol") or row.get("instId"))


def _names(rng: random.Random, listed: list[Row]) -> Names:
    taken = {str(row.get(key)) for row in listed for key in _BASES if row.get(key)}
    while True:
        yield from invent(rng, 50, taken)


_BASES = ("baseAsset", "baseCoin", "baseCcy", "ctValCcy")


def _quoted(rows: list[Row], quotes: tuple[str, ...], n: int) -> Iterator[tuple[Row, str, str]]:
    """Yield n (template, its base, another quote): the most traded coins against each in turn."""
    own = [row for row in rows[: 4 * n] if row.get("baseAsset") or row.get("baseCoin")]
    for i in range(min(n, len(quotes) * len(own))):
        row, quote = own[i // len(quotes)], quotes[i % len(quotes)]
        yield row, row.get("baseAsset") or row["baseCoin"], quote


# -- Binance


def _binance_spot(rows: list[Row], names: Names) -> Iterator[Row]:
    """Most rows of exchangeInfo are pairs that stopped trading years ago."""
    for row, base, quote in _quoted(rows, ("FDUSD", "TRY", "BTC", "BNB", "EUR", "USD1"), 900):
        if base != quote:
            yield row | {"symbol": f"{base}{quote}", "quoteAsset": quote}
    first = rows[0]
    for base in STOCKS:  # tokenised: ordinary rows against another dollar
        yield first | {"symbol": f"{base}BUSD1", "baseAsset": f"{base}B", "quoteAsset": "USD1"}
    for base in ("BTCUP", "BTCDOWN", "ETHUP", "ETHDOWN", "ADABULL", "XRPBEAR"):
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": "BREAK"}
    for status in ("HALT", "CANCEL_ONLY", "END_OF_DAY", "SOMETHING_NEW"):
        base = next(names)
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": status}
    for quote in cycle(("USDT", "BTC", "BNB", "BUSD", "ETH", "TUSD", "USDT", "PAX")):
        base = next(names)
        old = {"status": "BREAK", "quoteAsset": quote, "isSpotTradingAllowed": quote != "PAX"}
        yield first | {"symbol": f"{base}{quote}", "baseAsset": base} | old


def _binance_futures(rows: list[Row], names: Names) -> Iterator[Row]:
    first = rows[0]

    def row(base: str, **fields: object) -> Row:
        symbol = {"symbol": f"{base}USDT", "pair": f"{base}USDT", "baseAsset": base}
        return first | symbol | fields

    for base in (*STOCKS[1:], "SAMSUNG", "HYNIX"):
        kind = "KR_EQUITY" if base in ("SAMSUNG", "HYNIX") else "EQUITY"
        yield row(base, contractType="TRADIFI_PERPETUAL", underlyingType=kind)
    for base in METALS:
        yield row(base, contractType="TRADIFI_PERPETUAL", underlyingType="COMMODITY")
    for template, base, quote in _quoted(rows, ("USDC", "USD1"), 90):
        new = {"symbol": f"{base}{quote}", "pair": f"{base}{quote}"}
        yield template | new | {"quoteAsset": quote, "marginAsset": quote}
    for base in ("BTC", "ETH"):
        for date, kind in (("270326", "CURRENT_QUARTER"), ("270625", "NEXT_QUARTER")):
            yield row(base, symbol=f"{base}USDT_{date}", contractType=kind)
    for state in ("PENDING_TRADING", "PRE_SETTLE", "PRE_DELIVERING", "DELIVERED", "CLOSE", "BREAK"):
        yield row(next(names), status=state)
    while True:  # delisted, and still in the list
        yield row(next(names), status="SETTLING", deliveryDate=1_764_547_200_000)


# -- Bybit


def _bybit_spot(rows: list[Row], names: Names) -> Iterator[Row]:
    for base in STOCKS[1:]:
        kind = {"symbolType": "xstocks", "xstockMultiplier": "1"}
        yield rows[0] | {"symbol": f"{base}XUSDT", "baseCoin": f"{base}X"} | kind
    yield rows[0] | {"symbol": "SOONUSDT", "baseCoin": "SOON", "status": "PendingOpen"}
    yield rows[0] | {"symbol": "NEWUSDT", "baseCoin": "NEW", "status": "PreLaunch"}
    for row, base, quote in _quoted(rows, ("EUR", "USDE", "BRL", "MNT"), 1_000):
        yield row | {"symbol": f"{base}{quote}", "quoteCoin": quote}


def _bybit_linear(rows: list[Row], names: Names) -> Iterator[Row]:
    """692 rows. Of the 600 coins some are marked as innovation; 514 are without a mark."""
    first = rows[0]
    plain = {key: first[key] for key in ("contractType", "status", "quoteCoin", "symbolType")}
    for coin in [row for row in rows if plain.items() <= row.items()][3::7]:
        coin["symbolType"] = "innovation"

    def row(base: str, **fields: object) -> Row:
        return first | {"symbol": f"{base}USDT", "baseCoin": base} | fields

    for base in STOCKS[:24]:
        yield row(base, symbolType="stock")
    for base in (*METALS[1:], *CURRENCIES):
        yield row(base, symbolType="forex" if base in CURRENCIES else "commodity")
    yield row("SOON", status="PendingOpen")
    yield row("LEAVE", status="Delivering")
    yield row("GONE", status="Closed")
    for month in _MONTHS:
        dated = {"contractType": "LinearFutures", "quoteCoin": "USDC", "settleCoin": "USDC"}
        yield first | dated | {"symbol": f"BTC-{month}", "deliveryTime": "1798185600000"}
        if month not in ("25DEC26", "26MAR27"):
            yield first | dated | {"symbol": f"ETHUSDT-{month}", "quoteCoin": "USDT"}
    for template, base, quote in _quoted(rows[1:], ("USDC",), 1_000):
        usdc = {"quoteCoin": quote, "settleCoin": quote}
        yield template | usdc | {"symbol": f"{base}PERP"}


# -- MEXC


def _mexc_spot(rows: list[Row], names: Names) -> Iterator[Row]:
    """Some pairs that no order by API can trade allow one side only."""
    for i, row in enumerate(rows):
        if not row["isSpotTradingAllowed"] and row["tradeSideType"] == 1:
            row["tradeSideType"] = 1 + i % 3
    first = rows[0]
    for base in STOCKS:
        full = {"fullName": f"{base.title()} xStock", "conceptPlates": ["mc-trade-zone-Stock"]}
        if base != "AAPL":
            yield first | {"symbol": f"{base}XUSDT", "baseAsset": f"{base}X"} | full
    for i in range(30):
        base = next(names)
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": "23"[i % 2]}
    for row, base, quote in _quoted(rows, ("USDC", "USD1", "BTC", "ETH", "EUR"), 1_000):
        if base != quote:
            yield row | {"symbol": f"{base}{quote}", "quoteAsset": quote}


_PLATES = ("mc-trade-zone-Stock", "mc-trade-zone-Commodities", "mc-trade-zone-Forex")


def _mexc_futures(rows: list[Row], names: Names) -> Iterator[Row]:
    """1,174 rows: 1,051 against USDT, 78 USDC, 35 USD1, 10 in coins; 431 are no crypto."""
    for listed in rows[7::40]:  # some clients get these numbers as text
        for key in ("contractSize", "priceUnit", "volUnit", "minVol", "maxVol"):
            listed[key] = str(listed[key])
    first = rows[0]

    def row(base: str, quote: str = "USDT", **fields: object) -> Row:
        name = {"symbol": f"{base}_{quote}", "baseCoin": base, "quoteCoin": quote}
        return first | name | {"settleCoin": quote} | fields

    for base in ("ETH", "XRP", "SOL", "LTC", "DOGE", "ADA", "AVAX", "LINK", "DOT"):
        yield row(base, "USD", settleCoin=base, contractSize=10)
    for template, base, quote in _quoted(rows[1:], ("USDC",), 65):
        yield template | {"symbol": f"{base}_{quote}", "quoteCoin": quote, "settleCoin": quote}
    for template, base, quote in _quoted(rows, ("USD1",), 35):
        yield template | {"symbol": f"{base}_{quote}", "quoteCoin": quote, "settleCoin": quote}
    for state in (1, 2, 3, 4, 5):
        yield row(next(names), state=state)
    for base in ("BTC", "ETH"):
        for date in _DATES[:2]:
            yield row(base, symbol=f"{base}_USDT_{date}", futureType=2)

    def tradfi(base: str, plate: str, quote: str = "USDT") -> Row:
        return row(base, quote, conceptPlate=["mc-trade-zone-tradfi", plate])

    for base in METALS + CURRENCIES:
        yield tradfi(base, _PLATES[1] if base in METALS else _PLATES[2])
    for base in STOCKS[:12]:
        yield tradfi(f"{base}STOCK", _PLATES[0], "USDC")
    for base in chain(STOCKS[1:], names):
        yield tradfi(f"{base}STOCK", _PLATES[0])


# -- OKX


def _okx_spot(rows: list[Row], names: Names) -> Iterator[Row]:
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


def _okx_futures(rows: list[Row], names: Names) -> Iterator[Row]:
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


_CROWDS: dict[str, Callable[[list[Row], Names], Iterator[Row]]] = {
    "binance-spot": _binance_spot,
    "binance-futures": _binance_futures,
    "bybit-spot": _bybit_spot,
    "bybit-futures": _bybit_linear,
    "mexc-spot": _mexc_spot,
    "mexc-futures": _mexc_futures,
    "okx-spot": _okx_spot,
    "okx-futures": _okx_futures,
}
