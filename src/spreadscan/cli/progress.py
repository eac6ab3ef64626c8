"""A bar for work that takes a while: on a terminal only, and only where it is worth one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

from spreadscan.cli.screen import new_console, text_column

_LONG_BYTES = 256 * 1024  # a bar for less is gone before it is seen


class Report(Protocol):
    """What to call with bytes done, bytes in all, and what else there is to say."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


@contextmanager
def bar(doing: str, *, long: bool = False) -> Iterator[Report]:
    """Give what to call as work goes on; it draws on stderr. long: worth a bar at any size."""
    console = new_console(stderr=True)
    columns = (
        text_column(doing), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        text_column("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None, visible=False, note="")

        def report(done: int, total: int, note: str = "") -> None:
            visible = long or total > _LONG_BYTES
            progress.update(task, completed=done, total=total, visible=visible, note=note)

        yield report
