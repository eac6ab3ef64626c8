"""The tape: every frame is there in order or counted; time never falls; it never grows."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spreadcore.errors import CoreError
from spreadcore.tape import Tape, are_records

HEAD = struct.Struct("<qII")


def unpack(records):
    """Return [(recv_ns, link, opcode, payload)] of packed records."""
    found, at, data = [], 0, bytes(records)
    while at < len(data):
        recv_ns, link, size = HEAD.unpack_from(data, at)
        at += HEAD.size + (size >> 4)
        found.append((recv_ns, link, size & 15, data[at - (size >> 4) : at]))
    return found


def drain(tape):
    """Take everything; return (frames with their numbers, gaps as (first number, dropped))."""
    frames, gaps = [], []
    while (part := tape.take(True)) is not None:
        records, n, first_ns, last_ns, number, dropped = part
        own = unpack(records)
        assert n == len(own)
        assert (first_ns, last_ns) == (own[0][0], own[-1][0])
        if dropped:
            gaps.append((number, dropped))
        frames += [(number + i, *frame) for i, frame in enumerate(own)]
        records.release()
        tape.release()
    return frames, gaps


def test_frames_come_back_as_they_were():
    tape = Tape(4096, 2)
    assert tape.append(10, 7, 1, b"one")
    assert tape.append(11, 8, 2, b"")
    assert ([(0, 10, 7, 1, b"one"), (1, 11, 8, 2, b"")], []) == drain(tape)
    assert (2, 0) == (tape.frames, tape.dropped)
    assert tape.take(True) is None


def test_a_growing_part_is_taken_only_when_asked_for():
    tape = Tape(4096, 2)
    tape.append(1, 1, 1, b"x")
    assert tape.take() is None
    assert tape.take(True) is not None


def test_what_finds_no_room_is_counted_and_told_before_what_follows():
    tape = Tape(64, 2)  # two frames of 16 + 16 a part
    kept = [tape.append(n, 1, 1, b"%016d" % n) for n in range(7)]
    assert [True] * 4 + [False] * 3 == kept
    assert 3 == tape.dropped
    part = tape.take()
    assert part is not None
    part[0].release()
    tape.release()
    assert tape.append(7, 1, 1, b"7")
    frames, gaps = drain(tape)
    assert [2, 3, 7] == [number for number, *_ in frames]
    assert [(7, 3)] == gaps


def test_a_frame_larger_than_a_part_is_counted():
    tape = Tape(64, 2)
    assert not tape.append(1, 1, 1, bytes(49))
    assert tape.append(2, 1, 1, bytes(48))
    frames, gaps = drain(tape)
    assert [1] == [number for number, *_ in frames]
    assert [(1, 1)] == gaps


def test_time_never_falls():
    tape = Tape(4096, 2)
    for ns in (5, 3, 9, 8):
        tape.append(ns, 1, 1, b"")
    assert [5, 5, 9, 9] == [ns for _, ns, *_ in drain(tape)[0]]


def test_a_part_is_taken_once_at_a_time():
    tape = Tape(64, 2)
    tape.append(1, 1, 1, b"x")
    with pytest.raises(CoreError, match="no part is taken"):
        tape.release()
    tape.take(True)
    with pytest.raises(CoreError, match="taken already"):
        tape.take(True)


@pytest.mark.parametrize(("part_bytes", "n_parts"), [(64, 1), (64, 65), (15, 2), (2**28 + 1, 2)])
def test_sizes_that_make_no_sense(part_bytes, n_parts):
    with pytest.raises(CoreError, match="tape: "):
        Tape(part_bytes, n_parts)


def test_an_opcode_has_four_bits():
    with pytest.raises(CoreError, match="opcode 16"):
        Tape(64, 2).append(1, 1, 16, b"")


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.just(None)), max_size=60),
    st.integers(2, 5),
)
def test_every_number_is_there_or_in_a_gap(steps, n_parts):
    """Frames, and None: the writer takes what is full."""
    tape, payloads, frames, gaps = Tape(80, n_parts), [], [], []
    for step in steps:
        if step is not None:
            tape.append(len(payloads), 3, 2, step)
            payloads.append(step)
        elif (part := tape.take()) is not None:
            frames += [(part[4] + i, *f) for i, f in enumerate(unpack(part[0]))]
            gaps += [(part[4], part[5])] if part[5] else []
            part[0].release()
            tape.release()
    more, last_gaps = drain(tape)
    frames, gaps = frames + more, gaps + last_gaps
    assert [(n, n, 3, 2, payloads[n]) for n, *_ in frames] == frames
    numbers = [n for n, *_ in frames]
    assert sorted(set(numbers)) == numbers
    for first, dropped in gaps:
        assert not set(range(first - dropped, first)) & set(numbers)
    told = len(frames) + sum(dropped for _, dropped in gaps)
    assert tape.dropped == len(payloads) - len(frames)
    assert told + tape.unplaced == tape.frames == len(payloads)


def record(recv_ns, payload):
    return HEAD.pack(recv_ns, 1, len(payload) << 4 | 1) + payload


def test_records_are_whole_and_in_order():
    good = record(5, b"ab") + record(5, b"")
    assert are_records(good, 2)
    assert are_records(b"", 0)
    for bad, n in (
        (good, 1), (good, 3), (good[:-1], 2), (good + b"x", 2), (b"x", 0),
        (record(6, b"") + record(5, b""), 2), (HEAD.pack(1, 1, 0xFFFFFFFF), 1),
    ):  # fmt: skip
        assert not are_records(bad, n)
