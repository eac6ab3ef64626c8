"""The server sides of the venues' WebSocket protocols, by source name.

`PROTOCOLS` tells which conversation a source speaks, its rules and how it repeats a book.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from spreadscan.sim.protocols import binance, bybit, mexc, okx
from spreadscan.sim.protocols.base import Answer, Close, Conversation, Rules
from spreadscan.types import Book

__all__ = ["PROTOCOLS", "Answer", "Close", "Conversation", "Protocol", "Rules"]

Render = Callable[[Book], bytes]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one source talks.

    open: a Conversation of (rules, topics, conn_id, opened_s). paths: its WebSocket paths.
    repeat: the frame for a book sent again, of (render, book, times repeated, Unix ns).
    binary: data frames are binary. pushes_first: data of a subscription overtakes its answer.
    status: the name that a conversation gives to the channel of trading statuses, '' for none;
    status_path: how the paths begin that have it.
    """

    rules: Rules
    topic: Callable[[str], str]
    open: Callable[..., Conversation]
    paths: tuple[str, ...]
    repeat: Callable[[Render, Book, int, int], bytes] | None = None
    binary: bool = False
    pushes_first: bool = False
    status: str = ""
    status_path: str = "/"


def _repeat_bybit(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    return bybit.newer_push_time(render(book), unix_ns // 1_000_000)


def _repeat_okx(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    return render(book)


def _repeat_mexc_futures(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    return render(book._replace(update_id=book.update_id + times, venue_ns=unix_ns))


PROTOCOLS: dict[str, Protocol] = {
    "binance-spot": Protocol(
        Rules(
            max_topics=1_024,
            max_request_bytes=4_088,
            frames_per_s=5,
            server_ping_s=20.0,
            pong_within_s=60.0,
        ),
        binance.topic,
        binance.BinanceConversation,
        ("/stream", "/ws", "/ws/{streams}"),
    ),
    "binance-futures": Protocol(
        Rules(
            max_topics=1_024,
            max_request_bytes=4_088,
            frames_per_s=10,
            server_ping_s=180.0,
            pong_within_s=600.0,
        ),
        binance.topic,
        binance.BinanceConversation,
        # Unrouted paths still deliver what /public does; /private (where the official client opens
        # a socket, whatever it wants) accepts and sends nothing, /market has the statuses only.
        (
            "/public/stream",
            "/public/ws",
            "/public/ws/{streams}",
            "/stream",
            "/ws",
            "/ws/{streams}",
            "/market/stream",
            "/market/ws",
            "/market/ws/{streams}",
            "/private/stream",
            "/private/ws",
        ),
        status=binance.STATUS,
        status_path="/market/",
    ),
    "bybit-spot": Protocol(
        Rules(max_args=10, max_arg_chars=21_000, idle_s=600.0, repeat_s=3.0, first_push_s=0.0),
        bybit.topic,
        partial(bybit.BybitConversation, spot=True),
        ("/v5/public/spot",),
        _repeat_bybit,
        pushes_first=True,
    ),
    "bybit-futures": Protocol(
        Rules(max_arg_chars=21_000, idle_s=600.0, repeat_s=3.0, first_push_s=0.0),
        bybit.topic,
        bybit.BybitConversation,
        ("/v5/public/linear",),
        _repeat_bybit,
        pushes_first=True,
    ),
    "mexc-spot": Protocol(
        Rules(max_topics=30, frames_per_s=100, idle_s=60.0, no_topic_s=30.0),
        mexc.spot_topic,
        mexc.MexcSpotConversation,
        ("/ws",),
        binary=True,
    ),
    "mexc-futures": Protocol(
        # A full depth comes every 0.3 s, changed or not, on busy contracts, 6 s on quiet ones.
        Rules(client_ping_s=60.0, repeat_s=5.0, first_push_s=0.28),
        mexc.futures_topic,
        mexc.MexcFuturesConversation,
        ("/edge",),
        _repeat_mexc_futures,
        status=mexc.STATUS,
    ),
}
for _name in ("okx-spot", "okx-futures"):
    PROTOCOLS[_name] = Protocol(
        Rules(max_arg_chars=65_536, ops_per_hour=480, idle_s=30.0, repeat_s=60.0, first_push_s=0.0),
        okx.topic,
        okx.OkxConversation,
        ("/ws/v5/public",),
        _repeat_okx,
        status=okx.status_name("SPOT" if _name == "okx-spot" else "SWAP"),
    )
