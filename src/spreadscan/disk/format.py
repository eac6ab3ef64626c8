"""A kind of text file: its columns with units, its header lines and the names of its files.

No I/O. Which kinds there are is said by those who write them.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Simulated = Literal["true", "false", "unknown"]
SIMULATED: tuple[Simulated, ...] = get_args(Simulated)


class Column(NamedTuple):
    """One column; an empty field means that there is no such value.

    since: the version of its format that brought it, or this name of it. was: its name before, ""
    for a new one. assumed: what a text is taken for in files that have no such column.
    """

    name: str
    unit: str
    meaning: str
    since: int = 0
    was: str = ""
    assumed: str = ""


class Format(NamedTuple):
    """A kind of file: line 1 is a comment with name, version and units, line 2 the names.

    units: what line 1 says of them. oldest: files are read from this version on, and written in
    `version` only.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    units: str
    oldest: int

    def at(self, version: int) -> "Format":
        """Return what files of a version have, from the oldest on: these columns, if not all."""
        columns = tuple(c for c in self.columns if c.since <= version or c.was)
        return self._replace(version=version, columns=columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order, as they are in the newest version."""
        return tuple(c.name for c in self.columns)

    @property
    def spelled(self) -> tuple[str, ...]:
        """Return the column names in order, as line 2 has them."""
        return tuple(c.name if c.since <= self.version else c.was for c in self.columns)

    @property
    def tag(self) -> str:
        """Return how line 1 begins in every file of this kind and version."""
        return f"# spreadscan {self.name} v{self.version}"

    @property
    def header(self) -> bytes:
        """Return the two lines that a file of a real market begins with."""
        return self.head("false")

    def head(self, simulated: Simulated) -> bytes:
        """Return the two lines that a file begins with. simulated: of its market."""
        line = f"{self.tag}; {self.units}; simulated={simulated}"
        return f"{line}\n{','.join(self.spelled)}\n".encode()

    def file_name(self, stamp: str, part: int = 1) -> str:
        """Return the name of a file that is not compressed yet; part 2 and on: later rows."""
        return f"{self.name}-{stamp}{f'.{part}' if part > 1 else ''}.csv"

    def row(self, values: Mapping[str, str]) -> str:
        """Return a whole line; columns without a value stay empty."""
        return ",".join([values.get(name, "") for name in self.names]) + "\n"


def simulated_of(head: bytes) -> Simulated:
    """Return what the first line of a file says of its market; 'unknown' where it does not."""
    found = re.search(rb"; simulated=(\w+)$", head.split(b"\n", 1)[0])
    return next((s for s in SIMULATED if found and found[1] == s.encode()), "unknown")
