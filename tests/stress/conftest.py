"""Fixtures of the stress tests: compiled loops, boards, and the cores that processes run on."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Pinning = tuple[set[int] | None, set[int] | None]


@pytest.fixture(scope="session")
def loops(build_cython: Callable[[Path], ModuleType]) -> ModuleType:
    """The compiled loops.pyx."""
    return build_cython(Path(__file__).with_name("loops.pyx"))


@pytest.fixture
def fresh_board(loops: ModuleType) -> Callable[[], Any]:
    """A function that makes Boards, which children inherit."""
    return lambda: loops.Board(mmap.mmap(-1, loops.BOARD_BYTES))


@pytest.fixture
def board(fresh_board: Callable[[], Any]) -> Any:
    """A fresh Board."""
    return fresh_board()


@pytest.fixture
def two_cores() -> Pinning:
    """One core for each side; skips where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip(f"{len(cores)} core, two sides need one each")
    return {cores[0]}, {cores[1]}


@pytest.fixture
def one_core() -> Pinning:
    """One core for both sides: they meet only where the scheduler cuts in."""
    core = min(os.sched_getaffinity(0))
    return {core}, {core}


@pytest.fixture
def free() -> Pinning:
    """Wherever the scheduler puts them."""
    return None, None


@pytest.fixture(params=["two_cores", "one_core", "free"])
def pinning(request: pytest.FixtureRequest) -> tuple[str, Pinning]:
    """Each of the three in turn, with its name."""
    return request.param, request.getfixturevalue(request.param)
