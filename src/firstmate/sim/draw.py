"""A seed to a schedule: which nodes, which weather, which faults."""

from dataclasses import replace
from ipaddress import IPv4Address
from random import Random
from typing import Any

from firstmate.model.plan import OWNER, Auth, ChecksumForm, Node, Plan, Transport, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.sim import dress, standing
from firstmate.sim.schedule import Fault, FaultKind, Schedule, Start, Weather

NODES_MAX = 5
INTERVALS_V3_US = tuple(ms * MS for ms in (10, 20, 50, 100, 200, 500, 1000))
INTERVALS_V2_US = (1 * S, 2 * S)
NETWORK = int(IPv4Address("192.0.2.0"))
RELOADS_EVERY, RELOADS_AT = 8, 5  # which stories have a reload: those seeds with this remainder
RESTART_US_MIN: Micros = 5 * MS  # nobody starts a process in less
CLOCK_US_MAX: Micros = 10**12  # eleven days of uptime

ENDS = (FaultKind.CRASH, FaultKind.KILL, FaultKind.STOP, FaultKind.POWER)
FOREVER = (FaultKind.STOP, FaultKind.POWER)

DRESSED = (FaultKind.FACT, FaultKind.WAY, FaultKind.FORGE)  # what only dressed stories have
FAULTS = tuple(kind for kind in FaultKind if kind not in (FaultKind.RELOAD, *DRESSED))

# What a story is about: its title, how often, the faults to choose from, at most how many.
STORIES: tuple[tuple[str, int, tuple[FaultKind, ...], int], ...] = (
    ("calm", 15, (), 0),
    ("restarts", 15, ENDS, 6),
    ("partitions", 20, (FaultKind.PARTITION, FaultKind.PARTITION, FaultKind.DEAF, FaultKind.LINK), 6),
    ("pauses", 15, (FaultKind.PAUSE, FaultKind.FREEZE, FaultKind.STALL, FaultKind.JUMP), 6),
    ("one fault", 10, FAULTS, 1),
    ("everything", 25, FAULTS, 12),
)


def schedule(seed: int, nodes: int | None = None) -> Schedule:
    """The story of a seed; `nodes`: exactly so many, 2..5; None: as the seed wills."""
    rng = Random(f"schedule {seed}")
    count = nodes or rng.choices((2, 3, 4, 5), (45, 30, 15, 10))[0]
    title, _, kinds, faults_max = rng.choices(STORIES, [story[1] for story in STORIES])[0]
    plans = _plans(rng, count)
    has_dress = seed >= dress.FIRST
    look = Random(f"dress {seed}")
    if has_dress:
        plans = dress.plans(look, plans)
    interval_us = max(router.advert_interval_us for plan in plans for router in plan.routers)
    fastest_us = min(router.advert_interval_us for plan in plans for router in plan.routers)
    gust_us = fastest_us if has_dress else interval_us  # what is late by more than this is a pause, not weather
    clear = _clear(rng, gust_us)
    weather = clear if not kinds or rng.random() < 0.4 else _windy(rng, gust_us, clear)
    starts = _starts(rng, count, interval_us)
    if has_dress:
        starts = dress.starts(look, plans, starts)
    delay_us = plans[0].start_delay_us
    begin_us = max(start.at_us + max(start.fact_after_us, delay_us) for start in starts)
    clients = rng.choice((1, 1, 2, 3))
    faults: list[Fault] = []
    if kinds:
        start_us = begin_us + (4 * interval_us if rng.random() < 0.8 else 0)
        length_us = (rng.randint(4, 20) if has_dress else rng.randint(8, 40)) * interval_us
        places = count + clients
        faults = [
            _fault(rng, rng.choice(kinds), count, places, (start_us, length_us, interval_us))
            for _ in range(rng.randint(1, faults_max))
        ]
        faults = _lose_some(rng, faults)
        if has_dress:
            faults += dress.faults(look, plans, (start_us, length_us, interval_us))
    if has_dress and not kinds and look.random() < 0.5 and all(router.paths for router in plans[0].routers):
        title, faults = "a blocked way", dress.blocked_way(look, plans, (begin_us, 30 * interval_us, interval_us))
    fact_us = max(max(start.fact_after_us, delay_us) for start in starts)
    heal_us = max([begin_us, *(fault.until_us or fault.at_us for fault in faults)]) + fact_us + 1
    told = Schedule(
        seed=seed,
        title=title,
        plans=plans,
        starts=starts,
        clients=clients,
        resolve_us=rng.choice((2, 5, 20)) * interval_us,
        lifeline=rng.choice((0.0, 0.8, 1.0)),
        weather=weather,
        clear=clear,
        calm=_bearable(rng, plans, clear),
        faults=tuple(sorted(faults, key=lambda fault: fault.at_us)),
        heal_us=heal_us,
        calm_us=rng.choice((8, 8, 20) if has_dress else (12, 12, 30)) * interval_us,
    )
    if seed % RELOADS_EVERY != RELOADS_AT:
        return told
    told = _with_reload(told)
    return replace(told, reloaded=dress.reloads(look, told.reloaded)) if has_dress else told


def _plans(rng: Random, count: int) -> tuple[Plan, ...]:
    addresses = [IPv4Address(NETWORK + 10 + last) for last in rng.sample(range(40), count)]
    nodes = tuple(Node(f"n{at + 1}", address) for at, address in enumerate(addresses))
    site = _routers(rng, count)
    routers: list[tuple[VrrpPlan, ...]] = []
    for at, address in enumerate(addresses):
        peers = tuple(other for other in addresses if other != address)
        routers.append(tuple(_router(options, priorities[at], address, peers) for options, priorities in site))
    if rng.random() < 0.1 and routers[0][0].version == 3:
        routers = [tuple(_with_interval(rng, router) for router in own) for own in routers]
    return tuple(
        Plan(cluster="sim", node=node.name, nodes=nodes, routers=own) for node, own in zip(nodes, routers, strict=True)
    )


def _routers(rng: Random, count: int) -> list[tuple[VrrpPlan, tuple[int, ...]]]:
    """One or two virtual routers as all nodes have them, and the priority of each node."""
    version = rng.choice((3, 3, 3, 2))
    interval_us = rng.choice(INTERVALS_V3_US if version == 3 else INTERVALS_V2_US)
    long = rng.randint(15, 50)
    has_password = version == 2 and rng.random() < 0.5
    options = VrrpPlan(
        name="vi1",
        vrid=rng.randint(1, 200),
        version=version,
        priority=1,
        advert_interval_us=interval_us,
        interface="eth0",
        source=IPv4Address(NETWORK),
        vips=_vips(rng, 200),
        transport=rng.choice((Transport.UNICAST, Transport.MULTICAST)),
        preempt=rng.random() < 0.7,
        preempt_delay_us=rng.choice((0, 0, rng.randint(1, 5), long)) * interval_us,
        checksum=rng.choice((ChecksumForm.PSEUDO, ChecksumForm.PLAIN)) if version == 3 else ChecksumForm.PSEUDO,
        auth=Auth.PASS if has_password else Auth.NONE,
        auth_pass=b"secret" if has_password else b"",
        garp_repeat=rng.randint(1, 5),
        garp_delay_us=rng.choice((0, rng.randint(1, 20) * interval_us, 5 * S)),
        garp_refresh_us=rng.choice((0, rng.randint(5, 30) * interval_us, 10 * S)),
    )
    priorities = _priorities(rng, count)
    if rng.random() < 0.75:
        return [(options, priorities)]
    second = replace(options, name="vi2", vrid=options.vrid + 1, vips=_vips(rng, 220))
    return [(options, priorities), (second, tuple(reversed(priorities)))]


def _with_reload(told: Schedule) -> Schedule:
    """Every node gets a new plan, one after the other, in the midst of everything else."""
    rng = Random(f"reload {told.seed}")
    changes = [_change(rng, told.plans, at) for at in range(len(told.plans[0].routers))]
    if told.plans[0].groups:  # those of a group must agree
        priorities, first = changes[0]
        shared = {name: value for name, value in first.items() if name.startswith("preempt")}
        changes = [
            (priorities, {name: value for name, value in more.items() if not name.startswith("preempt")} | shared)
            for _, more in changes
        ]
    plans = []
    for place, plan in enumerate(told.plans):
        pairs = zip(plan.routers, changes, strict=True)
        routers = (replace(router, priority=priorities[place], **more) for router, (priorities, more) in pairs)
        plans.append(replace(plan, routers=tuple(routers)))
    interval_us = told.plans[0].routers[0].advert_interval_us
    at_us = rng.randint(max(start.at_us for start in told.starts), told.heal_us)
    times = [at_us + rng.randint(0, rng.choice((1, 40))) * interval_us // 10 for _ in plans]
    reloads = [Fault(time_us, FaultKind.RELOAD, time_us, place) for place, time_us in enumerate(times)]
    return replace(
        told,
        reloaded=tuple(plans),
        calm=_bearable(rng, (*told.plans, *plans), told.clear),
        faults=tuple(sorted((*told.faults, *reloads), key=lambda fault: fault.at_us)),
        heal_us=max(told.heal_us, *(time_us + 1 for time_us in times)),
    )


def _change(rng: Random, plans: tuple[Plan, ...], router: int) -> tuple[tuple[int, ...], dict[str, Any]]:
    """New priorities by node, and what else is new for one virtual router on all of them."""
    before = plans[0].routers[router]
    priorities = tuple(plan.routers[router].priority for plan in plans)
    if rng.random() < 0.7:
        priorities = _priorities(rng, len(plans))
    more: dict[str, Any] = {}
    if rng.random() < 0.3:
        more["preempt"] = not before.preempt
    if rng.random() < 0.3:
        more["preempt_delay_us"] = rng.choice((0, 2, 20)) * before.advert_interval_us
    if rng.random() < 0.3 and before.version == 3:
        more["advert_interval_us"] = 2 * before.advert_interval_us
    if rng.random() < 0.4 and before.family == 4:
        first = int(before.vips[0].ip) - NETWORK
        more["vips"] = rng.choice((before.vips[:1], _vips(rng, first + rng.randint(0, 3))))
    return priorities, more


def _vips(rng: Random, first: int) -> tuple[Vip, ...]:
    return tuple(Vip(IPv4Address(NETWORK + first + at), 24, "eth0") for at in range(rng.choice((1, 1, 2, 3))))


def _priorities(rng: Random, count: int) -> tuple[int, ...]:
    match rng.choice(("prefer", "prefer", "prefer", "any", "equal", "few", "owner")):
        case "prefer":
            found = [254 - at for at in range(count)]
        case "any":
            found = rng.sample(range(1, 255), count)
        case "equal":
            found = [rng.choice((1, 100, 254))] * count
        case "few":
            found = [rng.choice((100, 150)) for _ in range(count)]
        case _:
            found = [OWNER, *rng.sample(range(1, 255), count - 1)]
    rng.shuffle(found)
    return tuple(found)


def _router(options: VrrpPlan, priority: int, source: IPv4Address, peers: tuple[IPv4Address, ...]) -> VrrpPlan:
    return replace(options, priority=priority, source=source, peers=peers)


def _with_interval(rng: Random, router: VrrpPlan) -> VrrpPlan:
    """Version 3 lets nodes differ: a BACKUP learns the MASTER's interval."""
    return replace(router, advert_interval_us=router.advert_interval_us * rng.choice((1, 1, 2, 3)))


def _starts(rng: Random, count: int, interval_us: Micros) -> tuple[Start, ...]:
    spread_us = rng.choice((0, interval_us // 10, 2 * interval_us, 12 * interval_us))
    return tuple(
        Start(
            at_us=rng.randint(0, spread_us),
            fact_after_us=rng.randint(0, 2 * interval_us),
            clock_us=rng.choice((0, rng.randrange(CLOCK_US_MAX))),
        )
        for _ in range(count)
    )


def _clear(rng: Random, interval_us: Micros) -> Weather:
    least_us = rng.randint(20, 200)
    return Weather((least_us, least_us + rng.randint(0, interval_us // 20)), rng.randint(20, interval_us // 20))


def _windy(rng: Random, interval_us: Micros, clear: Weather) -> Weather:
    return Weather(
        delay_us=(clear.delay_us[0], clear.delay_us[1] + rng.randint(0, interval_us // 4)),
        lateness_us=clear.lateness_us + rng.randint(0, interval_us // 4),
        loss=rng.choice((0.0, 0.02, 0.1, 0.3)),
        duplication=rng.choice((0.0, 0.02, 0.2)),
        corruption=rng.choice((0.0, 0.0, 0.02)),
        reordering=rng.choice((0.0, 0.02, 0.2)),
        straggle_us=rng.randint(1, interval_us // 2),
    )


def _bearable(rng: Random, plans: tuple[Plan, ...], clear: Weather) -> Weather:
    """Losses that nobody may act upon: two in a row where the skew is longer than all jitter, else one."""
    routers = [router for plan in plans for router in plan.routers]
    skew_us = min((256 - standing.highest(router)) * router.advert_interval_us // 256 for router in routers)
    jitter_us = clear.delay_us[1] - clear.delay_us[0] + 2 * clear.lateness_us
    loss = rng.choice((0.0, 0.1, 0.4))
    most = min(router.down_timer_adverts for router in routers) - (1 if jitter_us < skew_us else 2)
    return replace(clear, loss=loss if most else 0.0, losses_in_a_row_max=max(most, 1))


def _fault(rng: Random, kind: FaultKind, nodes: int, places: int, span: tuple[Micros, Micros, Micros]) -> Fault:
    start_us, length_us, interval_us = span
    at_us = start_us + rng.randrange(length_us)
    tenths = rng.choice((rng.randint(1, 20), rng.randint(20, 80), rng.randint(80, 200)))
    until_us = at_us + max(RESTART_US_MIN, tenths * interval_us // 10)
    if kind in (FaultKind.PARTITION, FaultKind.DEAF):
        side = frozenset(rng.sample(range(places), rng.randint(1, places - 1)))
        return Fault(at_us, kind, until_us, side=side)
    node = rng.randrange(nodes)
    if kind is FaultKind.JUMP:
        return Fault(at_us, kind, at_us, node, jump_us=rng.choice((1, 25, 200)) * interval_us)
    return Fault(at_us, kind, until_us, node)


def _lose_some(rng: Random, faults: list[Fault]) -> list[Fault]:
    """Now and then a node never comes back: what else would befall it is left out."""
    if rng.random() >= 0.2:
        return faults
    lost = next((fault for fault in faults if fault.kind in FOREVER), None)
    if lost is None:
        return faults
    others = [fault for fault in faults if fault.node != lost.node or fault.side]
    return [*others, replace(lost, until_us=None)]
