"""The terminal: what others have named or written is shown as it is, and does nothing to it.

Names of pairs, answers of venues, files: no markup, no pictures for words between colons, no
sequence that moves a cursor. Every command draws by new_console() and speaks by say(), which leaves
out the credentials of addresses; whoever draws an address masks it.
"""

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import click

from spreadscan.credentials import masked
from spreadscan.errors import printable

if TYPE_CHECKING:  # some commands live for weeks and draw nothing
    from rich.console import Console
    from rich.progress import TextColumn


def new_console(*, stderr: bool = False) -> "Console":
    """Return what draws tables, bars and lines on stdout or stderr."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """Draws no text that does more than stand there, whatever it is part of."""

        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable():
                    yield segment
                else:
                    yield Segment(_lines(segment.text), segment.style)

    return Plain(stderr=stderr, markup=False, emoji=False, highlight=False)


def text_column(text: str = "{task.description}") -> "TextColumn":
    """Return a column of a progress bar that shows text as it is."""
    from rich.progress import TextColumn

    return TextColumn(text, markup=False)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or several. err: to nobody where the terminal is gone."""
    with suppress(OSError) if err else nullcontext():
        click.echo(_lines(text), err=err)


def _lines(text: str) -> str:
    return "\n".join(map(printable, masked(text).split("\n")))
