"""What the tracker left, as typed tables: read in bounded memory, joined, kept as Parquet.

Needs pyarrow, the extra `export`. `report` draws from the same tables.
"""

from spreadscan.export.convert import Result, export
from spreadscan.export.folder import Input, find, parse_since
from spreadscan.export.rows import Damage, read
from spreadscan.export.tracks import join

__all__ = ["Damage", "Input", "Result", "export", "find", "join", "parse_since", "read"]
