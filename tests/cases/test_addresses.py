"""A source has several addresses: one that is gone, refuses or closes at once costs a try."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from cases.kit import COINS, TRANSPORTS, Fake, case, until

NOBODY = "127.0.0.1:1"
QUICK = """discovery.no_new_s = 1.0
discovery.backoff_ms = [10.0]
feeds.backoff_base_s = 0.1
"""


class Refuses(Fake):
    """An address where every page and handshake is refused."""

    status = 451

    async def rest(self, page: str, request: web.Request) -> web.Response | None:
        return web.Response(status=self.status)

    async def handshake(self, number: int, request: web.Request) -> web.Response | None:
        return web.Response(status=self.status)


class ClosesAtOnce(Fake):
    """An address that closes each socket before its first quote."""

    def push(self) -> None:
        self.close_sockets(1000)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("first", ["gone", "unresolved", "451", "503", "closes"])
def test_the_next_address_is_used(tmp_path: Path, transport: str, first: str) -> None:
    bad = ClosesAtOnce("okx-spot") if first == "closes" else Refuses("okx-spot")
    if isinstance(bad, Refuses) and first.isdecimal():
        bad.status = int(first)
    good = Fake("okx-spot")
    (tmp_path / "bad").mkdir()
    extra = f'feeds.transport = "{transport}"\n{QUICK}'
    with (
        case(tmp_path / "bad", bad),
        case(tmp_path, good, Fake("bybit-futures"), extra=extra) as it,
    ):
        urls = zip(endpoints(bad, first), endpoints(good), strict=True)
        rest_urls, ws_urls = map(json.dumps, urls)
        flags = "--set", f"venues.okx-spot.rest_url={rest_urls}"
        flags = *flags, "--set", f"venues.okx-spot.ws_url={ws_urls}"
        with it.scanning(*flags):
            until(lambda: good.n_sockets >= 2 and good.counters.subscriptions == len(COINS), "fed")
        assert "address given up, the next is tried" in it.log()
        assert (first in ("gone", "unresolved")) == (not bad.heard)


def endpoints(fake: Fake, first: str = "") -> tuple[str, str]:
    """Return the REST and socket address of a fake, or one where no server is."""
    assert fake.server
    own = fake.server.endpoints()[fake.name]
    host = {"gone": NOBODY, "unresolved": "no-such-host.invalid"}.get(first)
    return (f"http://{host}", f"ws://{host}/ws") if host else own


def test_one_address_in_a_config_is_the_only_one_used(tmp_path: Path) -> None:
    """And nothing of the venue's own table is tried beside it."""
    good = Fake("bybit-spot"), Fake("binance-futures")
    with case(tmp_path, *good, extra=QUICK) as it:
        found = it.run(
            "discover", "--json", "--set", f'venues.bybit-spot.rest_url="http://{NOBODY}"',
            "--set", "discovery.tries=1",
        )  # fmt: skip
        assert found.returncode
        assert NOBODY in found.stderr
        assert "bytick" not in found.stderr + found.stdout
