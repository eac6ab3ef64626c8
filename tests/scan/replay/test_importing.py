"""frames.tsv.gz into a recording: every frame, in the order of the lines."""

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner

from spreadscan.cli.main import commands
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import Recording
from spreadscan.recordings.format import Span
from spreadscan.replay.importing import import_frames

CROSS = Path(__file__).parents[4] / "shared/wire/recordings/bn_spot_x_usdm_20240808"


def silent(done, total):
    pass


def tsv(folder, *lines):
    folder.mkdir(exist_ok=True)
    path = folder / "frames.tsv.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d\t%s\t%s\n" % line for line in lines)))
    return path


def test_every_frame_in_the_order_of_the_lines(tmp_path):
    lines = [
        (10, b"binance_usdm", b"u1"), (10, b"binance_spot", b"s1"), (10, b"binance_usdm", b"u2"),
        (11, b"okx-spot", b"o1"), (20, b"binance_spot", b"s2"), (20, b"okx-spot", b"o2"),
    ]  # fmt: skip
    path = tsv(tmp_path / "in", *lines)
    (tmp_path / "in" / "instruments.json").write_text("[]")
    frames, remarks = import_frames(path, tmp_path / "rec", silent)
    assert () == remarks
    assert {"binance-futures": 2, "binance-spot": 2, "okx-spot": 2} == frames
    recording = Recording(tmp_path / "rec")
    found = list(recording.frames())
    assert [payload for _, _, payload in lines] == [f.payload for f in found]
    # of one nanosecond, against the order of sources: a nanosecond apart
    assert [10, 11, 11, 11, 20, 20] == [f.recv_ns for f in found]
    assert [] == recording.problems
    assert frames == recording.about.frames
    # of one that falls silent nothing says that it ended: it lives as long as the others
    spans = {
        "binance-spot": Span(11, 20, 20), "binance-futures": Span(10, 11, 20),
        "okx-spot": Span(11, 20, 20),
    }  # fmt: skip
    assert spans == recording.about.spans == recording.spans()
    assert (tmp_path / "rec" / "instruments.json").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([(5, b"okx-spot", b"x"), (4, b"okx-spot", b"y")], "line 2: time 4, expected from 5 on"),
        ([], "no frame in it"),
        ([(5, b"nasdaq", b"x")], "line 1: venue 'nasdaq'"),
    ],
)
def test_what_cannot_be_imported(tmp_path, lines, said):
    path = tsv(tmp_path / "in", *lines)
    with pytest.raises(BadData, match=said):
        import_frames(path, tmp_path / "rec", silent)


def test_the_command_says_what_is_wrong(tmp_path):
    def run(*arguments):
        done = CliRunner().invoke(commands, ["record", *map(str, arguments)])
        assert "Traceback" not in done.output
        return done.exit_code, done.output

    path = tsv(tmp_path / "in", (5, b"okx-spot", b"x"))
    assert (2, f"spreadscan: {tmp_path / 'none'}: no such file, expected a frames.tsv.gz\n") == run(
        "--from", tmp_path / "none", "--out", tmp_path / "rec"
    )
    code, text = run("--from", path, "--out", tmp_path / "in")
    assert (2, True) == (code, "in use already, expected a new or empty folder" in text)
    code, text = run("--from", path, "--out", tmp_path / "rec", "--for", "10s")
    assert (2, True) == (code, "an import has no --for" in text)
    code, text = run("--for", "soon")
    assert (2, True) == (code, "--for: 'soon', expected a span as 30s, 10m, 2h or 1d" in text)
    code, text = run("--from", path, "--out", tmp_path / "rec")
    assert (0, True) == (code, "1 frames" in text)
    with pytest.raises(ConfigError):
        import_frames(path, tmp_path / "rec", silent)


@pytest.mark.skipif(not CROSS.is_dir(), reason=f"no recording at {CROSS}")
def test_a_recording_of_others(tmp_path):
    frames, _ = import_frames(CROSS / "frames.tsv.gz", tmp_path / "rec", silent)
    assert {"binance-spot": 52_117, "binance-futures": 120_081} == frames
    with gzip.open(CROSS / "frames.tsv.gz") as file:
        payloads = [line.rstrip(b"\n").split(b"\t", 2)[2] for line in file]
    recording = Recording(tmp_path / "rec")
    assert payloads == [frame.payload for frame in recording.frames()]
    assert 172_198 == recording.count()
