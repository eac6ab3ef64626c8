"""The page: one HTML file that needs nothing else, no network either. Text in, text out."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

import orjson

from spreadscan.app.truth import floored
from spreadscan.audit.agreement import agreement_pct
from spreadscan.report.figures import Pair, direction_name, named, span
from spreadscan.report.truth import Total
from spreadscan.tracker.track import is_proven

_NONE = "–"
_WORDS = (
    "Counts of quotes are sums over the rounds, in each of which a venue is asked for all of its "
    "books at once. <b>Agreed</b>: as the venue showed it, or heard while it was asked. "
    "<b>Accused</b>: one answer differs. <b>Wrong</b>: a second one did; the quote was emptied. "
    "<b>Not judged</b>: the answer says nothing of it. <b>Halted</b>: pairs found not to trade. "
    "<b>Failed</b>: rounds without an answer; <b>lagging</b>: with one that was too old. "
    "<b>Questions</b>: about single pairs, before a signal on a quote that has been silent."
)


class Chart(NamedTuple):
    """A picture on the page. wide: it takes the whole width."""

    name: str  # of its PNG
    title: str
    says: str  # what to see in it, in a line
    svg: str  # or any HTML
    wide: bool


class Shown(NamedTuple):
    """A track on the page. first: the one to begin with."""

    id: str
    first: bool
    label: str
    caption: str
    svg: str
    data: Mapping[str, Any]


def render(
    *,
    range_: str,
    pairs: str,
    market: str,
    remarks: Sequence[str],
    notes: Sequence[str],
    tiles: Sequence[tuple[str, str]],
    ends: Mapping[str, int],
    charts: Sequence[Chart],
    tracks: Sequence[Shown],
    tracks_note: str,
    made: str,
) -> str:
    """Return the page. Everything but svg is plain text."""
    parts = files("spreadscan.report")
    lines = orjson.dumps({track.id: track.data for track in tracks}).decode()
    return Template((parts / "page.html").read_text("utf-8")).substitute(
        css=(parts / "page.css").read_text("utf-8").strip(),
        js=(parts / "page.js").read_text("utf-8").strip(),
        range=escape(range_),
        pairs=escape(pairs),
        market=_market(market),
        notes="\n".join(
            _notes(title, lines)
            for title, lines in (
                ("Not everything could be read", notes),
                ("Switched off, and on again", remarks),
            )
            if lines
        ),
        tiles="\n".join(
            f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
            for name, value in tiles
        ),
        ends=_ends(ends),
        charts=_charts(charts),
        tracks=_tracks(tracks, tracks_note),
        made=escape(made),
        lines=lines.replace("<", "\\u003c"),  # nothing in it may end the script element
    )


def _market(market: str) -> str:
    return f'<p class="market">{escape(market)}</p>' if market else ""


def _notes(title: str, notes: Sequence[str]) -> str:
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="card note"><h2>{title}</h2>\n<ul>\n{items}\n</ul></section>'


def _ends(ends: Mapping[str, int]) -> str:
    """Return the bar of those that count, and a legend of all."""
    shares = {reason: n for reason, n in ends.items() if is_proven(reason)}
    total = sum(shares.values())
    if not sum(ends.values()):
        return "<p>No signals in this time.</p>"
    bar = "".join(
        f'<div style="flex:{n};background:var(--{reason.lower()})" '
        f'title="{escape(named(reason))} {n:,}"></div>'
        for reason, n in shares.items()
        if n
    )
    legend = "\n".join(
        f'<li><i style="background:var(--{reason.lower()})"></i>'
        f"{escape(named(reason))} {n:,} "
        + (f"({n / max(1, total):.1%})</li>" if reason in shares else "(in no figure)</li>")
        for reason, n in ends.items()
    )
    return f'<div class="bar">{bar}</div>\n<ul class="legend">\n{legend}\n</ul>'


def _charts(charts: Sequence[Chart]) -> str:
    found, two = [], False
    for chart in charts:
        if chart.wide == two:  # enter or leave a row of two
            found.append("</div>" if two else '<div class="two">')
            two = not two
        frame = "scroll" if chart.wide else "fits"
        found.append(
            f'<section class="card"><h2>{escape(chart.title)}</h2>\n<p>{escape(chart.says)}</p>\n'
            f'<div class="{frame}">{chart.svg}</div></section>'
        )
    return "\n".join([*found, "</div>"] if two else found)


def _tracks(tracks: Sequence[Shown], note: str) -> str:
    text = f"<p>{escape(note)}</p>"
    if not tracks:
        return text
    options = "\n".join(
        f'<option value="{escape(track.id, quote=True)}"{" selected" if track.first else ""}>'
        f"{escape(track.label)}</option>"
        for track in tracks
    )
    shown = "\n".join(
        f'<figure data-track="{escape(track.id, quote=True)}">'
        f"<figcaption>{escape(track.caption)}</figcaption>\n"
        f'<div class="scroll"><div class="plot">{track.svg}</div></div></figure>'
        for track in tracks
    )
    return f'{text}\n<select hidden aria-label="spread">\n{options}\n</select>\n{shown}'


def pairs_table(pairs: Sequence[Pair], currency: str) -> str:
    """Return the best pairs as a table; currency: of their amounts."""
    names = ("pair", "direction", "times", f"kept,\n{currency}", "peak net,\nbps", "lived",
             f"size,\n{currency}", "held to the\nend, bps")  # fmt: skip
    head = "".join(f"<th>{escape(name).replace(chr(10), '<br>')}</th>" for name in names)
    rows = "\n".join(f"<tr>{_cells(pair)}</tr>" for pair in pairs)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n'
        "</tbody></table></div>"
    )


def truth_table(totals: Sequence[Total]) -> str:
    """Return what the audit of each source came to as a table, with what its words mean."""
    columns = {
        "rounds": "rounds", "failed": "failed", "lagging": "lagging", "agreed": "agreed",
        "accused": "accused", "not_judged": "not<br>judged", "wrong": "wrong",
        "halts": "halted", "questions": "questions", "answers": "answered",
    }  # fmt: skip
    head = "".join(f"<th>{name}</th>" for name in ("source", "agreed,<br>%", *columns.values()))
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (
                total.source + f", nothing judged of {total.left_out}" * bool(total.left_out),
                floored(agreement_pct(total.counts), 2),
                *(f"{total.counts[name]:,}" for name in columns),
            )
        )
        + "</tr>"
        for total in totals
    )
    return (
        f'<div class="scroll"><table class="counts"><thead><tr>{head}</tr></thead>\n<tbody>\n'
        f"{rows}\n</tbody></table></div>\n<p>{_WORDS}</p>"
    )


def _cells(pair: Pair) -> str:
    texts = (
        pair.pair, direction_name(pair.direction), f"{pair.times:,}", f"{pair.kept:,.2f}",
        number(pair.peak_net_bps, 1), span(pair.duration_s), number(pair.notional, 0),
        number(pair.trip_bps, 1),
    )  # fmt: skip
    minus = ' class="minus"' if pair.trip_bps < 0 else ""
    cells = [f"<td>{escape(text)}</td>" for text in texts]
    return "".join([*cells[:-1], f"<td{minus}>{escape(texts[-1])}</td>"])


def number(value: float, digits: int, unit: str = "") -> str:
    """Return a number for people; a dash where there is none."""
    return f"{value:,.{digits}f}{unit}" if value == value else _NONE
