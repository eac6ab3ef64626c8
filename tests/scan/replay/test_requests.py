"""Pairs and limits from the command line."""

import pytest

from spreadscan.errors import ConfigError
from spreadscan.replay import Pair, parse_limits, parse_pairs


def test_pairs():
    assert (
        Pair("binance-futures", "binance-spot"),
        Pair("okx-spot", "mexc-futures"),
    ) == parse_pairs("binance-futures:binance-spot, okx-spot:mexc-futures")
    assert () == parse_pairs("")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("okx-spot", "'okx-spot', expected BUY:SELL"),
        ("okx-spot:okx-spot", "expected two different sources"),
        ("okx-spot:mexc-future", r"unknown source 'mexc-future', did you mean 'mexc-futures'\?"),
        ("???:okx-spot", r"unknown source '\?\?\?', expected one of binance-spot"),
        ("okx-spot:mexc-spot,", "'', expected BUY:SELL"),
        ("okx-spot:mexc-spot,okx-spot:mexc-spot", "okx-spot:mexc-spot 2 times, expected once"),
    ],
)  # fmt: skip
def test_no_pairs(text, sentence):
    with pytest.raises(ConfigError, match=f"directions: .*{sentence}"):
        parse_pairs(text)


def test_limits():
    assert (-5.0, 0.0, 3.5) == parse_limits("-5, 0,3.5")
    assert () == parse_limits(" ")


@pytest.mark.parametrize("text", ["x", "1,", "nan", "inf", "1;2"])
def test_no_limits(text):
    with pytest.raises(ConfigError, match="edges: .*, expected numbers in bps"):
        parse_limits(text)


def test_too_many_limits():
    with pytest.raises(ConfigError, match="65 limits, expected at most 64"):
        parse_limits(",".join("1" * 65))
