"""Every section in the right kind of brackets, every documented key known."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.rules.config.example import edited, found

from firstmate.config import schema
from firstmate.config.addresses import VIP_KEYS
from firstmate.config.codes import Code
from firstmate.config.routes import ROUTE_KEYS, RULE_KEYS
from firstmate.config.tables import Key, Planned
from firstmate.config.values import CHECK_KEYS
from firstmate.config.vrrp_values import HMAC_KEYS, TRACK_KEYS, VMAC_KEYS

ROOT = Path(__file__).parents[3]
CONFIGURATION = (ROOT / "docs" / "reference" / "configuration.md").read_text()
PROBLEMS = (ROOT / "docs" / "reference" / "problems.md").read_text()
SOURCES = {path: path.read_text() for path in (ROOT / "src" / "firstmate").rglob("*.py")}

SECTIONS: dict[str, Mapping[str, Key | Planned]] = {
    "[cluster]": schema.CLUSTER,
    "[[node]]": schema.NODE,
    "[[vrrp]]": schema.VRRP,
    "[[service]]": schema.SERVICE,
    "[haproxy]": schema.HAPROXY,
    "[[check]]": schema.CHECK,
    "[[process]]": schema.PROCESS,
    "[[file]]": schema.TRACKED_FILE,
    "A server": schema.SERVER,
    "A check of a service": CHECK_KEYS,
    "An address": VIP_KEYS,
    "A route": ROUTE_KEYS,
    "A rule": RULE_KEYS,
    "A virtual MAC": VMAC_KEYS,
    "`hmac`": HMAC_KEYS,
    "Tracking": TRACK_KEYS,
}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[cluster]", "[[cluster]]", "E110"),
        ('[[vrrp]]\nname = "web"', '[vrrp]\nname = "web"', "E110"),
        ('[cluster]\nname = "web-edge"', 'cluster = "web-edge"', "E110"),
        ('[cluster]\nname = "web-edge"', "", "E111"),
        ("[cluster]", "vrrp = [1]\n[cluster]", "E104"),
        ("[cluster]", "check = [1]\n[cluster]", "E110"),
        ("[cluster]", "check = 1\n[cluster]", "E110"),
        ("[cluster]", f"check = [{'{},' * 256}]\n[cluster]", "E125"),
        ('web2 = "10.0.1.22:80"', "web2 = 1", "E110"),
        ('web2 = "10.0.1.22:80"', "web2 = { weight = 1 }", "E111"),
        ('web2 = "10.0.1.22:80"', 'web2 = { address = "10.0.1.22:80", weight = 257 }', "E117"),
    ],
)
def test_shape(old: str, new: str, code: str) -> None:
    assert code in [found_code for found_code, *_ in found(edited((old, new)))]


def test_a_file_of_nothing_misses_its_sections() -> None:
    assert [code for code, *_ in found("")] == ["E111", "E111", "W313"]


# The reference is complete.


def part(title: str) -> str:
    """The section of the reference below the heading that begins with `title`."""
    match = re.search(
        rf"^##+ {re.escape(f'`{title}`' if title.startswith('[') else title)}.*?(?=^##+ |\Z)",
        CONFIGURATION,
        re.MULTILINE | re.DOTALL,
    )
    assert match, f"no heading for {title}"
    return match.group()


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_in_the_reference(title: str) -> None:
    rows = set(re.findall(r"^\| `(\w+)`", part(title), re.MULTILINE))
    known = {key for key, about in SECTIONS[title].items() if isinstance(about, Key)}
    assert rows == known


def test_every_planned_key_is_in_the_reference() -> None:
    planned = part("Not yet")
    for keys in (*SECTIONS.values(), schema.FILE):
        for key, about in keys.items():
            assert not isinstance(about, Planned) or re.search(rf"`\[?{key}\]?`", planned), key


def emitted() -> set[str]:
    """Every id written in the sources: those of this room, and E4xx of HAProxy's."""
    return {code for text in SOURCES.values() for code in re.findall(r'"([EW][1-4]\d\d)"', text)}


def test_every_id_is_explained_once() -> None:
    headings = re.findall(r"^### ([EW]\d{3})\b", PROBLEMS, re.MULTILINE)
    assert sorted(headings) == sorted(emitted())
    assert {code.value for code in Code} <= emitted()


def test_every_id_is_used() -> None:
    text = "".join(SOURCES.values())
    assert not [code.name for code in Code if f"Code.{code.name}" not in text]
