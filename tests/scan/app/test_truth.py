"""What the audit says of a running instance, and which of it makes a source degraded."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from spreadcore import Instance
from spreadcore.layout import ENGINE_COUNTERS, SOURCE_COUNTERS

from known import SOURCE_BY_NAME
from spreadscan.app import truth
from spreadscan.app.status import status
from spreadscan.cli.table import LiveTable, sources_table, status_tables
from spreadscan.clock import iso_utc, now_ns
from spreadscan.config import Audit, Config, Paths
from spreadscan.inuse import Announced, leave_maintenance

S = 10**9
OKX, MEXC = SOURCE_BY_NAME["okx-spot"].id, SOURCE_BY_NAME["mexc-futures"].id


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    made = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    now = now_ns()
    for source in range(8):
        figures(
            made, source, round_ns=now - 5 * S, oldest_ns=now - 7 * S, lag_ns=S // 10,
            audited=100, agreed=98, not_judged=2,
        )  # fmt: skip
    return made


@pytest.fixture
def config(instance: Instance, tmp_path: object) -> Config:
    paths = Paths(generated=str(tmp_path), data=str(tmp_path))
    return Config(instance=instance.name, paths=paths)


def figures(instance: Instance, source: int, **values: int) -> None:
    for name, value in values.items():
        instance.audit.set(source, name, value)


def healthy(found: dict[str, Any]) -> bool:
    return found["health"]["exit_code"] == 0


def ago(seconds: float) -> int:
    return max(1, now_ns() - int(seconds * S))  # the machine may have booted since


def text_of(found: dict[str, object], width: int = 200) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        for table in status_tables(found, width):
            console.print(table)
    return captured.get()


def test_the_figures_of_all_sources_are_one_line(
    instance: Instance, config: Config, running: object
) -> None:
    figures(instance, OKX, audited=2681, agreed=2680, not_judged=0, accused=1, halted=3)
    figures(instance, OKX, oldest_ns=ago(21.2), lag_ns=4 * S // 10)
    instance.health.add(MEXC, SOURCE_COUNTERS.index("found_wrong"), 1)
    found = status(instance, config)
    of_all = found["audit"]["all"]
    assert (3381, 3366, 14, 1, 3) == tuple(
        of_all[name] for name in ("audited", "agreed", "not_judged", "accused", "halted")
    )
    assert (pytest.approx(99.97, abs=1e-3), 0.4) == (of_all["agreement_pct"], of_all["lag_s"])
    assert 21 <= of_all["oldest_s"] < 30
    okx = found["audit"]["sources"]["okx-spot"]
    assert (pytest.approx(99.963, abs=1e-3), 5) == (okx["agreement_pct"], round(okx["round_s"]))
    assert 1 == found["sources"]["mexc-futures"]["found_wrong"]
    assert healthy(found)
    line = "audited 3,381, agreed 3,366, not judged 14, wrong 1, halted 3, oldest confirmation 2"
    assert line in text_of(found)
    assert "s, lag 0.4 s\n" in text_of(found)
    narrow = [row for row in text_of(found, 80).splitlines() if "not judged" in row]
    assert [True] == [row.startswith("agreed 3,366 of 3,381, ") for row in narrow]
    assert max(map(len, text_of(found, 80).splitlines())) <= 80
    assert "…" not in text_of(found, 80)  # no word is cut


def test_totals_leave_out_sources_whose_last_round_said_nothing(
    instance: Instance, config: Config, running: object
) -> None:
    for source in range(8):
        figures(instance, source, audited=5, agreed=0, not_judged=5, accused=0, halted=0)
    figures(instance, OKX, audited=100, agreed=90, not_judged=0, accused=10, halted=3)
    figures(instance, MEXC, audited=430, agreed=0, not_judged=430, accused=0, halted=1)
    found = status(instance, config)
    of_all = found["audit"]["all"]
    assert (100, 90, 0, 10) == tuple(
        of_all[name] for name in ("audited", "agreed", "not_judged", "accused")
    )
    assert (90.0, 7, 4) == tuple(of_all[name] for name in ("agreement_pct", "left_out", "halted"))
    told = "left out: 7 of 8 sources, whose last round judged nothing: it failed or lagged"
    assert told in text_of(found)
    assert told in text_of(found, 80)
    assert found["audit"]["sources"]["mexc-futures"]["agreement_pct"] is None


def test_an_age_that_nothing_tells_is_unknown_and_not_zero(
    instance: Instance, config: Config, running: object
) -> None:
    figures(instance, OKX, lag_ns=0)
    figures(instance, MEXC, lag_ns=1)  # of an answer that is newer than its request
    found = status(instance, config)
    levels = found["audit"]["sources"]
    assert (None, 0.0) == (levels["okx-spot"]["lag_s"], levels["mexc-futures"]["lag_s"])
    assert (0.1, 1) == tuple(found["audit"]["all"][name] for name in ("lag_s", "lag_unknown"))
    assert "s, lag 0.1 s, unknown of 1\n" in text_of(found)
    table = text_of(found).partition("audit, by the last round")[2]
    (row,) = [row for row in table.splitlines() if "okx-spot" in row]
    assert "unknown" in row


def test_what_the_engine_asked_is_of_the_run_and_of_the_minute(
    instance: Instance, config: Config, running: object
) -> None:
    health = instance.health
    engine = health.role("engine")
    for name, n in (("asked", 12), ("unproven", 5), ("contradicted", 2)):
        health.add(engine, ENGINE_COUNTERS.index(name), n)
    health.begin_run([engine], now_ns())
    health.add(engine, ENGINE_COUNTERS.index("asked"), 3)
    instance.audit.add(OKX, "questions", 15)
    instance.audit.add(OKX, "answers", 14)
    found = status(instance, config)
    for counts, asked in ((found, 3), (found["last_minute"], 3), (found["since_creation"], 15)):
        assert asked == counts["engine"]["asked"]
    assert (15, 14) == tuple(
        found["since_creation"]["audit"]["okx-spot"][name] for name in ("questions", "answers")
    )
    told = text_of(found)
    assert "this run: asked 3 / 3, unproven 0 / 0, contradicted 0 / 0" in told
    assert "questions 15, answered 14" in told


def test_agreement_below_99_percent_for_a_minute_is_degraded(
    instance: Instance, config: Config, running: object
) -> None:
    figures(instance, OKX, audited=2000, agreed=1979, not_judged=0, accused=21, below_ns=ago(50))
    assert healthy(status(instance, config))
    figures(instance, OKX, below_ns=ago(65))
    found = status(instance, config)
    assert not healthy(found)
    (trouble,) = found["audit"]["troubles"]
    assert ("okx-spot", "disagrees") == (trouble["source"], trouble["kind"])
    words = "okx-spot: 98.9 % of the quotes judged agree with their venue, below 99 % since "
    assert trouble["words"].startswith(words + iso_utc(time.time_ns() - 65 * S)[11:16])
    assert trouble["words"] in text_of(found)
    figures(instance, OKX, below_ns=0)
    assert healthy(status(instance, config))


@pytest.mark.parametrize(
    ("set_to", "every_s", "degraded"),
    [
        ({"failing_ns": 50, "round_ns": 60}, 15.0, False),
        ({"failing_ns": 65, "round_ns": 70}, 15.0, True),
        ({"round_ns": 80}, 15.0, False),  # two rounds late, and a minute
        ({"round_ns": 100}, 15.0, True),  # nobody fails, nothing comes
        ({"round_ns": 100}, 60.0, False),
    ],
)
def test_a_source_whose_rounds_do_not_judge_is_told(
    instance: Instance, config: Config, running: object, set_to: dict[str, int], every_s: float,
    degraded: bool,
) -> None:  # fmt: skip
    config = Config(instance=config.instance, paths=config.paths, audit=Audit(every_s=every_s))
    figures(instance, MEXC, **{name: ago(seconds) for name, seconds in set_to.items()})
    found = status(instance, config)
    told = [trouble["words"] for trouble in found["audit"]["troubles"]]
    since = iso_utc(time.time_ns() - set_to["round_ns"] * S)[11:16]
    assert degraded == (not healthy(found)) == bool(told)
    if degraded:
        assert told[0].startswith(f"mexc-futures: the audit confirms nothing since {since}")
        assert told[0] in text_of(found)


def test_an_audit_that_was_just_started_has_time(
    instance: Instance, config: Config, running: object
) -> None:
    """What stands in the figures may be of a scanner that ran yesterday."""
    for source in range(8):
        figures(instance, source, round_ns=ago(86_400), failing_ns=ago(86_000))
    assert not healthy(status(instance, config))
    instance.health.start(instance.health.role("audit"), ago(40))
    instance.health.beat(instance.health.role("audit"), now_ns())
    assert healthy(status(instance, config))
    for source in range(8):
        figures(instance, source, round_ns=0, failing_ns=0)
    instance.health.start(instance.health.role("audit"), ago(100))
    assert 8 == len(truth.troubles(instance, config, now_ns()))


def test_what_does_not_run_is_told_as_a_role(
    instance: Instance, config: Config, running: Callable[[str], None]
) -> None:
    figures(instance, OKX, failing_ns=ago(300), round_ns=ago(301))
    running("okx-spot")  # nothing to confirm
    assert [] == truth.troubles(instance, config, now_ns())
    figures(instance, MEXC, failing_ns=ago(300), round_ns=ago(301))
    assert ["mexc-futures"] == [t.source for t in truth.troubles(instance, config, now_ns())]
    running("audit")
    found = status(instance, config)
    assert [] == found["audit"]["troubles"]
    assert not found["roles"]["audit"]["alive"]
    assert not healthy(found)
    assert "not running: audit, okx-spot" in text_of(found)


def test_without_an_audit_nothing_is_said_of_it(
    instance: Instance, config: Config, running: Callable[[str], None]
) -> None:
    figures(instance, OKX, failing_ns=ago(300), round_ns=ago(301), below_ns=ago(300))
    running("audit")
    config = Config(instance=config.instance, paths=config.paths, audit=Audit(enabled=False))
    found = status(instance, config)
    assert found["audit"] is None
    assert "audit" not in found["roles"]
    assert "audit" not in found["since_creation"]
    assert healthy(found)
    assert "agreed" not in text_of(found)


def test_maintenance_is_told_while_it_is_not_over(
    instance: Instance, config: Config, running: Callable[[str], None]
) -> None:
    now = time.time_ns()
    soon = now + 3600 * S

    def announced(source: str, state: str, end_ns: int, title: str) -> Announced:
        begin_ns = now - 1800 * S if state == "ongoing" else soon
        return Announced(source=source, state=state, title=title, begin_ns=begin_ns,
                         end_ns=end_ns, what="trading")  # type: ignore[arg-type]  # fmt: skip

    assert [] == truth.maintenance(instance)
    leave_maintenance(
        instance,
        [
            announced("okx-spot", "scheduled", 0, "Upgrade"),
            announced("bybit-spot", "ongoing", now + 900 * S, "Engine"),
            announced("bybit-spot", "ongoing", now - S, "Over"),
        ],
    )
    found = status(instance, config)
    assert ["Upgrade", "Engine"] == [m["title"] for m in found["audit"]["maintenance"]]
    told = text_of(found)
    until, begin = (iso_utc(at)[:16] for at in (now + 900 * S, soon))
    ongoing = f"bybit: maintenance ongoing until {until}Z (trading): Engine"
    scheduled = f"okx: maintenance scheduled from {begin}Z (trading): Upgrade"
    assert 0 < told.index(ongoing) < told.index(scheduled)
    assert healthy(found)  # what comes of it is told by what fails
    running("audit")
    assert [] == status(instance, config)["audit"]["maintenance"]  # nobody knows


def test_the_live_table_shows_agreement_where_there_is_room(
    instance: Instance, config: Config, running: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures(instance, OKX, audited=10_000, agreed=9_999, not_judged=0, accused=1)
    figures(instance, MEXC, audited=0, agreed=0, not_judged=0)
    table = sources_table(status(instance, config), width=130)
    cells = {column.header: [str(cell) for cell in column.cells] for column in table.columns}
    shown = dict(zip(config.sources, cells["agreed"], strict=True))
    # one that disagrees is not rounded away
    assert ["99.9 %", "– %", "100 %"] == [
        shown[name] for name in ("okx-spot", "mexc-futures", "okx-futures")
    ]
    figures(instance, OKX, failing_ns=ago(70))
    columns = sources_table(status(instance, config), width=130).columns
    (cells_now,) = ([str(cell) for cell in c.cells] for c in columns if c.header == "agreed")
    assert "none" == cells_now[config.sources.index("okx-spot")]
    figures(instance, OKX, failing_ns=0)
    narrow = sources_table(status(instance, config), width=80)
    assert "agreed" not in [column.header for column in narrow.columns]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    live = LiveTable(instance, config)
    live._console = Console(force_terminal=True, color_system=None)
    lines = live._console.render_lines(live._page(float("inf")), pad=False)
    text = ["".join(part.text for part in line) for line in lines]
    assert len(text) <= 24
    assert any(line.startswith("agreed 10,587 of 10,600, not judged 12, wrong 0") for line in text)


def test_no_trouble_is_cut_off_a_small_screen(
    instance: Instance, config: Config, running: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    for source in (OKX, MEXC):
        figures(instance, source, failing_ns=ago(70))
    rows = [
        Announced(source=name, state="ongoing", title="x" * 60, begin_ns=0, end_ns=0, what="spot")
        for name in ("okx-spot",)
    ]
    leave_maintenance(instance, rows)
    settings = {
        "directions": {"a": {"threshold_bps": 15.0, "fees_bps": 10.0}}, "sources": config.sources,
        "universe": {"include": ["*"], "exclude": [], "quotes": ["USDT"]}, "in_use": True,
        "since": "2026-11-29T18:00:00", "paths": {"data": "data"},
    }  # fmt: skip
    live = LiveTable(instance, config, settings=settings)
    live._console = Console(force_terminal=True, color_system=None)

    def shown() -> list[str]:
        lines = live._console.render_lines(live._page(float("inf")), pad=False)
        return ["".join(part.text for part in line) for line in lines]

    text = shown()
    assert len(text) <= 24
    assert any(line.startswith("mexc-futures: the audit confirms nothing since") for line in text)
    assert "x" * 60 in text[-1]
    assert not any(line.startswith("threshold ") for line in text)
    for source in (OKX, MEXC):
        figures(instance, source, failing_ns=0)
    leave_maintenance(instance, [])
    assert any(line.startswith("threshold ") for line in shown())
