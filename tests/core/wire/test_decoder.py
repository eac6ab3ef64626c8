"""What a schema can say, on frames written by hand: each is read, or declined with its reason."""

import math

import pytest
from spreadcore.wire.decoder import FrameDecoder

QUOTE = ("X", 1.0, 2.0, 3.0, 4.0, 0, -1, 0)
NAN = math.nan


def plain(extra="", s='"X"', b="[1,2]", a="[3,4]"):
    return f'{{"s":{s},"b":{b},"a":{a}{extra}}}'


def test_a_quote(read):
    assert [QUOTE] == read(plain())
    assert [QUOTE] == read(' {\t"a" :\r\n[ 3 , "4.0" ] , "z":{"s":[{}]}, "s":"X","b":["1",2e0]} ')


# ---- roots -------------------------------------------------------------------------------


def test_the_first_root_that_exists_counts(read):
    roots = "data", "rows.x", ""
    frames = {
        f'{{"s":"N","b":[9,9],"a":[9,9],"data":{plain()}}}': [QUOTE],
        f'{{"data":{plain()},"rows":{{"x":{plain(s="1")}}}}}': [QUOTE],
        f'{{"rows":{{"x":{plain()}}},"data":null}}': [QUOTE],
        f'{{"rows":{{"x":{plain()}}},"data":[{plain(s="9")}]}}': [QUOTE],
        plain(',"data":7,"rows":{"y":{}}'): [QUOTE],
        plain(',"data":{}'): "field",
    }
    for frame, expected in frames.items():
        assert expected == read(frame, roots=roots), frame


def test_no_root_is_no_match(read):
    assert "no_match" == read(plain(), roots=("data",))
    assert "no_match" == read('{"data":[]}', roots=("data",))
    assert "no_match" == read('{"data":{}}', roots=("data.*",))


def test_every_element_of_a_list_is_a_quote(read):
    second = '{"a":[7,8],"s":"Y","b":["",6]}'
    expected = [QUOTE, ("Y", NAN, NAN, 7.0, 8.0, 0, -1, 0)]
    frame = f'{{"data":[{plain()},{second}]}}'
    assert repr(expected) == repr(read(frame, roots=("data.*",)))
    assert repr(expected[::-1]) == repr(
        read(f'{{"data":[{second}, {plain()}]}}', roots=("data.*",))
    )


def test_an_element_has_nothing_of_the_one_before(read):
    for change in ('"s":"Y","b":[1,2]', '"s":"Y","a":[1,2]', '"b":[1,2],"a":[1,2]'):
        frame = f'{{"data":[{plain()},{{{change}}}]}}'
        assert "field" == read(frame, roots=("data.*",)), frame
    timed = plain(',"t":5,"u":7')
    frame = f'{{"data":[{timed},{plain()}]}}'
    got = read(frame, roots=("data.*",), venue_ms=(".t",), update_id=(".u",))
    assert [(5_000_000, 7), (0, -1)] == [quote[5:7] for quote in got]


def test_elements_share_what_the_frame_says(read):
    frame = f'{{"ch":"book","data":[{plain()},{plain()}],"ts":9}}'
    changes = {"roots": ("data.*",), "match": ["ch=b*"], "venue_ms": ("ts",), "symbol": "ch"}
    quote = ("book", *QUOTE[1:5], 9_000_000, -1, 0)
    assert [quote, quote] == read(frame, **changes)


def test_a_condition_of_roots_holds_for_all_of_them(read):
    for kinds, expected in (("11", [QUOTE, QUOTE]), ("12", "no_match"), ("21", "no_match")):
        rows = ",".join(plain(',"k":' + kind) for kind in kinds)
        assert expected == read(f'{{"data":[{rows}]}}', roots=("data.*",), match=[".k=1"])


@pytest.mark.parametrize("rows", ["[]", "[1]", "[[]]", "[null]", '["x"]', "[{},1]"])
def test_lists_that_are_no_lists_of_objects(read, rows):
    assert read(f'{{"data":{rows}}}', roots=("data.*",)) in ("syntax", "field")


def test_an_index_on_the_way_to_a_root(read):
    frame = f'{{"l":[{plain(s="9")},{plain()}]}}'
    assert [QUOTE] == read(frame, roots=("l.1",))
    assert "no_match" == read(frame, roots=("l.2",))


@pytest.mark.parametrize("key", ["k", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghabcdefghi"])
def test_keys_are_compared_to_their_end(read, key):
    for other in (key[:-1], key + "x", key + key[-1], key[:-1] + "x", "x" + key[1:], key + "\x7f"):
        assert (5_000_000, 6) == read(
            plain(f',"{other}":7,"{key}":5,"i":6'), venue_ms=(f".{key}",), update_id=(".i",)
        )[0][5:7]
        assert 0 == read(plain(f',"{other}":7'), venue_ms=(f".{key}",))[0][5]
        both = {"venue_ms": (f".{key}",), "update_id": (f".{other}",)}
        if other and "\x7f" not in other:
            assert (5_000_000, 7) == read(plain(f',"{other}":7,"{key}":5'), **both)[0][5:7]


# ---- conditions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("book", ["book"], ["", "boo", "books", "xbook"]),
        ("", [""], ["x"]),
        ("*", ["", "x"], []),
        ("**", ["", "x"], []),
        ("book*", ["book", "books"], ["boo", "xbook"]),
        ("*book", ["book", "xbook", "bookbook"], ["books", "ook"]),
        ("a*b", ["ab", "axb", "abb"], ["a", "b", "ba", "abx", "xab"]),
        ("aa*aa", ["aaaa", "aaaaa", "aabaa"], ["aaa", "aa", "aaaab"]),
        ("*a*", ["a", "xax"], ["", "x"]),
        ("a*b*c", ["abc", "abbcc", "abcbc"], ["acb", "ac", "abcd", "xabc"]),
        ("*ab*ab", ["abab", "xabxab", "ababab"], ["ab", "aab", "ababx"]),
        ("ab*ab*", ["abab", "abxabx"], ["ab", "aba", "xabab"]),
        ("1*", ["1", "12"], ["21"]),
    ],
)
def test_patterns(read, pattern, fits, fits_not):
    for text in fits + fits_not:
        expected = [QUOTE] if text in fits else "no_match"
        for value in [f'"{text}"', text][: 1 + text.isdigit()]:
            assert expected == read(plain(f',"k":{value}'), match=[f"k={pattern}"]), (text, value)


@pytest.mark.parametrize("value", ["1.0", "1e0", "true", "[]", "{}", '[{"a":1}]'])
def test_only_texts_and_whole_numbers_match(read, value):
    assert "no_match" == read(plain(f',"k":{value}'), match=["k=*"])
    assert "no_match" == read(plain(f',"k":{value}'), match=["k?=*"])


def test_what_is_absent_or_null_matches_where_it_may(read):
    for extra in ("", ',"k":null'):
        assert [QUOTE] == read(plain(extra), match=["k?=x"])
        assert "no_match" == read(plain(extra), match=["k=x"])


def test_a_size_that_is_a_number_was_rounded_where_sizes_are_text(read):
    for sides, expected in (
        ({"b": '["1","2"]', "a": '["3","4"]'}, [QUOTE]),
        ({"b": '[1,"2"]', "a": '[3,"4"]'}, [QUOTE]),
        ({"b": '["1",2]', "a": '["3","4"]'}, "field"),
        ({"b": '["1","2"]', "a": '["3",4]'}, "field"),
        ({"b": '["1",2.5]', "a": '["3","4"]'}, "field"),
        ({"b": '["",0]', "a": '["3","4"]'}, [("X", NAN, NAN, *QUOTE[3:])]),  # no size at all
    ):
        assert repr(expected) == repr(read(plain(**sides), qty_text=True)), sides


# ---- symbols, ids, times -----------------------------------------------------------------


def test_a_prefix_is_cut(read):
    for symbol, expected in (
        ("bk.X", [QUOTE]),
        ("bk.", "field"),
        ("bk", "field"),
        ("X", "field"),
        ("bx.X", "field"),
    ):
        assert expected == read(plain(s=f'"{symbol}"'), symbol_prefix="bk."), symbol


@pytest.mark.parametrize("symbol", ["1", "null", '""', "[]", "{}", "true"])
def test_no_symbol(read, symbol):
    assert "field" == read(plain(s=symbol))


def test_the_first_path_that_exists_gives_id_and_time(read):
    paths = {"venue_ms": (".t", ".u.t", "v"), "update_id": (".i", ".u.i", "w")}
    for extra, expected in {
        ',"t":1,"u":{"t":2,"i":3},"i":4': (1_000_000, 4, 0),
        ',"v":9,"u":{"t":2,"i":"3"},"w":8': (2_000_000, 3, 1),
        ',"v":"9","w":8,"t":null,"u":[]': (9_000_000, 8, 2),
        ',"v":0,"w":0': (0, 0, 2),
        "": (0, -1, 0),
    }.items():
        (quote,) = read(plain(extra), **paths)
        assert expected == quote[5:], extra


@pytest.mark.parametrize("bad", ['""', '"x"', "1.0", "true", "[]", "{}", "[1]", '"1"x', "-1"])
def test_a_bad_id_is_not_passed_over(read, bad):
    extra = f',"i":{bad},"u":5'
    assert read(plain(extra), update_id=(".i", ".u")) in ("field", "number", "syntax")


def test_how_large_ids_may_be(read):
    most = (1 << 63) - 1
    for value, fits in ((most, True), (most + 1, False), (10**19 - 1, False), (10**19, False)):
        for text in (str(value), f'"{value}"'):
            got = read(plain(f',"i":{text}'), update_id=(".i",))
            assert fits == isinstance(got, list), text
            if fits:
                assert value == got[0][6]


DATE = 1_789_299_659_915_123_456  # 2026


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        (DATE // 10**6, DATE // 10**6 * 10**6),
        (DATE // 10**3, DATE // 10**3 * 10**3),
        (DATE, DATE),
        (DATE // 10**9, DATE // 10**9 * 10**9),
        (1_420_070_400_000_000, 1_420_070_400 * 10**9),  # 2015
        (1_420_070_399_999_999, 0),
        (2_208_988_799_999_999_999, 2_208_988_799_999_999_999),  # 2040
        (2_208_988_800_000_000_000, 0),
        (1, 10**6),
        (9_223_372_036_854, 9_223_372_036_854 * 10**6),
        (9_223_372_036_855, 0),
        (0, 0), ((1 << 63) - 1, 0), (1 << 63, 0), (10**19 - 1, 0),
        ("1.0", 0), ("1.789e12", 0), ("true", 0), ("{}", 0), ("[]", 0), ("[1]", 0), ('"x"', 0),
        ('""', 0), ('"-1"', 0), ('"12345678901234567890"', 0),
    ],
)  # fmt: skip
def test_a_time_never_costs_the_quote(read, time, ns):
    """Scaled where it is a date of another unit, else none; as a number and in text."""
    for text in (time, f'"{time}"') if isinstance(time, int) else (time,):
        (quote,) = read(plain(f',"t":{text}'), venue_ms=(".t",))
        assert (1.0, ns, -1) == (quote[1], *quote[5:7]), text


def test_a_time_that_numbers_quotes_costs_none_either(read):
    paths = {"venue_ms": (".t",), "update_id": (".i", ".t")}
    for extra, expected in {
        ',"t":7': (7_000_000, 7, 1),
        ',"t":"-1"': (0, -1, 0),
        ',"t":1.5': (0, -1, 0),
        f',"t":{DATE}': (DATE, DATE, 1),
        ',"t":"x","i":3': (0, 3, 0),
    }.items():
        (quote,) = read(plain(extra), **paths)
        assert expected == quote[5:], extra
    assert "field" == read(plain(',"t":1,"i":"x"'), **paths)


# ---- sides and deltas --------------------------------------------------------------------


@pytest.mark.parametrize("side", ["[]", '["",""]', '["",2]', '[1,""]', "[[],2]", "[1,[]]"])
def test_a_missing_side(read, side):
    nan = ("X", NAN, NAN, 3.0, 4.0, 0, -1, 0)
    nested = {"bid_px": ".b.0", "bid_qty": ".b.1"}
    if "[[]" in side or ",[]" in side:  # an empty list in the price's place is no price
        assert "field" == read(plain(b=side), **nested)
    else:
        assert repr([nan]) == repr(read(plain(b=side), **nested))


def test_a_missing_side_two_lists_deep(read):
    nested = {"bid_px": ".b.0.0", "bid_qty": ".b.0.1"}
    nan = ("X", NAN, NAN, 3.0, 4.0, 0, -1, 0)
    assert repr([nan]) == repr(read(plain(b="[]"), **nested))
    assert repr([nan]) == repr(read(plain(b="[[]]"), **nested))
    assert "field" == read(plain(b="[[1]]"), **nested)
    assert "field" == read(plain(b="[1]"), **nested)
    assert "field" == read(plain(b='{"0":{"0":1,"1":2}}'), **nested)
    assert [QUOTE] == read(plain(b="[[1,2,3],[4,5]]"), **nested)


@pytest.mark.parametrize(
    "side", ["null", "1", '"x"', "{}", "[1]", "[1,null]", "[1,true]", "[1,{}]"]
)
def test_no_side_at_all(read, side):
    assert "field" == read(plain(b=side))


def test_deltas_are_declined(read):
    assert "delta" == read(plain(',"k":"d"'), delta="k=d*")
    assert "delta" == read(plain(), delta="k?=d*")
    assert [QUOTE] == read(plain(',"k":"s"'), delta="k=d*")
    assert [QUOTE] == read(plain(), delta="k=d*")


def test_what_may_be_a_delta_is_declined(read):
    """An empty list on the way is "" to the reference, which an open pattern fits."""
    assert "delta" == read(plain(',"k":[]'), delta="k.0=*")


# ---- what no scanner takes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "syntax"),
        ("[]", "syntax"),
        (plain()[:-1], "syntax"),
        (plain() + "x", "syntax"),
        (plain() + "\x00", "syntax"),
        (plain() + "{}", "syntax"),
        (plain().replace(",", ",,", 1), "syntax"),
        (plain(","), "syntax"),
        (plain(',"z":[1,]'), "number"),
        (plain(',"z":tru'), "syntax"),
        (plain(',"z":nulll'), "syntax"),
        (plain(',"z":NaN'), "number"),
        (plain(',"z":01'), "number"),
        (plain(',"z":1.'), "number"),
        (plain(',"z":.5'), "number"),
        (plain(',"z":-'), "number"),
        (plain(',"z":+1'), "number"),
        (plain(',"z":1e100'), "number"),
        (plain(',"z":12345678901234567890'), "number"),
        (plain(a="[3,-4]"), "number"),
        (plain(',"z":"\\u0041"'), "text"),
        (plain(',"z":"\n"'), "text"),
        (plain(',"z":"币"'), "text"),
        (plain(',"币":1'), "text"),
        (plain(',"s":"X"'), "duplicate"),
        (plain(',"b":null'), "duplicate"),
        (plain(a='[3,"4 "]'), "field"),
        (plain(a='[3,"0x4"]'), "field"),
    ],
)
def test_declined(read, frame, reason):
    assert reason == read(frame)


@pytest.mark.parametrize(
    "extra", ["-1", "-0.5e-9", "1e99", "9" * 19, '"' + "x" * 3000 + '"', "[[],{},[{}]]", '"\x7f"']
)
def test_odd_but_sound_values_that_nobody_wants(read, extra):
    assert [QUOTE] == read(plain(f',"z":{extra},"z":{extra}'))


# ---- arguments ---------------------------------------------------------------------------


def test_arguments_of_other_types_are_refused(make_schema):
    decoder = FrameDecoder(make_schema())
    for frame in (None, "{}", bytearray(b"{}"), 1):
        with pytest.raises(TypeError):
            decoder.decode(frame)
    with pytest.raises(TypeError):
        FrameDecoder(None)
