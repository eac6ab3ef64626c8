"""The one definition of healthy: every state is reached, by what the table says, and told."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from spreadcore import Instance

from known import SOURCE_BY_NAME
from spreadscan.app.healthy import HUNG_S, LATE_S, ROLE_STATES, STARTING_S, STATES, role_state
from spreadscan.app.status import status
from spreadscan.cli.table import status_tables
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Paths

ROOT = Path(__file__).parents[3]
S = 10**9
OKX = SOURCE_BY_NAME["okx-spot"].id
N_LISTED = 20


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    """Of 20 pairs that are listed, every source has a fresh quote of each."""
    made = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    listed = ", ".join(f'"{name}": {N_LISTED}' for name in SOURCE_BY_NAME)
    head = '"generation": 0, "written": "", "names": [], "retired": [], "retired_unix_s": {}'
    path = Path(made.directory, "lists.json")
    path.write_text(f'{{{head}, "listed": {{{listed}}}}}')
    path.chmod(0o600)
    for source in range(8):
        quote(made, source, N_LISTED)
    return made


@pytest.fixture
def config(instance: Instance, tmp_path: Path) -> Config:
    paths = Paths(generated=str(tmp_path), data=str(tmp_path))
    return Config(instance=instance.name, paths=paths, audit=Audit(enabled=False))


def quote(instance: Instance, source: int, n_fresh: int) -> None:
    for symbol in range(N_LISTED):
        if symbol < n_fresh:
            instance.quotes.write(source, symbol, 99.9, 100.0, 3.0, 3.0, 0, now_ns())
        else:
            instance.quotes.write_empty(source, symbol)


def state_of(instance: Instance, config: Config) -> tuple[str, int]:
    found = status(instance, config)["health"]
    return found["state"], found["exit_code"]


def slot(instance: Instance, role: str) -> int:
    source = SOURCE_BY_NAME.get(role)
    return source.id if source else instance.health.role(role)


def test_the_page_has_the_tables_of_the_code() -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    section = page.partition("\n## States\n")[2].partition("\n## ")[0]
    tables: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", section, re.M):
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in block.splitlines()]
        tables.append(rows[2:])
    assert [
        [[s.name, str(s.exit_code), s.when] for s in STATES],
        [[name, when] for name, when in ROLE_STATES.items()],
    ] == tables
    # what the tables say in figures
    assert (3, 10, 30) == (LATE_S, HUNG_S, STARTING_S)


def test_one_that_is_well_is_running(instance: Instance, config: Config, running: object) -> None:
    found = status(instance, config)
    assert ("running", 0, []) == tuple(
        found["health"][key] for key in ("state", "exit_code", "findings")
    )
    assert "running" == str(status_tables(found)[0])


def end_all(instance: Instance, end: Callable[[str], None], config: Config) -> None:
    for role in ("supervisor", "engine", "tracker", *config.sources):
        end(role)


def old_beat(instance: Instance, role: str) -> None:
    instance.health.beat(slot(instance, role), now_ns() - 4 * S)


def complain(instance: Instance, role: str) -> None:
    instance.health.beat(slot(instance, role), now_ns(), "degraded")


def just_begun(instance: Instance, role: str) -> None:
    instance.health.start(slot(instance, role), now_ns())


Break = Callable[[Instance, Callable[[str], None], Config], object]
CASES: dict[str, tuple[str, Break]] = {
    "nothing runs": ("off", end_all),
    "the kill switch": ("killed", lambda i, end, c: i.control.throw_kill(1, "a test")),
    "no engine": ("down", lambda i, end, c: end("engine")),
    "no source": ("down", lambda i, end, c: [end(name) for name in c.sources]),
    "a stopped engine": ("hung", lambda i, end, c: old_beat(i, "engine")),
    "a stopped supervisor": ("hung", lambda i, end, c: old_beat(i, "supervisor")),
    "a full disk": ("full", lambda i, end, c: complain(i, "tracker")),
    "pause": ("paused", lambda i, end, c: setattr(i.control, "pause", True)),
    "a source ended": ("degraded", lambda i, end, c: end("okx-spot")),
    "a stopped source": ("degraded", lambda i, end, c: old_beat(i, "okx-spot")),
    "sockets missing": ("degraded", lambda i, end, c: complain(i, "okx-spot")),
    "a mute source": ("degraded", lambda i, end, c: quote(i, OKX, 1)),
    "a thin source": ("degraded", lambda i, end, c: quote(i, OKX, 9)),
    "half is enough": ("running", lambda i, end, c: quote(i, OKX, 10)),
    "an engine begins": ("starting", lambda i, end, c: just_begun(i, "engine")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_state_is_what_is_the_case(
    instance: Instance, config: Config, running: Callable[[str], None], case: str
) -> None:
    expected, break_it = CASES[case]
    break_it(instance, running, config)
    exit_code = {state.name: state.exit_code for state in STATES}[expected]
    assert (expected, exit_code) == state_of(instance, config)
    found = status(instance, config)
    assert found["health"]["sentence"].startswith(expected)
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        for part in status_tables(found):
            console.print(part)
    for finding in found["health"]["findings"]:
        assert finding["words"] in captured.get()


def test_every_state_has_a_case() -> None:
    assert {state.name for state in STATES} == {state for state, _ in CASES.values()}


def test_an_entry_of_a_live_pid_without_a_lease_is_nobody(
    instance: Instance, config: Config, running: Callable[[str], None]
) -> None:
    """Scenario 09: pids come again, after a reboot as well; what counts is the lease."""
    running("engine")
    instance.health.start(slot(instance, "engine"), now_ns())  # with the pid of this test
    instance.health.beat(slot(instance, "engine"), now_ns())
    assert ("down", 3) == state_of(instance, config)
    assert "off" == status(instance, config)["roles"]["engine"]["state"]


def test_the_worst_is_told_first(
    instance: Instance, config: Config, running: Callable[[str], None]
) -> None:
    instance.control.pause = True
    quote(instance, OKX, 1)
    running("engine")
    found = status(instance, config)["health"]
    assert "down: not running: engine (and 2 more)" == found["sentence"]
    assert [
        "not running: engine", "no new signals of: all",
        "okx-spot is mute: 1 of 20 pairs are fresh",
    ] == [finding["words"] for finding in found["findings"]]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("off", {"alive": False}),
        ("hung", {"beat_age_s": 3.1}),
        ("starting", {"said": "off"}),  # holds the lease, and has yet to begin
        ("starting", {"said": "starting", "beat_age_s": 20.0, "lived_s": 20.0}),  # recovering
        ("hung", {"said": "starting", "beat_age_s": 31.0, "lived_s": 31.0}),
        ("starting", {"pairs": 0, "lived_s": 20.0}),
        ("starting", {"said": "degraded", "lived_s": 20.0}),
        ("mute", {"pairs": 9}),
        ("thin", {"pairs": 10}),
        ("thin", {"pairs": 49}),
        ("running", {"pairs": 50}),
        ("running", {"pairs": 0, "listed": None}),  # nothing is known of them
        ("degraded", {"said": "degraded"}),
        ("degraded", {"said": "degraded", "lived_s": 20.0, "pairs": None}),  # no source: at once
        ("running", {}),
    ],
)
def test_a_role_is_in_the_first_state_that_fits(expected: str, changed: dict[str, object]) -> None:
    well = {
        "said": "running", "alive": True, "beat_age_s": 0.2, "lived_s": 60.0, "pairs": 90,
        "listed": 100,
    }  # fmt: skip
    found = well | changed
    assert expected == role_state(str(found.pop("said")), **found)  # type: ignore[arg-type]
