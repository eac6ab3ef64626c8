"""What a discovery run found, for people and for programs."""

import msgspec

_LISTS = (
    ("quarantined", "quarantined_pairs"),
    ("invalid", "invalid_pairs"),
    ("quiet", "quiet_pairs"),
)


class SourceResult(msgspec.Struct, kw_only=True):
    """What was found of one source. *_pairs: name -> reason."""

    total_pairs: int = 0
    valid_pairs: int = 0
    quiet_pairs: dict[str, str] = {}
    quarantined_pairs: dict[str, str] = {}
    invalid_pairs: dict[str, str] = {}
    skipped: dict[str, int] = {}  # REST rows left out, by reason
    incomplete_rows: dict[str, str] = {}  # those of them that lack a field, by name
    declined: dict[str, int] = {}  # frames that gave nothing, by reason
    timeout_sec: float = 0.0  # the limit of a batch
    took_sec: float = 0.0
    error: str = ""


class Result(msgspec.Struct, kw_only=True):
    """What a discovery run found and wrote. directions: name -> pairs."""

    generation: int
    symbols: int
    directions: dict[str, int]
    sources: dict[str, SourceResult]
    took_s: float
    folder: str


def report_text(result: Result) -> str:
    """Return validation_report.txt: totals per source, then every pair that is not valid."""
    lines = [
        f"generation {result.generation}, {result.symbols} pairs, {result.took_s:.1f} s",
        "",
        "source            total  valid  quiet  quarantined  invalid  timeout_sec  took_sec",
    ]
    for name, source in result.sources.items():
        lines.append(
            f"{name:<16} {source.total_pairs:>6} {source.valid_pairs:>6} "
            f"{len(source.quiet_pairs):>6} {len(source.quarantined_pairs):>12} "
            f"{len(source.invalid_pairs):>8} "
            f"{source.timeout_sec:>12g} {source.took_sec:>9g}  {source.error}".rstrip()
        )
    lines += ["", "direction         pairs"]
    lines += [f"{name:<16} {pairs:>6}" for name, pairs in result.directions.items()]
    for title, field in _LISTS:
        lines += ["", f"{title} pairs"]
        for name, source in result.sources.items():
            rows: dict[str, str] = getattr(source, field)
            lines += [f"{name:<16} {pair:<20} {reason}" for pair, reason in sorted(rows.items())]
    lines += ["", "rows left out of the lists"]
    for name, source in result.sources.items():
        lines += [f"{name:<16} {why:<20} {n}" for why, n in sorted(source.skipped.items())]
    for name, source in result.sources.items():
        lines += [f"{name:<16} {row:<20} {why}" for row, why in source.incomplete_rows.items()]
    return "\n".join(lines) + "\n"
