"""Recordings: raw frames as they were received, in files that outlive what is wrong with them.

docs/recordings.md describes the format and has a reader of 30 lines.
"""

from spreadscan.recordings.format import Opcode, Verdict, Verdicts, took_over
from spreadscan.recordings.read import Block, Frame, Problem, Recording, is_recording, unpack
from spreadscan.recordings.write import FrameFiles

__all__ = [
    "Block",
    "Frame",
    "FrameFiles",
    "Opcode",
    "Problem",
    "Recording",
    "Verdict",
    "Verdicts",
    "is_recording",
    "took_over",
    "unpack",
]
