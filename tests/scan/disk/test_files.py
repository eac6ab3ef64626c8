"""Reading data files, plain or compressed, whole or not."""

from pathlib import Path

import pytest

from scan.tracker.conftest import compressed
from spreadscan.disk.files import data_files, read_blocks, read_rows, text_size
from spreadscan.errors import BadData
from spreadscan.tracker.columns import SIGNALS, SNAPSHOTS

HEAD = SNAPSHOTS.header


def row(name: str) -> bytes:
    return SNAPSHOTS.row({"track_id": name}).encode()


def put(folder: Path, name: str, text: bytes) -> Path:
    path = folder / name
    path.write_bytes(compressed(text) if name.endswith(".zst") else text)
    return path


@pytest.fixture(params=["x.csv", "x.csv.zst"])
def name(request):
    return request.param


def ids(path: Path, broken=lambda: None) -> list[str]:
    return [r["track_id"] for r in read_rows(path, SNAPSHOTS, broken)]


def test_rows_that_are_none_are_skipped_and_told(tmp_path, name):
    path = put(
        tmp_path, name,
        HEAD + row("a") + b"b,2026\n" + row("c") + b"\xff\xfe" + row("d") + b"\n" + b"\x00" * 30
        + b"\n" + row("e") + row("under way")[:-1],
    )  # fmt: skip
    broken = []
    rows = list(read_rows(path, SNAPSHOTS, lambda: broken.append(1)))
    assert ["a", "c", "e"] == [r["track_id"] for r in rows]
    assert 4 == len(broken)
    assert list(SNAPSHOTS.names) == list(rows[0])


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(BadData, match=r"gone\.csv: No such file"):
        list(read_rows(tmp_path / "gone.csv", SNAPSHOTS))


def test_text_that_is_passed_over_ends_at_a_line(tmp_path, name):
    text = HEAD + b"".join([row(f"t{n}") for n in range(4)])
    path = put(tmp_path, name, text)
    assert len(text) == text_size(path)
    for skip in range(len(text) + 3):
        first = len(HEAD) if skip <= len(HEAD) else text.find(b"\n", skip - 1) + 1 or len(text)
        assert text[first:] == b"".join(read_blocks(path, SNAPSHOTS, skip_bytes=skip)), skip


def test_a_long_file_comes_in_blocks_of_whole_lines(tmp_path, name):
    text = b"".join([row(f"t{n}") for n in range(150_000)])
    blocks = list(read_blocks(put(tmp_path, name, HEAD + text), SNAPSHOTS))
    assert len(blocks) > 2
    assert {b"\n"} == {block[-1:] for block in blocks}
    assert text == b"".join(blocks)


def test_of_a_cut_file_the_good_part_is_used(tmp_path):
    text = HEAD + b"".join([row(f"t{n * n * n}") for n in range(99)])
    whole = compressed(text)
    path = tmp_path / "x.csv.zst"
    n_rows = []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        broken = []
        found = ids(path, lambda broken=broken: broken.append(1))
        assert [f"t{n * n * n}" for n in range(len(found))] == found
        # the last four bytes are the checksum: all rows are there without them
        assert (len(found) < 99) == bool(broken), size
        n_rows.append(len(found))
    assert sorted(n_rows) == n_rows
    assert (0, 99) == (n_rows[0], n_rows[-1])


def test_of_a_damaged_file_the_good_part_is_used_and_the_damage_told(tmp_path, caplog):
    text = HEAD + b"".join([row(f"t{n * n * n}") for n in range(400)])
    whole = bytearray(compressed(text))
    whole[-1] ^= 1
    path = tmp_path / "x.csv.zst"
    path.write_bytes(whole)
    broken = []
    assert len(ids(path, lambda: broken.append(1))) <= 400
    assert [1] == broken
    (record,) = caplog.records
    assert "data file is damaged, the part before is used" == record.message
    assert path == record.facts["file"]


def test_a_file_that_only_has_the_name_of_a_compressed_one_is_refused(tmp_path):
    path = tmp_path / "x.csv.zst"
    path.write_bytes(HEAD + row("a"))
    with pytest.raises(BadData, match=r"x\.csv\.zst: begins b'# sp', expected a file compressed"):
        ids(path)


def test_another_version_in_a_compressed_file_is_refused(tmp_path):
    path = put(tmp_path, "x.csv.zst", HEAD.replace(b" v4;", b" v1;") + row("a"))
    with pytest.raises(
        BadData,
        match=r"snapshots v1', expected .*; move the files of that version to another folder, or",
    ):
        ids(path)


def test_files_are_listed_oldest_first_and_late_parts_after_the_first(tmp_path):
    for name in (
        "signals-20261121.csv", "signals-20261120.csv", "signals-20261120.csv.zst",
        "signals-20261120.2.csv.zst", "signals-20261119.csv.zst", "signals-x.csv",
        "snapshots-20261120-12.csv", ".signals-20261118.csv.zst.7-0a.part", "notes.txt",
    ):  # fmt: skip
        put(tmp_path, name, SIGNALS.header + name.encode() + b"\n")
    assert [
        ("signals-20261119.csv.zst", "20261119", 1, True),
        ("signals-20261120.csv.zst", "20261120", 1, True),
        ("signals-20261120.2.csv.zst", "20261120", 2, True),
        ("signals-20261120.csv", "20261120", 1, False),
        ("signals-20261121.csv", "20261121", 1, False),
    ] == [(f.path.name, *f[1:]) for f in data_files(tmp_path, SIGNALS)]


def test_a_copy_that_a_kill_left_is_not_listed(tmp_path):
    put(tmp_path, "signals-20261120.csv", SIGNALS.header + b"a\nb\n")
    put(tmp_path, "signals-20261120.csv.zst", SIGNALS.header + b"a\n")
    (found,) = data_files(tmp_path, SIGNALS)
    assert not found.compressed


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(BadData, match="gone: No such file or directory, expected a folder"):
        data_files(tmp_path / "gone", SIGNALS)
