"""Which symbols share a socket, and which share a request."""

import heapq
from collections.abc import Iterator, Sequence

from spreadscan.venues.base import Venue


def shards(symbols: Sequence[str], per_socket: int) -> list[list[str]]:
    """Split symbols into the fewest sockets of at most per_socket, evenly filled."""
    if not symbols:
        return []
    n = -(-len(symbols) // per_socket)
    return [list(symbols[i::n]) for i in range(n)]


def rooms(
    sizes: Sequence[int], symbols: Sequence[str], per_socket: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Share out new symbols: what each open socket of these sizes takes, and new sockets.

    The emptiest takes the next one; there are new sockets only once all are full.
    """
    taken: list[list[str]] = [[] for _ in sizes]
    line = [(size, i) for i, size in enumerate(sizes)]
    heapq.heapify(line)
    for n, symbol in enumerate(symbols):
        if not line or line[0][0] >= per_socket:
            return taken, shards(symbols[n:], per_socket)
        size, i = line[0]
        taken[i].append(symbol)
        heapq.heapreplace(line, (size + 1, i))
    return taken, []


def batches(symbols: Sequence[str], size: int) -> list[list[str]]:
    """Split symbols into the sockets that validate them, in order, size each."""
    return [list(symbols[i : i + size]) for i in range(0, len(symbols), size)]


def requests(venue: Venue, symbols: Sequence[str]) -> Iterator[list[str]]:
    """Split symbols into subscribe requests that keep to topics and bytes per frame."""
    batch: list[str] = []
    for symbol in symbols:
        longer = [*batch, symbol]
        too_many = len(longer) > venue.spec.topics_per_frame
        # ids have up to 10 digits; the longest id shows the longest frame
        if batch and (
            too_many
            or len(venue.subscribe(longer, 9_999_999_999).encode()) > venue.spec.bytes_per_frame
        ):
            yield batch
            batch = [symbol]
        else:
            batch = longer
    if batch:
        yield batch
