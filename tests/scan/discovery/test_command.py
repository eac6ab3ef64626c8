"""`spreadscan discover` and `config show` as a user meets them: sentences and exit codes."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scan.discovery.kit import NOBODY, bytes_of, move_to, with_listings
from spreadscan.cli.main import commands
from spreadscan.config import BY_DEFAULT, Config, flat
from spreadscan.config import load as load_settings
from spreadscan.lists import load
from spreadscan.sim import Market, SimServer


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.chdir(tmp_path)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def spreadscan(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, catch_exceptions=False)


def sentence(result: Result, code: int) -> str:
    """Return what is said on stderr: one line, and no traceback."""
    assert code == result.exit_code, result.output
    assert "Traceback" not in result.output
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("spreadscan: ")
    return last


# -- config show


def test_config_show_prints_every_setting_and_its_origin(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[engine]\nspin_us = 3")
    result = spreadscan(
        "config", "show", "--json", "-c", "own.toml", "--set", "tracker.grid_ms=100",
        "--instance", "mine",
    )  # fmt: skip
    assert 0 == result.exit_code
    shown = json.loads(result.stdout)
    assert set(flat(Config())) == set(shown["settings"])
    assert {"value": 3.0, "origin": "own.toml"} == shown["settings"]["engine.spin_us"]
    assert {"value": 100.0, "origin": "command line"} == shown["settings"]["tracker.grid_ms"]
    assert {"value": "mine", "origin": "command line"} == shown["settings"]["instance"]
    assert {"value": 5.0, "origin": "default"} == shown["settings"]["engine.park_ms"]
    assert shown["hash"] != Config().hash()


def test_config_show_tells_the_fees_in_force(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'account_tier = "vip1"\n[tiers.vip1]\nokx-spot = 8\n'
        "[venues.okx-spot]\ntaker_bps = 9\n[venues.okx-futures]\ntaker_bps = 4"
    )
    result = spreadscan("config", "show", "--json", "-c", "own.toml")
    fees = json.loads(result.stdout)["taker_bps"]
    assert set(Config().sources) == set(fees)
    assert {"value": 8.0, "origin": "tiers.vip1.okx-spot"} == fees["okx-spot"]
    assert {"value": 4.0, "origin": "venues.okx-futures.taker_bps"} == fees["okx-futures"]
    assert {"value": 10.0, "origin": "the venue's table, checked 2026-11-29"} == fees[
        "binance-spot"
    ]
    assert 8.0 == fees["mexc-futures"]["value"]  # 4 on the web
    assert "fees for orders by API" == json.loads(result.stdout)["fees"]
    people = spreadscan("config", "show", "-c", "own.toml").stdout
    assert "fees for orders by API" in people
    assert any(
        line.startswith("taker fee in force, okx-spot") and line.endswith("tiers.vip1.okx-spot")
        for line in people.splitlines()
    )


def test_config_show_tells_the_addresses_in_force(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[venues.binance-spot]\nws_url = ["wss://a.example/s", "wss://b.example/s"]\n'
        '[venues.bybit-spot]\nrest_url = "https://a.example"'
    )
    found = json.loads(spreadscan("config", "show", "--json", "-c", "own.toml").stdout)["addresses"]
    assert set(Config().sources) == set(found)
    own = {
        "value": ["wss://a.example/s", "wss://b.example/s"],
        "origin": "venues.binance-spot.ws_url",
    }
    assert own == found["binance-spot"]["ws_url"]
    table = ["https://api.binance.com", "https://data-api.binance.vision"]
    assert {"value": table, "origin": "the venue's table"} == found["binance-spot"]["rest_url"]
    assert ["https://a.example"] == found["bybit-spot"]["rest_url"]["value"]  # that one alone
    people = spreadscan("config", "show", "-c", "own.toml").stdout
    assert "wss://a.example/s, then wss://b.example/s" in people


def test_config_show_for_people() -> None:
    result = spreadscan("config", "show")
    assert 0 == result.exit_code
    lines = result.stdout.splitlines()
    # of each source: its fee and its two lists of addresses
    assert len(flat(Config())) + 3 * len(Config().sources) + 2 == len(lines)
    assert ["engine.spin_us", "0.0", "default"] in [line.split() for line in lines]
    assert ["config", "hash", Config().hash()] == lines[-1].split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "engine.spin_uss=1"], "'engine.spin_uss', did you mean 'spin_us'?"),
        (["--set", "engine.spin_us"], "--set engine.spin_us: no '=', expected KEY=VALUE"),
        (["--set", "engine.spin_us=fast"], "command line: engine.spin_us: Expected `float`"),
        (["--set", "sources=[]"], "command line: sources: none, expected both of a"),
        (["-c", "nothing.toml"], "nothing.toml: no such file"),
        (["--instance", 'a"b'], "command line: instance: "),
    ],
)
@pytest.mark.parametrize("command", [("config", "show"), ("discover",)])
def test_a_wrong_setting_is_one_sentence_and_code_2(
    command: tuple[str, ...], arguments: list[str], said: str
) -> None:
    assert said in sentence(spreadscan(*command, *arguments), 2)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[tracker]\nexpire_s = 3")
    said = sentence(spreadscan("config", "show", "-c", "own.toml"), 2)
    assert "own.toml: unknown key 'tracker.expire_s', did you mean 'expire_after_s'?" in said
    (tmp_path / "own.toml").write_text("[tracker")
    assert "own.toml: not TOML" in sentence(spreadscan("config", "show", "-c", "own.toml"), 2)


# -- discover


def unreachable(**more: Any) -> list[str]:
    flags = {"discovery.tries": 1} | more
    for name in BY_DEFAULT:
        flags[f"venues.{name}.rest_url"] = f"http://{NOBODY}"
    return [part for key, value in flags.items() for part in ("--set", f"{key}={value}")]


def test_unreachable_venues_are_one_sentence_and_code_1(tmp_path: Path) -> None:
    said = sentence(spreadscan("discover", "--json", *unreachable()), 1)
    assert "0 of 8 sources list their pairs, expected at least 6" in said
    assert "nothing was written" in said
    assert not (tmp_path / "generated").exists()
    (log,) = (tmp_path / "logs").iterdir()
    assert "discover.log" == log.name


def test_a_log_folder_that_is_none_is_one_sentence_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    assert "paths.logs: " in sentence(spreadscan("discover", *unreachable()), 2)


def test_a_broken_set_is_one_sentence_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "metadata.json").write_text("{}")
    said = sentence(spreadscan("discover", *unreachable()), 1)
    assert "metadata.json" in said
    assert "discover --fresh" in said


class Simulators:
    """The eight simulated sources in a thread of their own."""

    def __init__(self, market: Market) -> None:
        self.loop = asyncio.new_event_loop()
        self.server = SimServer(market)
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> "Simulators":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(20.0)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(20.0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20.0)
        self.loop.close()

    def write_config(self, path: Path) -> None:
        lines = ["[universe]", 'include = ["BTC-*", "ETH-*"]']
        for name, (rest_url, ws_url) in self.server.endpoints().items():
            lines += [f"[venues.{name}]", f'rest_url = "{rest_url}"', f'ws_url = "{ws_url}"']
        path.write_text("\n".join(lines))


@pytest.mark.parametrize("as_json", [True, False])
def test_discover_writes_a_set_and_says_what_it_found(
    moving: Market, tmp_path: Path, as_json: bool
) -> None:
    with Simulators(moving) as simulators:
        simulators.write_config(tmp_path / "sim.toml")
        flags = ["--json"] if as_json else []
        result = spreadscan("discover", "-c", "sim.toml", *flags)
    assert 0 == result.exit_code, result.output
    assert ("BTC-USDT", "ETH-USDT") == load(tmp_path / "generated").names
    assert "okx-futures: 252 pairs listed" in result.stderr
    assert "okx-futures: 2 of 2 pairs proven" in result.stderr
    assert "2 pairs; per direction: okx->mexc 2" in result.stderr
    if as_json:
        found = json.loads(result.stdout.splitlines()[-1])
        assert (1, 2, 12) == (found["generation"], found["symbols"], len(found["directions"]))
        assert 2 == found["sources"]["mexc-spot"]["valid_pairs"]
    else:
        assert "2 pairs, generation 1" in result.stdout
        assert "pairs per direction: okx->mexc 2" in result.stdout
    assert "metadata.json" in bytes_of(tmp_path / "generated")


def test_a_list_that_shrank_is_one_sentence_and_code_1(moving: Market, tmp_path: Path) -> None:
    with Simulators(moving) as simulators:
        simulators.write_config(tmp_path / "sim.toml")
        assert 0 == spreadscan("discover", "-c", "sim.toml").exit_code
    shrunk = with_listings(moving, {"mexc-spot": lambda rows: rows[:100]})
    with Simulators(shrunk) as simulators:
        simulators.write_config(tmp_path / "sim.toml")
        move_to(load_settings([tmp_path / "sim.toml"], environ={}).config)
        before = bytes_of(tmp_path / "generated")
        said = sentence(spreadscan("discover", "-c", "sim.toml"), 1)
        assert (
            "mexc-spot lists 100 USDT pairs, expected at least 383 of 547 up to generation 1"
            in said
        )
        assert before == bytes_of(tmp_path / "generated")
        assert 0 == spreadscan("discover", "-c", "sim.toml", "--accept-shrink").exit_code
    assert 2 == load(tmp_path / "generated").generation


def test_a_source_that_failed_is_named_below_the_table(moving: Market, tmp_path: Path) -> None:
    with Simulators(moving) as simulators:
        simulators.write_config(tmp_path / "sim.toml")
        down = f"venues.okx-spot.rest_url=http://{NOBODY}"
        result = spreadscan(
            "discover", "-c", "sim.toml", "--set", down, "--set", "discovery.tries=1"
        )
    assert 3 == result.exit_code, result.output
    assert f"okx-spot failed: http://{NOBODY}/" in result.stdout
    assert "okx-futures failed" not in result.stdout


# -- discover --plan


def test_the_plan_of_the_venues_lists_and_then_of_the_set(moving: Market, tmp_path: Path) -> None:
    with Simulators(moving) as simulators:
        simulators.write_config(tmp_path / "sim.toml")
        before = spreadscan("discover", "--plan", "--json", "-c", "sim.toml")
        assert not (tmp_path / "generated").exists()
        assert all(0 == c.opened for c in simulators.server.counters().values())
        spreadscan("discover", "-c", "sim.toml")
    after = spreadscan("discover", "--plan", "--json", "-c", "sim.toml")  # nobody there to ask
    assert (0, 0) == (before.exit_code, after.exit_code), before.output + after.output
    listed, generated = json.loads(before.stdout), json.loads(after.stdout)
    assert (None, 1) == (listed["generation"], generated["generation"])
    assert listed["sources"] == generated["sources"]
    okx = listed["sources"]["okx-spot"]
    assert (2, 1, 2) == (okx["pairs"], okx["feed"]["sockets"], okx["feed"]["topics_per_socket"])
    assert okx["limits"]["connects_per_s"] > 0
    foreign = spreadscan(  # a run would ask the venues anew, and so does a plan
        "discover", "--plan", "--json", "-c", "sim.toml", "--set", 'universe.include=["ETH-*"]'
    )
    assert (3, None) == (foreign.exit_code, json.loads(foreign.stdout)["generation"])
    shown = spreadscan("discover", "--plan", "-c", "sim.toml")
    assert "feeds, of generation 1" in shown.stdout
    assert "binance-futures" in shown.stdout


def test_a_plan_without_a_list_says_so_with_code_3() -> None:
    result = spreadscan("discover", "--plan", *unreachable())
    assert 3 == result.exit_code
    assert f"okx-spot: http://{NOBODY}/api/v5" in result.stdout


def test_a_plan_of_a_broken_set_is_one_sentence_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "metadata.json").write_text("{}")
    assert "metadata.json" in sentence(spreadscan("discover", "--plan"), 1)


def test_a_plan_writes_no_ids_anew() -> None:
    result = spreadscan("discover", "--plan", "--fresh")
    assert 2 == result.exit_code
    assert "expected without --fresh" in result.stderr
