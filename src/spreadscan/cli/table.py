"""The live table of `demo` and `top`: sources, spreads, latencies. Plain lines in a pipe."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import Any

import msgspec
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from spreadcore import Instance

from spreadscan.app.status import best_spread, live_spreads, status
from spreadscan.app.truth import floored, maintenance_lines
from spreadscan.cli.screen import new_console, say
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.control.switches import ALL, Killed, Pause, Switches
from spreadscan.errors import BadGenerated
from spreadscan.inuse import lists_in_use, settings_stamp
from spreadscan.lists import Edge, Numbered, load
from spreadscan.tracker.track import ends_shown

_EVERY_S = 0.5
_LINE_EVERY_S = 5.0
_TOP = 12
_OFF = "bold white on red"  # what nobody may overlook
_WIDE = 112  # columns; below, tables go without frames and the counts of the run


class LiveTable:
    """Reads an instance twice a second and shows it; writes nothing to it.

    settings: those in use, as `ctl status` tells them. reread: gives all three anew once a scanner
    that was started meanwhile has left others: it may have made the instance anew, too.
    """

    def __init__(
        self,
        instance: Instance,
        config: Config,
        title: str = "spreadscan",
        plain: bool = False,
        settings: Mapping[str, Any] | None = None,
        reread: Callable[[], tuple[Instance, Config, Mapping[str, Any]]] | None = None,
    ) -> None:
        self._instance = instance
        self._config = config
        self._title = title
        self._settings = settings
        self._reread = reread
        self._stamp = settings_stamp(instance)
        self._names: tuple[str, ...] = ()
        self._edges: Mapping[int, Edge] = {}
        self._named = -1  # generation that they are of
        self._last = now_ns(), {name: 0 for name in config.sources}
        self._rates(status(instance, config))
        self._console = new_console()
        self._plain = plain or not self._console.is_terminal

    def show(self, seconds: float | None = None, alive: Any = lambda: True) -> None:
        """Show until `seconds` are over, alive() is false, or Ctrl-C."""
        end = time.monotonic() + seconds if seconds else float("inf")
        try:
            if not self._plain:
                with Live(console=self._console, auto_refresh=False) as live:
                    while time.monotonic() < end and alive():
                        live.update(self._page(end), refresh=True)
                        time.sleep(min(_EVERY_S, max(0.0, end - time.monotonic())))
            else:
                while time.monotonic() < end and alive():
                    time.sleep(min(_LINE_EVERY_S, max(0.0, end - time.monotonic())))
                    self._lines()
        except KeyboardInterrupt:
            return

    def once(self) -> None:
        """Print the table as it is now."""
        time.sleep(_EVERY_S)  # rates are of this long
        self._console.print(self._page(float("inf")))

    def _page(self, end: float) -> Group:
        found = self._look()
        rates = self._rates(found)
        spreads = self._spreads()
        left = f", {end - time.monotonic():.0f} s left" if end != float("inf") else ""
        title = Text(
            f"{self._title}: instance {found['instance']}, generation {found['generation']}, "
            f"{found['health']['state']}{left}"
            + "".join(f"\n{line}" for line in switched_off(found)),
            style=_OFF if switched_off(found) else "bold",
        )
        sources = sources_table(found, rates, self._console.width)
        lines = (*_count_lines(found), *_audit_lines(found, self._console.width))
        counts = [Text(line) for line in lines]
        n_rows, below = _TOP, [*counts, *_settings_lines(self._settings), *_troubles(found)]
        # what does not fit is cut off, and troubles are at the end
        if self._console.is_terminal and (n_rows := self._room(title, sources, below)) < 1:
            below = [*counts, *_troubles(found)]  # settings do not change while one looks
            n_rows = max(1, self._room(title, sources, below))
        return Group(title, sources, self._spreads_table(spreads, n_rows), *below)

    def _room(self, title: Text, sources: Table, below: Sequence[Text]) -> int:
        """Return how many spreads fit between what is above and below them, _TOP at most."""
        rest = Group(title, sources, self._spreads_table([]), *below)
        taken = len(self._console.render_lines(rest, pad=False))
        return min(_TOP, self._console.height - taken - 1)

    def _lines(self) -> None:
        found = self._look()
        rates = self._rates(found)
        spreads = self._spreads()
        best = filter(None, [best_spread(spreads)])
        say(
            f"{sum(rates.values()):.0f} quotes/s from "
            f"{sum(s['sockets'] for s in found['sources'].values())} sockets; "
            + "; ".join((*_count_lines(found), *_audit_lines(found)))
            + "".join(f"; {line}" for line in (*switched_off(found), *_troubles(found)))
            + "".join(
                f"; best {r['direction']} {r['symbol']} net {_bps(r['net_bps'])} bps" for r in best
            )
        )

    def _spreads(self) -> list[dict[str, Any]]:
        return live_spreads(self._instance, self._config, self._names, self._edges)

    def _look(self) -> dict[str, Any]:
        stamp = settings_stamp(self._instance)
        if self._reread and stamp not in (0, self._stamp):  # 0: being made anew
            self._stamp = stamp
            self._instance, self._config, self._settings = self._reread()
            self._named = -1
        found = status(self._instance, self._config)
        if found["generation"] != self._named:
            self._named = found["generation"]
            lists = _lists(self._instance, self._config, self._named)
            self._names = lists.names if lists else ()
            self._edges = {edge.id: edge for edge in lists.edges} if lists else {}
        return found

    def _rates(self, found: Mapping[str, Any]) -> dict[str, float]:
        """Quotes per second of each source since the last look."""
        now = now_ns()
        quotes = {name: s["quotes"] for name, s in found["sources"].items()}
        last_ns, last = self._last
        self._last = now, quotes
        seconds = max((now - last_ns) / 1e9, 1e-9)
        # below 0 where another run began meanwhile, whose counts begin anew
        return {name: max(0, n - last.get(name, n)) / seconds for name, n in quotes.items()}

    def _spreads_table(self, spreads: Sequence[Mapping[str, Any]], n_rows: int = _TOP) -> Table:
        title = f"live spreads: {len(spreads)}" + (
            f", best {n_rows} by net" if len(spreads) > n_rows else ""
        )
        table = _table(title, self._console.width)
        table.add_column("direction", no_wrap=True)
        table.add_column("pair", no_wrap=True)
        long_names = any(not d.built_in for d in self._config.enabled_directions)
        left_out = _BESIDE_LONG_NAMES if long_names and self._console.width < _WIDE else ()
        names = [name for name in _SPREAD if name not in left_out]
        for name in names:
            table.add_column(name, justify="right")
        for row in spreads[:n_rows]:
            table.add_row(
                row["direction"],
                row["symbol"] + ("" if row["proven"] else " unproven"),
                *(_SPREAD[name](row) for name in names),
                style="" if row["tradable"] else "dim",
            )
        return table


def _bps(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


_SPREAD: dict[str, Callable[[Mapping[str, Any]], str]] = {  # columns of the table of spreads
    "gross bps": lambda row: _bps(row["gross_bps"]),
    "net bps": lambda row: _bps(row["net_bps"]),
    "funding bps": lambda row: "-" if row["funding_bps"] is None else f"{row['funding_bps']:+.1f}",
    "notional": lambda row: "-" if math.isnan(row["notional"]) else f"{row['notional']:,.0f}",
    "age s": lambda row: f"{row['age_s']:.0f}",
    "quote ms": lambda row: "-" if row["quote_age_ms"] is None else f"{row['quote_age_ms']:,.0f}",
}
# where it is narrow: okx-futures->binance-futures has to fit
_BESIDE_LONG_NAMES = ("funding bps", "quote ms")


def sources_table(
    found: Mapping[str, Any], rates: Mapping[str, float] | None = None, width: int = _WIDE
) -> Table:
    """Return the table of sources of a status; rates take the place of the fallback frames.

    Where it is narrow, the counts of the run make room: a name that is cut off says nothing.
    """
    wide = width >= _WIDE
    run = f" / this run, since {_time(found)}" if wide else ""
    table = _table(f"sources; counts: {_minute(found)}{run}", width)
    table.add_column("source", no_wrap=True)
    table.add_column("state")
    pace = "fallback" if rates is None else "quotes/s"
    agreed = ["agreed"] if wide and found["audit"] else []
    names = ("sockets", "pairs", "stale", *agreed, "quotes", pace, "age ms", "declined", "reconn.")
    for name in names:
        if wide or name != pace:
            table.add_column(name, justify="right")
    for name, source in found["sources"].items():
        state, age = found["roles"][name]["state"], source["age_ms"]
        last = found["last_minute"]["sources"][name]

        def counts(key: str, last: Any = last, run: Any = source) -> str:
            return f"{last[key]:,} / {run[key]:,}" if wide else f"{last[key]:,}"

        at_pace = counts("fallback") if rates is None else f"{rates[name]:,.0f}"
        table.add_row(
            name,
            Text(state, style="" if state == "running" else "yellow"),
            str(source["sockets"]),
            str(source["pairs"]),
            Text(str(source["stale"]), style="yellow" if source["stale"] else ""),
            *[_agreed(found["audit"], name) for _ in agreed],
            counts("quotes"),
            *([at_pace] if wide else []),
            "-" if age is None else f"{max(0.0, age):.0f}",
            counts("declined"),
            counts("reconnects"),
        )
    return table


def _table(title: str, width: int) -> Table:
    """Return an empty table, without a frame where there is no room for one."""
    if width >= _WIDE:
        return Table(title=title, title_justify="left")
    return Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))


def _agreed(audit: Mapping[str, Any], source: str) -> Text:
    """Return which share of a source's quotes agreed: none where nothing has been confirmed."""
    kinds = {t["source"]: t["kind"] for t in audit["troubles"] if t["kind"] != "clock"}
    kind = kinds.get(source)
    text = f"{floored(audit['sources'][source]['agreement_pct'], 1)} %"
    return Text("none" if kind == "confirms_nothing" else text, style="yellow" if kind else "")


def _audit_table(found: Mapping[str, Any], width: int) -> Table:
    """Return what the last round of each source found."""
    table = _table("audit, by the last round of each source; wrong: in this run", width)
    table.add_column("source", no_wrap=True)
    names = (
        "audited", "agreed", "not\njudged", "accused", "wrong", "halted", "oldest\ns", "lag s",
        "round\nago s", *(["clock\nms"] if width >= _WIDE else []),
    )  # fmt: skip
    for name in names:
        table.add_column(name, justify="right")
    bad = {trouble["source"] for trouble in found["audit"]["troubles"]}
    for name, source in found["audit"]["sources"].items():
        numbers = (
            *(f"{source[key]:,}" for key in ("audited", "agreed", "not_judged", "accused")),
            f"{found['sources'][name]['found_wrong']:,}",
            f"{source['halted']:,}",
            _seconds(source["oldest_s"]),
            "unknown" if source["lag_s"] is None else _seconds(source["lag_s"], 1),
            _seconds(source["round_s"]),
            *([_clock_ms(source["clock_ahead_ms"])] if width >= _WIDE else []),
        )
        table.add_row(name, *numbers, style="yellow" if name in bad else "")
    return table


def _seconds(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _clock_ms(ahead_ms: float | None) -> str:
    return "-" if ahead_ms is None else f"{ahead_ms:+,.0f}"


def _audit_lines(found: Mapping[str, Any], width: int = _WIDE) -> list[str]:
    """Return what the audit says of all sources, and what became of the engine's questions.

    A line each, also on 80 columns; the last where the engine asked anything in this run.
    """
    if not found["audit"]:
        return []
    of_all, minute = found["audit"]["all"], found["last_minute"]["engine"]
    wrong = sum(source["found_wrong"] for source in found["sources"].values())
    names = ("asked", "unproven", "contradicted")
    asked = ", ".join(f"{name} {minute[name]:,} / {found['engine'][name]:,}" for name in names)
    audited, agreed = of_all["audited"], of_all["agreed"]
    wide = width >= _WIDE
    unknown, left_out = of_all["lag_unknown"], of_all["left_out"]
    clock_ms = of_all["clock_ahead_ms"]
    silent = f"left out: {left_out} of {len(found['audit']['sources'])} sources, whose last round "
    return [
        (f"audited {audited:,}, agreed {agreed:,}" if wide else f"agreed {agreed:,} of {audited:,}")
        + f", not judged {of_all['not_judged']:,}, wrong {wrong:,}, halted {of_all['halted']:,}, "
        f"oldest {'confirmation ' if wide else ''}{_seconds(of_all['oldest_s'])} s, "
        f"lag {_seconds(of_all['lag_s'], 1)} s"
        + (f", unknown of {unknown}" if unknown and wide else "")
        + (f", clock {_clock_ms(clock_ms)} ms" if clock_ms is not None and wide else ""),
        *([f"{silent}failed, lagged or is yet to come"] if left_out else []),
        *([f"{_minute(found)} / this run: {asked}"] if found["engine"]["asked"] else []),
    ]


def status_tables(found: Mapping[str, Any], width: int = _WIDE) -> list[Any]:
    """Return everything that `ctl status` prints for people."""
    roles = _table("roles", width)
    roles.add_column("role", no_wrap=True)
    roles.add_column("state")
    for name in ("pid", "beat ms ago", "restarts in run", "generation"):
        roles.add_column(name, justify="right")
    for name, role in found["roles"].items():
        age = role["beat_age_ms"]
        roles.add_row(
            name,
            role["state"],
            str(role["pid"] or "-"),
            "-" if age is None else f"{age:.0f}",
            str(role["restarts"]),
            str(role["generation"]),
        )
    lines = (*_count_lines(found), *_audit_lines(found, width), _creation_line(found))
    health = found["health"]
    return [
        *[Text(line, style=_OFF) for line in switched_off(found)],
        Text(health["sentence"], style="bold yellow" if health["exit_code"] else "bold"),
        roles,
        sources_table(found, width=width),
        *([_audit_table(found, width)] if found["audit"] else []),
        *[Text(line) for line in lines],
        *_recording_line(found),
        *_settings_lines(found.get("settings")),
        *_troubles(found),
    ]


def switched_off(found: Mapping[str, Any]) -> list[str]:
    """Return what an operator switched off, a line each, and how it is switched on again."""
    kill = msgspec.convert(found["killed"], Killed | None)
    pauses = msgspec.convert(found["pauses"], tuple[Pause, ...])
    return off_lines(Switches(kill=kill, pauses=pauses), found["instance"])


def off_lines(off: Switches, instance: str) -> list[str]:
    """Return what is said of switches that are off, wherever it is told."""
    resume = "`spreadscan ctl resume"
    kill = f"{off.kill}; no signals until {resume} --after-kill WHY --instance {instance}`"
    return [kill] * bool(off.kill) + [
        f"{pause}; {resume}{'' if pause.of == ALL else f' {quote(pause.of)}'} "
        f"--instance {instance}` ends it"
        for pause in off.pauses
    ]


def _troubles(found: Mapping[str, Any]) -> list[Text]:
    """One line per thing that a user should not overlook."""
    findings = found["health"]["findings"]
    lines = [f["words"] for f in findings if f["state"] not in ("killed", "paused")]  # told above
    asked = found["generation"]
    late = [n for n, role in found["roles"].items() if role["alive"] and role["generation"] < asked]
    if late:
        lines.append(f"generation {asked} not taken yet by: {', '.join(late)}")
    if (n_open := found["tracks"]["open"]) > (seen := found["tracks_seen"]):
        lines.append(f"{n_open:,} open tracks, of which {seen:,} can be seen: capacity.tracks")
    files = found["files"]
    if files["sync_errors"]:
        lines.append(
            f"disk: {files['sync_errors']} syncs failed in this run, {files['untrusted_rows']:,} "
            "rows may be lost in a power cut; the tracker's log names the files"
        )
    if audit := found["audit"]:
        lines += maintenance_lines(audit["maintenance"])
    for name, source in found["sources"].items():
        if barred := source["barred"]:
            until = f"left alone until {barred['until']}" if barred["until"] else "blocked"
            lines.append(f"{name} is {until}: {barred['reason']}")
    return [Text(line, style="bold yellow") for line in lines]


def run_line(found: Mapping[str, Any]) -> str:
    """Return what a run counted, with the moment since when."""
    signals, tracks = found["signals"], found["tracks"]
    return (
        f"this run, since {_time(found)}: signals {signals['produced']} = tracked "
        f"{signals['tracked']} + queued {signals['queued']}, suspect {signals['suspect']}, frozen "
        f"{signals['frozen']}; tracks open {tracks['open']}, {_ends(tracks)}"
    )


def _settings_lines(settings: Mapping[str, Any] | None) -> list[Text]:
    """Tell what decides which spreads are shown, and where they are kept."""
    if settings is None:
        return []
    directions = settings["directions"].values()
    universe = settings["universe"]
    without = f" without {', '.join(universe['exclude'])}" if universe["exclude"] else ""
    since = f"in use since {settings['since'][:19]}Z" if settings["in_use"] else "of this command"
    return [
        Text(
            f"threshold {_range(d['threshold_bps'] for d in directions)} bps, fees of both legs "
            f"{_range(d['fees_bps'] for d in directions)} bps; pairs "
            f"{', '.join(universe['include'])}{without} in {', '.join(universe['quotes'])} of "
            f"{len(settings['sources'])} sources"
        ),
        Text(f"data in {settings['paths']['data']}; settings {since}"),
    ]


def _range(values: Iterable[float]) -> str:
    found = sorted(values)
    return f"{found[0]:g}" if found[0] == found[-1] else f"{found[0]:g} to {found[-1]:g}"


def _count_lines(found: Mapping[str, Any]) -> list[str]:
    minute = found["last_minute"]
    return [
        run_line(found),
        f"{_minute(found)}: signals {minute['signals']['tracked']}, "
        f"suspect {minute['signals']['suspect']}, frozen {minute['signals']['frozen']}; "
        f"{_ends(minute['tracks'])}; p50/p99 {_latencies(minute)}",
    ]


def _creation_line(found: Mapping[str, Any]) -> str:
    total = found["since_creation"]
    quotes = sum(source["quotes"] for source in total["sources"].values())
    answers = ""
    if found["audit"]:
        asked, told = (
            sum(c[key] for c in total["audit"].values()) for key in ("questions", "answers")
        )
        answers = f"; questions {asked:,}, answered {told:,}"
    return (
        f"since creation, {total['since'][:19]}Z: quotes {quotes:,}, signals "
        f"{total['signals']['produced']:,}, {_ends(total['tracks'])}{answers}; p50/p99 "
        f"{_latencies(total)}"
    )


def _ends(tracks: Mapping[str, Any]) -> str:
    found = ends_shown({name.upper(): n for name, n in tracks.items()})
    return ", ".join(f"{reason.lower().replace('_', ' ')} {n:,}" for reason, n in found.items())


def _time(found: Mapping[str, Any]) -> str:
    """Since when a run is: the time, and the day where it is not today's."""
    since = found["since"]
    day = "" if since[:10] == f"{datetime.now(UTC):%Y-%m-%d}" else f"{since[:10]} "
    return f"{day}{since[11:19]}Z"


def _minute(found: Mapping[str, Any]) -> str:
    return f"last {found['last_minute']['seconds']:.0f} s"


def _recording_line(found: Mapping[str, Any]) -> list[Text]:
    live = [source for source in found["sources"].values() if source["recording"]]
    if not live:
        return []
    recorded, lost = (sum(s[key] for s in live) for key in ("recorded", "unrecorded"))
    return [Text(f"recording {len(live)} sources: {recorded:,} frames, {lost:,} dropped")]


def _latencies(counts: Mapping[str, Any]) -> str:
    def text(name: str) -> str:
        q = counts["latency_ns"][name]
        if q["p50"] is None:
            return "-"
        return f"{q['p50'] / 1e3:,.0f}/{q['p99'] / 1e3:,.0f} us"

    return f"receive->slot {text('receive_slot')}, receive->signal {text('receive_signal')}"


def _lists(instance: Instance, config: Config, generation: int) -> Numbered | None:
    """Return the lists in use; None without any: then ids must do."""
    in_use = lists_in_use(instance)
    if in_use is not None and in_use.generation >= generation:
        return in_use
    try:
        return load(config.paths.generated)
    except BadGenerated:
        return None
