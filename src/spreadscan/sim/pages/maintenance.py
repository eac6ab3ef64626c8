"""What the venues say of their maintenance: Bybit's and OKX's system status, Binance's flag.

Bybit's page holds what is over, cancelled and of its demo trading, too; OKX's what a state= asks
for, without one only what is not over. Binance says of the whole exchange whether there is any.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Row = dict[str, Any]
Query = Mapping[str, str]

PATHS: dict[str, str] = {
    "binance-spot": "/sapi/v1/system/status",  # USD-M has a host of its own, which lacks it
    "bybit-spot": "/v5/system/status",
    "bybit-futures": "/v5/system/status",
    "okx-spot": "/api/v5/system/status",
    "okx-futures": "/api/v5/system/status",
}
_HOUR_MS = 3_600_000
_NOT_OVER = ("scheduled", "ongoing", "pre_open")


class Work(NamedTuple):
    """A maintenance; Unix ms."""

    title: str
    begin_ms: int
    end_ms: int

    def state(self, unix_ms: int) -> str:
        if unix_ms < self.begin_ms:
            return "scheduled"
        return "ongoing" if unix_ms < self.end_ms else "completed"


def maintenance_page(source: str, query: Query, works: Sequence[Work], unix_ms: int) -> bytes:
    """Return the body that a source answers to its entry of PATHS."""
    told = [(work, work.state(unix_ms), 1) for work in works]
    if source.startswith("binance"):
        down = any(state == "ongoing" for _, state, _ in told)
        return orjson.dumps(
            {"status": int(down), "msg": "system_maintenance" if down else "normal"}
        )
    day = unix_ms - unix_ms % (24 * _HOUR_MS)
    past = Work("Matching engine upgrade", day - 90 * _HOUR_MS, day - 89 * _HOUR_MS)
    told += [(past, "completed", 1), (past._replace(title="Postponed"), "canceled", 1)]
    demo = Work("Demo trading upgrade", day, day + 25 * _HOUR_MS)
    asked = query.get("state")
    if source.startswith("bybit"):
        told.append((demo, "ongoing", 2))
        rows = [_bybit(n, *entry) for n, entry in enumerate(told) if asked in (None, "", entry[1])]
        return orjson.dumps(
            {
                "retCode": 0,
                "retMsg": "",
                "result": {"list": rows},
                "retExtInfo": {},
                "time": unix_ms,
            }
        )
    if works:
        told.append((demo, "ongoing", 2))
    states = (asked,) if asked else _NOT_OVER
    rows = [_okx(*entry) for entry in told if entry[1] in states]
    return orjson.dumps({"code": "0", "data": rows, "msg": ""})


def _bybit(n: int, work: Work, state: str, env: int) -> Row:
    return {
        "id": f"{n:08x}-587f-11f0-bcc9-56f28c94d6ea",
        "title": work.title,
        "state": state,
        "begin": str(work.begin_ms),
        "end": str(work.end_ms),
        "href": "",
        "serviceTypes": [2, 3, 4, 5],
        "product": [1, 2],
        "uidSuffix": [],
        "maintainType": 1,
        "env": env,
    }


def _okx(work: Work, state: str, env: int) -> Row:
    return {
        "begin": str(work.begin_ms),
        "end": str(work.end_ms),
        "href": "",
        "preOpenBegin": "",
        "scheDesc": "",
        "serviceType": "5",
        "state": state,
        "maintType": "1",
        "env": str(env),
        "system": "unified",
        "title": work.title,
    }
