"""Whose folder is it: sets of another market, two scanners, two discoveries, folders that are
emptied, settings that changed."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from spreadcore import Instance
from spreadcore.region import exists, unlink

from cases.kit import Case, Fake, case, until
from spreadscan.lists import load

SOURCES = ("okx-spot", "okx-futures", "bybit-spot", "bybit-futures")
QUICK = "discovery.no_new_s = 0.5\ndiscovery.after_ack_s = 2.0\naudit.funding_every_s = 0.0"


class Slow(Fake):
    """Lists its pairs when it is let go on."""

    waits = False

    async def rest(self, page: str, request: web.Request) -> web.Response | None:
        if page == "instruments":
            while self.waits:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return None


@contextmanager
def market(folder: Path, *fakes: Fake) -> Iterator[Case]:
    with case(folder, *(fakes or [Fake(name) for name in SOURCES]), extra=QUICK) as it:
        yield it


def discovered(it: Case, *arguments: str) -> None:
    done = it.run("discover", *arguments)
    assert 0 == done.returncode, done.stderr


def last(done: Any, code: int) -> str:
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    text: str = done.stderr.strip().splitlines()[-1]
    return text


def generation(it: Case) -> int:
    return load(it.folder / "generated").generation


def acknowledged(name: str) -> set[int]:
    health = Instance(name).health
    roles = [health.role(role) for role in ("supervisor", "tracker", "engine")]
    return {health.info(n)["acked_generation"] for n in (*roles, 6, 7, 2, 3)}


def running(it: Case, process: Any) -> bool:
    """Return True once every role of a scanner has the set; ids of processes are its own."""
    assert process.poll() is None, process.stderr.read()
    if not exists(it.instance):
        return False
    health = Instance(it.instance).health
    ours = health.info(health.role("supervisor"))["pid"] == process.pid
    return ours and acknowledged(it.instance) == {generation(it)}


def test_a_run_after_another_market_never_takes_it(tmp_path: Path) -> None:
    """Whatever it was found with: a demo, a simulator, a set that does not say."""
    other, ours = tmp_path / "other", tmp_path / "ours"
    for folder in (other, ours):
        folder.mkdir()
    coins = {"BTC": 1.0, "ETH": 2.0, "SOL": 3.0, "XRP": 4.0, "DEMO": 5.0}
    with market(other, *(Fake(name, coins) for name in SOURCES)) as it:
        discovered(it)
    with market(ours) as it:
        shutil.copytree(other / "generated", ours / "generated")
        for silent_about_it in (False, True):
            if silent_about_it:
                path = ours / "generated" / "metadata.json"
                metadata = json.loads(path.read_text())
                assert metadata.pop("origin")
                path.write_text(json.dumps(metadata))
            said = last(it.run("run", "--no-discover"), 2)
            if silent_about_it:
                assert "generated/: it does not say from which hosts it is" in said
            else:
                assert "generated/: okx-spot is from http://127.0.0.1:" in said
                assert "and 3 more sources" in said
            said = last(it.run("feed", "okx-spot"), 2)
            assert "expected a set of the hosts and the universe in use" in said
        done = it.run("run", "--seconds", "1")
        assert 0 == done.returncode, done.stderr
        assert "it does not say from which hosts it is; discovering anew" in done.stderr
        lists = load(ours / "generated")
        assert "DEMO-USDT" not in lists.names
        assert 2 == lists.generation
        again = it.run("run", "--seconds", "1")
        assert "discovering anew" not in again.stderr
        assert 2 == generation(it)


def test_no_set_of_another_market_where_discovery_fails(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        discovered(it)
        moved = [f"venues.{name}.rest_url=http://127.0.0.1:1" for name in SOURCES]
        settings = [x for m in (*moved, "discovery.list_limit_s=1") for x in ("--set", m)]
        done = it.run("run", *settings)
        assert 1 == done.returncode, done.stderr
        assert "expected a set of these hosts and this universe" in done.stderr
        # other identities are no other market: the set is better than none
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "identity.toml").write_text('[same]\n"BTC-USDT" = ["okx-spot"]\n')
        settings = ["--set", 'discovery.majors=["NOBODY"]', "--set", "discovery.list_limit_s=1"]
        done = it.run("run", "--seconds", "1", *settings)
        assert 0 == done.returncode, done.stderr
        assert "other identities were confirmed then; discovering anew" in done.stderr
        assert "going on with the set of" in done.stderr


def test_changed_settings_are_noticed_at_start(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        assert 0 == it.run("run", "--seconds", "1").returncode
        changed = ["--set", 'universe.exclude=["DOGE-*"]', "--set", "capacity.symbols=8192"]
        refused = last(it.run("run", "--no-discover", *changed), 2)
        assert "its universe is *, not * without DOGE-*" in refused
        done = it.run("run", "--seconds", "1", *changed)
        assert 0 == done.returncode, done.stderr
        assert "its universe is *, not * without DOGE-*; discovering anew" in done.stderr
        assert (
            "capacity 8 x 4096 x 16384 x 4096, at least 8 x 8192 x 16384 x 4096 needed"
            in done.stderr
        )
        assert 8192 == Instance(it.instance).region("control").n_symbols
        assert 2 == generation(it)
        pairs = load(tmp_path / "generated").pairs
        assert "DOGE-USDT" not in {
            load(tmp_path / "generated").names[i] for ids in pairs.values() for i in ids
        }
        # a source less is no other market
        fewer = json.dumps(list(SOURCES[1:3]))
        done = it.run(
            "run", "--seconds", "1", "--no-discover", *changed, "--set", f"sources={fewer}"
        )
        assert 0 == done.returncode, done.stderr
        assert "generated/: it has okx-spot, bybit-futures besides; used as it is" in done.stderr


def test_a_scanner_that_is_killed_passes_its_folder_on(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        discovered(it)
        for _ in range(2):
            with it.scanning("--no-discover") as process:
                until(lambda: running(it, process), "every role")
                lock = json.loads((tmp_path / "data" / ".tracker.lock").read_text())
                assert (process.pid, it.instance) == (lock["pid"], lock["instance"])
                process.kill()
                process.wait()
        with it.scanning("--no-discover", "--instance", f"{it.instance}-b") as process:
            # under any name: the folder counts
            until(lambda: exists(f"{it.instance}-b"), "another instance")
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(15)
        assert not (tmp_path / "data" / ".tracker.lock").exists()
        unlink(f"{it.instance}-b")


def test_a_scanner_that_is_killed_while_its_workers_start_leaves_none_of_them(
    tmp_path: Path,
) -> None:
    """The signal that the kernel sends them must not meet a handler of the supervisor's."""
    with market(tmp_path) as it:
        discovered(it)
        for n in range(8):
            with it.scanning("--no-discover") as process:
                until(lambda: children_of(process.pid), "a worker")
                time.sleep(0.03 * n)
                process.kill()
                process.wait()
            until(lambda: not running_with(it.config), "the end of every worker")


def children_of(pid: int) -> str:
    """Return the pids of a process's children, "" for none or where it is gone."""
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return ""


def running_with(config: Path) -> list[str]:
    """Return the pids of the processes that were started with a config."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and str(config).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
    return found


def test_a_tracker_that_died_is_started_on_its_own_folder(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        discovered(it)
        with it.scanning("--no-discover") as process:
            until(lambda: running(it, process), "every role")
            instance = Instance(it.instance)
            role = instance.health.role("tracker")
            pid = instance.health.info(role)["pid"]
            os.kill(pid, signal.SIGKILL)
            until(lambda: instance.health.info(role)["pid"] not in (0, pid), "another tracker")
            until(lambda: instance.lease_held("tracker"), "its lease")
            said = last(it.run("run", "--no-discover", "--instance", f"{it.instance}-b"), 2)
            assert f"paths.data: data: the tracker of instance '{it.instance}'" in said
            said = last(it.run("tracker", "--instance", f"{it.instance}-b"), 2)
            assert "the tracker of instance" in said
        unlink(f"{it.instance}-b")


def test_two_discoveries_of_one_folder(tmp_path: Path) -> None:
    slow = Slow("okx-spot")
    slow.waits = True
    with market(tmp_path, slow, *(Fake(name) for name in SOURCES[1:])) as it:
        import subprocess

        first = subprocess.Popen(it.command("discover"), cwd=tmp_path, stderr=subprocess.PIPE)
        until((tmp_path / "generated" / ".discovery.lock").exists, "the first one")
        done = it.run("discover", "--set", "discovery.wait_s=0.5")
        said = last(done, 2)
        assert "waiting for the discovery of instance" in done.stderr
        for part in (f"pid {first.pid} ", "discover -c", "expected it free within 0.5 s"):
            assert part in said
        assert first.poll() is None
        slow.waits = False
        discovered(it)  # waits
        assert 0 == first.wait(30)
        assert first.stderr
        first.stderr.close()
        assert 2 == generation(it)


def test_a_set_found_anew_in_an_emptied_folder_is_taken(tmp_path: Path) -> None:
    """Although its generation would be lower, and its ids others."""
    with market(tmp_path) as it:
        discovered(it, "--set", 'universe.exclude=["ADA-*"]')
        for _ in range(2):
            discovered(it)
        names = load(tmp_path / "generated").names
        assert "ADA-USDT" == names[-1]  # it came later
        with it.scanning() as process:
            until(lambda: running(it, process), "every role")
            for expected in (4, 5):
                shutil.rmtree(tmp_path / "generated")
                done = it.run("ctl", "reload", "--json")
                assert 0 == done.returncode, done.stderr
                told = json.loads(done.stdout)
                assert (expected, {}) == (told["generation"], told["late"])
                assert {expected} == acknowledged(it.instance)
                assert names == load(tmp_path / "generated").names
            # found by hand, under another name: numbered when it is asked for
            shutil.rmtree(tmp_path / "generated")
            discovered(it, "--instance", "somebody-else")
            assert 1 == generation(it)
            refused = it.run("ctl", "reload", "--no-discover")
            assert "ids given anew need a restart" in last(refused, 1)
            assert {5} == acknowledged(it.instance)
            discovered(it, "--fresh", "--set", 'universe.exclude=["ADA-*"]', "--instance", "x")
            said = last(it.run("ctl", "reload", "--no-discover"), 2)
            assert "its universe is * without ADA-*, not *" in said
            shutil.rmtree(tmp_path / "generated")
            discovered(it)
            assert 6 == generation(it)
            shutil.copytree(tmp_path / "generated", tmp_path / "copy")
            for expected in (6, 6):  # nothing new the second time
                done = it.run("ctl", "reload", "--no-discover")
                assert f"generation {expected}: 7 of 7 took it" in done.stdout, done.stderr
            discovered(it)
            assert "generation 7: 7 of 7" in it.run("ctl", "reload", "--no-discover").stdout
            # an older set put back by hand: another one than in use, so it gets the next number
            shutil.rmtree(tmp_path / "generated")
            (tmp_path / "copy").rename(tmp_path / "generated")
            done = it.run("ctl", "reload", "--no-discover")
            assert "generation 8: 7 of 7" in done.stdout, done.stderr
            assert {8} == acknowledged(it.instance)


def test_a_reload_refuses_a_set_of_other_hosts(tmp_path: Path) -> None:
    with market(tmp_path) as it:
        discovered(it)
        with it.scanning("--no-discover") as process:
            until(lambda: running(it, process), "every role")
            path = tmp_path / "generated" / "metadata.json"
            metadata = json.loads(path.read_text())
            metadata["origin"]["hosts"]["okx-spot"]["rest"] = ["http://elsewhere"]
            path.write_text(json.dumps(metadata | {"generation": 2}))
            said = last(it.run("ctl", "reload", "--no-discover"), 2)
            assert "generation 2: okx-spot is from http://elsewhere, not from" in said
            # and whoever is asked all the same
            Instance(it.instance, ("control",)).control.reload_generation = 2
            until(lambda: "new lists refused" in it.log(), "a refusal")
            assert {1} == acknowledged(it.instance)


@pytest.mark.parametrize("layout", ["processes", "single"])
def test_whoever_attaches_goes_by_the_settings_in_use(tmp_path: Path, layout: str) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    for folder in (elsewhere, home):
        folder.mkdir()
    fakes = {name: Fake(name) for name in SOURCES}
    with market(home, *fakes.values()) as it:
        sources = list(SOURCES[:3])
        settings = (
            f"sources={json.dumps(sources)}", 'universe.include=["BTC-*", "ETH-*"]',
            "engine.threshold_bps=41.5", "venues.bybit-spot.taker_bps=7.25",
            'account_tier="vip.1"', "tiers.vip.1.okx-futures=0.5", "engine.converge_bps=-5000",
        )  # fmt: skip
        arguments = [x for setting in settings for x in ("--set", setting)]
        with it.scanning("--layout", layout, *arguments):
            until(lambda: exists(it.instance) and it.status().get("generation"), "the scanner")
            until(
                lambda: all(f.counters.subscriptions for n, f in fakes.items() if n in sources), ""
            )
            fakes["bybit-spot"].px["BTCUSDT"] *= 0.98
            until(lambda: any("BTC-USDT" in row for row in it.opens()), "a signal")
            case_config, it.config = it.config, elsewhere / "empty.toml"
            it.config.write_text("")
            it.folder, at_home = elsewhere, it.folder
            name = ("--instance", it.instance)

            done = it.run("ctl", "status", "--json", *name)
            assert (0, "") == (done.returncode, done.stderr)
            told = json.loads(done.stdout)
            assert sources == list(told["sources"])
            told = told["settings"]
            assert told["in_use"]
            assert "--set engine.threshold_bps=41.5" in told["command"]
            assert sources == told["sources"]
            assert {"include": ["BTC-*", "ETH-*"], "exclude": [], "quotes": ["USDT"]} == told[
                "universe"
            ]
            assert {"okx-spot": 10.0, "okx-futures": 0.5, "bybit-spot": 7.25} == told["taker_bps"]
            assert {"bybit->okx": {"threshold_bps": 41.5, "fees_bps": 7.75}} == told["directions"]
            assert {
                "data": str(home / "data"), "generated": str(home / "generated"),
                "logs": str(home / "logs"), "identity": str(home / "config" / "identity.toml"),
            } == told["paths"]  # fmt: skip

            done = it.run("top", "--once", *name)
            assert (0, "") == (done.returncode, done.stderr)
            row = next(line for line in done.stdout.splitlines() if "BTC-USDT" in line)
            cells = [cell.strip() for cell in row.strip("│ ").split("│")]
            assert 7.75 == pytest.approx(float(cells[2]) - float(cells[3]), abs=0.11)
            assert float(cells[-1]) > 0  # its age is from the data files
            assert "threshold 41.5 bps, fees of both legs 7.75 bps" in done.stdout
            assert "pairs BTC-*, ETH-* in USDT of 3 sources\n" in done.stdout
            assert f"data in {home}/data; settings in use since 20" in done.stdout

            done = it.run(
                "ctl", "reload", *name, "--set", "engine.threshold_bps=15", "--set",
                'universe.include=["*"]', "--set", "feeds.beat_ms=250",
            )  # fmt: skip
            assert 0 == done.returncode, done.stderr
            said = done.stderr.splitlines()[0]
            assert said == (
                "going by the settings in use: engine.threshold_bps is 41.5 (command line), not "
                '15.0 (command line); universe.include is ["BTC-*","ETH-*"] (command line), not '
                '["*"] (command line)'
            )
            assert "generation 2: 6 of 6 took it" in done.stdout
            lists = load(home / "generated")
            assert (2, ("BTC-USDT", "ETH-USDT")) == (lists.generation, lists.names)
            assert set(sources) == set(lists.sources)

            done = it.run("record", "--for", "1s", "--out", "rec", "--json", *name)
            assert 0 == done.returncode, done.stderr
            assert set(sources) == set(json.loads(done.stdout)["frames"])
            assert "threshold_bps = 41.5" in (elsewhere / "rec" / "config.toml").read_text()
            assert 2 == load(elsewhere / "rec" / "generated").generation
            kept = Path(Instance(it.instance).directory, "settings.toml")
            assert 0o600 == kept.stat().st_mode & 0o777
            it.config, it.folder = case_config, at_home

            # nothing of all that stands in the folder of who attached
            assert {"empty.toml", "rec"} == {path.name for path in elsewhere.iterdir()}
        # once nothing runs one's own settings are shown
        told = json.loads(it.run("ctl", "status", "--json").stdout)["settings"]
        assert (False, 15.0) == (told["in_use"], told["directions"]["okx->bybit"]["threshold_bps"])
