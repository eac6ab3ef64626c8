"""What others are told of tracks at once: slots of open tracks, records of the tracker's stream.

Told is what stands in the files already; whoever missed it looks there. No I/O.
"""

from math import nan
from typing import Any

from spreadcore.opentracks import OpenTuple
from spreadcore.ring import SignalTuple
from spreadcore.spread import edge_gross_bps

from spreadscan.lists import Edge
from spreadscan.tracker.track import Ended, Late, Track

Record = dict[str, Any]  # what stream.Writer.publish() takes

_NOTHING = {
    "buy_px": nan, "sell_px": nan, "buy_qty": nan, "sell_qty": nan, "gross_bps": nan,
    "net_bps": nan, "peak_net_bps": nan,
}  # fmt: skip


def opening(signal: SignalTuple, edge: Edge, fees_bps: float, funding_bps: float) -> OpenTuple:
    """Return the slot of a track that a signal opens."""
    gross_bps = edge_gross_bps(signal.buy_px, signal.sell_px)
    return OpenTuple(
        track=signal.sequence,
        edge=edge.id,
        symbol_id=edge.buy_row,
        state="open",
        opened_ns=signal.at_ns,
        looked_ns=signal.at_ns,
        buy_px=signal.buy_px,
        sell_px=signal.sell_px,
        buy_qty=signal.buy_qty,
        sell_qty=signal.sell_qty,
        buy_age_ms=signal.buy_age_ms,
        sell_age_ms=signal.sell_age_ms,
        gross_bps=gross_bps,
        net_bps=gross_bps - fees_bps,
        exit_bps=nan,
        funding_bps=funding_bps,
        peak_net_bps=gross_bps - fees_bps,
        tradable=True,
        unproven=signal.unproven,
    )


def resuming(
    sequence: int, edge: Edge, opened_ns: int, looked_ns: int, peak_net_bps: float, unproven: bool
) -> OpenTuple:
    """Return the slot of a track that the files say is open, until it is looked at."""
    return OpenTuple(
        track=sequence,
        edge=edge.id,
        symbol_id=edge.buy_row,
        state="open",
        opened_ns=opened_ns,
        looked_ns=looked_ns,
        buy_px=nan,
        sell_px=nan,
        buy_qty=nan,
        sell_qty=nan,
        buy_age_ms=-1,
        sell_age_ms=-1,
        gross_bps=nan,
        net_bps=nan,
        exit_bps=nan,
        funding_bps=nan,
        peak_net_bps=peak_net_bps,
        tradable=False,
        unproven=unproven,
    )


def opened(seen: OpenTuple, recv_ns: int) -> Record:
    """Return the record of an OPEN row. recv_ns: of the younger leg's quote."""
    names = (
        "track", "edge", "symbol_id", "opened_ns", "buy_px", "sell_px", "buy_qty", "sell_qty",
        "buy_age_ms", "sell_age_ms", "gross_bps", "net_bps", "peak_net_bps", "unproven",
    )  # fmt: skip
    found = {name: getattr(seen, name) for name in names}
    return {"kind": "open", "at_ns": seen.opened_ns, "recv_ns": recv_ns, **found}


def gap(late: Late, now_ns: int) -> Record:
    """Return the record of a GAP row."""
    return _of(late.track, "gap", now_ns) | {"peak_net_bps": late.stats.peak_net_bps}


def closed(end: Ended, now_ns: int) -> Record:
    """Return the record of a CLOSE row, with the prices of the last look where there was one."""
    record = _of(end.track, "close", now_ns) | {
        "reason": end.reason, "peak_net_bps": end.stats.peak_net_bps
    }  # fmt: skip
    if (pair := end.prices) is None:
        return record
    return record | {
        "buy_px": pair.buy_ask,
        "sell_px": pair.sell_bid,
        "buy_qty": pair.buy_ask_qty,
        "sell_qty": pair.sell_bid_qty,
        "buy_age_ms": whole_ms(pair.buy_age_ns),
        "sell_age_ms": whole_ms(pair.sell_age_ns),
        "gross_bps": pair.gross_bps,
        "net_bps": pair.gross_bps - end.track.fees_bps,
    }


def killed(now_ns: int) -> Record:
    """Return the record of a kill switch that was thrown."""
    return remark(now_ns) | {"kind": "kill"}


def remark(now_ns: int) -> Record:
    """Return the record of an EVENT row: the file says what happened."""
    return {"kind": "event", "at_ns": now_ns, "edge": -1, "symbol_id": -1, "track": -1, **_NOTHING}


def whole_ms(age_ns: int) -> int:
    """Return an age in whole ms; -1 stays: there is no quote."""
    # a quote may also be newer than the moment of the look
    return max(age_ns, 0) // 1_000_000 if age_ns != -1 else -1


def _of(track: Track, kind: str, now_ns: int) -> Record:
    return {
        "kind": kind,
        "at_ns": now_ns,
        "edge": track.edge.id,
        "symbol_id": track.edge.buy_row,
        "track": track.sequence,
        "opened_ns": track.opened_ns,
        **_NOTHING,
    }
