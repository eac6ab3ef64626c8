"""Simulated venues over TLS: clients that are told the authority trust it, others refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from spreadcore import Instance

from known import SOURCE_BY_NAME
from spreadscan.cli import options
from spreadscan.cli.sim import sim
from spreadscan.errors import ConfigError
from spreadscan.sim.tls import make_context

SOURCES = ("okx-spot", "bybit-futures")
WITHIN_S = 30.0
SETTINGS = [
    f"sources={json.dumps(SOURCES)}",
    'universe.include=["BTC-*", "ETH-*", "SOL-*"]',
    "discovery.after_ack_s=2",
    "discovery.no_new_s=2",
    'discovery.backoff_ms=[1]',
]  # fmt: skip


class Place:
    """A folder with simulators over TLS, and the scanner's commands there."""

    def __init__(self, folder: Path, instance: str) -> None:
        self.folder, self.instance = folder, instance
        self.ca = folder / "ca.pem"
        self.config = folder / "sim.toml"

    def start(self, *arguments: str, ca: Path | None = None) -> "subprocess.Popen[str]":
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPREAD_", "SSL_CERT_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "spreadscan", *arguments],
            cwd=self.folder,
            env=kept | ({"SSL_CERT_FILE": str(ca)} if ca else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def scanner(self, command: str, *more: str, ca: Path | None) -> "subprocess.Popen[str]":
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        given = ["-c", str(self.config), "--instance", self.instance, *settings, *more]
        return self.start(*command.split(), *given, ca=ca)


@pytest.fixture
def place(tmp_path: Path, instance_name: str) -> Iterator[Place]:
    here = Place(tmp_path, instance_name)
    only = [part for source in SOURCES for part in ("--source", source)]
    server = here.start(
        "sim", "--port", "0", "--tls", str(here.ca), "--write-config", str(here.config),
        "--rate", "4000", *only,
    )  # fmt: skip
    try:
        assert server.stdout
        assert "wss://127.0.0.1:" in server.stdout.readline()
        _until(here.config.exists)
        yield here
    finally:
        server.kill()
        server.communicate()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("transport", ["picows", "aiohttp"])
def test_discovery_and_a_feed_over_tls(place: Place, transport: str) -> None:
    setting = ("--set", f"feeds.transport={transport}")
    discovery = place.scanner("discover", *setting, ca=place.ca)
    _, said = discovery.communicate(timeout=WITHIN_S)
    assert 0 == discovery.returncode, said
    created = place.scanner("init", ca=place.ca)
    _, said = created.communicate(timeout=WITHIN_S)
    assert 0 == created.returncode, said
    feed = place.scanner("feed okx-spot", *setting, ca=place.ca)
    try:
        health = Instance(place.instance).health
        source_id = SOURCE_BY_NAME["okx-spot"].id
        _until(lambda: health.counters(source_id)["quotes"] > 100 or feed.poll() is not None)
        feed.send_signal(signal.SIGTERM)
        _, said = feed.communicate(timeout=WITHIN_S)
        assert 0 == feed.returncode, said
    finally:
        feed.kill()
        feed.communicate()


def test_a_client_that_was_told_nothing_refuses(place: Place) -> None:
    """Scenario 45."""
    discovery = place.scanner("discover", ca=None)
    _, said = discovery.communicate(timeout=WITHIN_S)
    assert 1 == discovery.returncode
    assert "certificate verify failed" in said.lower()
    assert not (place.folder / "generated").exists()


def test_an_authority_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory, expected a place to write to"):
        make_context(tmp_path, "127.0.0.1")


def test_trustme_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tls: trustme is not installed.*spreadscan\[tls\]"):
        CliRunner().invoke(sim, ["--tls", str(tmp_path / "ca")], catch_exceptions=False)
