"""`spreadscan doctor`: what keeps a scanner from running well, each with what to do about it."""

from spreadscan.app.doctor.check import Check
from spreadscan.app.doctor.examine import Report, examine

__all__ = ["Check", "Report", "examine"]
