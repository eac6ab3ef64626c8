"""Simulated exchanges: eight local servers that speak the venues' protocols from one market.

`Market` is the pure part, `SimServer` serves it, `run_sim` is the blocking entry point.
"""

from spreadscan.sim.flood import Flood
from spreadscan.sim.market import Market, Tick, Touch
from spreadscan.sim.server import SimOptions, SimServer, run_sim

__all__ = ["Flood", "Market", "SimOptions", "SimServer", "Tick", "Touch", "run_sim"]
