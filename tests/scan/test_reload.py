"""Which set a process goes on with when it is asked for a newer one."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from spreadcore import Instance

from scan.feeds.kit import row
from spreadscan import reload as reload_module
from spreadscan.clock import now_ns
from spreadscan.config import Config, Paths
from spreadscan.discovery.write import write_set
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import (
    Edge,
    Hosts,
    Listing,
    Lists,
    Origin,
    SourceList,
    changes,
    check_capacity,
    load,
    successor,
)
from spreadscan.reload import Reload

A, B, C = row(0, "AUSDT"), row(1, "BUSDT"), row(2, "CUSDT")


def lists_of(generation: int, names: str = "ABC", **sources: tuple[Listing, ...]) -> Lists:
    return Lists(
        generation=generation,
        names=tuple(f"{name}-USDT" for name in names),
        retired=frozenset(),
        pairs={},
        sources={
            name.replace("_", "-"): SourceList(source=name.replace("_", "-"), symbols=rows)
            for name, rows in sources.items()
        },
    )


class Rig:
    """A folder with a set, and an instance that asks for one."""

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.folder = folder
        self.control = instance.control
        config = Config(paths=Paths(generated=str(folder)))
        self.first = lists_of(1, okx_spot=(A, B))
        self.reload = Reload(config, self.first, instance)

    def write(self, lists: Lists) -> None:
        write_set(
            self.folder, generation=lists.generation, names=lists.names, retired=lists.retired,
            pairs=lists.pairs, sources=lists.sources, n_listed={}, report="", unix_ns=0,
            origin=lists.origin,
        )  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path, make_instance: Callable[..., Instance]) -> Rig:
    made = make_instance(n_symbols=4)
    rig = Rig(tmp_path, made)
    rig.control.reload_generation = 1
    return rig


def refusals(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        record.facts  # type: ignore[attr-defined]
        for record in caplog.records
        if record.getMessage() == "new lists refused"
    ]
    return found


def test_nothing_is_read_while_nothing_newer_is_asked_for(rig: Rig) -> None:
    assert rig.reload.load() is rig.first
    rig.write(lists_of(2, okx_spot=(A, B, C)))
    assert rig.reload.load() is rig.first


def test_it_takes_what_is_asked_for_or_newer(rig: Rig) -> None:
    rig.write(lists_of(3, okx_spot=(A, C)))
    rig.control.reload_generation = 2
    assert load(rig.folder) == rig.reload.load() == rig.reload.lists


def test_a_set_of_other_hosts_is_refused(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def from_(host: str, *include: str) -> Origin:
        return Origin(
            hosts={"okx-spot": Hosts((f"https://{host}",), (f"wss://{host}",))},
            quotes=("USDT",), include=include, exclude=(), majors=(), identity="",
        )  # fmt: skip

    rig.reload.lists = msgspec.structs.replace(rig.first, origin=from_("real", "*"))
    for origin in (from_("sim", "*"), from_("real", "BTC-*"), None):
        rig.write(msgspec.structs.replace(lists_of(2, okx_spot=(A, C)), origin=origin))
        rig.control.reload_generation = 2
        rig.reload._again_at_ns = 0
        assert rig.reload.load().generation == 1
    said = [found["error"] for found in refusals(caplog)]
    assert "okx-spot is from https://sim, not from https://real" in said[0]
    assert "its universe is BTC-*, not *" in said[1]
    assert "it does not say from which hosts it is" in said[2]
    rig.write(msgspec.structs.replace(lists_of(2, okx_spot=(A, C)), origin=from_("real", "*")))
    rig.reload._again_at_ns = 0
    assert 2 == rig.reload.load().generation


def test_look_never_waits_and_loads_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.write(lists_of(2, okx_spot=(A, C)))
    rig.control.reload_generation = 2
    begin, loads = threading.Event(), []

    def slow(folder: str) -> Lists:
        loads.append(threading.current_thread())
        assert begin.wait(10)
        return load(folder)

    monkeypatch.setattr(reload_module, "load", slow)
    assert [rig.first] * 5 == [rig.reload.newest() for _ in range(5)]
    begin.set()
    loads[0].join(10)
    assert 2 == rig.reload.newest().generation
    assert 1 == len(loads)
    assert threading.main_thread() not in loads


def test_what_takes_time_is_made_of_a_set_before_it_is_in_use(rig: Rig) -> None:
    rig.write(lists_of(2, okx_spot=(A, C)))
    rig.control.reload_generation = 2
    made = []

    def make(lists: Lists) -> None:
        made.append((lists.generation, rig.reload.lists.generation, threading.current_thread()))

    rig.reload.prepare = make
    deadline = time.monotonic() + 10
    while rig.reload.newest().generation == 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    [(of, in_use, thread)] = made
    assert (2, 1, 2) == (of, in_use, rig.reload.lists.generation)
    assert threading.main_thread() is not thread


@pytest.mark.parametrize(
    ("lists", "asked", "sentence"),
    [
        (lists_of(2, okx_spot=(A,)), 3, "generation 2, expected at least 3"),
        (lists_of(2, "ACB"), 2, "id 1 is C-USDT, expected B-USDT as in generation 1"),
        (lists_of(2, "AB"), 2, "id 2 is missing, expected C-USDT"),
        (
            lists_of(2, "ABCDE"),
            2,
            "generation 2: 5 ids, expected at most 4, which the",
        ),
    ],
)
def test_what_cannot_be_taken_over_is_refused_once_in_a_sentence(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    lists: Lists, asked: int, sentence: str,
) -> None:  # fmt: skip
    """The last one is Scenario 40: more pairs than there is room for."""
    monkeypatch.setattr(reload_module, "_AGAIN_NS", 0)
    rig.write(lists)
    rig.control.reload_generation = asked
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert rig.reload.load() is rig.first
    (told,) = refusals(caplog)
    assert sentence in told["error"]
    assert 1 == told["in_use"]


def test_a_set_that_is_mended_is_taken_later(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = now_ns()
    monkeypatch.setattr(reload_module, "now_ns", lambda: now)
    rig.write(lists_of(2, okx_spot=(A, C)))
    names = rig.folder / "symbols.bin"
    whole = names.read_bytes()
    names.write_bytes(whole[:-1])
    rig.control.reload_generation = 2
    assert rig.reload.load() is rig.first
    assert "symbols.bin: not of generation 2" in refusals(caplog)[0]["error"]
    names.write_bytes(whole)
    now += 4_900_000_000
    assert rig.reload.load() is rig.first  # not at every beat
    now += 200_000_000
    assert 2 == rig.reload.load().generation


def test_a_thread_that_dies_does_not_end_reloading(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    monkeypatch.setattr(reload_module, "_AGAIN_NS", 0)
    with monkeypatch.context() as broken:
        broken.setattr(reload_module, "load", lambda folder: 1 / 0)
        rig.control.reload_generation = 2
        rig.reload.newest()
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.001)
        while rig.reload._loading.locked() and time.monotonic() < deadline:
            time.sleep(0.001)
    rig.write(lists_of(2, okx_spot=(A, C)))
    while rig.reload.newest().generation == 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [ZeroDivisionError] == [args.exc_type for args in heard]
    assert 2 == rig.reload.lists.generation


def test_a_source_without_a_proven_pair_keeps_its_list() -> None:
    silent = msgspec.structs.replace(A, state="invalid")
    old = lists_of(1, okx_spot=(A, B), okx_futures=(A,), mexc_spot=(B,))
    new = lists_of(2, okx_spot=(A, C), okx_futures=(silent,))
    found = successor(old, new)
    assert new.sources["okx-spot"] == found.sources["okx-spot"]
    assert old.sources["okx-futures"] == found.sources["okx-futures"]
    assert old.sources["mexc-spot"] == found.sources["mexc-spot"]
    assert (2, new.names, new.pairs) == (found.generation, found.names, found.pairs)


def test_ids_of_new_pairs_follow() -> None:
    assert 4 == len(successor(lists_of(1), lists_of(2, "ABCD")).names)
    with pytest.raises(BadGenerated, match="ids given anew need a restart"):
        successor(lists_of(1), lists_of(2, "DBCA"))


def test_an_edge_in_use_keeps_its_legs_and_one_that_is_retired_may_be_anothers() -> None:
    used, retired = Edge(0, 0, 6, 0, 5, 0), Edge(1, 0, 6, 1, 5, 1, retired_unix_s=7)
    old = msgspec.structs.replace(lists_of(1), edges=(used, retired))

    def newer(*edges: Edge) -> Lists:
        return msgspec.structs.replace(lists_of(2), edges=edges)

    other = Edge(1, 0, 6, 2, 5, 2)
    assert (used, other) == successor(old, newer(used, other)).edges
    assert successor(old, newer(used._replace(retired_unix_s=9)))
    for wrong in (newer(other), newer(used._replace(sell_row=2), other)):
        with pytest.raises(BadGenerated, match=r"edge 0 is .*; ids given anew need a restart"):
            successor(old, wrong)


def test_lists_with_more_edges_than_the_instance_has_room_for_are_refused() -> None:
    lists = msgspec.structs.replace(lists_of(1), edges=(Edge(7, 0, 6, 0, 5, 0),))
    check_capacity(lists, 3, 8)
    with pytest.raises(ConfigError, match="8 edges, expected at most 7, which the instance has"):
        check_capacity(lists, 3, 7)
    with pytest.raises(ConfigError, match="3 ids, expected at most 2"):
        check_capacity(lists, 2, 8)


def test_an_id_without_a_pair_may_become_another_pairs_and_no_source_keeps_the_old_one() -> None:
    """okx-futures did not answer; what it is kept with must not write into another pair's slot."""
    old = msgspec.structs.replace(
        lists_of(1, okx_spot=(A,), okx_futures=(A, B)), retired=frozenset({1})
    )
    new = lists_of(2, "AXC", okx_spot=(A, row(1, "XUSDT")))
    found = successor(old, new)
    assert (A,) == found.sources["okx-futures"].symbols
    with pytest.raises(BadGenerated, match="id 0 is X-USDT, expected A-USDT"):
        successor(old, lists_of(2, "XBC"))
    with pytest.raises(BadGenerated, match="id 1 is missing, expected B-USDT"):
        successor(old, lists_of(2, "A"))


@pytest.mark.parametrize(
    ("new", "gone", "come"),
    [
        ((A, B), "", ""),
        ((B,), "A", ""),
        ((A, B, C), "", "C"),
        ((B, C), "A", "C"),
        ((row(0, "AUSDT", multiplier=1000.0), B), "A", "A"),
        ((row(0, "1000AUSDT"), B), "A", "1000A"),
        ((row(3, "AUSDT"), B), "A", "A"),
        ((row(0, "AUSDT", "quiet", tick=0.5, min_qty=3.0), B), "", ""),
    ],
)
def test_what_went_and_came(new: tuple[Listing, ...], gone: str, come: str) -> None:
    found = changes((A, B), new)
    assert [gone, come] == [
        ",".join(r.instrument.venue_symbol.removesuffix("USDT") for r in rows) for rows in found
    ]


def test_an_unknown_contract_size_equals_itself() -> None:
    def unknown() -> Listing:
        return row(0, "A_USDT", contract_size=float("nan"))

    assert ([], []) == changes((unknown(),), (unknown(),))
