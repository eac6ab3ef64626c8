"""The set into its folder: at every instant, whatever fails, one whole set is there."""

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scan.discovery.kit import bytes_of, instrument
from spreadscan.discovery.write import renumber, write_set
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import PREVIOUS, Listing, SourceList, load

FILES = {
    "symbols.bin",
    "edges.bin",
    "source_symbols/okx-spot.json",
    "source_symbols/mexc-futures.json",
    "symbols.txt",
    "directions.txt",
    "validation_report.txt",
    "metadata.json",
}


def write(folder: Path, generation: int, *, sources: tuple[str, ...] = ()) -> None:
    """Write a small set whose every hashed file says which generation it is of."""
    names = [f"G{generation}-USDT", "B-USDT", "GONE-USDT"]
    write_set(
        folder,
        generation=generation,
        names=names,
        retired=frozenset({2}),
        pairs={0: [0, 1] if generation % 2 else [1]},
        sources={
            source: SourceList(
                source=source,
                symbols=(
                    Listing(
                        symbol_id=1,
                        symbol="B-USDT",
                        state="quiet",
                        reason=f"generation {generation}",
                        instrument=instrument("BUSDT", "B"),
                    ),
                ),
            )
            for source in sources or ("okx-spot", "mexc-futures")
        },
        n_listed={"okx-spot": {"USDT": generation}},
        report=f"report {generation}\n",
        unix_ns=generation * 10**9,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a whole set of generation 1."""
    write(tmp_path / "generated", 1)
    return tmp_path / "generated"


def test_exactly_these_files_are_written(folder: Path) -> None:
    assert FILES == set(bytes_of(folder))


def test_the_same_arguments_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", 1)
    assert bytes_of(folder) == bytes_of(tmp_path / "again")


def test_the_copies_for_people(folder: Path) -> None:
    assert "# id\tpair\n0\tG1-USDT\n1\tB-USDT\n2\tGONE-USDT\tretired\n" == (
        (folder / "symbols.txt").read_text()
    )
    assert "0\tokx->mexc\tbuy okx-spot, sell mexc-futures, 2 pairs\n\tG1-USDT\n\tB-USDT\n" == (
        (folder / "directions.txt").read_text()
    )
    assert "report 1\n" == (folder / "validation_report.txt").read_text()


def test_a_source_that_is_gone_leaves_no_file(folder: Path) -> None:
    write(folder, 2, sources=("okx-spot",))
    assert FILES - {"source_symbols/mexc-futures.json"} == set(bytes_of(folder))
    assert ["okx-spot"] == list(load(folder).sources)


def test_foreign_files_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    (folder / "source_symbols" / "notes.txt").write_text("mine, too")
    write(folder, 2)
    assert FILES | {"README.md", "source_symbols/notes.txt"} == set(bytes_of(folder))


# -- crashes: every step of a write is the last one, once


class Crash(BaseException):
    """The machine stops here: nothing in the program reacts to it."""


STEPS = [
    (os, "open"), (os, "mkdir"), (os, "rename"), (os, "replace"), (os, "fsync"),
    (os, "unlink"), (os, "rmdir"), (io, "open"),
]  # fmt: skip


@contextmanager
def before_steps(look: Callable[[int], None], steps: Any = STEPS) -> Iterator[None]:
    """Call look(number) before every step that touches the disk. Nothing is really synced."""
    n = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal n
            n += 1
            look(n - 1)
            return None if real is os_fsync else real(*args, **options)

        return step

    os_fsync = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        for module, name in steps:
            patch.setattr(module, name, wrap(getattr(module, name)))
        yield


@contextmanager
def failing(at: int, error: Callable[[], BaseException], steps: Any = STEPS) -> Iterator[list[int]]:
    """Let step number `at` raise; yields the numbers of the steps so far."""
    done: list[int] = []

    def look(number: int) -> None:
        done.append(number)
        if number == at:
            raise error()

    with before_steps(look, steps):
        yield done


def crashed(folder: Path, generation: int, at: int) -> bool:
    """Write, crashing at a step; return whether the crash came before the end."""
    with failing(at, Crash):
        try:
            write(folder, generation)
        except Crash:
            return True
    return False


def whole(folder: Path) -> int:
    """Return the generation that is loaded, after checking that all of it is of that one."""
    lists = load(folder)
    generation = lists.generation
    assert f"G{generation}-USDT" == lists.names[0]
    assert ((0, 1) if generation % 2 else (1,)) == lists.pairs[0]
    reasons = {source.symbols[0].reason for source in lists.sources.values()}
    assert {f"generation {generation}"} == reasons
    return generation


def rewrite(folder: Path) -> None:
    """Write the next set, undisturbed and not synced."""
    with before_steps(lambda number: None):
        write(folder, whole(folder) + 1)


def test_a_crash_at_any_step_leaves_the_old_set_or_the_new(folder: Path, tmp_path: Path) -> None:
    """Scenario 24."""
    found = []
    for at in range(1_000):
        place = tmp_path / "crash"
        shutil.copytree(folder, place)
        ended_early = crashed(place, 2, at)
        found.append(whole(place))
        # and what is left does not stand in the way of the next run
        rewrite(place)
        assert found[-1] + 1 == whole(place)
        assert FILES == set(bytes_of(place))
        shutil.rmtree(place)
        if not ended_early:
            break
    assert found == sorted(found)  # once the new set is there, it stays
    assert {1, 2} == set(found)
    assert found.count(1) > 60


def test_a_crash_after_a_crash_still_leaves_a_whole_set(folder: Path, tmp_path: Path) -> None:
    count = shutil.copytree(folder, tmp_path / "count")
    with failing(-1, Crash) as every_step:
        write(count, 2)
    steps = len(every_step)
    seen = set()
    for first in range(0, steps, 11):
        place = shutil.copytree(folder, tmp_path / f"twice{first}")
        assert crashed(place, 2, first)
        for second in range(0, steps, 9):
            again = shutil.copytree(place, tmp_path / "again")
            before = whole(again)
            crashed(again, before + 1, second)
            after = whole(again)
            assert after in (before, before + 1)
            seen.add((before, after))
            shutil.rmtree(again)
    assert {(1, 1), (1, 2), (2, 2)} <= seen


def test_a_crash_of_the_very_first_write_is_no_set_and_no_obstacle(tmp_path: Path) -> None:
    ended_early, at = True, 0
    while ended_early:
        place = tmp_path / f"first{at}"
        ended_early = crashed(place, 1, at)
        if (place / "metadata.json").exists():
            assert 1 == whole(place)
        else:
            assert ended_early
        with before_steps(lambda number: None):
            write(place, 2)
        assert 2 == whole(place)
        assert FILES == set(bytes_of(place))
        at += 1
    assert at > 30


def test_a_failing_disk_is_one_sentence_and_leaves_a_whole_set(
    folder: Path, tmp_path: Path
) -> None:
    numbers = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EXDEV)
    refused, at, ended = 0, 0, False
    while not ended:
        number = numbers[at % len(numbers)]
        place = shutil.copytree(folder, tmp_path / f"disk{at}")
        broken = OSError(number, os.strerror(number), "a file")
        with failing(at, lambda broken=broken: broken) as steps:  # type: ignore[misc]
            sentence = refusal(place)
            ended = len(steps) <= at
        if sentence:
            refused += 1
            assert f"paths.generated: a file: {os.strerror(number)}, expected" in sentence
        assert whole(place) in (1, 2)
        rewrite(place)
        at += 1
    assert refused > 60


def refusal(folder: Path) -> str:
    """Write the second set; return what the refusal says, '' for none."""
    try:
        write(folder, 2)
    except ConfigError as error:
        return str(error)
    return ""


def test_names_reach_the_disk_after_their_contents_and_metadata_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut may undo: contents not yet synced, names not yet synced."""
    events: list[tuple[str, str]] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        events.append(("fsync", os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), folder)))
        real_fsync(fd)

    def replace(old: Any, new: Any) -> None:
        assert events[-1] == ("fsync", os.path.relpath(old, folder))
        assert os.path.dirname(old) == os.path.dirname(new)
        events.append(("replace", os.path.relpath(new, folder)))
        real_replace(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write(folder, 2)
    renames = [i for i, (what, _) in enumerate(events) if what == "replace"]
    for i in renames:
        assert events[i + 1] == ("fsync", os.path.dirname(events[i][1]) or ".")
    order = [events[i][1] for i in renames]
    copies = [name for name in order if name.startswith(PREVIOUS)]
    assert copies == order[: len(copies)]
    assert 7 == len(copies)
    assert "metadata.json" == order[-1]
    assert FILES == set(order[len(copies) :])
    # the copy is named in the folder before anything of the old set is replaced
    first_new = renames[len(copies)]
    assert ("fsync", ".") in events[renames[len(copies) - 1] : first_new]


def test_a_temporary_file_of_a_dead_process_is_removed(folder: Path) -> None:
    for name in (".symbols.bin.999-0a.part", "source_symbols/.okx-spot.json.999-0a.part"):
        (folder / name).write_text("half")
    write(folder, 2)
    assert FILES == set(bytes_of(folder))


# -- who may not


def test_a_place_that_is_no_folder_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing/here")):
        with pytest.raises(ConfigError, match="paths.generated: .*expected a folder that can be"):
            write(place, 1)


def test_a_read_only_folder_is_a_config_error(children: Any) -> None:
    """Scenario 26."""
    place = Path(tempfile.mkdtemp())
    try:
        write(place, 1)
        before = bytes_of(place)
        for path in (place, place / "source_symbols"):
            path.chmod(0o555)

        def as_nobody() -> str:
            if os.geteuid() == 0:  # who may write anywhere
                os.setuid(65_534)
            return refusal(place)

        children.start("nobody", as_nobody)
        said = children.results(within_s=20.0)["nobody"]
        assert "Permission denied, expected a folder that can be written" in said
        assert before == bytes_of(place)
    finally:
        for path in (place, place / "source_symbols"):
            path.chmod(0o755)
        shutil.rmtree(place)


def test_another_generation_is_all_that_renumbering_changes(folder: Path) -> None:
    before, was = bytes_of(folder), load(folder)
    renumber(folder, 7)
    assert msgspec.structs.replace(was, generation=7) == load(folder)
    assert {n: b for n, b in before.items() if n != "metadata.json"} == {
        n: b for n, b in bytes_of(folder).items() if n != "metadata.json"
    }
    (folder / "metadata.json").unlink()
    with pytest.raises(BadGenerated, match="missing"):
        renumber(folder, 8)


def test_readers_find_a_whole_set_at_every_step_of_a_write(folder: Path) -> None:
    found: list[int] = []
    reading = False

    def look(number: int) -> None:
        nonlocal reading
        if not reading:  # the reader's own steps are not looked at
            reading = True
            found.append(whole(folder))
            reading = False

    with before_steps(look):
        write(folder, 2)
    assert found == sorted(found)
    assert {1, 2} == set(found)
    assert len(found) > 60
