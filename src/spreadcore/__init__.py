"""spreadcore: a shared-memory price table and the compiled engine around it.

    import spreadcore
    table = spreadcore.attach("default")      # a running scanner
    table.bid_px[symbol_id, source_id]        # live, read-only
    table.snapshot()                          # a copy in which no quote is torn

    instance = spreadcore.Instance("default")
    instance.tracks.all()                     # spreads that are being followed
    reader = instance.engine_stream.reader()  # signals from now on
    records, lost = reader.read(100)

Everything else is in the submodules; each pyx has a pxd, so other packages may cimport it
(include path: spreadcore.get_include()).
"""

import os

from spreadcore.instance import Instance
from spreadcore.table import Table, attach

__all__ = ["Instance", "Table", "attach", "get_include"]


def get_include() -> str:
    """Return the directory of the C header, for packages that cimport spreadcore."""
    return os.path.dirname(os.path.abspath(__file__))
