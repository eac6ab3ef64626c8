"""Replay: recorded frames through the scanner's own decoders, gate, table and engine.

`play` a folder on its recorded clock; a `Result` accounts for every frame. Reads no clock itself.
"""

from spreadscan.replay.account import Account, Edge, FileAccount, LastQuote, Result
from spreadscan.replay.player import play
from spreadscan.replay.requests import Pair, parse_limits, parse_pairs

__all__ = [
    "Account",
    "Edge",
    "FileAccount",
    "LastQuote",
    "Pair",
    "Result",
    "parse_limits",
    "parse_pairs",
    "play",
]
