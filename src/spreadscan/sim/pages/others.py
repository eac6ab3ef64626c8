"""Names of what real lists hold beside coins, and the coins of a list against other quotes."""

from collections.abc import Iterator

from spreadscan.sim.pages.base import Row

STOCKS = (
    "AAPL", "AMD", "AMZN", "BABA", "COIN", "CRCL", "GME", "GOOGL", "HOOD", "INTC", "JPM", "KO",
    "MA", "MCD", "META", "MSFT", "MSTR", "MU", "NFLX", "NVDA", "ORCL", "PLTR", "QQQ", "SPY", "TSLA",
    "TSM", "UBER", "V", "WMT", "XOM",
)  # fmt: skip
METALS = ("XAU", "XAG", "XPT", "XPD", "COPPER")
CURRENCIES = ("EUR", "GBP", "JPY", "CHF", "AUD")


def quoted(
    rows: list[Row], base_key: str, quotes: tuple[str, ...], n: int
) -> Iterator[tuple[Row, str, str]]:
    """Yield n (template, its base, another quote): the most traded coins against each in turn."""
    own = [row for row in rows[: 4 * n] if row.get(base_key)]
    for i in range(min(n, len(quotes) * len(own))):
        row, quote = own[i // len(quotes)], quotes[i % len(quotes)]
        yield row, row[base_key], quote
