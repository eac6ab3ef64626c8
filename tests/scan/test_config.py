"""Layers of settings, where each value comes from, and the sentences for what is wrong."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from known import DIRECTIONS
from spreadscan.config import (
    BY_DEFAULT,
    Config,
    DirectionSettings,
    Feeds,
    Universe,
    VenueSettings,
    flat,
    load,
)
from spreadscan.defaults import commented, default_file
from spreadscan.errors import ConfigError

DEFAULT_TOML = default_file("default.toml")


@pytest.fixture
def toml(tmp_path: Path) -> Callable[..., str]:
    """A function that writes a TOML file and returns its path."""

    def write(text: str, name: str = "own.toml") -> str:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return str(path)

    return write


def refusal(files: list[str], **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(files, **{"environ": {}, **options})
    return str(caught.value)


# -- the file of defaults


def keys_of(tree: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= keys_of(value, f"{prefix}{key}.") or {f"{prefix}{key}"}
        else:
            found.add(f"{prefix}{key}")
    return found


def every_key(struct: type[msgspec.Struct], prefix: str = "") -> set[str]:
    found = set()
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= every_key(field.type, f"{prefix}{field.name}.")
        else:
            found.add(f"{prefix}{field.name}")
    return found


def test_default_toml_names_every_key_with_its_default() -> None:
    tree = tomllib.loads(DEFAULT_TOML.read_text("utf-8"))
    assert every_key(Config) == keys_of(tree)
    assert Config() == load([DEFAULT_TOML], environ={}).config


def test_the_examples_in_default_toml_are_whole_and_valid(toml: Callable[..., str]) -> None:
    text = DEFAULT_TOML.read_text("utf-8")
    live = re.sub(r"^# (\[.+\]|[\w-]+ = .+)$", r"\1", text, flags=re.MULTILINE)
    config = load([toml(live)], environ={}).config
    assert {"binance-spot"} == set(config.venues)
    assert {"okx->mexc", "perpetual->perpetual"} == set(config.directions)
    assert {"vip1": {"okx-spot": 8.0, "okx-futures": 4.5}} == config.tiers
    assert {"USDC-USDT": {"binance-spot": 0.0}} == config.pair_taker_bps
    for own in (config.venues["binance-spot"], *config.directions.values()):
        assert None not in msgspec.structs.astuple(own)


def test_every_key_of_default_toml_says_what_it_is() -> None:
    undocumented, told = [], False
    for line in DEFAULT_TOML.read_text("utf-8").splitlines():
        told = (told or line.startswith("#")) and bool(line)
        if re.match(r"\w+ = ", line) and "# " not in line and not told:
            undocumented.append(line)
    assert [] == undocumented


def test_the_file_to_start_from_changes_nothing_and_has_every_key(toml: Callable[..., str]) -> None:
    text = commented()
    assert Config() == load([toml(text)], environ={}).config
    tree = tomllib.loads(DEFAULT_TOML.read_text("utf-8"))
    for key in keys_of(tree):
        assert re.search(rf"^(# {key.rpartition('.')[2]} = |\[{key}\]$)", text, re.MULTILINE), key


def test_confirmed_identities_lie_beside_the_config(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / "a.toml").write_text("")
    files = [other / "a.toml", own / "a.toml"]
    assert "config/identity.toml" == load(files, environ={}).config.paths.identity
    (own / "identity.toml").write_text("")
    loaded = load(files, environ={})
    assert str(own / "identity.toml") == loaded.config.paths.identity
    assert f"beside {own / 'a.toml'}" == loaded.origins["paths.identity"]
    told = load(files, {"paths.identity": "mine.toml"}, environ={})
    assert "mine.toml" == told.config.paths.identity


def test_the_demo_config_is_valid_and_short_lived() -> None:
    config = load([DEFAULT_TOML, DEFAULT_TOML.with_name("demo.toml")], environ={}).config
    assert ("demo", 15.0) == (config.instance, config.tracker.expire_after_s)


# -- layers


def test_nothing_given_is_the_defaults() -> None:
    loaded = load(environ={})
    assert Config() == loaded.config
    assert {} == loaded.origins


def test_later_layers_win_and_origins_tell_which(toml: Callable[..., str]) -> None:
    first = toml("[engine]\nthreshold_bps = 20\nspin_us = 5\n[tracker]\ngrid_ms = 100", "a.toml")
    second = toml("[engine]\nspin_us = 6\nconverge_bps = 1", "b.toml")
    environ = {"SPREAD_ENGINE_CONVERGE_BPS": "3.5", "SPREAD_LOG_LEVEL": "DEBUG", "PATH": "/bin"}
    loaded = load([first, second], {"log.level": "ERROR"}, environ)
    engine = loaded.config.engine
    assert (20.0, 6.0, 3.5) == (engine.threshold_bps, engine.spin_us, engine.converge_bps)
    assert ("ERROR", 100.0) == (loaded.config.log.level, loaded.config.tracker.grid_ms)
    assert {
        "engine.threshold_bps": first,
        "engine.spin_us": second,
        "engine.converge_bps": "environment SPREAD_ENGINE_CONVERGE_BPS",
        "log.level": "command line",
        "tracker.grid_ms": first,
    } == loaded.origins


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("SPREAD_INSTANCE", "demo", "instance", "demo"),
        ("SPREAD_INSTANCE", "42", "instance", "42"),
        ("SPREAD_INSTANCE", '"quoted"', "instance", "quoted"),
        ("SPREAD_SOURCES", '["okx-spot", "mexc-futures"]', "sources", ("okx-spot", "mexc-futures")),
        ("SPREAD_FEEDS_BACKOFF_BASE_S", "0.25", "feeds.backoff_base_s", 0.25),
        ("SPREAD_CPU_ENGINE", "[1]", "cpu.engine", (1,)),
        ("SPREAD_PATHS_DATA", "/tmp/with space", "paths.data", "/tmp/with space"),
        ("SPREAD_ENGINE", "{spin_us = -1}", "engine.spin_us", -1.0),
    ],
)
def test_environment_names_sections_and_keys(name: str, text: str, key: str, value: Any) -> None:
    loaded = load(environ={name: text})
    assert value == flat(loaded.config)[key]
    assert f"environment {name}" == loaded.origins[key]


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPREAD_TRACKER_GRID_MS", "250")
    assert 250.0 == load().config.tracker.grid_ms


def test_flags_reach_venues_and_directions_and_keep_their_neighbours(
    toml: Callable[..., str],
) -> None:
    own = toml('[venues.okx-spot]\ntaker_bps = 8\n[directions."okx->mexc"]\nthreshold_bps = 30')
    flags = {"venues.okx-spot.stale_after_s": "5", "directions.okx->mexc.converge_bps": 4}
    config = load([own], flags, {}).config
    assert {"okx-spot": VenueSettings(taker_bps=8.0, stale_after_s=5.0)} == config.venues
    assert {"okx->mexc": DirectionSettings(30.0, 4.0)} == config.directions
    assert (30.0, 4.0) == config.limits_bps(DIRECTIONS[0])
    assert (15.0, 2.0) == config.limits_bps(DIRECTIONS[1])


def test_tiers_have_names_of_the_users_own_and_fees_by_source(toml: Callable[..., str]) -> None:
    own = toml('account_tier = "vip1"\n[tiers.vip1]\nokx-spot = 8\n[tiers.vip2]\nokx-spot = 7')
    found = load([own], {"tiers.vip1.okx-futures": "4.5"}, {"SPREAD_ACCOUNT_TIER": "vip2"})
    assert "vip2" == found.config.account_tier
    assert {"vip1": {"okx-spot": 8.0, "okx-futures": 4.5}, "vip2": {"okx-spot": 7.0}} == (
        found.config.tiers
    )
    assert "command line" == found.origins["tiers.vip1.okx-futures"]
    assert 8.0 == flat(found.config)["tiers.vip1.okx-spot"]


def test_flat_is_what_a_file_may_say(toml: Callable[..., str]) -> None:
    own = toml("[venues.okx-spot]\ntaker_bps = 8")
    config = load([own], environ={}).config
    assert 8.0 == flat(config)["venues.okx-spot.taker_bps"]
    assert config == load(flags=flat(config) | {"venues": {"okx-spot": {"taker_bps": 8}}}).config


def another(value: Any, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return next(v for v in get_args(kind) if v != value)
    if isinstance(value, tuple):
        return (*value, get_args(kind)[0]("7"))
    return f"{value}2" if isinstance(value, str) else value + 1


def test_the_hash_changes_with_any_setting() -> None:
    default, changed = Config(), []
    for field in msgspec.structs.fields(Config):
        section = getattr(default, field.name)
        if not isinstance(section, msgspec.Struct):
            continue
        for inner in msgspec.structs.fields(section):
            other = another(getattr(section, inner.name), inner.type)
            new = msgspec.structs.replace(section, **{inner.name: other})
            changed.append(msgspec.structs.replace(default, **{field.name: new}))
    changed += [
        Config(instance="other"),
        Config(sources=BY_DEFAULT[:4]),
        Config(venues={"okx-spot": VenueSettings(taker_bps=1.0)}),
        Config(tiers={"vip1": {"okx-spot": 1.0}}),
        Config(pair_taker_bps={"BTC-USDT": {"okx-spot": 1.0}}),
        Config(account_tier="vip1"),
        Config(directions={"okx->mexc": DirectionSettings(threshold_bps=1.0)}),
    ]
    assert len(every_key(Config)) == len(changed)
    hashes = [config.hash() for config in (default, *changed)]
    assert len(hashes) == len(set(hashes))
    assert all(re.fullmatch("c[0-9a-f]{8}", text) for text in hashes)
    assert default.hash() == Config(feeds=Feeds()).hash()


def test_the_hash_does_not_depend_on_the_order_of_sections() -> None:
    one, two = VenueSettings(taker_bps=1.0), VenueSettings(taker_bps=2.0)
    forward = Config(venues={"okx-spot": one, "mexc-spot": two})
    backward = Config(venues={"mexc-spot": two, "okx-spot": one})
    assert forward.hash() == backward.hash()


FOUR = ("okx-spot", "okx-futures", "mexc-spot", "mexc-futures")


def compared(**more: Any) -> dict[str, tuple[float, float]]:
    """Return name -> limits of the directions that are compared."""
    settings = {"sources": list(FOUR), **more}
    config = load(flags=settings, environ={}).config
    return {d.name: config.limits_bps(d) for d in config.enabled_directions}


def test_a_class_is_a_pair_of_sources_or_every_enabled_one_of_a_kind() -> None:
    built_in = {"okx->mexc", "mexc->okx"}
    both = {"okx-futures->mexc-futures", "mexc-futures->okx-futures"}
    assert built_in == set(compared())
    named = {"okx-futures->mexc-futures": {"threshold_bps": 9.0}}
    assert built_in | {"okx-futures->mexc-futures"} == set(compared(directions=named))
    # one of a source that is not enabled makes nothing
    assert built_in == set(compared(directions={"okx-futures->gate-futures": {}}))
    assert built_in | both == set(compared(directions={"perpetual->perpetual": {}}))
    basis = {"okx-spot->okx-futures", "mexc-spot->mexc-futures"}
    assert built_in | basis == set(compared(directions={"spot->perpetual": {}}))
    assert built_in | {"okx-spot->okx-futures"} == set(
        compared(directions={"spot->okx-futures": {}})
    )


def test_a_built_in_direction_stays_itself_whatever_way_it_is_named() -> None:
    for name in ("okx->mexc", "okx-spot->mexc-futures"):
        limits = {name: {"threshold_bps": 9.0}}
        assert {"okx->mexc": (9.0, 2.0), "mexc->okx": (15.0, 2.0)} == compared(directions=limits)
    config = load(flags={"directions": {"perpetual->spot": {}}}, environ={}).config
    ids = {d.name: d.id for d in config.enabled_directions}
    assert list(range(12)) == sorted(ids.values())[:12]
    assert 4096 + 64 * 7 + 6 == ids["okx-futures->okx-spot"]


def test_of_several_classes_the_closest_gives_each_key() -> None:
    found = compared(
        directions={
            "perpetual->perpetual": {"threshold_bps": 30.0, "converge_bps": 5.0},
            "okx-futures->perpetual": {"threshold_bps": 20.0},
            "okx-futures->mexc-futures": {"converge_bps": 1.0},
            "spot->perpetual": {"enabled": False},
            "mexc->okx": {"enabled": True, "threshold_bps": 7.0},
        }
    )
    assert {
        "mexc->okx": (7.0, 2.0),
        "okx-futures->mexc-futures": (20.0, 1.0),
        "mexc-futures->okx-futures": (30.0, 5.0),
    } == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("okx->mexx", "did you mean 'okx->mexc'?"),
        ("okx-futures->mexc-future", "'mexc-future' is neither a source nor a kind, did you mean"),
        ("perpetual->pool", "'pool' is neither a source nor a kind, expected of binance-spot, "),
        ("perpetual", "expected BUY->SELL of sources or kinds, or e.g. 'okx->mexc'"),
        ("okx->okx", "'okx' is neither a source nor a kind, "),
        ("okx-spot->okx-spot", "the same source on both sides, expected two"),
        ("a->b->c", "expected BUY->SELL of sources or kinds"),
    ],
)
def test_a_class_of_nothing_is_told_what_it_may_be(name: str, said: str) -> None:
    text = refusal([], flags={"directions": {name: {"threshold_bps": 1}}})
    assert f"command line: unknown key 'directions.{name}', " in text
    assert said in text


def test_two_classes_that_fit_alike_and_differ_are_refused() -> None:
    rivals = {
        "okx-spot->perpetual": {"threshold_bps": 9.0},
        "spot->mexc-futures": {"threshold_bps": 8.0},
    }
    text = refusal([], flags={"directions": rivals})
    assert text.startswith("command line: directions.okx-spot->perpetual.threshold_bps: 9.0, and ")
    assert "8.0 of spot->mexc-futures, which fits okx->mexc as closely: expected one of" in text
    own = {"okx->mexc": {"threshold_bps": 7.0}}
    assert (7.0, 2.0) == compared(directions=rivals | own)["okx->mexc"]


def test_enabled_directions_need_both_sources() -> None:
    config = Config(sources=("okx-spot", "mexc-futures", "bybit-futures", "mexc-spot"))
    names = [d.name for d in config.enabled_directions]
    assert ["okx->mexc", "okx->bybit", "mexc->bybit"] == names
    assert (6, 5, 3, 4) == config.source_ids
    assert 12 == len(Config().enabled_directions)


# -- sentences


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("[engine]\nspin_uss = 1", "engine.spin_uss", "did you mean 'spin_us'?"),
        ("[enginee]\nspin_us = 1", "enginee", "did you mean 'engine'?"),
        ("trackers = 3", "trackers", "did you mean 'tracker'?"),
        (
            "[feeds]\nfunding_every_s = 60",
            "feeds.funding_every_s",
            "did you mean 'audit.funding_every_s'?",
        ),
        ("[venues.binance_spot]\ntaker_bps = 1", "venues.binance_spot", "'binance-spot'?"),
        ("[venues.okx-spot]\ntaker = 1", "venues.okx-spot.taker", "'taker_bps'?"),
        ('[directions."okx->mex"]\nthreshold_bps = 1', "directions.okx->mex", "'okx->mexc'?"),
        ("[paths]\nqqq = 1", "paths.qqq", "expected one of generated, data, logs"),
        ("[tiers.a]\nokx-sport = 1", "tiers.a.okx-sport", "'okx-spot'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(
    toml: Callable[..., str], text: str, path: str, hint: str
) -> None:
    file = toml(text)
    said = refusal([file])
    assert f"{file}: unknown key {path!r}" in said
    assert hint in said


def test_unknown_keys_of_environment_and_flags_name_their_origin() -> None:
    assert "environment SPREAD_ENGINE_SPIN: unknown key 'engine.spin'" in refusal(
        [], environ={"SPREAD_ENGINE_SPIN": "1"}
    )
    assert "environment SPREAD_FOO: unknown key 'foo'" in refusal([], environ={"SPREAD_FOO": "1"})
    assert "command line: unknown key 'engine.spin'" in refusal([], flags={"engine.spin": "1"})
    assert "command line: unknown key ''" in refusal([], flags={"": "1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[engine]\nthreshold_bps = 'high'", "engine.threshold_bps: Expected `float`, got `str`"),
        ("[tiers.a]\nokx-spot = 'low'", "tiers.a.okx-spot: Expected `float`, got `str`"),
        ("[tiers]\na = 1", "tiers.a: 1, expected a section [tiers.a]"),
        ("[engine]\nthreshold_bps = true", "engine.threshold_bps: Expected `float`, got `bool`"),
        ("[discovery]\ntries = 2.5", "discovery.tries: Expected `int`"),
        ("sources = 'okx-spot'", "sources: Expected `array`, got `str`"),
        ("[universe]\ninclude = ['BTC-*', 3]", "universe.include[1]: Expected `str`, got `int`"),
        ("[universe]\nquotes = 'USDC'", "universe.quotes: Expected `array`, got `str`"),
        ("[universe]\nquotes = []", "universe.quotes: [], expected one or more of USDT, USDC"),
        ("[universe]\nquotes = ['EUR']", "universe.quotes: ['EUR'], expected one or more of"),
        ("[universe]\nquotes = ['USDC', 'USDC']", "universe.quotes: ['USDC', 'USDC'], expected"),
        ("[feeds]\ntransport = 'smoke'", "feeds.transport: 'smoke', expected one of picows, aio"),
        ("[venues.okx-spot]\ntaker_bps = 'x'", "venues.okx-spot.taker_bps: Expected `float"),
        ("[venues]\nokx-spot = 3", "venues.okx-spot: 3, expected a section [venues.okx-spot]"),
        ("engine = 5", "engine: 5, expected a section [engine]"),
        ("instance = {a = 1}", "instance: Expected `str`, got `object`"),
    ],
)
def test_a_wrong_type_names_file_and_key(toml: Callable[..., str], text: str, said: str) -> None:
    good, bad = toml("[engine]\nspin_us = 1", "good.toml"), toml(text, "bad.toml")
    assert refusal([good, bad]).startswith(f"{bad}: {said}")
    assert refusal([bad, good]).startswith(f"{bad}: {said}")


def test_a_wrong_type_below_a_right_one_is_still_refused(toml: Callable[..., str]) -> None:
    bad = toml("[engine]\nspin_us = 'x'")
    said = refusal([bad], environ={"SPREAD_ENGINE_SPIN_US": "1"})
    assert f"{bad}: engine.spin_us" in said


def test_what_is_no_toml_is_refused(toml: Callable[..., str], tmp_path: Path) -> None:
    assert "nothing.toml: no such file" in refusal([str(tmp_path / "nothing.toml")])
    assert "cannot be read" in refusal([str(tmp_path)])
    assert "own.toml: not TOML" in refusal([toml("instance = ")])
    assert "own.toml: not TOML" in refusal([toml("x = " + "[" * 100_000)])
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"instance = '\xff\xfe'")
    assert "binary.toml: cannot be read" in refusal([str(binary)])


@pytest.mark.parametrize(
    ("flags", "key", "said"),
    [
        ({"sources": ["okx-spot", "okx-futurs"]}, "sources", "did you mean 'okx-futures'?"),
        ({"sources": ["okx-spot", "okx-spot", "mexc-futures"]}, "sources", "named twice"),
        ({"sources": []}, "sources", "none, expected both of a direction"),
        ({"sources": ["okx-spot", "okx-futures"]}, "sources", "of different exchanges"),
        ({"sources": ["okx-spot", "mexc-spot"]}, "sources", "a spot and a futures source"),
        ({"engine.converge_bps": 15}, "engine.converge_bps", "expected below threshold_bps 15.0"),
        ({"engine.threshold_bps": 2}, "engine.threshold_bps", "expected below threshold_bps 2.0"),
        ({"engine.threshold_bps": "nan"}, "engine.threshold_bps", "threshold_bps nan"),
        (
            {"directions.okx->mexc.threshold_bps": 1},
            "directions.okx->mexc.threshold_bps",
            "converge_bps 2.0 of okx->mexc, expected below threshold_bps 1.0",
        ),
        ({"tracker.grid_ms": 0}, "tracker.grid_ms", "expected at least 1"),
        ({"tracker.grid_ms": "nan"}, "tracker.grid_ms", "nan, expected at least 1"),
        ({"capacity.sources": 7}, "capacity.sources", "expected 8 to 64"),
        ({"capacity.symbols": 65_537}, "capacity.symbols", "expected 1 to 65536"),
        ({"capacity.edges": 0}, "capacity.edges", "expected 1 to 1048576"),
        ({"discovery.tries": 0}, "discovery.tries", "expected 1 to 100"),
        ({"discovery.backoff_ms": []}, "discovery.backoff_ms", "one or more waits"),
        ({"discovery.backoff_ms": [100, -1]}, "discovery.backoff_ms", "waits of 0 or more"),
        ({"feeds.beat_ms": 1001}, "feeds.beat_ms", "half of engine.beat_limit_s (2.0 s)"),
        (
            {"engine.beat_limit_s": 10.0, "feeds.beat_ms": 1501},
            "feeds.beat_ms",
            "expected 1 to 1500",
        ),
        ({"feeds.backoff_base_s": 0}, "feeds.backoff_base_s", "expected at least 0.001"),
        ({"feeds.max_frame_bytes": 10}, "feeds.max_frame_bytes", "expected 1024 to"),
        ({"cpu.engine": [-1]}, "cpu.engine", "[-1], expected numbers from 0"),
        ({"venues.okx-spot.ws_url": "okx.com"}, "venues.okx-spot.ws_url", "wss://host[:port]"),
        ({"venues.okx-spot.ws_url": "https://okx.com"}, "venues.okx-spot.ws_url", "wss://"),
        ({"venues.okx-spot.ws_url": "wss://:80/"}, "venues.okx-spot.ws_url", "wss://"),
        ({"venues.okx-spot.ws_url": "wss://a:99999/"}, "venues.okx-spot.ws_url", "wss://"),
        ({"venues.okx-spot.rest_url": "http://a:x"}, "venues.okx-spot.rest_url", "https://"),
        ({"venues.okx-spot.rest_url": "http://[::1"}, "venues.okx-spot.rest_url", "https://"),
        ({"venues.okx-spot.ws_url": "[]"}, "venues.okx-spot.ws_url", "an empty list, expected wss"),
        ({"venues.okx-spot.ws_url": '["wss://a", "b"]'}, "venues.okx-spot.ws_url", "'b', expected"),
        ({"venues.okx-spot.taker_bps": "inf"}, "venues.okx-spot.taker_bps", "a number of bps"),
        ({"venues.okx-spot.stale_after_s": -1}, "venues.okx-spot.stale_after_s", "above 0 to 600"),
        ({"venues.mexc-spot.stale_after_s": 0}, "venues.mexc-spot.stale_after_s", "above 0 to 600"),
        (
            {"venues.okx-spot.stale_after_s": 601},
            "venues.okx-spot.stale_after_s",
            "to 600: no quote",
        ),
        (
            {"venues.okx-spot.stale_after_s": "nan"},
            "venues.okx-spot.stale_after_s",
            "nan, expected",
        ),
        ({"account_tier": "vip"}, "account_tier", "'vip', expected one of [tiers]: none"),
        ({"tiers.a.okx-spot": "nan"}, "tiers.a.okx-spot", "nan, expected a number of bps"),
        ({"audit.funding_every_s": 4}, "audit.funding_every_s", "4.0, expected 0 or at least 5"),
        ({"audit.every_s": "inf"}, "audit.every_s", "inf, expected 1 to 300"),
        ({"audit.every_s": 0.5}, "audit.every_s", "0.5, expected 1 to 300"),
        ({"audit.confirm_within_s": "nan"}, "audit.confirm_within_s", "nan, expected 1 to 600"),
        ({"audit.ask_after_s": -1}, "audit.ask_after_s", "-1.0, expected 0 to 600"),
        ({"audit.answer_within_s": 0}, "audit.answer_within_s", "0.0, expected 0.05 to 60"),
        ({"audit.unproven": "no"}, "audit.unproven", "'no', expected one of drop, signal"),
        ({"cpu.audit": [-1]}, "cpu.audit", "[-1], expected numbers from 0"),
        ({"discovery.reload_h": 0.05}, "discovery.reload_h", "0.05, expected 0 or at least 0.1"),
        ({"discovery.reload_h": "inf"}, "discovery.reload_h", "inf, expected 0 to 8760"),
        (
            {"audit.every_s": 31},
            "audit.every_s",
            "31.0, expected at most 30.0 s, for audit.confirm_within_s is 60.0 s",
        ),
        (
            {"venues.okx-spot.confirm_within_s": 29},
            "venues.okx-spot.confirm_within_s",
            "29.0, expected at least 2 times audit.every_s (15.0 s)",
        ),
        ({"audit.funding_every_s": -1}, "audit.funding_every_s", "expected 0 to 3600"),
        ({"engine.confirm_ms": -1}, "engine.confirm_ms", "expected 0 to 3600000"),
        ({"instance": "../etc"}, "instance", "'../etc', expected up to 63 letters"),
        ({"instance": ""}, "instance", "'', expected up to 63 letters"),
    ],
)
def test_rules_between_values_name_the_key_to_change(
    flags: dict[str, Any], key: str, said: str
) -> None:
    text = refusal([], flags=flags)
    assert text.startswith(f"command line: {key}: ")
    assert said in text


def test_a_tier_that_is_nearly_one_is_named(toml: Callable[..., str]) -> None:
    file = toml('account_tier = "vip"\n[tiers.vip1]\nokx-spot = 8')
    assert f"{file}: account_tier: unknown tier 'vip', did you mean 'vip1'?" == refusal([file])


def test_a_rule_broken_from_a_file_names_the_file(toml: Callable[..., str]) -> None:
    file = toml("[tracker]\ngrid_ms = 0.5")
    assert f"{file}: tracker.grid_ms: 0.5, expected at least 1" == refusal([file])


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:8080/ws", "wss://a.example", "ws://[::1]:9000/x?y=z"]
)
def test_good_addresses_are_taken(url: str) -> None:
    flags = {"venues.okx-spot.ws_url": url}
    assert url == load(flags=flags, environ={}).config.venues["okx-spot"].ws_url


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().universe.include = ("X",)  # type: ignore[misc]
    assert Universe() == Config().universe


@pytest.mark.parametrize(("address", "simulated"), [
    ("ws://127.0.0.1:9000", True), ("wss://127.8.9.1/ws", True), ("ws://localhost:1", True),
    ("ws://LOCALHOST", True), ("ws://[::1]:9000", True), ("ws://sim.localhost:9", True),
    ("ws://localhost.:9", True), ("ws://127.1:5", True), ("ws://0.0.0.0:5", True),
    ("ws://[::ffff:127.0.0.1]:9", True), ("wss://stream.binance.com:9443", False),
    ("wss://10.0.0.1", False), ("wss://localhost.example.com", False), ("ws://[::2]", False),
])  # fmt: skip
@pytest.mark.parametrize("key", ["ws_url", "rest_url"])
def test_a_loopback_address_of_an_enabled_source_is_a_simulated_market(address, simulated, key):
    url = address.replace("ws", "http", 1) if key == "rest_url" else address
    flags = {f"venues.okx-spot.{key}": url}
    assert simulated == load(flags=flags, environ={}).config.simulated
    flags["sources"] = ["bybit-spot", "mexc-futures"]  # one that is not listened to says nothing
    assert not load(flags=flags, environ={}).config.simulated


def test_the_default_hosts_are_a_real_market():
    assert not load(environ={}).config.simulated


def float_keys() -> list[tuple[str, str]]:
    """Every key of the tree that takes a fraction, with how a value of it is written."""
    found = []

    def walk(kind: Any, prefix: str) -> None:
        for field in msgspec.structs.fields(kind):
            key, text = f"{prefix}{field.name}", str(field.type)
            if field.name == "venues":
                walk(VenueSettings, "venues.okx-spot.")
            elif field.name == "directions":
                walk(DirectionSettings, "directions.okx->mexc.")
            elif field.name == "tiers":
                found.append(("tiers.mine.okx-spot", "{}"))
            elif field.name == "pair_taker_bps":
                found.append(("pair_taker_bps.BTC-USDT.okx-spot", "{}"))
            elif isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                walk(field.type, f"{key}.")
            elif "float" in text:
                found.append((key, "[{}]" if "tuple" in text else "{}"))

    walk(Config, "")
    return found


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e308", "-1e308", "1e10"])
def test_no_worker_gets_a_number_that_it_cannot_reckon_with(number: str) -> None:
    """Whatever is added to the tree, too: a time in ns has to fit 64 bits, a timer has to end."""
    keys = float_keys()
    assert {"engine.threshold_bps", "venues.okx-spot.stale_after_s"} < {key for key, _ in keys}
    for key, form in keys:
        text = refusal([], flags={key: form.format(number)})
        assert text.startswith("command line: "), key
        assert key.split(".")[-1] in text, key


def test_the_largest_numbers_are_good_for_the_workers_arithmetic() -> None:
    for key, form in float_keys():
        # the largest that is taken
        for number in (1e9, 8e8, 3600.0, 1000.0, 100.0, 50.0, 30.0, 0.5):
            try:
                config = load((), {key: form.format(number)}, {}).config
            except ConfigError:
                continue
            value = flat(config).get(key, number)
            for one in value if isinstance(value, list | tuple) else (value,):
                assert int(one * 1e9) < 2**63, key
            break
        else:
            raise AssertionError(f"{key}: no number is good")


@pytest.mark.parametrize(
    ("path", "group", "words"),
    [
        ("run/status.sock", "daemon", "control.status_socket: 'run/status.sock', expected an abso"),
        ("/run/status.sock", "", "control.status_group: '', expected status_socket and status_g"),
        ("", "daemon", "control.status_socket: '', expected status_socket and status_group, or"),
    ],
)
def test_a_socket_for_a_group_needs_both_of_its_settings(path: str, group: str, words: str) -> None:
    flags = {"control.status_socket": path, "control.status_group": group}
    with pytest.raises(ConfigError, match=words):
        load((), flags, {})
