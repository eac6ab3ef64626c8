"""Section files: made whole, attached only when safely ours and of this layout, told apart."""

import gc
import os
import stat
import subprocess
from pathlib import Path

import pytest
import spreadcore
from spreadcore import Instance, layout, region
from spreadcore.errors import (
    CoreError,
    LayoutMismatch,
    NoRoom,
    RegionExists,
    RegionLost,
    RegionMissing,
    RegionRefused,
    TableFull,
)
from spreadcore.intake import SourceIntake
from spreadcore.layout import SECTIONS
from spreadcore.quotes import Quotes
from spreadcore.region import Region

SMALL = {"n_sources": 2, "n_symbols": 64, "n_edges": 192, "n_tracks": 5}
HEADER = {name: (offset, size) for s, name, offset, size in layout.FIELDS if s == "Header"}
NOBODY = 65534


@pytest.fixture
def place(instance_name):
    """The directory of a created, small instance."""
    region.create(instance_name, **SMALL)
    return Path(region.instance_dir(instance_name))


def open_all(name):
    """Open every section and let go of it; raises what the first bad one raises."""
    instance = Instance(name)
    for section in SECTIONS:
        instance.region(section)
    superseded = any(instance.region(section).superseded for section in SECTIONS)
    instance.close()
    return superseded


def as_root():
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")


# -- creation


def test_an_instance_is_a_private_directory_of_private_files(place):
    assert 0o700 == stat.S_IMODE(place.stat().st_mode)
    assert set(SECTIONS) == {file.name for file in place.iterdir()}
    for section in SECTIONS:
        found = (place / section).stat()
        assert 0o600 == stat.S_IMODE(found.st_mode)
        assert layout.section_bytes(section, *SMALL.values()) == found.st_size


def test_every_section_carries_the_same_identity(place, instance_name):
    instance = Instance(instance_name)
    seen = {
        (r.generation, r.ring_id, r.n_sources, r.n_symbols, r.n_edges, r.n_tracks)
        for r in map(instance.region, SECTIONS)
    }
    assert 1 == len(seen)
    assert (1, *SMALL.values()) == (*next(iter(seen))[:1], *next(iter(seen))[2:])
    instance.close()


def test_two_instances_have_different_ring_ids(instance_name):
    ids = set()
    for _ in range(3):
        region.create(instance_name, **SMALL, force=True)
        ids.add(Instance(instance_name).region("signals").ring_id)
    assert 3 == len(ids)


def test_a_ring_id_may_be_given(instance_name):
    region.create(instance_name, **SMALL, ring_id=0x7FFFFFFFFFFFFFFF)
    assert 0x7FFFFFFFFFFFFFFF == Instance(instance_name).region("signals").ring_id


def test_every_quote_is_empty_at_creation(place, instance_name):
    with spreadcore.attach(instance_name) as table:
        seen = table.snapshot()
    assert (64, 2) == seen.shape
    for field in ("bid_px", "ask_px", "bid_qty", "ask_qty"):
        assert (seen[field] != seen[field]).all()
    for field in ("recv_ns", "venue_ns", "flags", "seq"):
        assert (seen[field] == 0).all()


def test_creation_leaves_nothing_beside_the_instance(place):
    assert [place.name] == [p.name for p in place.parent.glob(f"*{place.name}*")]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".hidden", "x" * 64, "a b", "a\n"])
def test_a_name_that_is_no_plain_name_is_refused(name):
    with pytest.raises(CoreError, match="expected 1 to 63 letters"):
        region.create(name)
    with pytest.raises(CoreError, match="expected 1 to 63 letters"):
        spreadcore.attach(name)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("sources", 0), ("sources", 65), ("symbols", 0), ("symbols", 65537),
        ("edges", 0), ("edges", 1_048_577), ("tracks", 0), ("tracks", 32769),
    ],
)  # fmt: skip
def test_capacities_beyond_the_layout_are_refused(instance_name, what, value):
    with pytest.raises(TableFull, match=f"capacity: {value} {what}, expected 1 to"):
        region.create(instance_name, **{f"n_{what}": value})
    assert not region.exists(instance_name)


@pytest.mark.parametrize("capacity", [(1, 1, 1), (64, 16, 1_048_576), (2, 65_536, 1)])
def test_capacities_at_the_limits_work(instance_name, capacity):
    region.create(instance_name, n_sources=capacity[0], n_symbols=capacity[1], n_edges=capacity[2])
    instance = Instance(instance_name, writable=SECTIONS)
    last_source, last_symbol, last_edge = (n - 1 for n in capacity)
    instance.quotes.write(last_source, last_symbol, 1.0, 2.0, 3.0, 4.0, 0, 1)
    instance.dirty.mark(last_source, last_symbol)
    assert [last_symbol] == instance.dirty.take(last_source)
    assert instance.active.move(last_edge, 0, 3)
    assert instance.ring.capacity >= capacity[2]
    instance.close()


def test_no_room_is_an_error_at_creation(tmp_path, instance_name):
    """Scenario 12: posix_fallocate: else it would be a SIGBUS in a feed, later."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"mount refused: {mounted.stderr.strip()}")
    try:
        with pytest.raises(NoRoom, match=r"no room in .*: No space.*, expected \d+ free bytes"):
            region.create(instance_name, root=str(tmp_path))
        assert [] == list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# -- there already


def test_an_instance_that_exists_is_not_overwritten(place, instance_name):
    before = (place / "control").read_bytes()
    with pytest.raises(RegionExists, match="exists, expected a free name"):
        region.create(instance_name, **SMALL)
    assert before == (place / "control").read_bytes()


def test_force_supersedes_the_old_and_raises_the_generation(instance_name):
    region.create(instance_name, **SMALL)
    old = Instance(instance_name, writable=("quotes",))
    old.quotes.write(0, 0, 1.0, 2.0, 3.0, 4.0, 0, 5)
    old.region("signals")
    assert 2 == region.create(instance_name, n_sources=4, n_symbols=8, n_edges=8, force=True)
    new = Instance(instance_name)
    assert old.superseded
    assert old.region("quotes").superseded
    assert not new.superseded
    assert (1, 2) == (old.region("quotes").generation, new.region("quotes").generation)
    assert 1.0 == old.quotes.read(0, 0).bid_px  # the old mapping goes on, unchanged
    assert 0 == new.quotes.read(0, 0).recv_ns
    assert old.region("signals").ring_id != new.region("signals").ring_id
    old.close()
    new.close()


def test_an_instance_attached_before_a_forced_re_creation_mixes_nothing(instance_name):
    region.create(instance_name, **SMALL)
    old = Instance(instance_name)
    region.create(instance_name, **SMALL, force=True)
    with pytest.raises(LayoutMismatch, match=r"generation 2, .* expected 1 .* attach again"):
        old.region("quotes")
    old.close()


def test_force_tells_readers_of_another_layout_version(place, instance_name):
    """Scenario 14.

    An upgrade: the old version's readers must learn of it, though we cannot attach there.
    """
    version = HEADER["layout_version"][0]
    kept = []
    for section in SECTIONS:
        with open(place / section, "r+b") as file:
            file.seek(version)
            file.write(b"\x63")
        kept.append(open(place / section, "rb"))  # noqa: SIM115
    region.create(instance_name, **SMALL, force=True)
    offset, size = HEADER["superseded"]
    for file in kept:
        file.seek(offset)
        assert 1 == int.from_bytes(file.read(size), "little")
        file.close()
    assert 2 == Instance(instance_name).region("control").generation


@pytest.mark.parametrize("rubbish", [b"", b"x", b"\0" * 64, os.urandom(4096)])
def test_force_replaces_what_is_not_readable(place, instance_name, rubbish):
    for section in SECTIONS:
        (place / section).write_bytes(rubbish)
    with pytest.raises(CoreError):
        open_all(instance_name)
    assert 1 == region.create(instance_name, **SMALL, force=True)
    assert not open_all(instance_name)


def test_unlink_removes_and_tells(place, instance_name):
    instance = Instance(instance_name)
    region.unlink(instance_name)
    assert instance.superseded
    assert not place.exists()
    assert not region.exists(instance_name)
    with pytest.raises(RegionMissing, match="expected a created instance"):
        region.unlink(instance_name)
    instance.close()


# -- attaching


def test_a_missing_instance_or_section_is_named(place, instance_name):
    with pytest.raises(RegionMissing, match="spreadscan-nothing-here: missing"):
        spreadcore.attach("nothing-here")
    (place / "signals").unlink()
    with pytest.raises(RegionMissing, match="signals: missing"):
        open_all(instance_name)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_each_header_byte_counts(place, instance_name, section, flip):
    """Scenario 10.

    Whatever byte is wrong: refused, or (the flag) superseded; only created_ns is just shown.
    """
    shown, _ = HEADER["created_ns"]
    flag, size = HEADER["superseded"]
    path = place / section
    good = path.read_bytes()
    for at in range(64):
        path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
        if at >= shown:
            assert not open_all(instance_name), at
        elif flag <= at < flag + size:
            assert open_all(instance_name), at
        else:
            # a wrong capacity looks like a file of another length
            with pytest.raises((LayoutMismatch, RegionLost), match=str(place)):
                open_all(instance_name)
    path.write_bytes(good)
    assert not open_all(instance_name)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_file_of_another_length_is_refused(place, instance_name, section):
    path = place / section
    good = path.read_bytes()
    for k in [*range(64), len(good) - 1, len(good) + 1, len(good) + 4096]:
        path.write_bytes((good + bytes(4096))[:k])
        with pytest.raises(RegionLost, match=f"{section}: {k} bytes, expected"):
            open_all(instance_name)


def test_a_section_under_another_name_is_refused(place, instance_name):
    (place / "control").rename(place / "spare")
    (place / "health").rename(place / "control")
    with pytest.raises(LayoutMismatch, match="expected a control section"):
        Instance(instance_name)


def test_a_file_cut_while_attached_is_seen(place):
    section = Region(str(place), "quotes")
    assert not section.truncated
    os.truncate(place / "quotes", 4096)
    assert section.truncated
    section.close()


# -- not safely ours


def test_a_symbolic_link_is_refused_and_not_followed(place, instance_name, tmp_path):
    """Scenario 13."""
    victim = tmp_path / "victim"
    before = (place / "quotes").read_bytes()
    victim.write_bytes(before)
    victim.chmod(0o600)
    (place / "quotes").unlink()
    (place / "quotes").symlink_to(victim)
    with pytest.raises(RegionRefused, match="expected a plain file of ours"):
        Instance(instance_name, writable=("quotes",)).region("quotes")
    region.create(instance_name, **SMALL, force=True)
    assert before == victim.read_bytes()


def test_a_hard_link_is_refused(place, instance_name):
    os.link(place / "quotes", place / "second-name")
    with pytest.raises(RegionRefused, match="2 link"):
        spreadcore.attach(instance_name)


@pytest.mark.parametrize("writable", [(), ("quotes",)])
def test_a_fifo_is_refused_without_waiting(place, instance_name, children, writable):
    (place / "quotes").unlink()
    os.mkfifo(place / "quotes", 0o600)

    def refused():
        with pytest.raises(RegionRefused):
            Instance(instance_name, writable=writable).region("quotes")
        return True

    children.start("opener", refused)
    assert {"opener": True} == children.results(10)


def test_a_directory_in_the_place_of_a_file_is_refused(place, instance_name):
    (place / "quotes").unlink()
    (place / "quotes").mkdir()
    with pytest.raises(RegionRefused):
        spreadcore.attach(instance_name)
    (place / "quotes").rmdir()


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604])
def test_a_file_that_others_may_open_is_refused(place, instance_name, mode):
    (place / "quotes").chmod(mode)
    with pytest.raises(RegionRefused, match=f"mode 100{mode:o}"):
        spreadcore.attach(instance_name)


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_a_directory_that_others_may_enter_is_refused(place, instance_name, mode):
    place.chmod(mode)
    with pytest.raises(RegionRefused, match=f"mode {mode:o}, expected 700"):
        spreadcore.attach(instance_name)
    with pytest.raises(RegionRefused):
        region.create(instance_name, **SMALL, force=True)
    with pytest.raises(RegionRefused):
        region.unlink(instance_name)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_belongs_to_somebody_else_is_refused(place, instance_name, what):
    as_root()
    os.chown(place if what == "directory" else place / "quotes", NOBODY, NOBODY)
    with pytest.raises(RegionRefused, match=f"{NOBODY}"):
        spreadcore.attach(instance_name)


@pytest.mark.parametrize("force", [False, True])
def test_a_link_planted_at_the_place_is_not_followed(instance_name, tmp_path, force):
    (tmp_path / "precious").write_text("mine")
    Path(region.instance_dir(instance_name)).symlink_to(tmp_path)
    with pytest.raises(RegionRefused if force else RegionExists):
        region.create(instance_name, **SMALL, force=force)
    with pytest.raises(RegionRefused, match="not a directory"):
        region.unlink(instance_name)
    with pytest.raises(RegionRefused, match="not a directory"):
        spreadcore.attach(instance_name)
    assert "mine" == (tmp_path / "precious").read_text()


# -- closing


def test_close_refuses_while_objects_or_views_are_alive(place):
    section = Region(str(place), "quotes")
    quotes = Quotes(section)
    with pytest.raises(BufferError, match=r"1 object\(s\) still use it"):
        section.close()
    del quotes
    view = section.buffer()
    with pytest.raises(BufferError, match="views are alive"):
        section.close()
    assert 64 == section.n_symbols  # still attached after the refusal
    view.release()
    section.close()
    section.close()
    with pytest.raises(CoreError, match="closed, expected an attached section"):
        Quotes(section)


def test_objects_that_die_in_a_reference_cycle_let_go(instance_name):
    region.create(instance_name, **SMALL)
    instance = Instance(instance_name, writable=("quotes", "dirty", "health"))
    sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
    intake = SourceIntake(*sections, 0)
    gc.collect()
    cycle = [intake]
    cycle.append(cycle)
    del intake, cycle
    gc.collect()
    instance.close()


def test_sections_of_two_instances_do_not_mix(instance_name):
    region.create(instance_name, **SMALL)
    old = Instance(instance_name, writable=SECTIONS)
    quotes = old.region("quotes")
    region.create(instance_name, **SMALL, force=True)
    new = Instance(instance_name, writable=SECTIONS)
    with pytest.raises(LayoutMismatch, match="generation 2"):
        SourceIntake(quotes, new.region("dirty"), new.region("health"), 0)
    old.close()
    new.close()


@pytest.mark.parametrize(
    ("section", "face"),
    [
        ("quotes", "dirty"), ("dirty", "quotes"), ("signals", "active"), ("active", "ring"),
        ("health", "control"), ("control", "health"),
    ],
)  # fmt: skip
def test_each_face_refuses_another_section(place, section, face):
    from spreadcore.active import ActiveTable
    from spreadcore.control import Control
    from spreadcore.dirty import DirtySet
    from spreadcore.health import Health
    from spreadcore.ring import SignalRing

    faces = {
        "quotes": Quotes, "dirty": DirtySet, "ring": SignalRing, "active": ActiveTable,
        "health": Health, "control": Control,
    }  # fmt: skip
    attached = Region(str(place), section)
    with pytest.raises(CoreError, match=f"section '{section}', expected"):
        faces[face](attached)
    attached.close()
