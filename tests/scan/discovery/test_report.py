"""Every pair that is not valid and every row that was left out, with its reason."""

from spreadscan.discovery.report import Result, SourceResult, report_text


def test_every_reason_is_in_the_report() -> None:
    source = SourceResult(
        total_pairs=9,
        valid_pairs=2,
        quiet_pairs={"Q-USDT": "no update, 2 runs in a row"},
        quarantined_pairs={"B-USDT": "identity: b", "A-USDT": "identity: a"},
        invalid_pairs={"I-USDT": "refused: no"},
        skipped={"other_quote": 3, "missing_field": 1},
        incomplete_rows={"X-USDT": "missing_field: state"},
        timeout_sec=90.0,
        took_sec=1.5,
    )
    failed = SourceResult(error="mexc-spot: HTTP 500")
    kept = SourceResult(error="HTTP 503", list_written="2026-11-20T12:00:00.123456Z")
    lines = report_text(
        Result(
            generation=3,
            symbols=9,
            directions={"okx->mexc": 2},
            sources={"okx-spot": source, "mexc-spot": failed, "bybit-spot": kept},
            took_s=2.0,
            folder="generated",
        )
    ).splitlines()
    assert [
        "generation 3, 9 pairs, 2.0 s",
        "",
        "source            total  valid  quiet  quarantined  invalid  timeout_sec  took_sec",
        "okx-spot              9      2      1            2        1           90       1.5",
        "mexc-spot             0      0      0            0        0            0         0",
        "bybit-spot            0      0      0            0        0            0         0",
        "",
        "failed sources",
        "mexc-spot        mexc-spot: HTTP 500; its pairs in the set: none",
        "bybit-spot       HTTP 503; its pairs in the set: those it listed at 2026-11-20T12:00:00Z",
        "",
        "direction         pairs",
        "okx->mexc             2",
        "",
        "quarantined pairs",
        "okx-spot         A-USDT               identity: a",
        "okx-spot         B-USDT               identity: b",
        "",
        "invalid pairs",
        "okx-spot         I-USDT               refused: no",
        "",
        "quiet pairs",
        "okx-spot         Q-USDT               no update, 2 runs in a row",
        "",
        "rows left out of the lists",
        "okx-spot         missing_field        1",
        "okx-spot         other_quote          3",
        "okx-spot         X-USDT               missing_field: state",
    ] == lines
