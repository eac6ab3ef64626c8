"""Quote.flags as docs/layout.md has them."""


def flags_of(
    link: int = 0,
    *,
    limit_s: float = 0.0,
    pause_s: float = 0.0,
    valid_ms: int = 0,
    average: bool = False,
) -> int:
    """Return the word; limit_s and pause_s: as learnt of a pair, valid_ms: as the quote says."""
    learnt = limit_s or pause_s
    limit_ms = round(limit_s * 1e3) if learnt else valid_ms
    return link | average << 26 | bool(learnt) << 27 | round(pause_s * 100) << 28 | limit_ms << 44
