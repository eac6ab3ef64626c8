"""A replay's result as tables for people: rich on a terminal, plain aligned text elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spreadscan.errors import printable
from spreadscan.replay.counts import Edge, FrameCounts, Result
from spreadscan.replay.requests import Pair
from spreadscan.venues.base import decimal_text

_NAME_SHOWN = 80  # characters of a symbol


class Sheet(NamedTuple):
    """One table: columns whose name begins with '<' are aligned to the left."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(result: Result, pairs: Sequence[Pair], console: Console) -> None:
    """Print everything that was found."""
    show_sheets(sheets(result, pairs), console)
    for line in remarks(result, pairs):
        console.print(Text(line), soft_wrap=True)


def show_sheets(found: Sequence[Sheet], console: Console) -> None:
    """Print tables: by rich where they fit a terminal, else as plain aligned text."""
    for sheet in found:
        fits = sum(_widths(sheet)) + 2 * len(sheet.columns) + 2 <= console.width
        if console.is_terminal and fits:  # rich would cut numbers short to make them fit
            _show_rich(sheet, console)
        else:
            _show_plain(sheet, console)


def sheets(result: Result, pairs: Sequence[Pair]) -> list[Sheet]:
    """Return the tables of a result; those of edges only where pairs were asked for."""
    tables = [_sources(result), _last_quotes(result)]
    if pairs:
        tables.append(_edges(result.edges))
        if any(edge.above for edge in result.edges):
            tables.append(_above(result.edges))
    return [sheet for sheet in tables if sheet.rows]


def remarks(result: Result, pairs: Sequence[Pair]) -> list[str]:
    """Return sentences on what the tables cannot say."""
    lines = []
    for name, account in result.sources.items():
        if account.without_contract_size:
            symbols = ", ".join(printable(s, _NAME_SHOWN) for s in account.without_contract_size)
            lines.append(f"{name}: no instrument file tells the contract size of {symbols}")
        if account.odd_times:
            lines.append(
                f"{name}: {account.odd_times} quote(s) whose venue time is no Unix ms: read as s, "
                "us or ns where it is a date so, else not known"
            )
        if account.steps_back:
            lines.append(
                f"{name}: {account.steps_back} frame(s) stamped earlier than the one before"
            )
    seen = {(edge.buy, edge.sell) for edge in result.edges}
    lines += [
        f"{pair.buy}:{pair.sell}: no symbol had quotes of both sources at one time"
        for pair in pairs
        if pair not in seen
    ]
    return [*lines, *result.remarks, *result.problems]


def _sources(result: Result) -> Sheet:
    columns = ("<source", "frames", "quotes", "refreshed", "acks", "control", "declined",
               "seconds", "<declined as")  # fmt: skip
    rows = [(name, *_source_cells(account)) for name, account in result.sources.items()]
    return Sheet(f"{result.frames:,} frames", columns, rows)


def _source_cells(account: FrameCounts) -> tuple[str, ...]:
    reasons = (f"{reason} {n:,}" for reason, n in sorted(account.declined.items()))
    return (
        f"{account.frames:,}",
        f"{account.quotes:,}",
        f"{account.refreshes:,}",
        f"{account.acks:,}",
        f"{account.control:,}",
        f"{sum(account.declined.values()):,}",
        f"{account.span_ns / 1e9:,.3f}",
        ", ".join(reasons),
    )


def _last_quotes(result: Result) -> Sheet:
    columns = ("<file", "<source", "<symbol", "quotes", "bid", "bid size", "ask", "ask size",
               "venue ms", "update id")  # fmt: skip
    several = len(result.files) > 1
    rows = []
    for file in result.files:
        for source, account in file.sources.items():
            for venue_symbol, last in account.last.items():
                prices = (last.bid_px, last.bid_qty, last.ask_px, last.ask_qty)
                rows.append(
                    (
                        *([printable(file.file, _NAME_SHOWN)] if several else []),
                        source,
                        printable(venue_symbol, _NAME_SHOWN),
                        f"{last.quotes:,}",
                        *(_number(value) for value in prices),
                        str(last.venue_ns // 1_000_000) if last.venue_ns else "-",
                        str(last.update_id) if last.update_id >= 0 else "-",
                    )
                )
    return Sheet("Last quotes, per coin", columns if several else columns[1:], rows)


def _edges(edges: Sequence[Edge]) -> Sheet:
    columns = ("<buy:sell", "<symbol", "updates", "mean bps", "max bps", "at recv_ns",
               "<sell bid / buy ask")  # fmt: skip
    rows = [
        (
            *_edge_name(edge),
            f"{edge.updates:,}",
            f"{edge.mean_bps:.4f}",
            f"{edge.max_bps:.6f}",
            str(edge.max_ns),
            f"{_number(edge.max_sell_px)} / {_number(edge.max_buy_px)}",
        )
        for edge in edges
    ]
    return Sheet("Edges, gross", columns, rows)


def _above(edges: Sequence[Edge]) -> Sheet:
    columns = ("<buy:sell", "<symbol", "above bps", "updates", "episodes", "total s", "longest s")
    rows = [
        (
            *_edge_name(edge),
            f"{above.bps:g}",
            f"{above.updates:,}",
            f"{above.episodes:,}",
            f"{above.total_s:.3f}",
            f"{above.longest_s:.3f}",
        )
        for edge in edges
        for above in edge.above
    ]
    return Sheet("Time above limits", columns, rows)


def _edge_name(edge: Edge) -> tuple[str, str]:
    return f"{edge.buy}:{edge.sell}", printable(edge.symbol, _NAME_SHOWN)


def _number(value: float) -> str:
    """Twelve digits: the product of a size and a contract size ends in noise after that."""
    return decimal_text(float(f"{value:.12g}")) or "-"


def _widths(sheet: Sheet) -> list[int]:
    names = (column.lstrip("<") for column in sheet.columns)
    return [max(map(len, cells)) for cells in zip(names, *sheet.rows, strict=True)]


def _show_rich(sheet: Sheet, console: Console) -> None:
    table = Table(title=sheet.title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1))
    for column in sheet.columns:
        table.add_column(column.lstrip("<"), justify="left" if column[0] == "<" else "right")
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _show_plain(sheet: Sheet, console: Console) -> None:
    console.out(sheet.title, highlight=False)
    names = [column.lstrip("<") for column in sheet.columns]
    widths = _widths(sheet)
    for row in (names, *sheet.rows):
        cells = [
            cell.ljust(width) if column[0] == "<" else cell.rjust(width)
            for cell, width, column in zip(row, widths, sheet.columns, strict=True)
        ]
        console.out("  ".join(cells).rstrip(), highlight=False)
    console.out("")
