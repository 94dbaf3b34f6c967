from dataclasses import replace

import pytest
from tests.rules.vrrp.example import NOW, PLAN

from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import Track
from firstmate.vrrp.tracking import FACTS_MAX, Facts, Verdict, link_fact, needed_facts

TRACKING = replace(PLAN, track=(Track("haproxy"), Track("disk")))
LINK = FactChanged(link_fact("eth0"), up=True, why="", at_us=NOW)
HAPROXY = FactChanged("haproxy", up=True, why="", at_us=NOW, generation=2)
DISK = FactChanged("disk", up=True, why="", at_us=NOW)
DEAD = replace(HAPROXY, up=False, why="killed by SIGSEGV")

# fmt: off
FITNESS = {
    "nothing is known":     ([],                                            "link eth0: not known to be well yet"),
    "a fact is missing":    ([LINK, DISK],                                  "haproxy: not known to be well yet"),
    "all is well":          ([LINK, DISK, HAPROXY],                         ""),
    "down, and why":        ([LINK, DISK, DEAD],                            "haproxy: killed by SIGSEGV"),
    "down, nobody says why": ([LINK, HAPROXY, replace(DISK, up=False)],     "disk is down"),
    "the link comes first": ([replace(LINK, up=False, why="carrier lost"), DISK, DEAD], "link eth0: carrier lost"),
    "up again":             ([LINK, DISK, DEAD, HAPROXY],                   ""),
    "an older up is void":  ([LINK, DISK, DEAD, replace(HAPROXY, generation=1)], "haproxy: killed by SIGSEGV"),
    "a newer up holds":     ([LINK, DISK, DEAD, replace(HAPROXY, generation=3)], ""),
    "others do not count":  ([LINK, DISK, HAPROXY, FactChanged("link eth1", up=False, why="", at_us=NOW)], ""),
}
LEARNS = {
    "new":                ([],                                HAPROXY,                           True),
    "the same":           ([HAPROXY],                         HAPROXY,                           False),
    "the same, later":    ([HAPROXY],                         replace(HAPROXY, at_us=NOW + 1),   False),
    "the same, restarted": ([HAPROXY],                        replace(HAPROXY, generation=3),    False),
    "down":               ([HAPROXY],                         DEAD,                              True),
    "down for another reason": ([DEAD],                       replace(DEAD, why="hangs"),        True),
    "down, older":        ([HAPROXY],                         replace(DEAD, generation=1),       False),
}
# fmt: on


@pytest.mark.parametrize(("told", "wanted"), FITNESS.values(), ids=FITNESS)
def test_fitness(told: list[FactChanged], wanted: str) -> None:
    facts = Facts()
    for fact in told:
        facts.learn(fact)
    assert facts.judge(TRACKING, needed_facts(TRACKING)) == Verdict(wanted, 100)


@pytest.mark.parametrize(("before", "fact", "wanted"), LEARNS.values(), ids=LEARNS)
def test_learn(before: list[FactChanged], fact: FactChanged, wanted: bool) -> None:
    facts = Facts()
    for known in before:
        facts.learn(known)
    assert facts.learn(fact) is wanted


def test_views_show_the_last_of_each() -> None:
    facts = Facts()
    for fact in (LINK, HAPROXY, DEAD, replace(DEAD, at_us=NOW + 5)):
        facts.learn(fact)
    wanted = FactView("haproxy", up=False, why="killed by SIGSEGV", at_us=NOW + 5)
    assert facts.views() == (FactView("link eth0", up=True, why="", at_us=NOW), wanted)


def test_facts_are_bounded() -> None:
    facts = Facts()
    names = [f"fact {n}" for n in range(FACTS_MAX)]
    assert all(facts.learn(replace(DISK, name=name)) for name in names)
    assert facts.learn(DISK) is False
    assert facts.learn(replace(DISK, name=names[0], up=False)) is True
    assert len(facts.views()) == FACTS_MAX
