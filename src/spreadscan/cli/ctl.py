"""`spreadscan ctl`: look at a running instance and steer it. `top` shows it live."""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError

from spreadscan.app import build
from spreadscan.app.asking import ask_for_newest
from spreadscan.app.attach import Attached, settings_of
from spreadscan.app.commands import socket_of
from spreadscan.app.merged import MergedLogs
from spreadscan.app.status import late_roles, status
from spreadscan.cli.attach import attach
from spreadscan.cli.options import (
    EXIT_DEGRADED,
    EXIT_FAILED,
    SentenceGroup,
    config_options,
    print_json,
    read_config,
    read_end,
)
from spreadscan.cli.screen import new_console, say
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.control import requests, switches
from spreadscan.control.client import ask
from spreadscan.errors import ConfigError, ConnectionLost, SpreadError
from spreadscan.inuse import health_slot, settings_in_use

_STOP_WITHIN_S = 6.0
_RESTART_WITHIN_S = 15.0
_ANSWER_WITHIN_S = 3.0
_LOOK_S = 0.2


@click.group(cls=SentenceGroup)
def ctl() -> None:
    """Look at a running instance, pause, kill, resume, reload, restart or stop it."""


@ctl.command("status")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, on one line.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=2.0,
    metavar="[S]",
    help="Print it again every S seconds, 2 by default, until Ctrl-C.",
)
def ctl_status(
    files: Any, settings: Any, instance: Any, as_json: bool, watch: float | None
) -> None:
    """Print the scanner's state, and how every role fares. Exit code 3 where it is not healthy.

    Healthy: every role runs and beats, every source has fresh pairs, the disk has room, nobody has
    paused or killed it, and nothing else is known to be wrong (docs/operations.md, States).

    The audit asks the venues whether quotes still stand. Of those audited, agreed: as at their
    venue, or heard while it was asked; not judged: nothing can be said; accused: one answer
    differs; wrong: a second did, and the quote was emptied. halted: pairs that do not trade. Fewer
    than 99 % agreed for a minute, or a minute without a round that judges: degraded.

    Before a signal the engine asks about legs that have been silent. unproven: no answer in time;
    contradicted: by its venue. Spreads whose opening quote turned out wrong end as unproven, too,
    and are in no statistics.
    """
    if watch is None:
        sys.exit(_print_status(files, settings, instance, as_json))
    with suppress(KeyboardInterrupt):
        while True:
            _print_status(files, settings, instance, as_json)
            time.sleep(watch)


def _print_status(files: Any, settings: Any, instance: Any, as_json: bool) -> int:
    """Print the status once; return the exit code."""
    found = _status(files, settings, instance)
    if as_json:
        print_json(found)
    else:
        from spreadscan.cli.table import status_tables

        console = new_console()
        for table in status_tables(found, console.width):
            console.print(table)
    return int(found["health"]["exit_code"])


def _status(files: Any, settings: Any, instance: Any) -> dict[str, Any]:
    """Return the status by shared memory, or by the socket for those who may see it only."""
    try:
        attached = attach(files, settings, instance, "reader")
    except CoreError:
        control = read_config(files, settings, instance).control
        if not control.status_socket:
            raise
        answer = ask(Path(control.status_socket), requests.Status(), _ANSWER_WITHIN_S)
        return dict(answer["status"])
    return status(attached.instance, attached.config) | {"settings": settings_of(attached)}


def _asked(attached: Instance, request: requests.Request) -> Mapping[str, Any] | None:
    """Ask the scanner; None where none runs, or hangs: then it is done without it."""
    if not attached.lease_held("supervisor"):
        return None
    try:
        return ask(socket_of(attached), request, _ANSWER_WITHIN_S)
    except ConnectionLost as error:
        say(f"{error}; done without it", err=True)
        return None


def _attach_settled(files: Any, settings: Any, instance: Any) -> Attached:
    """Attach, and go by the settings of the scanner that ran there last where none runs now."""
    attached = attach(files, settings, instance, "ctl")
    last = None if attached.in_use else settings_in_use(attached.instance)
    return attached._replace(config=last.config) if last else attached


@ctl.command()
@config_options
@click.argument("what", default=switches.ALL)
@click.option("--for", "span", metavar="SPAN", help="End by itself after that: 90s, 10m, 24h, 7d.")
@click.option("--until", metavar="WHEN", help="Or at a UTC time, as 2026-11-20T12:00.")
@click.option("--reason", default="", metavar="WHY", help="Is kept with it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pause(
    files: Any, settings: Any, instance: Any, what: str, span: str | None, until: str | None,
    reason: str, as_json: bool,
) -> None:  # fmt: skip
    """Signal nothing new, of WHAT: all, a source, a direction or a pair; open tracks go on.

    It lasts over restarts, until it ends by itself or `ctl resume`. Refused where nothing runs.
    """
    attached, config, _ = attach(files, settings, instance, "ctl")
    build.live_roles(attached)
    end = read_end(span, until)
    done = _asked(attached, requests.Pause(what=what, until=end, reason=reason))
    made = done["pause"] if done else switches.pause(attached, config, what, end, reason)
    if as_json:
        print_json({"instance": attached.name, "pause": msgspec.to_builtins(made)})
    else:
        say(str(msgspec.convert(msgspec.to_builtins(made), switches.Pause)))


@ctl.command()
@config_options
@click.argument("what", required=False)
@click.option(
    "--after-kill", "why", metavar="WHY", help="Clear the kill switch, too; the reason is kept."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def resume(
    files: Any, settings: Any, instance: Any, what: str | None, why: str | None, as_json: bool
) -> None:
    """Take up signalling again: end the pause of WHAT, or every pause.

    With --after-kill a kill is cleared, and pauses stay. A kill is cleared on purpose only: without
    that option a killed scanner is left as it is.
    """
    attached, config, _ = _attach_settled(files, settings, instance)
    done = _asked(attached, requests.Resume(what=what, after_kill=why))
    done = done or switches.switch_on(attached, config, what, why)
    told = {key: msgspec.to_builtins(done[key]) for key in ("ended", "left", "kill_cleared")}
    if as_json:
        print_json({"instance": attached.name, **told})
        return
    ended, left = (msgspec.convert(told[key], list[switches.Pause]) for key in ("ended", "left"))
    say(_resumed(ended) if why is None else "the kill is cleared")
    for each in left:
        say(f"still {each}", err=True)


def _resumed(ended: list[switches.Pause]) -> str:
    return f"resumed: {', '.join(each.of for each in ended)}" if ended else "nothing was paused"


@ctl.command()
@config_options
@click.argument("why", default="by hand")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def kill(files: Any, settings: Any, instance: Any, why: str, as_json: bool) -> None:
    """Throw the kill switch: no signal leaves any more, open tracks end as HALTED.

    It goes through shared memory, so it works whatever became of the supervisor, and is kept on
    the disk: a scanner that is started again is still killed, until `ctl resume --after-kill`.
    WHY is kept with it.
    """
    attached, config, in_use = _attach_settled(files, settings, instance)
    thrown = switches.kill(attached, config, why)
    found = switches.killed(attached)
    runs = in_use is not None
    if as_json:
        told = {"instance": attached.name, "thrown": thrown, "runs": runs}
        print_json(told | {"killed": msgspec.to_builtins(found)})
        return
    say(f"instance {attached.name!r}: " + ("" if thrown else "before this, ") + str(found))
    if not runs:
        say("nothing runs there now; what is started there is killed", err=True)


@ctl.command()
@config_options
@click.option("--no-discover", is_flag=True, help="Take generated/ as it is.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0.0),
    default=15.0,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the acknowledgements.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress to stderr.")
def reload(
    files: Any, settings: Any, instance: Any, no_discover: bool, wait_s: float, as_json: bool
) -> None:
    """Discover, and let every process take what changed, without a restart.

    By the settings of the running scanner: its hosts, universe and folders. Exit code 3 when one
    has not acknowledged the new lists in time, or a source gave no list: it keeps its pairs. When
    discovery is refused nothing changes. Either way the scanner discovers again by itself within
    minutes.
    """
    from spreadscan.cli.discover import discover_with_progress, failed_lines

    attached, config, _ = attach(files, settings, instance, "ctl")
    roles = build.live_roles(attached)
    if not no_discover:
        discover_with_progress(config)
    begun_s = time.monotonic()
    lists = ask_for_newest(attached, config)
    generation = lists.generation
    while (late := late_roles(attached, config, roles, generation)) and (
        time.monotonic() - begun_s < wait_s
    ):
        time.sleep(0.02)
    taken = [role for role in roles if role not in late]
    took_s = round(time.monotonic() - begun_s, 3)
    if as_json:
        told = {
            "generation": generation,
            "acknowledged": taken,
            "late": late,
            "failed": msgspec.to_builtins(lists.failed),
            "took_s": took_s,
        }
        print_json(told)
    else:
        say(f"generation {generation}: {len(taken)} of {len(roles)} took it in {took_s} s")
    for role, in_use in late.items():
        say(f"late: {role} is at generation {in_use}; see {config.paths.logs}/{role}.log", err=True)
    for line in failed_lines(lists.failed):
        say(line, err=True)
    if lists.failed and config.discovery.reload_h:
        again_s = config.discovery.again_s
        say(f"`run` discovers again in about {again_s:g} s, unless --no-discover", err=True)
    sys.exit(EXIT_DEGRADED if late or lists.failed else 0)


@ctl.command()
@config_options
@click.argument("role")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restart(files: Any, settings: Any, instance: Any, role: str, as_json: bool) -> None:
    """End one worker, and wait until it runs anew: a source, engine, tracker, audit or single.

    What was given up is started, too. Exit code 1 where it does not come back in time.
    """
    attached, config, _ = attach(files, settings, instance, "reader")
    if not attached.lease_held("supervisor"):
        raise ConfigError(
            f"instance {attached.name!r}: no supervisor runs, expected one that restarts workers"
        )
    leased = "engine" if role == "single" else role
    begun_ns = now_ns()
    ask(socket_of(attached), requests.Restart(role=role), _ANSWER_WITHIN_S)
    slot = health_slot(attached.health, config, leased)
    deadline = time.monotonic() + _RESTART_WITHIN_S
    while True:
        found = attached.health.info(slot)
        if found["start_ns"] > begun_ns and found["state"] in ("running", "degraded"):
            break
        if time.monotonic() > deadline:
            raise SpreadError(
                f"{role}: not back within {_RESTART_WITHIN_S:g} s, expected it to run; see "
                f"{config.paths.logs}/{role}.log"
            )
        time.sleep(0.02)
    took_s = round((now_ns() - begun_ns) / 1e9, 3)
    if as_json:
        print_json({"role": role, "pid": found["pid"], "took_s": took_s})
    else:
        say(f"{role} runs anew, as pid {found['pid']}, after {took_s} s")


@ctl.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stop(files: Any, settings: Any, instance: Any, as_json: bool) -> None:
    """End every process of the instance, files whole."""
    attached, _, _ = attach(files, settings, instance, "ctl")
    roles = build.live_roles(attached)
    if _asked(attached, requests.Stop()) is None:
        attached.control.stop = True
    deadline = time.monotonic() + _STOP_WITHIN_S
    while (left := [role for role in roles if attached.lease_held(role)]) and (
        time.monotonic() <= deadline
    ):
        time.sleep(0.05)
    if as_json:
        print_json({"instance": attached.name, "stopped": not left, "left": left})
    elif left:
        say(f"still running: {', '.join(left)}", err=True)
    else:
        say("stopped")
    sys.exit(EXIT_FAILED if left else 0)


@ctl.command()
@config_options
@click.argument("roles", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option(
    "-n",
    "lines",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Lines of before, of all logs together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON lines as they are.")
def logs(
    files: Any, settings: Any, instance: Any, roles: tuple[str, ...], follow: bool, lines: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Print the logs of all processes, or of ROLES, as one, by time.

    They are read from paths.logs of the scanner that runs or ran last, so nothing has to run.
    """
    folder = _settled(files, settings, instance).paths.logs
    with suppress(KeyboardInterrupt), MergedLogs(folder, roles) as merged:
        found = merged.last(lines)
        while True:
            for line in found:
                say(line.text if as_json else str(line))
            if not follow:
                break
            time.sleep(_LOOK_S)
            found = merged.more()


def _settled(files: Any, settings: Any, instance: Any) -> Config:
    """Return the settings of the scanner that runs or ran last, else those given here."""
    try:
        return _attach_settled(files, settings, instance).config
    except CoreError:  # no such instance
        return read_config(files, settings, instance)


@click.command()
@config_options
@click.option("--seconds", type=float, help="End by itself after this long.")
@click.option("--once", is_flag=True, help="Print the table once, and end.")
def top(files: Any, settings: Any, instance: Any, seconds: float | None, once: bool) -> None:
    """Show a running instance as a live table, until Ctrl-C.

    What the audit says stands below; `ctl status --help` explains its words.
    """
    from spreadscan.cli.table import LiveTable

    attached = attach(files, settings, instance, "reader")

    def reread() -> tuple[Instance, Config, dict[str, Any]]:
        found = attach(files, settings, instance, "reader")
        return found.instance, found.config, settings_of(found)

    table = LiveTable(
        attached.instance, attached.config, settings=settings_of(attached), reread=reread
    )
    if once:
        table.once()
    else:
        table.show(seconds)
