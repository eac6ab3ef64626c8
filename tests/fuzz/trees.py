"""Mutants of JSON frames that nearly all stay JSON: the tree is changed and written anew.

Keys in another order, twice, missing, renamed; values of other types and other spellings; lists
that grow and shrink. Blanks and escapes are drawn when the tree is written.
"""

import json


class Object(list):
    """Pairs [key, value]: a key may stand twice."""


class Number(str):
    """A number as it is spelled."""


def tree_of(frame):
    """Return the tree of a frame that is JSON."""
    return json.loads(
        frame,
        object_pairs_hook=_object,
        parse_int=Number,
        parse_float=Number,
        parse_constant=Number,
    )


def _object(pairs):
    return Object([key, value] for key, value in pairs)


def digits(rng, most=22):
    n = 1 + int(rng.random() ** 2 * most)
    return str(int(rng.random() * 10**n))


def spelling(rng):
    """Return a decimal number: mostly plain, sometimes with an exponent or oddly long."""
    pick = rng.random()
    text = digits(rng, 40 if pick < 0.03 else 12)
    if rng.random() < 0.7:
        text += "." + str(int(rng.random() * 10**8)).rjust(int(rng.random() * 9), "0")
    if rng.random() < 0.1:
        text += rng.choice("eE") + rng.choice(("", "+", "-")) + digits(rng, 3)
    return ("-" if pick > 0.97 else "") + text


ODD = ("", "x", "0", "1e5", "1.", ".5", "nan", "Infinity", "01", "1_0", " 1", "1 ", "币", "a\"b",
       "a\\b", "\x00", "\x7f", "9223372036854775807", "9223372036854775808", "9999999999999999999",
       "18446744073709551615", "18446744073709551616", "1", "bookTicker", "delta", "0" * 30,
       "9223372036854", "9223372036855", "0.0", "5e-1", "1e400", "1e-400", "orderbook.1.",
       "9007199254740993", "9007199254740993.0", "0." + "0" * 25 + "1")  # fmt: skip


def value(rng, depth=0):
    """Return any value."""
    pick = int(rng.random() * (9 if depth < 3 else 6))
    if pick < 2:
        return spelling(rng)
    if pick < 4:
        return Number(spelling(rng))
    if pick == 4:
        return ODD[int(rng.random() * len(ODD))]
    if pick == 5:
        return (None, True, False, Number("0"), Number("1"), Number("1E400"))[int(rng.random() * 6)]
    n = int(rng.random() * 3)
    if pick == 6:
        return Object([rng.choice("absuTeE"), value(rng, depth + 1)] for _ in range(n))
    return [value(rng, depth + 1) for _ in range(n)]


def _places(node, found):
    """Note every value of a tree as (what holds it, its index)."""
    if type(node) is Object:
        for pair in node:
            found.append((pair, 1))
            if isinstance(pair[1], list):
                _places(pair[1], found)
    else:
        for i, element in enumerate(node):
            found.append((node, i))
            if isinstance(element, list):
                _places(element, found)
    return found


def _containers(tree):
    return [tree] + [h[i] for h, i in _places(tree, []) if isinstance(h[i], list)]


def respell(rng, tree):
    """Put another number where a scalar stands, as text or not, as it was."""
    places = [(h, i) for h, i in _places(tree, []) if isinstance(h[i], str)]
    for holder, i in places:
        if rng.random() < 0.5 and holder[i][:1].isdigit():
            kind = type(holder[i])
            whole = "." not in holder[i] and rng.random() < 0.8
            holder[i] = kind(digits(rng) if whole else spelling(rng))


def replace(rng, tree):
    holder, i = rng.choice(_places(tree, []) or [([None], 0)])
    holder[i] = value(rng)


def retype(rng, tree):
    """Write a number as text or text as a number."""
    holder, i = rng.choice(_places(tree, []) or [([None], 0)])
    if type(holder[i]) is Number:
        holder[i] = str(holder[i])
    elif isinstance(holder[i], str) and holder[i][:1].isdigit():
        holder[i] = Number(holder[i])


def wrap(rng, tree):
    holder, i = rng.choice(_places(tree, []) or [([None], 0)])
    holder[i] = [holder[i]] if rng.random() < 0.5 else Object([["data", holder[i]]])


def swap(rng, tree):
    (a, i), (b, j) = rng.choices(_places(tree, []) or [([None], 0)], k=2)
    if not (isinstance(a[i], list) or isinstance(b[j], list)):  # a tree must stay one
        a[i], b[j] = b[j], a[i]


def reorder(rng, tree):
    rng.shuffle(rng.choice([c for c in _containers(tree) if type(c) is Object]))


def drop(rng, tree):
    holder = rng.choice(_containers(tree))
    if holder:
        del holder[int(rng.random() * len(holder))]


def empty(rng, tree):
    rng.choice(_containers(tree))[:] = []


def repeat(rng, tree):
    """Let an element stand again, a key with its value or with another."""
    holder = rng.choice(_containers(tree))
    if not holder:
        return
    element = holder[int(rng.random() * len(holder))]
    copies = 1 if rng.random() < 0.8 else 9
    if type(holder) is Object:
        element = [element[0], element[1] if rng.random() < 0.5 else value(rng)]
    for _ in range(copies):
        holder.insert(int(rng.random() * (len(holder) + 1)), _copy(element))


def _copy(node):
    return type(node)(_copy(n) for n in node) if isinstance(node, list) else node


def add(rng, tree):
    """Add what nobody wants, or what is wanted elsewhere."""
    holder = rng.choice(_containers(tree))
    at = int(rng.random() * (len(holder) + 1))
    if type(holder) is Object:
        holder.insert(at, [rng.choice(KEYS), value(rng)])
    else:
        holder.insert(at, value(rng))


def rename(rng, tree):
    objects = [c for c in _containers(tree) if type(c) is Object and c]
    if objects:
        rng.choice(rng.choice(objects))[0] = rng.choice(KEYS)


KEYS = ("a", "b", "A", "B", "s", "u", "e", "E", "T", "st", "ts", "cts", "data", "stream", "topic",
        "type", "x", "", "bids", "asks", "arg", "symbol", "version", "seqId", "channel", "instId",
        "b ", "币", "datadata", "channel1", "channel\x00", "streams", "0", "k\"")  # fmt: skip
CHANGES = (
    respell, respell, respell, respell, replace, replace, retype, wrap, swap, reorder, reorder,
    drop, empty, repeat, repeat, add, add, rename,
)  # fmt: skip


def mutant(rng, frame):
    """Return a mutant of a frame that is JSON."""
    tree = tree_of(frame)
    if type(tree) is not Object:
        tree = Object([["data", tree]])
    for _ in range(1 + int(rng.random() * 2.2)):
        CHANGES[int(rng.random() * len(CHANGES))](rng, tree)
    return write(rng, tree)


def write(rng, tree):
    """Return the frame of a tree; blanks everywhere in one of eight, odd spellings in a few."""
    blank = _blanks(rng) if rng.random() < 0.12 else str
    parts = []
    _write(tree, parts.append, blank, rng.random() < 0.04)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _blanks(rng):
    return lambda: rng.choice(("", "", " ", "\n", "\t \r\n", " " * 9))


def _write(node, put, blank, escaped):
    put(blank())
    if type(node) is Number:
        put(node)
    elif type(node) is str:
        put(_text(node, escaped))
    elif isinstance(node, list):
        put("{" if type(node) is Object else "[")
        comma = ""
        for element in node:
            put(comma)
            if type(node) is Object:
                put(blank())
                put(_text(element[0], escaped))
                put(blank() + ":")
                element = element[1]
            _write(element, put, blank, escaped)
            comma = ","
        put("}" if type(node) is Object else "]")
    else:
        put({None: "null", True: "true", False: "false"}[node])
    put(blank())


def _text(text, escaped):
    if escaped and text:
        return f'"\\u{ord(text[0]):04x}' + json.dumps(text[1:], ensure_ascii=False)[1:]
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text}"' if plain else json.dumps(text, ensure_ascii=False)
