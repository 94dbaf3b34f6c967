"""Where each key and value of a TOML text stands: path -> line, column, width.

`tomllib` gives values without positions. This scanner reads the same grammar, more tolerantly, and
keeps only positions; it accepts whatever `tomllib` accepts (tested by property).
"""

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

DEPTH_MAX = 24  # our deepest key is 4 levels down; a limit keeps hostile nesting cheap

_BLANK = re.compile(r"[ \t]*+")
_BLANK_LINES = re.compile(r"(?:[ \t\n]|#[^\n]*+)*+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")
_LITERAL_LINE = re.compile(r"'[^'\n]*+'")
_BASIC_LINE = re.compile(r'"(?:[^"\\\n]|\\.)*+"')
_LITERAL_BLOCK = re.compile(r"'''[\s\S]*?'''(?:'{0,2})")
_BASIC_BLOCK = re.compile(r'"""(?:[^\\]|\\[\s\S])*?"""(?:"{0,2})')
_STRINGS = (_LITERAL_BLOCK, _BASIC_BLOCK, _LITERAL_LINE, _BASIC_LINE)
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]++|[^\s,\]}#]++")


@dataclass(frozen=True, slots=True)
class Span:
    line: int  # from 1
    column: int  # from 1, in characters
    width: int  # in characters, at least 1, never past the end of the line


@dataclass(frozen=True, slots=True)
class Place:
    key: Span  # of an item of an array: the item itself
    value: Span  # of a table: its header, or the whole `{...}`


class TooDeep(ValueError):
    """Arrays, tables or dotted keys are nested deeper than `DEPTH_MAX`."""

    def __init__(self, span: Span) -> None:
        super().__init__(f"nested deeper than {DEPTH_MAX} levels")
        self.span = span


class _Lost(ValueError):
    """The text is no TOML from here on; tomllib will say what is wrong with it."""


def locate(text: str) -> dict[Path, Place]:
    """Index `text`, whose lines end with a newline alone; where it stops being TOML, the index ends.

    Raises `TooDeep`.
    """
    scanner = _Scanner(text)
    with suppress(_Lost):
        scanner.document()
    return scanner.places


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    places: dict[Path, Place] = field(default_factory=dict)
    _tables: dict[Path, int] = field(default_factory=dict)  # arrays of tables: how many so far
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", self.text))]

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK_LINES)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
            if self.at < len(self.text) and self.text[self.at] not in "\n#":
                raise _Lost

    def _header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        self._skip(_BLANK)
        parts = self._key(0)
        self._skip(_BLANK)
        self._expect("]]" if is_array else "]")
        path: Path = ()
        for name, key in parts[:-1]:
            path = (*path, name)
            self.places.setdefault(path, Place(key, key))
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        name, key = parts[-1]
        path = (*path, name)
        here = Place(key, self._span(start, self.at))
        if not is_array:
            self.places[path] = here
            return path
        index = self._tables.get(path, 0)
        self._tables[path] = index + 1
        self.places.setdefault(path, here)
        self.places[*path, index] = here
        return (*path, index)

    def _pair(self, table: Path) -> None:
        """`key = value`, in a table or an inline table."""
        parts = self._key(len(table))
        path = table
        for name, key in parts[:-1]:
            path = (*path, name)
            self.places.setdefault(path, Place(key, key))
        name, key = parts[-1]
        path = (*path, name)
        self._skip(_BLANK)
        self._expect("=")
        self._skip(_BLANK)
        value = self._value(path)
        self.places[path] = Place(key, value)

    def _key(self, depth: int) -> list[tuple[str, Span]]:
        parts: list[tuple[str, Span]] = []
        while True:
            start = self.at
            parts.append((self._key_part(), self._span(start, self.at)))
            if depth + len(parts) > DEPTH_MAX:
                raise TooDeep(parts[-1][1])
            after = self.at
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                self.at = after
                return parts
            self.at += 1
            self._skip(_BLANK)

    def _key_part(self) -> str:
        if bare := _BARE_KEY.match(self.text, self.at):
            self.at = bare.end()
            return bare.group()
        quoted = _LITERAL_LINE.match(self.text, self.at) or _BASIC_LINE.match(self.text, self.at)
        if quoted is None:
            raise _Lost
        self.at = quoted.end()
        try:
            return str(tomllib.loads(f"key={quoted.group()}")["key"])
        except ValueError as error:
            raise _Lost from error

    def _value(self, path: Path) -> Span:
        start = self.at
        if len(path) > DEPTH_MAX:
            raise TooDeep(self._span(start, start + 1))
        match self.text[start : start + 1]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case "'" | '"':
                string = next((found for form in _STRINGS if (found := form.match(self.text, start))), None)
                if string is None:
                    raise _Lost
                self.at = string.end()
            case _:
                scalar = _SCALAR.match(self.text, start)
                if scalar is None:
                    raise _Lost
                self.at = scalar.end()
        return self._span(start, self.at)

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip(_BLANK_LINES)
            if self.text.startswith("]", self.at):
                self.at += 1
                return
            item = self._value((*path, index))
            self.places[*path, index] = Place(item, item)
            index += 1
            self._skip(_BLANK_LINES)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("]", self.at):
                raise _Lost

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            # tomllib of Python 3.15 (TOML 1.1) lets an inline table run over lines
            self._skip(_BLANK_LINES)
            if self.text.startswith("}", self.at):
                self.at += 1
                return
            self._pair(path)
            self._skip(_BLANK_LINES)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("}", self.at):
                raise _Lost

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _expect(self, sign: str) -> None:
        if not self.text.startswith(sign, self.at):
            raise _Lost
        self.at += len(sign)

    def _span(self, start: int, end: int) -> Span:
        line = bisect_right(self._starts, start)
        begin = self._starts[line - 1]
        line_end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return Span(line, start - begin + 1, max(1, min(end, line_end) - start))
