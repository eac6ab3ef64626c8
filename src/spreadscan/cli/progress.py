"""A bar for work that takes a while: on a terminal only, and only where it is worth one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

_LONG_BYTES = 256 * 1024  # a bar for less is gone before it is seen


@contextmanager
def bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Give what to call with (bytes done, bytes in all); it draws on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None, visible=False)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=total > _LONG_BYTES)

        yield report
