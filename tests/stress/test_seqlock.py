"""No torn read: one writer, one reader, every field of a quote from one number.

A hundred million reads. Torn is a quote whose fields disagree; a number below one that was seen
in the slot before is as bad.
"""

import pytest

pytestmark = pytest.mark.stress

WATCHDOG_S = 120
READS = {
    # slots -> reads. Few slots, so that most reads meet a line that was just written.
    "two_cores": {1: 50_000_000, 4: 30_000_000, 16: 20_000_000},
    "one_core": {4: 10_000_000},
    "free": {4: 10_000_000},
}


def run(loops, children, make_instance, board, cores, n_slots, n_reads, wait_after=0, **writer):
    quotes = make_instance(n_sources=2, n_symbols=16, n_edges=16, force=True).quotes
    children.start(
        "writer", loops.write_until_done, quotes, board, n_slots, cpus=cores[0], **writer
    )
    children.start(
        "reader", loops.read_many, quotes, board, n_slots, n_reads,
        wait_after=wait_after, cpus=cores[1],
    )  # fmt: skip
    return children.results(WATCHDOG_S)["reader"]


def test_no_read_is_torn(loops, children, make_instance, fresh_board, pinning, record_property):
    name, cores = pinning
    reads = new = 0
    for n_slots, n_reads in READS[name].items():
        # two cores must meet; the other pinnings meet as the scheduler likes
        wait_after = 64 * n_slots if name == "two_cores" else 0
        seen = run(
            loops, children, make_instance, fresh_board(), cores, n_slots, n_reads, wait_after
        )
        assert (n_reads, 0, 0) == (seen["reads"], seen["torn"], seen["back"])
        reads += seen["reads"]
        new += seen["new"]
    record_property("reads", reads)
    record_property("new_share", round(new / reads, 3))
    if name == "two_cores":
        assert 100_000_000 == reads
        assert new >= 0.3 * reads, "the two hardly met: this run shows nothing"


def test_a_writer_that_pauses_inside_is_never_seen_half_way(
    loops, children, make_instance, board, two_cores
):
    seen = run(loops, children, make_instance, board, two_cores, 4, 2_000_000, slowly=True, pause=1)
    assert (0, 0) == (seen["torn"], seen["back"])
    assert seen["new"] > 0


def test_control_without_the_odd_mark_reads_are_torn(
    loops, children, make_instance, board, two_cores
):
    """The very writer of the test above, but for the mark."""
    seen = run(
        loops, children, make_instance, board, two_cores, 4, 2_000_000,
        slowly=True, pause=1, odd_mark=False,
    )  # fmt: skip
    assert seen["torn"] > 0
