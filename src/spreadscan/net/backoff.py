"""Capped, jittered, exponential back-off. It resets on success as the caller defines it."""

import random


class Backoff:
    """Delays base_s, 2 base_s, ... up to cap_s, each shortened at random by up to a half.

    reset() only when the peer has proved itself (minutes of quotes, not a handshake or one quote),
    or a peer that accepts and closes soon would be stormed.
    """

    def __init__(self, base_s: float, cap_s: float, rng: random.Random | None = None) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._rng = rng or random.Random()
        self.failures = 0

    def next_s(self, weight: int = 1) -> float:
        """Return how long to wait before the next try; weight: doublings that this one counts."""
        # the exponent is bounded: 2.0**2000 would overflow after weeks of an absent venue
        whole = min(self._cap_s, self._base_s * 2.0 ** min(self.failures, 40))
        self.failures += weight
        return whole * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start again from base_s."""
        self.failures = 0
