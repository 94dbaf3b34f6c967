"""Problems as people, programs and GitHub read them."""

import json

import pytest
from tests.rules.config.example import problems_of

from firstmate.config.report import LINE_MAX, as_github, as_json, count, render
from firstmate.model.problems import Problem, Severity

SOURCE = """\
[cluster]
name = "x"

[[node]]
name = "lb-a"
address = "10.0.1.10"

[[node]]
name = "lb-b"
address = "10.0.1.11"

[[vrrp]]
name = "one"
vrid = 1
prefers   = ["lb-a", "lb-b"]
addresses = ["10.0.1.100/24"]

[[vrrp]]
name = "two"
vrid = 2
prefer = ["lb-a", "lb-c"]
addresses = ["10.0.1.101/24"]

[[service]]
name = "web"
mode = "tcp"
bind = ":80"
servers = { web1 = "10.0.1.21:80" }
goal      = "500ms"
"""

REPORT = """\
error[E112]: unknown key "prefers" in [[vrrp]]
  --> firstmate.toml:15:1
   |
15 | prefers   = ["lb-a", "lb-b"]
   | ^^^^^^^ did you mean "prefer"?

error[E207]: "lb-c" is not a node of this cluster
  --> firstmate.toml:21:19
   |
21 | prefer = ["lb-a", "lb-c"]
   |                   ^^^^^^ nodes: "lb-a" (line 5), "lb-b" (line 9)

warning[W310]: detection 602 ms is over this service's goal of 500 ms
  --> firstmate.toml:29:1
   |
29 | goal      = "500ms"
   | ^^^^ advert_interval = "160ms" would bring it to about 482 ms

2 errors, 1 warning. Nothing was changed."""


def problem(**fields: object) -> Problem:
    values = {"code": "E118", "text": "no", "hint": "do", "file": "f", "line": 1, "column": 1, "width": 1} | fields
    return Problem(**values)  # type: ignore[arg-type]


def shown(source: str, **fields: object) -> list[str]:
    return render([problem(**fields)], {"f": source}).split("\n\n")[0].split("\n")


def test_the_report_has_the_form_of_the_reference() -> None:
    assert render(problems_of(SOURCE), {"firstmate.toml": SOURCE}) == REPORT


def test_a_problem_of_the_whole_file() -> None:
    assert shown("x", line=0, column=0) == ["error[E118]: no", "  --> f", "   = do"]
    assert shown("x", line=0, column=0, file="", hint="") == ["error[E118]: no"]


def test_a_line_without_column() -> None:
    assert shown("a\nb", line=2, column=0) == ["error[E118]: no", " --> f:2", "  |", "2 | b", "  = do"]


def test_a_line_of_a_file_that_is_not_at_hand() -> None:
    assert render([problem(line=7, column=0)], {}).split("\n")[1] == "  --> f:7"


@pytest.mark.parametrize(
    ("source", "column", "width", "line", "caret"),
    [
        ("\ta = 1", 6, 1, "1 | \ta = 1", "  | \t    ^ do"),
        ('"日本" = 1', 8, 1, '1 | "日本" = 1', "  |          ^ do"),
        ('a = "日本"', 5, 4, '1 | a = "日本"', "  |     ^^^^^^ do"),
        ("e\u0301 = 1", 6, 1, "1 | e\u0301 = 1", "  |     ^ do"),
        ("a\x1b[31m = 1", 1, 1, "1 | a?[31m = 1", "  | ^ do"),
        ("a =", 4, 1, "1 | a =", "  |    ^ do"),
    ],
)
def test_the_caret_stands_below(source: str, column: int, width: int, line: str, caret: str) -> None:
    assert shown(source, column=column, width=width)[3:] == [line, caret]


def test_a_long_line_is_cut_round_the_caret() -> None:
    _, where, _, line, caret = shown("x" * 500 + "HERE" + "y" * 500, column=501, width=4)
    assert where == " --> f:1:501"
    assert len(line) <= LINE_MAX + 5
    assert line[caret.index("^") : caret.rindex("^") + 1] == "HERE"


def test_the_beginning_of_a_long_line_is_not_cut() -> None:
    assert shown("HERE" + "y" * 500, column=1, width=4)[3].startswith("1 | HEREyyy")


def test_a_secret_is_masked() -> None:
    assert shown('a = "hunter2"', code="E120", column=5, width=9)[3] == "1 | a = *********"
    assert shown('auth_pass = "hunter2"', code="E214", column=1, width=9)[3] == "1 | auth_pass = *********"
    assert (
        shown("a = { 'auth_pass'='hunter2', b = 1 }", code="E112", column=30)[3]
        == "1 | a = { 'auth_pass'=*********, b = 1 }"
    )
    assert shown('auth_pass = "hunter2', code="E104", column=1)[3] == "1 | auth_pass = ********"


def test_lines_count_as_toml_counts_them() -> None:
    assert shown("\ufeffa\r\nb\r\nc", line=2)[3] == "2 | b"


@pytest.mark.parametrize(
    ("errors", "warnings", "said"), [(0, 0, "no problems"), (1, 2, "1 error, 2 warnings"), (2, 0, "2 errors")]
)
def test_count(errors: int, warnings: int, said: str) -> None:
    assert count([problem()] * errors + [problem(severity=Severity.WARNING)] * warnings) == said


def test_json() -> None:
    document = json.loads(as_json([problem(), problem(severity=Severity.WARNING)], "f", "abc", ""))
    assert document | {"problems": []} == {
        "schema": "check/1",
        "file": "f",
        "digest": "abc",
        "node": None,
        "errors": 1,
        "warnings": 1,
        "problems": [],
    }
    assert document["problems"][1] == {
        "code": "E118",
        "severity": "warning",
        "text": "no",
        "hint": "do",
        "file": "f",
        "line": 1,
        "column": 1,
        "width": 1,
    }


def test_github() -> None:
    lines = as_github(
        [problem(text="50 %\nof", file="a:b,c", width=3), problem(line=0, column=0, hint="", severity=Severity.WARNING)]
    ).split("\n")
    assert lines == [
        "::error file=a%3Ab%2Cc,line=1,col=1,endColumn=4,title=E118::50 %25%0Aof: do",
        "::warning file=f,title=E118::no",
    ]
