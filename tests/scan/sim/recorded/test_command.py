"""`spreadscan replay --serve` as a user calls it: addresses, Ctrl-C, sentences."""

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from scan.feeds.kit import run
from scan.sim.recorded.kit import START_NS, quoted, recorded
from spreadscan.cli.replay import replay
from spreadscan.types import Book

WITHIN_S = 20.0
BOOK = Book("BTCUSDT", 100.0, 1.0, 101.0, 2.0, 1_763_000_000_000_000_000, 7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recorded(tmp_path / "r", {"bybit-spot": [quoted("bybit-spot", START_NS, BOOK)]})


@contextmanager
def started(*args: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "spreadscan", "replay", "--serve", "--port", "0", *args]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_says_where_and_stays_until_it_is_told_to_stop(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "yesterday.toml"
    args = ("--frames", str(folder), "--write-config", str(config), "--json")
    with started(*args) as process:
        assert process.stdout
        assert process.stderr
        told = json.loads(process.stdout.readline())
        urls = told["sources"]["bybit-spot"]
        written = tomllib.loads(config.read_text("utf-8"))
        assert {"sources": ["bybit-spot"], "venues": {"bybit-spot": urls}} == written
        run(_read(urls["ws_url"]), WITHIN_S)
        ended = process.stderr.readline()
        assert ended.startswith("the recording ended at 2"), ended
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WITHIN_S)
        assert (0, "") == (process.returncode, out)
        assert err.startswith("1 frames up to 2"), err
        assert 1 == len(err.splitlines())


async def _read(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.send_json({"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]})
        await ws.receive()
        assert "100" == (await ws.receive_json())["data"]["b"][0][0]


def test_people_are_told_what_is_served(folder: Path) -> None:
    with started("--frames", str(folder)) as process:
        assert process.stdout
        lines = [process.stdout.readline().split() for _ in range(3)]
        assert "bybit-spot" == lines[0][0]
        assert "only frames are served of bybit-spot" in " ".join(lines[1])
        assert "waits for clients; Ctrl-C ends it" in " ".join(lines[2])


def nothing(folder: Path) -> Path:
    return folder.parent


def cut_short(folder: Path) -> Path:
    (path,) = (folder / "frames").iterdir()
    path.write_bytes(path.read_bytes()[:5])
    return folder


def lists_half_written(folder: Path) -> Path:
    (folder / "generated").mkdir()
    return folder


@pytest.mark.parametrize(
    ("spoil", "args", "says"),
    [
        (nothing, (), "no recording.json in it, expected a recording"),
        (cut_short, (), "expected at least one"),
        (lists_half_written, (), "metadata.json: missing, expected a set"),
        (lambda folder: folder, ("--speed", "fast"), "speed: found 'fast', expected a number"),
        (lambda folder: folder, ("--speed", "-1"), "speed: found '-1', expected a number"),
        (lambda folder: folder, ("--port", "70000"), "port is 70000, expected 0 to"),
        (lambda folder: folder, ("--edges=5",), "serve: together with a scan or an account"),
    ],
)
def test_bad_input_is_a_sentence(
    folder: Path, spoil: Callable[[Path], Path], args: tuple[str, ...], says: str
) -> None:
    got = CliRunner().invoke(replay, ["--frames", str(spoil(folder)), "--serve", *args])
    assert 2 == got.exit_code, got.output
    assert says in got.stderr
    assert got.stderr.startswith("spreadscan: ")
