"""Any bytes become a document or one clear problem at its place."""

import pytest

from firstmate.config.places import Place, Span
from firstmate.config.toml import TEXT_BYTES_MAX, Document, parse

TOP = Span(0, 0, 1)

# fmt: off
REFUSED = {  # source                                            code     line  column  width  said
    "too large":        (b"#" * (TEXT_BYTES_MAX + 1),            "E102",  0,    0,      1,     "larger than 1 MiB"),
    "not UTF-8":        (b"a = 1\nb = '\xff'",                   "E103",  2,    6,      1,     "not UTF-8"),
    "UTF-16":           ("a = 1".encode("utf-16"),               "E103",  1,    1,      1,     "not UTF-8"),
    "NUL":              (b"a = 1\r\nb = \0",                     "E103",  2,    5,      1,     "NUL"),
    "NUL after BOM":    (b"\xef\xbb\xbfa\0",                     "E103",  1,    2,      1,     "NUL"),
    "lone surrogate":   ("a = 1\n\ud800",                        "E103",  2,    1,      1,     "UTF-8"),
    "no value":         ("a =\n",                                "E104",  1,    4,      1,     "Invalid value"),
    "no quotes":        ("\nname = lb-a",                        "E104",  2,    8,      4,     "Invalid value"),
    "twice":            ("a = 1\na = 2\n",                       "E104",  2,    6,      1,     "overwrite"),
    "the end":          ("a = [1,",                              "E104",  1,    8,      1,     "the file ends here"),
    "endless number":   (f"a = {'9' * 5000}",                    "E104",  0,    0,      1,     "not valid TOML"),
    "deep":             (f"a = {'[' * 40}{']' * 40}",            "E105",  1,    29,     1,     "deeper than 24"),
    "very deep":        (f"a = {'[' * 500_000}",                 "E105",  1,    29,     1,     "deeper than 24"),
    "deep key":         ("a" + ".a" * 300_000 + " = 1",          "E105",  1,    49,     1,     "deeper than 24"),
    "beyond 64 bits":   ("a = [1, 0x" + "f" * 20 + "]",          "E117",  1,    9,      22,    "too large"),
    "NaN":              ("a = { b = nan }",                      "E117",  1,    11,     3,     "too large"),
}
# fmt: on


@pytest.mark.parametrize(("source", "code", "line", "column", "width", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str | bytes, code: str, line: int, column: int, width: int, said: str) -> None:
    answer = parse(source, "f.toml")
    assert isinstance(answer, tuple)
    (problem,) = answer
    assert (problem.code, problem.line, problem.column, problem.width) == (code, line, column, width)
    assert said in problem.text
    assert problem.file == "f.toml"


@pytest.mark.parametrize("source", ["a = 1\nb = 2\n", b"a = 1\nb = 2", b"\xef\xbb\xbfa = 1\r\nb = 2\r\n"])
def test_accepted(source: str | bytes) -> None:
    document = parse(source, "f.toml")
    assert isinstance(document, Document)
    assert document.data == {"a": 1, "b": 2}
    assert document.place(("b",)) == Place(Span(2, 1, 1), Span(2, 5, 1))


def test_a_missing_path_stands_where_its_parent_does() -> None:
    document = parse("[a]\nb = 1", "f")
    assert isinstance(document, Document)
    assert document.place(("a", "c", 3)).value == Span(1, 1, 3)
    assert document.place(("x",)).value == TOP


@pytest.mark.parametrize(
    ("text", "column", "width", "hint"),
    [
        ("address = 10.0.1.10", 11, 9, 'text needs quotes: "10.0.1.10"'),
        ("mode = http # web", 8, 4, 'text needs quotes: "http"'),
        ('mode = "http', 13, 1, ""),
        ("mode = 'http\n'", 13, 1, "a quote is not closed on this line"),
        ("[a]\n[a]", 3, 1, "the same table stands twice: keep one, or write it as [[name]] for several"),
        ("a = 1\na = 2", 6, 1, "the same key or table stands twice: keep one"),
        ("a = 1\na = 2\n", 6, 1, "the same key or table stands twice: keep one"),
        ("a = ]", 5, 1, ""),
    ],
)
def test_what_was_probably_meant(text: str, column: int, width: int, hint: str) -> None:
    answer = parse(text, "f")
    assert isinstance(answer, tuple)
    assert (answer[0].column, answer[0].width, answer[0].hint) == (column, width, hint)
