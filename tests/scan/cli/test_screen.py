"""Words of others on the terminal: shown for what they are, whatever draws them."""

import ast
from pathlib import Path
from typing import Any

import pytest
from rich.console import Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

import spreadscan
from spreadscan.cli.discover import echo_result
from spreadscan.cli.screen import new_console, say, text_column
from spreadscan.discovery.report import Result, SourceResult

HOSTILE = ["[/nope]-USDT", "[b]X[/b]-USDT", "[link=http://x]Y-USDT", ":bomb:-USDT", "[red]-USDT"]
MOVING = "\x1b[2J\x1b]8;;http://x\x07A\r\u202eB\x9b1mC"
CLI = Path(spreadscan.__file__).parent / "cli"


def table(*names: str) -> Table:
    found = Table(title=names[0])
    found.add_column(names[0])
    for name in names:
        found.add_row(name)
        found.add_row(Text(name))
    return found


@pytest.mark.parametrize("name", [*HOSTILE, MOVING])
def test_a_name_is_drawn_as_it_is(name: str, capsys: Any) -> None:
    console = new_console()
    console.width = 200
    console.print(name)
    console.print(table(name))
    console.print(Group(Text(name), name), Text(name, style="bold"))
    say(name)
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out), out
    if name in HOSTILE:
        assert 1 + 4 + 3 + 1 == out.count(name), out


def test_a_bar_draws_it_as_it_is(capsys: Any) -> None:
    console = new_console(stderr=True)
    console.width = 200
    with Progress(text_column(), console=console) as bar:
        bar.add_task(HOSTILE[0])
        bar.add_task(f"{HOSTILE[1]} {HOSTILE[3]}")
    told = capsys.readouterr().err
    assert HOSTILE[0] in told
    assert f"{HOSTILE[1]} {HOSTILE[3]}" in told


def test_what_discovery_says_of_such_pairs(capsys: Any) -> None:
    source = SourceResult(quarantined_pairs={name: f"not {name}" for name in HOSTILE})
    directions = {"okx->mexc": 1}
    echo_result(
        Result(generation=1, symbols=5, directions=directions, sources={"okx-spot": source},
               took_s=1.0, folder="generated/[/x]")
    )  # fmt: skip
    out = capsys.readouterr().out
    for name in HOSTILE:
        assert f"quarantined: okx-spot {name}: not {name}" in out
    assert "written to generated/[/x]/" in out


def test_every_command_draws_and_speaks_by_these() -> None:
    """A console, a bar's column or an echo of its own would show markup, or let a cursor move."""
    found = []
    for path in sorted(CLI.glob("*.py")):
        if path.name == "screen.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name.split(".")[-1] in ("Console", "TextColumn", "secho") or (
                    name == "click.echo" and "orjson.dumps" not in ast.unparse(node)
                ):
                    found.append(f"{path.name}:{node.lineno} {name}")
    assert [] == found
