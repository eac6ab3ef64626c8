"""Whether a venue takes the subscription by which it pushes the statuses of its pairs."""

import asyncio
from typing import Any

from spreadscan.config import Config
from spreadscan.errors import Refused
from spreadscan.net.transport import connect
from spreadscan.venues.base import Ack, Control, Refusal, StatusPush, Venue
from spreadscan.workers.proxies import proxies_of

DEADLINE_S = 10.0

_FRAME_BYTES_MAX = 4 * 1024 * 1024  # a whole list may come as one message


async def subscribed(venue: Venue, push: StatusPush, ws_url: str, config: Config) -> str:
    """Subscribe at an address and return what was answered.

    Refused: the venue says no, says nothing in time, or closes. Retry: the socket does not open.
    """
    heard, url, feeds = _Heard(venue, push), push.url(ws_url), config.feeds
    socket = await connect(
        feeds.transport,
        url,
        heard,
        timeout_s=feeds.connect_timeout_s,
        max_frame_bytes=_FRAME_BYTES_MAX,
        headers=venue.spec.headers,
        proxies=proxies_of(config),
    )
    closed = asyncio.create_task(socket.wait_closed())
    try:
        for text in push.subscribe():
            socket.send(text)
        first: set[asyncio.Future[Any]] = {closed, heard.answer}
        await asyncio.wait(first, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if heard.answer.done():
            answer = heard.answer.result()
            if isinstance(answer, Refusal):
                raise Refused(f"{url}: refuses statuses: {answer.text}")
            return "acknowledged" if answer else "pushed"
        if closed.done():
            raise Refused(f"{url}: {closed.result()}, expected an answer about statuses")
        raise Refused(f"{url}: no answer about statuses within {DEADLINE_S:g} s")
    finally:
        socket.close()
        closed.cancel()
        await asyncio.gather(closed, return_exceptions=True)


class _Heard:
    """Waits for the answer to a subscription; None: a status came without one."""

    def __init__(self, venue: Venue, push: StatusPush) -> None:
        self._venue = venue
        self._push = push
        self.answer: asyncio.Future[Control | None] = asyncio.get_running_loop().create_future()

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        if self.answer.done():
            return
        if self._push.read(payload):
            self.answer.set_result(None)
            return
        control = self._venue.classify(payload)
        if isinstance(control, Ack | Refusal):
            self.answer.set_result(control)

    def on_ping(self, recv_ns: int) -> None:
        """The peer is there; the answer is what counts."""

    def on_flush(self) -> None:
        """Every message is taken as it comes."""
