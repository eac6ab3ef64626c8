"""`spreadscan doctor` against a real simulator, and against everything that it should find."""

import asyncio
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from spreadcore import Instance
from spreadcore.region import instance_dir

from known import SOURCE_BY_NAME
from scan.discovery.kit import NOBODY, Reply, Rest, run
from scan.feeds.kit import Exchange, ack, refusal
from scan.feeds.kit import settings as feeds
from scan.net.raw_server import RawServer
from spreadscan.app.doctor import Check, Report, examine, push, reach
from spreadscan.app.doctor.examine import n_checks
from spreadscan.app.status import roles_of
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Discovery, Feeds, Paths, Tracker, VenueSettings
from spreadscan.discovery import outcome
from spreadscan.discovery.origin import origin_of
from spreadscan.discovery.write import write_set
from spreadscan.errors import BadFrame, RateLimited, Refused, RegionBlocked
from spreadscan.inuse import Announced, leave_maintenance
from spreadscan.lists import Failure, SourceList
from spreadscan.net.bans import bans_of
from spreadscan.sim.pages import PAGES, time_page
from spreadscan.venues import VENUES, base
from spreadscan.venues.base import time_ms

SOURCES = ("okx-spot", "bybit-futures")
NAMES_OF_AUDIT = ("audit", "confirmations", "agreement", "announcements")
WITHIN_S = 30.0


class Place:
    """A folder with a simulator process of two sources, and the command there."""

    def __init__(self, folder: Path, instance: str) -> None:
        self.folder, self.instance = folder, instance
        self._sim: subprocess.Popen[bytes] | None = None

    def simulate(self, *options: str, sources: Sequence[str] = SOURCES) -> None:
        only = [part for source in sources for part in ("--source", source)]
        arguments = ["sim", "--port", "0", "--write-config", "sim.toml", *only, *options]
        self._sim = subprocess.Popen(
            [sys.executable, "-m", "spreadscan", *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + WITHIN_S
        while not (self.folder / "sim.toml").exists():
            assert time.monotonic() < end
            time.sleep(0.02)

    def doctor(self, *more: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        given = ["-c", "sim.toml", "--instance", self.instance]
        given += ["--set", f"sources={json.dumps(SOURCES)}", *more]
        return subprocess.run(
            [sys.executable, "-m", "spreadscan", "doctor", *given],
            cwd=self.folder,
            env={k: v for k, v in os.environ.items() if not k.startswith("SPREAD_")},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
            **options,
        )

    def end(self) -> None:
        if self._sim:
            self._sim.send_signal(signal.SIGTERM)
            assert 0 == self._sim.wait(WITHIN_S)


@pytest.fixture
def place(tmp_path: Path, instance_name: str) -> Iterator[Place]:
    here = Place(tmp_path, instance_name)
    yield here
    here.end()


def findings(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(c["subject"], c["name"]): c for c in report["checks"] if not c["ok"]}


def test_all_is_well_with_a_simulator(place: Place) -> None:
    place.simulate()
    found = place.doctor("--json")
    assert 0 == found.returncode, found.stdout + found.stderr
    report = json.loads(found.stdout)
    assert report["ok"]
    config = Config(sources=SOURCES)
    assert n_checks(config) == len(report["checks"]) == len(found.stderr.splitlines())
    for source in SOURCES:
        own = [c["name"] for c in report["checks"] if c["subject"] == source]
        assert list(reach.NAMES) == own
    assert not (place.folder / "data").exists()  # it only looks
    shown = place.doctor()
    assert 0 == shown.returncode
    assert "nothing to mend" in shown.stdout


def test_a_source_that_is_off_is_named_with_the_key_to_change(place: Place) -> None:
    place.simulate()
    off = [
        part
        for key, scheme in (("rest_url", "http"), ("ws_url", "ws"))
        for part in ("--set", f"venues.bybit-futures.{key}={scheme}://{NOBODY}")
    ]
    found = place.doctor("--json", *off)
    assert 3 == found.returncode
    told = findings(json.loads(found.stdout))
    assert {("bybit-futures", name) for name in ("rest", "clock", "websocket")} == set(told)
    assert "venues.bybit-futures.ws_url" in told["bybit-futures", "websocket"]["advice"]
    shown = place.doctor(*off)
    assert 3 == shown.returncode
    assert "-> check network and firewall, and venues.bybit-futures.rest_url" in shown.stdout
    assert "3 to mend" in shown.stdout


def test_a_ban_is_told_and_nothing_is_sent_within_it(place: Place) -> None:
    place.simulate()
    venues = tomllib.loads((place.folder / "sim.toml").read_text())["venues"]
    source, ws_url = next((name, urls["ws_url"]) for name, urls in venues.items())
    bans_of(Config(paths=Paths(data=str(place.folder / "data")))).record(
        ws_url, RateLimited("HTTP 418", 600.0)
    )
    found = place.doctor("--json")
    assert 3 == found.returncode
    told = findings(json.loads(found.stdout))
    # REST and sockets of a simulated source are on one host
    assert {
        ("machine", "bans"), (source, "rest"), (source, "clock"), (source, "websocket"),
    } == set(told)  # fmt: skip
    assert "to be left alone: 127.0.0.1:" in told["machine", "bans"]["found"]
    assert "left alone until" in told[source, "websocket"]["found"]


def test_too_few_open_files_are_found(place: Place) -> None:
    place.simulate()

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    found = place.doctor("--json", preexec_fn=few)
    assert 3 == found.returncode
    (check,) = findings(json.loads(found.stdout)).values()
    assert ("open files", "100 of 256 needed") == (check["name"], check["found"])
    assert "ulimit -n 256" == check["advice"]


def test_a_wrong_key_is_code_2(place: Place) -> None:
    (place.folder / "sim.toml").write_text("")
    found = place.doctor("--set", "tracker.reserv_mb=5")
    assert 2 == found.returncode
    assert "did you mean 'reserve_mb'?" in found.stderr


# -- live: every address and page


def test_live_is_well_with_a_simulator(place: Place) -> None:
    place.simulate()
    found = place.doctor("--live", "--json")
    assert 0 == found.returncode, found.stdout + found.stderr
    told = [(c["subject"], c["name"]) for c in json.loads(found.stdout)["checks"]]
    for source, names in {
        "okx-spot": [
            "facts", "time", "instruments", "tickers", "maintenance", "websocket", "statuses",
        ],
        "bybit-futures": [
            "facts", "time", "instruments", "tickers", "funding", "maintenance", "websocket",
        ],
    }.items():  # fmt: skip
        assert names == [name for subject, name in told if subject == source]
    assert "BTC-USDT quoted" in found.stdout
    assert "nothing to mend" in place.doctor("--live").stdout


def test_live_tries_every_address_and_tells_each_that_fails(place: Place) -> None:
    """Where the scan itself, and the doctor that is not live, would go on with the second."""
    place.simulate()
    config = tomllib.loads((place.folder / "sim.toml").read_text())
    own = config["venues"]["okx-spot"]
    flags = [
        part
        for key, bad in (("rest_url", f"http://{NOBODY}"), ("ws_url", "ws://no-such-host.invalid"))
        for part in ("--set", f"venues.okx-spot.{key}={json.dumps([bad, own[key]])}")
    ]
    plain = place.doctor("--json", *flags)
    assert 0 == plain.returncode, plain.stdout
    assert f"ms; at {own['rest_url']}, since http://{NOBODY}" in plain.stdout
    found = place.doctor("--live", "--json", *flags)
    assert 3 == found.returncode
    report = json.loads(found.stdout)
    assert {
        ("dns", "no-such-host.invalid"), ("time", f"http://{NOBODY}"),
        ("instruments", f"http://{NOBODY}"), ("tickers", f"http://{NOBODY}"),
    } == {(c["name"], c["at"]) for c in report["checks"] if not c["ok"]}  # fmt: skip
    good = {(c["name"], c["at"]) for c in report["checks"] if c["ok"]}
    assert {("instruments", own["rest_url"]), ("websocket", own["ws_url"])} <= good


@pytest.mark.parametrize(
    ("reply", "said", "advice"),
    [
        (Reply(b'{"code":"0","data":{}}'), "expected", "has changed shape"),
        (Reply(b'{"code":"0","data":[]}'), "lists 0 coins, not BTC, ETH, SOL, XRP", "shape"),
        (Reply(status="451 No"), "refuses your address", "to a host that serves you"),
        (Reply(hang=True), "within 0.3 s", "check network"),
    ],
    ids=["shape", "empty", "451", "hang"],
)
def test_live_tells_what_is_not_as_it_was(
    tmp_path: Path, reply: Reply, said: str, advice: str
) -> None:
    async def main() -> Report:
        async with Rest(reply) as server:
            config = config_at(tmp_path, server.url, sources=("okx-spot", "bybit-futures"))
            return await examine(config, lambda check: None, all_addresses=True)

    report: Report = run(main(), 20.0)
    found = {(c.subject, c.name): c for c in report.checks if not c.ok}
    assert said in found["okx-spot", "instruments"].found
    assert advice in found["okx-spot", "instruments"].advice
    assert "no instrument list says" in found["okx-spot", "websocket"].found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda r: [refusal("okx-spot", r, "60018", "Wrong channel")], "refuses statuses: 60018"),
        (lambda r: None, "no answer about statuses within 0.3 s"),
        (lambda r: ack("okx-spot", r), ""),
    ],
)
def test_a_subscription_to_statuses_is_answered(
    monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    monkeypatch.setattr(push, "DEADLINE_S", 0.3)
    venue = VENUES["okx-spot"]

    async def main() -> str:
        async with Exchange("okx-spot", answer) as exchange:
            try:
                assert venue.audit.push
                config = Config(feeds=feeds())
                return await push.subscribed(venue, venue.audit.push, exchange.url, config)
            except Refused as error:
                return str(error)

    told = run(main())
    assert said in told
    assert bool(said) != (told == "acknowledged")


def test_live_tells_a_redirect(tmp_path: Path) -> None:
    async def main() -> Report:
        async with Rest(Reply(time_page("okx-spot", time.time_ns()))) as there:
            moved = Reply(status="301 Moved", headers=(f"Location: {there.url}/now",))
            async with Rest(moved) as server:
                config = config_at(tmp_path, server.url)
                return await examine(config, lambda check: None, all_addresses=True)

    report: Report = run(main(), 20.0)
    found = {(c.subject, c.name): c for c in report.checks if not c.ok}
    assert found["okx-spot", "time"].found.startswith("redirects to http://127.0.0.1:")
    assert "set [venues.okx-spot] to where it is now" in found["okx-spot", "time"].advice


def test_live_sends_nothing_within_a_ban(tmp_path: Path) -> None:
    async def main() -> tuple[Report, list[str]]:
        async with Rest(Reply()) as server:
            config = config_at(tmp_path, server.url)
            bans_of(config).record(server.url, RateLimited("HTTP 418", 600.0))
            return await examine(config, lambda c: None, all_addresses=True), server.asked

    report, asked = run(main(), 20.0)
    assert [] == asked
    assert not report.ok


def test_live_names_each_host_without_an_address_once_and_ends(tmp_path: Path) -> None:
    """The venues' own hosts, where there is no network: no request, no hang."""
    urls = "https://no-such-host.invalid", "https://nor-this.invalid"
    config = config_at(
        tmp_path,
        venues={
            s: VenueSettings(rest_url=urls, ws_url="wss://no-such-host.invalid") for s in SOURCES
        },
    )
    report = run(examine(config, lambda check: None, all_addresses=True), 20.0)
    for source in SOURCES:
        own = [(c.name, c.at) for c in report.checks if c.subject == source and not c.ok]
        assert [("dns", "no-such-host.invalid"), ("dns", "nor-this.invalid")] == own


# -- facts that age


def test_old_facts_are_one_finding_per_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FACTS_LAST_DAYS", -1)
    found = examined(config_at(tmp_path))
    for source in SOURCES:
        check = found[source, "facts"]
        assert not check.ok
        assert "fees of 2026-11-29" in check.found
        assert check.advice.startswith("use a newer release, or look at https://")


def test_a_run_warns_of_old_facts_with_a_line_per_source(place: Place) -> None:
    place.simulate()
    program = "import spreadscan.venues.base as b; b.FACTS_LAST_DAYS = -1\n"
    program += "from spreadscan.cli.main import main; main()"
    given = ["run", "-c", "sim.toml", "--instance", place.instance, "--seconds", "0.5"]
    given += ["--set", f"sources={json.dumps(SOURCES)}", "--set", "discovery.no_new_s=0.5"]
    found = subprocess.run(
        [sys.executable, "-c", program, *given],
        cwd=place.folder, capture_output=True, text=True, timeout=60.0, check=False,
    )  # fmt: skip
    warned = [line for line in found.stderr.splitlines() if line.startswith("warning: ")]
    assert [f"warning: {s}: fees of 2026-11-29" for s in SOURCES] == [
        w.split(",")[0] for w in warned
    ]


# -- in this process


def config_at(folder: Path, url: str = f"http://{NOBODY}", **more: Any) -> Config:
    """Return settings of which every address is url, on one host."""
    settings = VenueSettings(rest_url=url, ws_url=url.replace("http", "ws", 1))
    paths = Paths(data=str(folder / "data"), generated=str(folder / "generated"))
    return Config(
        **{
            "instance": f"none-{os.getpid()}",
            "sources": SOURCES,
            "venues": dict.fromkeys(SOURCES, settings),
            "paths": paths,
            "feeds": Feeds(connect_timeout_s=0.3),
            "discovery": Discovery(rest_timeout_s=0.3),
        }
        | more
    )


def examined(config: Config) -> dict[tuple[str, str], Check]:
    report: Report = run(examine(config, lambda check: None), 20.0)
    assert n_checks(config) == len(report.checks)
    return {(check.subject, check.name): check for check in report.checks}


@pytest.mark.parametrize(
    ("reply", "said", "advice"),
    [
        (Reply(status="451 No"), "refuses your address", "to a host that serves you"),
        (Reply(b"not in your country", "403 No"), "refuses your address", "out of `sources`"),
        (Reply(status="503 Busy", kind="text/html"), "HTTP 503", "has an outage"),
        (Reply(status="404 No"), "HTTP 404", "check network"),
        (Reply(hang=True), "within 0.3 s", "check network"),
    ],
    ids=["451", "403 html", "503", "404", "hang"],
)
def test_what_refuses_is_told_with_what_to_do(
    tmp_path: Path, reply: Reply, said: str, advice: str
) -> None:
    async def main() -> Report:
        async with Rest(reply) as server:
            return await examine(config_at(tmp_path, server.url), lambda check: None)

    report: Report = run(main(), 20.0)
    found = {(c.subject, c.name): c for c in report.checks if not c.ok}
    for name in ("rest", "websocket"):
        check = found["okx-spot", name]
        assert said in check.found
        assert advice in check.advice
    assert [] == bans_of(config_at(tmp_path)).all()  # a block is for feeds to note


@pytest.mark.parametrize(
    ("ahead_s", "found"),
    [(30.0, "by +30"), (-30.0, "by -"), (-0.1, "")],
)
def test_a_skewed_clock_is_told_with_its_sign(tmp_path: Path, ahead_s: float, found: str) -> None:
    """The venue's clock is put back or forward, which is the same as ours being ahead or behind."""

    async def main() -> Report:
        page = time_page("okx-spot", time.time_ns() - round(ahead_s * 1e9))
        async with Rest(Reply(page)) as server:
            return await examine(config_at(tmp_path, server.url), lambda check: None)

    report: Report = run(main(), 20.0)
    (check,) = (c for c in report.checks if ("okx-spot", "clock") == (c.subject, c.name))
    assert bool(found) != check.ok
    assert found in check.found
    assert check.ok or "NTP" in check.advice


def test_a_429_is_kept_for_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with Rest(Reply(status="429 Slow", headers=("Retry-After: 77",))) as server:
            await examine(config_at(tmp_path, server.url), lambda check: None)
            assert len(server.asked) <= 4  # one of each kind and source, none twice

    run(main(), 20.0)
    (ban,) = bans_of(config_at(tmp_path)).all()
    assert 70 < ban.left_s(time.time()) <= 77


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def main() -> Report:
        async with RawServer(lambda peer: asyncio.sleep(0), tls=context) as server:
            url = server.url.removesuffix("/ws").replace("wss", "https")
            return await examine(config_at(tmp_path, url), lambda check: None)

    report: Report = run(main(), 20.0)
    found = {(c.subject, c.name): c for c in report.checks if not c.ok}
    for name in ("rest", "websocket"):
        assert "TLS: " in found["okx-spot", name].found
        assert "CA certificates (SSL_CERT_FILE)" in found["okx-spot", name].advice


def test_a_resolver_that_hangs_ends_with_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    monkeypatch.setattr(reach, "DNS_DEADLINE_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: held.wait(WITHIN_S))
    try:
        found = examined(config_at(tmp_path))
    finally:
        held.set()
    assert "no answer within 0.2 s" in found["okx-spot", "dns"].found
    assert "not tried: its name does not resolve" == found["okx-spot", "websocket"].found


def test_a_block_of_the_region_is_told_with_its_advice(tmp_path: Path) -> None:
    config = config_at(tmp_path)
    bans_of(config).record("ws://venue.example.com", RegionBlocked("HTTP 451: set ws_url"))
    check = examined(config)["machine", "bans"]
    assert "venue.example.com for good" in check.found
    assert "HTTP 451: set ws_url" == check.advice


def test_a_disk_within_its_reserve_is_found(tmp_path: Path) -> None:
    check = examined(config_at(tmp_path, tracker=Tracker(reserve_mb=1e12)))["machine", "disk"]
    assert not check.ok
    assert "1,000,000,000,000 MB kept in reserve" in check.found


def test_a_broken_set_is_found(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "metadata.json").write_text("{}")
    check = examined(config_at(tmp_path))["machine", "generated"]
    assert "metadata.json" in check.found
    assert "`spreadscan discover`" in check.advice


def test_a_set_that_lacks_a_source_is_found(tmp_path: Path) -> None:
    config, source = config_at(tmp_path), SOURCES[0]
    listed = {name: SourceList(source=name, symbols=()) for name in SOURCES}
    facts: dict[str, Any] = {"names": ("A-USDT",), "retired": frozenset(), "pairs": {}}
    facts |= {"sources": listed, "n_listed": {}, "report": "", "origin": origin_of(config)}
    failed = {source: Failure(why="HTTP 503", list_written="2026-11-20T12:00:00Z")}
    folder = tmp_path / "generated"
    write_set(folder, generation=1, unix_ns=time.time_ns(), failed=failed, **facts)
    check = examined(config)["machine", "generated"]
    assert f"generation 1, 1 ids; {source} failed: HTTP 503; its pairs in the set" in check.found
    assert "asks again by itself" in check.advice
    write_set(folder, generation=2, unix_ns=time.time_ns(), **facts)
    assert examined(config)["machine", "generated"].ok
    write_set(folder, generation=3, unix_ns=time.time_ns(), **facts | {"origin": None})
    check = examined(config)["machine", "generated"]
    assert "of another market (it does not say from which hosts it is)" in check.found
    assert "`spreadscan discover` writes it anew" == check.advice  # no scanner asks for these hosts
    write_set(folder, generation=4, unix_ns=time.time_ns(), **facts)
    outcome.write(config, refused="too few")
    assert "the last discovery was refused: too few" in (
        examined(config)["machine", "generated"].found
    )


def test_another_capacity_and_another_layout_are_found(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    config = config_at(tmp_path, instance=instance.name)
    check = examined(config)["instance", "layout"]
    assert "capacity (8, 64, 768, 4096), at least (8, 4096, 16384, 4096) needed" in check.found
    assert f"`spreadscan run --instance {instance.name}` makes it anew" in check.advice
    control = Path(instance_dir(instance.name), "control")
    with control.open("r+b") as file:
        file.seek(8)  # layout_version, behind the magic
        file.write(b"\xff\xff")
    check = examined(config)["instance", "layout"]
    assert not check.ok
    assert "init --force" in check.advice


def test_a_lease_whose_holder_fell_silent_is_found(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    writing = Instance(instance.name, ("health",))
    config, health = config_at(tmp_path, instance=instance.name), writing.health
    with_lease = instance.lease("engine")
    try:
        health.start(health.role("engine"), now_ns())
        assert examined(config)["instance", "leases"].ok
        health.beat(health.role("engine"), now_ns() - 60_000_000_000)
        check = examined(config)["instance", "leases"]
        assert f"engine (pid {os.getpid()}) holds it, silent for 60 s" == check.found
    finally:
        with_lease.close()


def test_a_role_that_ended_while_its_supervisor_lives_is_found(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    health = Instance(instance.name, ("health",)).health
    config = config_at(tmp_path, instance=instance.name)
    health.start(health.role("tracker"), now_ns() - 5_000_000_000)
    assert examined(config)["instance", "leases"].ok  # nobody runs: what is left is no fault
    lease = instance.lease("supervisor")
    try:
        health.start(health.role("supervisor"), now_ns())
        assert (
            "tracker ended without a word 5 s ago" == examined(config)["instance", "leases"].found
        )
        health.beat(health.role("tracker"), now_ns(), "off")
        assert examined(config)["instance", "leases"].ok
    finally:
        lease.close()


def test_a_kill_is_a_finding_with_how_it_is_cleared(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    config = config_at(tmp_path, instance=instance.name)
    assert examined(config)["instance", "switches"].ok
    instance.control.throw_kill(now_ns(), "a wrong fee")
    check = examined(config)["instance", "switches"]
    assert check.found.startswith("KILLED since ")
    assert f"ctl resume --after-kill WHY --instance {instance.name}" in check.advice


# -- the audit of an instance


@pytest.fixture
def audited(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> Iterator[tuple[Config, Instance]]:
    """An instance whose roles run, with a round of each source a moment ago."""
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    health, now = instance.health, now_ns()
    config = config_at(tmp_path, instance=instance.name)
    leases = []
    for role in roles_of(config):
        number = SOURCE_BY_NAME[role].id if role in SOURCE_BY_NAME else health.role(role)
        health.start(number, max(1, now - 900 * 10**9))
        health.beat(number, now)
        leases.append(instance.lease(role))
    for source in range(8):
        for name, value in {"round_ns": now, "audited": 10, "agreed": 10}.items():
            instance.audit.set(source, name, value)
    yield config, instance
    for lease in leases:
        lease.close()


def test_an_audit_that_is_well_is_told(audited: tuple[Config, Instance]) -> None:
    found = examined(audited[0])
    told = {name: found["instance", name].found for name in NAMES_OF_AUDIT}
    assert all(found["instance", name].ok for name in NAMES_OF_AUDIT)
    assert {
        "audit": "runs", "confirmations": "agreed 20 of 20", "agreement": "agreed 20 of 20",
        "announcements": "no maintenance that is known",
    } == told  # fmt: skip


def test_a_source_that_its_audit_degrades_is_a_finding(audited: tuple[Config, Instance]) -> None:
    config, instance = audited
    okx, bybit = (SOURCE_BY_NAME[name].id for name in SOURCES)
    instance.audit.set(okx, "failing_ns", max(1, now_ns() - 90 * 10**9))
    for name, value in {"accused": 1, "below_ns": max(1, now_ns() - 90 * 10**9)}.items():
        instance.audit.set(bybit, name, value)
    found = examined(config)
    check = found["instance", "confirmations"]
    assert check.found.startswith("okx-spot: the audit confirms nothing since ")
    assert f"see {config.paths.logs}/audit.log" in check.advice
    check = found["instance", "agreement"]
    assert check.found.startswith("bybit-futures: 90.9 % of the quotes judged agree with their")
    assert "look at one of its pairs at the venue" in check.advice


def test_an_audit_that_does_not_run_is_a_finding_where_an_engine_does(
    tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    config = config_at(tmp_path, instance=instance.name)
    assert "nobody runs" == examined(config)["instance", "audit"].found
    lease = instance.lease("engine")
    try:
        instance.health.start(instance.health.role("engine"), now_ns())
        check = examined(config)["instance", "audit"]
        assert (False, "does not run") == (check.ok, check.found)
        assert f"`ctl stop --instance {instance.name}` and `run` start it again" in check.advice
        without = config_at(tmp_path, instance=instance.name, audit=Audit(enabled=False))
        assert "not enabled" == examined(without)["instance", "audit"].found
    finally:
        lease.close()


@pytest.mark.parametrize(("state", "ok"), [("scheduled", True), ("ongoing", False)])
def test_maintenance_that_is_under_way_is_a_finding(
    audited: tuple[Config, Instance], state: Any, ok: bool
) -> None:
    config, instance = audited
    row = Announced(
        source="okx-spot", state=state, title="Upgrade", begin_ns=0, end_ns=0, what="trading"
    )
    leave_maintenance(instance, [row])
    check = examined(config)["instance", "announcements"]
    assert (ok, f"okx: maintenance {state} (trading): Upgrade") == (check.ok, check.found)
    assert ok or check.advice.startswith("wait for its end")


def test_live_reads_the_audit_pages_of_every_venue(place: Place) -> None:
    place.simulate(sources=list(VENUES))
    found = place.doctor("--live", "--json", "--set", f"sources={json.dumps(list(VENUES))}")
    assert 0 == found.returncode, found.stdout
    checks = json.loads(found.stdout)["checks"]
    for name, venue in VENUES.items():
        told = {c["name"]: c["found"] for c in checks if c["subject"] == name}
        assert " show a book" in told["tickers"]
        assert ("acknowledged" if venue.audit.push else None) == told.get("statuses")
        announces = bool(venue.audit.maintenance_request)
        assert ("0 announced" if announces else None) == told.get("maintenance")


def test_live_tells_an_answer_of_another_shape(place: Place) -> None:
    (place.folder / "faults.toml").write_text("""
[[fault]]
what = "wrong_shape"
source = "okx-spot"
how = "other_venue"
page = "tickers"

[[fault]]
what = "wrong_shape"
source = "bybit-futures"
how = "empty_list"
page = "ask"

[[fault]]
what = "status"
source = "bybit-futures"
status = 429
retry_after_s = 60
page = "maintenance"
""")
    place.simulate("--faults", "faults.toml")
    found = findings(json.loads(place.doctor("--live", "--json").stdout))
    okx, bybit = found["okx-spot", "tickers"], found["bybit-futures", "tickers"]
    assert "expected" in okx["found"]
    assert "the answer has changed shape" in okx["advice"]
    assert "the answer has 0 other tickers" in bybit["found"]
    assert "HTTP 429" in found["bybit-futures", "maintenance"]["found"]
    assert 3 == len(found)
    # whoever scans may go on asking that host
    assert [] == bans_of(Config(paths=Paths(data=str(place.folder / "data")))).all()


@pytest.mark.parametrize("name", VENUES)
def test_the_time_of_every_venue_is_read(name: str) -> None:
    spec = VENUES[name].spec
    assert PAGES[name].time_path == spec.time_path
    ms = 1_790_000_000_123
    assert ms == time_ms(spec, time_page(name, ms * 1_000_000 + 456))
    for payload in (b"", b"[1]", b"{}", b'{"code": "1", "data": []}', b'{"data": {"x": 1}}'):
        with pytest.raises(BadFrame, match="expected"):
            time_ms(spec, payload)


def test_a_report_hears_of_every_check_as_it_ends(tmp_path: Path) -> None:
    told: list[Check] = []
    report = asyncio.run(examine(config_at(tmp_path), told.append))
    assert len(told) == len(report.checks)
    assert not report.ok
