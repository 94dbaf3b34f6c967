from dataclasses import replace

import pytest
from tests.rules.policy.example import (
    BY_UDP,
    BY_VRRP,
    DISK_UP,
    FOREIGN,
    LEADING,
    NOW,
    ONE_WAY,
    PEER,
    PEER_LEADING,
    PLAN,
    RICH,
    ROUTER,
    UP,
    VIEW,
    WALL,
    serving,
    snapshot,
    told,
)

from firstmate.model import jsonable
from firstmate.model.messages import PeerView, RouterState, RouterView
from firstmate.model.plan import Plan
from firstmate.model.status import Status
from firstmate.model.units import S
from firstmate.policy.life import Absent
from firstmate.policy.status_view import PULSE_NEVER_S, status
from firstmate.policy.world import ConfigAccepted, World, begin

ALONE: Plan = replace(PLAN, nodes=PLAN.nodes[:1])
SECOND = replace(ROUTER, name="db", vrid=8)
PAIR: Plan = replace(PLAN, routers=(ROUTER, SECOND))
SILENT_PEER = replace(PEER, connected=False)
HEARD_AGO = replace(VIEW, heard_at_us=NOW - 40 * S)


def seen(world: World, after_us: int = 0) -> Status:
    return status(world, NOW + after_us, WALL + after_us)


def test_the_master_of_a_healthy_pair() -> None:
    document = seen(serving())
    assert (document.health, document.troubles) == ("HEALTHY", ())
    assert document.headline == "lb-a is MASTER for 1 min 0 s   standby ready: lb-b   takeover about 0.6 s"
    (router,) = document.routers
    assert (router.state, router.master, router.held, router.for_s) == ("MASTER", "lb-a", True, 60.0)
    assert (router.takeover_s, router.advert_s) == (0.601, 0.2)
    us, peer = document.nodes
    assert (us.this, us.ready, us.haproxy, us.servers, us.config) == (True, "-", "2.6.12 up", "2/2", PLAN.digest)
    assert (peer.this, peer.reachable, peer.ready, peer.states) == (False, True, "yes", {"web": "BACKUP"})
    assert document.haproxy is not None
    assert (document.haproxy.up, document.haproxy.pid, document.haproxy.servers_up) == (True, 900, 2)


def test_the_backup_of_a_healthy_pair() -> None:
    document = seen(serving(PLAN, VIEW, peers=(PEER_LEADING,)))
    assert document.health == "HEALTHY"
    assert document.headline == "lb-b is MASTER for 1 min 0 s   standby ready: lb-a   takeover about 0.6 s"
    us, peer = document.nodes
    assert (us.ready, us.heartbeat_age_s) == ("yes", None)
    assert (peer.ready, peer.heartbeat_age_s) == ("-", 0.1)


def test_it_survives_its_journey() -> None:
    document = seen(serving())
    assert jsonable.loads(Status, jsonable.dumps(document)) == document


def test_times_are_utc() -> None:
    document = seen(serving(), after_us=1_500_000)
    assert document.as_of == "2026-11-18T11:06:41.500Z"
    assert document.routers[0].since == "2026-11-18T11:05:40.000Z"
    assert document.pulse_age_s == 1.5


# fmt: off
NONE = "standby ready: none (lb-b)   a second failure means an outage"
CASES: dict[str, tuple[RouterView, PeerView, str, str, str]] = {
    # we are, the peer is, health, headline after "lb-a is MASTER for 1 min 0 s   ", the peer is ready
    "peer in fault":      (LEADING, replace(PEER, states={"web": "FAULT"}, haproxy="down: exit 1"), "DEGRADED", NONE, "no: HAProxy down"),
    "peer starts":        (LEADING, replace(PEER, haproxy="starting"),          "DEGRADED", NONE, "no: HAProxy starting"),
    "peer in init":       (LEADING, replace(PEER, states={"web": "INIT"}),      "DEGRADED", NONE, "no: INIT"),
    "peer says nothing":  (LEADING, replace(PEER, states={}),                   "DEGRADED", NONE, "no: says nothing yet"),
    "peer's file":        (LEADING, replace(PEER, config="8d2"),                "DEGRADED", NONE, "no: other configuration"),
    "peer is cut off":    (LEADING, SILENT_PEER,                                "DEGRADED", NONE + "   seen from lb-a only", "no: silent"),
}
# fmt: on


@pytest.mark.parametrize(("view", "peer", "health", "headline", "ready"), CASES.values(), ids=CASES)
def test_what_a_peer_is_fit_for(view: RouterView, peer: PeerView, health: str, headline: str, ready: str) -> None:
    document = seen(serving(PLAN, view, peers=(peer,)))
    assert document.health == health
    assert document.headline == f"lb-a is MASTER for 1 min 0 s   {headline}"
    assert document.nodes[1].ready == ready


def test_a_peer_that_never_speaks_is_known_by_its_adverts() -> None:
    document = seen(serving(PLAN, VIEW, peers=()))
    peer = document.nodes[1]
    assert (peer.reachable, peer.states, peer.priorities) == (False, {"web": "MASTER"}, {"web": 253})
    assert (peer.heartbeat_age_s, peer.haproxy, peer.ready) == (0.1, "?", "-")
    assert document.health == "HEALTHY", "keepalived is a good peer, and does not speak of itself"


def test_an_old_advert_is_an_old_heartbeat() -> None:
    document = seen(serving(PLAN, HEARD_AGO, peers=(SILENT_PEER,)))
    assert document.nodes[1].heartbeat_age_s == 40.0
    assert document.health == "DOWN"
    assert document.headline.startswith("no MASTER is known for web   standby ready: lb-a")


def test_haproxy_down_here() -> None:
    world = replace(serving(PLAN, replace(VIEW, state=RouterState.FAULT), peers=(PEER_LEADING,)))
    world = replace(world, life=Absent("HAProxy killed by signal 11", NOW - S, 1), restarts=1)
    document = seen(world)
    assert document.health == "DEGRADED"
    assert document.headline == (
        "lb-b is MASTER for 1 min 0 s   standby ready: none (lb-a)   a second failure means an outage"
    )
    assert document.haproxy is not None
    assert (document.haproxy.up, document.haproxy.why) == (False, "HAProxy killed by signal 11")
    assert (document.haproxy.pid, document.haproxy.restarts, document.nodes[0].ready) == (None, 1, "no: HAProxy down")


def test_a_node_alone() -> None:
    document = seen(serving(ALONE, LEADING, peers=()))
    assert (document.health, document.headline) == ("HEALTHY", "lb-a is MASTER for 1 min 0 s")


def test_two_virtual_routers_on_two_nodes_stand_by_for_each_other() -> None:
    other = replace(VIEW, name="db", vrid=8)
    peer = replace(PEER, states={"web": "BACKUP", "db": "MASTER"}, priorities={"web": 253, "db": 254})
    document = seen(told(serving(PAIR), snapshot(LEADING, other, peers=(peer,), facts=(UP, DISK_UP))))
    assert document.health == "HEALTHY"
    assert document.headline == "web on lb-a, db on lb-b   standby ready: lb-a, lb-b   takeover about 0.6 s"


def test_each_leads_all_it_can() -> None:
    plan = replace(PAIR, routers=(ROUTER,))
    world = serving(plan, LEADING, peers=(PEER_LEADING,))
    document = seen(world)
    assert document.health == "DEGRADED", "two MASTERs of one address"
    assert "more than one node is MASTER" in document.troubles[0]


def test_before_pulse_has_spoken() -> None:
    document = seen(begin(PLAN, NOW))
    assert (document.health, document.pulse_age_s, document.routers) == ("DOWN", PULSE_NEVER_S, ())
    assert document.nodes[0].ready == "no: HAProxy down"


def test_no_virtual_router() -> None:
    document = seen(told(begin(replace(PLAN, routers=()), NOW), snapshot()))
    assert document.headline.startswith("no virtual router in this configuration")


def test_no_haproxy() -> None:
    document = seen(told(begin(replace(PLAN, haproxy=None), NOW), snapshot(LEADING)))
    assert (document.haproxy, document.nodes[0].haproxy) == (None, "none")


def test_the_version_is_known_before_it_answers() -> None:
    world = replace(begin(PLAN, NOW), config=ConfigAccepted("/usr/sbin/haproxy", "2.6.12", "f", "d"))
    document = seen(world)
    assert document.haproxy is not None
    assert (document.haproxy.version, document.haproxy.why) == ("2.6.12", "not started")


def test_a_router_of_a_plan_of_before_is_not_shown() -> None:
    document = seen(told(begin(replace(PLAN, routers=()), NOW), snapshot(LEADING)))
    assert (document.routers, document.nodes[0].states, document.nodes[0].priorities) == ((), {}, {})


def test_version_2_skews_by_parts_of_a_second() -> None:
    plan = replace(PLAN, routers=(replace(ROUTER, version=2, advert_interval_us=S),))
    assert seen(serving(plan)).headline.endswith("takeover about 3.0 s")


def test_the_priority_before_and_after_what_is_tracked() -> None:
    (router,) = seen(serving(PLAN, replace(LEADING, priority=234))).routers
    assert (router.priority, router.configured_priority) == (234, 254)


def test_each_path_of_a_peer() -> None:
    view = replace(VIEW, paths=(BY_VRRP, BY_UDP, replace(BY_UDP, heard_at_us=None)))
    (router,) = seen(serving(PLAN, view, peers=(PEER_LEADING,)), after_us=S).routers
    assert [(path.peer, path.transport, path.address, path.heard_age_s, path.silent) for path in router.paths] == [
        ("lb-b", "unicast", "192.0.2.11", 0.1, False),
        ("lb-b", "udp", "198.51.100.11", 5.0, True),
        ("lb-b", "udp", "198.51.100.11", None, True),
    ]
    (router,) = seen(serving(PLAN, replace(LEADING, paths=(BY_UDP,)))).routers
    assert [path.silent for path in router.paths] == [False], "a BACKUP says nothing"


def test_a_silent_pulse_lets_every_age_grow() -> None:
    view = replace(VIEW, paths=(BY_VRRP,))
    document = seen(serving(PLAN, view, peers=(PEER_LEADING,)), after_us=10 * S)
    assert document.routers[0].paths[0].heard_age_s == 10.1
    assert document.nodes[1].heartbeat_age_s == 10.1


def test_what_is_wrong_on_the_wire() -> None:
    first = replace(snapshot(replace(LEADING, oddities=(ONE_WAY,))), oddities=(FOREIGN,))
    document = seen(told(begin(PLAN, NOW), first))
    (odd,) = document.routers[0].oddities
    assert (odd.code, odd.source, odd.text, odd.count) == ("one-way", "lb-b", "lb-b does not hear us", 7)
    assert (odd.since, odd.last) == ("2026-11-18T11:06:30.000Z", "2026-11-18T11:06:39.000Z")
    assert [odd.code for odd in document.oddities] == ["vrid-clash"]
    assert jsonable.loads(Status, jsonable.dumps(document)) == document


def test_whom_a_virtual_router_moves_with() -> None:
    document = seen(serving(RICH, LEADING, replace(LEADING, name="db", vrid=8)))
    assert [(router.name, router.moves_with) for router in document.routers] == [("web", ("db",)), ("db", ("web",))]
    assert seen(serving()).routers[0].moves_with == ()
