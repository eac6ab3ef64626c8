"""What others write does nothing to whoever looks: planted wherever a venue or a file has words,
looked for wherever this program writes some.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scan.feeds.kit import Exchange, Heard, refusal, settings, until
from spreadscan.discovery.report import Result, SourceResult, report_text
from spreadscan.errors import BadFrame, SpreadError
from spreadscan.feeds.session import Session
from spreadscan.logs import JsonLines, Lines, facts
from spreadscan.net.refusals import close_words
from spreadscan.net.refusals import refusal as answer_error
from spreadscan.net.transport import misbehaved
from spreadscan.report.page import Chart, Shown, render
from spreadscan.tracker.columns import safe_text
from spreadscan.venues import VENUES

WORDS = ("[/nope]", "[b]X", "=cmd()", "<a href='x'>y</a>", "-1+1", "@x", "plain")
MOVES = (
    "\x1b[31mred",
    "\x9b2Jgone",
    "two\nlines",
    "back\rover",
    "\u202eturned",
    "\x1b]8;;http://x\x07",
)
ALL = " ".join(WORDS + MOVES)


def stands_still(text: str, *, lines: bool = False) -> bool:
    """Return whether nothing in a text moves a cursor, ends a line or turns the writing."""
    return all(map(str.isprintable, text.split("\n") if lines else [text]))


def errors() -> Iterable[tuple[str, str]]:
    """Yield what each entrance makes of such words: where, and the text."""
    body = json.dumps({"code": -1, "msg": ALL, "label": ALL, "retMsg": ALL}).encode()
    for status in (200, 302, 400, 403, 404, 429, 451, 500):
        for content in (ALL.encode(), body):
            for asked in ("rest_url", "ws_url"):
                headers = {"Location": ALL, "Retry-After": ALL, "Content-Type": "text/html"}
                error = answer_error("https://x", status, headers, content, asked)  # type: ignore[call-overload]
                if error:
                    yield f"HTTP {status} {asked}", str(error)
    yield "close", close_words(4000, ALL)
    yield "protocol", str(misbehaved(1002, ALL, 1))
    bodies = (
        {"code": -1121, "msg": ALL},
        {"code": "51000", "msg": ALL, "data": []},
        {"retCode": 10001, "retMsg": ALL, "result": {}},
        {"label": ALL, "message": ALL},
        {"success": False, "code": 510, "message": ALL},
        [{"symbol": ALL}],
        {ALL: ALL},
    )
    for venue in VENUES.values():
        for content in bodies:
            for read in (venue.instruments, venue.audit.tickers, venue.funding):
                try:
                    page = read(json.dumps(content).encode()) if read else None
                except SpreadError as error:
                    yield f"{venue} body", str(error)
                else:
                    told = getattr(page, "left_out", {})
                    yield f"{venue} rows", " ".join([*told, *told.values()])
        try:
            venue.instruments(ALL.encode())
        except BadFrame as error:
            yield f"{venue} no JSON", str(error)


def test_no_error_of_others_words_moves_anything() -> None:
    found = list(errors())
    assert len(found) > 100
    for where, text in found:
        assert stands_still(text), where
    assert any("[/nope]" in text and "[b]X" in text for _, text in found)  # nothing is taken away


@pytest.mark.parametrize(
    "name", ["binance-spot", "bybit-spot", "okx-spot", "mexc-spot", "gate-spot"]
)
def test_no_refusal_of_a_socket_does(name: str) -> None:
    code = {"binance-spot": "2", "okx-spot": "60018", "gate-spot": "2"}.get(name, "10001")

    async def main() -> None:
        heard = Heard()
        async with Exchange(
            name, lambda r: [refusal(name, r, code, f"invalid symbol {ALL}")]
        ) as venue:
            session = Session(VENUES[name], ["AUSDT"], venue.url, heard, settings("picows"))
            task = asyncio.create_task(session.run())
            async with asyncio.timeout(8):
                await until(lambda: heard.refusals or heard.pauses or heard.finals)
            session.close("end")
            await asyncio.gather(task, return_exceptions=True)
        told = [*heard.finals, *(text for _, text in heard.refusals + heard.pauses)]  # type: ignore[operator]
        for text in [*map(str, told), session.why_closed]:
            assert stands_still(text), text

    asyncio.run(main())


def test_logs_show_what_does_nothing() -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, f"said {ALL}", (), None)
    record.__dict__.update(facts(text=ALL, many=[ALL, {ALL: ALL}], n=1))
    row = json.loads(JsonLines().format(record))
    assert stands_still(JsonLines().format(record))
    for text in (row["message"], row["text"], *row["many"][1], row["many"][0]):
        assert stands_still(text)
    assert all(word in row["text"] for word in WORDS)
    assert stands_still(Lines().format(record).partition(": ")[2])


def test_a_report_has_a_line_for_each_whatever_its_name() -> None:
    pairs = {text: f"not {text}" for text in WORDS + MOVES}
    source = SourceResult(
        quiet_pairs=pairs, invalid_pairs=pairs, incomplete_rows=pairs, skipped={ALL: 1}, error=ALL
    )
    made = {"generation": 1, "symbols": 1, "took_s": 1.0, "folder": "x"}
    text = report_text(Result(directions={ALL: 1}, sources={"okx-spot": source}, **made))  # type: ignore[arg-type]
    plain = {f"p{n}": "not" for n in range(len(pairs))}
    source = SourceResult(
        quiet_pairs=plain, invalid_pairs=plain, incomplete_rows=plain, skipped={"p": 1}, error="e"
    )
    other = report_text(Result(directions={"d": 1}, sources={"okx-spot": source}, **made))  # type: ignore[arg-type]
    assert stands_still(text, lines=True)
    assert other.count("\n") == text.count("\n")


@pytest.mark.parametrize("text", [*WORDS, *MOVES])
def test_a_field_of_a_file_computes_nothing_and_ends_no_line(text: str) -> None:
    field = safe_text(text)
    assert stands_still(field)
    assert field[:1] not in tuple("=+@-")
    assert not set(field) & set('",#\n\r')


LIST = {
    "symbols": [
        {"symbol": text, "baseAsset": text, "quoteAsset": "USDT", "status": text}
        for text in WORDS + MOVES
    ],
    "code": ALL,
}


@pytest.mark.parametrize(
    ("status", "body"), [("400 No", {"code": -1, "msg": ALL}), ("200 OK", LIST)]
)
def test_discover_shows_and_writes_it_as_it_is(tmp_path: Path, status: str, body: Any) -> None:
    """Also where the settings themselves hold such words."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"

    async def main() -> tuple[str, str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode() + content)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f'ws_url = "ws://127.0.0.1:{port}/"\nrest_url = "http://127.0.0.1:{port}"\n'
        (tmp_path / "c.toml").write_text(
            'sources = ["binance-spot", "okx-futures"]\n[discovery]\ntries = 1\n'
            f"[venues.binance-spot]\n{url}[venues.okx-futures]\n{url}"
        )
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "spreadscan", "discover", "--config", "c.toml",
            cwd=tmp_path, env=os.environ | {"COLUMNS": "200"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            out, err = await run.communicate()
        server.close()
        return out.decode(), err.decode()

    out, err = asyncio.run(main())
    assert stands_still(out, lines=True), out
    assert stands_still(err, lines=True), err
    assert "Traceback" not in err
    assert out + err
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix in (".log", ".txt", ".json", ".csv"):
            assert stands_still(path.read_text("utf-8"), lines=True), path


def test_settings_of_such_words_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(json.dumps(ALL).replace("\\u009b", "") + " = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", "config", "show", "--config", "c.toml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert 2 == done.returncode
    assert stands_still(done.stderr, lines=True)
    assert "[/nope]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_has_no_markup_but_its_own() -> None:
    def page(text: str) -> str:
        track = Shown(text, True, text, text, "", {text: text})
        chart = Chart(text, text, text, "", True)
        return render(
            range_=text, pairs=text, market=text, notes=[text], remarks=[text],
            tiles=[(text, text)], ends={"LOST": 1}, charts=[chart], tracks=[track],
            tracks_note=text, made=text,
        )  # fmt: skip

    def tags(page: str) -> list[str]:
        class Tags(HTMLParser):
            def handle_starttag(self, tag: str, attrs: Any) -> None:
                found.append(tag)

        found: list[str] = []
        Tags().feed(page)
        return found

    assert tags(page("plain")) == tags(page(f"{ALL}</script></title><script>x</script>"))
