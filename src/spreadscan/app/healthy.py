"""Whether a scanner is healthy: the one definition, and the tables of its states.

Healthy is: every lease is held, every beat is young, every source has fresh pairs, the disk has
room, nobody has paused or killed it, and nothing else is known to be wrong. `ctl status`, `top`,
`doctor`, the supervisor and exit codes go by this. No I/O: it judges what status() found.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spreadscan.lists import Failure

LATE_S = 3.0  # without a beat a role is called hung; roles beat four times a second or more
HUNG_S = 10.0  # without a beat its supervisor kills it
STARTING_S = 30.0  # a role has so long to begin, and a source's pairs to come
MUTE_SHARE = 0.1  # of a source's pairs are fresh: below it nothing can be said to come
THIN_SHARE = 0.5  # below it much is missing; pairs that are quiet by nature are fewer
CORE = ("supervisor", "engine", "tracker")  # without them nothing is found, followed or mended

_DEGRADED = 3


class State(NamedTuple):
    """A row of a table of states. when: what is the case, for people."""

    name: str
    exit_code: int
    when: str


# of a scanner, the worst first; the first that is the case is its state
STATES: tuple[State, ...] = (
    State("off", _DEGRADED, "no role runs"),
    State("killed", _DEGRADED, "the kill switch is set: no signal leaves the engine"),
    State("down", _DEGRADED, "supervisor, engine or tracker does not run, or no direction is left"),
    State("hung", _DEGRADED, "one of these three runs, but has not beaten for 3 s"),
    State("full", _DEGRADED, "the tracker's disk refuses rows, or has less room than the reserve"),
    State("paused", _DEGRADED, "somebody paused it, or a part of it: no new signals"),
    State("degraded", _DEGRADED, "a source or the audit is not well, or discovery went without"),
    State("starting", _DEGRADED, "a role has begun less than 30 s ago and is not ready yet"),
    State("running", 0, "none of the above: healthy"),
)
# of one role, the worst first: when it is the case
ROLE_STATES: Mapping[str, str] = {
    "off": "nobody holds its lease",
    "hung": "its last beat is older than 3 s; after 10 s its supervisor starts it anew",
    "starting": "it has begun, or a source's sockets and pairs are still coming: 30 s at most",
    "mute": "a source of which less than 10 % of the pairs are fresh",
    "thin": "a source of which less than 50 % of the pairs are fresh",
    "degraded": "by its own word: sockets, rows, answers or workers are missing",
    "running": "none of the above",
}
_STATE = {state.name: state for state in STATES}
_RANK = {state.name: rank for rank, state in enumerate(STATES)}


class Finding(NamedTuple):
    """One thing that is wrong. state: what it makes of the scanner; words: a sentence."""

    state: str
    words: str


class Health(NamedTuple):
    """What a scanner's state is, and why. sentence: the state and the worst finding."""

    state: str
    exit_code: int
    sentence: str
    findings: tuple[Finding, ...]


def role_state(
    said: str,
    *,
    alive: bool,
    beat_age_s: float,
    lived_s: float,
    pairs: int | None = None,
    listed: int | None = None,
) -> str:
    """Return the state of a role, one of ROLE_STATES.

    said: its own word; alive: its lease is held; lived_s: since it began. pairs: of a source, those
    that are fresh, of as many as are listed; None, or none listed: nothing is known of them.
    """
    if not alive:
        return "off"
    if said == "off" or (said == "starting" and lived_s < STARTING_S):
        return "starting"  # it holds the lease, and has yet to say more
    if beat_age_s > LATE_S:
        return "hung"
    state = "running" if said == "running" else "degraded"
    if pairs is not None and listed and pairs < THIN_SHARE * listed:
        state = "mute" if pairs < MUTE_SHARE * listed else "thin"
    is_source = pairs is not None
    return "starting" if is_source and state != "running" and lived_s < STARTING_S else state


def judge(found: Mapping[str, Any]) -> Health:
    """Return the health of a scanner by its status; what is wrong, the worst first."""
    findings = sorted(_findings(found), key=lambda finding: _RANK[finding.state])
    state = _STATE[findings[0].state if findings else "running"]
    sentence = state.name
    if findings:
        sentence += f": {findings[0].words}"
        sentence += f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return Health(state.name, state.exit_code, sentence, tuple(findings))


def _findings(found: Mapping[str, Any]) -> list[Finding]:
    states = {name: role["state"] for name, role in found["roles"].items()}
    if set(states.values()) == {"off"}:
        return [Finding("off", "nothing runs"), *_told(found)]
    return [*_of_roles(found, states), *_told(found)]


def _of_roles(found: Mapping[str, Any], states: Mapping[str, str]) -> list[Finding]:
    """Tell roles that are not well: those that everything needs by themselves."""
    sources = found["sources"]
    findings = []

    def tell(state: str, names: list[str], words: str) -> None:
        if names:
            findings.append(Finding(state, f"{words}: {', '.join(names)}"))

    def those(*wanted: str) -> list[str]:
        return [name for name, state in states.items() if state in wanted]

    off, hung = those("off"), those("hung")
    blind = all(states[name] == "off" for name in sources)
    tell("down" if blind or set(off) & {*CORE} else "degraded", off, "not running")
    tell("hung" if set(hung) & {*CORE} else "degraded", hung, f"no beat for {LATE_S:g} s")
    tell("starting", those("starting"), "not ready yet")
    for name in those("mute", "thin"):
        told = f"{sources[name]['pairs']:,} of {sources[name]['listed']:,} pairs are fresh"
        findings.append(Finding("degraded", f"{name} is {states[name]}: {told}"))
    for name in those("degraded"):
        findings.append(_by_its_word(name, sources))
    return findings


def _by_its_word(name: str, sources: Mapping[str, Any]) -> Finding:
    if name == "tracker":
        return Finding("full", "tracker: the disk is short of room or refuses; see its log")
    if name == "supervisor":
        return Finding("degraded", "supervisor: not all workers run; see its log")
    if name in sources:
        return Finding("degraded", f"{name}: not all its sockets are open")
    return Finding("degraded", f"{name} is degraded; see its log")


def _told(found: Mapping[str, Any]) -> list[Finding]:
    """Tell what no role's state says: pause and kill, discovery, what venues contradict."""
    lists, audit, directions = found["lists"], found["audit"], found["directions"]
    findings = []
    if lost := directions["lost"]:
        told = f"{directions['left']} of {directions['enabled']} directions left: "
        told += ", ".join(f"{name} lost since {lost[name]['since'][:19]}Z" for name in lost)
        findings.append(Finding("degraded" if directions["left"] else "down", told))
    if found["killed"]:
        why = found["killed"]["reason"] or "without a reason"
        findings.append(Finding("killed", f"no signals: {why}"))
    paused = [pause["of"] for pause in found["pauses"]]
    if paused or found["paused"]:
        findings.append(Finding("paused", f"no new signals of: {', '.join(paused) or 'all'}"))
    for name, failure in lists["failed"].items():
        told = f"{name} failed in discovery: {Failure(**failure)}"
        findings.append(Finding("degraded", told))
    if refused := lists["refused"]:
        told = f"the last discovery was refused, the lists stay: {refused}"
        findings.append(Finding("degraded", told))
    troubles = audit["troubles"] if audit else ()
    return findings + [Finding("degraded", trouble["words"]) for trouble in troubles]
