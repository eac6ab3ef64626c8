"""docs/layout.md is what the compiled layout says today."""

import importlib.util
from pathlib import Path

import pytest
from spreadcore import layout

DOCS = Path(__file__).parents[2] / "docs"
IN_SLOTS = (
    "Quote",
    "Funding",
    "Verdict",
    "Told",
    "OpenTrack",
    "MarkBody",
)  # listed by their offset in the slot around them


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_layout", DOCS / "make_layout.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(maker):
    assert maker.page() == (DOCS / "layout.md").read_text(), "run `make docs`"


def test_every_field_is_declared_with_a_type(maker):
    declared = maker.declarations()
    for struct, name, _, size in layout.FIELDS:
        kind, _ = declared[struct][name]
        assert {"double": 8, "uint64": 8, "int64": 8, "uint32": 4, "uint16": 2, "uint8": 1}.get(
            kind, size
        ) == size, f"{struct}.{name}"


def test_every_declared_field_is_in_the_page(maker):
    """A field that layout.pyx forgets to list would not be part of the layout hash."""
    listed = {(struct, name) for struct, name, _, _ in layout.FIELDS}
    for struct, fields in maker.declarations().items():
        for name, (kind, _) in fields.items():
            if not name.startswith("_") and struct not in (*IN_SLOTS, "Histogram", "AuditFigures"):
                assert (struct, name) in listed or kind in IN_SLOTS, f"{struct}.{name}"
