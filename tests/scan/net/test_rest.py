"""GET against a server by hand: what a venue can answer, and what to do next."""

import asyncio
import email.utils
import gzip
import math
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spreadscan.errors import (
    ConnectionLost,
    Moved,
    NoAddress,
    RateLimited,
    Refused,
    RegionBlocked,
    Retry,
    VenueDown,
)
from spreadscan.net import rest
from spreadscan.net.bans import Bans
from spreadscan.net.refusals import LONGEST_WAIT_S, retry_after_s
from spreadscan.types import LIST_BYTES_MAX
from spreadscan.venues import VENUES

JSON = "application/json"


def answer(status: str, body: bytes = b"{}", *headers: str, kind: str = JSON) -> bytes:
    """Return a whole HTTP answer; its Content-Length is right unless a header says another."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *headers]
    if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """Sends the same bytes to whoever asks, and keeps the request lines."""

    def __init__(self, reply: bytes, *, hold: bool = False) -> None:
        self.asked: list[str] = []
        self._reply = reply
        self._hold = hold
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        writer.write(self._reply)
        if not self._hold:
            writer.close()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def watched() -> Any:
        async with asyncio.timeout(10):
            return await main

    return asyncio.run(watched())


def get(reply: bytes, path: str = "/x", *, hold: bool = False, timeout_s: float = 5.0,
        most_bytes: int = LIST_BYTES_MAX) -> bytes:  # fmt: skip
    async def main() -> bytes:
        async with Server(reply, hold=hold) as server, aiohttp.ClientSession() as session:
            url = server.url + path
            return await rest.get(session, url, timeout_s, most_bytes=most_bytes)

    found: bytes = run(main())
    return found


def test_a_good_answer_is_its_body() -> None:
    assert b'{"a": 1}' == get(answer("200 OK", b'{"a": 1}'))


def test_chunks_and_compression_are_put_together() -> None:
    chunks = b"3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    assert b"[1,2]" == get(answer("200 OK", chunks, "Transfer-Encoding: chunked"))
    packed = gzip.compress(b"[" + b"1," * 100_000 + b"1]")
    assert 200_003 == len(get(answer("200 OK", packed, "Content-Encoding: gzip")))


@pytest.mark.parametrize(
    "query",
    [
        "cursor=first%3D1%26x%252Fy%3D%3D&limit=1000",
        "cursor=a+b%20c",
        "instType=SWAP&empty=",
        "c=%E5%B8%81%2c%2C",
    ],
)
def test_the_query_goes_out_as_it_is(query: str) -> None:
    async def main() -> list[str]:
        async with Server(answer("200 OK")) as server, aiohttp.ClientSession() as session:
            await rest.get(session, f"{server.url}/v5/list?{query}", 5.0)
            return server.asked

    assert [f"GET /v5/list?{query} HTTP/1.1"] == run(main())


@pytest.mark.parametrize("status", ["429 Too Many Requests", "418 I'm a teapot"])
@pytest.mark.parametrize("seconds", [0, 1, 120])
def test_retry_after_in_seconds(status: str, seconds: int) -> None:
    with pytest.raises(RateLimited, match=f"HTTP 4.., retry after {seconds} s") as caught:
        get(answer(status, b"", f"Retry-After: {seconds}"))
    assert seconds == caught.value.after_s


def test_retry_after_as_a_date() -> None:
    date = email.utils.formatdate(time.time() + 300, usegmt=True)
    with pytest.raises(RateLimited) as caught:
        get(answer("429 Slow", b"<html>slow down</html>", f"Retry-After: {date}", kind="text/html"))
    assert 290 < caught.value.after_s <= 300


def test_a_date_is_counted_from_the_venues_own_clock() -> None:
    then = time.time() - 86_400
    dates = (
        f"Date: {email.utils.formatdate(then, usegmt=True)}",
        f"Retry-After: {email.utils.formatdate(then + 42, usegmt=True)}",
    )
    with pytest.raises(RateLimited) as caught:
        get(answer("429 Slow", b"", *dates))
    assert 42.0 == caught.value.after_s


def test_the_end_of_a_ban_in_the_body_counts_beside_the_header() -> None:
    until_ms = int((time.time() + 900) * 1000)
    body = b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until %d."}' % until_ms
    with pytest.raises(RateLimited) as caught:
        get(answer("418 Banned", body, "Retry-After: 5"))
    assert 890 < caught.value.after_s <= 900


def ask(reply: bytes, own_s: float, bans: Bans | None = None) -> float:
    """Return the wait of an answer that its reader takes for a rate limit of own_s."""

    def parse(body: bytes) -> None:
        raise RateLimited("too many", own_s)

    async def main() -> None:
        async with Server(reply) as server, aiohttp.ClientSession() as session:
            await rest.ask(session, server.url + "/x", 5.0, parse, bans)

    with pytest.raises(RateLimited, match="too many") as caught:
        run(main())
    return caught.value.after_s


def test_a_limit_in_a_good_answer_waits_for_what_its_headers_tell() -> None:
    date = f"Date: {email.utils.formatdate(1_800_000_000, usegmt=True)}"
    reset = "X-Bapi-Limit-Reset-Timestamp: 1800000007500"
    assert 7.5 == ask(answer("200 OK", b"{}", date, reset), 3.0)
    assert 3.0 == ask(answer("200 OK", b"{}", date, reset.replace("7500", "1500")), 3.0)
    assert 9.0 == ask(answer("200 OK", b"{}", "Retry-After: 9"), 3.0)
    assert 8.0 == ask(
        answer("200 OK", b"{}", date, "X-Gate-RateLimit-Reset-Timestamp: 1800000008"), 3.0
    )
    assert 3.0 == ask(answer("200 OK", b"{}", "X-Bapi-Limit-Reset-Timestamp: soon"), 3.0)
    assert 3.0 == ask(answer("200 OK", b"{}"), 3.0)


def test_a_limit_of_minutes_in_a_good_answer_is_a_ban(tmp_path: Path) -> None:
    bans = Bans(tmp_path)
    until_ms = int((time.time() + 900) * 1000)
    said = b'{"code":-1003,"msg":"IP banned until %d"}' % until_ms
    assert 890 < ask(answer("200 OK", said), 3.0, bans) <= 900
    assert 1 == len(bans.all())


def test_a_limit_of_seconds_in_a_good_answer_is_none(tmp_path: Path) -> None:
    bans = Bans(tmp_path)
    assert 9.0 == ask(answer("200 OK", b"{}", "Retry-After: 9"), 3.0, bans)
    assert [] == bans.all()


@pytest.mark.parametrize(
    ("source", "body", "wait_s"),
    [
        ("okx-spot", b'{"code":"50011","msg":"Too Many Requests","data":[]}', 3.0),
        ("okx-futures", b'{"code":"50061","msg":"too many","data":[]}', 3.0),
        ("mexc-futures", b'{"success":false,"code":510,"message":"too frequent"}', 3.0),
        ("bybit-spot", b'{"retCode":10006,"retMsg":"Too many visits","result":{}}', 3.0),
        ("okx-spot", b'{"code":"0","data":[]}', 60.0),  # no word of a limit: as any 429
        ("okx-spot", b"<html>slow down</html>", 60.0),
        ("binance-spot", b"", 60.0),
    ],
)
def test_a_429_without_a_time_waits_by_its_own_words(
    source: str, body: bytes, wait_s: float
) -> None:
    """Seconds, where the venue's table knows them; a minute would cost discovery the source."""

    async def main(*headers: str) -> None:
        reply = answer("429 Too Many Requests", body, *headers)
        async with Server(reply) as server, aiohttp.ClientSession() as session:
            await rest.ask(session, server.url + "/x", 5.0, VENUES[source].instruments)

    with pytest.raises(RateLimited) as caught:
        run(main())
    assert wait_s == caught.value.after_s
    with pytest.raises(RateLimited) as caught:
        run(main("Retry-After: 17"))
    assert 17.0 == caught.value.after_s


def test_a_429_waits_until_the_limit_is_reset() -> None:
    date = f"Date: {email.utils.formatdate(1_800_000_000, usegmt=True)}"
    for told, wait_s in (("1800000008", 8.0), ("1799999999", 60.0), ("soon", 60.0)):
        reset = f"X-Gate-RateLimit-Reset-Timestamp: {told}"
        with pytest.raises(RateLimited) as caught:
            get(answer("429 Slow", b"{}", date, reset))
        assert wait_s == caught.value.after_s


def test_asking_gives_what_the_reader_makes_of_the_body() -> None:
    async def main() -> Any:
        async with Server(answer("200 OK", b"[1]")) as server, aiohttp.ClientSession() as session:
            return await rest.ask(session, server.url + "/x", 5.0, lambda body: body + b"!")

    assert b"[1]!" == run(main())


def test_too_frequent_is_a_pause_of_ten_minutes_and_no_refusal() -> None:
    with pytest.raises(RateLimited, match="HTTP 403, retry after 600 s"):
        get(answer("403 Forbidden", b'{"retMsg": "access too frequent"}'))


@pytest.mark.parametrize("text", ["9" * 30, "9" * 400, "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_no_wait_is_longer_than_the_longest_ban(text: str) -> None:
    for status in ("429 Too Many Requests", "503 Busy", "403 Forbidden", "200 OK"):
        reply = answer(status, b'{"code":-1003}', f"Retry-After: {text}")

        async def main(reply: bytes = reply) -> Any:
            async with Server(reply) as server, aiohttp.ClientSession() as session:
                return await rest.ask(
                    session, server.url, 5.0, VENUES["binance-spot"].audit.tickers
                )

        with pytest.raises(Retry) as caught:
            run(main())
        assert 0.0 <= caught.value.after_s <= LONGEST_WAIT_S, status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    async def main() -> None:
        async with Server(answer("200 OK", b"[]")) as there:
            moved = answer(f"{status} Moved", b"", f"Location: {there.url}/now")
            async with Server(moved) as server, rest.client() as session:
                with pytest.raises(Moved, match=f"HTTP {status} to {there.url}/now, ") as caught:
                    await rest.get(session, server.url, 5.0)
            assert f"{there.url}/now" == caught.value.to
            assert [] == there.asked

    run(main())


def test_a_date_in_the_past_is_now() -> None:
    assert 0.0 == retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT")


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-5", "1e3", "Mon, 32 Dec", "Fri, 31 Dec 1999", "\u0663"]
)
def test_without_a_usable_retry_after_a_minute(text: str | None) -> None:
    assert 60.0 == retry_after_s(text)


@given(
    st.text()
    | st.text("0123456789 :,-+GMTJanFriMon\x1f")
    | st.from_regex(r"\w{3}, ?\d+ (Jan|Feb) -?\d{1,6} \d+:\d+:\d+ ([+-]\d{1,12}|GMT)")
)
def test_any_retry_after_gives_seconds(text: str) -> None:
    seconds = retry_after_s(text)
    assert seconds >= 0.0
    assert not math.isnan(seconds)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "599 Odd"])
@pytest.mark.parametrize("kind", [JSON, "text/html"])
def test_server_errors_are_venue_down(status: str, kind: str) -> None:
    with pytest.raises(VenueDown, match=f"HTTP {status[:3]}"):
        get(answer(status, b"<html>", kind=kind))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer("403 Forbidden", b"<html>not in your country", kind="text/html"), "sources"),
        (answer("403 Forbidden", b'{"msg": "restricted location"}'), "sources"),
        (answer("451 Unavailable", b'{"msg": "restricted location"}'), "sources"),
        (answer("404 Not Found"), "HTTP 404, expected 200"),
        (answer("204 No Content", b""), "HTTP 204, expected 200"),
        (answer("404 Not Found", b"<html>no", kind="text/html"), "HTTP 404, expected 200"),
        (
            answer("400 Bad Request", b'{"label":"CONTRACT_NOT_FOUND",\x07 "message":""}'),
            r'HTTP 400 \({"label":"CONTRACT_NOT_FOUND",  "message":""}\), expected 200',
        ),
    ],
)
def test_a_no_is_refused_and_a_block_comes_with_advice(reply: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said) as caught:
        get(reply)
    assert ("sources" == said) == isinstance(caught.value, RegionBlocked)


@pytest.mark.parametrize(
    "reply",
    [
        answer("403 Forbidden", b"<html>busy", kind="text/html; charset=utf-8"),
        answer("403 Forbidden", b"  \n<!DOCTYPE html>"),
        answer("403 Forbidden", b'{"code": -1}'),
    ],
)
def test_a_403_that_names_no_region_is_waited_out(reply: bytes) -> None:
    with pytest.raises(RateLimited, match="HTTP 403, retry after 60 s"):
        get(reply)


@pytest.mark.parametrize(
    "reply",
    [
        answer("200 OK", b"<html>just a moment</html>", kind="text/html"),
        answer("200 OK", b"\n <!DOCTYPE html>"),
        answer("200 OK", b"{}", kind="text/html"),
    ],
)
def test_html_is_never_taken_for_json(reply: bytes) -> None:
    with pytest.raises(VenueDown, match="an HTML page, expected JSON"):
        get(reply)


def test_an_over_long_body_is_given_up() -> None:
    assert 100_000 == len(get(answer("200 OK", b" " * 100_000), most_bytes=100_000))
    for reply, hold in (
        (answer("200 OK", b" " * 100_001), False),
        # it is cut off while it comes, not when it has come: this one never ends
        (answer("200 OK", b" " * 200_000, "Content-Length: 999999999"), True),
        (answer("200 OK", gzip.compress(bytes(5_000_000)), "Content-Encoding: gzip"), False),
    ):
        with pytest.raises(VenueDown, match="more than 100,000 bytes"):
            get(reply, hold=hold, most_bytes=100_000)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
    ids=["greeting", "status", "length", "chunk", "header"],
)
def test_what_is_not_http_is_told_in_one_line(reply: bytes) -> None:
    with pytest.raises(ConnectionLost, match="an answer that is not HTTP") as told:
        get(reply)
    said = str(told.value)
    assert said.isprintable()
    assert 1 == said.count("http://")  # which names the host already
    assert "400" not in said


@pytest.mark.parametrize("packed", ["gzip", "br", "deflate"])
def test_a_body_that_cannot_be_unpacked_is_told_in_one_line(packed: str) -> None:
    with pytest.raises(ConnectionLost) as caught:
        get(answer("200 OK", b"garbage" * 30, f"Content-Encoding: {packed}"))
    assert str(caught.value).endswith(", expected gzip, deflate or none")
    assert "\n" not in str(caught.value)
    assert "nstall" not in str(caught.value)


@pytest.mark.parametrize(
    "reply", [b"", answer("200 OK", b"[1", "Content-Length: 10")], ids=["no head", "half a body"]
)
def test_silence_times_out(reply: bytes) -> None:
    with pytest.raises(ConnectionLost, match=r"no answer within 0\.2 s"):
        get(reply, hold=True, timeout_s=0.2)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"\x16\x03\x01 this is no HTTP\r\n\r\n",
        answer("200 OK", b"[1", "Content-Length: 10"),
        answer("200 OK", b"zz\r\n", "Transfer-Encoding: chunked"),
        answer("200 OK", b"not gzip at all", "Content-Encoding: gzip"),
        answer("200 OK", b"", "X: " + "x" * 100_000),
    ],
    ids=range(7),
)
def test_what_is_no_http_is_connection_lost(reply: bytes) -> None:
    with pytest.raises(ConnectionLost, match=r"^http://127\.0\.0\.1:\d+/x: .+"):
        get(reply)


def test_nobody_there_is_connection_lost() -> None:
    async def main() -> None:
        async with Server(b"") as server:
            url = server.url
        async with aiohttp.ClientSession() as session:
            await rest.get(session, url + "/x", 5.0)

    with pytest.raises(ConnectionLost, match=r"/x: .*Connect"):
        run(main())


def test_a_name_that_does_not_resolve_is_named_so() -> None:
    """Scenario 44."""

    class NoNames(aiohttp.abc.AbstractResolver):
        async def resolve(self, *args: Any, **options: Any) -> Any:
            raise OSError(-2, "Name or service not known")

        async def close(self) -> None:
            pass

    async def main() -> None:
        connector = aiohttp.TCPConnector(resolver=NoNames())
        async with aiohttp.ClientSession(connector=connector) as session:
            await rest.get(session, "http://venue.invalid/x", 5.0)

    with pytest.raises(NoAddress, match="DNS: .*Name or service not known"):
        run(main())


@pytest.mark.parametrize("error", [RateLimited("x", 3.0), VenueDown("x"), ConnectionLost("x")])
def test_what_may_be_tried_again_is_a_retry(error: Exception) -> None:
    assert isinstance(error, Retry)
    assert not isinstance(Refused("x"), Retry)


def test_every_message_names_the_address() -> None:
    for reply in (answer("429 Slow"), answer("500 Oops"), answer("404 No"), answer("451 No")):
        with pytest.raises((RateLimited, VenueDown, Refused), match=r"^http://127\.0\.0\.1:\d+/x"):
            get(reply)


@pytest.mark.parametrize(("size", "beside"), [(1_000, False), (40_000, True), (600_000, True)])
def test_large_bodies_are_parsed_beside_the_loop(size: int, beside: bool) -> None:
    """One after the other, whoever asks; what parse raises is raised."""
    threads = []

    def parse(body: bytes) -> int:
        threads.append(threading.get_ident())
        if body[:1] == b"x":
            raise VenueDown("as it says")
        return len(body)

    async def main() -> None:
        async with Server(answer("200 OK", b"[" * size)) as server, aiohttp.ClientSession() as s:
            assert [size] * 2 == await asyncio.gather(
                *(rest.ask(s, server.url, 5.0, parse) for _ in range(2))
            )
        async with Server(answer("200 OK", b"x" * size)) as server, aiohttp.ClientSession() as s:
            with pytest.raises(VenueDown, match="as it says"):
                await rest.ask(s, server.url, 5.0, parse)

    run(main())
    assert 1 == len(set(threads))
    assert beside == (threading.get_ident() not in threads)
