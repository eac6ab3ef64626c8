"""The coins of the simulated market: real majors with a price level, invented tickers after them.

A table and one seeded generator; which source lists which coin is decided in universe.py.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

N_COINS = 680


class Coin(NamedTuple):
    """One coin; rank 0 is the most traded. px is its price level in USDT."""

    rank: int
    name: str
    px: float


# Most traded first; price levels are round figures, not quotations.
MAJORS: tuple[tuple[str, float], ...] = (
    ("BTC", 84_000.0), ("ETH", 2_750.0), ("SOL", 117.0), ("XRP", 1.9), ("DOGE", 0.135),
    ("BNB", 830.0), ("PEPE", 6.4e-6), ("SHIB", 8.3e-6), ("SUI", 1.42), ("ADA", 0.41),
    ("LINK", 12.4), ("AVAX", 13.1), ("LTC", 83.0), ("BCH", 540.0), ("DOT", 2.31),
    ("TRX", 0.275), ("NEAR", 1.83), ("UNI", 6.2), ("AAVE", 161.0), ("ARB", 0.207),
    ("OP", 0.312), ("APT", 2.44), ("FIL", 1.57), ("ETC", 13.6), ("ATOM", 2.52),
    ("WIF", 0.352), ("BONK", 9.3e-6), ("FLOKI", 4.6e-5), ("ENA", 0.243), ("HBAR", 0.143),
    ("TON", 1.51), ("ICP", 4.05), ("INJ", 5.4), ("XLM", 0.241), ("SEI", 0.131),
    ("TIA", 0.602), ("ORDI", 4.1), ("1INCH", 0.182), ("WLD", 0.614), ("RENDER", 1.71),
    ("JUP", 0.236), ("PYTH", 0.0713), ("STX", 0.301), ("IMX", 0.302), ("GALA", 0.00712),
    ("SAND", 0.153), ("MANA", 0.161), ("CRV", 0.402), ("LDO", 0.622), ("GRT", 0.0441),
    ("SNX", 0.503), ("COMP", 32.4), ("DYDX", 0.214), ("ALGO", 0.137), ("VET", 0.0131),
    ("EGLD", 7.9), ("THETA", 0.331), ("AXS", 0.893), ("CHZ", 0.0291), ("APE", 0.222),
    ("ZEC", 511.0), ("DASH", 55.0), ("PENDLE", 2.02), ("JTO", 0.412), ("STRK", 0.151),
    ("ZK", 0.0382), ("BLUR", 0.0342), ("NOT", 5.8e-4), ("TURBO", 1.62e-3), ("PNUT", 0.0912),
    ("SATS", 1.61e-8), ("BABYDOGE", 6.1e-10), ("CAT", 2.7e-6), ("CHEEMS", 8.8e-7),
    ("MOG", 2.6e-7), ("C98", 0.0262), ("RUNE", 0.617), ("KAVA", 0.112), ("ZRX", 0.151),
    ("GMT", 0.0212), ("MASK", 0.653), ("ENS", 11.2), ("SUSHI", 0.321), ("QTUM", 1.42),
)  # fmt: skip

# Listed where pairs in USDC are: its own price, about which it moves by a fraction of a bps.
USDC = Coin(4, "USDC", 1.0002)  # of a rank that is always traded, and in small steps

# Listing by binance-spot alone; symbols there may hold any letter since 2025-12.
NON_ASCII = "币安人生"

# What else real lists hold: names that begin with a digit, or are one, and more that some venues
# list by the thousand.
ODD: tuple[tuple[str, float], ...] = (
    ("0G", 1.12), ("2Z", 0.121), ("42", 0.083), ("4", 0.071), ("B2", 0.62), ("RATS", 2.4e-5),
    ("LUNC", 4.1e-5), ("XEC", 1.3e-5), ("QUBIC", 6.2e-7), ("WHY", 2.1e-8), ("PEIPEI", 2.3e-8),
    ("ELON", 6.7e-8), ("APEPE", 1.1e-6),
)  # fmt: skip

_TAKEN = {
    "AAPL", "BTCDOM", "BUSD", "DEFI", "EUR", "FDUSD", "NOPE", "NVDA", "PAUSE", "TSLA", "TRY",
    "TUSD", "USD", "USDC", "USDE", "USDT", "XAU",
}  # fmt: skip
_HEADS = (*"BCDFGHJKLMNPRSTVWXZ", "BR", "CH", "CR", "DR", "FL", "GR", "KL", "PL", "QU", "SK", "ST")
_VOWELS = (*"AEIOU", "AI", "EA", "IO", "OO")
_TAILS = (*"BDFGKLMNPRSTXZ", "CK", "LD", "NK", "RT")


def invent(rng: random.Random, n: int, taken: set[str]) -> list[str]:
    """Return n new tickers of 3 to 8 capital letters; adds them to taken."""
    names: list[str] = []
    while len(names) < n:
        name = rng.choice(_HEADS) + rng.choice(_VOWELS) + rng.choice(_TAILS)
        if rng.random() < 0.45:
            name += rng.choice(_VOWELS)
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


def coins(seed: int, n: int = N_COINS, odd: Sequence[tuple[str, float]] = ()) -> list[Coin]:
    """Return the n coins of a seed, by rank; majors, then `odd`, are the same for every seed."""
    rng = random.Random(f"{seed}/coins")
    table = [*MAJORS, *odd]
    names = invent(rng, n - len(table) - 1, _TAKEN | {name for name, _ in table})
    table += [(name, float(f"{10 ** rng.uniform(-4.0, 1.6):.3g}")) for name in names]
    table.append((NON_ASCII, 0.112))
    return [Coin(rank, name, px) for rank, (name, px) in enumerate(table)]
