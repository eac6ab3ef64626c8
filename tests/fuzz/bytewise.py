"""Mutants made without knowing what the bytes mean: flips, cuts, insertions, splices."""

JSON_SCRAPS = (
    *(bytes([b]) for b in b'"\\{}[]:,.-+eE0123456789 \t\r\n\x00\x1f\x7f\x80\xc3\xff'),
    *b'null true false NaN Infinity -Infinity nul 1e400 1E-7 1e5 -1 -0 00 01 1. .5 0x10'.split(),
    *b'{} [] [[]] "" "a" \\u0041 \\" ": ," "}, ],[ {"a":1} "1.5" 1.5 0 1'.split(),
    *b'18446744073709551616 9223372036854775807 9223372036854775808 9999999999999999999'.split(),
    *b'0.1 1e22 1e-22 1e23'.split(),
    b"1234567890123456789012345678901234567890",
    b"0." + b"3" * 40,
    "币".encode(),
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b" " * 9,
)  # fmt: skip
PROTO_SCRAPS = (
    *(bytes([b]) for b in (0, 1, 2, 5, 7, 8, 0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x30, 0x7F, 0x80, 0xFF)),
    *(b"\xff" * n + b"\x01" for n in range(1, 12)),
    *(b"\x80" * n + b"\x00" for n in range(1, 12)),
    *(bytes([field << 3 | wire]) for field in (1, 3, 6) for wire in range(8)),
    b"\xda\x13\x00",
    b"\xda\x13\x7f",
    b"\xda\x13",
    b"\x0b\x0c",
    b"1.5",
    b"1e5",
    b"",
    "币".encode(),
)


def mutant(rng, frame, other, scraps):
    """Return `frame` after one to three changes; other: a frame to splice with."""
    data = bytearray(frame)
    for _ in range(1 + int(rng.random() ** 2 * 3)):
        if not data:
            break
        CHANGES[int(rng.random() * len(CHANGES))](rng, data, other, scraps)
    return bytes(data)


def _at(rng, data):
    return int(rng.random() * len(data))


def _span(rng, data):
    start = _at(rng, data)
    return start, start + 1 + int(rng.random() ** 3 * 16)


def flip_bit(rng, data, other, scraps):
    data[_at(rng, data)] ^= 1 << int(rng.random() * 8)


def set_byte(rng, data, other, scraps):
    data[_at(rng, data)] = int(rng.random() * 256)


def set_digit(rng, data, other, scraps):
    """Most of what is in a frame is digits: this one lives."""
    at = _at(rng, data)
    for i in range(at, min(at + 12, len(data))):
        if 0x30 <= data[i] <= 0x39:
            data[i] = 0x30 + int(rng.random() * 10)
            return


def cut(rng, data, other, scraps):
    del data[_at(rng, data) :]


def drop(rng, data, other, scraps):
    start, stop = _span(rng, data)
    del data[start:stop]


def insert(rng, data, other, scraps):
    at = _at(rng, data)
    data[at:at] = scraps[int(rng.random() * len(scraps))]


def overwrite(rng, data, other, scraps):
    start, stop = _span(rng, data)
    data[start:stop] = scraps[int(rng.random() * len(scraps))]


def copy(rng, data, other, scraps):
    start, stop = _span(rng, data)
    at = _at(rng, data)
    data[at:at] = data[start:stop]


def splice(rng, data, other, scraps):
    at = _at(rng, data)
    data[at:] = other[at + int(rng.random() * 5) - 2 :] if at > 2 else other


def append(rng, data, other, scraps):
    data += scraps[int(rng.random() * len(scraps))]


CHANGES = (
    flip_bit, set_byte, set_digit, set_digit, set_digit, cut, drop, insert, overwrite, copy,
    splice, append,
)  # fmt: skip
