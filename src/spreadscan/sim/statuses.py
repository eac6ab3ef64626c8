"""What a venue pushes of the trading status of its instruments, on a channel of its own.

A whole definition at each change of status, and now and then one in which the status is as before:
a bracket, a limit or a fee has changed.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.pages.sources import PAGES

Row = dict[str, Any]

_OTHER_EVERY_S = 10.0  # a push without a change of status


class Statuses:
    """The status pushes of one source. push: its frame of a row of the instrument list; rows: that
    list, by symbol, all trading.
    """

    def __init__(
        self,
        source: str,
        push: Callable[[Row, int], bytes],
        rows: Mapping[str, Row],
        effects: FaultEffects,
        seed: int,
    ) -> None:
        self._source = source
        self._push = push
        self._rows = rows
        self._effects = effects
        self._rng = random.Random(f"{seed}/statuses/{source}")
        self._told: dict[str, str] = {}  # by symbol: "halted" or "gone"
        self._next_s = 1.0

    def due(self, unix_ms: int) -> list[bytes]:
        """Return what has to be pushed now; asked several times a second."""
        now_s = self._effects.now_s()
        states = dict.fromkeys(self._effects.halted(now_s), "halted")
        states |= dict.fromkeys(self._effects.delisted(now_s), "gone")
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
        pages = PAGES[self._source]
        told = {"halted": pages.halted or {}, "gone": pages.gone}
        row = self._rows[symbol] | (told[state] if state else {})
        return self._push(row, unix_ms)
