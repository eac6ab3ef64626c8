"""What a user can do wrong gives one sentence and a stable exit code, never a traceback."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spreadcore import Instance
from spreadcore.region import create, exists, unlink

from e2e.conftest import Scanner, Simulators, adopt, environment, spreadscan, until
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from known import TWELVE as DIRECTIONS
from spreadscan.app.commands import socket_of
from spreadscan.control import requests
from spreadscan.control.client import ask
from spreadscan.defaults import default_file
from spreadscan.errors import ConfigError
from spreadscan.lists import FORMAT, load

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def name() -> Iterator[str]:
    import secrets

    name = f"test-{secrets.token_hex(4)}"
    yield name
    if exists(name):
        unlink(name)


def sentence(done: object, code: int, *words: str) -> str:
    """Return stderr after checking that it is one sentence with these words."""
    assert code == done.returncode, done.stderr  # type: ignore[attr-defined]
    text: str = done.stderr.strip().splitlines()[-1]  # type: ignore[attr-defined]
    assert "Traceback" not in done.stderr  # type: ignore[attr-defined]
    for word in words:
        assert word in text
    return text


def test_an_unknown_key_names_file_and_nearest(folder: Path) -> None:
    (folder / "my.toml").write_text("[engine]\nthreshhold_bps = 3\n")
    done = spreadscan("config", "show", "-c", "my.toml", cwd=folder)
    sentence(done, 2, "my.toml", "engine.threshhold_bps", "'threshold_bps'")


def test_an_unknown_source_is_named(folder: Path) -> None:
    sentence(spreadscan("feed", "binance-sport", cwd=folder), 2, "'binance-sport'", "binance-spot")


def test_config_show_tells_where_a_value_comes_from(folder: Path) -> None:
    done = spreadscan(
        "config",
        "show",
        "--json",
        "-c",
        str(default_file("demo.toml")),
        "--set",
        "engine.spin_us=-1",
        cwd=folder,
    )
    assert done.returncode == 0
    settings = json.loads(done.stdout)["settings"]
    assert {"value": -1.0, "origin": "command line"} == settings["engine.spin_us"]
    assert settings["tracker.expire_after_s"]["origin"].endswith("demo.toml")
    assert settings["engine.park_ms"]["origin"] == "default"


def test_init_twice_and_by_force(folder: Path, name: str) -> None:
    first = spreadscan("init", "--instance", name, "--json", cwd=folder)
    assert json.loads(first.stdout)["created"] is True
    again = spreadscan("init", "--instance", name, "--json", cwd=folder)
    assert json.loads(again.stdout)["created"] is False
    forced = spreadscan("init", "--instance", name, "--force", "--json", cwd=folder)
    assert json.loads(forced.stdout)["created"] is True


def test_an_instance_that_is_too_small_is_refused_a_larger_one_is_not(
    folder: Path, name: str
) -> None:
    create(name, n_symbols=64)
    done = spreadscan("init", "--instance", name, cwd=folder)
    least = "at least 8 x 4096 x 16384 x 4096"
    sentence(done, 2, "capacity 8 x 64 x 4096 x 4096", least, "init --force")
    create(name, n_symbols=8192, n_edges=16_384, force=True)
    done = spreadscan("init", "--instance", name, cwd=folder)
    assert (0, True) == (done.returncode, "is there already" in done.stdout)


def test_shared_memory_of_another_version_is_refused(folder: Path, name: str) -> None:
    create(name)
    path = Path(f"/dev/shm/spreadscan-{name}/control")
    content = bytearray(path.read_bytes())
    content[8] ^= 1  # the layout version
    path.write_bytes(content)
    sentence(spreadscan("ctl", "status", "--instance", name, cwd=folder), 2, "layout", "expected")


def test_no_instance_and_no_set(folder: Path, name: str) -> None:
    done = spreadscan("ctl", "status", "--instance", name, cwd=folder)
    sentence(done, 1, "there is none, expected a scanner")
    sentence(spreadscan("engine", "--instance", name, cwd=folder), 1, "metadata.json", "missing")


def test_unreachable_venues_write_nothing(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: every connection is refused
        port = taken.getsockname()[1]
        sources = json.dumps(["okx-spot", "bybit-futures"])
        done = spreadscan(
            "discover",
            "--set",
            f"sources={sources}",
            "--set",
            f"venues.okx-spot.rest_url=http://127.0.0.1:{port}",
            "--set",
            f"venues.bybit-futures.rest_url=http://127.0.0.1:{port}",
            cwd=folder,
        )
    sentence(done, 1, "0 of 2 sources", "nothing was written", "okx-spot")
    assert not (folder / "generated").exists()


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = spreadscan("sim", "--port", str(port), "--source", "binance-spot", cwd=folder)
    sentence(done, 2, str(port))


def test_second_writers_are_refused(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    """Scenario 08."""
    sim = simulators()
    scan = scanner(sim)
    common = ("--instance", scan.name, "-c", str(sim.config))
    pids = {n: str(r["pid"]) for n, r in scan.status()["roles"].items()}
    for role, arguments in {
        "mexc-spot": ("feed", "mexc-spot"),
        "engine": ("engine",),
        "tracker": ("tracker",),
    }.items():
        done = spreadscan(*arguments, *common, cwd=scan.folder)
        sentence(done, 2, role, "already running", pids[role])
    done = spreadscan("run", "--no-discover", *common, cwd=scan.folder)
    stop = f"`spreadscan ctl stop --instance {scan.name}`"  # the holder, not another's scanner
    held = (f"instance '{scan.name}'", f"pid {pids['supervisor']} ", "since", "holds it", stop)
    sentence(done, 2, "paths.data", *held)
    # nor under another name on this folder, nor under this name on another
    other = spreadscan(
        "run",
        "--no-discover",
        "-c",
        str(sim.config),
        "--instance",
        f"{scan.name}-2",
        cwd=scan.folder,
    )
    sentence(other, 2, "paths.data", *held)
    assert not exists(f"{scan.name}-2")
    (scan.folder / "elsewhere").mkdir()
    other = spreadscan("run", "--no-discover", *common, cwd=scan.folder / "elsewhere")
    sentence(other, 2, "in use by supervisor", stop)
    forced = spreadscan("init", "--force", "--instance", scan.name, cwd=scan.folder)
    sentence(forced, 2, "in use by")
    assert scan.process.poll() is None


def test_ctl_steers(simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]) -> None:
    scan = scanner(simulators())
    until(lambda: scan.ctl("status").returncode == 0, "every role running")
    text = scan.ctl("status").stdout
    for word in ("okx-futures", "receive->signal", "tracked"):
        assert word in text
    instance = scan.attach()
    until(lambda: instance.ring.produced, "a signal")
    assert "paused" in scan.ctl("pause").stdout
    paused_at = until(lambda: instance.control.pause and instance.ring.produced, "the pause")
    engine = instance.health.role("engine")
    turns = instance.health.counters(engine)["turns"]
    until(lambda: instance.health.counters(engine)["turns"] > turns + 200, "the engine's turns")
    assert instance.ring.produced <= paused_at + 1  # one may have been under way
    assert "resumed: all" in scan.ctl("resume").stdout
    until(lambda: instance.ring.produced > paused_at + 1, "signals again")
    sentence(scan.ctl("pause", "okx-spto"), 2, "in use nowhere", "okx-spot?")
    assert 0 == scan.ctl("pause", "okx-spot", "--for", "3s", "--reason", "fees").returncode
    edges = {e.id: e for e in load(scan.folder / "generated").edges}
    okx = SOURCE_BY_NAME["okx-spot"].id
    reader = instance.engine_stream.reader()  # from now on

    def seen_of_okx() -> list[bool]:
        return [any(s == okx for s, _ in edges[r.edge].slots) for r in reader.read(10_000)[0]]

    status = scan.status()
    assert ["okx-spot"] == [pause["of"] for pause in status["pauses"]]
    assert not any(seen_of_okx())
    until(lambda: any(seen_of_okx()), "a signal of it, after its time")
    assert "stopped" in scan.ctl("stop").stdout
    assert scan.process.wait(10) == 0


def test_a_kill_outlives_workers_scanner_and_instance(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    sim = simulators()
    scan = scanner(sim)
    instance = scan.attach()
    until(lambda: any(t.state == "open" for t in instance.tracks.all()), "an open track")
    os.kill(scan.process.pid, signal.SIGSTOP)  # it hangs
    done = scan.ctl("kill", "a wrong fee", "--json")
    os.kill(scan.process.pid, signal.SIGCONT)
    told = json.loads(done.stdout)
    assert (0, True, "a wrong fee") == (done.returncode, told["thrown"], told["killed"]["reason"])
    until(lambda: not any(t.state == "open" for t in instance.tracks.all()), "the tracks' ends")
    produced = instance.ring.produced
    health = instance.health
    engine = health.role("engine")
    os.kill(health.info(engine)["pid"], signal.SIGKILL)
    until(lambda: health.info(engine)["restarts"] and instance.lease_held("engine"), "an engine")
    status = scan.ctl("status")
    said = "KILLED since "
    assert (3, True) == (status.returncode, status.stdout.startswith(said)), status.stdout
    assert f"--after-kill WHY --instance {scan.name}" in status.stdout
    sentence(scan.ctl("resume"), 2, "KILLED", "a wrong fee", f"--instance {scan.name}")
    assert produced == instance.ring.produced
    assert 0 == scan.stop()
    unlink(scan.name)
    again = scanner(sim, "--instance", scan.name, wait=False)
    scan = Scanner(scan.folder, scan.name, again.process)
    assert again.process.stderr
    first = again.process.stderr.readline()
    assert first.startswith(said)
    assert "a wrong fee" in first
    until(lambda: ", KILLED, no signals: " in again.process.stderr.readline(), "the running line")
    instance = scan.attach()
    until(lambda: instance.health.counters(engine)["pairs"] > 1000, "the engine's work")
    assert 0 == instance.ring.produced
    assert "cleared" in scan.ctl("resume", "--after-kill", "mended").stdout
    until(lambda: instance.ring.produced, "signals again")
    assert 0 == scan.stop()
    rows = [r for path in scan.folder.glob("data/signals-*") for r in rows_of(path)]
    events = [r["reason"] for r in rows if r["event"] == "EVENT"]
    assert ["KILLED: a wrong fee", "KILL CLEARED: mended"] == events
    assert any(r["reason"] == "HALTED" for r in rows)


def test_ctl_asks_the_scanner_and_does_without_one_that_hangs(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    scan = scanner(simulators())
    instance = scan.attach()
    until(lambda: scan.ctl("status").returncode == 0, "every role running")
    health = instance.health
    before = health.info(health.role("engine"))["pid"]
    done = scan.ctl("restart", "engine", "--json")
    assert 0 == done.returncode, done.stderr
    assert before != json.loads(done.stdout)["pid"] == health.info(health.role("engine"))["pid"]
    known = ("expected one of: tracker, engine, audit, ", "okx-futures")
    sentence(scan.ctl("restart", "supervisor"), 2, "'supervisor' is no worker here", *known)
    path = socket_of(instance)
    asked = ask(path, requests.Status(), 5.0)["status"]
    assert set(asked) | {"settings"} == set(scan.status())
    with pytest.raises(ConfigError, match="reload: run with --no-discover, expected a run that"):
        ask(path, requests.Reload(), 5.0)
    lines = [
        json.loads(line) for line in scan.ctl("logs", "-n", "200", "--json").stdout.splitlines()
    ]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    told = [line["message"] for line in lines if line.get("role") == "engine"]
    assert "worker ended for a restart" in told
    assert "worker died" not in told
    shown = scan.ctl("logs", "-n", "1", "supervisor").stdout
    assert " INFO    supervisor: " in shown
    sentence(scan.ctl("logs", "nobody"), 2, "no log of nobody, expected one of: audit, binance")

    os.kill(scan.process.pid, signal.SIGSTOP)
    done = scan.ctl("pause", "okx-spot")
    assert (0, True) == (done.returncode, "okx-spot" in done.stdout), done.stderr
    assert "expected an answer within 3 s; done without it" in done.stderr
    until(lambda: instance.pauses.until("source", SOURCE_BY_NAME["okx-spot"].id), "the pause")
    assert 0 == scan.ctl("resume").returncode
    os.kill(scan.process.pid, signal.SIGCONT)
    watching = subprocess.Popen(
        [sys.executable, "-m", "spreadscan", "ctl", "status", "--json", "--watch", "0.2",
         "--instance", scan.name],
        cwd=scan.folder, stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    assert watching.stdout
    seen = [json.loads(watching.stdout.readline()) for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    assert 0 == watching.wait(10)
    watching.stdout.close()
    # what was asked while it hung has been done without it, and is not done once more
    assert [[]] * 3 == [found["pauses"] for found in seen]
    done = scan.ctl("stop", "--json")
    assert {"instance": scan.name, "stopped": True, "left": []} == json.loads(done.stdout)
    assert 0 == scan.process.wait(10)
    assert not path.exists()
    sentence(scan.ctl("stop"), 2, "nothing is running, expected a scanner")
    sentence(scan.ctl("restart", "engine"), 2, "no supervisor runs")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()[1:]))


def test_a_run_makes_room_for_the_ids_of_the_set(folder: Path, discovered: Path, name: str) -> None:
    """Scenario 40, with an instance that was left behind, and without one. No venue answers."""
    n_ids = len(load(discovered).names)
    shutil.copytree(discovered, folder / "generated")
    dead = [f"venues.{source}.ws_url=ws://127.0.0.1:9" for source in SOURCE_BY_NAME]
    silent = [f"venues.{source}.rest_url=http://127.0.0.1:9" for source in SOURCE_BY_NAME]
    settings = [x for s in (*dead, *silent, "capacity.symbols=64") for x in ("--set", s)]
    (folder / "empty.toml").touch()
    adopt(folder / "generated", folder / "empty.toml", settings)
    command = ["run", "--no-discover", "--instance", name, "--seconds", "0.1", "--layout", "single"]
    command += settings
    create(name, n_symbols=64)
    done = spreadscan(*command, cwd=folder)
    assert 0 == done.returncode, done.stderr
    assert (
        f"capacity 8 x 64 x 4096 x 4096, at least 8 x {n_ids} x 16384 x 4096 needed "
        "(sources, symbols, edges, tracks): made anew with 8 x 1024 x 16384 x 4096"
    ) in done.stderr
    assert 1024 == Instance(name).region("control").n_symbols
    state = folder / "data" / "state" / f"control-{name}.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    pause = {"of": "okx-spot", "since": "2026-11-20T12:00:00Z", "reason": "a test"}
    state.write_text(json.dumps({"pauses": [pause]}))
    again = spreadscan(*command, cwd=folder)
    assert (0, False) == (again.returncode, "made anew" in again.stderr), again.stderr
    said = f"; `spreadscan ctl resume okx-spot --instance {name}` ends it"
    first = again.stderr.splitlines()[0]
    assert first == f"paused since 2026-11-20T12:00:00Z: okx-spot: a test{said}"
    assert "paused" not in done.stderr
    dead = ("--instance", name)
    sentence(spreadscan("ctl", "pause", *dead, cwd=folder), 2, "nothing is running", "a scanner")
    resumed = spreadscan("ctl", "resume", *dead, cwd=folder)
    assert (0, "resumed: okx-spot\n") == (resumed.returncode, resumed.stdout)
    assert "paused" not in spreadscan(*command, cwd=folder).stderr
    assert 2 == Instance(name).region("control").generation
    unlink(name)
    assert 0 == spreadscan(*command, cwd=folder).returncode
    assert 1024 == Instance(name).region("control").n_symbols


def test_a_set_of_another_version_is_refused_and_stays(
    folder: Path, discovered: Path, name: str
) -> None:
    shutil.copytree(discovered, folder / "generated")
    path = folder / "generated" / "metadata.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 2'))
    before = path.read_bytes()
    for command in (["run"], ["run", "--no-discover"], ["discover"], ["feed", "okx-spot"]):
        done = spreadscan(*command, "--instance", name, cwd=folder)
        sentence(
            done, 2, f"metadata.json: format 2, expected {FORMAT}", "`spreadscan discover --fresh`"
        )
        assert before == path.read_bytes()


def test_a_mixed_set_is_refused(folder: Path, discovered: Path, name: str) -> None:
    """Scenario 25."""
    shutil.copytree(discovered, folder / "generated")
    (folder / "generated" / "edges.bin").write_bytes(b"SPRDEDG1\0\0\0\0\0\0\0\0")
    done = spreadscan("run", "--no-discover", "--instance", name, cwd=folder)
    sentence(done, 1, "edges.bin", "generation 1")


@pytest.mark.parametrize("file", ["signals-20261120.csv", "snapshots-20261120-11.csv"])
def test_a_run_on_data_of_a_newer_version_begins_nothing(
    folder: Path, discovered: Path, name: str, file: str
) -> None:
    """The tracker would refuse it too, beside feeds that go on for nobody."""
    shutil.copytree(discovered, folder / "generated")
    (folder / "data").mkdir()
    kind = file.partition("-")[0]
    (folder / "data" / file).write_text(f"# spreadscan {kind} v5; newer\ntime\n")
    done = spreadscan("run", "--instance", name, "--seconds", "1", cwd=folder)
    sentence(done, 2, f"{file}: begins '# spreadscan {kind} v5', expected", "another paths.data")
    assert 1 == len(done.stderr.splitlines())
    assert not exists(name)


def test_warnings_of_a_command_without_a_log_say_of_what(folder: Path) -> None:
    rest = "venues.bybit-spot.rest_url=['http://127.0.0.1:9','http://127.0.0.1:10']"
    done = spreadscan(
        "discover", "--plan", "--set", rest, "--set", "discovery.tries=1",
        "--set", "discovery.list_limit_s=1", cwd=folder,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if line.startswith("address given up")]
    assert any("bybit-spot" in line and "http://127.0.0.1:9" in line for line in told), done.stderr


def test_a_run_counts_the_pairs_of_its_own_directions(
    folder: Path, discovered: Path, name: str
) -> None:
    """The set may be of more sources than are in use."""
    shutil.copytree(discovered, folder / "generated")
    sources = ("binance-spot", "okx-futures")
    settings = [f"sources={json.dumps(sources)}"]
    settings += [f"venues.{s}.{url}://127.0.0.1:9" for s in sources
                 for url in ("ws_url=ws", "rest_url=http")]  # fmt: skip
    given = [x for setting in settings for x in ("--set", setting)]
    (folder / "empty.toml").touch()
    adopt(folder / "generated", folder / "empty.toml", given)
    done = spreadscan(
        "run", "--no-discover", "--instance", name, "--seconds", "0.1", "--layout", "single",
        *given, cwd=folder,
    )  # fmt: skip
    direction = next(d for d in DIRECTIONS if d.name == "binance->okx")
    n_pairs = len(load(discovered).pairs[direction.id])
    assert f"2 sources, {n_pairs} pairs in 1 direction; data" in done.stderr
