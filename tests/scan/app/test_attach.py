"""Whoever attaches goes by the settings in use, and says where that is another thing."""

from spreadscan import config
from spreadscan.app.attach import attach
from spreadscan.inuse import leave_settings


def test_the_settings_of_a_running_scanner_count_and_differences_are_told(make_instance):
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    named = {"instance": instance.name}
    theirs = config.load([], {**named, "engine.threshold_bps": 41.5}, environ={})
    ours = config.load([], {**named, "engine.threshold_bps": 20.0}, environ={})
    leave_settings(instance, theirs.config, theirs.origins)
    told: list[str] = []
    assert (ours.config, None) == attach(ours, "reader", told.append)[1:]
    assert [] == told
    lease = instance.lease("supervisor")
    try:
        found = attach(ours, "reader", told.append)
    finally:
        lease.close()
    assert 41.5 == found.config.engine.threshold_bps
    assert found.in_use is not None
    assert theirs.config == found.in_use.given
    assert told == [
        "going by the settings in use: engine.threshold_bps is 41.5 (command line), not 20.0 "
        "(command line)"
    ]
