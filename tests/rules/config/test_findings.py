"""Problems are collected in the order of the file, each once, and never without end."""

import pytest

from firstmate.config.codes import Code
from firstmate.config.findings import PROBLEMS_MAX, Findings, Spot
from firstmate.config.toml import Document, parse
from firstmate.model.problems import Severity


def findings(text: str = "a = 1\nb = 2") -> Findings:
    document = parse(text, "f")
    assert isinstance(document, Document)
    return Findings(document)


def test_order_of_the_file_whatever_the_severity() -> None:
    found = findings()
    found.add(Code.BAD_NAME, ("b",), "later")
    found.add(Code.ALONE, ("a",), "first", on_key=True)
    assert [(problem.text, problem.line, problem.column) for problem in found.problems()] == [
        ("first", 1, 1),
        ("later", 2, 5),
    ]


def test_the_same_problem_is_said_once() -> None:
    found = findings()
    for _ in range(2):
        found.add(Code.BAD_NAME, ("a",), "x")
    assert len(found.problems()) == 1


@pytest.mark.parametrize(("code", "severity"), [(Code.BAD_NAME, Severity.ERROR), (Code.ALONE, Severity.WARNING)])
def test_no_end_of_problems_has_an_end(code: Code, severity: Severity) -> None:
    found = findings()
    for number in range(PROBLEMS_MAX + 57):
        found.add(code, ("a",), f"problem {number}")
    problems = found.problems()
    assert len(problems) == PROBLEMS_MAX + 1
    assert (problems[-1].code, problems[-1].text) == ("E100", "and 57 more problems")
    assert problems[-1].severity is severity
    assert found.full == found.failed == (severity is Severity.ERROR)


def test_a_large_file_of_mistakes_is_refused_quickly() -> None:
    text = "".join(f"k{number} = 1\n" for number in range(5_000))
    from firstmate.config.compile import check  # noqa: PLC0415 - the whole room, for one test

    problems = check(text, "f", None).problems
    assert problems[-1].text.startswith("and 49")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("true", "true or false"),
        ('"x"', "text"),
        ("1", "a whole number"),
        ("1.0", "a number with a fraction"),
        ("[]", "a list"),
        ("{}", "a table"),
        ("07:32:00", "a date or time"),
    ],
)
def test_kinds_in_words(value: str, kind: str) -> None:
    spot = Spot(findings(f"a = {value}").document.data["a"], ("a",), findings())
    assert spot.kind == kind


def test_the_key_of_an_item_is_that_of_its_list() -> None:
    found = findings("a = [[1]]")
    spot = Spot(found.document.data, (), found)
    assert spot.key == "file"
    assert spot.child("a").child(0).child(0).key == "a"
    assert [child.value for child in spot.child("a").children()] == [[1]]
