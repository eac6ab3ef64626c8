"""The live table for notebooks: NumPy views and torn-free snapshots. Imports NumPy when used."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from spreadcore.dtypes import dtype_of
from spreadcore.funding import FundingRates
from spreadcore.layout import FIELDS, QUOTE_FLAGS
from spreadcore.quotes import Quotes
from spreadcore.region import ROOT, Region, instance_dir

if TYPE_CHECKING:
    import numpy as np

_HEADER_BYTES = 64
_COLUMNS = tuple(name for struct, name, _, _ in FIELDS if struct == "QuoteSlot")


def attach(instance: str = "default", root: str = ROOT) -> Table:
    """Attach read-only to the quote table of a running instance.

    RegionMissing where there is none, LayoutMismatch where another version made it.
    """
    return Table(Region(instance_dir(instance, root), "quotes"))


def valid_ms(flags: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return from a column `flags` the age up to which each quote is true, as it says itself.

    uint64, in ms; 0: it says nothing.
    """
    found: np.ndarray[Any, Any] = _bits(flags, "limit_ms") * (1 - _bits(flags, "learnt"))
    return found


def is_average(flags: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return from a column `flags` whether prices are averages for their sizes, not the touch."""
    found: np.ndarray[Any, Any] = _bits(flags, "average") == 1
    return found


def _bits(flags: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    first, n = next((first, n) for other, first, n in QUOTE_FLAGS if other == name)
    bits: np.ndarray[Any, Any] = flags >> first & (1 << n) - 1
    return bits


class Table:
    """Live columns `[symbol_id, source_id]`, each a read-only view of shared memory.

    bid_px, ask_px: float64, quote currency per coin, NaN when empty. bid_qty, ask_qty: float64,
    coins. venue_ns: int64, the venue's Unix time. recv_ns: int64, CLOCK_BOOTTIME, 0 when empty.
    seq, flags: uint64. Views change while you look and may tear between columns; snapshot()
    does not tear. valid_ms and average are of the flags now, no views. Names of the ids are in
    generated/symbols.txt.
    """

    bid_px: np.ndarray[Any, Any]
    ask_px: np.ndarray[Any, Any]
    bid_qty: np.ndarray[Any, Any]
    ask_qty: np.ndarray[Any, Any]
    venue_ns: np.ndarray[Any, Any]
    recv_ns: np.ndarray[Any, Any]
    seq: np.ndarray[Any, Any]
    flags: np.ndarray[Any, Any]

    def __init__(self, region: Region) -> None:
        self._region = region

    def __getattr__(self, name: str) -> np.ndarray[Any, Any]:
        if name not in _COLUMNS:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return self._slots()[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_COLUMNS})

    @property
    def shape(self) -> tuple[int, int]:
        """(n_symbols, n_sources)."""
        return self._region.n_symbols, self._region.n_sources

    @property
    def valid_ms(self) -> np.ndarray[Any, Any]:
        """valid_ms() of the flags."""
        return valid_ms(self.flags)

    @property
    def average(self) -> np.ndarray[Any, Any]:
        """is_average() of the flags."""
        return is_average(self.flags)

    @property
    def superseded(self) -> bool:
        """True once a newer instance took this name: close and attach again."""
        return self._region.superseded

    def snapshot(self) -> np.ndarray[Any, Any]:
        """Return a structured array [symbol_id, source_id] in which no quote is torn.

        Fields as the columns. A slot whose writer was inside at every look (or died there) is
        empty and has an odd seq.
        """
        import numpy as np

        out = np.empty(self.shape, dtype=dtype_of("QuoteSlot", 64))
        Quotes(self._region).snapshot_into(out.data.cast("B"))
        return out

    def funding(self) -> np.ndarray[Any, Any]:
        """Return the next funding payments, a structured array [symbol_id, source_id].

        rate: float64, share of the notional, above 0 where longs pay shorts, NaN where nothing
        is known now; times 1e4 it is what a seller receives, in bps. next_ns: int64, Unix time
        of the payment. until_ns: int64, CLOCK_BOOTTIME from which it says nothing any more.
        LayoutMismatch where the instance has been re-created since this table was attached.
        """
        import numpy as np

        region = Region(os.path.dirname(self._region.path), "funding")
        self._region.check_same(region)
        out = np.empty(self.shape, dtype=dtype_of("FundingSlot", 32))
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        FundingRates(region).snapshot_into(out.data.cast("B"), now_ns)
        region.close()
        return out

    def close(self) -> None:
        """Unmap. BufferError while views of this table are alive."""
        self._region.close()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _slots(self) -> np.ndarray[Any, Any]:
        import numpy as np

        dtype = dtype_of("QuoteSlot", 64)
        flat = np.frombuffer(self._region.buffer(), dtype=dtype, offset=_HEADER_BYTES)
        return flat.reshape(self.shape)
