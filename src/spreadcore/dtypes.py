"""NumPy types of the structs in shared memory, from layout.FIELDS. Imports NumPy when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spreadcore.layout import FIELDS

if TYPE_CHECKING:
    import numpy as np

_WORDS = ("seq", "sequence", "flags", "track")  # of 8 bytes and not a double


def dtype_of(struct: str, itemsize: int, **renamed: str) -> np.dtype[Any]:
    """Return the structured type of one struct of `itemsize` bytes; renamed: fields."""
    import numpy as np

    rows = [(name, offset, size) for owner, name, offset, size in FIELDS if owner == struct]
    return np.dtype(
        {
            "names": [renamed.get(name, name) for name, _, _ in rows],
            "formats": [_format(name, size) for name, _, size in rows],
            "offsets": [offset for _, offset, _ in rows],
            "itemsize": itemsize,
        }
    )


def _format(name: str, size: int) -> str:
    if size < 8 or name in _WORDS:
        return f"<u{size}"
    return "<i8" if name.endswith("_ns") else "<f8"
