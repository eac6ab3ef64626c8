"""Update ids that fall on a socket: the venue counts anew, and its new quotes are the true ones.

All sources whose ids "never" fall, on sockets that live on.
"""

from pathlib import Path

import pytest
from spreadcore import Instance

from cases.kit import AUDITED, TRANSPORTS, Fake, case, until, venue_symbol
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from spreadscan.lists import load
from spreadscan.types import Book

# the coin whose ids fall at a source
FALLING = {
    "binance-spot": "DOGE", "binance-futures": "ADA", "mexc-spot": "XRP", "mexc-futures": "LTC",
}  # fmt: skip


class Counting(Fake):
    every_s = 0.1
    fallen = False
    stray_every = 0  # of so many quotes one has an id of long ago

    def quote(self, symbol: str, number: int) -> Book | None:
        book = super().quote(symbol, number)
        assert book
        if symbol == venue_symbol(self.name, FALLING[self.name]):
            if self.fallen:
                return book._replace(update_id=book.update_id - 900_000)
            if self.stray_every and self.update_id % self.stray_every == 0:
                return book._replace(update_id=1, bid_px=book.bid_px / 2, ask_px=book.ask_px / 2)
        return book


@pytest.mark.parametrize("audited", [True, False])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ids_that_fall_on_a_socket(tmp_path: Path, transport: str, audited: bool) -> None:
    fakes = [Counting(name) for name in FALLING]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 0.5'
    extra += AUDITED * audited
    with case(tmp_path, *fakes, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        names = load(str(it.folder / "generated")).names
        with it.scanning("--no-discover"):
            until(lambda: sum(f.counters.subscriptions for f in fakes) == 4 * 12, "subscriptions")
            instance = Instance(it.instance)

            def mid(source: str, coin: str) -> float:
                id_ = names.index(f"{coin}-USDT")
                quote = instance.quotes.read(SOURCE_BY_NAME[source].id, id_)
                return (quote.bid_px + quote.ask_px) / 2 if quote else 0.0

            def all_at(factor: float) -> bool:
                return all(
                    abs(mid(fake.name, coin) / fake.px[venue_symbol(fake.name, coin)] - factor)
                    < 1e-6
                    for fake in fakes
                    for coin in FALLING.values()
                )

            until(lambda: all_at(1.0), "quotes")
            opened = [fake.n_sockets for fake in fakes]
            for fake in fakes:
                fake.fallen = True
            until(
                lambda: [1] * 4 == [s["id_restarts"] for s in it.status()["sources"].values()],
                "each source saw one sequence begin anew",
            )
            for fake in fakes:  # all together: no spread in truth
                for coin in FALLING.values():
                    fake.px[venue_symbol(fake.name, coin)] *= 1.02
            until(lambda: all_at(1.0), "the new quotes")
            declined = [s["declined_by"].get("old_id") for s in it.status()["sources"].values()]
            assert [2] * 4 == declined
            assert opened == [fake.n_sockets for fake in fakes]
            assert [0] * 4 == [s["found_wrong"] for s in it.status()["sources"].values()]
            if audited:
                until(lambda: it.status()["audit"]["all"]["agreed"] == 4 * 12, "all agree")
            # moving one after the other, they may have stood apart for a tick or two
            until(lambda: it.status()["tracks"]["open"] == 0, "nothing that stands")
            for name, coin in FALLING.items():
                assert f'"{coin}-USDT"' in it.log() or f"symbol={coin}-USDT" in it.log(), name
            instance.close()


def test_single_old_ids_stay_refused(tmp_path: Path) -> None:
    fakes = [Counting("binance-spot"), Counting("mexc-futures")]
    fakes[0].stray_every = 7
    with case(tmp_path, *fakes, extra="discovery.no_new_s = 0.5") as it:
        assert 0 == it.run("discover").returncode

        def old_ids() -> int:
            source = it.status().get("sources", {}).get("binance-spot", {})
            return int(source.get("declined_by", {}).get("old_id", 0))

        with it.scanning("--no-discover"):
            until(lambda: old_ids() > 5, "old ids")
            assert 0 == it.status()["sources"]["binance-spot"]["id_restarts"]
            assert [] == it.opens()  # half the price would have been one
