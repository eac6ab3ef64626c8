"""The table of a replay: private shared memory, the gate of every source, the compiled engine.

The same sections, intake and engine as in a live scanner, on the clock of the recording.
"""

import math
import os
import secrets
import struct
from collections.abc import Sequence

from spreadcore import Instance
from spreadcore.edges import RECORD, EdgeIndex
from spreadcore.edgestats import EdgeStats
from spreadcore.engine import Engine
from spreadcore.intake import SourceIntake
from spreadcore.layout import SECTIONS
from spreadcore.quotes import QuoteTuple
from spreadcore.region import create, exists, unlink

from spreadscan.app.build import WRITABLE
from spreadscan.catalogue import built_in
from spreadscan.config import Capacity
from spreadscan.errors import Halt
from spreadscan.replay.counts import Above, Edge
from spreadscan.replay.requests import Pair
from spreadscan.venues import VENUES

SYMBOLS_MAX = 16_384  # symbols are met on the way: room for as many as any recording has


class ReplayTable:
    """One table for a whole replay. Nothing of it stays in /dev/shm, whatever happens.

    CoreError where there is no room for it.
    """

    def __init__(
        self, pairs: Sequence[Pair], limits: Sequence[float], n_symbols: int = SYMBOLS_MAX
    ) -> None:
        self._pairs = pairs
        n_edges = max(1, len(pairs)) * n_symbols
        capacity = Capacity(built_in().n_source_ids, n_symbols, n_edges)
        self._n_symbols = n_symbols
        self._instance = private_instance(capacity)
        self._intakes: dict[str, SourceIntake] = {}
        self._index = EdgeIndex(built_in().n_source_ids, n_symbols, n_edges)
        pack = struct.Struct(RECORD).pack
        for i, pair in enumerate(
            pairs
        ):  # every symbol's, known or not: none costs a thing unquoted
            buy, sell = built_in().source[pair.buy].id, built_in().source[pair.sell].id
            self._index.add_all(
                b"".join(
                    pack(i * n_symbols + row, row, row, i, buy, sell) for row in range(n_symbols)
                )
            )
        self._engine = Engine(
            self._instance.quotes, self._instance.dirty, self._instance.ring,
            self._instance.active, self._instance.health, self._instance.control, self._index,
            sweep_s=0.0,  # only updates count, and each of them once
        )  # fmt: skip
        for i in range(len(pairs)):
            self._engine.set_rule(i, 0.0, math.inf, 0.0)  # edges are watched, never signalled
        self._stats = EdgeStats(n_edges, list(limits))
        if pairs:
            self._engine.observe(self._stats)

    def intake(self, source: str) -> SourceIntake:
        """Return the gate of a source."""
        if source not in self._intakes:
            region = self._instance.region
            self._intakes[source] = SourceIntake(
                region("quotes"), region("dirty"), region("health"),
                built_in().source[source].id, VENUES[source].schema.id_reset,
            )  # fmt: skip
        return self._intakes[source]

    def turn(self, sources: Sequence[int], now_ns: int) -> None:
        """Let the sources be alive as of now_ns, and the engine look at what changed."""
        beat = self._instance.health.beat
        for source_id in sources:
            beat(source_id, now_ns)
        self._engine.turn(now_ns)

    def end_episodes(self, at_ns: int) -> None:
        """End what is above a limit: the recording goes no further."""
        self._stats.finish(at_ns)

    def read(self, source: str, symbol_id: int) -> QuoteTuple:
        """Return what a slot holds, never torn."""
        quote = self._instance.quotes.read(built_in().source[source].id, symbol_id)
        if quote is None:
            raise Halt(f"{source}: slot {symbol_id} has a writer inside, expected it at rest")
        return quote

    def edges(self, names: Sequence[str]) -> list[Edge]:
        """Return what was seen of every pair and symbol that had both sides; names by id."""
        found = []
        for i, pair in enumerate(self._pairs):
            for symbol_id, symbol in enumerate(names):
                row = self._stats.result(i * self._n_symbols + symbol_id)
                if row["updates"]:
                    row["above"] = [Above(**limit) for limit in row["above"]]
                    found.append(Edge(buy=pair.buy, sell=pair.sell, symbol=symbol, **row))
        return found


def private_instance(capacity: Capacity, ring_id: int = 0) -> Instance:
    """Map an instance of its own and take its name away at once: a kill leaves no files.

    ring_id: of its signals, 0 = a random one. CoreError where there is no room for it.
    """
    name = f"replay-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        create(
            name,
            n_sources=capacity.sources,
            n_symbols=capacity.symbols,
            n_edges=capacity.edges,
            n_tracks=capacity.tracks,
            ring_id=ring_id,
        )
        instance = Instance(name, WRITABLE["single"])
        for section in SECTIONS:
            instance.region(section)
    finally:
        if exists(name):
            unlink(name)
    return instance
