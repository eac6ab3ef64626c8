"""Two venues on one clock, played to the figures of the recordings' INDEX.md.

The recordings stand beside the repository and are not part of it: skipped where absent.
"""

from pathlib import Path

import pytest
from spreadcore.frames import LinkIntake

from known import SOURCE_BY_NAME
from spreadscan.replay import parse_limits, parse_pairs, play, player
from spreadscan.replay.importing import import_frames

RECORDINGS = Path(__file__).parents[4] / "shared/wire/recordings"
CROSS = RECORDINGS / "bn_spot_x_usdm_20240808"
PAIRS = parse_pairs("binance-futures:binance-spot,binance-spot:binance-futures")
LIMITS = parse_limits("-5,0,1,3,4,5,6,8")

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")


@pytest.fixture(scope="module", params=["as it lies there", "as a recording"])
def cross(request, tmp_path_factory):
    folder = CROSS
    if request.param == "as a recording":
        folder = tmp_path_factory.mktemp("cross")
        import_frames(CROSS / "frames.tsv.gz", folder, lambda done, total: None)
    return play(folder, PAIRS, LIMITS)


def quotes_of(account):
    """Return the last quotes as INDEX.md writes them, and how many there were."""
    return {
        venue_symbol: ((q.bid_px, q.bid_qty, q.ask_px, q.ask_qty), q.quotes)
        for venue_symbol, q in account.last.items()
    }


def edge_of(result, buy, symbol):
    (edge,) = [e for e in result.edges if e.buy == buy and e.symbol == symbol]
    return edge


def test_every_frame_is_a_quote(cross):
    assert 172_198 == cross.frames
    for name, n in (("binance-spot", 52_117), ("binance-futures", 120_081)):
        account = cross.sources[name]
        assert (n, n, n) == (account.frames, account.quote_frames, account.quotes)
        assert (0, 0, {}) == (account.acks, account.control, account.declined)
        assert (0, 0) == (account.refreshes, account.steps_back)
    first = min(a.first_recv_ns for a in cross.sources.values())
    last = max(a.last_recv_ns for a in cross.sources.values())
    assert 345_974_611_816 == last - first


def test_last_quotes(cross):
    assert {
        "BTCUSDT": ((61685.99, 1.25869, 61686.00, 2.44807), 28_040),
        "ETHUSDT": ((2682.50, 3.3168, 2682.51, 50.9739), 24_077),
    } == quotes_of(cross.sources["binance-spot"])
    assert {
        "BTCUSDT": ((61659.70, 1.486, 61659.80, 0.981), 66_089),
        "ETHUSDT": ((2681.38, 8.486, 2681.39, 22.624), 53_992),
    } == quotes_of(cross.sources["binance-futures"])


def test_the_recorded_clock_is_kept_although_venue_time_runs_ahead(cross):
    for account in cross.sources.values():
        assert account.last_recv_ns == max(q.recv_ns for q in account.last.values())
    for quote in cross.sources["binance-futures"].last.values():
        assert 1.219e9 <= quote.venue_ns - quote.recv_ns <= 1.273e9
    assert {0} == {q.venue_ns for q in cross.sources["binance-spot"].last.values()}


# buy, symbol: updates, mean bps, max bps, max_ns, sell.bid, buy.ask
EDGES = {
    ("binance-futures", "BTC-USDT"): (
        93_851, "3.7331", "11.041363", 1723161560364906791, 61718.07, 61650.00,
    ),
    ("binance-spot", "BTC-USDT"): (
        93_851, "-3.7955", "0.795519", 1723161514063336592, 61599.90, 61595.00,
    ),
    ("binance-futures", "ETH-USDT"): (
        77_787, "4.3472", "7.343293", 1723161553583448476, 2684.69, 2682.72,
    ),
    ("binance-spot", "ETH-USDT"): (
        77_787, "-4.4461", "-1.415476", 1723161587456372515, 2684.23, 2684.61,
    ),
}  # fmt: skip

# buy, symbol: limit: updates above, episodes, total s, longest s; only what INDEX.md gives
ABOVE = {
    ("binance-futures", "BTC-USDT"): {
        0: (93_704, 5, "344.846", "245.982"),
        3: (81_027, 82, "301.359", "33.630"),
        4: (29_897, 121, "93.757", "9.000"),
        5: (3_723, 48, "3.016", "0.418"),
        6: (845, 20, "0.484", "0.092"),
        8: (93, 13, "0.050", "0.016"),
    },
    ("binance-spot", "BTC-USDT"): {-5: (89_013, 56), 0: (100, 2, "0.062", "0.061"), 1: (0,)},
    ("binance-futures", "ETH-USDT"): {
        3: (76_690, 35, "343.415", "57.579"),
        4: (53_928, 171, "242.343", "12.240"),
        5: (12_093, 123, "50.956", "4.774"),
        6: (587, 11, "0.232", "0.048"),
        8: (0,),
    },
    ("binance-spot", "ETH-USDT"): {-5: (63_299, 142), 0: (0,)},
}


@pytest.mark.parametrize("key", EDGES, ids="-".join)
def test_edges(cross, key):
    edge = edge_of(cross, *key)
    assert EDGES[key] == (
        edge.updates,
        f"{edge.mean_bps:.4f}",
        f"{edge.max_bps:.6f}",
        edge.max_ns,
        edge.max_sell_px,
        edge.max_buy_px,
    )


@pytest.mark.parametrize("key", ABOVE, ids="-".join)
def test_time_above_limits(cross, key):
    above = {row.bps: row for row in edge_of(cross, *key).above}
    assert list(LIMITS) == list(above)
    for bps, expected in ABOVE[key].items():
        row = above[bps]
        got = (row.updates, row.episodes, f"{row.total_s:.3f}", f"{row.longest_s:.3f}")
        assert expected == got[: len(expected)]


def test_no_edges_but_those_asked_for(cross):
    assert set(EDGES) == {(e.buy, e.symbol) for e in cross.edges}
    assert {(p.buy, p.sell) for p in PAIRS} == {(e.buy, e.sell) for e in cross.edges}


def test_the_figures_hang_on_every_slot_that_the_gate_writes(cross, monkeypatch):
    """One slot write is left out: the account stays, the edges change."""
    key = ("binance-futures", "BTC-USDT")
    peak_ns = EDGES[key][3]
    spot = SOURCE_BY_NAME["binance-spot"].id
    left_out = []

    class Forgetful(LinkIntake):
        def take(self, frame, recv_ns):
            if recv_ns == peak_ns:
                left_out.append((self.feed.source_id, b'"b":"61718.07' in frame))
                return 1
            return super().take(frame, recv_ns)

    monkeypatch.setattr(player, "LinkIntake", Forgetful)
    got = play(CROSS, PAIRS, LIMITS)
    assert [(spot, True)] == left_out
    assert [a.quotes for a in cross.sources.values()] == [a.quotes for a in got.sources.values()]
    before, after = edge_of(cross, *key), edge_of(got, *key)
    assert before.updates - 1 == after.updates
    assert after.max_ns != peak_ns
    assert after.max_bps < before.max_bps
    assert before.mean_bps != after.mean_bps
    assert [row.updates for row in before.above] != [row.updates for row in after.above]
    other = ("binance-futures", "ETH-USDT")
    assert edge_of(cross, *other) == edge_of(got, *other)


LOADS = {
    "bn_spot_load_20240809": (
        "binance-spot",
        304.5,
        {
            "BTCUSDT": ((61602.01, 1.67177, 61602.02, 2.66795), 45_134),
            "ETHUSDT": ((2677.60, 14.1133, 2677.61, 4.8966), 34_681),
        },
    ),
    "bn_usdm_load_20240719": (
        "binance-futures",
        299.5,
        {
            "BTCUSDT": ((63865.20, 0.040, 63865.30, 5.801), 45_147),
            "ETHUSDT": ((3418.53, 0.585, 3418.54, 149.967), 38_239),
        },
    ),
}


@pytest.mark.parametrize("name", LOADS)
def test_dense_recordings_of_one_venue(name):
    source, seconds, last = LOADS[name]
    result = play(RECORDINGS / name)
    assert [source] == list(result.sources)
    account = result.sources[source]
    frames = sum(n for _, n in last.values())
    assert (frames, frames, {}) == (result.frames, account.quotes, account.declined)
    assert last == quotes_of(account)
    assert f"{seconds:.1f}" == f"{account.span_ns / 1e9:.1f}"
