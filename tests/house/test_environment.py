"""One place says which variables are secrets, so few may read the environment."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "spreadscan"
# settings; what a demo's scanner is started with; where the service manager listens
READERS = {"environment.py", "config.py", "app/demo.py", "app/notify.py"}


def reads_environment(path: Path) -> bool:
    text = path.read_text("utf-8")
    names = ("environ", "environb", "getenv", "getenvb")
    return any(name in text for name in names) and any(
        isinstance(node, ast.Attribute) and node.attr in names for node in ast.walk(ast.parse(text))
    )


def test_only_these_read_the_environment():
    readers = {str(path.relative_to(SRC)) for path in SRC.rglob("*.py") if reads_environment(path)}
    assert readers == READERS
