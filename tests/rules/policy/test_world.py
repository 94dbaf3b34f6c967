from dataclasses import replace

import pytest
from tests.rules.policy.example import LEADING, NOW, PLAN, ROUTER, VIEW, serving, snapshot, told

from firstmate.model.messages import RouterState, RouterView
from firstmate.model.plan import HaproxyPlan, HaproxyRun
from firstmate.policy.life import Absent
from firstmate.policy.world import ServerView, begin

FAULT = replace(VIEW, state=RouterState.FAULT)


def test_in_the_beginning_nothing_is_known() -> None:
    world = begin(PLAN, NOW)
    assert world.life == Absent("not started", NOW)
    assert world.leading, "to be on the safe side: a hung HAProxy waits for the addresses to go"


@pytest.mark.parametrize(("router", "leading"), [(LEADING, True), (VIEW, False), (FAULT, False)])
def test_leading(router: RouterView, leading: bool) -> None:
    assert told(begin(PLAN, NOW), snapshot(router)).leading is leading


def test_a_router_that_does_not_depend_on_haproxy_does_not_lead_for_it() -> None:
    plan = replace(PLAN, routers=(replace(ROUTER, track=()),))
    assert not told(begin(plan, NOW), snapshot(LEADING)).leading


def test_servers_up() -> None:
    down = ServerView("web", "web3", False, "DOWN", "L4CON")
    assert replace(serving(), servers=(*serving().servers, down)).servers_up == 2


@pytest.mark.parametrize(
    ("haproxy", "owns"),
    [(HaproxyPlan(), True), (HaproxyPlan(run=HaproxyRun.EXTERNAL), False), (None, False)],
)
def test_owns_haproxy(haproxy: HaproxyPlan | None, owns: bool) -> None:
    assert begin(replace(PLAN, haproxy=haproxy), NOW).owns_haproxy is owns
