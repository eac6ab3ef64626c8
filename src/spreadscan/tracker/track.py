"""One followed spread: its numbers, and when it ends. Pure; time is an argument."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from spreadcore.watch import PairTuple

from spreadscan.types import Direction

Reason = Literal["CONVERGED", "EXPIRED", "LOST", "DELISTED"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_DIGITS = "0123456789abcdefghijklmnopqrstuv"


class Limits(NamedTuple):
    """When a track ends whatever its edge."""

    expire_after_ns: int
    lost_after_ns: int


def track_id(ring_id: int, sequence: int) -> str:
    """Return e.g. '3q5k0d9t-00017'; sorts by age within a ring of up to 100,000 signals.

    It stands in every snapshot, so it is short: 40 of the ring id's 63 random bits.
    """
    ring = "".join([_DIGITS[ring_id >> shift & 31] for shift in range(35, -1, -5)])
    return f"{ring}-{sequence:05d}"


class Track:
    """An open track. Times are CLOCK_BOOTTIME ns; columns: the fields that never change, as text.

    ending: why it ends, once its CLOSE row is on its way. seen_ns: its last snapshot.
    """

    __slots__ = (
        "buy_source", "columns", "converge_bps", "direction_id", "ending", "fees_bps", "id",
        "opened_ns", "peak_net_bps", "peak_ns", "seen_ns", "sell_source", "symbol_id",
        "_bad_since_ns",
    )  # fmt: skip

    def __init__(
        self,
        direction: Direction,
        symbol_id: int,
        columns: Mapping[str, str],
        *,
        fees_bps: float,
        converge_bps: float,
        opened_ns: int,
        net_bps: float,
    ) -> None:
        self.id = columns["track_id"]
        self.direction_id = direction.id
        self.buy_source = direction.buy_source
        self.sell_source = direction.sell_source
        self.symbol_id = symbol_id
        self.columns = columns
        self.fees_bps = fees_bps
        self.converge_bps = converge_bps
        self.opened_ns = opened_ns
        self.peak_net_bps = net_bps
        self.peak_ns = opened_ns
        self.seen_ns = opened_ns
        self.ending: Reason | None = None
        self._bad_since_ns: int | None = None

    def step(self, pair: PairTuple | None, now_ns: int, limits: Limits) -> Reason | None:
        """Take one look at the pair; return why the track ends, None while it goes on.

        None for a pair is a leg that its writer holds. That is no look at prices, but a slot
        held for lost_after_s belongs to a dead writer, so the time without a tradable look
        runs on.
        """
        if pair is not None and pair.tradable:
            self._bad_since_ns = None
            net = pair.gross_bps - self.fees_bps
            if not net <= self.peak_net_bps:  # also where the first peak is NaN
                self.peak_net_bps, self.peak_ns = net, now_ns
            if net < self.converge_bps:
                return "CONVERGED"
        elif self._bad_since_ns is None:
            self._bad_since_ns = now_ns
        if now_ns - self.opened_ns >= limits.expire_after_ns:
            return "EXPIRED"
        if self._bad_since_ns is not None and now_ns - self._bad_since_ns >= limits.lost_after_ns:
            return "LOST"
        return None
