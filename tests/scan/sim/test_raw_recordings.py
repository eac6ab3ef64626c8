"""Frames of the simulators have the keys and value types of frames recorded from the venues.

And none of the files that say so knows how spreadscan itself reads or writes the wire.
"""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[4] / "shared" / "wire" / "samples"
MEXC_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@BTCUSDT"

Json = dict[str, Any]
Case = tuple[Json, str, Callable[[Json], bool]]  # request, file of the recording, which frame

BINANCE = {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}
BYBIT = {"req_id": "t1", "op": "subscribe", "args": ["orderbook.1.BTCUSDT"]}
MEXC = {"method": "sub.depth.full", "param": {"symbol": "BTC_USDT", "limit": 5}}


def okx(symbol: str, request_id: str = "md") -> Json:
    arg = {"channel": "bbo-tbt", "instId": symbol}
    return {"id": request_id, "op": "subscribe", "args": [arg]}


def is_ticker(frame: Json) -> bool:
    return bool(frame.get("stream") == "btcusdt@bookTicker")


def is_level_one(frame: Json) -> bool:
    return bool(frame.get("topic") == "orderbook.1.BTCUSDT")


def is_bbo(frame: Json) -> bool:
    return "data" in frame and bool(frame["arg"]["channel"] == "bbo-tbt")


def accepted(frame: Json) -> bool:
    return frame.get("op") == "subscribe" and bool(frame["success"])


QUOTES: dict[str, Case] = {
    "binance-spot": (BINANCE, "recorded_2026-09-13_testnet.jsonl", is_ticker),
    "binance-futures": (BINANCE, "recorded_2026-09-15_demo.jsonl", is_ticker),
    "bybit-spot": (BYBIT, "recorded_2026-09-13_testnet.jsonl", is_level_one),
    "bybit-futures": (BYBIT, "recorded_2026-08-13.jsonl", is_level_one),
    "okx-spot": (okx("BTC-USDT"), "recorded_singles_2025-26.jsonl", is_bbo),
    "okx-futures": (okx("BTC-USDT-SWAP"), "recorded_2026-09-26_BTC-USDT-SWAP.tsv", is_bbo),
    "mexc-futures": (
        MEXC,
        "recorded_2026-09.jsonl",
        lambda f: bool(f["channel"] == "push.depth.full"),
    ),
}
ANSWERS: dict[str, Case] = {
    "binance-spot": (BINANCE, "docs_control.jsonl", lambda f: f.get("result", 0) is None),
    "binance-futures": (BINANCE, "docs_control.jsonl", lambda f: f.get("result", 0) is None),
    "bybit-spot": (BYBIT, "recorded_2026-09-13_testnet.jsonl", accepted),
    "bybit-futures": (BYBIT, "recorded_2026-08-13.jsonl", accepted),
    "okx-futures": (
        okx("BTC-USDT-SWAP"),
        "recorded_2026-09-26_BTC-USDT-SWAP.tsv",
        lambda f: f.get("event") == "subscribe",
    ),
    "mexc-futures": (
        MEXC,
        "recorded_2026-09.jsonl",
        lambda f: bool(f["channel"] == "rs.sub.depth.full"),
    ),
}


def sample(source: str, file: str, wanted: Callable[[Json], bool]) -> Json:
    """Return the last recorded frame for which `wanted` holds."""
    path = SAMPLES / source / file
    if not path.exists():
        pytest.skip(f"{source}/{file}: recorded samples are not on this machine")
    lines = (line.rpartition("\t")[2] for line in path.read_text().splitlines())
    frames = [json.loads(line) for line in lines if line.startswith("{")]
    return next(f for f in reversed(frames) if wanted(f))


def shape(value: Any) -> Any:
    """Return keys and value types; of a list of lists what its first is, numbers as one type."""
    if isinstance(value, dict):
        return {key: shape(v) for key, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(v) for v in (value[:1] if value and isinstance(value[0], list) else value)]
    return "number" if type(value) in (int, float) else type(value).__name__


def first_frame(lab: Any, source: str, request: Json, wanted: Callable[[Any], bool]) -> Any:
    """Return the simulator's first frame after a request for which `wanted` holds."""
    found: list[Any] = []

    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send(request)
            found.append(await raw.next_where(wanted))

    lab.run(go())
    return found[0]


@pytest.mark.parametrize("source", QUOTES)
def test_quotes_have_the_keys_and_types_of_the_recording(lab: Any, source: str) -> None:
    request, file, wanted = QUOTES[source]
    expected = shape(sample(source, file, wanted))
    assert expected == shape(first_frame(lab, source, request, wanted))


@pytest.mark.parametrize("source", ANSWERS)
def test_answers_have_the_keys_and_types_of_the_recording(lab: Any, source: str) -> None:
    request, file, wanted = ANSWERS[source]
    expected = shape(sample(source, file, wanted))
    assert expected == shape(first_frame(lab, source, request, wanted))


def tags(message: bytes) -> list[tuple[int, int, bytes]]:
    """Return (field, wire type, content) of a protobuf message of varints and bytes."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        field, wire_type = divmod(varint(), 8)
        assert wire_type in (0, 2)
        n = varint()
        content = message[at : at + n] if wire_type else b""
        at += len(content)
        found.append((field, wire_type, content))
    return found


def test_mexc_spot_frames_have_the_fields_of_the_recording(lab: Any) -> None:
    path = SAMPLES / "mexc-spot" / "live_bookTicker_BTCUSDT_2026-09-20.bin"
    if not path.exists():
        pytest.skip("mexc-spot: recorded samples are not on this machine")
    request = {"method": "SUBSCRIPTION", "params": [MEXC_TOPIC]}
    ours = tags(first_frame(lab, "mexc-spot", request, lambda f: isinstance(f, bytes)))
    recorded = tags(path.read_bytes())
    assert [row[:2] for row in recorded] == [row[:2] for row in ours]
    assert recorded[0] == ours[0]  # the channel
    inner = [tags(rows[-1][2]) for rows in (recorded, ours)]
    assert [row[:2] for row in inner[0]] == [row[:2] for row in inner[1]]
    assert all(float(content) > 0 for _, wire_type, content in inner[1] if wire_type)


def test_raw_tests_take_nothing_from_the_venues() -> None:
    here = Path(__file__).parent
    for path in (here / "conftest.py", *here.glob("test_raw_*.py")):
        imports = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import)]
        froms = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        names = [a.name for n in imports for a in n.names] + [n.module or "" for n in froms]
        assert not [name for name in names if name.startswith("spreadscan.venues")], path.name
