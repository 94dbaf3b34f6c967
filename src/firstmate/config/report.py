"""Problems for people at a terminal, for programs (`check/1`) and for GitHub's annotations."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from firstmate.config.codes import Code
from firstmate.model.problems import Problem, Severity

SCHEMA = "check/1"
LINE_MAX = 160  # characters of a line of the file that are repeated
_PASSWORD = re.compile(r"""(auth_pass["']?\s*=\s*)("[^"]*"?|'[^']*'?)""")
_LEAD = 20  # characters kept before the caret when a line is cut


def render(problems: Sequence[Problem], sources: Mapping[str, str], *, end: str = "Nothing was changed.") -> str:
    """Each problem with its line and a caret under it, then the count. `sources`: text by file name."""
    blocks = [_block(problem, sources) for problem in problems]
    blocks.append(f"{count(problems)}. {end}".strip())
    return "\n\n".join(blocks)


def count(problems: Iterable[Problem]) -> str:
    """`"2 errors, 1 warning"`, or `"no problems"`."""
    kinds = [problem.severity for problem in problems]
    counted = [(kinds.count(kind), kind.value) for kind in Severity]
    return ", ".join(f"{number} {word}{'s' * (number > 1)}" for number, word in counted if number) or "no problems"


def _block(problem: Problem, sources: Mapping[str, str]) -> str:
    head = f"{problem.severity.value}[{problem.code}]: {problem.text}"
    line = _line(sources.get(problem.file, ""), problem.line)
    if line is None:
        where = f"  --> {problem.file}" + (f":{problem.line}" if problem.line else "") if problem.file else ""
        return "\n".join(filter(None, (head, where, f"   = {problem.hint}" if problem.hint else "")))
    gutter = " " * len(str(problem.line))
    if not problem.column:  # HAProxy names lines only
        shown = [f"{gutter} |", f"{problem.line} | {_clean(line)[:LINE_MAX]}"]
        hint = [f"{gutter} = {problem.hint}"] if problem.hint else []
        return "\n".join([head, f"{gutter}--> {problem.file}:{problem.line}", *shown, *hint])
    line, column, width = _window(_masked(problem, line), problem.column, problem.width)
    before = "".join("\t" if char == "\t" else " " * _cells(char) for char in line[: column - 1])
    caret = "^" * max(1, sum(_cells(char) for char in line[column - 1 : column - 1 + width]))
    return "\n".join(
        [
            head,
            f"{gutter}--> {problem.file}:{problem.line}:{problem.column}",
            f"{gutter} |",
            f"{problem.line} | {_clean(line)}",
            f"{gutter} | {before}{caret} {problem.hint}".rstrip(),
        ]
    )


def _line(text: str, number: int) -> str | None:
    """Line `number` of `text` as TOML counts lines, or None."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n") if text else []
    return lines[number - 1] if 1 <= number <= len(lines) else None


def _masked(problem: Problem, line: str) -> str:
    """A password, or a secret written into the file by mistake, is not repeated on a screen or in a log of CI."""
    line = _PASSWORD.sub(lambda match: match[1] + "*" * len(match[2]), line)
    if problem.code != Code.BAD_SECRET.value:
        return line
    start, end = problem.column - 1, problem.column - 1 + problem.width
    return line[:start] + "*" * (end - start) + line[end:]


def _window(line: str, column: int, width: int) -> tuple[str, int, int]:
    """The part of a long line that holds the caret, and where the caret is in it."""
    if len(line) <= LINE_MAX:
        return line, column, width
    start = max(0, column - 1 - _LEAD)
    part = line[start : start + LINE_MAX]
    column -= start
    if start:
        part, column = "…" + part, column + 1
    return part, column, min(width, LINE_MAX - _LEAD)


def _clean(line: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else "?" for char in line)


def _cells(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def as_json(problems: Sequence[Problem], file: str, digest: str, node: str) -> str:
    """The same as one document, schema `check/1`."""
    kinds = [problem.severity for problem in problems]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "file": file,
        "digest": digest or None,
        "node": node or None,
        "errors": kinds.count(Severity.ERROR),
        "warnings": kinds.count(Severity.WARNING),
        "problems": [_plain(problem) for problem in problems],
    }
    return json.dumps(document, indent=2)


def _plain(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "text": problem.text,
        "hint": problem.hint,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "width": problem.width,
    }


def as_github(problems: Iterable[Problem]) -> str:
    """Workflow commands that GitHub shows beside the lines of a change."""
    return "\n".join(map(_annotation, problems))


def _annotation(problem: Problem) -> str:
    places = {"file": problem.file, "line": problem.line, "col": problem.column}
    if problem.column:
        places["endColumn"] = problem.column + problem.width
    places["title"] = problem.code
    properties = ",".join(f"{key}={_escape(str(value), ',:')}" for key, value in places.items() if value)
    text = f"{problem.text}: {problem.hint}" if problem.hint else problem.text
    return f"::{problem.severity.value} {properties}::{_escape(text)}"


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
