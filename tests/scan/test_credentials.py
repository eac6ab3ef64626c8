"""No credential of an address is in anything that is shown, logged or written for others."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scan.feeds.kit import Door, config_of, lists_of, row, until, working
from spreadscan.config import Config, as_toml, from_tree, load
from spreadscan.credentials import masked
from spreadscan.discovery.origin import origin_of
from spreadscan.errors import ConfigError, ConnectionLost
from spreadscan.logs import start_logging
from spreadscan.net import rest
from spreadscan.venues import VENUES


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("wss://me:canary@host:1/ws", "wss://***@host:1/ws"),
        ("http://me:can@ary'\"@host", "http://***@host"),
        ("https://host/v1?api-key=canary&x=1", "https://host/v1?api-key=***&x=1"),
        ("https://host/?x=1&accessToken=canary#f", "https://host/?x=1&accessToken=***#f"),
        ("https://host/canary0123456789abcdef/x", "https://host/***/x"),
        ("https://host/0123abcd-0123-0123-0123-0123456789ab", "https://host/***"),
        ("wss://stream.host:9443/ws/btcusdt@bookTicker", None),
        ("https://host/api/v3/ticker/bookTicker?symbol=BTCUSDT&cursor=abc", None),
        ("https://host/docs/#public-data-rest-api-get-instruments-2024", None),
        ("mail me@host", None),
    ],
)
def test_an_address_is_shown_without_its_credentials(address: str, shown: str | None) -> None:
    assert (shown or address) == masked(address)
    assert f"at {shown or address}: no" == masked(f"at {address}: no")
    assert [{"a": (shown or address,)}, 1] == masked([{"a": (address,)}, 1])
    assert (shown or address) == masked(masked(address))


def addresses(port: int) -> dict[str, str]:
    at = f"me:canary-user@127.0.0.1:{port}"
    return {
        "ws_url": f"ws://{at}/canary0123456789abcdef/ws?token=canary-query",
        "rest_url": f"http://{at}/canary0123456789abcdef",
    }


def config(folder: Path, port: int) -> Path:
    path = folder / "config.toml"
    venues = "".join(
        f"[venues.{name}]\n" + "".join(f'{key} = "{url}"\n' for key, url in addresses(port).items())
        for name in ("binance-spot", "okx-futures")
    )
    path.write_text(
        'instance = "canary"\nsources = ["binance-spot", "okx-futures"]\n'
        "[discovery]\ntries = 1\nlist_limit_s = 2.0\nbatch_limit_s = 2.0\n" + venues
    )
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("config", "show"),
        ("config", "show", "--json"),
        ("discover",),
        ("doctor", "--live"),
        ("ctl", "status"),
    ],
    ids=" ".join,
)
def test_no_command_shows_or_writes_them(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = config(tmp_path, 1)  # nobody is there
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", *command, "--config", str(file)],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "60"},
        capture_output=True,
        timeout=60,
        text=True,
    )
    told = done.stdout + done.stderr
    assert len(told) > 20
    assert "Traceback" not in told
    file.unlink()
    assert [] == spilled(tmp_path)
    assert "canary-user" not in told.replace("\n", "")
    assert "canary0" not in told.replace("\n", "")
    assert "canary-query" not in told.replace("\n", "")


def spilled(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and b"canary" in path.read_bytes().replace(b"spreadscan-canary", b"")
    ]


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
@pytest.mark.parametrize(
    "status", ["429 Slow\r\nRetry-After: 60", "302 Moved\r\nLocation: {to}", "404 No"]
)
def test_no_log_and_no_ban_has_them(
    transport: str, status: str, tmp_path: Path, make_instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []

    async def main() -> None:
        async with Door(status.format(to="https://me:canary@elsewhere/")) as door:
            port = int(door.url.split(":")[2].partition("/")[0])
            own = addresses(port)
            config = config_of("binance-spot", own["ws_url"], transport, rest_url=own["rest_url"])
            lists = lists_of("binance-spot", row(1, "BTCUSDT"))
            async with working(VENUES["binance-spot"], config, lists, make_instance()):
                await until(lambda: door.times)
                await asyncio.sleep(0.1)
            async with rest.client() as session:
                for url in own["rest_url"], own["rest_url"].replace(str(port), "1"):
                    try:
                        await rest.get(session, url, 2.0)
                    except Exception as error:
                        told.append(str(error))

    logging = start_logging("feed", tmp_path / "logs", "DEBUG")
    try:
        asyncio.run(main())
    finally:
        logging.stop()
    assert (tmp_path / "logs" / "feed.log").stat().st_size > 0
    assert 2 == len(told)
    assert "canary" not in " ".join(told)
    assert [] == spilled(tmp_path)


def test_what_is_kept_of_settings_for_others_has_none() -> None:
    own = from_tree({"venues": {"binance-spot": addresses(1)}}, "test")
    assert "canary" not in as_toml(own, mask=True)
    assert "***" in as_toml(own, mask=True)
    assert as_toml(own).count("canary-user") == 2  # whoever attaches has to connect
    assert "canary" not in str(origin_of(own))


def test_an_address_that_is_none_is_refused_without_its_words() -> None:
    for url in ("ws://me:can/ary@host/", "http://me:can?ary@host/", "ws://me:canary@host:port"):
        with pytest.raises(ConfigError, match="with a user that cannot be read, expected") as error:
            load((), {"venues.binance-spot.ws_url": url}, {})
        assert "ary" not in str(error.value).replace("binance", "")
    assert "canary" not in str(ConnectionLost("ws://a:canary@b: not open"))
    assert Config() == load((), {}, {}).config
