import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.cli.tables import WIDTH, cut, flow, table, wrap

WORDS = st.lists(st.text("ab", min_size=1, max_size=20), max_size=40)


def test_columns_line_up() -> None:
    text = table(("NODE", "PRIO", "READY"), [("lb-a*", "254", "-"), ("lb-b", "0", "no: HAProxy down")], right=("PRIO",))
    assert text.splitlines() == [
        "NODE   PRIO  READY",
        "lb-a*   254  -",
        "lb-b      0  no: HAProxy down",
    ]


def test_no_rows() -> None:
    assert table(("A", "B"), []) == "A  B"


def test_the_last_column_is_cut_to_the_width() -> None:
    (_, row) = table(("A", "B"), [("a", "b" * 200)]).splitlines()
    assert len(row) == WIDTH
    assert row.endswith("…")


@pytest.mark.parametrize(("text", "width", "shown"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab", 1, "…")])
def test_cut(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


def test_flow_begins_further_lines_below_the_first_part() -> None:
    assert flow(["one", "two", "three"], first="edge  UP   ", width=20) == "edge  UP   one   two\n           three"
    assert flow([], first="edge") == "edge"


def test_wrap() -> None:
    assert wrap("one two three", first="! ", width=10) == "! one two\n  three"


@given(WORDS)
def test_nothing_is_lost_and_lines_fit(words: list[str]) -> None:
    text = wrap(" ".join(words), first="! ", width=30)
    assert text[2:].split() == words
    assert all(len(line) <= 30 for line in text.splitlines())
