"""Discovery: which pairs exist, which are the same coin, which really quote; then files.

Stages, one file each: fetch -> normalise -> validate -> identity -> write.
"""

from spreadscan.discovery.discover import discover
from spreadscan.discovery.report import Result, SourceResult

__all__ = ["Result", "SourceResult", "discover"]
