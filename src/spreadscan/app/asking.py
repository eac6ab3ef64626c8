"""Asking every process of an instance to take the set in generated/, where that is possible."""

from pathlib import Path

from spreadcore import Instance

from spreadscan.config import Config
from spreadscan.control import switches
from spreadscan.discovery.origin import origin_of
from spreadscan.discovery.write import renumber
from spreadscan.inuse import ListsInUse, leave_lists, lists_in_use
from spreadscan.lists import Lists, check_capacity, load, refuse_foreign, refuse_other_ids
from spreadscan.locks import DISCOVERY, FolderLock


def ask_for_newest(instance: Instance, config: Config) -> Lists:
    """Ask for the set that is there now; return it.

    Processes take only what is newer than what they have. A set that is another than the one in
    use, but not newer by its number (generated/ was emptied meanwhile, or copied from elsewhere),
    is given the next one first. ConfigError or BadGenerated where those who run cannot take it.
    """
    folder = config.paths.generated
    in_use = lists_in_use(instance)
    lists = _usable(instance, config, in_use)
    if _looks_old(lists, instance, in_use):
        lock = FolderLock(folder, DISCOVERY, instance.name)
        lock.take(config.discovery.wait_s)
        try:
            lists = _usable(instance, config, in_use)
            if _looks_old(lists, instance, in_use):
                renumber(folder, instance.control.reload_generation + 1)
                lists = load(folder)
        finally:
            lock.close()
    leave_lists(instance, lists)
    switches.restore(instance, config)  # new edges of a pair that is paused are, too
    instance.control.reload_generation = lists.generation
    return lists


def _usable(instance: Instance, config: Config, in_use: ListsInUse | None) -> Lists:
    lists = load(config.paths.generated)
    control = instance.region("control")
    check_capacity(lists, control.n_symbols, control.n_edges)
    refuse_foreign(
        lists, origin_of(config), f"{Path(config.paths.generated)}: generation {lists.generation}"
    )
    if in_use is not None:
        refuse_other_ids(in_use, lists)
    return lists


def _looks_old(lists: Lists, instance: Instance, in_use: ListsInUse | None) -> bool:
    is_the_one = in_use is not None and in_use.written == lists.written
    return lists.generation <= instance.control.reload_generation and not is_the_one
