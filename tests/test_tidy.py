"""The house rules that no linter knows: sizes, names, a test file for each pure module, well-formed records."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SINS = json.loads((ROOT / "tests" / "ratchet.json").read_text())

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
PURE_ROOMS = ("model", "vrrp", "policy", "config", "haproxy")
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}  # find the noun
NOTE_TO_OURSELVES = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")  # spelled so that this file does not find itself
FRAGMENT = re.compile(r"\d{4}\.(?:feature|fix|change|removal)\.md")
FRAGMENT_CHARACTERS_MAX = 600
RECORD = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
RECORD_PARTS = ("## Question", "## Decision", "## Why", "## Not chosen")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def _files() -> list[Path]:
    """Return what is or could be committed, below the root; without git, all but hidden folders."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not re.search(r"/\.(?!ci/)|__pycache__", str(path))]
    return sorted(path for path in found if path.is_file())


FILES = _files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
MARKDOWN = [path for path in FILES if path.suffix == ".md"]
PURE = [
    path
    for path in PYTHON
    if path.parent.parent == ROOT / "src" / "firstmate"
    and path.parent.name in PURE_ROOMS
    and path.name != "__init__.py"
]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_the_tree_is_found() -> None:
    assert {"src/firstmate/model/plan.py", "tests/test_tidy.py"} <= {_name(path) for path in PYTHON}
    assert PURE
    assert MARKDOWN


def test_modules_are_short() -> None:
    long = {_name(path): lines for path in PYTHON if (lines := len(path.read_text().splitlines())) > MODULE_LINES_MAX}
    _only_old_sins("modules over 450 lines", long)


def test_functions_are_short() -> None:
    long = {
        f"{_name(path)}:{node.name}": lines
        for path in PYTHON
        for node in _functions(path)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX
    }
    _only_old_sins("functions over 60 lines", long)


def _only_old_sins(kind: str, found: dict[str, int]) -> None:
    """A sin of the list may shrink and must be struck off when it is gone; a new one is refused."""
    old: dict[str, int] = SINS[kind]
    worse = {place: size for place, size in found.items() if size > old.get(place, 0)}
    assert not worse, f"{kind}: two nouns in one place? split it"
    gone = sorted(old.keys() - found.keys())
    assert not gone, f"well done: strike these off tests/ratchet.json, {kind!r}"


def test_pure_modules_have_their_own_test_files() -> None:
    twins = {path: ROOT / "tests" / "rules" / path.parent.name / f"test_{path.name}" for path in PURE}
    missing = [_name(twin) for path, twin in twins.items() if any(_functions(path)) and not twin.is_file()]
    assert not missing, "write these"


def test_pure_modules_say_what_they_are() -> None:
    silent = [_name(path) for path in PURE if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent, "begin with a sentence about the whole module"


def test_names_are_nouns() -> None:
    nameless = [
        _name(path)
        for path in FILES
        if NAMELESS & {part.removeprefix("test_").removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]
    assert not nameless, "a drawer for everything: find the noun"


def test_tests_use_no_mocks() -> None:
    mock = re.compile(r"^(?:import|from) (?:unittest\.)?mock", re.MULTILINE)
    mocking = [_name(path) for path in PYTHON if mock.search(path.read_text())]
    assert not mocking, "a fake lives in the package, beside what it stands for"


def test_no_note_to_ourselves_is_left() -> None:
    left = [
        f"{_name(path)}:{number}: {line.strip()}"
        for path in FILES
        if path.suffix in {".py", ".sh", ".j2", ".md", ".toml"} or not path.suffix
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if NOTE_TO_OURSELVES.search(line)
    ]
    assert not left, "do it, or open an issue"


def test_programs_and_only_programs_are_executable() -> None:
    wrong = [
        _name(path)
        for path in FILES
        if path.suffix not in {".pcap", ".pcapng"}
        and path.read_bytes()[:2].startswith(b"#!") != os.access(path, os.X_OK)
    ]
    assert not wrong, "a first line #! and the executable bit belong together"
    assert all(os.access(ROOT / name, os.X_OK) for name in ("demo", "test", ".ci/run"))


@pytest.mark.parametrize("path", MARKDOWN, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    dead = [target for pair in LINK.findall(text) if (target := "".join(pair)) and not _leads(path, target)]
    assert not dead


def _leads(path: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return target.startswith(("https://", "mailto:"))
    file, _, anchor = target.partition("#")
    place = (path.parent / file).resolve() if file else path
    if not place.exists() or not place.is_relative_to(ROOT):
        return False
    return not anchor or place.suffix != ".md" or anchor in _anchors(place.read_text())


def _anchors(text: str) -> set[str]:
    """Return the names that GitHub gives to the headings."""
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_news_fragments_are_well_formed() -> None:
    fragments = [path for path in MARKDOWN if path.parent == ROOT / "news" and path.name != "README.md"]
    assert fragments
    for path in fragments:
        text = path.read_text()
        assert FRAGMENT.fullmatch(path.name), f"{_name(path)}: call it NNNN.feature.md, see news/README.md"
        assert text.endswith(".\n"), f"{_name(path)}: sentences for operators"
        assert not text.startswith(("#", "-", "*")), f"{_name(path)}: sentences, no heading, no list"
        assert len(text) <= FRAGMENT_CHARACTERS_MAX, f"{_name(path)}: details belong in docs/"


def test_decision_records_have_their_parts() -> None:
    folder = ROOT / "docs" / "decisions"
    records = [path for path in MARKDOWN if path.parent == folder and path.name != "README.md"]
    index = (folder / "README.md").read_text()
    numbers = []
    for path in records:
        named = RECORD.fullmatch(path.name)
        assert named, f"{_name(path)}: call it NNNN-what-was-decided.md"
        numbers.append(int(named[1]))
        lines = path.read_text().splitlines()
        assert lines[0].startswith(f"# {named[1]}: "), f"{_name(path)}: begins with '# {named[1]}: ...'"
        assert [line for line in lines if line.startswith("## ")] == list(RECORD_PARTS), _name(path)
        assert f"]({path.name})" in index, f"{path.name} is not in docs/decisions/README.md"
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "numbers run from 0001 without a gap"
