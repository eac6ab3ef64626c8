"""A data folder made up from a seed: as the tracker's files in form, as a market in content."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from known import DIRECTIONS
from spreadscan.clock import iso_utc
from spreadscan.tracker import SIGNALS, SNAPSHOTS
from spreadscan.tracker.columns import bps, notional, number, seconds
from spreadscan.tracker.track import track_id

S = 1_000_000_000
DAY_S = 86_400
START_S = 1_795_132_800  # 2026-11-20T00:00:00Z
RING = 0x5EED_0000_0001
FEES_BPS = 13.0
CONVERGE_BPS = 2.0


@dataclass
class Spread:
    """One track, as the market had it."""

    sequence: int
    symbol_id: int
    direction: int
    opened_s: float
    duration_s: float
    peak_bps: float  # net
    size_usdt: float
    buy_px: float
    reason: str  # '' while it is open
    gap_s: float = 0.0
    open_bps: float = 16.0

    @property
    def id(self) -> str:
        return track_id(RING, self.sequence)

    @property
    def age_ms(self) -> int:
        """Of the older quote at OPEN: some are fresh, some a minute old."""
        return 3 + self.sequence * self.sequence * 7919 % 997 * (1 + self.symbol_id % 60)

    def net_bps(self, age_s: float) -> float:
        """Up to the peak in the first fifth of its life, then down; a ripple on top."""
        end = CONVERGE_BPS - 1.0 if self.reason == "CONVERGED" else self.open_bps
        x = min(1.0, age_s / self.duration_s)
        rise = self.open_bps + (self.peak_bps - self.open_bps) * x / 0.2
        fall = end + (self.peak_bps - end) * ((1 - x) / 0.8) ** 1.5
        ripple = 0.04 * (self.peak_bps - self.open_bps) * math.sin(age_s * 2.1 + self.sequence)
        return (rise if x < 0.2 else fall) + (ripple if 0.2 < x < 1 else 0.0)


def spreads(n: int, seed: int, days: float = 1.0) -> list[Spread]:
    """Return n spreads, oldest first, over so many days."""
    random = Random(seed)
    found = []
    for _ in range(n):
        symbol_id = min(399, int(random.expovariate(1 / 60)))
        at_s = START_S + random.random() * days * DAY_S
        if random.random() < 0.5:  # busier in the afternoon
            at_s = at_s // DAY_S * DAY_S + random.gauss(14.5, 2.5) % 24 * 3600
        reason = random.choices(
            ("CONVERGED", "EXPIRED", "LOST", "DELISTED", ""), (88, 3, 7, 0.5, 1.5)
        )[0]
        expired = reason == "EXPIRED"
        opened_bps = 15 + random.expovariate(1 / 4)
        found.append(
            Spread(
                sequence=0,
                symbol_id=symbol_id,
                direction=random.choices(range(12), (9, 3, 4, 8, 6, 5, 2, 5, 1, 3, 7, 1))[0],
                opened_s=at_s,
                duration_s=10_800.0 if expired else min(10_000, random.lognormvariate(3.4, 1.5)),
                peak_bps=opened_bps + random.lognormvariate(1.8, 1.1),
                size_usdt=random.lognormvariate(6.0, 1.4) + 20,
                buy_px=10 ** (symbol_id % 7 - 2) * (1 + symbol_id / 400),
                reason=reason,
                gap_s=random.choice([0.0] * 19 + [random.uniform(5, 20)]),
                open_bps=opened_bps,
            )
        )
    found.sort(key=lambda spread: spread.opened_s)
    for sequence, spread in enumerate(found):
        spread.sequence = sequence
    return found


def write(folder: Path, found: list[Spread], grid_s: float | None = 0.2) -> None:
    """Write signals files, and snapshots on that grid unless it is None."""
    folder.mkdir(parents=True, exist_ok=True)
    events = sorted(line for spread in found for line in _events(spread))
    _write(folder, SIGNALS, "%Y%m%d", events)
    if grid_s is not None:
        looks = sorted(line for spread in found for line in _looks(spread, grid_s))
        _write(folder, SNAPSHOTS, "%Y%m%d-%H", looks)


def _write(folder, kind, form, lines) -> None:
    rows = defaultdict(list)
    for at_s, row in lines:
        rows[datetime.fromtimestamp(at_s, UTC).strftime(form)].append(row)
    for stamp, of_stamp in rows.items():
        path = folder / f"{kind.name}-{stamp}.csv"
        path.write_bytes(kind.header + "".join(of_stamp).encode())


def _events(spread: Spread) -> Iterator[tuple[float, str]]:
    direction = DIRECTIONS[spread.direction]
    fixed = {
        "track_id": spread.id, "ring_id": str(RING), "sequence": str(spread.sequence),
        "direction": direction.name, "direction_id": str(direction.id),
        "symbol": f"C{spread.symbol_id}-USDT", "symbol_id": str(spread.symbol_id), "quote": "USDT",
        "buy_source": direction.buy.name, "buy_listing": f"C{spread.symbol_id}USDT",
        "sell_source": direction.sell.name, "sell_listing": f"C{spread.symbol_id}_USDT",
        "fees_bps": bps(FEES_BPS), "config_hash": "c0ffee000",
    }  # fmt: skip
    yield _event(spread, "OPEN", 0.0, fixed)
    peak_after_s = 0.2 * spread.duration_s
    stats = {
        "peak_net_bps": bps(spread.peak_bps), "peak_after_s": seconds(int(peak_after_s * S)),
        "peak_time": iso_utc(int((spread.opened_s + peak_after_s) * S)),
        "peak_notional": notional(spread.size_usdt * 0.8),
        "profit_s": seconds(int(spread.duration_s * S)),
        "mean_net_bps": bps(spread.peak_bps * 0.6),
        "mean_notional": notional(spread.size_usdt * 0.9),
        "min_notional": notional(spread.size_usdt * 0.3),
        "worst_buy_age_ms": str(spread.age_ms * 9), "worst_sell_age_ms": str(spread.age_ms * 3),
        "looks": str(int(spread.duration_s * 5)),
        "tradable_looks": str(int(spread.duration_s * 5)), "skipped": "0",
    }  # fmt: skip
    if spread.gap_s and spread.gap_s < 0.5 * spread.duration_s:
        gap = {"gap_s": seconds(int(spread.gap_s * S)), "reason": "DOWN"}
        at_s = spread.opened_s + 0.5 * spread.duration_s
        yield at_s, SIGNALS.row(fixed | stats | gap | _stamp("GAP", at_s))
    if spread.reason:
        end = {"duration_s": seconds(int(spread.duration_s * S)), "reason": spread.reason}
        yield _event(spread, "CLOSE", spread.duration_s, fixed | stats | end)


def _stamp(event: str, at_s: float) -> dict[str, str]:
    return {"event": event, "time": iso_utc(int(at_s * S)), "at_ns": str(int(at_s * S))}


def _event(spread: Spread, event: str, age_s: float, values) -> tuple[float, str]:
    at_s = spread.opened_s + age_s
    look = _look(spread, age_s)
    buy_px, sell_px = float(look["buy_ask"]), float(look["sell_bid"])
    prices = {
        "buy_px": look["buy_ask"], "buy_qty": look["buy_ask_qty"],
        "sell_px": look["sell_bid"], "sell_qty": look["sell_bid_qty"],
        "buy_notional": notional(buy_px * float(look["buy_ask_qty"])),
        "sell_notional": notional(sell_px * float(look["sell_bid_qty"])),
        "gross_bps": look["gross_bps"], "net_bps": look["net_bps"],
        "buy_age_ms": look["buy_age_ms"], "sell_age_ms": look["sell_age_ms"],
    }  # fmt: skip
    if event == "CLOSE":
        prices |= {name: look[name] for name in ("buy_bid", "sell_ask", "exit_bps")}
    return at_s, SIGNALS.row({**values, **prices, **_stamp(event, at_s)})


def _look(spread: Spread, age_s: float) -> dict[str, str]:
    net = spread.net_bps(age_s)
    gross = net + FEES_BPS
    drift = 1 + 2e-4 * math.sin(age_s / 30 + spread.sequence)
    buy_ask = spread.buy_px * drift
    sell_bid = buy_ask * (1 + gross / 1e4)
    buy_bid, sell_ask = buy_ask * 0.9998, sell_bid * 1.0002
    buy_qty, sell_qty = spread.size_usdt / buy_ask, 1.7 * spread.size_usdt / sell_bid
    return {
        "buy_bid": number(buy_bid), "buy_bid_qty": number(buy_qty), "buy_ask": number(buy_ask),
        "buy_ask_qty": number(buy_qty), "sell_bid": number(sell_bid),
        "sell_bid_qty": number(sell_qty), "sell_ask": number(sell_ask),
        "sell_ask_qty": number(sell_qty), "buy_age_ms": str(spread.age_ms),
        "sell_age_ms": str(spread.age_ms // 3),
        "gross_bps": bps(gross), "net_bps": bps(net),
        "exit_bps": bps((sell_ask / buy_bid - 1) * 1e4), "tradable": "1",
    }  # fmt: skip


def _looks(spread: Spread, grid_s: float) -> Iterator[tuple[float, str]]:
    gap = spread.gap_s if spread.gap_s < 0.5 * spread.duration_s else 0.0
    gap_end = 0.5 * spread.duration_s
    for k in range(1, int(spread.duration_s / grid_s) + 1):
        age_s = k * grid_s
        if not gap_end - gap < age_s < gap_end:
            at_s = spread.opened_s + age_s
            fixed = {"track_id": spread.id, "time": iso_utc(int(at_s * S))}
            yield at_s, SNAPSHOTS.row(fixed | _look(spread, age_s))
