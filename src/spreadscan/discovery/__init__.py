"""Discovery: which pairs exist, which are the same coin, which really quote; then files.

Stages, one file each: fetch -> normalise -> directions -> validate -> write.
"""

from spreadscan.discovery.discover import Result, SourceResult, discover

__all__ = ["Result", "SourceResult", "discover"]
