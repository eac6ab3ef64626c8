"""Replay: recorded frames through the scanner's own decoders, gate, table, engine and tracker.

`play` a folder on its recorded clock; a `Result` accounts for every frame. `play_runs` plays
recordings as a whole scanner, each under its settings; an `RunResult` tells what was found.
"""

from spreadscan.replay.counts import Edge, FileCounts, FrameCounts, LastQuote, Result
from spreadscan.replay.player import play
from spreadscan.replay.requests import Pair, parse_limits, parse_pairs
from spreadscan.replay.results import RunResult
from spreadscan.replay.run import Run, play_run
from spreadscan.replay.sweep import play_runs, runs_of

__all__ = [
    "FrameCounts",
    "Edge",
    "FileCounts",
    "Run",
    "LastQuote",
    "RunResult",
    "Pair",
    "Result",
    "runs_of",
    "parse_limits",
    "parse_pairs",
    "play",
    "play_run",
    "play_runs",
]
