"""Recorded exchanges: a recording served by the venues' own protocols, for any client.

`offers_in` says what can be subscribed, `RecordingServer` serves it, `serve_recording` blocks.
"""

from spreadscan.sim.recorded.offers import Offer, offers_in
from spreadscan.sim.recorded.server import RecordingServer, ServeOptions, serve_recording

__all__ = ["Offer", "RecordingServer", "ServeOptions", "offers_in", "serve_recording"]
