"""Arrow types of the columns, from their units; the text formats have the last word.

No column is named here: a format that gains one needs no change.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from spreadscan.disk.format import Column, Format

TIME = pa.timestamp("us", "UTC")
_TEXT = pa.dictionary(pa.int32(), pa.string())
# beside the columns of the text: what its first line says
SIMULATED = Column(
    "simulated", "0 or 1", "the market was simulated: an address on the scanner's own machine; "
    "empty: its file does not say",
)  # fmt: skip
_TYPES = {"text": pa.string(), "integer": pa.int64(), "ns": pa.int64(), "0 or 1": pa.bool_()}


def arrow_type(column: Column) -> pa.DataType:
    """Return the type that a column is read as; what is no text, time or count is a double."""
    return TIME if column.unit.startswith("UTC") else _TYPES.get(column.unit, pa.float64())


def reading(kind: Format) -> dict[str, pa.DataType]:
    """Return the types of a format's columns by name, in order."""
    return {column.name: arrow_type(column) for column in kind.columns}


def stored(columns: Iterable[Column]) -> pa.Schema:
    """Return the schema of columns in Parquet: texts as dictionaries, units and meaning beside."""
    return pa.schema(
        pa.field(
            column.name,
            _TEXT if arrow_type(column) == pa.string() else arrow_type(column),
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in columns
    )


def filled(
    table: pa.Table, columns: Iterable[Column], simulated: bool | None = None
) -> pa.Table:  # fmt: skip
    """Return a table with all of these columns: those that its file has not are null, or assumed.

    The table's own stand in the same order. simulated: for SIMULATED.
    """
    for at, column in enumerate(columns):
        if column.name not in table.column_names:
            value = simulated if column == SIMULATED else column.assumed or None
            added = pa.repeat(pa.scalar(value, arrow_type(column)), table.num_rows)
            table = table.add_column(at, column.name, added)
    return table


def encoded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table as that schema wants it, each text in one dictionary."""
    table = table.combine_chunks()
    return pa.table([table[name].cast(schema.field(name).type) for name in schema.names], schema)


def sorted_by(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the rows in ascending order; those without a value last."""
    return table.sort_by([(name, "ascending") for name in names])
