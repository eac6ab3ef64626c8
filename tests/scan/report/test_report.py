"""`spreadscan report`: the page and its numbers, from nothing to a hundred thousand tracks."""

import json
import math
import re
import resource
import signal
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from statistics import median

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from known import TWELVE as DIRECTIONS
from scan.export import made
from spreadscan.cli import options
from spreadscan.cli.main import commands
from spreadscan.clock import iso_utc
from spreadscan.errors import BadData, ConfigError
from spreadscan.report import compose, figures, history, make, theme, timeline, truth
from spreadscan.report.theme import COLOURS, style, svg
from spreadscan.tracker import AUDIT, SIGNALS

PICTURES = ["ages", "durations", "heat-peaks", "heat-signals", "pairs", "peaks", "sizes"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Each track takes a tenth of a second to draw, pictures for paper half a second in all."""
    monkeypatch.setattr(compose, "_SHOWN", 2)
    monkeypatch.setattr(theme, "_PNG_DPI", 50)


@pytest.fixture
def undrawn(monkeypatch):
    """Of what a page says the pictures are the costly part; other tests draw them."""
    monkeypatch.setattr(compose, "svg", lambda figure, title: "<svg></svg>")
    monkeypatch.setattr(compose, "save_png", lambda figure, path: path.touch())


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def page(tmp_path):
    return tmp_path / "out" / "page.html"


class Page(HTMLParser):
    """What a browser would load, and which elements are open at the end."""

    VOID = {"meta", "hr", "br", "link", "img"}

    def __init__(self, text):
        super().__init__()
        self.urls, self.open, self.words, self.figures, self.hints = [], [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not value.startswith("#"):
                self.urls.append(value)
            if name == "data-track":
                self.figures.append(value)
        self.hints += tag == "title"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def read(path):
    text = path.read_text("utf-8")
    found = Page(text)
    assert [] == found.open
    assert [] == found.urls  # nothing is loaded, whatever it is
    assert "url(" not in text.replace("url(#", "")
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"\bnan\b|NaN|Infinity", found.text)
    return text, found


def test_numbers_are_those_of_the_market(data, page, monkeypatch):
    monkeypatch.setattr(compose, "_SHOWN", 8)
    spreads = made.spreads(300, seed=2, days=2)
    made.write(data, spreads, grid_s=5.0)
    result = make(data, page)
    assert 300 == result.signals
    for reason in figures.ENDS:
        expected = sum((spread.reason or "OPEN") == reason for spread in spreads)
        assert expected == result.ends.get(reason, 0)
    assert len({(s.symbol_id, s.direction) for s in spreads}) == result.pairs
    ended = [s for s in spreads if s.reason]
    assert median(s.duration_s for s in ended) == pytest.approx(result.duration_s, abs=1e-5)
    peaks = [s.peak_bps if s.reason else s.net_bps(0.0) for s in spreads]
    assert median(peaks) == pytest.approx(result.peak_net_bps, abs=1e-3)
    assert median(s.size_usdt for s in spreads) == pytest.approx(result.notional, abs=0.01)
    gaps = [s for s in spreads if s.gap_s and s.gap_s < 0.5 * s.duration_s]
    assert (len(gaps), sum(s.gap_s for s in gaps)) == (
        result.gaps, pytest.approx(result.gap_s, abs=1e-4))  # fmt: skip
    assert len(list(data.glob("snapshots-*"))) == result.hours
    assert [] == result.faults
    text, found = read(page)
    assert "300 signals" in found.text
    assert f"{result.peak_net_bps:.1f} bps" in found.text
    assert 4 < len(found.figures) == len(set(found.figures)) <= 8
    assert result.shown == found.figures
    assert found.hints > 2 * 12 * 24  # every cell tells its number
    check_colours(text)


def check_colours(text):
    """Each is a variable that both schemes set."""
    css, body = text.split("</style>", 1)
    for colour in set(re.findall(r"var\(--(\w+)\)", text)) - {"font"}:
        assert 2 == len(re.findall(rf"--{colour}: #", css)), f"{colour}: light and dark"
    for value in COLOURS.values():
        assert value not in body
    assert [] == re.findall(r"(?:fill|stroke): #", body)


def kept(spread):
    """Size at OPEN times what a round trip left, by the prices of the first and the last look."""
    opened, end = (made._look(spread, age) for age in (0.0, spread.duration_s))
    gross = (float(opened["sell_bid"]) / float(opened["buy_ask"]) - 1) * 1e4
    left = (float(end["sell_ask"]) / float(end["buy_bid"]) - 1) * 1e4
    return spread.size_usdt * (gross - left - 2 * made.FEES_BPS) / 1e4


def one_of(spread, other):
    """Whether two spreads are one opportunity: overlapping in time, with a leg in common."""
    a, b = DIRECTIONS[spread.direction], DIRECTIONS[other.direction]
    return (
        spread.symbol_id == other.symbol_id
        and spread.opened_s < other.opened_s + other.duration_s
        and other.opened_s < spread.opened_s + spread.duration_s
        and (a.buy == b.buy or a.sell == b.sell)
    )


def test_best_pairs_and_cells_are_those_of_a_loop(data):
    spreads = made.spreads(3_000, seed=6)
    made.write(data, spreads, grid_s=None)
    tracks = history.load(data, None, lambda n: None).tracks
    own = []
    for spread in sorted((s for s in spreads if s.reason), key=kept, reverse=True):
        if not any(one_of(spread, other) for other in own):
            own.append(spread)
    assert 50 < len([s for s in spreads if s.reason]) - len(own)  # seen more than once
    assert {s.id for s in own} == set(tracks.id[figures.opportunities(tracks)])
    of_pair = {}
    for s in own:
        of_pair.setdefault((f"C{s.symbol_id}-USDT", s.direction), []).append(kept(s))
    expected = sorted(of_pair.items(), key=lambda item: -sum(item[1]))[:10]
    got = figures.best_pairs(tracks, 10)
    assert [key for key, _ in expected] == [(pair.pair, pair.direction) for pair in got]
    assert [len(values) for _, values in expected] == [pair.times for pair in got]
    assert [sum(values) for _, values in expected] == pytest.approx(
        [pair.kept for pair in got], rel=1e-3, abs=1e-3
    )
    directions = figures._directions(tracks)
    found = figures._by_hour(tracks, directions, np.ones(len(tracks)))
    cells = np.zeros(found.shape)
    for s in spreads:
        cells[directions.index(s.direction), datetime.fromtimestamp(s.opened_s, UTC).hour] += 1
    assert cells.tolist() == found.tolist()


def spread_of(sequence, direction, opened_s, duration_s, **other):
    fields = {
        "symbol_id": 1, "peak_bps": 90.0, "size_usdt": 1000.0, "buy_px": 1.0,
        "reason": "CONVERGED", "open_bps": 60.0,
    }  # fmt: skip
    return made.Spread(
        sequence=sequence, direction=direction, opened_s=made.START_S + opened_s,
        duration_s=duration_s, **(fields | other),
    )  # fmt: skip


def test_three_directions_that_see_one_leg_are_one_opportunity(data, page):
    """Three spot exchanges against a perpetual that is out of line; another pair; a later time."""
    same = [d.id for d in DIRECTIONS if d.sell.id == DIRECTIONS[0].sell.id]
    assert 3 == len(same)
    spreads = [
        spread_of(0, same[0], 10.0, 50.0, size_usdt=500.0),
        spread_of(1, same[1], 11.0, 20.0, size_usdt=900.0),  # keeps most
        spread_of(2, same[2], 12.0, 30.0, size_usdt=700.0),
        spread_of(3, same[0], 60.0, 10.0),  # begins as the first ends
        spread_of(4, same[0], 10.0, 50.0, symbol_id=2),
        spread_of(5, same[2], 200.0, 50.0, reason=""),  # open yet
    ]
    made.write(data, spreads, grid_s=None)
    tracks = history.load(data, None, lambda n: None).tracks
    expected = {spreads[n].id for n in (1, 3, 4)}
    assert expected == set(tracks.id[figures.opportunities(tracks)])
    result = make(data, page)
    assert (6, 3) == (result.signals, result.opportunities)
    assert sum(kept(spreads[n]) for n in (1, 3, 4)) == pytest.approx(result.kept, rel=1e-3)


def test_a_pair_that_looked_good_and_kept_nothing_is_not_the_best(data):
    spreads = [
        spread_of(0, 0, 0.0, 50.0, open_bps=200.0, reason="EXPIRED", size_usdt=9e4),
        spread_of(1, 0, 0.0, 50.0, symbol_id=2),
    ]  # the first is at its opening edge when it ends: closing costs all of it
    made.write(data, spreads, grid_s=None)
    tracks = history.load(data, None, lambda n: None).tracks
    best = figures.best_pairs(tracks, 2)
    assert ["C2-USDT", "C1-USDT"] == [pair.pair for pair in best]
    assert best[0].kept > 0 > best[1].kept


@pytest.mark.parametrize(
    ("usdc", "currency"), [((), "USDT"), ((0,), "USDC/USDT"), ((0, 1), "USDC")]
)
def test_amounts_are_told_in_the_quote_currency(data, page, usdc, currency):
    made.write(data, [spread_of(n, 0, 0.0, 50.0, symbol_id=n) for n in (0, 1)], grid_s=None)
    for path in data.glob("signals-*"):
        text = path.read_text()
        for n in usdc:
            text = text.replace(f"C{n}-USDT,{n},USDT", f"C{n}-USDC,{n},USDC")
        path.write_text(text)
    assert currency == make(data, page).currency
    _, found = read(page)
    assert f"kept after all fees, {currency}" in found.text
    assert ("USDT" in found.text) == (currency != "USDC")


def test_ages_are_those_of_the_older_quote(data, page):
    spreads = made.spreads(50, seed=3)
    made.write(data, spreads, grid_s=None)
    result = make(data, page)
    assert median(s.age_ms for s in spreads) == result.open_age_ms
    ended = [s.age_ms * 9 for s in spreads if s.reason]
    assert median(ended) == result.worst_age_ms
    _, found = read(page)
    assert "How old the quotes were" in found.text
    assert "signals within 10 s" in found.text


def test_rows_without_ages_are_told_so(data, page):
    made.write(data, made.spreads(20, seed=3), grid_s=None)
    path = data / "signals-20261120.csv"
    head, *rows = [line.split(",") for line in path.read_text().splitlines()]
    names = rows[0]
    for row in rows[1:]:
        for name in ("buy_age_ms", "sell_age_ms", "worst_buy_age_ms", "worst_sell_age_ms"):
            row[names.index(name)] = ""
    path.write_text("\n".join(",".join(row) for row in (head, *rows)) + "\n")
    result = make(data, page)
    assert math.isnan(result.open_age_ms)
    _, found = read(page)
    assert "no signal tells the age of its quotes" in found.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("first", "second", "expected"), [
    (b"false", b"false", ""),
    (b"true", b"true", "simulated market"),
    (b"false", b"true", "{second} of {all} signals: simulated market"),
    (b"unknown", b"unknown", "market not known: real or simulated"),
])  # fmt: skip
def test_a_simulated_market_is_told_in_a_line(data, page, first, second, expected):
    made.write(data, made.spreads(60, seed=4, days=2), grid_s=None)
    for day, market in (("20261120", first), ("20261121", second)):
        path = data / f"signals-{day}.csv"
        path.write_bytes(path.read_bytes().replace(b"simulated=false", b"simulated=" + market))
    result = make(data, page)
    text, found = read(page)
    n = sum(t >= made.START_S + 86_400 for t in history.load(data, None, print).tracks.opened_s)
    line = expected.format(second=n, all=60)
    assert line in found.text
    assert bool(line) == ('class="market"' in text)
    assert (60 if first == b"true" else n if second == b"true" else 0) == result.simulated


def test_the_round_trip_pays_fees_both_ways(data):
    (spread,) = made.spreads(1, seed=8)
    made.write(data, [spread], grid_s=None)
    tracks = history.load(data, None, lambda n: None).tracks
    opened, end = (spread.net_bps(age) + made.FEES_BPS for age in (0.0, spread.duration_s))
    buy_bid, sell_ask = 0.9998, (1 + end / 1e4) * 1.0002
    exit_bps = (sell_ask / buy_bid - 1) * 1e4
    assert [opened - exit_bps - 2 * made.FEES_BPS] == pytest.approx(tracks.trip_bps, abs=1e-3)


# -- what turned out not to be true


def test_what_turned_out_unproven_is_in_no_figure(data, page, tmp_path):
    """The same market twice, once with spreads that never were: better than all others."""
    spreads = made.spreads(300, seed=2)
    made.write(tmp_path / "without", spreads, grid_s=None)
    wrong = [
        made.Spread(
            sequence=1_000 + n, symbol_id=spreads[n].symbol_id, direction=n % 12,
            opened_s=spreads[n].opened_s, duration_s=50.0, peak_bps=5_000.0, size_usdt=1e6,
            buy_px=1.0, reason="UNPROVEN", open_bps=4_000.0,
        )
        for n in range(0, 300, 10)
    ]  # fmt: skip
    made.write(data, [*spreads, *wrong], grid_s=None)
    expected, result = make(tmp_path / "without", tmp_path / "x.html"), make(data, page)
    assert 30 == result.ends.pop("UNPROVEN")
    apart = {"page", "pictures"}
    for name in set(expected.__struct_fields__) - apart:
        known, found = getattr(expected, name), getattr(result, name)
        assert known == found or known != known, name
    clean, found = (history.load(folder, None, print) for folder in (tmp_path / "without", data))
    assert figures.best_pairs(clean.counted, 50) == figures.best_pairs(found.counted, 50)
    text, told = read(page)
    assert "unproven 30 (in no figure)" in told.text
    assert "300 signals" in told.text
    pictures = {path.name: path.read_bytes() for path in page.parent.glob("*.png")}
    for name in PICTURES:
        assert (tmp_path / f"x-{name}.png").read_bytes() == pictures[f"page-{name}.png"], name


def test_an_unproven_spread_is_shown_to_whoever_asks_for_it(data, page, monkeypatch):
    monkeypatch.setattr(compose, "_SHOWN", 20)
    spreads = made.spreads(20, seed=5)
    for spread, reason in zip(spreads, ("UNPROVEN", "NOT_TRADING"), strict=False):
        spread.reason, spread.duration_s = reason, 60.0
    made.write(data, spreads, grid_s=2.0)
    unproven, halted = spreads[0].id, spreads[1].id
    shown = make(data, page).shown
    assert unproven not in shown
    assert halted in shown
    assert [unproven] == make(data, page, wanted=[unproven]).shown
    assert "unproven after 60 s" in read(page)[1].text


def audit_rows(folder, rows, day="20261120", junk=b""):
    """Write (hour, source, counts) as the audit does."""
    lines = []
    for hour, source, counts in rows:
        begin, end = (iso_utc((made.START_S + h * 3600) * made.S) for h in (hour, hour + 1))
        known = {c.name: "0" for c in AUDIT.columns if c.unit == "integer"}
        values = {name: str(n) for name, n in counts.items()}
        lines.append(AUDIT.row({"begin": begin, "end": end, "source": source} | known | values))
    text = AUDIT.header + "".join(lines).encode() + junk
    (folder / f"audit-{day}.csv").write_bytes(text)


def test_agreement_is_that_of_the_audits_files(data, page):
    made.write(data, made.spreads(20, seed=5), grid_s=None)
    good = {"rounds": 240, "audited": 1_010, "agreed": 1_000, "not_judged": 10}
    bad = {"rounds": 240, "audited": 1_000, "agreed": 950, "accused": 50, "wrong": 2, "halts": 3}
    audit_rows(data, [
        (0, "okx-spot", good), (1, "okx-spot", bad), (2, "okx-spot", {"failed": 9}),
        (0, "binance-spot", good), (3, "binance-spot", good),
    ])  # fmt: skip
    result = make(data, page)
    assert ["binance-spot", "okx-spot", "all"] == list(result.audit)
    okx = result.audit["okx-spot"]
    assert (1_950, 50, 10, 2, 3, 9) == tuple(
        okx[name] for name in ("agreed", "accused", "not_judged", "wrong", "halts", "failed")
    )
    assert 100 * 3_950 / 4_000 == pytest.approx(result.agreement_pct)
    text, found = read(page)
    for told in (
        "98.75 % of the quotes agreed with their venue",
        "okx-spot, 2026-11-20 01:00 to 11-20 02:00 UTC: 95.00 % agreed of 1,000 judged; not judged "
        "0, wrong 2, halted 3; rounds 240, failed 0, lagging 0",
        "okx-spot, 2026-11-20 02:00 to 11-20 03:00 UTC: – % agreed of 0 judged",
        "okx-spot, 2026-11-20 03:00 to 11-20 04:00 UTC: not audited",
        "all 98.75 960 9 0 3,950 50 30 2 3 0 0",
        "Accused : one answer differs.",
    ):
        assert told in found.text, told
    check_colours(text)
    assert (page.parent / "page-truth.png").exists()


def test_the_age_of_a_page_is_that_of_its_audit_too(data):
    made.write(data, made.spreads(20, seed=5), grid_s=None)
    audit_rows(data, [(hour, "okx-spot", {"agreed": 1}) for hour in range(5)])
    since = datetime.fromtimestamp(made.START_S + 2.5 * 3600, UTC)
    found = truth.read(data, since, faults := [])
    assert [2, 3, 4] == [(hour.begin_s - made.START_S) / 3600 for hour in found]
    assert [] == faults


@pytest.mark.parametrize("days", [0.05, 1, 2, 9, 60, 800])
def test_a_heat_map_of_any_time_fits_the_page(days):
    hours = [
        truth.Hour(at, at + 3600.0, "okx-spot", Counter(agreed=99, accused=1, rounds=1))
        for at in np.arange(made.START_S + 1800, made.START_S + days * 86_400, 3600 * max(1, days))
    ]
    with style():
        drawn = truth.heat(hours)
    (axes,) = drawn.axes
    cells = [text.get_text() for text in axes.texts]
    assert {"99.0"} == set(cells)
    assert len(cells) <= len(axes.patches) <= 30
    assert len(axes.get_xticklabels()) <= 13


def test_what_is_no_row_of_the_audit_is_told(data, page):
    made.write(data, made.spreads(20, seed=5), grid_s=None)
    audit_rows(data, [(0, "okx-spot", {"agreed": 1})], junk=b"a,b\n" + b"x," * 20 + b"y\ntorn")
    (data / "audit-20261119.csv").write_text("# spreadscan audit v9; x\nbegin\n")
    result = make(data, page)
    assert 2 == len(result.faults)
    assert "audit-20261119.csv: begins '# spreadscan audit v9'" in result.faults[0]
    assert "left out 2 broken lines, expected rows of the audit" in result.faults[1]
    assert 1 == result.audit["okx-spot"]["agreed"]


def test_share_at_a_size_counts_what_is_at_least_that():
    known = np.array([10.0, 100.0, 100.0, 1_000.0])
    share = figures.share_at(known, np.array([0.0, 10.0, 10.1, 100.0, 1_000.0, 1_001.0]))
    assert [1.0, 1.0, 0.75, 0.75, 0.25, 0.0] == share.tolist()


@pytest.mark.parametrize("n", [0, 1])
def test_few_tracks_make_a_page_too(data, page, n):
    made.write(data, made.spreads(n, seed=8), grid_s=1.0)
    (data / "signals-20261122.csv").write_bytes(SIGNALS.header)
    result = make(data, page)
    _, found = read(page)
    assert n == result.signals == len(found.figures)
    assert ("no signals yet" in found.text) == (n == 0)
    pictures = sorted(path.name for path in page.parent.glob("*.png"))
    tracks = [f"page-track-{result.shown[-1]}.png"] if n else []
    assert len(PICTURES) + len(tracks) == len(pictures) == len(result.pictures)
    assert {f"page-{name}.png" for name in PICTURES} < {*pictures, "."}
    for path in result.pictures:
        with Image.open(path) as image:
            image.verify()
            assert image.width >= 250
    assert [] == list(page.parent.glob(".*"))


def test_the_page_does_not_grow_with_the_tracks(data, page):
    made.write(data, made.spreads(20_000, seed=3, days=5), grid_s=None)
    result = make(data, page)
    assert 20_000 == result.signals
    assert page.stat().st_size < 700_000
    _, found = read(page)
    assert "No snapshots of these signals were found." in found.text


def test_a_track_of_hours_is_thinned_out_and_keeps_its_extremes(data, page):
    spread = made.spreads(1, seed=8)[0]
    spread.reason, spread.duration_s = "EXPIRED", 10_800.0
    made.write(data, [spread], grid_s=0.5)
    found = history.load(data, None, lambda n: None)
    line = timeline.lines(found, [0], lambda n: None)[0]
    assert 20_000 < line.looks
    assert len(line.age_s) < 700
    nets = [spread.net_bps(k * 0.5) for k in range(1, line.looks)]
    assert max(nets) == pytest.approx(line.net_bps.max(), abs=1e-3)
    assert np.all(np.diff(line.age_s) > 0)
    assert [0.5, 10_800.0] == pytest.approx([line.age_s[0], line.age_s[-1]], abs=0.6)


def test_both_prices_and_gaps_of_a_track_are_on_the_page(data, page):
    spread = made.spreads(1, seed=8)[0]
    spread.duration_s, spread.gap_s = 100.0, 12.0
    made.write(data, [spread], grid_s=0.2)
    make(data, page)
    text, found = read(page)
    lines = json.loads(re.search(r'id="lines">(.*?)</script>', text, re.DOTALL)[1])
    (line,) = lines.values()
    assert len(line["t"]) == len(line["b"]) == len(line["s"]) == len(line["n"]) > 100
    assert not [age for age in line["t"] if 38.1 < age < 49.9]
    assert 0 < line["box"][0] < line["box"][1] < 1
    assert "gap: down" in found.text
    assert "sell leg: bid" in found.text
    assert "buy leg: ask" in found.text


@pytest.mark.usefixtures("undrawn")
def test_any_track_by_its_id(data, page):
    spreads = made.spreads(60, seed=5)
    made.write(data, spreads, grid_s=2.0)
    wanted = [s.id for s in spreads if s.duration_s > 5][:2]
    result = make(data, page, wanted=wanted)
    assert sorted(wanted) == sorted(result.shown)
    assert {f"page-track-{track}.png" for track in wanted} < {p.name for p in page.parent.iterdir()}
    with pytest.raises(
        ConfigError, match="track: 'nix' is not among the 60 of .* expected a track_"
    ):
        make(data, page, wanted=["nix"])


def test_tracks_that_take_too_long_to_read_are_left_out(data):
    made.write(data, made.spreads(60, seed=5), grid_s=2.0)
    found = history.load(data, None, lambda n: None)
    everything = timeline.choose(found, 20, 1 << 40)
    assert 20 == len(everything)
    budget = timeline.cost(found, everything) // 8
    fewer = timeline.choose(found, 20, budget)
    assert 0 < len(fewer) < 20
    assert timeline.cost(found, fewer) <= budget
    assert [] == timeline.choose(found, 20, 0)


@pytest.mark.parametrize("name", ["</script><b>$x$&amp;'-USDT", "币安人生-USDT"])
def test_names_stay_text_whatever_they_are(data, page, name):
    """The second has letters that may be in no font here."""
    made.write(data, made.spreads(3, seed=9), grid_s=1.0)
    for path in data.iterdir():
        path.write_bytes(re.sub(rb"C\d+-USDT", name.encode(), path.read_bytes()))
    make(data, page)
    text, found = read(page)
    assert "<b>$x" not in text
    assert 2 == len(found.figures)
    assert name in found.text


def test_the_same_tracks_give_the_same_picture(data):
    made.write(data, made.spreads(50, seed=9), grid_s=None)
    tracks = history.load(data, None, lambda n: None).tracks
    with style():
        assert svg(figures.peaks(tracks), "x") == svg(figures.peaks(tracks), "x")


def test_since_leaves_older_signals_out(data):
    spreads = made.spreads(80, seed=4, days=3)
    made.write(data, spreads, grid_s=None)
    since = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    tracks = history.load(data, since, lambda n: None).tracks
    expected = [s.id for s in spreads if s.opened_s >= since.timestamp()]
    assert expected == list(tracks.id)
    assert 0 < len(expected) < 80


@pytest.mark.usefixtures("undrawn")
def test_faults_stand_on_the_page_and_the_rest_is_drawn(data, page):
    made.write(data, made.spreads(40, seed=4, days=2), grid_s=5.0)
    (data / "signals-20261120.csv").write_text("# spreadscan signals v1; old\ntime\n")
    path = data / "signals-20261121.csv"
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    result = make(data, page)
    assert 0 < result.signals < 40
    assert 2 == len(result.faults)
    assert "signals v1', expected '# spreadscan signals v4' or one from v2 on" in result.faults[0]
    _, found = read(page)
    assert "Not everything could be read" in found.text
    for fault in result.faults:
        assert " ".join(fault.split()) in found.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("cleared", [False, True])
def test_a_kill_stands_on_the_page_and_first_until_it_is_cleared(data, page, cleared):
    made.write(data, made.spreads(40, seed=4), grid_s=None)
    texts = ["KILLED: a <b>wrong</b> fee", *(["KILL CLEARED: mended"] if cleared else [])]
    (path,) = sorted(data.glob("signals-20261120.csv"))
    rows = [
        SIGNALS.row({"event": "EVENT", "time": f"2026-11-20T12:0{n}:00.000000Z", "reason": text})
        for n, text in enumerate(texts)
    ]
    path.write_text(path.read_text() + "".join(rows))
    result = make(data, page)
    assert [] == result.faults
    assert [f"2026-11-20 12:0{n} UTC {text}" for n, text in enumerate(texts)] == result.remarks
    _, found = read(page)
    assert all(text in found.text for text in result.remarks)
    said = f"{texts[0]}, at 2026-11-20 12:00 UTC, and not cleared since"
    assert ("" if cleared else said) == result.killed
    assert cleared != (said in found.text)


def test_a_folder_without_data_is_a_sentence(tmp_path, page):
    with pytest.raises(BadData, match="expected files of the tracker"):
        make(tmp_path, page)
    assert not page.exists()


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(data, page, children):
    """The kernel refuses a file of more than 5 kB."""
    made.write(data, made.spreads(3, seed=4), grid_s=5.0)

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        try:
            make(data, page)
        except ConfigError as error:
            return str(error)

    children.start("report", limited)
    told = children.results(60.0)["report"]
    assert f"{page}: File too large, expected room to write it" == told
    assert [] == list(page.parent.iterdir())


def run(*args):
    return CliRunner().invoke(commands, ["report", *map(str, args)])


@pytest.mark.usefixtures("undrawn")
def test_the_command_says_where_the_page_is(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.write(data, made.spreads(30, seed=4), grid_s=5.0)
    got = run()
    assert 0 == got.exit_code, got.stderr
    first, second = got.stdout.splitlines()
    assert first.startswith("30 signals in ")
    assert second.startswith("report/report.html: ")
    seen = []
    monkeypatch.setattr("webbrowser.open", seen.append)
    told = json.loads(run("--json", "--since", "2026-11-20", "--open").stdout)
    assert [(tmp_path / "report" / "report.html").as_uri()] == seen
    assert (30, "report/report.html") == (told["signals"], told["page"])
    assert all((tmp_path / path).exists() for path in told["pictures"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--data", "nowhere"], "nowhere: No such file or directory, expected a folder of data"),
        (["--since", "soon"], "since: 'soon', expected a span"),
        (["--track", "nix"], "track: 'nix' is not among the 3 of data"),
        (["--out", "data/signals-20261120.csv/x.html"], "expected room to write it"),
    ],
)
def test_what_cannot_be_is_a_sentence(data, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    made.write(data, made.spreads(3, seed=4), grid_s=5.0)
    got = run(*args)
    assert 2 == got.exit_code
    assert words in got.stderr
    assert 1 == len(got.stderr.splitlines())


@pytest.mark.usefixtures("undrawn")
def test_faults_give_exit_code_2(data, page):
    made.write(data, made.spreads(3, seed=4), grid_s=5.0)
    (data / "signals-20261121.csv").write_text("# spreadscan signals v1; old\ntime\n")
    got = run("--data", data, "--out", page)
    assert 2 == got.exit_code
    assert "signals-20261121.csv: begins" in got.stderr
    assert page.exists()


def test_without_matplotlib_the_extra_is_named(data, monkeypatch):
    real = options.find_spec
    monkeypatch.setattr(
        options, "find_spec", lambda name: None if name == "matplotlib" else real(name)
    )
    got = run("--data", data)
    assert 2 == got.exit_code
    assert "pip install 'spreadscan[report]'" in got.stderr
