"""The short ways of a virtual router, its changing priority, and what its plan may leave out or change."""

from copy import copy
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from tests.rules.vrrp.example import DOWN, NOW, PLAN
from tests.rules.vrrp.test_instance import (
    ALONE,
    CONTEST,
    FRESH,
    IDLE,
    ILL,
    MASTER,
    OBEYS,
    OWN,
    RELEASE,
    RESIGNED,
    START,
    TIMER,
    heard,
    obeying,
)

from firstmate.model.plan import VrrpPlan
from firstmate.model.units import MS, S
from firstmate.vrrp.instance import (
    Advertise,
    Backup,
    Event,
    Heard,
    Instance,
    Master,
    Reprioritized,
    State,
    WhyMaster,
)


def quickly(plan: VrrpPlan, given: State) -> Instance:
    instance = Instance(plan)
    instance.state = copy(given)
    return instance


# fmt: off
AGAIN = {  # the short way gives what the long one gives, or is not taken
    "steady":                   (FRESH,                                          heard(101),        True),
    "equal":                    (obeying(heard(100)),                            heard(100),        True),
    "weaker":                   (obeying(heard(99)),                             heard(99),         False),
    "another":                  (FRESH,                                          heard(102),        False),
    "resigned":                 (obeying(heard(0)),                              heard(0),          False),
    "late":                     (Backup(S, NOW - 1, heard(101)),                 heard(101),        False),
    "a delay runs":             (Backup(S, NOW + 1, heard(101), NOW),            heard(101),        False),
    "weaker ones were ignored": (Backup(S, NOW + 1, heard(101), None, NOW),      heard(101),        False),
    "ready":                    (Backup(S, NOW + 1, heard(101), ready="why"),    heard(101),        False),
    "a master":                 (MASTER,                                         heard(101),        False),
    "ill":                      (ILL,                                            heard(101),        False),
}
# fmt: on


@pytest.mark.parametrize(("given", "when", "short"), AGAIN.values(), ids=AGAIN)
def test_hear_again(given: State, when: Heard, short: bool) -> None:
    quick, slow = quickly(PLAN, given), quickly(PLAN, given)
    assert quick.hear_again(when, NOW) is short
    if short:
        slow.handle(when, NOW)
        assert quick.state == slow.state
    else:
        assert quick.state == given


def test_advertise_again() -> None:
    quick, slow = quickly(PLAN, Master(NOW)), quickly(PLAN, Master(NOW))
    slow.handle(TIMER, NOW + 5)
    assert quick.advertise_again(NOW, NOW + 5)
    assert quick.state == slow.state == Master(NOW + S)
    assert not quickly(PLAN, Master(NOW - S)).advertise_again(NOW - S, NOW)  # late by an interval
    assert not quickly(PLAN, FRESH).advertise_again(NOW, NOW)


def test_an_advert_may_go_early_with_another() -> None:
    quick = quickly(PLAN, Master(NOW + 3 * MS))
    assert quick.advertise_again(NOW, NOW)
    assert quick.state == Master(NOW + S)  # and from now on they are due together


def test_a_changed_priority_is_said_next() -> None:  # C80
    instance = quickly(PLAN, MASTER)
    instance.handle(Reprioritized(90), NOW - 1)
    assert instance.handle(TIMER, NOW) == [Advertise(90)]
    assert instance.handle(heard(95), NOW) == [Advertise(90), RELEASE]


def test_a_lowered_priority_waits_longer() -> None:
    instance = quickly(PLAN, FRESH)
    instance.handle(Reprioritized(1), NOW)
    assert instance.deadline_us == NOW + DOWN + 386_718


def test_silent_intervals_may_be_more() -> None:
    assert Instance(replace(PLAN, down_timer_adverts=5)).down_interval_us(S) == DOWN + 2 * S


def test_an_older_rfc_answers_nobody() -> None:  # C74
    instance = quickly(replace(PLAN, lower_prio_no_advert=True), MASTER)
    assert instance.handle(heard(99), NOW) == []
    assert instance.state == MASTER


def test_a_last_advert_may_be_left_out() -> None:
    instance = quickly(replace(PLAN, higher_prio_send_advert=False), MASTER)
    assert instance.handle(heard(101), NOW) == [RELEASE]


def test_ties_are_of_octets() -> None:  # C71
    ours, low, high = IPv6Address("fe80::10"), IPv6Address("fe80::9"), IPv6Address("fe80::11")
    plan = replace(PLAN, source=ours)
    assert quickly(plan, MASTER).handle(Heard(100, S, low), NOW) == [Advertise(100), CONTEST]
    assert quickly(plan, MASTER).handle(Heard(100, S, high), NOW) == [Advertise(100), RELEASE]
    far = replace(plan, source=IPv6Address("fe80::ffff"))
    assert quickly(far, MASTER).handle(Heard(100, S, IPv6Address("fe80::1:0")), NOW) == [Advertise(100), RELEASE]


def test_an_owner_in_a_group_waits_for_the_others() -> None:
    instance = quickly(OWN, IDLE)
    instance.grouped = True
    assert instance.handle(START, NOW) == []
    assert isinstance(instance.state, Backup)


# fmt: off
REASONS = {  # RFC 6527                  state                       events                  new_master_reason
    "C92 no response":                   (OBEYS,                     [TIMER],                WhyMaster.NO_RESPONSE),
    "nobody was there":                  (ALONE,                     [TIMER],                WhyMaster.NO_RESPONSE),
    "C92 priority 0":                    (RESIGNED,                  [TIMER],                WhyMaster.PRIORITY),
    "C92 preempted":                     (ALONE,                     [heard(99), TIMER],     WhyMaster.PREEMPTED),
    "its host is gone":                  (replace(RESIGNED, bereaved=True), [TIMER],         WhyMaster.NO_RESPONSE),
    "not master yet":                    (FRESH,                     [],                     WhyMaster.NOT_MASTER),
}
# fmt: on


@pytest.mark.parametrize(("given", "events", "why"), REASONS.values(), ids=REASONS)
def test_why_master(given: State, events: list[Event], why: WhyMaster) -> None:
    instance = quickly(PLAN, given)
    for event in events:
        instance.handle(event, NOW)
    assert instance.why_master is why
