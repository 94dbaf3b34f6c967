from dataclasses import replace

import pytest
from tests.rules.policy.example import (
    BY_UDP,
    BY_VRRP,
    FOREIGN,
    LEADING,
    NGINX,
    NOW,
    ONE_WAY,
    PEER,
    PEER_LEADING,
    PLAN,
    RICH,
    VIEW,
    serving,
    snapshot,
    told,
)
from tests.rules.policy.test_life import FRESH, HUNG, KILLING, SILENT

from firstmate.model.messages import Notice, Oddity, RouterView
from firstmate.model.problems import Problem
from firstmate.model.units import S
from firstmate.policy.life import Absent, Life, Starting
from firstmate.policy.trouble import NOTICE_SHOWN_US, TROUBLES_MAX, standby_faults, troubles
from firstmate.policy.view import PATH_SILENT, TWO_MASTERS
from firstmate.policy.world import CheckRan, ServersSeen, ServerView, World, begin

CHECK_FAILED = CheckRan("disk", False, "disk is full", NOW)
NOTICE = Notice(2, NOW, "vrid-clash", "192.0.2.9 uses vrid 7 too")
PROBLEM = Problem("E410", "HAProxy refuses this: unknown keyword", file="h.cfg", line=4)


def begin_quiet() -> World:
    """RICH without what is not under test."""
    plan = replace(RICH, routers=RICH.routers[:1], checks=(replace(NGINX, init_fail=False),))
    return serving(plan)


def having(life: Life) -> World:
    return replace(serving(), life=life)


SILENT_PATH = Oddity(PATH_SILENT, "198.51.100.11", "192.0.2.11 is not heard on its second path", NOW, NOW, 1)
TWO = replace(ONE_WAY, code=TWO_MASTERS, text="192.0.2.11 is MASTER too")


def odd(*views: RouterView) -> World:
    return serving(PLAN, *views, peers=(PEER_LEADING,))


def servers(count: int) -> ServersSeen:
    return ServersSeen(tuple(ServerView("web", f"web{n}", False, "DOWN", "L4TOUT") for n in range(count)))


# fmt: off
SAID = {
    "all well": (serving(), None),
    "nobody leads": (serving(PLAN, replace(VIEW, master=None)),
        "web: nobody is MASTER as seen from lb-a: the address is not served"),
    "both lead": (serving(PLAN, LEADING, peers=(PEER_LEADING,)),
        "web: more than one node is MASTER (lb-a, lb-b): they do not hear each other's adverts"),
    "not held": (serving(PLAN, replace(LEADING, held=False)),
        "web: lb-a is MASTER, but its addresses are not on the interface"),
    "refused": (replace(serving(), problems=(PROBLEM,)),
        ("h.cfg:4: HAProxy refuses this: unknown keyword (HAProxy goes on with the one before)   "
        "firstmate check /etc/firstmate/firstmate.toml")),
    "refused at start": (replace(having(Absent("HAProxy is missing", NOW)), problems=(Problem("E401", "HAProxy is missing"),)),
        "HAProxy is missing   firstmate check /etc/firstmate/firstmate.toml"),
    "gone": (having(Absent("HAProxy killed by signal 9", NOW - 2 * S, 1)),
        "lb-a cannot serve: HAProxy killed by signal 9, 2.0 s ago"),
    "not started": (having(Absent("not started", NOW)), "lb-a cannot serve: HAProxy is not started"),
    "hung": (having(HUNG), "lb-a cannot serve: HAProxy hangs: no answer; it is killed and started again"),
    "killing": (having(KILLING), "lb-a cannot serve: HAProxy hangs: no answer; it is killed and started again"),
    "silent": (having(replace(SILENT, since_us=NOW - 3 * S)),
        "lb-a cannot serve: HAProxy hangs: no answer, since 3.0 s; it is not firstmate's to restart"),
    "starting": (having(Starting(1, 9, NOW - S, FRESH)), "lb-a cannot serve yet: HAProxy is starting (1.0 s)"),
    "check": (told(serving(), CHECK_FAILED), 'lb-a is unfit: check "disk" fails: disk is full'),
    "check without words": (told(serving(), replace(CHECK_FAILED, line="")), 'lb-a is unfit: check "disk" fails'),
    "weaker": (told(begin_quiet(), CheckRan("nginx", False, "0 of nginx run", NOW)),
        'lb-a is weaker: process check "nginx" fails: 0 of nginx run'),
    "one way": (odd(replace(VIEW, oddities=(ONE_WAY,))), "web: lb-b does not hear us"),
    "two masters, seen by pulse": (odd(replace(LEADING, oddities=(TWO,))), "web: lb-b is MASTER too"),
    "the last word of a MASTER that concedes": (odd(replace(LEADING, oddities=(replace(TWO, count=1),))),
        "web: more than one node is MASTER (lb-a, lb-b): they do not hear each other's adverts"),
    "named already": (odd(replace(VIEW, oddities=(replace(ONE_WAY, text="web: no"),))), "web: no"),
    "no router's": (told(serving(), replace(snapshot(LEADING), oddities=(FOREIGN,))),
        "192.0.2.99 sends adverts for VRID 9, which is none of ours"),
    "one path silent": (odd(replace(VIEW, paths=(BY_VRRP, BY_UDP))),
        "web: lb-b is not heard by udp from 198.51.100.11; another path is well"),
    "one path never heard": (odd(replace(VIEW, paths=(BY_VRRP, replace(BY_UDP, heard_at_us=None)))),
        "web: lb-b is not heard by udp from 198.51.100.11; another path is well"),
    "one path silent, seen by pulse": (odd(replace(VIEW, paths=(BY_VRRP, BY_UDP), oddities=(SILENT_PATH,))),
        "web: lb-b is not heard on its second path"),
    "all paths silent": (odd(replace(VIEW, paths=(BY_UDP,))), None),
    "a backup is not heard": (serving(PLAN, replace(LEADING, paths=(BY_UDP, BY_VRRP))), None),
    "server": (told(serving(), servers(1)), "web/web0 is DOWN: L4TOUT"),
    "peer silent": (serving(PLAN, LEADING, peers=(replace(PEER, at_us=NOW - 12 * S),)),
        "lb-b has told nothing of itself for 12.0 s   run `firstmate status` there"),
    "peer never spoke": (serving(PLAN, LEADING, peers=(replace(PEER, at_us=0, connected=False),)),
        "lb-b has told nothing of itself since we began   run `firstmate status` there"),
    "peer differs": (serving(PLAN, LEADING, peers=(replace(PEER, config="8d2000000000"),)),
        "lb-b runs another configuration (8d2000, here 7c1e4f)   run `firstmate check` on both"),
    "notice": (told(serving(), NOTICE), "192.0.2.9 uses vrid 7 too"),
}
# fmt: on


@pytest.mark.parametrize(("world", "said"), SAID.values(), ids=SAID)
def test_what_is_amiss(world: World, said: str | None) -> None:
    assert troubles(world, NOW) == (() if said is None else (said,))


def test_what_is_wrong_now_is_not_said_twice() -> None:
    view = replace(VIEW, oddities=(ONE_WAY,))
    notice = replace(NOTICE, text="web: 192.0.2.11 does not hear us")
    assert troubles(told(odd(view), notice), NOW) == ("web: lb-b does not hear us",)


def test_what_was_wrong_on_the_wire_is_not_shown_when_it_is_over() -> None:
    notice = replace(NOTICE, code=ONE_WAY.code, text="192.0.2.11 does not hear us")
    world = told(serving(PLAN, replace(VIEW, oddities=(ONE_WAY,)), peers=(PEER_LEADING,)), notice)
    assert troubles(world, NOW) == ("web: lb-b does not hear us",)
    assert troubles(told(world, snapshot(VIEW, peers=(PEER_LEADING,), seq=3)), NOW) == ()


def test_a_silent_pulse() -> None:
    assert troubles(serving(), NOW + 3 * S) == ()
    text = "pulse has been silent for 4.0 s: what is said of the virtual routers is that old"
    assert text in troubles(serving(), NOW + 4 * S)
    assert troubles(begin(PLAN, NOW), NOW)[0].startswith("pulse has not said anything yet")


def test_notices_are_said_once_and_not_for_ever() -> None:
    world = told(serving(), NOTICE, replace(NOTICE, seq=3))
    assert troubles(world, NOW) == ("192.0.2.9 uses vrid 7 too",)
    assert "192.0.2.9 uses vrid 7 too" not in troubles(world, NOW + NOTICE_SHOWN_US + 1)


def test_a_flood_is_cut() -> None:
    found = troubles(told(serving(), servers(50)), NOW)
    assert len(found) == TROUBLES_MAX
    assert found[-1].startswith("and 31 more")


def test_no_haproxy_is_no_trouble() -> None:
    assert troubles(told(begin(replace(PLAN, haproxy=None), NOW), snapshot(LEADING)), NOW) == ()


def test_why_this_node_could_not_take_over() -> None:
    assert standby_faults(serving(), NOW) == []
    assert standby_faults(having(HUNG), NOW) == ["HAProxy down"]
    assert standby_faults(having(Starting(1, 9, NOW, FRESH)), NOW) == ["HAProxy starting"]
    assert standby_faults(told(serving(), CHECK_FAILED), NOW) == ["check disk fails"]
    assert standby_faults(told(begin_quiet(), replace(CHECK_FAILED, name="nginx")), NOW) == [], "weaker is not unfit"
    assert standby_faults(serving(), NOW + 4 * S) == ["pulse is silent"]
    assert standby_faults(begin(replace(PLAN, haproxy=None), NOW), NOW) == ["pulse is silent"]
