"""Fixture of these tests: the compiled loops.pyx."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def loops(build_cython):
    """The compiled loops.pyx."""
    return build_cython(Path(__file__).with_name("loops.pyx"))
