"""From the paths of a BookSchema to the tree that the scanners walk, as plain Python data.

The compiled decoder copies a Plan into C once. No frame is read here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spreadcore.errors import CoreError

Ref = tuple[int, bool]  # (slot, whether it moves with the root)


@dataclass
class PlanNode:
    """A key, an index or a field number on the way to a wanted value.

    level_n: of the last wanted level of a side, its values up to the last one wanted; else 0.
    """

    key: str = ""
    slot: int = -1
    root: int = -1
    each: bool = False
    level_n: int = 0
    children: dict[str, "PlanNode"] = field(default_factory=dict)

    def below(self) -> "list[PlanNode]":
        """Return every node of the subtree but this one."""
        return [n for child in self.children.values() for n in (child, *child.below())]


@dataclass
class Plan:
    """nodes: breadth first, so that children stand together. Refs are by name or path.

    used_once: paths that stand once in the schema.
    """

    nodes: list[PlanNode]
    refs: dict[str, Ref]
    n_slots: int
    n_relative: int
    root_is_frame: list[bool]
    used_once: set[str]


def _paths_of(schema: Any) -> list[str]:
    """Return the paths that a decoder of top-of-book quotes wants, one per use."""
    conditions = [m.path for m in schema.match] + ([schema.delta.path] if schema.delta else [])
    sides = [schema.bid_px, schema.bid_qty, schema.ask_px, schema.ask_qty]
    return [*conditions, schema.symbol, *sides, *schema.venue_ms, *schema.update_id]


def make_plan(schema: Any) -> Plan:
    """Return the tree of a schema. CoreError where the compiled scanners could not walk it."""
    uses = Counter(_paths_of(schema))
    paths = list(uses)
    own = [p for p in paths if not p.startswith(".")]
    relative = [p for p in paths if p.startswith(".")]
    refs: dict[str, Ref] = {p: (i, False) for i, p in enumerate(own)}
    refs |= {p: (len(own) + i, True) for i, p in enumerate(relative)}
    frame = PlanNode()
    for path in own:
        _place(frame, path, refs[path][0])
    root_is_frame = [path == "" for path in schema.roots]
    for number, path in enumerate(schema.roots):
        root = _walk(frame, path.removesuffix(".*"))
        if path:
            root.root, root.each = number, path.endswith(".*")
        if root.each and (root.children or schema.wire == "protobuf"):
            raise CoreError(f"root {path!r}: other paths lead into it, expected a list of its own")
        for relative_path in relative:
            slot = refs[relative_path][0] + number * len(relative)
            _place(root, relative_path, slot)
    nodes = _breadth_first(frame)
    for node in nodes:
        _check(node, schema.wire)
        if schema.wire == "json":
            _mark_level(node)
    n_slots = len(own) + len(relative) * len(schema.roots)
    used_once = {path for path, n in uses.items() if n == 1}
    return Plan(nodes, refs, n_slots, len(relative), root_is_frame, used_once)


def parts_of(pattern: str) -> tuple[list[bytes], bool, bool]:
    """Return (texts between the stars, whether the first begins it, whether the last ends it)."""
    if "*" not in pattern:
        return [pattern.encode()], True, True
    parts = [p.encode() for p in pattern.split("*") if p]
    return parts, not pattern.startswith("*"), not pattern.endswith("*")


def _steps(path: str) -> Sequence[str]:
    return [p for p in path.split(".") if p]


def _walk(node: PlanNode, path: str) -> PlanNode:
    for key in _steps(path):
        node = node.children.setdefault(key, PlanNode(key))
    return node


def _place(start: PlanNode, path: str, slot: int) -> None:
    node = _walk(start, path)
    if node.slot >= 0 or node is start:
        raise CoreError(f"path {path!r}: another one leads to the same place, expected its own")
    node.slot = slot


def _breadth_first(frame: PlanNode) -> list[PlanNode]:
    nodes = [frame]
    for node in nodes:  # grows meanwhile
        nodes.extend(node.children.values())
    return nodes


def _mark_level(side: PlanNode) -> None:
    """Note how much of the last wanted level of a side is wanted: what follows may be run over."""
    indexes = [int(key) for key in side.children if key.isdigit()]
    level = side.children[str(max(indexes))] if indexes else None
    if level and level.children and all(key.isdigit() for key in level.children):
        level.level_n = max(map(int, level.children)) + 1


def _check(node: PlanNode, wire: str) -> None:
    indexes = [key for key in node.children if key.isdigit()]
    if wire == "protobuf":
        if len(indexes) != len(node.children):
            raise CoreError(f"paths below {node.key!r}: not all are field numbers")
        if node.slot >= 0 and (node.children or node.root >= 0):
            raise CoreError(f"field {node.key!r}: wanted whole and in part, expected one of them")
    elif indexes and len(indexes) != len(node.children):
        raise CoreError(f"paths below {node.key!r}: keys and indexes, expected one kind")
