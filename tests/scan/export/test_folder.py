"""Which inputs a data folder has, and what `--since` means."""

import os
from datetime import UTC, datetime, timedelta

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spreadscan.errors import BadData, ConfigError
from spreadscan.export.folder import again, find, parse_since
from spreadscan.tracker import SIGNALS, SNAPSHOTS

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def touch(folder, *names):
    for name in names:
        content = (SIGNALS if name.startswith("signals") else SNAPSHOTS).header
        if name.endswith(".zst"):
            content = zstandard.compress(content)
        (folder / name).write_bytes(content)


def names(found):
    return [each.name for each in found]


def test_inputs_come_by_kind_and_time(tmp_path):
    touch(tmp_path, "snapshots-20261120-09.csv.zst", "snapshots-20261119-23.csv",
          "signals-20261120.csv", "signals-20261119.csv")  # fmt: skip
    assert [
        "signals-20261119", "signals-20261120", "snapshots-20261119-23", "snapshots-20261120-09",
    ] == names(find(tmp_path))  # fmt: skip


def test_an_hour_in_several_files_is_one_input(tmp_path):
    touch(tmp_path, "snapshots-20261120-09.csv", "snapshots-20261120-09.2.csv.zst",
          "snapshots-20261120-09.csv.zst")  # fmt: skip
    (found,) = find(tmp_path)
    assert ["snapshots-20261120-09.csv.zst", "snapshots-20261120-09.2.csv.zst",
            "snapshots-20261120-09.csv"] == [part.path.name for part in found.parts]  # fmt: skip
    assert 3 * len(SNAPSHOTS.header) == found.text_size


def test_what_is_of_no_time_is_not_the_trackers(tmp_path):
    touch(tmp_path, "signals-20261120.csv", "signals-20261399.csv", "signals-20261120.csv.bak",
          "snapshots-20261120-24.csv", "snapshots-20261120.csv", "signals-2026112.csv")  # fmt: skip
    assert ["signals-20261120"] == names(find(tmp_path))


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-11-20T09:59:59", ["signals-20261120", "snapshots-20261120-09"]),
        ("2026-11-20T10:00", ["signals-20261120"]),
        ("2026-11-20", ["signals-20261120", "snapshots-20261120-09"]),
        ("2026-11-21T00:00+01:00", ["signals-20261120"]),
    ],
)
def test_since_keeps_what_reaches_beyond_it(tmp_path, since, expected):
    touch(tmp_path, "signals-20261119.csv", "signals-20261120.csv", "snapshots-20261120-09.csv")
    assert expected == names(find(tmp_path, parse_since(since, NOW)))


def test_a_folder_without_anything_is_a_sentence(tmp_path):
    with pytest.raises(BadData, match=r"no signals-\*\.csv\[\.zst\] or snapshots-\*\.csv\[\.zst\]"):
        find(tmp_path)
    touch(tmp_path, "signals-20261119.csv")
    with pytest.raises(BadData, match=r"that reach beyond 2026-11-20 00:00 UTC, expected files"):
        find(tmp_path, parse_since("2026-11-20", NOW))
    with pytest.raises(BadData, match=r"No such file or directory, expected a folder of data"):
        find(tmp_path / "none")


def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "signals-20261120.csv")
    with pytest.raises(BadData, match=r"no plain file"):
        find(tmp_path)


def test_an_input_is_found_again_in_its_new_form(tmp_path):
    touch(tmp_path, "signals-20261120.csv")
    (before,) = find(tmp_path)
    assert before == again(tmp_path, before)
    touch(tmp_path, "signals-20261120.csv.zst")
    (tmp_path / "signals-20261120.csv").unlink()
    after = again(tmp_path, before)
    assert (before.name, "signals-20261120.csv.zst") == (after.name, after.parts[0].path.name)
    after.parts[0].path.unlink()
    assert again(tmp_path, before) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-11-20T12", NOW.replace(minute=0)),
        ("2026-11-20T12:30:00+00:00", NOW),
        ("2026-11-20 14:30+02:00", NOW),
    ],
)
def test_a_time_is_a_span_or_utc(text, expected):
    assert expected == parse_since(text, NOW)


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,6}[mhdsy]", fullmatch=True))
def test_any_text_is_a_time_or_a_sentence(text):
    told = ""
    try:
        assert parse_since(text, NOW).tzinfo == UTC
    except ConfigError as error:
        told = str(error)
    assert not told or told.startswith(f"since: {text!r}, expected")
