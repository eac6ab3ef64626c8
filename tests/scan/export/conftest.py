"""The tracker's own kit: a market with made-up time, whose files are the real thing."""

from scan.tracker.conftest import market

__all__ = ["market"]
