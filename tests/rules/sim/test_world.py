"""One fault at a time, in a story whose times can be reckoned: n1 (254) leads, n2 (253) waits, 0.1 ms between them."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.rules.sim.example import PLANS, STORY, STRONG, VIP, WEAK, WIRE, story

from firstmate.model.addresses import Address
from firstmate.model.messages import RouterState
from firstmate.model.plan import HAPROXY_FACT, HmacKey, HmacPlan, PathPlan, Plan, Track
from firstmate.model.units import MS, S, Micros
from firstmate.sim.conditions import Invariant
from firstmate.sim.node import EXECUTOR_US, SOCKET_PACKETS_MAX
from firstmate.sim.parcel import Parcel
from firstmate.sim.schedule import Fault, FaultKind, Schedule
from firstmate.sim.world import World
from firstmate.vrrp.packet import GROUP_IPV4, Advert, encode
from firstmate.vrrp.receive import Datagram

MASTER, BACKUP, FAULT = RouterState.MASTER, RouterState.BACKUP, RouterState.FAULT
SKEW_1, SKEW_2 = 781, 1_171  # of 254 and 253 at 100 ms
LEADS = 300 * MS + SKEW_1  # when n1 becomes MASTER
AT = 2 * S
LAST = LEADS + 16 * 100 * MS  # n1's last advert before AT


def until(world: World, at_us: Micros) -> World:
    """Play on, until and including `at_us`; nothing may be wrong so far."""
    while (what := world.agenda.next(at_us)) is not None:
        what()
        assert world.judge.look() is None
    return world


def states(world: World) -> list[RouterState | None]:
    return [node.router.members["vi1"].state if node.router else None for node in world.nodes]


def holders(world: World) -> list[str]:
    return [node.name for node in world.nodes if VIP in node.held]


def leads_at(told: Schedule, name: str) -> Micros:
    """When this node becomes MASTER after `AT`."""
    world = until(World(told), AT - 1)
    while (what := world.agenda.next(20 * S)) is not None:
        what()
        assert world.judge.look() is None
        node = next(node for node in world.nodes if node.name == name)
        if node.router is not None and node.router.members["vi1"].state is MASTER:
            return world.agenda.now_us
    pytest.fail(f"{name} never leads")


def fault(kind: FaultKind, lasts_us: Micros = 1 * S, node: int = 0, **more: object) -> Fault:
    return Fault(AT, kind, AT + lasts_us, node, **more)  # type: ignore[arg-type]


def test_without_faults_the_stronger_one_leads() -> None:
    world = until(World(STORY), LEADS - 1)
    assert states(world) == [BACKUP, BACKUP]
    until(world, LEADS)
    assert states(world) == [MASTER, BACKUP]
    assert holders(world) == ["n1"]
    until(world, LEADS + WIRE)
    assert world.network.clients[0].macs == {VIP.ip: 0}
    assert World(STORY).run() is None


# fmt: off
TAKEOVER = {  # what befalls n1 at AT: when n2 leads
    "stopped":        (fault(FaultKind.STOP),    AT + WIRE + SKEW_2),
    "pulse killed":   (fault(FaultKind.CRASH),   AT + EXECUTOR_US + WIRE + SKEW_2),
    "daemon killed":  (fault(FaultKind.KILL),    LAST + 300 * MS + WIRE + SKEW_2),
    "haproxy down":   (fault(FaultKind.HAPROXY), AT + WIRE + SKEW_2),
    "power lost":     (fault(FaultKind.POWER),   LAST + 300 * MS + WIRE + SKEW_2),
    "link down":      (fault(FaultKind.LINK),    LAST + 300 * MS + WIRE + SKEW_2),
    "paused":         (fault(FaultKind.PAUSE),   LAST + 300 * MS + WIRE + SKEW_2),
    "suspended":      (fault(FaultKind.FREEZE),  LAST + 300 * MS + WIRE + SKEW_2),
    "stalled":        (fault(FaultKind.STALL),   LAST + 300 * MS + WIRE + SKEW_2),
    "partition":      (fault(FaultKind.PARTITION, side=frozenset({0})), LAST + 300 * MS + WIRE + SKEW_2),
    "clock jumps":    (fault(FaultKind.JUMP, jump_us=S), AT + WIRE + SKEW_2),
}
# fmt: on


@pytest.mark.parametrize(("what", "at_us"), TAKEOVER.values(), ids=TAKEOVER)
def test_takeover(what: Fault, at_us: Micros) -> None:
    assert leads_at(story(what), "n2") == at_us
    assert World(story(what)).run() is None


def test_the_lifeline_tells_of_a_killed_daemon() -> None:
    told = replace(story(fault(FaultKind.KILL)), lifeline=1.0)
    assert AT < leads_at(told, "n2") <= AT + WIRE + 3 * MS + SKEW_2


def test_one_way_deafness_has_two_masters_until_it_ends() -> None:
    deaf = Fault(AT, FaultKind.DEAF, AT + S, side=frozenset({0}))  # what n1 says reaches nobody
    world = until(World(story(deaf)), AT + S)
    assert states(world) == [MASTER, MASTER]
    until(world, AT + S + 100 * MS + 2 * WIRE)
    assert states(world) == [MASTER, BACKUP]


def test_addresses_of_a_killed_daemon_stay_until_its_next_start() -> None:
    world = until(World(story(fault(FaultKind.KILL))), AT + S - 1)
    assert states(world) == [None, MASTER]
    assert holders(world) == ["n1", "n2"]
    until(world, AT + S)
    assert holders(world) == ["n2"]


def test_power_takes_the_addresses_and_the_clock_begins_anew() -> None:
    world = until(World(story(fault(FaultKind.POWER))), AT)
    assert holders(world) == []
    until(world, AT + S)
    assert world.nodes[0].clock_us == S  # since power went


def test_a_stalled_clock_stands_still_and_a_suspended_one_does_not() -> None:
    world = until(World(story(fault(FaultKind.STALL))), AT + S)
    assert world.nodes[0].clock_us == AT
    world = until(World(story(fault(FaultKind.FREEZE))), AT + S)
    assert world.nodes[0].clock_us == AT + S


def test_a_paused_pulse_reads_what_waited_for_it() -> None:
    world = until(World(story(fault(FaultKind.PAUSE, 200 * MS, node=1))), AT + 200 * MS)
    assert states(world) == [MASTER, BACKUP]
    member = world.nodes[1].router.members["vi1"] if world.nodes[1].router else None
    assert member is not None
    assert member.heard_at_us == world.nodes[1].clock_us  # handled when it woke, not when it came


def test_a_word_of_ops_about_an_older_haproxy_comes_too_late() -> None:
    world = until(World(story(fault(FaultKind.JUMP))), 1 * S)
    node = world.nodes[0]
    node.haproxy_ends(late_news_us=5 * MS)
    until(world, 1 * S + 6 * MS)
    assert states(world)[0] is FAULT
    assert not node.is_fit("vi1")
    node.haproxy_serves()
    until(world, 1 * S + 7 * MS)
    assert states(world)[0] is BACKUP


def test_a_reload_changes_the_order() -> None:
    first, second = PLANS
    swapped = tuple(
        replace(plan, routers=(replace(plan.routers[0], priority=priority),))
        for plan, priority in ((first, 100), (second, 200))
    )
    reloads = (Fault(AT, FaultKind.RELOAD, AT, 0), Fault(AT, FaultKind.RELOAD, AT, 1))
    told = replace(story(*reloads), reloaded=swapped)
    world = until(World(told), AT + 100 * MS)
    assert states(world) == [MASTER, BACKUP]
    until(world, AT + 500 * MS)
    assert states(world) == [BACKUP, MASTER]
    assert World(told).run() is None


def test_a_reload_of_a_dead_pulse_waits_for_its_start() -> None:
    world = until(World(STORY), LEADS - 1)
    node = world.nodes[0]
    node.stop()
    node.reload(replace(PLANS[0], routers=(replace(PLANS[0].routers[0], priority=77),)))
    assert node.plans["vi1"].priority == 254
    node.start()
    assert node.plans["vi1"].priority == 77


def test_a_node_that_never_comes_back() -> None:
    assert World(story(Fault(AT, FaultKind.POWER, None))).run() is None


def test_a_restart_of_a_suspended_host_waits_for_its_end() -> None:
    world = until(World(story(fault(FaultKind.JUMP))), 1 * S)
    node = world.nodes[0]
    node.crash(with_will=True)
    node.freeze(clock_stops=False)
    node.start()
    until(world, 2 * S)
    assert states(world)[0] is None
    assert holders(world) == ["n1", "n2"]  # the will waits too
    node.thaw()
    assert states(world)[0] is FAULT


def test_a_socket_has_an_end() -> None:
    world = until(World(STORY), 1 * S)
    node = world.nodes[1]
    node.pause()
    plan = PLANS[0].routers[0]
    pdu = encode(Advert(3, 7, 254, 100 * MS, (VIP.ip,)), plan.source, GROUP_IPV4)
    for _ in range(2 * SOCKET_PACKETS_MAX):
        node.receive(Parcel(Datagram("eth0", plan.source, GROUP_IPV4, 255, pdu), intact=False))
    node.resume()
    until(world, 1 * S + 50 * MS)
    assert node.router is not None
    assert node.router.members["vi1"].counters["address_list_errors"] == SOCKET_PACKETS_MAX


def dressed(**router: object) -> tuple[Plan, ...]:
    return tuple(replace(plan, routers=(replace(plan.routers[0], **router),)) for plan in PLANS)  # type: ignore[arg-type]


def test_a_weight_that_falls_off_lets_the_other_lead() -> None:
    track = (Track(HAPROXY_FACT), Track("check", -50))
    fact = Fault(AT, FaultKind.FACT, AT + 2 * S, 0, fact="check")
    starts = tuple(replace(start, facts=(("check", True),)) for start in STORY.starts)
    told = replace(story(fact), plans=dressed(track=track), starts=starts)
    world = until(World(told), AT + 1 * S)
    assert [node.priority("vi1") for node in world.nodes] == [204, 253]
    assert states(world) == [BACKUP, MASTER]
    until(world, AT + 4 * S)
    assert states(world) == [MASTER, BACKUP]
    assert World(told).run() is None


def test_one_of_two_ways_may_be_blocked() -> None:
    second: dict[Address, Address] = {STRONG: IPv4Address("198.51.100.11"), WEAK: IPv4Address("198.51.100.12")}
    plans = tuple(
        replace(plan, routers=(replace(one, paths=(PathPlan(one.transport, "eth1", second[one.source], (second[one.peers[0]],)),)),))
        for plan in PLANS
        for one in plan.routers
    )  # fmt: skip
    block = Fault(AT, FaultKind.WAY, AT + 3 * S, 0, fact="eth0")
    world = until(World(replace(story(block), plans=plans)), AT + 2 * S)
    assert states(world) == [MASTER, BACKUP]
    assert not world.network.is_open_on(0, 1, "eth0")
    assert world.network.is_open_on(0, 1, "eth1")
    member = world.nodes[1].router.members["vi1"] if world.nodes[1].router else None
    assert member is not None
    assert [path.address for path in member.silent_paths(world.nodes[1].clock_us)] == [STRONG]
    assert World(replace(story(block), plans=plans)).run() is None


def test_a_forger_moves_nobody_where_all_is_signed() -> None:
    hmac = HmacPlan((HmacKey(1, b"1" * 32),), 1)
    forger = Fault(AT, FaultKind.FORGE, AT + 2 * S, 0)
    told = replace(story(forger), plans=dressed(hmac=hmac))
    world = until(World(told), AT + 2 * S)
    assert states(world) == [MASTER, BACKUP]
    member = world.nodes[1].router.members["vi1"] if world.nodes[1].router else None
    assert member is not None
    assert member.counters["auth_ext_missing"] > 50
    assert member.counters["auth_ext_replay"] > 50
    assert World(told).run() is None


def test_a_clock_that_is_wrong_makes_two_masters() -> None:
    hmac = HmacPlan((HmacKey(1, b"1" * 32),), 1)
    starts = (STORY.starts[0], replace(STORY.starts[1], utc_skew_us=20 * S))
    told = replace(STORY, plans=dressed(hmac=hmac), starts=starts)
    assert states(until(World(told), 1 * S)) == [MASTER, MASTER]
    assert World(told).run() is None  # nobody can know better


def test_a_start_delay_is_borne() -> None:
    plans = tuple(replace(plan, start_delay_us=2 * S) for plan in PLANS)
    world = until(World(replace(story(), plans=plans)), 2 * S + LEADS - 1)
    assert states(world) == [BACKUP, BACKUP]
    assert states(until(world, 2 * S + LEADS)) == [MASTER, BACKUP]


def test_a_violation_ends_the_story() -> None:
    world = World(replace(STORY, plans=(PLANS[0], PLANS[0])))  # two nodes of one address: neither hears the other
    violation = world.run()
    assert violation is not None
    assert violation.what in set(Invariant)
    assert world.agenda.now_us == violation.at_us
