"""What the documentation shows must be so: configurations are accepted, commands exist, pages can be found."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import pytest
from tests import checklist

from firstmate.cli.main import group
from firstmate.config.compile import check

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/**/*.toml"))
FENCE = re.compile(r"^( *)```([a-z]*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SHOWN = re.compile(r"(?:[$#] +)?(?:sudo +)?(?:\.venv/bin/)?(firstmate +[-a-z].*|\./demo(?: +-.*)?)")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a page. `language` "": none was given; "inline": within a sentence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: Path) -> Iterator[Block]:
    text, name = page.read_text(), str(page.relative_to(ROOT))
    for match in FENCE.finditer(text):
        yield Block(name, text[: match.start()].count("\n") + 1, match[2], match[3])
    prose = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in INLINE.finditer(prose):
        yield Block(name, prose[: match.start()].count("\n") + 1, "inline", match[1])


BLOCKS = [block for page in PAGES for block in _blocks(page)]
TOML = [block for block in BLOCKS if block.language == "toml"]
SHELL = [block for block in BLOCKS if block.language in {"sh", "bash"}]


def _commands() -> Iterator[tuple[Block, list[str]]]:
    """Every call of firstmate that is shown, as its words without the name; `./demo` is `firstmate lab demo`."""
    for block in BLOCKS:
        if block.language in {"toml", "python", "json"}:
            continue
        for line in block.text.splitlines():
            shown = SHOWN.fullmatch(line.strip())
            if shown is None:
                continue
            words = re.split(r"\s[#|;&>]|  ", shown[1])[0].split()
            yield block, ["lab", "demo", *words[1:]] if words[0] == "./demo" else words[1:]


COMMANDS = list(_commands())


def test_pages_are_found() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "howto" / "clean-room.md"} <= {*PAGES}
    assert SHELL
    assert BLOCKS


@pytest.mark.parametrize("block", TOML, ids=str)
def test_toml_is_accepted(block: Block) -> None:
    """A block with `[cluster]` is a whole file; any other is a piece, and must at least be TOML."""
    document = tomllib.loads(block.text)
    if "cluster" in document:
        assert check(block.text, str(block), None).errors == ()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_is_accepted(example: Path) -> None:
    assert check(example.read_bytes(), example.name, None).problems == ()


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_can_be_read(block: Block) -> None:
    read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize(
    ("block", "words"), COMMANDS, ids=lambda part: " ".join(part) if isinstance(part, list) else str(part)
)
def test_command_exists(block: Block, words: list[str]) -> None:
    del block
    command: click.Command = group
    options = _options(command)
    for before, word in pairwise(["", *words]):
        if word.startswith("-"):
            assert word.partition("=")[0] in options, f"{command.name} has no option {word}"
        elif isinstance(command, click.Group) and not before.startswith("-"):
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"{command.name} has no command {word}"
            command = found
            options |= _options(command)


def _options(command: click.Command) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return names | {"--help", "-h"}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached, waiting = {index}, [index]
    while waiting:
        page = waiting.pop()
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            linked = (page.parent / target).resolve()
            if linked.suffix == ".md" and linked.is_file() and linked not in reached:
                reached.add(linked)
                waiting.append(linked)
    assert sorted({*ROOT.glob("docs/**/*.md")} - reached) == [], "link these from docs/README.md"


def test_every_rule_of_vrrp_has_a_test_and_the_page_names_it() -> None:
    found = checklist.tests_by_number()
    assert [number for number in checklist.ITEMS if number not in found] == [], "write a test, and give it the number"
    text = checklist.PAGE.read_text()
    listed = [int(number) for number in re.findall(r"^\| C(\d+) \|", text, re.MULTILINE)]
    assert listed == [*checklist.ITEMS]
    assert checklist.page(text) == text, "run python -m tests.checklist"
