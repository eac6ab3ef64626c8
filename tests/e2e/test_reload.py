"""New lists while the scanner runs: the same processes and sockets go on with what changed."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from spreadcore import Instance
from spreadcore.active import TRACKED
from spreadcore.region import exists, unlink

from e2e.conftest import Scanner, Simulators, environment, spreadscan, until
from e2e.test_scan import SOCKETS, all_sockets_open
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from spreadscan.catalogue import built_in
from spreadscan.discovery.ids import assign_edges
from spreadscan.discovery.write import write_set
from spreadscan.disk.files import data_files, read_rows
from spreadscan.lists import Lists, load, read_metadata
from spreadscan.tracker.columns import SIGNALS

pytestmark = pytest.mark.e2e

NEW = "SOL-USDT"  # listed by every source
FEW = ("bybit-spot", "okx-spot", "okx-futures")  # quick to start
MORE = ("binance-spot", "binance-futures", *FEW)
# tracks stay open, and the only sockets of a feed are its own
STEADY = (
    "--set", "engine.converge_bps=-3000", "--set", "tracker.expire_after_s=3600",
    "--set", "audit.funding_every_s=0",
)  # fmt: skip


def only(sources: tuple[str, ...]) -> tuple[str, str]:
    return "--set", "sources=[" + ", ".join(f'"{name}"' for name in sources) + "]"


def without(lists: Lists, *names: str) -> Lists:
    """The set once no source lists these pairs any more; ids stay theirs."""
    gone = {lists.names.index(name) for name in names}
    return msgspec.structs.replace(
        lists,
        retired=lists.retired | gone,
        pairs={d: tuple(i for i in ids if i not in gone) for d, ids in lists.pairs.items()},
        sources={
            name: msgspec.structs.replace(
                source, symbols=tuple(s for s in source.symbols if s.symbol_id not in gone)
            )
            for name, source in lists.sources.items()
        },
    )


def write(folder: Path, lists: Lists, generation: int) -> None:
    """Write a set as discovery would, from where the one before it is."""
    place = folder / "generated"
    there = (place / "metadata.json").exists()
    write_set(
        folder / "generated",
        generation=generation,
        names=lists.names,
        retired=lists.retired,
        pairs=lists.pairs,
        edges=assign_edges(built_in(), lists.pairs, lists.edges, int(time.time())),
        sources=lists.sources,
        n_listed={},
        report="",
        unix_ns=time.time_ns(),
        origin=read_metadata(place).origin if there else None,
    )


@pytest.fixture
def instance_name() -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    yield name
    if exists(name):
        unlink(name)


@pytest.fixture
def started(
    tmp_path: Path,
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    discovered: Path,
) -> Callable[..., tuple[Scanner, Simulators, Lists]]:
    """Start a scanner on generation 2, which lacks NEW; generation 1 had it."""

    def start(
        sources: tuple[str, ...], layout: str = "processes"
    ) -> tuple[Scanner, Simulators, Lists]:
        lists = load(discovered)
        lists = msgspec.structs.replace(lists, sources={s: lists.sources[s] for s in sources})
        write(tmp_path, without(lists, NEW), 2)
        sim = simulators(*(x for name in sources for x in ("--source", name)))
        scan = scanner(sim, *STEADY, *only(sources), layout=layout)
        instance = scan.attach()
        until(lambda: all_quote(instance, lists, "BTC-USDT"), "quotes of every source")
        return scan, sim, lists

    return start


def sources_of(lists: Lists, name: str) -> list[int]:
    """Ids of the sources that a scanner subscribes to for the pair."""
    symbol_id = lists.names.index(name)
    return [
        SOURCE_BY_NAME[source].id
        for source, listed in lists.sources.items()
        if any(row.symbol_id == symbol_id for row in listed.subscribed)
    ]


def received(instance: Instance, lists: Lists, name: str) -> list[int]:
    """When the pair's quotes came, by source; 0 = an empty slot."""
    symbol_id = lists.names.index(name)
    found = [instance.quotes.read(source, symbol_id) for source in sources_of(lists, name)]
    return [quote.recv_ns if quote else 0 for quote in found]


def all_quote(instance: Instance, lists: Lists, name: str) -> bool:
    return all(received(instance, lists, name))


def sockets(pid: int) -> set[str]:
    """The open sockets of a process; each has a number that is never another's."""
    links = {os.readlink(entry) for entry in entries(pid)}
    return {link for link in links if link.startswith("socket:")}


def entries(pid: int) -> Iterator[Path]:
    return Path(f"/proc/{pid}/fd").iterdir()


def tracked(instance: Instance) -> list[int]:
    return [edge for edge, state in instance.active.not_free() if state == TRACKED]


def signals(scan: Scanner) -> list[dict[str, str]]:
    files = data_files(scan.folder / "data", SIGNALS)
    return [dict(row) for file in files for row in read_rows(file.path, SIGNALS)]


def counted(instance: Instance, name: str) -> dict[str, int]:
    return {s: instance.health.counters(row.id)[name] for s, row in SOURCE_BY_NAME.items()}


def generations(scan: Scanner) -> set[int]:
    return {role["generation"] for role in scan.status()["roles"].values() if role["alive"]}


def test_a_delisted_pair_goes_a_new_one_comes_and_the_rest_stays(
    started: Callable[..., tuple[Scanner, Simulators, Lists]],
) -> None:
    """Scenario 39 and Scenario 40, through every process."""
    scan, _, lists = started(MORE)
    instance = scan.attach()
    expected = {name: SOCKETS[name] if name in MORE else 0 for name in SOURCE_BY_NAME}
    until(lambda: all_sockets_open(instance, expected), "every socket of every source")
    until(lambda: tracked(instance), "an open track")
    number = tracked(instance)[0]
    [edge] = [edge for edge in lists.edges if edge.id == number]
    gone = lists.names[edge.buy_row]
    opened = {r["track_id"] for r in signals(scan) if r["symbol"] == gone}
    assert opened
    before = scan.status()["roles"]
    held = {name: sockets(before[name]["pid"]) for name in MORE}
    emptied, reconnects = counted(instance, "emptied"), counted(instance, "reconnects")
    assert not any(received(instance, lists, NEW))

    # what a source delists is, to a scanner, what its list has no more
    write(scan.folder, without(lists, gone), 3)
    done = scan.ctl("reload", "--json", "--no-discover")

    assert done.returncode == 0, done.stderr
    told = msgspec.json.decode(done.stdout)
    assert 3 == told["generation"]
    assert {} == told["late"]
    assert {"supervisor", "tracker", "engine", "audit", *MORE} == set(told["acknowledged"])
    until(lambda: all_quote(instance, lists, NEW), "quotes of the new pair")
    assert not any(received(instance, lists, gone))
    closed = {r["track_id"]: r["reason"] for r in signals(scan) if r["event"] == "CLOSE"}
    assert {"DELISTED"} == {closed.get(track) for track in opened}
    assert {gone} == {r["symbol"] for r in signals(scan) if r["reason"] == "DELISTED"}
    assert edge.id not in tracked(instance)

    # whoever ran runs on, with the sockets it had; only slots of the pair that went were emptied
    now = scan.status()["roles"]
    assert {n: r["pid"] for n, r in before.items()} == {n: r["pid"] for n, r in now.items()}
    assert held == {name: sockets(before[name]["pid"]) for name in MORE}
    assert reconnects == counted(instance, "reconnects")
    was = {SOURCE_BY_NAME[n].id: count for n, count in emptied.items()}
    lost = {SOURCE_BY_NAME[n].id: c for n, c in counted(instance, "emptied").items()}
    expected = {s: was[s] + (s in sources_of(lists, gone)) for s in was}
    assert expected == lost
    then = received(instance, lists, "BTC-USDT")
    until(
        lambda: all(
            a > b for a, b in zip(received(instance, lists, "BTC-USDT"), then, strict=True)
        ),
        "quotes of a pair that stays",
    )
    assert 0 == scan.stop()


def test_all_in_one_process(
    started: Callable[..., tuple[Scanner, Simulators, Lists]],
) -> None:
    scan, _, lists = started(FEW, "single")
    instance = scan.attach()
    engine = instance.health.role("engine")
    pid = instance.health.info(engine)["pid"]
    write(scan.folder, without(lists, "ETH-USDT"), 3)

    done = scan.ctl("reload", "--no-discover")

    assert done.returncode == 0, done.stderr
    assert "generation 3: 7 of 7 took it" in done.stdout
    until(lambda: all_quote(instance, lists, NEW), "quotes of the new pair")
    assert not any(received(instance, lists, "ETH-USDT"))
    assert pid == instance.health.info(engine)["pid"]
    assert 3 == scan.status()["generation"]
    assert {3} == generations(scan)
    assert 0 == scan.stop()


def test_two_reloads_a_kill_and_a_set_that_is_refused(
    started: Callable[..., tuple[Scanner, Simulators, Lists]],
) -> None:
    scan, _, lists = started(FEW)
    instance = scan.attach()
    control = Instance(scan.name, ("control",)).control
    killed = instance.health.info(SOURCE_BY_NAME["okx-futures"].id)["pid"]

    write(scan.folder, without(lists, "ETH-USDT"), 3)
    control.reload_generation = 3
    os.kill(killed, signal.SIGKILL)
    write(scan.folder, without(lists, "XRP-USDT"), 4)
    done = scan.ctl("reload", "--no-discover")
    assert done.returncode == 0, done.stderr
    until(lambda: all_quote(instance, lists, NEW), "quotes of the new pair")
    until(lambda: all_quote(instance, lists, "ETH-USDT"), "quotes of the pair that came back")
    assert not any(received(instance, lists, "XRP-USDT"))
    assert killed != instance.health.info(SOURCE_BY_NAME["okx-futures"].id)["pid"]

    # a mixed set: ctl refuses, nobody is asked
    symbols = scan.folder / "generated" / "symbols.bin"
    whole = symbols.read_bytes()
    symbols.write_bytes(whole[:-1])
    done = scan.ctl("reload", "--no-discover")
    assert (1, 4) == (done.returncode, control.reload_generation)
    assert "symbols.bin: not of generation 4, expected one set" in done.stderr
    # and processes refuse what they are asked to take all the same
    control.reload_generation = 5
    log = scan.folder / "logs" / "engine.log"
    until(lambda: "new lists refused" in log.read_text(), "the engine's refusal")
    symbols.write_bytes(whole)
    control.reload_generation = 4

    # whole, but with ids given anew
    names = (lists.names[1], lists.names[0], *lists.names[2:])
    write(scan.folder, msgspec.structs.replace(lists, names=names), 5)
    done = scan.ctl("reload", "--no-discover", "--wait", "1")
    assert (1, 4) == (done.returncode, control.reload_generation)
    assert "ids given anew need a restart" in done.stderr
    # asked for all the same, each process refuses it
    control.reload_generation = 5
    until(lambda: "given anew need a restart" in log.read_text(), "the engine's refusal")
    assert {4} == generations(scan)
    assert "generation 5 not taken yet by: supervisor" in scan.ctl("status").stdout
    assert all_quote(instance, lists, "BTC-USDT")
    assert 0 == scan.stop()


def test_a_source_that_gets_its_first_pairs_is_started(
    tmp_path: Path,
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    discovered: Path,
) -> None:
    lists = load(discovered)
    lists = msgspec.structs.replace(lists, sources={s: lists.sources[s] for s in FEW})
    bare = msgspec.structs.replace(lists.sources["okx-spot"], symbols=())
    write(tmp_path, msgspec.structs.replace(lists, sources=lists.sources | {"okx-spot": bare}), 2)
    sim = simulators(*(x for name in FEW for x in ("--source", name)))
    scan = scanner(sim, *STEADY, *only(FEW))
    instance = scan.attach()
    until(lambda: instance.lease_held("engine"), "the engine")
    assert not instance.lease_held("okx-spot")

    write(tmp_path, lists, 3)
    assert 0 == scan.ctl("reload", "--no-discover").returncode

    until(lambda: all_quote(instance, lists, "BTC-USDT"), "quotes of every source")
    assert 3 == instance.health.info(SOURCE_BY_NAME["okx-spot"].id)["acked_generation"]
    assert 0 == scan.stop()


# `spreadscan` whose timer goes off after a thousandth of its period
HASTY = """
import sys
from spreadscan.app import rediscovery
from spreadscan.cli.main import main
rediscovery._SPREAD = (0.001, 0.001)
sys.exit(main())
"""


def test_the_timer_discovers_and_a_refused_discovery_harms_nothing(
    tmp_path: Path, simulators: Callable[..., Simulators], instance_name: str
) -> None:
    sim = simulators("--source", "okx-spot", "--source", "mexc-futures")
    settings = {
        "sources": '["okx-spot", "mexc-futures"]',
        "universe.include": '["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"]',
        "discovery.reload_h": "0.1",
        "discovery.tries": "1",
    }
    arguments = [x for key, value in settings.items() for x in ("--set", f"{key}={value}")]
    command = [sys.executable, "-c", HASTY, "run", "--instance", instance_name]
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "-c", str(sim.config), *arguments],
            cwd=tmp_path, env=environment(), stderr=stderr,
        )  # fmt: skip
    try:
        until(lambda: exists(instance_name), "the instance")
        instance = Instance(instance_name)
        roles = {name: instance.health.role(name) for name in ("supervisor", "tracker", "engine")}
        roles |= {name: SOURCE_BY_NAME[name].id for name in ("okx-spot", "mexc-futures")}

        def acked() -> int:
            return min(instance.health.info(r)["acked_generation"] for r in roles.values())

        until(lambda: acked() >= 1, "the first set")
        pids = {name: instance.health.info(role)["pid"] for name, role in roles.items()}
        until(lambda: acked() >= 3, "two more sets by the timer")
        sim.process.kill()
        log = tmp_path / "logs" / "supervisor.log"
        until(lambda: "discovery failed, the lists stay" in log.read_text(), "a refusal")
        until(lambda: "the lists in use stay" in (tmp_path / "stderr").read_text(), "its reason")
        assert pids == {name: instance.health.info(role)["pid"] for name, role in roles.items()}
        assert all(map(instance.lease_held, roles))
        generation = instance.control.reload_generation
        ctl = ("ctl", "reload", "--instance", instance_name, "-c", str(sim.config), *arguments)
        done = spreadscan(*ctl, cwd=tmp_path)
        assert 1 == done.returncode
        assert "nothing was written" in done.stderr
        assert generation == instance.control.reload_generation == acked()
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(10)
        done = spreadscan(*ctl, cwd=tmp_path)
        assert 2 == done.returncode
        assert "nothing is running, expected a scanner" in done.stderr
    finally:
        process.kill()
        process.wait()
