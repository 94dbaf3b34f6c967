"""The index of positions agrees with tomllib on what is where, for any TOML."""

import math
import tomllib
from datetime import date, datetime, time
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.config.places import DEPTH_MAX, Path, Place, Span, TooDeep, locate

T = TypeVar("T")

FORMS = """\
title = "top"   # comment with = and [brackets]
"quoted key"   = 'literal'
dotted . "a.b".c = 1

[plain]
inline = { x = 1, y.z = [ "a", 'b' ], "q" = {} }
over_lines = [
  1,   # one
  [2, 3],
  { deep = true },
]
block = \"\"\"
# no comment
[no.header]
\\"\"\" still\"\"\"\"
literal_block = '''
k = 1'''
when = 1979-05-27 07:32:00Z

[[many]]
name = "first"
[many.sub]
key = 1
[[many.inner]]
n = 1
[[many.inner]]
n = 2
[[many]]
name = "second"
[many.sub]
key = 2
"""


def at(path: Path, text: str = FORMS) -> tuple[Span, Span]:
    place = locate(text)[path]
    return place.key, place.value


# fmt: off
WHERE = {  # path                              key               value
    ("title",):                               (Span(1, 1, 5),    Span(1, 9, 5)),
    ("quoted key",):                          (Span(2, 1, 12),   Span(2, 18, 9)),
    ("dotted",):                              (Span(3, 1, 6),    Span(3, 1, 6)),
    ("dotted", "a.b", "c"):                   (Span(3, 16, 1),   Span(3, 20, 1)),
    ("plain",):                               (Span(5, 2, 5),    Span(5, 1, 7)),
    ("plain", "inline", "x"):                 (Span(6, 12, 1),   Span(6, 16, 1)),
    ("plain", "inline", "y", "z", 1):         (Span(6, 32, 3),   Span(6, 32, 3)),
    ("plain", "over_lines"):                  (Span(7, 1, 10),   Span(7, 14, 1)),
    ("plain", "over_lines", 1, 0):            (Span(9, 4, 1),    Span(9, 4, 1)),
    ("plain", "over_lines", 2, "deep"):       (Span(10, 5, 4),   Span(10, 12, 4)),
    ("plain", "block"):                       (Span(12, 1, 5),   Span(12, 9, 3)),
    ("plain", "literal_block"):               (Span(16, 1, 13),  Span(16, 17, 3)),
    ("plain", "when"):                        (Span(18, 1, 4),   Span(18, 8, 20)),
    ("many",):                                (Span(20, 3, 4),   Span(20, 1, 8)),
    ("many", 0):                              (Span(20, 3, 4),   Span(20, 1, 8)),
    ("many", 0, "inner", 1, "n"):             (Span(27, 1, 1),   Span(27, 5, 1)),
    ("many", 1, "sub", "key"):                (Span(31, 1, 3),   Span(31, 7, 1)),
}
# fmt: on


@pytest.mark.parametrize(("path", "spans"), WHERE.items(), ids=map(str, WHERE))
def test_place(path: Path, spans: tuple[Span, Span]) -> None:
    assert at(path) == spans


def test_every_value_of_the_sample_has_a_place() -> None:
    assert set(paths(tomllib.loads(FORMS))) == set(locate(FORMS))


def test_a_header_is_the_place_of_a_table_named_before() -> None:
    assert at(("a",), "[a.b]\n[a]\nk = 1")[1] == Span(2, 1, 3)


def test_the_index_ends_where_the_text_is_no_toml() -> None:
    assert set(locate("a = 1\nb = ]\nc = 3")) == {("a",)}


@pytest.mark.parametrize(
    "text", ["a = ", "a = [1", "a = {b = 1", 'a = "x', "[a", "[a]]", "= 1", "a = 1 2", '"\\q" = 1']
)
def test_broken_text_gives_an_index_all_the_same(text: str) -> None:
    assert len(locate(text)) <= 2


@pytest.mark.parametrize(
    "text",
    [
        f"a = {'[' * (DEPTH_MAX + 2)}{']' * (DEPTH_MAX + 2)}",
        "a" + ".a" * (DEPTH_MAX + 2) + " = 1",
        "[" + ".".join("a" * (DEPTH_MAX + 2)) + "]",
        "a = " + "{a = " * (DEPTH_MAX + 2) + "1" + "}" * (DEPTH_MAX + 2),
    ],
)
def test_too_deep(text: str) -> None:
    with pytest.raises(TooDeep) as raised:
        locate(text)
    assert raised.value.span.line == 1


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Every path in a parsed document, the root left out."""
    found: list[Path] = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += paths(child, (*path, key))
    return found


# A writer of TOML that uses all its forms, so that tomllib and the index can be compared on the same text.

KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=5) | st.sampled_from(["a", "b-c", "1"])
SCALARS = (
    st.integers(-(1 << 63), (1 << 63) - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.dates()
    | st.times()
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


class Writer:
    """Writes a document; `draw` chooses among the forms that mean the same."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def pick(self, *ways: T) -> T:
        return cast("T", self.draw(st.sampled_from(ways)))

    def document(self, data: dict[str, Any]) -> str:
        lines, tables = [], []
        for key, value in data.items():
            if isinstance(value, dict) and self.pick("so", ""):
                tables.append(f"[ {self.key(key)} ] # c\n" + self.pairs(value))
            elif value and isinstance(value, list) and all(isinstance(item, dict) for item in value):
                tables += [f"[[{self.key(key)}]]\n" + self.pairs(item) for item in value]
            else:
                lines.append(self.pair(key, value))
        return "".join(lines) + self.pick("", "\n", "# = [\n") + "".join(tables)

    def pairs(self, table: dict[str, Any]) -> str:
        return "".join(self.pair(key, value) for key, value in table.items())

    def pair(self, key: str, value: Any) -> str:
        name = self.key(key)
        while isinstance(value, dict) and len(value) == 1 and self.pick("so", ""):
            ((key, value),) = value.items()
            name += self.pick(".", " . ") + self.key(key)
        sign, before, after = self.pick("=", " =\t"), self.pick("", " "), self.pick("", " # c")
        return f"{before}{name}{sign}{self.value(value, many=True)}{after}\n"

    def key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "a").replace("_", "a").isalnum()
        literal = "'" not in key and key.isprintable()
        return self.pick(self.basic(key), key if bare else self.basic(key), f"'{key}'" if literal else self.basic(key))

    def basic(self, text: str) -> str:
        escaped = "".join(char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}" for char in text)
        return f'"{escaped}"'

    def value(self, value: Any, *, many: bool) -> str:
        match value:
            case bool():
                return str(value).lower()
            case str():
                block = self.basic(value)[1:-1]
                return self.pick(self.basic(value), f'"""{block}"""', f'"""\n{block}"""')
            case float():
                return "inf" if math.isinf(value) and value > 0 else "-inf" if math.isinf(value) else repr(value)
            case int():
                return self.pick(str(value), hex(value) if value >= 0 else str(value))
            case datetime() | date() | time():
                return value.isoformat(self.pick("T", " ")) if isinstance(value, datetime) else value.isoformat()
            case list():
                gap = self.pick("", "\n", " # ] c\n\t") if many else ""
                items = "".join(f"{gap}{self.value(item, many=many)}{gap}," for item in value)
                return f"[{items}{gap}]"
            case _:
                items = ", ".join(f"{self.key(key)}={self.value(item, many=False)}" for key, item in value.items())
                return f"{{ {items} }}"


@st.composite
def documents(draw: Any) -> tuple[dict[str, Any], str]:
    data = draw(TABLES | st.dictionaries(KEYS, st.lists(TABLES, min_size=1, max_size=3), max_size=2))
    return data, Writer(draw).document(data)


@given(documents())
def test_index_agrees_with_tomllib(written: tuple[dict[str, Any], str]) -> None:
    """Given any document in any form; then the index has exactly tomllib's paths, each at its own text."""
    data, text = written
    assert tomllib.loads(text) == data, "the writer itself is wrong"
    places = locate(text)
    assert set(places) == set(paths(data))
    lines = text.split("\n")
    for path, place in places.items():
        value: Any = data
        for part in path:
            value = value[part]
        if not isinstance(value, (dict, list)):
            assert same(parsed(covered(lines, text, place)), value), path


def covered(lines: list[str], text: str, place: Place) -> str:
    """The text from where a value begins, with the rest of the file when it runs over its line."""
    span = place.value
    line = lines[span.line - 1]
    begun = line[span.column - 1 : span.column - 1 + span.width]
    if begun.startswith('"""'):
        rest = "\n".join(lines[span.line - 1 :])[span.column - 1 :]
        return rest[: rest.index('"""', 3) + 3]
    return begun


def parsed(value: str) -> Any:
    return tomllib.loads(f"v = {value}")["v"]


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and (left == right)


@given(st.text(st.sampled_from("ab01.=[]{}\"'#,\\ \t\n-_:"), max_size=40))
def test_the_index_accepts_all_that_tomllib_accepts(text: str) -> None:
    """Given characters that TOML cares for, in any order; a text that tomllib reads is wholly indexed."""
    places = locate(text)
    try:
        data = tomllib.loads(text)
    except ValueError:
        return
    assert set(places) == set(paths(data))
