"""Fixtures and options of the benches, and their one table at the end.

`make bench` prints it and writes bench.jsonl in the working directory; with
ARGS=--write-baseline it also writes benches/BASELINE.md; with ARGS=--quick the counts are tiny,
which shows that all of it runs and measures nothing.
"""

import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rows import ROOT, Row, baseline_page, command_line, text_table

_HERE = Path(__file__).parent
_ROWS = pytest.StashKey[list[Row]]()
_QUICK_DIVISOR = 50


def _shared_fixtures() -> ModuleType:
    """tests/conftest.py: instances that leave nothing behind, children under a watchdog."""
    path = ROOT / "tests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tests_conftest", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["tests_conftest"] = module
    spec.loader.exec_module(module)
    return module


_tests = _shared_fixtures()
build_cython = _tests.build_cython
children = _tests.children
instance_name = _tests.instance_name
make_instance = _tests.make_instance
python_env = _tests.python_env


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("spreadscan benches")
    group.addoption("--write-baseline", action="store_true", help="Write benches/BASELINE.md.")
    group.addoption("--quick", action="store_true", help="Tiny counts; the figures mean nothing.")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.quick and config.option.write_baseline:
        raise pytest.UsageError("--write-baseline: refused with --quick, expected a full run")
    config.stash[_ROWS] = []


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    rows = config.stash[_ROWS]
    if not rows:
        return
    terminalreporter.section("benches")
    for line in text_table(rows):
        terminalreporter.write_line(line)
    jsonl = config.invocation_params.dir / "bench.jsonl"
    jsonl.write_text("".join(f"{row.json()}\n" for row in rows))
    if config.option.write_baseline and exitstatus == 0:
        (_HERE / "BASELINE.md").write_text(baseline_page(rows, command_line()))
    elif config.option.write_baseline:
        terminalreporter.write_line("BASELINE.md not written: not all benches ran")


@pytest.fixture
def row(pytestconfig: pytest.Config) -> Callable[..., None]:
    """A function that adds a Row to the table; takes the fields of Row."""

    def add(*args: Any, **fields: Any) -> None:
        pytestconfig.stash[_ROWS].append(Row(*args, **fields))

    return add


@pytest.fixture(scope="session")
def count(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """A function that gives the count to use: the one asked for, far fewer with --quick."""
    divisor = _QUICK_DIVISOR if pytestconfig.option.quick else 1
    return lambda n: max(2, n // divisor)


@pytest.fixture(scope="session")
def loops(build_cython: Callable[[Path], ModuleType]) -> ModuleType:
    """The compiled loops of benches/loops.pyx."""
    return build_cython(_HERE / "loops.pyx")


@pytest.fixture(scope="session")
def feed_loops(build_cython: Callable[[Path], ModuleType]) -> ModuleType:
    """The compiled loops of benches/feed_loops.pyx."""
    return build_cython(_HERE / "feed_loops.pyx")


@pytest.fixture
def two_cores() -> tuple[set[int], set[int]]:
    """Two processors of two processes that spin; skips on a machine with one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip(f"{len(cores)} processor, needs two: both sides spin")
    return {cores[0]}, {cores[-1]}


@pytest.fixture
def one_core() -> Iterator[None]:
    """Keep this process on one processor meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def beside(benchmark: Any, one_core: None) -> Callable[..., tuple[float, float]]:
    """A function that runs subject and baseline by turns and returns the median ns of each.

    before: called before each subject, not timed.
    """

    def run(
        subject: Callable[[], Any], baseline: Callable[[], Any], *, rounds: int,
        before: Callable[[], Any] | None = None,
    ) -> tuple[float, float]:  # fmt: skip
        baseline_ns = []

        def baseline_first() -> None:
            start = time.perf_counter_ns()
            baseline()
            baseline_ns.append(time.perf_counter_ns() - start)
            if before:
                before()

        benchmark.pedantic(subject, setup=baseline_first, rounds=rounds, warmup_rounds=2)
        baseline_median_ns = statistics.median(baseline_ns)
        benchmark.extra_info["baseline_median_ns"] = baseline_median_ns
        return benchmark.stats.stats.median * 1e9, baseline_median_ns

    return run
