"""Recordings on disk: whole ones come back whole, broken ones up to what is broken, and named."""

import re

import pytest
from spreadcore.tape import Tape

from scan.recordings.kit import START_NS, about, frames_of, make, paths, plain, write
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import FrameFiles, Recording, is_recording
from spreadscan.recordings.format import BLOCK_HEAD_BYTES, BLOCK_MARK, FILE_END, Span


def read(folder):
    """Return (frames, problems as text) of one reading."""
    recording = Recording(folder)
    frames = list(recording.frames())
    return frames, [str(problem) for problem in recording.problems]


def block_starts(data):
    """Return where the heads of the blocks are, and where the index begins."""
    starts = [m.start() for m in re.finditer(BLOCK_MARK, data)]
    return starts, FILE_END.unpack(data[-FILE_END.size :])[0]


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "rec", {"okx-spot": frames_of(35)})


def test_frames_come_back_as_they_were(folder):
    frames, problems = read(folder)
    assert frames_of(35) == plain(frames)
    assert [*range(35)] == [frame.number for frame in frames]
    assert {"okx-spot"} == {frame.source for frame in frames}
    assert [] == problems
    assert is_recording(folder)
    assert not is_recording(folder / "frames")


def test_sources_are_merged_in_the_order_of_arrival(tmp_path):
    a = [(n, 1, 1, b"a%d" % n) for n in (10, 20, 20, 30)]
    b = [(n, 2, 1, b"b%d" % n) for n in (5, 20, 30, 31)]
    # of one time the lower source id goes first, whatever the file names say
    frames, problems = read(make(tmp_path / "rec", {"okx-futures": b, "binance-spot": a}))
    expected = [b"b5", b"a10", b"a20", b"a20", b"b20", b"a30", b"b30", b"b31"]
    assert expected == [frame.payload for frame in frames]
    assert [] == problems


def test_a_series_of_files_is_one_run(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": frames_of(200)}, file_bytes=300)
    assert 5 < len(paths(folder))
    frames, problems = read(folder)
    assert frames_of(200) == plain(frames)
    assert [] == problems
    recording = Recording(folder)
    assert 200 == recording.count()
    positions = [block.position for block in recording.blocks("okx-spot")]
    assert sorted(positions) == positions
    assert positions[-1] <= recording.n_bytes


def test_a_second_run_counts_from_zero(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": frames_of(20)})
    files = FrameFiles(folder, "okx-spot", START_NS + 10**9)
    files.write(b"\x40\x42\x0f\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00",
                1, 1_000_000, 1_000_000, 0, 0)  # fmt: skip
    files.close()
    frames, problems = read(folder)
    assert [*range(20), 0] == [frame.number for frame in frames]
    assert [] == problems


def test_a_missing_file_in_the_middle_is_a_gap_with_its_size(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": frames_of(200)}, file_bytes=300)
    files = paths(folder)
    files.pop(3).unlink()
    frames, problems = read(folder)
    numbers = [frame.number for frame in frames]
    lost = sorted(set(range(200)) - set(numbers))
    assert [*range(lost[0], lost[-1] + 1)] == lost
    assert [frame for n, frame in enumerate(frames_of(200)) if n not in lost] == plain(frames)
    name = files[3].name
    said = f"missing before it, from number {lost[0]} ({len(lost)} frames)"
    assert [f"frames/{name}: {said}"] == problems


def test_a_file_cut_at_every_byte_of_its_last_block(folder):
    path = paths(folder)[0]
    data = path.read_bytes()
    starts, index = block_starts(data)
    for end in range(starts[-1], index + 1):
        path.write_bytes(data[:end])
        frames, problems = read(folder)
        kept = 35 if end == index else 30
        assert frames_of(35)[:kept] == plain(frames)
        told = " ".join(problems)
        assert "no index at its end" in told
        if starts[-1] + BLOCK_HEAD_BYTES <= end < index:
            assert "cut short in block 3 (5 frames)" in told
        elif starts[-1] < end < index:
            assert f"broken from byte {starts[-1]} to {end}" in told
        assert Recording(folder).count() >= len(frames)


def test_every_flipped_byte_costs_a_block_at_most_and_is_named(folder):
    path = paths(folder)[0]
    data = path.read_bytes()
    starts, index = block_starts(data)
    for at in range(starts[0], len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x41
        path.write_bytes(broken)
        frames, problems = read(folder)
        assert problems
        block = sum(start <= at for start in starts) - 1 if at < index else None
        lost = set() if block is None else {*range(10 * block, min(35, 10 * block + 10))}
        assert [f for n, f in enumerate(frames_of(35)) if n not in lost] == plain(frames)
        if block is not None and at >= starts[block] + BLOCK_HEAD_BYTES:
            (only,) = problems  # its size is told once
            assert re.search(f"block {block} is (broken|not what its head says)", only)
            assert f"({len(lost)} frames)" in only


def test_a_broken_head_costs_the_file(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": frames_of(5), "okx-futures": frames_of(5)})
    path = next(p for p in paths(folder) if p.name.startswith("okx-spot"))
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    frames, problems = read(folder)
    assert {"okx-futures"} == {frame.source for frame in frames}
    assert [f"frames/{path.name}: its head is broken"] == problems


def test_dropped_frames_are_a_gap(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": []})
    files = FrameFiles(folder, "okx-spot", START_NS)
    files.write(b"", 0, 5, 5, 7, 7)
    files.close(9, 3)
    frames, problems = read(folder)
    assert [] == frames
    name = paths(folder)[0].name
    assert [
        f"frames/{name}: not recorded before number 7 (7 frames)",
        f"frames/{name}: not recorded before number 10 (3 frames)",
    ] == problems


def test_until_when_a_source_lived(tmp_path):
    """Between blocks, at the end, and in a file that is cut off: as far as it is told."""
    folder = make(tmp_path / "rec", {"okx-spot": [], "bybit-spot": frames_of(20)})
    files, tape = FrameFiles(folder, "okx-spot", START_NS), Tape(1 << 20, 2)
    files.tell_lived(999)  # never quoted: nothing to keep
    for i, frame in enumerate(frames_of(4), 1):
        tape.append(*frame)
        if i % 2 == 0:
            write(files, tape)
            files.tell_lived(1000 + 10 * i)
    path = next((folder / "frames").glob("okx-spot*"))
    recording = Recording(folder)
    assert Span(1000, 1030, 1040) == recording.spans()["okx-spot"]  # it goes on
    files.tell_lived(1)  # an older word is none
    files.close(7000)
    assert Span(1000, 1190, 1190) == recording.spans()["bybit-spot"]  # does not tell
    assert Span(1000, 1030, 7000) == recording.spans()["okx-spot"]
    told = [(b.n_frames, b.last_recv_ns) for b in recording.blocks("okx-spot")]
    assert [(2, 1010), (0, 1020), (2, 1030), (0, 1040), (0, 1040), (0, 7000)] == told
    assert frames_of(4) == plain(f for f in recording.frames() if f.source == "okx-spot")
    assert [] == recording.problems
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"BLCK")])  # killed before the end
    assert Span(1000, 1030, 1040) == Recording(folder).spans()["okx-spot"]


def test_a_feed_that_lived_on_after_its_last_file_opens_another(tmp_path):
    folder = make(tmp_path / "rec", {"okx-spot": []})
    files, tape = FrameFiles(folder, "okx-spot", START_NS, file_bytes=1), Tape(1 << 20, 2)
    tape.append(*frames_of(1)[0])
    write(files, tape)
    files.close(5000)
    assert 2 == len(paths(folder))
    recording = Recording(folder)
    assert Span(1000, 1000, 5000) == recording.spans()["okx-spot"]
    assert 1 == len(list(recording.frames()))
    assert [] == recording.problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"{}", "format None, expected 1"),
        (about(format=2), "format 2, expected 1 (made by a newer spreadscan)"),
        (b'{"format": 1}', "Object missing required field"),
    ],
)
def test_a_recording_that_is_none(folder, text, said):
    (folder / "recording.json").write_bytes(text)
    with pytest.raises(BadData, match=re.escape(said)) as caught:
        Recording(folder)
    assert str(folder / "recording.json") in str(caught.value)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="no recording.json in it"):
        Recording(tmp_path)
    with pytest.raises(ConfigError, match="no recording.json in it"):
        Recording(tmp_path / "none")
    (tmp_path / "recording.json").write_bytes(about())
    with pytest.raises(BadData, match=r"no whole \*.frames in it"):
        Recording(tmp_path)


@pytest.mark.parametrize(
    ("at", "new", "said"),
    [
        (0, b"PARQUET1", "begins with b'PARQUET1', expected b'spreadrc'"),
        (8, b"\x02", "format 2, expected 1 (made by a newer spreadscan)"),
    ],
)
def test_a_file_of_another_format(folder, at, new, said):
    path = paths(folder)[0]
    data = path.read_bytes()
    path.write_bytes(data[:at] + new + data[at + len(new) :])
    with pytest.raises(BadData, match=re.escape(said)) as caught:
        Recording(folder)
    assert str(path) in str(caught.value)
