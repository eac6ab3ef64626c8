"""Files of an instance cut short, removed or replaced under whoever has it mapped."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from spreadcore import Instance, region
from spreadcore.errors import RegionLost
from spreadcore.layout import SECTIONS
from spreadcore.sigbus import guard

SMALL = {"n_sources": 1, "n_symbols": 64, "n_edges": 1}
LINE = "something was cut short under the test"


@pytest.fixture
def instance(instance_name):
    region.create(instance_name, **SMALL)
    return Instance(instance_name, writable=("quotes",))


def cut(path):
    os.truncate(path, 64)


def remove(path):
    path.unlink()


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize(
    ("harm", "words"),
    [(cut, "cut to 64 bytes"), (remove, "removed"), (replace, "replaced")],
)
def test_whatever_becomes_of_a_file_is_seen(instance, section, harm, words):
    """Also of a section that this process has not mapped."""
    instance.check()
    path = Path(instance.directory, section)
    harm(path)
    with pytest.raises(RegionLost, match=f"^{path}: {words}.* while in use, expected"):
        instance.check()


def test_a_folder_that_is_gone_and_a_newer_instance_are_told_apart(instance):
    shutil.copytree(instance.directory, f"{instance.directory}-kept")
    shutil.rmtree(instance.directory)
    with pytest.raises(RegionLost, match="removed while in use"):
        instance.check()
    os.rename(f"{instance.directory}-kept", instance.directory)
    with pytest.raises(RegionLost, match="replaced while in use"):
        instance.check()
    later = Instance(instance.name)
    later.check()
    region.create(instance.name, **SMALL, force=True)
    with pytest.raises(RegionLost, match="the instance was replaced or removed"):
        later.check()


def forked(work):
    """The wait status of a child that does something and is over by then."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(10)
            work()
        finally:
            os._exit(99)
    return os.waitpid(pid, 0)[1]


def test_who_touches_what_is_cut_off_ends_with_a_line_and_a_code(instance, tmp_path):
    """Scenario 11."""
    quotes = instance.quotes

    def work():
        guard(LINE, 4, told.fileno())
        os.truncate(Path(instance.directory, "quotes"), 4096)
        for symbol in range(SMALL["n_symbols"]):
            quotes.read(0, symbol)

    with (tmp_path / "told").open("wb") as told:
        assert 4 == os.waitstatus_to_exitcode(forked(work))
    assert f"{LINE}\n" == (tmp_path / "told").read_text()


def test_a_signal_that_somebody_sends_ends_it_as_ever(tmp_path):
    def work():
        guard(LINE, 4, told.fileno())
        os.kill(os.getpid(), signal.SIGBUS)

    with (tmp_path / "told").open("wb") as told:
        assert -signal.SIGBUS == os.waitstatus_to_exitcode(forked(work))
    assert not (tmp_path / "told").read_text()
