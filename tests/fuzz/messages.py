"""Mutants of protobuf frames: fields in another order, twice, of other wire types and lengths."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
INTS = (0, 1, 5, 127, 128, 1 << 31, 1 << 32, 9_223_372_036_854, 9_223_372_036_855, (1 << 63) - 1,
        1 << 63, (1 << 64) - 1, 1 << 64, 1 << 69)  # fmt: skip
TEXTS = (b"", b"0", b"1.5", b"1e5", b"-1", b"nan", b"1" * 19, b"9" * 19, b"9223372036854775808",
         b"1" * 40, b"x", b"1.", "币".encode(), b"\xff", b"\x00", b"\x08\x01", b"0.00000001",
         b"spot@public.aggre.bookTicker.v3.api.pb@", b"1" * 130, b"9" * 20)  # fmt: skip


def varint(value, padding=0):
    """Return a varint, with `padding` bytes more than it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    for _ in range(padding):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def fields_of(frame, nested):
    """Return [number, wire type, value] of a message; a nested body is a list.

    nested: numbers of the fields whose body is a message. IndexError, ValueError where it is none.
    """
    fields, at = [], 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = frame[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(frame):
        key = read()
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value = read()
        elif wire in (BYTES, FIXED64, FIXED32):
            n = read() if wire == BYTES else 8 if wire == FIXED64 else 4
            value = frame[at : at + n]
            at += n
            if wire == BYTES and number in nested:
                value = fields_of(value, nested)
        else:
            raise ValueError(f"wire type {wire}")
        fields.append([number, wire, value])
    return fields


def write(rng, fields, crooked=False):
    """Return the message; crooked: some varints are longer than need be, some lengths wrong."""
    out = bytearray()

    def put(value):
        out.extend(varint(value, int(rng.random() * 10) if crooked and rng.random() < 0.02 else 0))

    for number, wire, value in fields:
        put(number << 3 | wire)
        if type(value) is int:
            put(value)
        elif wire == BYTES:
            body = write(rng, value, crooked) if type(value) is list else value
            wrong = crooked and body[2:] and rng.random() < 0.01
            put(len(body) + (int(rng.random() * 5) - 2 if wrong else 0))
            out += body
        else:
            out += value
    return bytes(out)


def _lists(fields):
    below = [_lists(f[2]) for f in fields if type(f[2]) is list]
    return [fields] + [x for found in below for x in found]


def _some(rng, fields):
    return rng.choice(rng.choice([x for x in _lists(fields) if x] or [[[1, VARINT, 0]]]))


def set_value(rng, fields):
    field = _some(rng, fields)
    if type(field[2]) is int:
        field[2] = rng.choice(INTS)
    elif field[1] == BYTES:
        field[2] = rng.choice(TEXTS)


def respell(rng, fields):
    """Put other numbers into the same fields: most of these are quotes."""
    for field in _lists(fields)[-1]:
        if field[1] == BYTES and type(field[2]) is bytes and rng.random() < 0.7:
            whole = str(int(rng.random() * 10 ** int(1 + rng.random() * 12)))
            part = str(int(rng.random() * 10**8)).rjust(int(rng.random() * 9), "0")
            field[2] = (whole if rng.random() < 0.3 else f"{whole}.{part}").encode()


def set_wire(rng, fields):
    field = _some(rng, fields)
    wire = int(rng.random() * 8)
    field[1:] = (
        wire,
        {VARINT: rng.choice(INTS), FIXED64: bytes(8), FIXED32: bytes(4)}.get(
            wire, rng.choice(TEXTS)
        ),
    )


def set_number(rng, fields):
    _some(rng, fields)[0] = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 100, 315, (1 << 29) - 1, 1 << 29))


def drop(rng, fields):
    holder = rng.choice(_lists(fields))
    if holder:
        del holder[int(rng.random() * len(holder))]


def repeat(rng, fields):
    holder = rng.choice(_lists(fields))
    if holder:
        field = list(rng.choice(holder))
        if type(field[2]) is bytes and rng.random() < 0.5:
            field[2] = rng.choice(TEXTS)
        holder.insert(int(rng.random() * (len(holder) + 1)), field)


def reorder(rng, fields):
    rng.shuffle(rng.choice(_lists(fields)))


def add(rng, fields):
    """Add a field that nobody wants."""
    wire = rng.choice((VARINT, VARINT, FIXED64, BYTES, BYTES, FIXED32, 3, 4))
    value = {VARINT: rng.choice(INTS), FIXED64: bytes(8), BYTES: rng.choice(TEXTS)}
    holder = rng.choice(_lists(fields))
    number = rng.choice((7, 8, 16, 100, 314, 316, (1 << 29) - 1))
    holder.insert(int(rng.random() * (len(holder) + 1)), [number, wire, value.get(wire, bytes(4))])


CHANGES = (
    respell, respell, respell, set_value, set_value, set_wire, set_number, drop, repeat, reorder,
    reorder, add, add,
)  # fmt: skip


def mutant(rng, frame, nested=(315,)):
    """Return a mutant of a frame that is a message."""
    fields = fields_of(frame, nested)
    for _ in range(1 + int(rng.random() * 2.2)):
        CHANGES[int(rng.random() * len(CHANGES))](rng, fields)
    return write(rng, fields, crooked=True)
