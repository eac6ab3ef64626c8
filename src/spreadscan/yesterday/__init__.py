"""Yesterday's exchanges: a recording served by the venues' own protocols, for any client.

`listed_in` says what can be subscribed, `RecordingServer` serves it, `serve_recording` blocks.
"""

from spreadscan.yesterday.listed import Listed, listed_in
from spreadscan.yesterday.server import RecordingServer, ServeOptions, serve_recording

__all__ = ["Listed", "RecordingServer", "ServeOptions", "listed_in", "serve_recording"]
