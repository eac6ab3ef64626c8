"""What a venue pushes of the trading status of its instruments, on a channel of its own.

A whole definition at each change of status, and now and then one in which the status is as before:
a bracket, a limit or a fee has changed.
"""

import random
from collections.abc import Mapping
from typing import Any

import orjson

from spreadscan.sim.harm import Harm
from spreadscan.sim.pages.filters import HALTED

Row = dict[str, Any]

TELLING = ("binance-futures", "mexc-futures", "okx-spot", "okx-futures")
_GONE: dict[str, Row] = {
    "binance-futures": {"status": "CLOSE"},
    "mexc-futures": {"state": 3},
    "okx-spot": {"state": "expired"},
    "okx-futures": {"state": "expired"},
}
_OTHER_EVERY_S = 10.0  # a push without a change of status
_BRACKETS = [
    {"bs": 1, "bnf": 0, "bnc": 5_000, "mmr": 0.01, "cf": 0, "mi": 21, "ma": 50},
    {"bs": 2, "bnf": 5_000, "bnc": 25_000, "mmr": 0.025, "cf": 75, "mi": 11, "ma": 20},
]


class Statuses:
    """The status pushes of one source. rows: its instrument list, by symbol, all trading."""

    def __init__(self, source: str, rows: Mapping[str, Row], harm: Harm, seed: int) -> None:
        self._source = source
        self._rows = rows
        self._harm = harm
        self._rng = random.Random(f"{seed}/statuses/{source}")
        self._told: dict[str, str] = {}  # by symbol: "halted" or "gone"
        self._next_s = 1.0

    def due(self, unix_ms: int) -> list[bytes]:
        """Return what has to be pushed now; asked several times a second."""
        now_s = self._harm.now_s()
        states = dict.fromkeys(self._harm.halted(now_s), "halted")
        states |= dict.fromkeys(self._harm.delisted(now_s), "gone")
        changed = [
            symbol
            for symbol in sorted({*states, *self._told})
            if states.get(symbol) != self._told.get(symbol)
        ]
        self._told = states
        if now_s >= self._next_s:
            self._next_s = now_s + _OTHER_EVERY_S
            changed.append(self._rng.choice([*self._rows]))
        return [self._render(symbol, unix_ms) for symbol in changed if symbol in self._rows]

    def _render(self, symbol: str, unix_ms: int) -> bytes:
        state = self._told.get(symbol)
        told = {"halted": HALTED[self._source] or {}, "gone": _GONE[self._source]}
        row = self._rows[symbol] | (told[state] if state else {})
        if self._source == "binance-futures":
            event = {
                "e": "contractInfo", "E": unix_ms, "s": symbol, "ps": row["pair"],
                "ct": row["contractType"], "dt": row["deliveryDate"], "ot": row["onboardDate"],
                "cs": row["status"], "bks": _BRACKETS, "st": 1,
            }  # fmt: skip
            return orjson.dumps({"stream": "!contractInfo", "data": event})
        if self._source == "mexc-futures":
            push = {"symbol": symbol, "data": row, "channel": "push.contract", "ts": unix_ms}
            return orjson.dumps(push)
        arg = {"channel": "instruments", "instType": row["instType"]}
        return orjson.dumps({"arg": arg, "data": [row]})
