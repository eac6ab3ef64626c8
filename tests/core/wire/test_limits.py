"""Frames at the limits: bytes, depth, quotes, and what makes a shape."""

import pytest
from spreadcore.wire.decoder import FrameDecoder

QUOTE = ("X", 1.0, 2.0, 3.0, 4.0, 0, -1, 0)
BARE = b'"s":"X","b":[1,2],"a":[3,4]'
FRAME_BYTES_MAX = 1 << 20
MAX_DEPTH = 32


@pytest.fixture
def decoder(make_schema):
    return FrameDecoder(make_schema())


def frame_of(z):
    return b'{"z":%s,%s}' % (z, BARE)


@pytest.mark.parametrize("opened", [b"[", b'{"k":', b'[{"k":'])
def test_depth(decoder, opened):
    per_step = opened.count(b"[") + opened.count(b"{")
    closed = opened[::-1].translate(bytes.maketrans(b"[{", b"]}"), b'"k:')
    for depth in (1, MAX_DEPTH - 2, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 1000, 100_000):
        n = depth // per_step
        got = decoder.decode(frame_of(opened * n + b"1" + closed * n))
        assert (None if n * per_step + 1 > MAX_DEPTH else [QUOTE]) == got, depth
        assert got is not None or decoder.declined == "limit"
        assert decoder.decode(frame_of(opened * n)) is None


@pytest.mark.parametrize("n", [100_000, 10_000_000])
def test_garbage_of_one_byte_repeated(decoder, n):
    for byte in b'{["\\:,0-etn \x00\xff':
        assert decoder.decode(bytes([byte]) * n) is None
        assert decoder.decode(b'{"b":' + bytes([byte]) * n) is None


def test_bytes_of_a_frame(decoder):
    room = FRAME_BYTES_MAX - len(frame_of(b'""'))
    assert [QUOTE] == decoder.decode(frame_of(b'"' + b"x" * room + b'"'))
    assert decoder.decode(frame_of(b'"' + b"x" * (room + 1) + b'"')) is None
    assert "limit" == decoder.declined
    assert decoder.decode(frame_of(b'"' + b"x" * 10_000_000 + b'"')) is None
    assert "limit" == decoder.declined
    assert [QUOTE] == decoder.decode(frame_of(b"1") + b" " * (FRAME_BYTES_MAX - 100))


def test_bytes_of_a_protobuf_frame(make_schema):
    decoder = FrameDecoder(make_schema(wire="protobuf"))
    quote = b"\x0a\x011\x12\x012\x1a\x013\x22\x014\x2a\x01X"
    filler = b"\x32\xff\xff\x3f" + bytes(FRAME_BYTES_MAX - 1)  # a text of 2^20 - 1 bytes
    assert [QUOTE] == decoder.decode(b"\x30\x01" * (FRAME_BYTES_MAX // 2 - 10) + quote)
    assert decoder.decode(quote + filler) is None
    assert "limit" == decoder.declined


@pytest.mark.parametrize(("n", "reads"), [(1, True), (8, True), (9, False), (1000, False)])
def test_quotes_of_a_frame(make_schema, n, reads):
    decoder = FrameDecoder(make_schema(roots=("data.*",)))
    got = decoder.decode(b'{"data":[%s]}' % b",".join([b"{%s}" % BARE] * n))
    assert ([QUOTE] * n if reads else None) == got
    assert ("" if reads else "limit") == decoder.declined


# ---- shapes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("z", "n_shapes"),
    [
        (b"1", 1),
        (b"[%s]" % b",".join([b"1"] * 59), 1),  # and the five of the quote: 64 values
        (b"[%s]" % b",".join([b"1"] * 60), 0),
        (b"null", 1),
        (b"-1", 0),
        (b"[]", 1),
        (b'"%s"' % (b"x" * 1000), 1),
        (b'"%s"' % (b"x" * 1600), 0),
    ],
)
def test_which_frames_make_a_shape(decoder, z, n_shapes):
    for _ in range(3):
        assert [QUOTE] == decoder.decode(frame_of(z))
    assert n_shapes == decoder.n_shapes


def test_no_shape_of_what_was_declined_or_has_several_quotes(make_schema):
    decoder = FrameDecoder(make_schema(roots=("data.*",), match=["k?=1"]))
    assert decoder.decode(b'{"k":2,"data":[{%s}]}' % BARE) is None
    assert [QUOTE] * 2 == decoder.decode(b'{"data":[{%s},{%s}]}' % (BARE, BARE))
    assert 0 == decoder.n_shapes
    assert [QUOTE] == decoder.decode(b'{"data":[{%s}]}' % BARE)
    assert 1 == decoder.n_shapes


def test_four_shapes_are_kept_and_the_fifth_takes_the_oldest_place(decoder):
    frames = [b'{"z%d":"",%s}' % (i, BARE) for i in range(9)]
    for _ in range(3):
        for frame in frames:
            assert [QUOTE] == decoder.decode(frame)
            assert [QUOTE] == decoder.decode(frame)
    assert 4 == decoder.n_shapes


def test_no_shapes_where_none_are_wanted(make_schema):
    decoder = FrameDecoder(make_schema(), shapes=False)
    assert [QUOTE] == decoder.decode(frame_of(b"1"))
    assert 0 == decoder.n_shapes


def test_frames_that_begin_or_end_like_a_known_shape(decoder):
    """The literals are equal as far as they go; what is behind or missing decides."""
    known = frame_of(b'"x"')
    assert [QUOTE] == decoder.decode(known)
    for n in range(len(known)):
        assert decoder.decode(known[:n]) is None
        assert decoder.decode(known[n + 1 :]) is None
    for more in (b"}", b" }", b",", b"\x00", b"x", b"{}", b'"'):
        assert decoder.decode(known + more) is None
    assert [QUOTE] == decoder.decode(known + b" \n")
    assert decoder.decode(known[:-1] + b"]") is None
    assert 2 == decoder.n_shapes


def test_a_shape_leaves_nothing_of_the_frame_before(make_schema):
    decoder = FrameDecoder(make_schema(venue_ms=(".t",), update_id=(".i", ".j")))
    full = b'{"t":5,"i":6,"j":7,%s}' % BARE
    bare = b"{%s}" % BARE
    second = b'{"j":8,%s}' % BARE
    for _ in range(3):
        assert (5_000_000, 6, 0) == decoder.decode(full)[0][5:]
        assert (0, -1, 0) == decoder.decode(bare)[0][5:]
        assert (0, 8, 1) == decoder.decode(second)[0][5:]
    assert 3 == decoder.n_shapes
