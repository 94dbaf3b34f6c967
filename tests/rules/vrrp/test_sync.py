from dataclasses import replace

from tests.rules.vrrp.example import DOWN, NOW, PEER, PLAN

from firstmate.model.plan import GroupPlan
from firstmate.model.units import S
from firstmate.vrrp.instance import Heard, Signal
from firstmate.vrrp.member import Member
from firstmate.vrrp.sync import SyncGroup

LED = NOW + DOWN


def group() -> SyncGroup:
    members = [Member(replace(PLAN, name=name, vrid=vrid), NOW) for name, vrid in (("front", 50), ("back", 51))]
    for one in members:
        one.instance.grouped = True
        one.handle(Signal.STARTUP, NOW)
    return SyncGroup(GroupPlan("pair", ("front", "back")), members)


def test_nobody_leads_before_all_would() -> None:
    found = group()
    front, back = found.members
    assert front.handle(Signal.TIMER, LED) == []
    assert front.deadline_us is None
    assert found.to_lead() == []
    back.handle(Signal.TIMER, LED)
    assert found.to_lead() == [front, back]


def test_who_hears_a_master_is_not_ready_any_more() -> None:
    found = group()
    front, back = found.members
    front.handle(Signal.TIMER, LED)
    front.handle(Heard(200, S, PEER), LED)
    back.handle(Signal.TIMER, LED)
    assert found.to_lead() == []


def test_one_joins_those_that_lead_already() -> None:
    found = group()
    front, back = found.members
    front.handle(Signal.TIMER, LED)
    front.handle(Signal.LEAD, LED)
    back.handle(Signal.TIMER, LED)
    assert found.to_lead() == [back]
    assert found.to_follow() == [front]


def test_a_fault_keeps_all_from_leading() -> None:
    found = group()
    front, back = found.members
    front.handle(Signal.TIMER, LED)
    back.handle(Signal.SHUTDOWN, LED)
    assert found.to_lead() == []
    assert found.to_follow() == []
