"""From paths to a tree: its shape, what it refuses, and how much the compiled decoder holds."""

import pytest
from spreadcore.errors import CoreError
from spreadcore.wire.decoder import FrameDecoder
from spreadcore.wire.plan import make_plan, parts_of


def test_paths_stand_once_however_often_they_are_used(make_schema):
    schema = make_schema(
        match=[".s=*", "k=1"], symbol=".s", venue_ms=("t", ".t"), update_id=("t",), roots=("data",)
    )
    plan = make_plan(schema)
    assert {".s", "k", ".b.0", ".b.1", ".a.0", ".a.1", "t", ".t"} == set(plan.refs)
    assert plan.used_once == set(plan.refs) - {".s", "t"}


def test_the_last_wanted_level_of_a_side_is_known(make_schema):
    plan = make_plan(make_schema(bid_px=".b.0.0", bid_qty=".b.0.1", ask_px=".a.0", ask_qty=".a.1"))
    (level,) = [node for node in plan.nodes if node.level_n]
    assert (level.key, level.level_n) == ("0", 2)
    assert {"0", "1"} == set(level.children)


def test_relative_paths_have_slots_for_each_root(make_schema):
    plan = make_plan(make_schema(roots=("data", ""), venue_ms=("t",)))
    assert (1 + 2 * 5, 5) == (plan.n_slots, plan.n_relative)
    assert (0, False) == plan.refs["t"]
    assert (1, True) == plan.refs[".s"]
    slots = {}

    def walk(node, path):
        slots[path] = node.slot
        for key, child in node.children.items():
            walk(child, f"{path}.{key}")

    walk(plan.nodes[0], "")
    relative = plan.refs[".a.1"][0]
    assert {"": -1, ".t": 0, ".s": 6, ".data.s": 1, ".data.a.1": relative}.items() <= slots.items()
    assert sorted(range(plan.n_slots)) == sorted(s for s in slots.values() if s >= 0)


def test_children_stand_together(make_schema):
    nodes = make_plan(make_schema(roots=("data.rows.*", "data.row", ""))).nodes
    numbers = {id(node): i for i, node in enumerate(nodes)}
    for node in nodes:
        children = [numbers[id(child)] for child in node.children.values()]
        assert list(range(children[0], children[0] + len(children))) == children if children else 1
    assert len(nodes) == len(numbers)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ab", ([b"ab"], True, True)),
        ("", ([b""], True, True)),
        ("*", ([], False, False)),
        ("**", ([], False, False)),
        ("a*", ([b"a"], True, False)),
        ("*a", ([b"a"], False, True)),
        ("a**b*c", ([b"a", b"b", b"c"], True, True)),
    ],
)
def test_parts_of_a_pattern(pattern, expected):
    assert expected == parts_of(pattern)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roots": ("data.*",), "venue_ms": ("data.t",)}, r"root 'data\.\*'.*a list of its own"),
        ({"roots": ("data", "data.*")}, r"root 'data\.\*'"),
        ({"roots": ("data", "data")}, r"path '\.s'.*same place"),
        ({"roots": ("",), "venue_ms": ("s",)}, r"path '\.s'.*same place"),
        ({"roots": ("data",), "venue_ms": ("data.s",)}, r"path '\.s'.*same place"),
        ({"symbol": ""}, "path ''.*same place"),
        ({"venue_ms": (".b.x",)}, "below 'b': keys and indexes"),
        ({"wire": "protobuf", "venue_ms": ("6.x",)}, "below '6': not all are field numbers"),
        ({"wire": "protobuf", "venue_ms": ("x",)}, "below '': not all are field numbers"),
        ({"wire": "protobuf", "venue_ms": ("6", "6.1")}, "field '6': wanted whole and in part"),
        ({"wire": "protobuf", "roots": ("315",), "symbol": "315"}, "field '315': wanted whole"),
        ({"wire": "protobuf", "roots": ("315.*",)}, r"root '315\.\*'"),
    ],
)
def test_refused(make_schema, changes, words):
    with pytest.raises(CoreError, match=words):
        FrameDecoder(make_schema(**changes))


def paths(n):
    return tuple(f".p{i}" for i in range(n))


@pytest.mark.parametrize(
    ("fits", "too_many", "words"),
    [
        ({"venue_ms": paths(4)}, {"venue_ms": paths(5)}, "5 fall-backs of venue_ms.* most 4"),
        ({"update_id": paths(4)}, {"update_id": paths(5)}, "5 fall-backs of update_id.* most 4"),
        ({"match": ["k=1"] * 12}, {"match": ["k=1"] * 13}, "13 conditions.* most 12"),
        ({"match": ["k=a*b*c*d"]}, {"match": ["k=a*b*c*d*e"]}, "5 parts .*'a.b.c.d.e'.* most 4"),
        ({"delta": "k=a*b*c*d"}, {"delta": "k=*a*b*c*d*e"}, "5 parts of the pattern.* most 4"),
        ({"roots": ("a1", "a2", "a3", "a4")}, {"roots": ("a1", "a2", "a3", "a4", "a5")}, "roots"),
        # eight paths below a root, and the nodes b and a
        (
            {"roots": ("r.s.t.u.v", "r.s.t.u.w", "x", ""), "venue_ms": paths(4)},
            {"roots": ("r.s.t.u.v", "r.s.t.u.w", "x", ""), "venue_ms": paths(4),
             "update_id": (".q.q.q.q.q",)},
            "paths, expected at most 64",
        ),
        (
            {"roots": ("x", "y", "z", ""), "venue_ms": paths(4), "update_id": (".i", ".j", ".k")},
            {"roots": ("x", "y", "z", ""), "venue_ms": paths(4), "update_id": (".i", ".j", ".k"),
             "match": [".m=1"]},
            "values, expected at most 48|paths, expected at most 64",
        ),
    ],
)  # fmt: skip
def test_how_much_a_schema_may_say(make_schema, fits, too_many, words):
    FrameDecoder(make_schema(**fits))
    with pytest.raises(CoreError, match=words):
        FrameDecoder(make_schema(**too_many))


def test_a_schema_that_fills_every_slot_reads(make_schema):
    """48 values: 4 roots of 12 relative paths each."""
    changes = {
        "roots": ("w", "x", "y", ""),
        "bid_px": ".bp", "bid_qty": ".bq", "ask_px": ".ap", "ask_qty": ".aq",
        "venue_ms": paths(4), "update_id": (".i0", ".i1", ".i2"),
    }  # fmt: skip
    plan = make_plan(make_schema(**changes))
    assert (48, 52) == (plan.n_slots, len(plan.nodes))
    frame = b'{"bp":1,"bq":2,"ap":3,"aq":4,"s":"X","p3":5,"i2":6,"y":%s}'
    inner = b'{"s":"Y","bp":5,"bq":6,"ap":7,"aq":8,"p0":9,"i0":10}'
    for shapes in (False, True):
        decoder = FrameDecoder(make_schema(**changes), shapes=shapes)
        for _ in range(2):
            assert [("X", 1, 2, 3, 4, 5_000_000, 6, 2)] == decoder.decode(frame % b"7")
            assert [("Y", 5, 6, 7, 8, 9_000_000, 10, 0)] == decoder.decode(frame % inner)
