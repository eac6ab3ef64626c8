"""Sources and directions are data of the catalogue: nobody else names them."""

import ast
import re
from pathlib import Path

import pytest
from spreadcore.layout import LIMITS, section_bytes

import spreadscan
from spreadscan.catalogue import built_in

SRC = Path(spreadscan.__file__).parent
# a venue says what its own file is about, and the simulated market is made of these eight
OWN = ("catalogue.py", "venues/", "sim/")
# whoever has settings goes by config.catalogue; these read files of anybody's, or make the settings
ASK = (
    "catalogue.py", "config.py", "lists.py", "inuse.py", "discovery/write.py", "venues/__init__.py",
    "recordings/", "replay/", "report/", "sim/", "cli/",
)  # fmt: skip
NAMES = {*built_in().source, *built_in().direction}
GLOBAL = re.compile(r"\b[A-Z_]*(SOURCES|SOURCE_BY_NAME|DIRECTIONS|EXCHANGES)\b")


def modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def where(path: Path) -> str:
    return str(path.relative_to(SRC))


@pytest.mark.parametrize("path", modules(), ids=where)
def test_nobody_else_names_a_source_or_a_direction(path: Path) -> None:
    if where(path).startswith(OWN):
        return
    tree = ast.parse(path.read_text())
    named = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in NAMES
    ]
    tables = [
        (node.lineno, node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and GLOBAL.fullmatch(node.id)
    ]
    assert not named + tables


@pytest.mark.parametrize("path", modules(), ids=where)
def test_who_has_settings_goes_by_their_catalogue(path: Path) -> None:
    if not where(path).startswith(ASK):
        assert "built_in" not in path.read_text()


def test_every_two_sources_have_one_direction_whose_number_needs_no_register() -> None:
    catalogue = built_in()
    every = list(catalogue.direction_at.values())
    assert {(b, s) for b in catalogue.sources for s in catalogue.sources if b != s} == {
        (d.buy, d.sell) for d in every
    }
    assert len(every) == len(catalogue.direction_at) == len(catalogue.direction)
    assert list(range(20)) == [d.id for d in every if d.built_in]
    others = {d.id: (d.buy.id, d.sell.id) for d in every if not d.built_in}
    assert {n: divmod(n - 4096, 64) for n in others} == others
    assert LIMITS["n_sources"] == 64
    # a pause word for each: layout.pxd, N_CLASSES
    assert section_bytes("pauses", 64, 1, 1, 1) == 64 + 8 * (64 + 2 * 4096 + 1)
    assert 0b1010101010 == catalogue.perpetuals
