"""The fuzzer finds, keeps and survives: on lying decoders and on workers that die or hang."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from spreadcore.wire.decoder import FrameDecoder

from fuzz import worker
from fuzz.run import CannotRun, Watch, fuzz

WORKER = """
import json, os, signal, sys, time
from pathlib import Path
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
from fuzz.worker import note_in
note = note_in(folder / "note")
note("okx-spot", b"frame %d" % seed, b"parent")
print(json.dumps({"executions": 100, "accepted": 40, "differing": 0, "corpus": 7, "edges": 9}))
sys.stdout.flush()
"""
SEGFAULT = 'print("words of a sanitizer", file=sys.stderr); os.kill(os.getpid(), signal.SIGSEGV)'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "findings").mkdir()
    return tmp_path


@pytest.fixture
def run(folder, python_env):
    """A function that fuzzes with a worker that ends in its own way."""

    def run(end, seconds=0, at_least=1):
        command = [sys.executable, "-c", WORKER + end]
        return fuzz(folder, command, python_env, seconds, at_least, seed=5)

    return run


def findings(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "findings").iterdir())}


def test_the_fuzzer_counts_and_finds_nothing_where_nothing_is(folder):
    rng = Random(1)
    targets = [
        *worker.venue_targets(FrameDecoder.decode),
        *worker.random_targets(rng, 4, FrameDecoder.decode),
    ]
    fuzzer = worker.Fuzzer(targets, folder / "findings", rng, worker.NoCover())
    fuzzer.round(200)
    line = json.loads(fuzzer.line())
    assert (14 * 200, 0) == (line["executions"], line["differing"])
    assert line["accepted"] > 200
    assert {} == findings(folder)


def test_a_disagreement_is_kept(folder):
    def lie(decoder, frame):
        found = FrameDecoder.decode(decoder, frame)
        return found and [(*quote[:7], 1 - quote[7]) for quote in found]

    target = worker.random_target(3, lie)
    fuzzer = worker.Fuzzer([target], folder / "findings", Random(1), worker.NoCover())
    fuzzer.round(200)
    kept = findings(folder)
    assert fuzzer.differing >= len(kept) / 3 > 0
    for name, data in kept.items():
        assert name.startswith("differs-random3-")
        if name.endswith(".txt"):
            assert b"by the reference [Book(" in data


def test_a_random_target_is_known_by_its_number():
    a, b = (worker.random_target(17, FrameDecoder.decode) for _ in range(2))
    assert a.name == b.name == "random17"
    assert (a.quotes, a.others) == (b.quotes, b.others)


def test_the_frame_noted_last_is_read_back(tmp_path):
    note = worker.note_in(tmp_path / "note")
    for n in (1, 5000, 0, 7):
        note("mexc-spot", b"f" * n, b"p" * (n + 1))
        assert ("mexc-spot", b"f" * n, b"p" * (n + 1)) == worker.read_note(tmp_path / "note")


def test_new_edges_make_a_frame_a_parent(folder):
    class Cover(worker.NoCover):
        def cover_new(self, corpus):
            return 1

    target = worker.random_target(3, FrameDecoder.decode)
    n = len(target.quotes) + len(target.others)
    worker.Fuzzer([target], folder, Random(1), Cover()).round(50)
    assert n + 50 == len(target.quotes) + len(target.others)


def test_a_worker_that_dies_is_kept_and_another_goes_on(run, folder):
    watch = run(f"if seed == 5: {SEGFAULT}\nelse: time.sleep(60)", at_least=150)
    assert (1, 200, 80) == (watch.crashes, watch.executions, watch.accepted)
    kept = findings(folder)
    assert [b"frame 5", b"parent"] == list(kept.values())[:2]
    (words,) = [data for name, data in kept.items() if name.endswith(".txt")]
    assert b"exit code -11" in words
    assert b"words of a sanitizer" in words


def test_workers_that_always_die_are_given_up(run, folder, monkeypatch):
    monkeypatch.setattr("fuzz.run.MOST_CRASHES", 4)
    watch = run(SEGFAULT, seconds=600, at_least=10**9)
    assert 4 == watch.crashes
    assert 4 * 3 == len(findings(folder))


def test_a_worker_that_hangs_is_killed_and_kept(folder, python_env):
    watch = Watch(folder, silent_s=4.0)  # more than an interpreter takes to start
    command = [sys.executable, "-c", WORKER + "time.sleep(600)", str(folder), "8"]
    (folder / "worker.log").touch()
    with subprocess.Popen(command, env=python_env, stdout=subprocess.PIPE) as hanging:
        watch.follow(hanging, lambda executions: False)
        assert hanging.poll() is not None
    assert (1, 100) == (watch.crashes, watch.executions)
    assert b"frame 8" in findings(folder).values()
    assert all(name.startswith("hang-okx-spot-") for name in findings(folder))


def test_an_error_of_the_fuzzer_itself_is_no_finding(run, folder):
    with pytest.raises(CannotRun, match="ZeroDivisionError"):
        run("1 / 0", seconds=600)
    assert {} == findings(folder)


def test_edges_are_new_once_and_for_each_power_of_two(tmp_path):
    library = tmp_path / "libcover.so"
    source = Path(__file__).with_name("cover.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True
    )
    cover = ctypes.CDLL(str(library))
    new = []
    for times, corpus in ((0, 0), (1, 0), (1, 0), (1, 1), (9, 0), (9, 0)):
        cover.cover_begin()
        for _ in range(times):
            cover.__sanitizer_cov_trace_pc()
        new.append(cover.cover_new(corpus))
    # ctypes calls from one place: the edge into it and the edge from it to itself
    assert [0, 1, 0, 1, 1, 0] == new
    assert 2 == cover.cover_edges()
