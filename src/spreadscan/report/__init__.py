"""The report: one page and its pictures, from the files that the tracker left.

Needs pyarrow and matplotlib, the extra `report`.
"""

from spreadscan.report.compose import Made, make

__all__ = ["Made", "make"]
