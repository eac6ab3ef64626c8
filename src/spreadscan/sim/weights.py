"""What REST requests weigh and how much of it a venue allows; what it answers beyond that.

A table of the simulators' own: a client is not held to what it believes itself. From the venues'
documents and clients, as of 2026-11; where two disagree, the stricter.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

Query = Mapping[str, str]

# weight and seconds of a pool; one host has one, but MEXC futures and OKX one for each path
_HOSTS: dict[str, tuple[int, float]] = {
    "binance-spot": (6_000, 60.0),
    "binance-futures": (2_400, 60.0),
    "bybit-spot": (600, 5.0),
    "bybit-futures": (600, 5.0),
    "mexc-spot": (300, 10.0),
    "mexc-futures": (20, 2.0),
    "okx-spot": (20, 2.0),
    "okx-futures": (20, 2.0),
}
_PATHS: dict[str, tuple[int, float]] = {
    "/api/v1/contract/detail": (1, 5.0),
    "/api/v1/contract/depth/{symbol}": (10, 2.0),
    "/api/v5/public/time": (10, 2.0),
    "/api/v5/public/mark-price": (10, 2.0),
    "/api/v5/market/books": (40, 2.0),
    "/api/v5/system/status": (1, 5.0),
}
# A limit of one cannot be kept by discoveries that follow on each other, as tests and people have
# them: what is beyond it is counted, and refused from so many times the limit on.
_PATIENCE = {"/api/v1/contract/detail": 20}


def _one_or_all(one: int, many: int) -> Callable[[Query], int]:
    return lambda query: one if query.get("symbol") else many


def _spot_day(query: Query) -> int:
    n = query["symbols"].count(",") + 1 if "symbols" in query else 0
    return 2 if query.get("symbol") or 0 < n <= 20 else 40 if 0 < n <= 100 else 80


def _depth(default: int, *steps: tuple[int, int]) -> Callable[[Query], int]:
    """Weigh a book by how many levels are asked for; steps: (up to so many, weight)."""

    def weight(query: Query) -> int:
        asked = query.get("limit", "")
        limit = int(asked) if asked.isdigit() else default
        return next((weight for most, weight in steps if limit <= most), steps[-1][1])

    return weight


_WEIGHTS: dict[str, dict[str, int | Callable[[Query], int]]] = {  # 1 where nothing is said
    "binance-spot": {
        "/api/v3/exchangeInfo": 20,
        "/api/v3/ticker/bookTicker": _one_or_all(2, 4),
        "/api/v3/ticker/price": _one_or_all(2, 4),
        "/api/v3/ticker/24hr": _spot_day,
        "/api/v3/depth": _depth(100, (100, 5), (500, 25), (1_000, 50), (5_000, 250)),
    },
    "binance-futures": {
        "/fapi/v1/premiumIndex": _one_or_all(1, 10),
        "/fapi/v1/ticker/bookTicker": _one_or_all(2, 5),
        "/fapi/v1/ticker/price": _one_or_all(1, 2),
        "/fapi/v2/ticker/price": _one_or_all(1, 2),
        "/fapi/v1/ticker/24hr": _one_or_all(1, 40),
        "/fapi/v1/depth": _depth(500, (50, 2), (100, 5), (500, 10), (1_000, 20)),
    },
    "mexc-spot": {
        "/api/v3/exchangeInfo": 25,
        "/api/v3/symbol/offline": 10,
        "/api/v3/ticker/bookTicker": 10,
        "/api/v3/ticker/price": 10,
        "/api/v3/ticker/24hr": 25,
        "/api/v3/depth": 3,
    },
}  # fmt: skip
_WRONG_HEADER = "/fapi/v1/ticker/bookTicker"  # its own weight is not in what it tells


class Spent(NamedTuple):
    """What a pool holds after a request, of how much, and when it is empty again."""

    used: int
    limit: int
    left_s: float
    before: int  # what it held
    refused: bool


@dataclass(slots=True)
class Weights:
    """The requests of one source's REST host, by what they weigh."""

    source: str
    asked: dict[str, int] = field(default_factory=dict)  # requests by path
    limits: dict[str, int] = field(default_factory=dict)  # weight that a pool allows in a window
    most: dict[str, int] = field(default_factory=dict)  # that it held in any
    over: int = 0  # requests beyond it
    refused: int = 0  # and those of them that were refused
    _now: dict[str, tuple[int, int]] = field(default_factory=dict)  # number of the window, weight

    def spend(self, path: str, query: Query, now_s: float) -> Spent:
        """Count a request. Windows are cut by the clock, as the venues cut theirs."""
        self.asked[path] = self.asked.get(path, 0) + 1
        limit, seconds = _PATHS.get(path) or _HOSTS[self.source]
        weight = _WEIGHTS.get(self.source, {}).get(path, 1)
        pool = self._pool(path, query)
        window = int(now_s // seconds)
        began, before = self._now.get(pool, (window, 0))
        before = before if began == window else 0
        used = before + (weight if isinstance(weight, int) else weight(query))
        self._now[pool] = window, used
        self.limits[pool] = limit
        self.most[pool] = max(used, self.most.get(pool, 0))
        self.over += used > limit
        refused = used > limit * _PATIENCE.get(path, 1)
        self.refused += refused
        return Spent(used, limit, (window + 1) * seconds - now_s, before, refused)

    def told(self) -> dict[str, object]:
        """Return what was counted, as JSON has it."""
        return {
            "asked": self.asked,
            "limits": self.limits,
            "most": self.most,
            "over": self.over,
            "refused": self.refused,
        }

    def _pool(self, path: str, query: Query) -> str:
        if self.source == "mexc-futures" or self.source.startswith("okx"):
            kind = query.get("instType") if path.endswith("/instruments") else None
            return f"{path} {kind}" if kind in ("SPOT", "SWAP") else path
        return "host"

    def headers(self, path: str, spent: Spent, unix_ns: int) -> dict[str, str]:
        """Return what an answer tells of the weight."""
        if self.source.startswith("binance"):
            used = spent.before if path == _WRONG_HEADER else spent.used
            return {"X-MBX-USED-WEIGHT-1M": str(used)}
        if self.source.startswith("bybit"):
            return {
                "X-Bapi-Limit": str(spent.limit),
                "X-Bapi-Limit-Status": str(max(0, spent.limit - spent.used)),
                "X-Bapi-Limit-Reset-Timestamp": str((unix_ns + int(spent.left_s * 1e9)) // 10**6),
            }
        return {}

    def refusal(self, spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of what is answered beyond the limit."""
        exchange, _, market = self.source.partition("-")
        wait = {"Retry-After": str(math.ceil(spent.left_s))}
        if exchange == "binance":
            words = f"Too much request weight used; current limit is {spent.limit} per 1 MINUTE."
            return 429, wait, orjson.dumps({"code": -1003, "msg": words})
        if exchange == "bybit":
            error = {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}
            return 200, {}, orjson.dumps(error | {"retExtInfo": {}, "time": unix_ns // 10**6})
        if exchange == "okx":
            return 429, {}, orjson.dumps({"code": "50011", "data": [], "msg": "Too Many Requests"})
        if market == "spot":
            return 429, wait, orjson.dumps({"code": 429, "msg": "Too Many Requests"})
        words = "Requests are too frequent, please try again later"
        return 200, {}, orjson.dumps({"success": False, "code": 510, "message": words})
