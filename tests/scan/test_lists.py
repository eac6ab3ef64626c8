"""The generated set: what is written reads back, and anything but one whole set is refused."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from spreadscan.discovery.write import write_set
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import (
    PREVIOUS,
    Edge,
    Failure,
    Hosts,
    Listing,
    Lists,
    Origin,
    SourceList,
    differences,
    encode_edges,
    encode_source,
    encode_symbols,
    hash_of,
    load,
    read_metadata,
    refuse_foreign,
)
from spreadscan.types import Instrument

NAMES = ("BTC-USDT", "币安人生-USDT", "PEPE-USDT", "OLD-USDT")


def listed(symbol_id: int, listed_base: str, state: Any = "valid", **more: Any) -> Listing:
    symbol = NAMES[symbol_id]
    base = symbol.removesuffix("-USDT")
    instrument = Instrument(
        venue_symbol=f"{listed_base}USDT", base=base, listed_base=listed_base, quote="USDT", **more
    )
    reason = "" if state == "valid" else f"because it is {state}"
    return Listing(
        symbol_id=symbol_id, symbol=symbol, state=state, reason=reason, instrument=instrument
    )


SOURCES = {
    "okx-spot": SourceList(
        source="okx-spot", symbols=(listed(0, "BTC"), listed(1, "币安人生", "quiet"))
    ),
    "mexc-futures": SourceList(
        source="mexc-futures",
        symbols=(
            listed(0, "BTC", contract_size=1e-4, tick=0.1, tick_text="0.10", api_tradable=False),
            listed(2, "1000PEPE", "invalid", multiplier=1000.0, min_notional=5.0),
        ),
    ),
}


ORIGIN = Origin(
    hosts={
        "okx-spot": Hosts(("https://okx.test", "https://okx2.test"), ("wss://okx.test/ws",)),
        "mexc-futures": Hosts(("https://mexc.test",), ("wss://mexc.test/edge",)),
    },
    quotes=("USDT",),
    include=("*",),
    exclude=("DOGE-*",),
    majors=("BTC", "ETH"),
    identity="",
)


EDGES_HEAD = b"SPRDEDG1\x01\0\0\0\0\0\x06\x05"


def an_edge(
    buy: int = 6, buy_row: int = 0, sell_row: int = 0, leg: int = 0, rate_row: int = 0
) -> bytes:
    return struct.pack("<IHBBIIIBBI", 0, 0, buy, 5, buy_row, sell_row, 0, leg, 6, rate_row)


def write(folder: Path, generation: int = 7, names: tuple[str, ...] = NAMES) -> None:
    write_set(
        folder,
        generation=generation,
        names=names,
        retired=frozenset({3}),
        pairs={0: [2, 0], 5: []},
        sources=SOURCES,
        n_listed={"okx-spot": {"USDT": 3}},
        failed={"mexc-spot": Failure(why="HTTP 500", list_written="2026-11-19T23:00:00.000000Z")},
        report="a report\n",
        unix_ns=1_795_132_800_000_000_000,
        origin=ORIGIN,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "generated")
    return tmp_path / "generated"


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refusal(folder: Path) -> str:
    with pytest.raises(BadGenerated) as caught:
        load(folder)
    return str(caught.value)


def test_what_is_written_reads_back(folder: Path) -> None:
    expected = Lists(
        generation=7,
        names=NAMES,
        retired=frozenset({3}),
        pairs={0: (0, 2), 5: ()},
        sources=SOURCES,
        edges=(Edge(0, 0, 6, 0, 5, 0), Edge(1, 0, 6, 2, 5, 2)),
        written="2026-11-20T00:00:00.000000Z",
        n_listed={"okx-spot": {"USDT": 3}},
        failed={"mexc-spot": Failure(why="HTTP 500", list_written="2026-11-19T23:00:00.000000Z")},
        origin=ORIGIN,
    )
    assert expected == load(folder)
    metadata = read_metadata(folder)
    assert (7, 3, ("okx-spot", "mexc-futures")) == (
        metadata.generation,
        metadata.symbols,
        metadata.sources,
    )
    assert "2026-11-20T00:00:00.000000Z" == metadata.written


def test_directions_are_made_of_what_is_proven_or_not_silent_for_long() -> None:
    def row(state: str, silent_runs: int = 0) -> Listing:
        return replace(listed(0, "X", state), silent_runs=silent_runs)

    inside = (row("valid"), row("quiet", 1), row("quiet", 2))
    outside = (row("quiet", 3), row("quarantined"), row("quarantined", 1), row("invalid"))
    source = SourceList(source="okx-spot", symbols=(*inside, *outside))
    assert inside == source.compared
    assert (*inside, *outside[:3]) == source.subscribed


def test_feeds_subscribe_to_all_but_the_invalid() -> None:
    assert [0, 1] == [row.symbol_id for row in SOURCES["okx-spot"].subscribed]
    assert [0] == [row.symbol_id for row in SOURCES["mexc-futures"].subscribed]


def test_the_binary_files_are_as_documented() -> None:
    assert encode_symbols(("A-USDT", "é-USDT"), frozenset({1})) == (
        b"SPRDSYM1\x02\0\0\0" + b"\x00\x06A-USDT" + b"\x01\x07\xc3\xa9-USDT"
    )
    assert encode_edges({0}, [Edge(258, 0, 6, 1, 5, 2, 3, "sell", 4, 7)]) == (
        b"SPRDEDG1\x01\0\0\0" + b"\0\0\x06\x05" + b"\x01\0\0\0"
        b"\x02\x01\0\0" + b"\0\0\x06\x05" + b"\x01\0\0\0\x02\0\0\0\x03\0\0\0"
        b"\x02\x04\x07\0\0\0"
    )


def test_source_files_have_a_line_per_pair() -> None:
    text = encode_source(SOURCES["okx-spot"])
    assert 2 + 2 == len(text.splitlines())
    assert "BTCUSDT" == json.loads(text)["symbols"][0]["instrument"]["venue_symbol"]


NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(st.lists(NAME, unique=True, max_size=40), st.sets(st.integers(0, 39)))
def test_any_names_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], gone: set[int]
) -> None:
    retired = frozenset(i for i in gone if i < len(names))
    everything = tuple(range(len(names)))
    root = tmp_path_factory.mktemp("set")
    write_set(
        root,
        generation=1,
        names=names,
        retired=retired,
        pairs={11: everything},
        sources={},
        n_listed={},
        report="",
        unix_ns=0,
    )
    found = load(root)
    assert (tuple(names), retired) == (found.names, found.retired)
    assert {11: everything} == found.pairs


# -- where a set is from

EEA = Hosts(("https://eea.okx.test",), ("wss://okx.test/ws",))
OTHER = Hosts(("a",), ("b",))
LOCAL = Hosts(("https://okx.test",), ("ws://127.0.0.1:1",))


@pytest.mark.parametrize(
    ("change", "text", "foreign"),
    [
        (
            {"hosts": ORIGIN.hosts | {"okx-spot": EEA}},
            "okx-spot is from https://okx.test, not from https://eea.okx.test",
            True,
        ),
        (
            {"hosts": ORIGIN.hosts | {"okx-spot": LOCAL}},
            "okx-spot is from wss://okx.test/ws, not from ws://127.0.0.1:1",
            True,
        ),
        (
            {"hosts": {name: Hosts(("http://sim",), ("ws://sim",)) for name in ORIGIN.hosts}},
            "okx-spot is from https://okx.test, not from http://sim, and 1 more sources",
            True,
        ),
        ({"include": ("BTC-*",)}, "its universe is * without DOGE-*, not BTC-* without", True),
        ({"exclude": ()}, "its universe is * without DOGE-*, not *", True),
        (
            {"hosts": ORIGIN.hosts | {"okx-futures": OTHER}},
            "it is without okx-futures",
            False,
        ),
        ({"hosts": {"okx-futures": OTHER}}, "it is without okx-futures", True),
        ({"hosts": {"okx-spot": ORIGIN.hosts["okx-spot"]}}, "it has mexc-futures besides", False),
        ({"converts": ("okx->mexc",)}, "it does not convert in okx->mexc", False),
        ({"majors": ("BTC",)}, "its lists had to have BTC, ETH, not BTC", False),
        ({"majors": ()}, "its lists had to have BTC, ETH, not none", False),
        ({"identity": "0a"}, "other identities were confirmed then", False),
    ],
)
def test_each_difference_is_told_and_some_are_of_another_market(
    change: dict[str, Any], text: str, foreign: bool
) -> None:
    found = differences(ORIGIN, replace(ORIGIN, **change))
    assert text in found[0].text
    assert foreign == found[0].foreign


def test_one_address_in_common_is_the_same_market() -> None:
    other = Hosts(("https://okx3.test", "https://okx2.test"), ("wss://a.test", "wss://okx.test/ws"))
    same = replace(ORIGIN, hosts=ORIGIN.hosts | {"okx-spot": other})
    assert [] == differences(ORIGIN, same) == differences(same, ORIGIN)


def test_the_order_of_settings_is_no_difference() -> None:
    same = replace(ORIGIN, majors=("ETH", "BTC"), hosts=dict(reversed(ORIGIN.hosts.items())))
    assert [] == differences(ORIGIN, same)


def test_a_set_that_does_not_say_where_it_is_from_may_be_of_anywhere(folder: Path) -> None:
    write(folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["origin"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    lists = load(folder)
    assert lists.origin is None
    with pytest.raises(ConfigError, match="the set: it does not say from which hosts it is"):
        refuse_foreign(lists, ORIGIN, "the set")


def test_what_differs_and_may_be_used_all_the_same_is_returned(folder: Path) -> None:
    said = refuse_foreign(load(folder), replace(ORIGIN, identity="0a"), "the set")
    assert ["other identities were confirmed then"] == said


# -- anything else is refused


def hashed(folder: Path) -> list[str]:
    return sorted(read_metadata(folder).hashes)


def test_every_file_of_the_set_is_hashed_and_its_loss_is_named(folder: Path) -> None:
    names = hashed(folder)
    assert [
        "directions.txt",
        "edges.bin",
        "source_symbols/mexc-futures.json",
        "source_symbols/okx-spot.json",
        "symbols.bin",
        "symbols.txt",
    ] == names
    for name in (*names, "metadata.json"):
        broken = folder.with_name("broken")
        shutil.copytree(folder, broken)
        (broken / name).unlink()
        said = refusal(broken)
        assert str(broken / name) in said
        assert "expected a" in said
        shutil.rmtree(broken)


def test_a_file_of_another_run_is_named(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", 8, ("X-USDT", *NAMES[1:]))
    swapped = 0
    for name in hashed(folder):
        own, other = folder / name, tmp_path / "other" / name
        before = own.read_bytes()
        if before == other.read_bytes():
            continue
        own.write_bytes(other.read_bytes())
        assert f"{own}: not of generation 7" in refusal(folder)
        own.write_bytes(before)
        swapped += 1
    assert swapped >= 3
    assert 7 == load(folder).generation


def test_every_file_cut_at_any_byte_is_refused_by_name(folder: Path) -> None:
    cuts = 0
    for path in (folder / name for name in (*hashed(folder), "metadata.json")):
        whole = path.read_bytes()
        # the last byte of metadata.json is a newline after the object: without it all is said
        for length in range(len(whole) - (path.name == "metadata.json")):
            path.write_bytes(whole[:length])
            assert str(path) in refusal(folder)
            cuts += 1
        path.write_bytes(whole)
    assert cuts > 1_000
    assert 7 == load(folder).generation


def test_any_changed_byte_is_refused(folder: Path) -> None:
    for path in (folder / name for name in hashed(folder)):
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
            assert str(path) in refusal(folder)
        path.write_bytes(whole)


def change_metadata(folder: Path, **changes: Any) -> None:
    path = folder / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 4}, "metadata.json: format 4, expected 5: of another version of the program"),
        ({"format": 6}, "metadata.json: format 6, expected 5"),
        ({"format": "1"}, "metadata.json: Expected `int`"),
        ({"hashes": ["symbols.bin"]}, "metadata.json: Expected `object`"),
        ({"hashes": {}}, "KeyError('symbols.bin')"),
        ({"hashes": {"a\0b": "x"}}, "expected a whole set"),
        ({"sources": ["okx-spot", "kraken-spot"]}, "kraken-spot"),
    ],
)
def test_metadata_of_another_kind_is_refused(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    change_metadata(folder, **changes)
    assert said in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"null", b"[" * 10_000])
def test_metadata_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "metadata.json").write_bytes(content)
    assert f"{folder / 'metadata.json'}: " in refusal(folder)


def test_folders_in_place_of_files_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "symbols.bin").unlink()
    (folder / "symbols.bin").mkdir()
    assert "symbols.bin: " in refusal(folder)
    (folder / "metadata.json").unlink()
    (folder / "metadata.json").mkdir()
    assert "metadata.json: Is a directory" in refusal(folder)
    (tmp_path / "file").write_text("")
    assert "metadata.json: Not a directory" in refusal(tmp_path / "file")
    assert "nowhere/metadata.json: missing" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("symbols.bin", b"SPRDSYM2" + struct.pack("<I", 0), "begins b'SPRDSYM2'"),
        ("symbols.bin", b"SPRDSYM1" + struct.pack("<I", 9), "error("),
        ("symbols.bin", b"SPRDSYM1\x01\0\0\0\0\x08BTC", "error("),
        ("symbols.bin", b"SPRDSYM1\x01\0\0\0\0\x01\xff", "UnicodeDecodeError"),
        ("symbols.bin", b"SPRDSYM1\0\0\0\0", "ids beyond symbols.bin"),
        ("symbols.bin", b"", "begins b''"),
        ("edges.bin", b"SPRDDIR1", "begins b'SPRDDIR1'"),
        ("edges.bin", EDGES_HEAD, "error("),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + b"\0" * 25, "45 bytes, expected 46"),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + an_edge(buy_row=9), "ids beyond"),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + an_edge(sell_row=9), "ids beyond"),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + an_edge(leg=1, rate_row=9), "ids beyond"),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + an_edge(leg=3), "converted leg 3, expected"),
        ("edges.bin", EDGES_HEAD + b"\x01\0\0\0" + an_edge(buy=4), "direction 0 from 4 to 5"),
        ("edges.bin", EDGES_HEAD + b"\x02\0\0\0" + 2 * an_edge(), "edge 0 after 0"),
        ("edges.bin", b"SPRDEDG1\x01\0\0\0\x63\0\x06\x05\0\0\0\0", "direction (99, 6, 5)"),
        ("source_symbols/okx-spot.json", b"{}", "ValidationError"),
    ],
)
def test_a_well_hashed_file_of_another_kind_is_refused(
    folder: Path, name: str, content: bytes, said: str
) -> None:
    (folder / name).write_bytes(content)
    change_metadata(folder, hashes=read_metadata(folder).hashes | {name: hash_of(content)})
    assert said in refusal(folder)


# -- the copy of the set before


def test_a_half_written_set_gives_the_one_before(folder: Path) -> None:
    shutil.copytree(folder, folder / PREVIOUS)
    (folder / "symbols.bin").write_bytes(b"new")
    assert 7 == load(folder).generation
    (folder / PREVIOUS / "symbols.bin").write_bytes(b"broken, too")
    assert f"{folder / 'symbols.bin'}: not of generation 7" in refusal(folder)


def test_a_whole_set_wins_over_the_copy(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    write(folder, 8)
    folder.with_name("copy").rename(folder / PREVIOUS)
    assert 8 == load(folder).generation
