"""Several ways to one peer: it is lost only when all of them are silent."""

import shutil
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.lab import netns
from tests.lab.crew import Crew
from tests.lab.makes import Cell, OfFirstmate
from tests.lab.stories import Failures, Story, Until, check, fates

from firstmate.model.plan import HmacKey, HmacPlan, Transport

WHY_NOT = netns.why_not() or ("" if shutil.which("nft") else "needs nft (apt-get install nftables)")
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

KEYS = HmacPlan((HmacKey(1, bytes(range(32))),), active=1)
FOUR = Cell(101, {"a": 200, "b": 100}, transport=Transport.UNICAST, hmac=KEYS, two_paths=True)
SIX = replace(FOUR, family=6)
CUTS = {"protocol 112": ("ip protocol 112", "ip6 nexthdr 112"), "UDP": ("udp dport 7113",)}


def cut_one_way_then_the_other(crew: Crew, first: str) -> Story:
    crew.start("a", "b")
    crew.greet()
    yield from crew.settled()
    carriers = {advert.carrier for cell in crew.cells for _, advert in crew.adverts("a", cell)}
    assert carriers == {"plain", "udp"}
    cut(crew, first)
    at = time.time()
    yield Until(lambda: time.time() > at + 5 * FOUR.interval_s, crew.story)
    yield from crew.settled()
    assert [advert for cell in crew.cells for _, advert in crew.adverts("b", cell, at)] == []
    b = crew.members["b"]
    assert isinstance(b, OfFirstmate)
    yield Until(lambda: len(b.balancer.told("path-silent")) == len(crew.cells), crew.story)
    (other,) = CUTS.keys() - {first}
    cut(crew, other)
    yield Until(lambda: all(crew.adverts("b", cell, at) for cell in crew.cells), crew.story)
    for cell in crew.cells:
        assert crew.members["b"].state(cell) == "MASTER"


def cut(crew: Crew, what: str) -> None:
    """The switch passes none of it on."""
    rules = [f"add rule bridge cut forward {match} drop" for match in CUTS[what]]
    chain = "add chain bridge cut forward { type filter hook forward priority 0; }"
    crew.site.switch.run(["nft", "-f", "-"], "\n".join(["add table bridge cut", chain, *rules, ""]))


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    with ExitStack() as stack:
        stories = {}
        for first in CUTS:
            crew = Crew(tmp_path_factory.mktemp("paths"), {"a": "firstmate", "b": "firstmate"}, (FOUR, SIX))
            stack.callback(crew.close)
            stories[first] = cut_one_way_then_the_other(crew, first)
        return fates(stories)


@pytest.mark.parametrize("first", CUTS)
def test_a_peer_is_lost_when_its_last_way_is_silent(failures: Failures, first: str) -> None:
    check(failures, first)
