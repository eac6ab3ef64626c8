"""What stands in the text files: columns with units, the spelling of numbers.

No I/O. docs/data-files.md shows the same tables; a test compares.
"""

from spreadscan.disk.format import Column, Format

_UNITS = (
    "time UTC; px in quote currency per coin; qty in coins; notional in quote currency; "
    "bps of the buy price; _s seconds; _ms milliseconds; _ns nanoseconds"
)
_AUDIT_UNITS = (  # as its version 1 has always begun
    "time UTC; px in quote currency per coin; qty in coins; usdt in USDT; bps of the buy price; "
    "_s seconds; _ms milliseconds; _ns nanoseconds"
)
_TIME = "UTC, ISO 8601, microseconds"
_PX = "quote currency per coin"
_NOTIONAL = "quote currency"
_FUNDING = (
    "what the sell leg receives at its next funding less what the buy leg pays at its own; not in "
    "net; empty: unknown"
)

_STATS = "CLOSE, GAP: "
_AGED = "`time`, whole ms since it was received; CLOSE: of the last look"
_WORST = "of OPEN and every look that found one"
_OWN = "that source's own name of the pair; empty: not known"
_REASONS = (
    "CLOSE: CONVERGED, EXPIRED, LOST, DELISTED, NOT_TRADING, UNPROVEN, HALTED; GAP: DOWN, LATE, "
    "CLOCK; OPEN: UNPROVEN, where a leg's venue did not answer, else empty; EVENT: what happened"
)

_SIGNALS = (
    Column("time", _TIME, "OPEN: the engine's decision; CLOSE, GAP: the tracker's look"),
    Column("event", "text", "OPEN, CLOSE or GAP; EVENT: a remark, of no track"),
    Column("track_id", "text", "joins events and snapshots; never used twice in a folder"),
    Column("ring_id", "integer", "signal ring; another one once the instance is re-created"),
    Column("sequence", "integer", "number of the signal in its ring: 0, 1, 2, ..."),
    Column(
        "direction",
        "text",
        "name of the direction: okx->mexc, okx-futures->mexc-futures",
    ),
    Column("direction_id", "integer", "number of the direction, kept for ever"),
    Column("edge_id", "integer", "number of the edge: these two listings; empty: not known", 4),
    Column("symbol", "text", "name that all sources share, BTC-USDT"),
    Column("symbol_id", "integer", "number of the symbol in the generated set"),
    Column("quote", "text", "quote currency of px and notional", 4, assumed="USDT"),
    Column("buy_source", "text", "who sells to us: okx-spot", 4),
    Column("buy_listing", "text", _OWN, 4),
    Column("sell_source", "text", "who buys from us: mexc-futures", 4),
    Column("sell_listing", "text", _OWN, 4),
    Column("converted", "text", "buy, sell: the leg whose prices were converted into `quote`", 4),
    Column("rate_source", "text", "who said what that leg's currency costs", 4),
    Column("rate_listing", "text", _OWN, 4),
    Column("buy_px", _PX, "ask of the buy leg: what buying costs"),
    Column("buy_qty", "coins", "size at buy_px"),
    Column("buy_notional", _NOTIONAL, "buy_px * buy_qty", 4, "buy_usdt"),
    Column("sell_px", _PX, "bid of the sell leg: what selling gives"),
    Column("sell_qty", "coins", "size at sell_px"),
    Column("sell_notional", _NOTIONAL, "sell_px * sell_qty", 4, "sell_usdt"),
    Column("buy_age_ms", "ms", f"of the buy leg's quote at {_AGED}", 3),
    Column("sell_age_ms", "ms", f"of the sell leg's quote at {_AGED}", 3),
    Column("buy_bid", _PX, "CLOSE: bid of the buy leg, to work out the round trip"),
    Column("sell_ask", _PX, "CLOSE: ask of the sell leg"),
    Column("gross_bps", "bps", "(sell_px / buy_px - 1) * 10000"),
    Column("net_bps", "bps", "gross_bps - fees_bps"),
    Column("exit_bps", "bps", "CLOSE: (sell_ask / buy_bid - 1) * 10000, cost of closing now"),
    Column("funding_bps", "bps", _FUNDING),
    Column("fees_bps", "bps", "entry taker fees of both legs, as of OPEN"),
    Column("peak_net_bps", "bps", f"{_STATS}highest net, of OPEN and the tradable looks"),
    Column("peak_time", _TIME, f"{_STATS}when that was first"),
    Column("peak_after_s", "s", f"{_STATS}from OPEN to the peak"),
    Column("peak_notional", _NOTIONAL, f"{_STATS}size at the peak", 4, "peak_size_usdt"),
    Column("profit_s", "s", f"{_STATS}time in profit: net above 0 at a tradable look"),
    Column("mean_net_bps", "bps", f"{_STATS}mean net of the tradable looks"),
    Column(
        "mean_notional", _NOTIONAL, f"{_STATS}mean size of the tradable looks", 4, "mean_size_usdt"
    ),
    Column(
        "min_notional",
        _NOTIONAL,
        f"{_STATS}smallest size of the tradable looks",
        4,
        "min_size_usdt",
    ),
    Column("worst_buy_age_ms", "ms", f"{_STATS}highest age of the buy leg's quote, {_WORST}", 3),
    Column("worst_sell_age_ms", "ms", f"{_STATS}highest age of the sell leg's quote, {_WORST}", 3),
    Column("looks", "integer", f"{_STATS}looks at both legs since OPEN"),
    Column("tradable_looks", "integer", f"{_STATS}those that found both legs tradable"),
    Column("skipped", "integer", f"{_STATS}ticks of the grid without a look: late, or held"),
    Column("duration_s", "s", "CLOSE: from OPEN to the look that ended it"),
    Column("gap_s", "s", "GAP: how long nobody looked or nothing could be written"),
    Column("reason", "text", _REASONS),
    Column("at_ns", "ns", "the moment of `time` on CLOCK_BOOTTIME, for intervals in one ring"),
    Column("config_hash", "text", "c and 8 hex digits that change with any setting"),
)

_SNAPSHOTS = (
    Column("track_id", "text", "as in the signals file"),
    Column("time", _TIME, "moment of the look, the same for all tracks of a tick"),
    Column("buy_bid", _PX, "bid of the buy leg; empty where that leg has no quote"),
    Column("buy_bid_qty", "coins", "size at buy_bid"),
    Column("buy_ask", _PX, "ask of the buy leg"),
    Column("buy_ask_qty", "coins", "size at buy_ask"),
    Column("sell_bid", _PX, "bid of the sell leg"),
    Column("sell_bid_qty", "coins", "size at sell_bid"),
    Column("sell_ask", _PX, "ask of the sell leg"),
    Column("sell_ask_qty", "coins", "size at sell_ask"),
    Column("buy_age_ms", "ms", "since the buy leg's quote was received, whole ms"),
    Column("sell_age_ms", "ms", "since the sell leg's quote was received"),
    Column("gross_bps", "bps", "(sell_bid / buy_ask - 1) * 10000"),
    Column("net_bps", "bps", "gross_bps - the track's fees_bps"),
    Column("exit_bps", "bps", "(sell_ask / buy_bid - 1) * 10000"),
    Column("funding_bps", "bps", _FUNDING),
    Column("tradable", "0 or 1", "both legs could be traded on: what statistics rest on"),
)

_AUDIT = (
    Column("begin", _TIME, "of what the row counts: begin of the hour, or of the run"),
    Column("end", _TIME, "end of that"),
    Column("source", "text", "who was audited"),
    Column("rounds", "integer", "answers about all books that came and could be read"),
    Column("failed", "integer", "rounds without one"),
    Column("lagging", "integer", "of the rounds: the answer was too old to say anything"),
    Column("incomplete", "integer", "of the rounds: the answer may not be whole"),
    Column("too_many", "integer", "of the rounds: too much differed at once to be believed"),
    Column("audited", "integer", "quotes that stood, summed over the rounds"),
    Column("agreed", "integer", "of these: as at their venue, or heard meanwhile"),
    Column("not_judged", "integer", "of these: nothing could be said"),
    Column("accused", "integer", "of these: not as at their venue"),
    Column("wrong", "integer", "quotes proven wrong by a second answer"),
    Column("halts", "integer", "pairs found not to trade"),
    Column("questions", "integer", "of the engine, about single pairs"),
    Column("answers", "integer", "of these: answered in time"),
    Column("requests", "integer", "sent in all, funding and statuses included"),
    Column("status_reads", "integer", "of the instrument list"),
    Column("status_pushes", "integer", "statuses that the venue pushed"),
    Column("funding_polls", "integer", "answers about funding"),
    Column("funding_failed", "integer", "polls of funding without one"),
)

SIGNALS = Format("signals", 4, _SIGNALS, _UNITS, oldest=2)
# the compiled reader of its rows knows these columns: those of all versions
SNAPSHOTS = Format("snapshots", 4, _SNAPSHOTS, _UNITS, oldest=2)
AUDIT = Format("audit", 1, _AUDIT, _AUDIT_UNITS, oldest=1)

# what a reader of CSV, of comments or of lines would stumble over; and a first character that makes
# a spreadsheet compute what follows
_UNSAFE, _FORMULA = frozenset('",#'), frozenset("=+@-")


def safe_text(name: str) -> str:
    """Return a name as it may stand in a field: what would break a line or a reader becomes '_'."""
    safe = "".join("_" if c in _UNSAFE or not c.isprintable() else c for c in name)
    return f"_{safe[1:]}" if safe[:1] in _FORMULA else safe


def number(value: float) -> str:
    """Return the shortest text that reads back as the same double; NaN is empty."""
    return repr(value) if value == value else ""


def bps(value: float) -> str:
    """Return bps with four decimals; NaN is empty."""
    return f"{value:.4f}" if value == value else ""


def seconds(ns: int) -> str:
    """Return ns as seconds with six decimals."""
    return f"{ns / 1e9:.6f}"


def age_ms(ms: int) -> str:
    """Return an age in whole ms; below 0 is empty: there is no quote."""
    return str(ms) if ms >= 0 else ""


def notional(value: float) -> str:
    """Return an amount of quote currency with two decimals; NaN is empty."""
    return f"{value:.2f}" if value == value else ""
