"""The aiohttp transport: a task takes messages off its queue, one flush per turn of the loop."""

import asyncio
import contextlib
from typing import Any

import aiohttp
from spreadcore.frames import LinkIntake

from spreadscan.clock import now_ns
from spreadscan.errors import ConnectionLost, NoAddress, NotTrusted
from spreadscan.net.connector import Connector
from spreadscan.net.proxy import Proxies
from spreadscan.net.refusals import LOOK_BYTES, close_words, raise_limit, refusal
from spreadscan.net.transport import PROXY_SHARE, Headers, Listener, Socket, misbehaved, set_options

# A peer that is gone answers no close frame, and until a socket has closed its quotes stand.
_CLOSE_WAIT_S = 0.5
_CUT_AFTER_S = 1.0  # aiohttp waits that long anew after each message: one that floods never ends
_BODY_WITHIN_S = 2.0  # of a refused handshake, from its headers on
_ENDS = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)
_TEXT, _BINARY = int(aiohttp.WSMsgType.TEXT), int(aiohttp.WSMsgType.BINARY)


class AiohttpSocket:
    """One open socket; made by open_socket()."""

    def __init__(self, listener: Listener, intake: LinkIntake | None) -> None:
        self._listener = listener
        self._intake = intake
        self._session: aiohttp.ClientSession
        self._ws: aiohttp.ClientWebSocketResponse
        self._task: asyncio.Task[str]
        self._sends: dict[asyncio.Task[None], int] = {}  # that have not ended, and their begin
        self._pong: asyncio.Task[None] | None = None  # under way; one at a time
        self._ping: bytes | None = None  # the newest that is not answered
        self._recv_ns = 0
        self._closing = ""
        self._cut = False
        self.page = b""  # of a refused handshake, how it begins

    async def open(
        self, url: str, timeout_s: float, max_frame_bytes: int, headers: Headers, proxies: Proxies
    ) -> None:
        self._max_frame_bytes = max_frame_bytes
        connector = Connector(proxies, timeout_s * PROXY_SHARE)
        self._session = aiohttp.ClientSession(
            connector=connector, middlewares=[self._refused], trace_configs=[_no_redirects()]
        )
        try:
            self._ws = await self._session.ws_connect(
                url,
                headers=headers,
                autoping=False,
                autoclose=True,
                max_msg_size=max_frame_bytes,
                compress=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_WAIT_S),
            )
        except BaseException:
            await self._session.close()
            raise
        set_options(self._ws.get_extra_info("socket"))
        self._task = asyncio.create_task(self._read())

    async def _refused(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Keep how the page of a refused handshake begins; aiohttp's error has no body."""
        answer = await send(request)
        if answer.status != 101:
            try:
                async with asyncio.timeout(_BODY_WITHIN_S):
                    async for part in answer.content.iter_any():
                        self.page += part
                        if len(self.page) >= LOOK_BYTES:
                            break
            except (TimeoutError, aiohttp.ClientError):
                pass  # judged by what has come
            except asyncio.CancelledError:
                answer.close()
                raise
        return answer

    async def _read(self) -> str:
        code, text = -1, ""
        error: Any = None
        try:
            while True:
                message = await self._ws.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    code, text = message.data, message.extra or ""
                elif message.type is aiohttp.WSMsgType.ERROR:
                    error = message.data
                if message.type in _ENDS:
                    break
                if not self._recv_ns:
                    self._recv_ns = now_ns()
                    asyncio.get_running_loop().call_soon(self._flush)
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._message(_TEXT, message.data.encode())
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._message(_BINARY, message.data)
                elif message.type is aiohttp.WSMsgType.PING:
                    self._ping = message.data
                    self._listener.on_ping(self._recv_ns)
                elif message.type is aiohttp.WSMsgType.PONG:
                    self._listener.on_ping(self._recv_ns)
        except asyncio.CancelledError:
            if not self._cut:
                raise
        finally:
            await self._ws.close()
            await self._session.close()
        if self._closing:
            return self._closing
        if code >= 0:
            raise_limit(code, text)
            return close_words(code, text)
        if isinstance(error, aiohttp.WebSocketError):
            raise misbehaved(error.code, str(error), self._max_frame_bytes)
        return "connection lost"

    def _message(self, opcode: int, payload: bytes) -> None:
        if self._closing:  # by us: what still arrives is nobody's any more
            return
        if self._intake is not None:
            self._intake.record(opcode, payload, self._recv_ns)
        if self._intake is None or self._intake.take(payload, self._recv_ns) < 0:
            self._listener.on_message(payload, self._recv_ns)

    def _flush(self) -> None:
        self._recv_ns = 0
        self._answer_ping()
        self._listener.on_flush()

    def _answer_ping(self) -> None:
        """Answer the newest ping, unless the answer before it still waits for the peer to read."""
        if self._ping is not None and self._pong is None and not self._task.done():
            self._pong = self._spawn(self._ws.pong(self._ping))
            self._ping = None

    def _spawn(self, sending: Any) -> "asyncio.Task[None]":
        async def send() -> None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await sending  # a socket that closed meanwhile tells it through wait_closed

        task = asyncio.create_task(send())
        self._sends[task] = now_ns()
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: "asyncio.Task[None]") -> None:
        del self._sends[task]
        if not task.cancelled() and (error := task.exception()):
            self._close_for(f"a send failed: {error!r}")
        if task is self._pong:
            self._pong = None
            self._answer_ping()

    @property
    def unread_ns(self) -> int:
        return min(self._sends.values(), default=0)

    def send(self, text: str) -> None:
        if not self._task.done():
            self._spawn(self._ws.send_str(text))

    def close(self) -> None:
        self._close_for("closed by us")

    def _close_for(self, why: str) -> None:
        if not self._task.done() and not self._closing:
            self._closing = why
            self._spawn(self._ws.close())
            asyncio.get_running_loop().call_later(_CUT_AFTER_S, self._cut_off)

    def _cut_off(self) -> None:
        self._cut = True
        self._task.cancel()

    async def wait_closed(self) -> str:
        return await asyncio.shield(self._task)


def _no_redirects() -> aiohttp.TraceConfig:
    """Return what refuses a redirect: bans and limits are a host's own."""

    async def refuse(session: Any, context: Any, told: aiohttp.TraceRequestRedirectParams) -> None:
        answer = told.response
        raise refusal(str(told.url), answer.status, answer.headers, b"", "ws_url")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(refuse)
    return tracing


async def open_socket(
    url: str,
    listener: Listener,
    timeout_s: float,
    max_frame_bytes: int,
    intake: LinkIntake | None,
    headers: Headers,
    proxies: Proxies,
) -> Socket:
    """Open one. ConnectionLost or a refusal; OSError, TimeoutError as they come."""
    socket = AiohttpSocket(listener, intake)
    try:
        async with asyncio.timeout(timeout_s):
            await socket.open(url, timeout_s, max_frame_bytes, headers, proxies)
    except aiohttp.WSServerHandshakeError as error:
        if error.status == 101:
            raise ConnectionLost(f"{url}: {error.message}") from None
        raise refusal(url, error.status, error.headers or {}, socket.page, "ws_url") from None
    except aiohttp.ClientConnectorDNSError as error:
        raise NoAddress(f"{url}: DNS: {error}") from None
    except aiohttp.ClientSSLError as error:
        raise NotTrusted(f"{url}: TLS: {error}") from None
    except aiohttp.ClientError as error:
        raise ConnectionLost(f"{url}: {str(error) or type(error).__name__}") from None
    return socket
