"""docs/operations.md knows every log line that asks for a human: those of level ERROR."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "spreadscan"
ASKING = ("error", "exception", "critical")


def asking_lines() -> dict[str, str]:
    """Every message of a log call of that level, with the module it stands in."""
    found = {}
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            by = ast.unparse(node.func.value)
            if node.func.attr in ASKING and (by == "log" or by.startswith("logging.getLogger")):
                where = f"{path.relative_to(SRC)}:{node.lineno}"
                message = node.args[0]
                assert isinstance(message, ast.Constant), f"{where}: expected a fixed phrase"
                found[message.value] = where
    return found


def told_lines() -> set[str]:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    part = page.partition("## Log lines that ask for a human")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(.+?)` \|", part, re.M))


def test_each_line_that_asks_for_a_human_says_what_to_do() -> None:
    asking = asking_lines()
    assert {"worker given up", "data not written"} <= set(asking)
    assert {} == {text: at for text, at in asking.items() if text not in told_lines()}
    assert set() == told_lines() - set(asking)
