"""`PAGES`: what each source answers over REST, found in its exchange's file."""

from importlib import import_module

from spreadscan.catalogue import built_in
from spreadscan.sim.pages.base import SourcePages

PAGES: dict[str, SourcePages] = {
    source.name: import_module(f"spreadscan.sim.pages.{source.exchange}").PAGES[source.name]
    for source in built_in().sources
}
