"""Keys of a table: unknown, missing and planned ones are named."""

import pytest

from firstmate.config.findings import Findings, Spot
from firstmate.config.readers import name, text
from firstmate.config.tables import Key, Planned, read_table, read_value, record_fields
from firstmate.config.toml import Document, parse

KEYS: dict[str, Key | Planned] = {
    "name": Key(name, required=True),
    "speed": Key(text, field="speed_us"),
    "wings": Planned(),
}


def root(source: str) -> Spot:
    document = parse(source, "f")
    assert isinstance(document, Document)
    return Spot(document.data, (), Findings(document))


def test_what_is_accepted() -> None:
    spot = root('name = "a"\nspeed = "b"')
    assert read_table(spot, KEYS, "[bird]") == {"name": "a", "speed": "b"}
    assert not spot.findings.failed


@pytest.mark.parametrize(
    ("source", "code", "text_", "hint"),
    [
        ('name = "a"\nspede = "b"', "E112", 'unknown key "spede" in [bird]', 'did you mean "speed"?'),
        ('name = "a"\nx = "b"', "E112", 'unknown key "x" in [bird]', "known: name, speed"),
        ('name = "a"\nwings = 2', "E114", '"wings" in [bird] is not supported yet by this version', "take it out"),
        ('speed = "a"', "E111", '[bird] needs "name"', ""),
    ],
)
def test_what_is_not(source: str, code: str, text_: str, hint: str) -> None:
    spot = root(source)
    fields = read_table(spot, KEYS, "[bird]")
    (problem,) = spot.findings.problems()
    assert (problem.code, problem.text) == (code, text_)
    assert hint in problem.hint
    assert fields is not None
    assert read_value(root(source), KEYS, "[bird]") is None


def test_a_planned_key_is_not_suggested() -> None:
    spot = root('name = "a"\nwing = 1')
    read_table(spot, KEYS, "[bird]")
    assert spot.findings.problems()[0].hint == "known: name, speed"


def test_at_the_top_it_is_a_section() -> None:
    spot = root("[names]\n[wings]")
    read_table(spot, KEYS, "")
    assert {problem.text for problem in spot.findings.problems()} == {
        'unknown section or key "names"',
        "[wings] is not supported yet by this version",
        'the file needs "name"',
    }


def test_no_table() -> None:
    spot = root("a = 1").child("a")
    assert read_table(spot, KEYS, "[bird]") is None
    (problem,) = spot.findings.problems()
    assert problem.text == '"a" takes a table, not a whole number'


def test_names_of_the_record() -> None:
    assert record_fields({"name": "a", "speed": "b"}, KEYS) == {"name": "a", "speed_us": "b"}
