import json
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.jsonable import BadJson, dumps, from_jsonable, loads, to_jsonable


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Dot:
    x: int
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Line:
    ends: tuple[Dot, Dot]
    between: tuple[Dot, ...] = ()


Shape: TypeAlias = Dot | Line


@dataclass(frozen=True, slots=True)
class Everything:
    text: str
    number: int
    share: float
    flag: bool
    raw: bytes
    colour: Colour
    v4: IPv4Address
    v6: IPv6Address
    net: IPv4Interface
    maybe: int | None
    shape: Shape
    shapes: tuple[Shape, ...]
    either: int | str
    names: list[str]
    counters: dict[str, int]
    free: Any = None
    defaulted: dict[str, int] = field(default_factory=dict)


FULL = Everything(
    text="é\0\U0001f600",
    number=-(10**30),
    share=0.1,
    flag=True,
    raw=b"\x00\xff",
    colour=Colour.GREEN,
    v4=IPv4Address("192.0.2.1"),
    v6=IPv6Address("2001:db8::1"),
    net=IPv4Interface("192.0.2.1/24"),
    maybe=None,
    shape=Line((Dot(1), Dot(2, Colour.GREEN))),
    shapes=(Dot(0), Line((Dot(1), Dot(2)), (Dot(3), Dot(4)))),
    either="7",
    names=["a"],
    counters={"type": 1, "b": 2},
    free={"any": [1, None]},
)
DOCUMENT = to_jsonable(FULL)
finite = st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["Dot", "Line", "red"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["type", "x", "ends"]), inner),
    max_leaves=20,
)


def test_everything_comes_back() -> None:
    assert loads(Everything, dumps(FULL)) == FULL
    assert loads(Everything, dumps(FULL, indent=2).encode()) == FULL


def test_form_is_promised() -> None:
    assert dumps(Line((Dot(1), Dot(2, Colour.GREEN)))) == (
        '{"type":"Line","ends":[{"type":"Dot","x":1,"colour":"red"},{"type":"Dot","x":2,"colour":"green"}],"between":[]}'
    )


@given(st.from_type(Line) | st.from_type(Dot))
def test_union_comes_back_as_the_same_class(shape: Shape) -> None:
    assert loads(Shape, dumps(shape)) == shape


@given(
    st.builds(
        replace,
        st.just(FULL),
        share=finite,
        maybe=st.none() | st.integers(),
        raw=st.binary(),
        either=st.integers() | st.text(),
    )
)
def test_fields_come_back(value: Everything) -> None:
    assert loads(Everything, dumps(value)) == value


def test_lists_of_records_come_back() -> None:
    dots = (Dot(1), Dot(2))
    assert loads(tuple[Dot, ...], dumps(dots)) == dots
    assert loads(list[Dot], dumps(list(dots))) == list(dots)


def test_type_is_not_needed_where_only_one_record_fits() -> None:
    assert loads(Dot, '{"x": 1}') == Dot(1)


def test_whole_number_is_a_float_where_one_is_asked_for() -> None:
    assert repr(from_jsonable(float, 3)) == "3.0"


# fmt: off
WRONG = {
    "text is a number":     {"text": 1},
    "number is text":       {"number": "1"},
    "number is a flag":     {"number": True},
    "number is a float":    {"number": 1.0},
    "flag is a number":     {"flag": 1},
    "share is a flag":      {"share": True},
    "share is text":        {"share": "0.1"},
    "share is not finite":  {"share": float("nan")},
    "share is endless":     {"share": float("inf")},
    "share is too large":   {"share": 10**400},
    "bytes are no hex":     {"raw": "0g"},
    "bytes are odd":        {"raw": "abc"},
    "bytes are a number":   {"raw": 5},
    "no such colour":       {"colour": "blue"},
    "colour is a list":     {"colour": []},
    "address is a number":  {"v4": 1},
    "address is a flag":    {"v4": True},
    "address is v6":        {"v4": "::1"},
    "address is v4":        {"v6": "192.0.2.1"},
    "address is no text":   {"net": ["192.0.2.1", 24]},
    "maybe is text":        {"maybe": "1"},
    "shape is nothing":     {"shape": None},
    "shape is text":        {"shape": "Dot"},
    "shape is unnamed":     {"shape": {"x": 1}},
    "shape is foreign":     {"shape": {"type": "Everything"}},
    "type is a list":       {"shape": {"type": []}},
    "shape has not enough": {"shape": {"type": "Dot"}},
    "shape has too much":   {"shape": {"type": "Dot", "x": 1, "y": 2}},
    "pair is one":          {"shape": {"type": "Line", "ends": [{"x": 1}]}},
    "pair is an object":    {"shape": {"type": "Line", "ends": {}}},
    "list is text":         {"names": "a"},
    "list holds numbers":   {"names": ["a", 1]},
    "counters are a list":  {"counters": []},
    "counter is text":      {"counters": {"a": "1"}},
    "either is neither":    {"either": [1]},
    "unknown key":          {"surplus": 1},
    "another record":       {"type": "Dot"},
}
# fmt: on


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_wrong_value_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadJson):
        from_jsonable(Everything, DOCUMENT | change)


@pytest.mark.parametrize("name", sorted(DOCUMENT.keys() - {"type", "free", "defaulted"}))
def test_missing_key_is_named(name: str) -> None:
    with pytest.raises(BadJson, match=f"missing \\['{name}'\\]"):
        from_jsonable(Everything, {key: value for key, value in DOCUMENT.items() if key != name})


def test_message_names_both_records() -> None:
    with pytest.raises(BadJson, match="'Line' is not Dot"):
        loads(Dot, dumps(Line((Dot(1), Dot(2)))))


NOT_JSON = ["", "{", "nul", b"\xff\xfe", b"\x80", "[" * 100_000, '{"x": 1' + "0" * 5000 + "}", "{'x': 1}", '{"x": 1} 2']


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: repr(text[:10]))
def test_text_that_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadJson):
        loads(Dot, text)


@pytest.mark.parametrize("depth", [10, 100, *range(900, 1000, 7)])
def test_depth_is_refused_without_drowning(depth: int) -> None:
    for kind in (Dot, Colour, Shape, IPv4Address):
        with pytest.raises(BadJson):
            loads(kind, "[" * depth + "]" * depth)


def test_message_stays_short_whatever_came() -> None:
    for kind in (Dot, Colour, Shape, IPv4Address, bytes):
        with pytest.raises(BadJson) as refusal:
            loads(kind, json.dumps("x" * 1_000_000))
        assert len(str(refusal.value)) < 300


@given(anything)
def test_any_document_is_the_record_or_bad_json(document: object) -> None:
    for kind in (Shape, Dot, Line, Everything, tuple[Dot, ...], dict[str, Colour], float, IPv4Address):
        try:
            value = from_jsonable(kind, document)
        except BadJson:
            continue
        assert from_jsonable(kind, to_jsonable(value)) == value


@given(st.sampled_from(sorted(DOCUMENT)), anything)
def test_one_wrong_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        read = from_jsonable(Everything, DOCUMENT | {name: value})
    except BadJson:
        return
    json.dumps(to_jsonable(read))


@given(st.binary())
def test_any_bytes_are_the_record_or_bad_json(data: bytes) -> None:
    with pytest.raises(BadJson):
        loads(Dot, data)
