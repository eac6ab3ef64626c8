"""How far quotes and clocks agree with their venue, and from when on that is too little. One rule
for the audit's own state and for all who show its figures."""

from collections.abc import Mapping

CLOCK_LIMIT_MS = 200.0  # between ours and a venue's
AGREE_PCT = 99.0  # of the quotes judged; fewer for DEGRADED_NS: degraded
DEGRADED_NS = 60_000_000_000  # likewise without a round that could be judged


def agreement_pct(counts: Mapping[str, int]) -> float | None:
    """Return how much of what was judged agreed, None where nothing was."""
    judged = counts["agreed"] + counts["accused"]
    return 100.0 * counts["agreed"] / judged if judged else None


def is_too_little(pct: float | None) -> bool:
    return pct is not None and pct < AGREE_PCT


def is_skewed(ahead_ms: float, unsure_ms: float) -> bool:
    """Return whether our clock is surely further from a venue's than CLOCK_LIMIT_MS."""
    return abs(ahead_ms) - unsure_ms > CLOCK_LIMIT_MS
