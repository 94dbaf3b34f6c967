"""Which test shows which item of the VRRP conformance checklist, found by the numbers that tests carry.

`python -m tests.checklist` writes the last column of `docs/reference/vrrp-checklist.md` anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "vrrp-checklist.md"
ITEMS = range(1, 98)
SHOWN_MAX = 4  # tests that are named for one item; the first of each room come first

_NUMBER = re.compile(r"\bC(\d{1,2})\b")
_ROW = re.compile(r"^\| C(\d+) \| (.*?) \|(?: .*)?\|$")


def tests_by_number() -> dict[int, list[str]]:
    """Item -> `file::test`, from comments beside a `def test_...` and from marked rows of the tables that it takes."""
    found: dict[int, dict[str, None]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for number, name in _marks(path):
            found.setdefault(number, {})[f"{path.relative_to(ROOT / 'tests')}::{name}"] = None
    return {number: list(names) for number, names in found.items()}


def page(text: str) -> str:
    """The page with its last column made anew."""
    found = tests_by_number()
    lines = []
    for line in text.splitlines():
        row = _ROW.match(line)
        if row:
            shown = _shown(found.get(int(row[1]), []))
            lines.append(f"| C{row[1]} | {row[2]} | {shown} |")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _shown(names: list[str]) -> str:
    rooms: dict[str, list[str]] = {}
    for name in names:
        rooms.setdefault(name.split("/")[0], []).append(name)
    turns = [names for _, names in sorted(rooms.items(), reverse=True)]
    mixed = [names[turn] for turn in range(max(map(len, turns), default=0)) for names in turns if turn < len(names)]
    more = f" and {len(mixed) - SHOWN_MAX} more" if len(mixed) > SHOWN_MAX else ""
    return ", ".join(f"`{name}`" for name in mixed[:SHOWN_MAX]) + more


def _marks(path: Path) -> Iterator[tuple[int, str]]:
    source = path.read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    for test in tests:
        head = lines[test.lineno - 1 : test.body[0].lineno - 1]
        for line in head:
            for number in _NUMBER.findall(line.partition("#")[2]):
                yield int(number), test.name
    tables = {
        target.id: (node.lineno, node.end_lineno or node.lineno)
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for test in tests:
        taken = " ".join(ast.unparse(one) for one in (*test.decorator_list, *test.body))
        for table, (first, last) in tables.items():
            if re.search(rf"\b{table}\b", taken):
                for line in lines[first - 1 : last]:
                    for number in _NUMBER.findall(line):
                        yield int(number), test.name


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
