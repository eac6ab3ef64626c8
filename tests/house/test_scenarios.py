"""Every scenario of docs/faults.md and docs/operations.md has a test that bears its number."""

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


def numbers_of(page: str) -> set[int]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    return {int(number) for number in re.findall(r"^\| (\d\d) \|", text, re.MULTILINE)}


def test_every_scenario_has_a_test() -> None:
    network, machine = numbers_of("faults.md"), numbers_of("operations.md")
    assert network == {*range(30, 48)}
    assert machine == {*range(1, 30), *range(48, 53)}
    tested: set[int] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                tested |= borne_by(node)
    assert set() == (network | machine) - tested
