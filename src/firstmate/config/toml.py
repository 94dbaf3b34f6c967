"""Read TOML strictly: any bytes give a `Document` with positions, or the problems that prevent it."""

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from firstmate.config.codes import Code
from firstmate.config.places import Path, Place, Span, TooDeep, locate
from firstmate.model.problems import Problem

TEXT_BYTES_MAX = 1 << 20  # a hundred services need about 30 KiB
_INTEGER_MAX = (1 << 63) - 1  # the range TOML promises
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE_VALUE = re.compile(r"""[\w."'-]+\s*=\s*([\w./:@-]+)\s*(?:\#.*)?""")  # of a whole line: key = value without quotes
_TOP = Span(0, 0, 1)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its values, and where each of them stands."""

    file: str
    data: dict[str, Any]
    places: dict[Path, Place]

    def place(self, path: Path) -> Place:
        """Where `path` stands; of a path the file does not have, where its nearest parent stands."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return Place(_TOP, _TOP)


def parse(source: str | bytes, file: str) -> Document | tuple[Problem, ...]:
    """Parse a whole file; `file` is only its name for messages."""
    text = _decode(source, file)
    if isinstance(text, Problem):
        return (text,)
    text = text.replace("\r\n", "\n")
    try:
        places = locate(text)
    except TooDeep as error:
        return (_problem(Code.TOO_DEEP, file, error.span, str(error), "write it flatter"),)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return (_syntax_problem(text, file, error),)
    document = Document(file, data, places)
    unreadable = tuple(
        _problem(Code.OUT_OF_RANGE, file, document.place(path).value, "this number is too large to mean anything")
        for path in _absurd_numbers(data, ())
    )
    return unreadable or document


def _decode(source: str | bytes, file: str) -> str | Problem:
    if len(source) > TEXT_BYTES_MAX:
        text = f"the file is larger than {TEXT_BYTES_MAX >> 20} MiB"
        return _problem(Code.TOO_LARGE, file, _TOP, text, "is this the right file?")
    try:
        text = source.decode() if isinstance(source, bytes) else source.encode().decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        hint = "save the file as UTF-8"
        return _problem(Code.NOT_TEXT, file, _span_after(before), "these bytes are not UTF-8 text", hint)
    except UnicodeEncodeError as error:
        before = error.object[: error.start]
        return _problem(Code.NOT_TEXT, file, _span_after(before), "this character cannot be written as UTF-8")
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        before = text[: text.index("\0")]
        hint = "save the file as UTF-8 text"
        return _problem(Code.NOT_TEXT, file, _span_after(before), "the file holds a NUL byte", hint)
    return text


def _span_after(before: str) -> Span:
    """The place just behind `before`, the beginning of a file."""
    before = before.removeprefix("\ufeff").replace("\r\n", "\n")
    return Span(before.count("\n") + 1, len(before) - before.rfind("\n"), 1)


def _syntax_problem(text: str, file: str, error: Exception) -> Problem:
    message = str(error)
    where = _WHERE.search(message)
    if where is None:  # not TOML's but Python's refusal: a number of thousands of digits
        return _problem(Code.SYNTAX, file, _TOP, f"not valid TOML: {message[:200]}")
    message = message[: where.start()]
    at_end = where.group(1) is None
    at = _span_after(text.rstrip("\n")) if at_end else Span(int(where.group(1)), int(where.group(2)), 1)
    span, hint = _explain(text, message, at)
    ends = ", but the file ends here" if at_end and not hint else ""
    return _problem(Code.SYNTAX, file, span, f"not valid TOML: {message}{ends}", hint)


def _explain(text: str, message: str, span: Span) -> tuple[Span, str]:
    """Where tomllib's complaint is better shown, and what the operator probably wants to write."""
    lines = text.split("\n")
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    bare = _BARE_VALUE.fullmatch(line)
    if bare and (message == "Invalid value" or message.startswith("Expected newline")):
        value = bare.group(1)
        return Span(span.line, bare.start(1) + 1, len(value)), f'text needs quotes: "{value[:40]}"'
    if message.startswith("Cannot overwrite"):
        return span, "the same key or table stands twice: keep one"
    if message.startswith("Cannot declare"):
        return span, "the same table stands twice: keep one, or write it as [[name]] for several"
    if "invalid character '\\n'" in message:
        return span, "a quote is not closed on this line"
    return span, ""


def _absurd_numbers(value: Any, path: Path) -> Iterator[Path]:
    """Integers beyond 64 bits, NaN and infinity: no key of ours takes them, and some cannot be printed."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _absurd_numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _absurd_numbers(item, (*path, index))
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and not -_INTEGER_MAX - 1 <= value <= _INTEGER_MAX
    ):
        yield path


def _problem(code: Code, file: str, span: Span, text: str, hint: str = "") -> Problem:
    return Problem(code.value, text, hint, file, span.line, span.column, span.width)
