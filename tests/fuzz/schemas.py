"""Schemas that no venue has, and frames for them."""

import json

from fuzz import messages, trees
from spreadscan.venues.base import BookSchema, Match

# keys that share their first eight bytes or are cut from each other
KEYS = ("a", "b", "c", "px", "data", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghj", "x" * 20)
ROOTS = (("",), ("",), ("data",), ("data", ""), ("data.*",), ("rows.*", "row", ""), ("r.s", "r.t"),
         ("r", "s", "data.*"), ("list.0",), ("list.1", "list.0"), ("", "data"),
         ("data.*",), ("rows.*",))  # fmt: skip
PATTERNS = ("*", "ticker", "ticker*", "*ticker", "a*b", "*a*", "a*b*c", "*a*b", "a*b*", "**", "1",
            "1*", "*0", "", "aa*aa")  # fmt: skip
PREFIXES = ("", "", "", "book.", "t")
ROOT_FIELDS = (("",), ("315",), ("315", "16"), ("16", ""), ("315.17",))
NESTED = (16, 17, 315)
LEAVES = (1, 2, 3, 4, 5, 6, 7, 15, 100, (1 << 29) - 1)


def random_schema(rng, binary=False):
    """Return a schema; some are such that the compiled decoder refuses them."""

    def path():
        if binary:
            return rng.choice(("", ".")) + str(rng.choice(LEAVES))
        steps = [rng.choice(KEYS)]
        while rng.random() < 0.35:
            steps.append(rng.choice(KEYS) if rng.random() < 0.6 else str(rng.randrange(3)))
        return rng.choice(("", ".")) + ".".join(steps)

    def match():
        return Match(path(), rng.choice(PATTERNS), rng.random() < 0.6)

    return BookSchema(
        wire="protobuf" if binary else "json",
        match=tuple(match() for _ in range(rng.randrange(4))),
        roots=rng.choice(ROOT_FIELDS if binary else ROOTS),
        symbol=path(),
        symbol_prefix=rng.choice(PREFIXES),
        bid_px=path(),
        bid_qty=path(),
        ask_px=path(),
        ask_qty=path(),
        qty_text=rng.random() < 0.15,
        delta=match() if rng.random() < 0.15 else None,
        bids=path(),
        asks=path(),
        venue_ms=tuple(path() for _ in range(rng.randrange(4))),
        update_id=tuple(path() for _ in range(rng.randrange(4))),
    )


def _wanted(rng, schema):
    """Yield (path, value) that make a quote; values of later paths may undo earlier ones."""
    text = schema.wire == "protobuf" or rng.random() < 0.5
    for name in ("bid_px", "bid_qty", "ask_px", "ask_qty"):
        number = rng.choice((rng.randrange(10**6) / 100, rng.randrange(1000)))
        yield getattr(schema, name), str(number) if text else number
    for number in schema.venue_ms + schema.update_id:
        if rng.random() < 0.7:
            n = rng.randrange(10 ** rng.randrange(1, 14))
            yield number, n if rng.random() < 0.5 else str(n)
    for m in (*schema.match, *filter(None, [schema.delta])):
        if m.required or rng.random() < 0.5:
            word = "".join(rng.choice(("", "a", "b", "1", "0", "ab", "x")) for _ in "..")
            value = m.pattern.replace("*", word)
            whole = value.isdigit() and value == str(int(value)) and rng.random() < 0.5
            yield m.path, int(value) if whole else value
    if not any(m.path == schema.symbol for m in schema.match):
        yield schema.symbol, schema.symbol_prefix + rng.choice("ABC")


def random_frame(rng, schema):
    """Return a frame that is nearly always a quote of the schema, before any mutation."""
    if schema.wire == "protobuf":
        return _message(rng, schema)
    tree = {}
    root = rng.choice(schema.roots)
    for element in range(rng.choice((1, 1, 1, 2, 3, 9)) if root.endswith(".*") else 1):
        start = [s for s in root.removesuffix(".*").split(".") if s]
        start += [str(element)] if root.endswith(".*") else []
        for path, value in _wanted(rng, schema):
            steps = [s for s in path.split(".") if s]
            _put(tree, start + steps if path.startswith(".") else steps, value)
    return json.dumps(tree, separators=(",", ":")).encode()


def _put(node, steps, value):
    """Make way and put a value; where something else is in the way, it stays."""
    for i, step in enumerate(steps):
        below = {} if i + 1 < len(steps) and not steps[i + 1].isdigit() else []
        below = value if i + 1 == len(steps) else below
        if isinstance(node, dict):
            node = node.setdefault(step, below)
        elif isinstance(node, list) and step.isdigit():
            while len(node) <= int(step):
                node.append(below if len(node) == int(step) else None)
            node = node[int(step)]
        else:
            return


def _message(rng, schema):
    fields = []
    root = rng.choice(schema.roots)
    for path, value in _wanted(rng, schema):
        holder = fields
        for step in root.split(".") if root and path.startswith(".") else ():
            found = [f for f in holder if f[0] == int(step)]
            if not found:
                holder.append([int(step), messages.BYTES, []])
                found = holder[-1:]
            holder = found[0][2]
        number = int(path.removeprefix("."))
        if not any(f[0] == number for f in holder):
            kind = messages.VARINT if type(value) is int else messages.BYTES
            holder.append([number, kind, value if type(value) is int else value.encode()])
    return messages.write(rng, fields)


def mutate(rng, schema, frame):
    """Return a mutant of a frame that random_frame made."""
    if schema.wire == "protobuf":
        return messages.mutant(rng, frame, NESTED)
    return trees.mutant(rng, frame)
