"""Readers of single values: what they accept, and what they say of the rest."""

from collections.abc import Callable
from typing import Any

import pytest

from firstmate.config import readers
from firstmate.config.findings import Findings, Spot
from firstmate.config.readers import Reader
from firstmate.config.toml import Document, parse
from firstmate.model.problems import Problem
from firstmate.model.units import MS, S


def read(reader: Reader[Any], written: str) -> tuple[Any, list[Problem]]:
    """The value of `key = written` as `reader` takes it, and its problems."""
    document = parse(f"key = {written}", "f")
    assert isinstance(document, Document)
    findings = Findings(document)
    value = reader(Spot(document.data["key"], ("key",), findings))
    return value, list(findings.problems())


COLOURS = readers.choice({"red": 1, "green": 2}, later=("blue",))
NAMES = readers.array(readers.name, most=2)
HUNDRED = readers.integer(1, 100)
BRIEF = readers.duration(10 * MS, 2 * S)

# fmt: off
ACCEPTED: dict[str, tuple[Reader[Any], str, object]] = {  # reader                           written                    value
    "text":         (readers.text,               '"é x"',                   "é x"),
    "name":         (readers.name,               '"lb-a.x_1"',              "lb-a.x_1"),
    "boolean":      (readers.boolean,            "false",                   False),
    "integer":      (HUNDRED,                    "100",                     100),
    "duration":     (BRIEF,                      '"0.5s"',                  S // 2),
    "choice":       (COLOURS,                    '"green"',                 2),
    "number":       (readers.number_choice((2, 3)), "3",                    3),
    "array":        (NAMES,                      '["a", "b"]',              ("a", "b")),
    "one":          (readers.one_or_more(readers.name), '"a"',              ("a",)),
    "more":         (readers.one_or_more(readers.name), '["a"]',            ("a",)),
    "by name":      (readers.by_name(HUNDRED),   "{ a = 1 }",               {"a": 1}),
    "per node":     (readers.per_node(readers.name), '{ a = "x" }',         {"a": "x"}),
    "one for all":  (readers.per_node(readers.name), '"x"',                 "x"),
    "path":         (readers.absolute_path,      '"/etc/x"',                "/etc/x"),
    "filled":       (readers.filled,             '" a"',                   " a"),
    "command":      (readers.command,            '["/bin/x", "-v", ""]',    ("/bin/x", "-v", "")),
}

REFUSED: dict[str, tuple[Reader[Any], str, str, str, str]] = {  # reader                            written                code    said                          hint
    "no text":      (readers.text,               "1",                   "E110", "takes text, not a whole number", "text stands in quotes"),
    "date":         (readers.text,               "1979-05-27",          "E110", "not a date or time",         ""),
    "control":      (readers.text,               '"a\\u0007"',          "E110", "printable",                  ""),
    "lines":        (readers.text,               '"a\\nb"',             "E110", "one line",                   ""),
    "long":         (readers.text,               f'"{"a" * 1025}"',     "E117", "longer than 1024",           ""),
    "no name":      (readers.name,               '"a b"',               "E118", '"a b" cannot be a name',     "at most 63"),
    "long name":    (readers.name,               f'"{"a" * 64}"',       "E118", "aaa…",                       ""),
    "name table":   (readers.name,               "{}",                  "E110", "not a table",                ""),
    "yes":          (readers.boolean,            '"Yes"',               "E110", "true or false",              "key = true"),
    "one":          (readers.boolean,            "0",                   "E110", "true or false",              "key = false"),
    "perhaps":      (readers.boolean,            '"perhaps"',           "E110", "not text",                   ""),
    "quoted":       (HUNDRED,                    '"007"',               "E110", "whole number",               "key = 7"),
    "word":         (HUNDRED,                    '"many"',              "E110", "whole number",               ""),
    "true":         (HUNDRED,                    "true",                "E110", "not true or false",          ""),
    "fraction":     (HUNDRED,                    "1.5",                 "E110", "with a fraction",            ""),
    "too small":    (HUNDRED,                    "0",                   "E117", "outside 1 to 100",           ""),
    "too large":    (HUNDRED,                    "101",                 "E117", "outside 1 to 100",           ""),
    "no unit":      (BRIEF,                      "2",                   "E116", "has no unit",                'key = "2s"'),
    "no duration":  (BRIEF,                      '"soon"',              "E116", "not a duration",             ""),
    "odd digits":   (BRIEF,                      '"٣s"',                "E116", "not a duration",             "200ms"),
    "a year":       (BRIEF,                      '"900d"',              "E116", "longer than a year",         ""),
    "no time":      (BRIEF,                      "[]",                  "E110", "not a list",                 ""),
    "truth":        (BRIEF,                      "true",                "E110", "takes a time",               ""),
    "too short":    (BRIEF,                      '"9ms"',               "E117", "9.0 ms, outside 10 ms",      ""),
    "near":         (COLOURS,                    '"rde"',               "E115", 'cannot be "rde"',            'did you mean "red"?'),
    "far":          (COLOURS,                    '"xyz"',               "E115", 'cannot be "xyz"',            'one of "red", "green"'),
    "later":        (COLOURS,                    '"blue"',              "E114", "not supported yet",          ""),
    "no word":      (COLOURS,                    "1",                   "E110", 'one of "red"',               ""),
    "number":       (readers.number_choice((2, 3)), "4",                "E115", "cannot be 4",                "2 or 3"),
    "no number":    (readers.number_choice((2, 3)), '"3"',              "E110", "whole number",               "key = 3"),
    "no list":      (NAMES,                      '"a"',                 "E110", "takes a list",               "brackets"),
    "table":        (NAMES,                      "{}",                  "E110", "takes a list, not a table",  ""),
    "empty":        (NAMES,                      "[]",                  "E119", "is empty",                   "at least one"),
    "many":         (NAMES,                      '["a", "b", "c"]',     "E125", "3 items; 2 are possible",    ""),
    "bad single":   (readers.one_or_more(readers.name), '"a b"',        "E118", "cannot be a name",           ""),
    "no by name":   (readers.by_name(HUNDRED),   "[1]",                 "E110", "a table",                    ""),
    "none by name": (readers.by_name(HUNDRED),   "{}",                  "E119", "is empty",                   ""),
    "many by name": (readers.by_name(HUNDRED, 1), "{a=1, b=1}",         "E125", "2 entries; 1 are possible",  ""),
    "bad name":     (readers.by_name(HUNDRED),   '{"a b" = 1}',         "E118", '"a b" cannot',               ""),
    "bad by name":  (readers.by_name(HUNDRED),   "{a = 0}",             "E117", '"a" is 0',                   ""),
    "relative":     (readers.absolute_path,      '"x"',                 "E124", "not a full path",            "begin with /"),
    "no path":      (readers.absolute_path,      "1",                   "E110", "takes text",                 ""),
    "blank":        (readers.filled,             '" "',                 "E119", "is empty",                   ""),
    "unfilled":     (readers.filled,             "1",                   "E110", "takes text",                 ""),
    "shell":        (readers.command,            '"/bin/x -v"',         "E110", "takes a list",               '["/bin/x", "-v"]'),
    "search":       (readers.command,            '["x"]',               "E124", "not a full path",            ""),
    "no command":   (readers.command,            "[]",                  "E119", "is empty",                   ""),
}
# fmt: on


@pytest.mark.parametrize(("reader", "written", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(reader: Reader[Any], written: str, value: object) -> None:
    assert read(reader, written) == (value, [])


@pytest.mark.parametrize(("reader", "written", "code", "said", "hint"), REFUSED.values(), ids=REFUSED)
def test_refused(reader: Reader[Any], written: str, code: str, said: str, hint: str) -> None:
    value, problems = read(reader, written)
    assert value is None
    assert [problem.code for problem in problems] == [code]
    assert said in problems[0].text
    assert hint in problems[0].hint


@pytest.mark.parametrize(
    ("reader", "written", "columns"),
    [(NAMES, '["a b", "?"]', [8, 15]), (readers.by_name(HUNDRED), "{ a = 0, b = 1, c = 0 }", [13, 27])],
)
def test_every_item_gets_its_own_problem(reader: Callable[[Spot], Any], written: str, columns: list[int]) -> None:
    assert [problem.column for problem in read(reader, written)[1]] == columns


@pytest.mark.parametrize(("given", "said"), [("a", '"a"'), ("a\tb\x1b", '"a?b?"'), ("x" * 50, '"' + "x" * 39 + '…"')])
def test_a_value_is_shown_short_and_printable(given: str, said: str) -> None:
    assert readers.shown(given) == said
