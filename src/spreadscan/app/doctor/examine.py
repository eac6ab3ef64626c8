"""All checks side by side, each with its deadline."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from spreadscan.app.doctor import live, machine, reach
from spreadscan.app.doctor.check import Check, in_thread
from spreadscan.config import Config

_LOOK_DEADLINE_S = 5.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a visit found. ok: every check is."""

    ok: bool
    checks: tuple[Check, ...]  # by subject, in order of the config
    took_s: float


def n_checks(config: Config) -> int:
    """Return how many checks a visit makes that is not live."""
    return len(machine.CHECKS) + len(reach.NAMES) * len(config.sources)


async def examine(
    config: Config, tell: Callable[[Check], None], *, all_addresses: bool = False
) -> Report:
    """Make every check; tell hears of each as it ends. Raises for none of what it finds.

    all_addresses: look at every address and page of every source, not at what a scan would use.
    """
    started, found = time.monotonic(), list[Check]()

    def keep(check: Check) -> None:
        found.append(check)
        tell(check)

    async def make(one: machine.MachineCheck) -> None:
        name = _name(one)
        try:
            async with asyncio.timeout(_LOOK_DEADLINE_S):
                keep(await in_thread(lambda: one(config)))
        except TimeoutError:
            words = f"no answer within {_LOOK_DEADLINE_S:g} s"
            advice = "a file system hangs: see `dmesg` and `df`"
            keep(Check(subject="machine", name=name, ok=False, found=words, advice=advice))
        except OSError as error:
            advice = "see that this user may read there"
            keep(Check(subject="machine", name=name, ok=False, found=str(error), advice=advice))

    reached = (reach.reach(config, source, keep) for source in config.sources)
    await asyncio.gather(
        *(make(one) for one in machine.CHECKS),
        *([live.live(config, keep)] if all_addresses else reached),
    )
    subjects = ["machine", "instance", *config.sources]
    names = [*map(_name, machine.CHECKS), *(live.NAMES if all_addresses else reach.NAMES)]
    found.sort(key=lambda c: (subjects.index(c.subject), names.index(c.name), c.at))
    ok = all(check.ok for check in found)
    return Report(ok=ok, checks=tuple(found), took_s=round(time.monotonic() - started, 3))


def _name(check: machine.MachineCheck) -> str:
    return check.__name__.replace("_", " ")
