from typing import Final

MAGIC: Final[int]
VERSION: Final[int]
LIMITS: Final[dict[str, int]]
SECTIONS: Final[tuple[str, ...]]
OTHER_ROLES: Final[tuple[str, ...]]
STATES: Final[tuple[str, ...]]
ACTIVE_STATES: Final[tuple[str, ...]]
DECLINED: Final[tuple[str, ...]]
FALLBACK: Final[tuple[str, ...]]
SOURCE_COUNTERS: Final[tuple[str, ...]]
ENGINE_COUNTERS: Final[tuple[str, ...]]
TRACKER_COUNTERS: Final[tuple[str, ...]]
COUNTERS: Final[dict[str, tuple[str, ...]]]
MARKED: Final[tuple[str, ...]]
STREAMS: Final[tuple[str, ...]]
TRACK_STATES: Final[tuple[str, ...]]
QUOTE_FLAGS: Final[tuple[tuple[str, int, int], ...]]
RECORD_KINDS: Final[tuple[str, ...]]
REASONS: Final[tuple[str, ...]]
VERDICTS: Final[tuple[str, ...]]
NOT_JUDGED: Final[tuple[str, ...]]
AUDIT_FIGURES: Final[tuple[str, ...]]
LEVELS: Final[tuple[str, ...]]
FIELDS: Final[tuple[tuple[str, str, int, int], ...]]
LAYOUT_HASH: Final[int]

def section_bytes(
    section: str, n_sources: int, n_symbols: int, n_edges: int, n_tracks: int
) -> int: ...
