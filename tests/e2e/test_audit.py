"""The audit beside a running scan: it is one more role, started again when it dies."""

import csv
import os
import signal
from collections.abc import Callable

import pytest
from spreadcore import Instance

from e2e.conftest import Scanner, Simulators, until
from known import EIGHT as SOURCES

OFTEN = ("--set", "audit.every_s=1", "--set", "audit.funding_every_s=5")


def rounds(instance: Instance) -> list[int]:
    return [instance.audit.figures(source.id)["rounds"] for source in SOURCES]


@pytest.mark.parametrize("layout", ["processes", "single"])
def test_every_source_is_audited_and_nothing_healthy_emptied(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner], layout: str
) -> None:
    scan = scanner(simulators(), *OFTEN, layout=layout)
    instance = scan.attach()
    until(lambda: min(rounds(instance)) >= 4, "four rounds of every source", 60.0)
    role = instance.health.role("audit")
    assert "running" == instance.health.info(role)["state"]
    for source in SOURCES:

        def agreed(source_id: int = source.id) -> bool:  # figures are told one after the other
            now = instance.audit.figures(source_id)
            return 0 < now["agreed"] == now["audited"] - now["not_judged"]

        until(agreed, f"a round of {source.name} that agrees")
        figures = instance.audit.figures(source.id)
        assert 0 == figures["wrong"] == figures["failed"] == figures["lagging"], source
        if source.kind == "perpetual":
            assert figures["funding_polls"]
    assert scan.stop() == 0
    (path,) = (scan.folder / "data").glob("audit-*.csv")
    lines = path.read_text().splitlines()
    assert lines[0].endswith("simulated=true")
    rows = list(csv.DictReader(lines[1:]))
    assert {source.name for source in SOURCES} == {row["source"] for row in rows}
    assert all(int(row["agreed"]) for row in rows)


def test_an_audit_that_dies_is_started_again_and_the_scan_goes_on(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    scan = scanner(simulators(), *OFTEN)
    instance = scan.attach()
    health = instance.health
    role = health.role("audit")
    until(lambda: min(rounds(instance)) >= 2, "rounds", 60.0)
    pid, signals = health.info(role)["pid"], instance.ring.read
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: health.info(role)["pid"] != pid and health.info(role)["state"] == "running",
        "the audit to run again",
    )
    before = rounds(instance)
    until(lambda: all(n > b for n, b in zip(rounds(instance), before, strict=True)), "rounds")
    until(lambda: instance.ring.read > signals, "a signal after the restart")
    assert 1 == health.info(role)["restarts"]
    assert scan.stop() == 0


def test_without_it_the_scan_is_as_it_was(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    scan = scanner(simulators(), "--set", "audit.enabled=false")
    instance = scan.attach()
    until(lambda: instance.ring.read >= 3, "signals")
    assert not instance.lease_held("audit")
    assert [0] * len(SOURCES) == rounds(instance)
    assert scan.stop() == 0
    assert [] == list((scan.folder / "data").glob("audit-*"))
