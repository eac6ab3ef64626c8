"""The catalogue for tests: its sources and directions, by id and by name."""

from spreadscan.catalogue import built_in

SOURCES = built_in().sources
SOURCE_BY_NAME = built_in().source
DIRECTIONS = built_in().directions
EIGHT = tuple(source for source in SOURCES if source.default)  # what is scanned by default
LATER = tuple(source.name for source in SOURCES if not source.default)
TWELVE = tuple(d for d in DIRECTIONS if d.buy.default and d.sell.default)
