"""Every network scenario of docs/faults.md has a test that bears its number."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def borne_by(function: ast.FunctionDef) -> set[int]:
    """Return the numbers in a test's name (test_33_34_...) and its docstring (Scenario 33)."""
    prefix = re.match(r"test_((?:\d\d_)+)", function.name)
    named = re.findall(r"\d\d", prefix[1]) if prefix else []
    told = re.findall(r"Scenario (\d\d)\b", ast.get_docstring(function) or "")
    return {int(number) for number in (*named, *told)}


def test_every_scenario_has_a_test() -> None:
    page = (ROOT / "docs/faults.md").read_text("utf-8")
    scenarios = {int(number) for number in re.findall(r"^\| (\d\d) \|", page, re.M)}
    assert scenarios == set(range(30, 48))
    tested: set[int] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                tested |= borne_by(node)
    assert scenarios - tested == set()
