"""The tracker: follows every spread the engine found, five times a second, into text files.

`Tracker` does the work, synchronously, with time as an argument; `run` is its loop. The files
can be read back, also while they grow, with `read_rows(path, SIGNALS)` and `SNAPSHOTS`.
"""

from spreadscan.disk.files import read_rows, refuse_strangers
from spreadscan.tracker.columns import AUDIT, SIGNALS, SNAPSHOTS
from spreadscan.tracker.loop import run
from spreadscan.tracker.tracker import Tracker

__all__ = ["AUDIT", "SIGNALS", "SNAPSHOTS", "Tracker", "read_rows", "refuse_strangers", "run"]
