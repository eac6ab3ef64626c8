"""What the audit says of a running instance, and what of it makes a source degraded.

The one place that decides this: `ctl status`, `top` and `doctor` show it. Reads shared memory and
what the audit left beside it; writes nothing.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from spreadcore import Instance
from spreadcore.layout import AUDIT_FIGURES

from spreadscan.audit.agreement import (
    AGREE_PCT,
    CLOCK_LIMIT_MS,
    DEGRADED_NS,
    agreement_pct,
    is_skewed,
)
from spreadscan.clock import UtcClock, iso_utc
from spreadscan.config import Config
from spreadscan.inuse import Announced, MeasuredClock, clocks_measured, maintenance_announced
from spreadscan.venues import VENUES

COUNTED: tuple[str, ...] = AUDIT_FIGURES[AUDIT_FIGURES.index("rounds") :]
_PAIRS = ("audited", "agreed", "not_judged", "accused")  # of a round
Figures = Mapping[str, int]  # of layout.AUDIT_FIGURES


class Trouble(NamedTuple):
    """Why a source is degraded. words: a sentence that begins with the source."""

    source: str
    kind: Literal["clock", "confirms_nothing", "disagrees"]
    words: str


def truth(instance: Instance, config: Config, now_ns: int) -> dict[str, Any] | None:
    """Return what the audit says, None where it is not enabled.

    sources: as of the last round of each. all: the sums of those whose last round judged any quote,
    how many others are left out, all that are halted, the oldest confirmation, the longest lag and
    of how many sources it is unknown, by how much our clock is ahead of the venue's that differs
    most. troubles: see Trouble. maintenance: what venues announce
    that is not over, as inuse.Announced. Seconds are None where there is nothing to tell.
    """
    if not config.audit.enabled:
        return None
    figures = _figures(instance, config)
    clocks = clocks_measured(instance)
    sources = {
        name: _levels(found, now_ns) | _clock(clocks.get(name), now_ns)
        for name, found in figures.items()
    }
    return {
        "all": _together(sources.values()),
        "sources": sources,
        "troubles": [trouble._asdict() for trouble in troubles(instance, config, now_ns)],
        "maintenance": [msgspec.to_builtins(row) for row in maintenance(instance)],
    }


def counts(instance: Instance, config: Config) -> dict[str, dict[str, int]]:
    """Return by source what the audit counted since the instance was created."""
    return {
        name: {key: found[key] for key in COUNTED}
        for name, found in _figures(instance, config).items()
    }


def troubles(instance: Instance, config: Config, now_ns: int) -> list[Trouble]:
    """Return which sources are degraded by what their audit says, one trouble for each.

    Before them one for all whose clock differs from ours, which names the furthest.
    A source whose feed does not run has no quotes to confirm, and an audit that does not run says
    nothing new: that roles are missing is told as it is of others.
    """
    if not config.audit.enabled or not instance.lease_held("audit"):
        return []
    health = instance.health
    started_ns = health.info(health.role("audit"))["start_ns"]
    # a round may be under way, and the next one late
    longest_ns = DEGRADED_NS + int(2e9 * config.audit.every_s)
    found = _clock_trouble(instance, config)
    for name, figures in _figures(instance, config).items():
        if not instance.lease_held(name):
            continue
        # what stands there from before the audit was started says nothing of it
        failing_ns = max(figures["failing_ns"], started_ns) if figures["failing_ns"] else now_ns
        silent_ns = now_ns - max(figures["round_ns"], started_ns)
        below_ns, pct = figures["below_ns"], agreement_pct(figures)
        if now_ns - failing_ns > DEGRADED_NS or silent_ns > longest_ns:
            since_ns = figures["round_ns"] or started_ns
            words = f"{name}: the audit confirms nothing since {_utc(since_ns)}"
            found.append(Trouble(name, "confirms_nothing", words))
        elif pct is not None and below_ns and now_ns - below_ns > DEGRADED_NS:
            words = (
                f"{name}: {floored(pct, 1)} % of the quotes judged agree with their venue, below "
                f"{AGREE_PCT:g} % since {_utc(below_ns)}"
            )
            found.append(Trouble(name, "disagrees", words))
    return found


def _clock_trouble(instance: Instance, config: Config) -> list[Trouble]:
    found = clocks_measured(instance)
    known = {name: found[name] for name in config.sources if name in found}
    skewed = {n: c for n, c in known.items() if is_skewed(c.ahead_ms, c.unsure_ms)}
    if not skewed:
        return []
    name = max(skewed, key=lambda name: abs(skewed[name].ahead_ms))
    more = f" and {len(skewed) - 1} more" if len(skewed) > 1 else ""
    clock = skewed[name]
    words = (
        f"{name}{more}: our clock is ahead of the venue's by {clock.ahead_ms:+,.0f} ms "
        f"± {clock.unsure_ms:,.0f}, expected within {CLOCK_LIMIT_MS:g} ms"
    )
    return [Trouble(name, "clock", words)]


def maintenance(instance: Instance) -> list[Announced]:
    """Return what venues announce and is not over; nothing where no audit runs that would know."""
    if not instance.lease_held("audit"):
        return []
    now_ns = time.time_ns()
    return [row for row in maintenance_announced(instance) if not 0 < row.end_ns < now_ns]


def maintenance_lines(announced: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each, those first that are under way.

    It names the exchange: what is announced through one of its sources may concern the other, too.
    """
    lines = []
    for row in sorted(announced, key=lambda row: (row["state"], row["begin_ns"])):
        begin_ns, end_ns, scheduled = row["begin_ns"], row["end_ns"], row["state"] == "scheduled"
        begin = f" from {_minute(begin_ns)}" if begin_ns and scheduled else ""
        end = f" until {_minute(end_ns)}" if end_ns else ""
        about = f" ({row['what']})" if row["what"] else ""
        exchange = VENUES[row["source"]].spec.exchange
        lines.append(f"{exchange}: maintenance {row['state']}{begin}{end}{about}: {row['title']}")
    return lines


def _figures(instance: Instance, config: Config) -> dict[str, dict[str, int]]:
    ids = zip(config.sources, config.source_ids, strict=True)
    return {name: instance.audit.figures(i) for name, i in ids}


def _levels(figures: Figures, now_ns: int) -> dict[str, Any]:
    """Return how it stands now. round_s: how long ago the last round was asked for that judged."""

    def seconds_since(name: str) -> float | None:
        return round((now_ns - figures[name]) / 1e9, 1) if figures[name] else None

    return {
        **{name: figures[name] for name in (*_PAIRS, "halted")},
        "agreement_pct": agreement_pct(figures),
        "oldest_s": seconds_since("oldest_ns"),
        "lag_s": round(figures["lag_ns"] / 1e9, 3) if figures["lag_ns"] else None,
        "round_s": seconds_since("round_ns"),
        "failing_s": seconds_since("failing_ns"),
        "below_s": seconds_since("below_ns"),
    }


def _clock(found: MeasuredClock | None, now_ns: int) -> dict[str, float | None]:
    """Return how far our clock is ahead of a venue's, how surely, and how long ago it said so."""
    return {
        "clock_ahead_ms": found.ahead_ms if found else None,
        "clock_unsure_ms": found.unsure_ms if found else None,
        "clock_s": round((now_ns - found.at_ns) / 1e9, 1) if found else None,
    }


def _together(sources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(sources)
    said = [source for source in found if source["agreement_pct"] is not None]
    sums = {name: sum(source[name] for source in said) for name in _PAIRS}
    known = {
        name: [source[name] for source in found if source[name] is not None]
        for name in ("oldest_s", "lag_s")
    }
    return {
        **sums,
        "halted": sum(source["halted"] for source in found),
        "left_out": len(found) - len(said),
        "agreement_pct": agreement_pct(sums),
        **{name: max(values, default=None) for name, values in known.items()},
        "lag_unknown": len(found) - len(known["lag_s"]),
        "clock_ahead_ms": max(
            (c for s in found if (c := s["clock_ahead_ms"]) is not None), key=abs, default=None
        ),
    }


def floored(pct: float | None, digits: int) -> str:
    """Return a share for people that is never rounded up: 100 is all; a dash for None."""
    if pct is None:
        return "–"
    scale = 10**digits
    return f"{math.floor(pct * scale) / scale:.{0 if pct == 100 else digits}f}"


def _utc(boottime_ns: int) -> str:
    return f"{iso_utc(UtcClock().utc_ns(boottime_ns))[11:19]}Z"


def _minute(unix_ns: int) -> str:
    return f"{iso_utc(unix_ns)[:16]}Z"
