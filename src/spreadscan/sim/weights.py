"""What REST requests weigh and how much of it a venue allows; what it answers beyond that.

By the tables of the simulators' own pages: a client is not held to what it believes itself. From
the venues' documents and clients, as of 2026-11; where two disagree, the stricter.
"""

from dataclasses import dataclass, field

from spreadscan.sim.pages.base import Limits, Query, Spent
from spreadscan.sim.pages.sources import PAGES


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
        limits = self._limits
        limit, seconds = limits.paths.get(path) or limits.pool
        weight = limits.weights.get(path, 1)
        pool = self._pool(path, query)
        window = int(now_s // seconds)
        began, before = self._now.get(pool, (window, 0))
        before = before if began == window else 0
        used = before + (weight if isinstance(weight, int) else weight(query))
        self._now[pool] = window, used
        self.limits[pool] = limit
        self.most[pool] = max(used, self.most.get(pool, 0))
        self.over += used > limit
        refused = used > limit * limits.patience.get(path, 1)
        self.refused += refused
        return Spent(used, limit, (window + 1) * seconds - now_s, before, refused)

    def plain(self) -> dict[str, object]:
        """Return what was counted, as JSON has it."""
        return {
            "asked": self.asked,
            "limits": self.limits,
            "most": self.most,
            "over": self.over,
            "refused": self.refused,
        }

    def _pool(self, path: str, query: Query) -> str:
        limits = self._limits
        if not limits.per_path:
            return "host"
        kind = query.get(limits.kind_key) if path.endswith("/instruments") else None
        return f"{path} {kind}" if kind in ("SPOT", "SWAP") else path

    @property
    def _limits(self) -> Limits:
        return PAGES[self.source].limits

    def headers(self, path: str, spent: Spent, unix_ns: int) -> dict[str, str]:
        """Return what an answer tells of the weight."""
        return self._limits.headers(path, spent, unix_ns)

    def refusal(self, spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of what is answered beyond the limit."""
        return self._limits.refusal(spent, unix_ns)
