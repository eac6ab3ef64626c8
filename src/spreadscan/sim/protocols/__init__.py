"""The server sides of the venues' WebSocket protocols, by source name.

`PROTOCOLS` tells which conversation a source speaks, its rules and how it repeats a book; each
exchange's own file has those of its sources.
"""

from importlib import import_module

from spreadscan.catalogue import built_in
from spreadscan.sim.protocols.base import Answer, Close, Conversation, Protocol, Rules

__all__ = ["PROTOCOLS", "Answer", "Close", "Conversation", "Protocol", "Rules"]

PROTOCOLS: dict[str, Protocol] = {
    source.name: import_module(f"{__name__}.{source.exchange}").PROTOCOLS[source.name]
    for source in built_in().sources
}
