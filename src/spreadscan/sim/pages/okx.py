"""OKX v5 public instruments, SPOT and SWAP: every value is text but instIdCode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

Row = dict[str, Any]
More = Callable[[list[Row]], list[Row]]  # what else a list holds, of what it has so far

UNKNOWN_TYPE = orjson.dumps({"code": "51000", "data": [], "msg": "Parameter instType error"})
UNKNOWN_ID = orjson.dumps(
    {
        "code": "51001",
        "data": [],
        "msg": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
    }
)
_SPLIT_EVERY = 20  # of the swaps states its contract as ctVal * ctMult with ctMult 10


def page(rows: list[Row]) -> bytes:
    """Return rows in their envelope."""
    return orjson.dumps({"code": "0", "data": rows, "msg": ""})


def spot_rows(
    instruments: Sequence[Instrument], others: bool = True, more: More | None = None
) -> list[Row]:
    """Return all SPOT rows."""
    rows = [_row(n, i) | {"baseCcy": i.base, "quoteCcy": i.quote, "tradeQuoteCcyList": ["USDT"]}
            for n, i in enumerate(instruments)]  # fmt: skip
    rows += _spot_others(rows[0]) if others else []
    return [*rows, *more(rows)] if more else rows


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"instId": "BTC-USDC", "quoteCcy": "USDC"},
        first | {"instId": "ETH-BTC", "baseCcy": "ETH", "quoteCcy": "BTC"},
        first | {"instId": "PAUSE-USDT", "baseCcy": "PAUSE", "state": "suspend"},
        first | {"instId": "TRY-USDT", "baseCcy": "TRY", "state": "test"},
        _placeholder("SPOT", "SOON-USDT"),
        _placeholder("SPOT", "LISTING-SPOT-XXX-USDT"),
    ]


def swap_rows(
    instruments: Sequence[Instrument], others: bool = True, more: More | None = None
) -> list[Row]:
    """Return all SWAP rows; baseCcy and quoteCcy are empty, the coin is ctValCcy."""
    rows = [_swap_row(n, i) for n, i in enumerate(instruments)]
    rows += _swap_others(rows[0]) if others else []
    return [*rows, *more(rows)] if more else rows


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


def funding_page(rates: Sequence[FundingRate], query: Mapping[str, str], unix_ms: int) -> bytes:
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
    return page([*rows, rows[0] | {"instId": "BTC-USD-SWAP"}] if named == "ANY" else rows)


def _named(family: str) -> Row:
    return {"instId": f"{family}-SWAP", "instFamily": family, "uly": family}


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
