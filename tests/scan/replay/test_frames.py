"""Which files hold frames, when each was received, and what cannot be read."""

import base64
import gzip

import pytest

from known import SOURCE_BY_NAME
from spreadscan.errors import BadData, ConfigError
from spreadscan.replay.frames import LINE_BYTES_MAX, Frame, binary_of, find, form_of


def frames_of(folder):
    return [frame for file in find(folder) for frame in file.frames()]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("frames.tsv.gz", "recording"),
        ("any.jsonl", "lines"),
        ("any.tsv", "stamped"),
        ("any.log.gz", "capture"),
        ("any.bin", "whole"),
        ("pong.txt", "whole"),
        ("frames.jsonl", None),
        ("decoded_2026.jsonl", None),
        ("instruments.json", None),
        ("INDEX.md", None),
        ("ping.txt", None),
        ("other.tsv.gz", None),
    ],
)
def test_what_holds_frames(name, form):
    assert form == form_of(name)


def test_a_recording_names_its_sources(record):
    folder = record(
        (7, "binance_spot", "a"), (6, "binance_usdm", "b\tc"), (2**63 - 1, "okx-futures", "")
    )
    assert [
        Frame(7, "binance-spot", b"a"),
        Frame(6, "binance-futures", b"b\tc"),
        Frame(2**63 - 1, "okx-futures", b""),
    ] == frames_of(folder)


def test_recordings_of_sub_folders_come_in_order_of_their_names(record):
    record((1, "binance_spot", "second"), name="b/frames.tsv.gz")
    folder = record((1, "binance_spot", "first"), name="a/frames.tsv.gz")
    assert ["a/frames.tsv.gz", "b/frames.tsv.gz"] == [file.name for file in find(folder)]
    assert [b"first", b"second"] == [frame.payload for frame in frames_of(folder)]


def test_lines_without_a_stamp_take_their_number_in_ms(write):
    folder = write("okx-spot/a.jsonl", 'x\n\n{"b":1}\r\nlast')
    assert [
        Frame(1_000_000, "okx-spot", b"x"),
        Frame(3_000_000, "okx-spot", b'{"b":1}'),
        Frame(4_000_000, "okx-spot", b"last"),
    ] == frames_of(folder)


@pytest.mark.parametrize(
    ("stamp", "recv_ns"),
    [
        ("1626992741.06217", 1626992741062170000),
        ("1633998513.3923042", 1633998513392304200),
        ("1633998513.12345678912", 1633998513123456789),
        ("1652459225", 1652459225000000000),
        ("1723161254024619568", 1723161254024619568),
        ("91951477042977", 91951477042977),  # a monotonic clock
        ("0.5", 500_000_000),
        ("1", 1),
    ],
)
def test_stamps(write, stamp, recv_ns):
    folder = write("bybit-spot/a.tsv", f"{stamp}\tframe\tmore\n")
    assert [Frame(recv_ns, "bybit-spot", b"frame\tmore")] == frames_of(folder)
    folder = write("bybit-spot/b.log.gz", f"{stamp}: {{}}: x\n")
    assert Frame(recv_ns, "bybit-spot", b"{}: x") in frames_of(folder)


def test_a_raw_capture_has_lines_that_are_no_frames(write):
    text = (
        "wss://ws.okx.com/ws <-> 1633998511.159679\n"
        'wss://ws.okx.com/ws <- 1633998511.2: {"op":"subscribe"}\n'
        '1633998512.5: {"a":1}\n'
        "https://www.okx.com/x -> 1633998512.6: {}\n"
        "\n"
    )
    assert [Frame(1633998512500000000, "okx-spot", b'{"a":1}')] == frames_of(
        write("okx-spot/raw.log.gz", text)
    )


def test_whole_files(write):
    write("mexc-spot/a.bin", b"\x0a\x33\n")
    folder = write("mexc-spot/pong.txt", "pong\n")
    assert [
        Frame(1_000_000, "mexc-spot", b"\x0a\x33\n", True),
        Frame(1_000_000, "mexc-spot", b"pong"),
    ] == frames_of(folder)


def test_files_about_frames_are_left_alone(write):
    for name in ("frames.jsonl", "decoded_x.jsonl", "list.json", "INDEX.md", ".hidden.jsonl"):
        write(f"okx-spot/{name}", "no frame\n")
    write(".git/a.jsonl", "no frame\n")
    folder = write("okx-spot/pong.txt", "pong")
    assert ["okx-spot/pong.txt"] == [file.name for file in find(folder)]


def test_a_folder_of_one_source(write):
    folder = write("okx-spot/pong.txt", "pong") / "okx-spot"
    assert [("pong.txt", "okx-spot")] == [(f.name, f.source) for f in find(folder)]


def test_how_far_a_file_is_read(record):
    (file,) = find(record((1, "binance_spot", "a"), (2, "binance_spot", "b")))
    assert 0 == file.position
    for _ in file.frames():
        assert 0 < file.position <= file.size
    assert file.size == file.position


# ---- units of time

AT = 1_789_299_660_913_000_000  # 2026, a whole number of ms
KINDS = {
    "frames.tsv.gz": "{}\tokx-spot\tx\n",
    "okx-spot/a.tsv": "{}\tx\n",
    "okx-spot/a.log.gz": "{}: x\n",
}


def in_unit(unit, ns):
    per = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    whole, part = divmod(ns, per)
    return f"{whole}.{part:0{len(str(per)) - 1}}" if part else str(whole)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("name", KINDS)
def test_a_date_tells_its_unit(write, name, unit):
    times = [AT, AT + 10**9, AT + 10**9 + 250_000, AT + 3_600 * 10**9]
    folder = write(name, "".join(KINDS[name].format(in_unit(unit, at)) for at in times))
    (file,) = find(folder)
    assert times == [frame.recv_ns for frame in file.frames()]
    usual = unit == "ns" or (unit == "s" and name != "frames.tsv.gz")
    told = () if usual else (f"{name}: its times are Unix {unit}, read as such",)
    assert told == file.remarks


@pytest.mark.parametrize(("first", "second"), [
    ("ms", "us"), ("us", "ns"), ("ns", "ms"), ("s", "ms"), ("ms", "s"), ("", "ms"), ("ns", ""),
])  # fmt: skip
@pytest.mark.parametrize("name", KINDS)
def test_two_units_in_a_file_are_a_sentence(write, name, first, second):
    stamps = [in_unit(unit, AT) if unit else "77" for unit in (first, second)]
    folder = write(name, "".join(KINDS[name].format(stamp) for stamp in stamps))
    found, expected = (f"in {unit}" if unit else "no date" for unit in (second, first))
    with pytest.raises(BadData, match=f"line 2: time .*: {found}, expected {expected} as in the"):
        frames_of(folder)


def test_a_clock_of_no_date_may_come_to_look_like_one(record):
    """25 minutes after the start of a machine, in ns: what would be a date in ms of 2015."""
    times = [1_420_070_000_000, 1_420_070_399_999, 1_420_070_400_000, 1_420_070_400_001]
    folder = record(*((at, "okx-spot", "x") for at in times))
    assert times == [frame.recv_ns for frame in frames_of(folder)]


# ---- protobuf in lines

MESSAGE = b"\x0a\x331\n\t\xff"


@pytest.mark.parametrize("text", [base64.b64encode(MESSAGE).decode(), MESSAGE.hex(),
                                  MESSAGE.hex().upper()])  # fmt: skip
def test_a_line_of_protobuf_is_base64_or_hex(write, text):
    folder = write("mexc-spot/a.tsv", f"7\t{text}\n8\t{{}}\n9\tno base64!\n")
    write("okx-spot/a.tsv", f"7\t{text}\n")
    found = {(f.source, f.recv_ns): (f.payload, f.binary) for f in frames_of(folder)}
    assert {
        ("mexc-spot", 7): (MESSAGE, True), ("mexc-spot", 8): (b"{}", False),
        ("mexc-spot", 9): (b"no base64!", False), ("okx-spot", 7): (text.encode(), False),
    } == found  # fmt: skip


def test_base64_of_a_message_is_no_hex():
    for n in range(256):
        text = base64.b64encode(bytes([0x0A, n]) + bytes(n))
        assert bytes([0x0A, n]) + bytes(n) == binary_of(text)


def test_every_source_has_its_name_and_one_with_an_underscore(record):
    spelled = [n.replace("-", mark) for n in SOURCE_BY_NAME for mark in "-_"] + ["binance_usdm"]
    folder = record(*((7, name, "{}") for name in spelled))
    sources = [n for n in SOURCE_BY_NAME for _ in "-_"] + ["binance-futures"]
    assert sources == [frame.source for frame in frames_of(folder)]


# ---- what a user can get wrong


def test_no_such_folder(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such folder, expected a folder"):
        find(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(write):
    with pytest.raises(ConfigError, match=r"a\.jsonl: not a folder"):
        find(write("okx-spot/a.jsonl", "x") / "okx-spot/a.jsonl")


def test_no_files_of_frames(write):
    with pytest.raises(ConfigError, match="no files of frames"):
        find(write("okx-spot/list.json", "{}"))


def test_frames_of_no_source(write):
    with pytest.raises(ConfigError, match=r"'okx-sport'.*did you mean 'okx-spot'\?"):
        find(write("okx-sport/a.jsonl", "x"))
    with pytest.raises(ConfigError, match="no source: expected one of binance-spot"):
        find(write("2026/a.jsonl", "x") / "2026")


def test_an_unknown_venue_in_a_recording(record):
    folder = record((1, "binance_spot", "a"), (2, "kraken_spot", "b"))
    with pytest.raises(BadData, match=r"frames\.tsv\.gz: line 2: venue 'kraken_spot', expected"):
        frames_of(folder)


@pytest.mark.parametrize("line", ["no tab", "1\tbinance_spot", ""])
def test_a_line_of_a_recording_without_tabs(write, line):
    with pytest.raises(BadData, match=r"line 2: \d TAB in the line, expected time TAB venue"):
        frames_of(write("frames.tsv.gz", f"1\tbinance_spot\ta\n{line}\n"))


@pytest.mark.parametrize("stamp", ["0", "-1", "1.5", "now", "", "9" * 19, "9" * 40])
def test_a_recording_is_stamped_in_ns(record, stamp):
    with pytest.raises(BadData, match=r"line 1: time .*, expected Unix s, ms, us or ns above 0"):
        frames_of(record((stamp, "binance_spot", "a")))


def test_a_line_without_a_tab(write):
    with pytest.raises(BadData, match=r"a\.tsv: line 2: no TAB in the line, expected time TAB"):
        frames_of(write("okx-spot/a.tsv", "1\tx\nno tab\n"))


@pytest.mark.parametrize("stamp", ["0", "0.0", "-1", "1e9", "", " 1", "1.", "99999999999.0"])
def test_no_receive_time(write, stamp):
    with pytest.raises(BadData, match="line 1: time .*, expected Unix s, ms, us or ns above 0"):
        frames_of(write("okx-spot/a.tsv", f"{stamp}\tx\n"))


def test_no_line_of_a_raw_capture(write):
    with pytest.raises(BadData, match="line 1: line 'what', expected seconds"):
        frames_of(write("okx-spot/a.log.gz", "what\n"))


def test_no_gzip(write):
    folder = write("a", "")
    (folder / "frames.tsv.gz").write_bytes(b"1\tbinance_spot\ta\n")
    with pytest.raises(BadData, match=r"frames\.tsv\.gz: line 1: broken gzip"):
        frames_of(folder)


def test_a_gzip_that_was_cut_short_or_changed(tmp_path):
    rows = b"".join(b"%d\tbinance_spot\t%x\n" % (i, i * i * 7919) for i in range(1, 5000))
    whole = gzip.compress(rows)
    path = tmp_path / "frames.tsv.gz"
    for raw in (whole[: len(whole) // 2], whole[:-4], whole[:-6] + b"abcdef"):
        path.write_bytes(raw)
        with pytest.raises(BadData, match=r"line [1-9]\d*: broken gzip"):
            frames_of(tmp_path)


def test_a_line_that_does_not_end(write):
    with pytest.raises(BadData, match="line 1: .* bytes and more, expected a shorter line"):
        frames_of(write("okx-spot/a.jsonl", b"x" * (LINE_BYTES_MAX + 1)))
