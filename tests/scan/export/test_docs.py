"""docs/data-files.md says what is exported; these rows of it come from the code."""

from pathlib import Path

from spreadscan.export.schema import arrow_type
from spreadscan.export.tracks import COLUMNS

PAGE = Path(__file__).parents[3] / "docs" / "data-files.md"


def table():
    rows = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for c in COLUMNS:
        kind = "dictionary" if c.unit == "text" else arrow_type(c)
        unit = "" if c.unit in ("text", "integer") else c.unit
        rows.append(f"| `{c.name}` | {kind} | {unit} | {c.meaning} |")
    return "\n".join(rows)


def test_the_page_shows_the_columns_of_the_tracks():
    assert table() in PAGE.read_text("utf-8"), f"expected in {PAGE}:\n{table()}"
