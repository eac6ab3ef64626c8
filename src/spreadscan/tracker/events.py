"""Rows of the signals file: OPEN, GAP, CLOSE and EVENT, and when each is dated."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from spreadcore.ring import SignalTuple
from spreadcore.trackstats import StatsTuple

from spreadscan.catalogue import Direction
from spreadscan.clock import iso_utc
from spreadscan.config import Config
from spreadscan.lists import Edge
from spreadscan.tracker import announce
from spreadscan.tracker.columns import (
    SIGNALS,
    age_ms,
    bps,
    notional,
    number,
    safe_text,
    seconds,
)
from spreadscan.tracker.recovery import OpenRow
from spreadscan.tracker.remarks import is_thrown
from spreadscan.tracker.track import Ended, Late, Reason, Track, track_id
from spreadscan.types import Instrument

# fields that all rows of a track share
FIXED = (
    "track_id", "ring_id", "sequence", "direction", "direction_id", "edge_id", "symbol",
    "symbol_id", "quote", "buy_source", "buy_listing", "sell_source", "sell_listing",
    "converted", "rate_source", "rate_listing", "fees_bps",
)  # fmt: skip

Instruments = Mapping[int, Mapping[int, Instrument]]  # by source id and symbol id
_NOTHING: Mapping[int, Instrument] = {}


class Utc(Protocol):
    """What the tracker asks of a clock.UtcClock."""

    def utc_ns(self, boottime_ns: int) -> int:
        """Return the Unix time in ns of a BOOTTIME stamp."""

    def take_step_ns(self) -> int:
        """Return by how much the wall clock was stepped since this was asked last, 0: not."""


class Event(NamedTuple):
    """A row on its way to the signals file of `day`, and what happens once it stands there."""

    day: str
    row: str
    reason: Reason | None = None  # counted
    track: Track | None = None  # ends, and its pair is free
    record: announce.Record | None = None  # for others, then


class EventRows:
    """Writes the rows' text. symbols: names by symbol id. Both of the newest lists."""

    def __init__(self, utc: Utc, ring_id: int, symbols: Sequence[str], config: Config) -> None:
        self._utc = utc
        self._sources = config.catalogue.source_at
        self._ring_id = ring_id
        self.symbols = symbols
        self.instruments: Instruments = {}
        self._config_hash = config.hash()

    def fixed(
        self, signal: SignalTuple, edge: Edge, direction: Direction, fees_bps: float
    ) -> dict[str, str]:
        """Return the fields that all rows of the signal's track share."""
        buy, sell, rate = (
            self.instruments.get(source, _NOTHING).get(row)
            for source, row in (edge.buy, edge.sell, (edge.rate_source, edge.rate_row))
        )
        own = sell if edge.converted == "buy" else buy or sell
        converted = edge.conversion is not None
        return {
            "track_id": track_id(self._ring_id, signal.sequence),
            "ring_id": str(self._ring_id),
            "sequence": str(signal.sequence),
            "direction": direction.name,
            "direction_id": str(direction.id),
            "edge_id": str(edge.id),
            "symbol": self._symbol(edge.buy_row),
            "symbol_id": str(edge.buy_row),
            "quote": safe_text(own.quote) if own else "",
            "buy_source": direction.buy.name,
            "buy_listing": safe_text(buy.venue_symbol) if buy else "",
            "sell_source": direction.sell.name,
            "sell_listing": safe_text(sell.venue_symbol) if sell else "",
            "converted": edge.converted,
            "rate_source": self._sources[edge.rate_source].name if converted else "",
            "rate_listing": safe_text(rate.venue_symbol) if converted and rate else "",
            "fees_bps": bps(fees_bps),
        }

    def is_named(self, row: OpenRow) -> bool:
        """Return whether the row's symbol id still is the pair that the row names."""
        return self._symbol(row.pair[1]) == row.columns["symbol"]

    def _symbol(self, symbol_id: int) -> str:
        known = symbol_id < len(self.symbols)
        return safe_text(self.symbols[symbol_id]) if known else ""

    def open(
        self, columns: Mapping[str, str], signal: SignalTuple, gross: float, net: float,
        funding: float,
    ) -> Event:  # fmt: skip
        """Return the OPEN row: the engine's moment and prices; edges in bps."""
        return self._event(
            "OPEN",
            columns,
            signal.at_ns,
            **_sides(signal.buy_px, signal.buy_qty, signal.sell_px, signal.sell_qty),
            buy_age_ms=age_ms(signal.buy_age_ms),
            sell_age_ms=age_ms(signal.sell_age_ms),
            gross_bps=bps(gross),
            net_bps=bps(net),
            funding_bps=bps(funding),
            reason="UNPROVEN" if signal.unproven else "",
        )

    def gap(self, late: Late, now_ns: int, reason: str) -> Event:
        """Return the GAP row: DOWN, no tracker; LATE, no look or no room on the disk; CLOCK, times
        go on by a wall clock that was stepped, and nothing is missing.
        """
        track, stats = late.track, late.stats
        found = self._stats(stats, track.opened_ns, self._utc.utc_ns(stats.peak_ns))
        gap = {"gap_s": seconds(late.gap_ns), "reason": reason}
        event = self._event("GAP", track.columns, now_ns, **found, **gap)
        return event._replace(record=announce.gap(late, now_ns))

    def close(self, end: Ended, now_ns: int, funding: float) -> Event:
        """Return the CLOSE row, with the prices of the last look where there was one."""
        track, stats = end.track, end.stats
        prices: dict[str, str] = {}
        if (pair := end.prices) is not None:
            prices = {
                **_sides(pair.buy_ask, pair.buy_ask_qty, pair.sell_bid, pair.sell_bid_qty),
                "buy_age_ms": age_ms(announce.whole_ms(pair.buy_age_ns)),
                "sell_age_ms": age_ms(announce.whole_ms(pair.sell_age_ns)),
                "buy_bid": number(pair.buy_bid),
                "sell_ask": number(pair.sell_ask),
                "gross_bps": bps(pair.gross_bps),
                "net_bps": bps(pair.gross_bps - track.fees_bps),
                "exit_bps": bps(pair.exit_bps),
                "funding_bps": bps(funding),
            }
        event = self._event(
            "CLOSE",
            track.columns,
            now_ns,
            duration_s=seconds(now_ns - track.opened_ns),
            reason=end.reason,
            **self._stats(stats, track.opened_ns, self._utc.utc_ns(stats.peak_ns)),
            **prices,
        )
        record = announce.closed(end, now_ns)
        return event._replace(reason=end.reason, track=track, record=record)

    def remark(self, text: str, now_ns: int) -> Event:
        """Return an EVENT row, of no track: what happened."""
        event = self._event("EVENT", {}, now_ns, reason=safe_text(text))
        told = announce.killed(now_ns) if is_thrown(text) else announce.remark(now_ns)
        return event._replace(record=told)

    def lost(self, row: OpenRow, now_ns: int) -> Event:
        """Return the CLOSE row of a track whose ring is no more: it lasted to its last row."""
        gap_ns = max(0, self._utc.utc_ns(now_ns) - row.seen_unix_ns)
        event = self._event(
            "CLOSE",
            {name: row.columns[name] for name in FIXED},
            now_ns,
            duration_s=seconds(row.seen_unix_ns - row.unix_ns),
            gap_s=seconds(gap_ns),
            reason="LOST",
            **self._stats(row.stats, row.at_ns, row.stats.peak_ns + row.shift_ns),
        )
        return event._replace(reason="LOST")

    def _stats(self, stats: StatsTuple, opened_ns: int, peak_unix_ns: int) -> dict[str, str]:
        return {
            "peak_net_bps": bps(stats.peak_net_bps),
            "peak_time": iso_utc(peak_unix_ns),
            "peak_after_s": seconds(stats.peak_ns - opened_ns),
            "peak_notional": notional(stats.peak_notional),
            "profit_s": seconds(stats.profit_ns),
            "mean_net_bps": bps(stats.mean_net_bps),
            "mean_notional": notional(stats.mean_notional),
            "min_notional": notional(stats.min_notional),
            "worst_buy_age_ms": age_ms(stats.worst_buy_age_ms),
            "worst_sell_age_ms": age_ms(stats.worst_sell_age_ms),
            "looks": str(stats.looks),
            "tradable_looks": str(stats.tradable_looks),
            "skipped": str(stats.skipped),
        }

    def _event(self, event: str, columns: Mapping[str, str], at_ns: int, **values: str) -> Event:
        time = iso_utc(self._utc.utc_ns(at_ns))
        row = SIGNALS.row(
            {
                **columns,
                "event": event,
                "time": time,
                "at_ns": str(at_ns),
                "config_hash": self._config_hash,
                **values,
            }
        )
        return Event(day_of(time), row)


def _sides(buy_px: float, buy_qty: float, sell_px: float, sell_qty: float) -> dict[str, str]:
    return {
        "buy_px": number(buy_px),
        "buy_qty": number(buy_qty),
        "buy_notional": notional(buy_px * buy_qty),
        "sell_px": number(sell_px),
        "sell_qty": number(sell_qty),
        "sell_notional": notional(sell_px * sell_qty),
    }


def day_of(time: str) -> str:
    """Return the YYYYMMDD of an ISO time."""
    return f"{time[:4]}{time[5:7]}{time[8:10]}"


def hour_of(time: str) -> str:
    """Return the YYYYMMDD-HH of an ISO time."""
    return f"{day_of(time)}-{time[11:13]}"
