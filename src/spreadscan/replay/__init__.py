"""Replay: recorded frames through the scanner's own decoders, gate, table, engine and tracker.

`play` a folder on its recorded clock; a `Result` accounts for every frame. `run_jobs` plays
recordings as a whole scanner, each under its settings; an `Outcome` tells what was found.
"""

from spreadscan.replay.account import Account, Edge, FileAccount, LastQuote, Result
from spreadscan.replay.job import Job, run_job
from spreadscan.replay.outcome import Outcome
from spreadscan.replay.player import play
from spreadscan.replay.requests import Pair, parse_limits, parse_pairs
from spreadscan.replay.sweep import jobs_of, run_jobs

__all__ = [
    "Account",
    "Edge",
    "FileAccount",
    "Job",
    "LastQuote",
    "Outcome",
    "Pair",
    "Result",
    "jobs_of",
    "parse_limits",
    "parse_pairs",
    "play",
    "run_job",
    "run_jobs",
]
