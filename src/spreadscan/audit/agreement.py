"""How far quotes agree with their venue, and from when on that is too little. One rule for the
audit's own state and for all who show its figures."""

from collections.abc import Mapping

AGREE_PCT = 99.0  # of the quotes judged; fewer for DEGRADED_NS: degraded
DEGRADED_NS = 60_000_000_000  # likewise without a round that could be judged


def agreement_pct(counts: Mapping[str, int]) -> float | None:
    """Return how much of what was judged agreed, None where nothing was."""
    judged = counts["agreed"] + counts["accused"]
    return 100.0 * counts["agreed"] / judged if judged else None


def is_too_little(pct: float | None) -> bool:
    return pct is not None and pct < AGREE_PCT
