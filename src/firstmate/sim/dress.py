"""What stories from number 1000 on have beside election and faults: the earlier ones stay as they were.

Several virtual routers of both versions and families side by side, sync groups, weights, signatures and clocks, AH,
UDP, two ways to each peer, forms of checksum, and the smaller knobs of the plan.
"""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Any, TypeAlias

from firstmate.model.addresses import Address
from firstmate.model.plan import (
    Auth,
    ChecksumForm,
    GroupPlan,
    HmacKey,
    HmacMode,
    HmacPlan,
    PathPlan,
    Plan,
    Track,
    Transport,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import MS, S, Micros
from firstmate.sim import hearing
from firstmate.sim.schedule import Fault, FaultKind, Start

FIRST = 1_000
SECOND_NETWORK = int(IPv4Address("198.51.100.0"))
LINK_LOCAL, GLOBAL = int(IPv6Address("fe80::")), int(IPv6Address("2001:db8::"))
FACTS: tuple[tuple[str, bool | int], ...] = (("check", True), ("part", True), ("number", 0))
KEYS = (HmacKey(1, b"1" * 32), HmacKey(2, b"2" * 32))
FAST_US = 100 * MS  # beside routers of version 2 no faster ones: a story would have too many adverts

Column: TypeAlias = list[VrrpPlan]  # one virtual router as each node has it
Span: TypeAlias = tuple[Micros, Micros, Micros]  # start, length, interval


def plans(rng: Random, bare: tuple[Plan, ...]) -> tuple[Plan, ...]:
    columns: list[Column] = [[plan.routers[at] for plan in bare] for at in range(len(bare[0].routers))]
    hosts = [int(plan.me.address) & 0xFF for plan in bare]
    if rng.random() < 0.35:
        columns.append(_other_version(rng, columns[0]))
        columns = [[_not_so_fast(router) for router in column] for column in columns]
    if rng.random() < 0.35:
        columns.append(_other_family(rng, columns[0], hosts))
    groups: tuple[GroupPlan, ...] = ()
    weighs = rng.random() < 0.4
    if len(columns) > 1 and rng.random() < 0.5:
        columns = _agreed(columns)
        names = tuple(column[0].name for column in columns)
        groups = (GroupPlan("all", names, tracking_weight=weighs and rng.random() < 0.6),)
    if weighs:
        track = _tracks(rng)
        columns = [_with(column, track=column[0].track + track) for column in columns]
    if rng.random() < 0.3:  # only one of them depends on it
        columns[-1] = _with(columns[-1], track=(*columns[-1][0].track, Track("part")))
    columns = [_with(column, **_knobs(rng)) for column in columns]
    columns = _authenticated(rng, columns)
    if rng.random() < 0.4:
        columns = [_second_way(rng, column, hosts) if rng.random() < 0.8 else column for column in columns]
    columns = [_forms(rng, column, may_differ=not groups) for column in columns]
    delay_us = rng.choice((0, 0, 0, 0, 0, columns[0][0].advert_interval_us * rng.randint(1, 8)))
    return tuple(
        replace(
            plan,
            nodes=tuple(
                replace(
                    node,
                    address6=_link_local(int(node.address) & 0xFF),
                    more_addresses=(IPv4Address(SECOND_NETWORK + (int(node.address) & 0xFF)),),
                )
                for node in plan.nodes
            ),
            routers=tuple(column[at] for column in columns),
            groups=groups,
            start_delay_us=delay_us,
        )
        for at, plan in enumerate(bare)
    )


def starts(rng: Random, dressed: tuple[Plan, ...], bare: tuple[Start, ...]) -> tuple[Start, ...]:
    """Clocks that are a little wrong; in a few stories one is so wrong that nobody hears that node."""
    skews = [rng.randint(-300, 300) * MS for _ in bare]
    if rng.random() < 0.3 and any(router.hmac for router in dressed[0].routers):
        skews[rng.randrange(len(skews))] = rng.choice((-20, 20)) * S
    pairs = zip(bare, skews, strict=True)
    return tuple(replace(start, utc_skew_us=skew, facts=FACTS) for start, skew in pairs)


def faults(rng: Random, dressed: tuple[Plan, ...], span: Span) -> list[Fault]:
    """A few more than the story has anyway."""
    routers = dressed[0].routers
    names = {track.name for router in routers for track in router.track} & {name for name, _ in FACTS}
    found: list[Fault] = []
    for name in sorted(names):
        if rng.random() < 0.7:
            found += [_fact(rng, name, len(dressed), span) for _ in range(rng.randint(1, 3))]
    if any(router.paths for router in routers) and rng.random() < 0.7:
        found += blocked_way(rng, dressed, span)
    if is_sealed(dressed) and rng.random() < 0.5:
        at_us, until_us = _time(rng, span)
        found.append(Fault(at_us, FaultKind.FORGE, until_us, rng.randrange(len(dressed))))
    return found


def blocked_way(rng: Random, dressed: tuple[Plan, ...], span: Span) -> list[Fault]:
    """One of two ways, on some nodes."""
    way = rng.choice(("eth0", "eth1")) if all(router.paths for router in dressed[0].routers) else "eth1"
    found = []
    for node in rng.sample(range(len(dressed)), rng.randint(1, len(dressed))):
        at_us, until_us = _time(rng, span)
        found.append(Fault(at_us, FaultKind.WAY, until_us, node, fact=way))
    return found


def reloads(rng: Random, reloaded: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """Keys rotate: the next one is active, the one before is still heard."""
    mode = None if is_sealed(reloaded) else rng.choice((None, None, HmacMode.ENFORCE, HmacMode.PERMISSIVE))

    def rotated(router: VrrpPlan) -> VrrpPlan:
        if router.hmac is None:
            return router
        new = HmacPlan(router.hmac.keys, 2, mode or router.hmac.mode, router.hmac.window_us, router.hmac.monotonic)
        return replace(router, hmac=new)

    return tuple(replace(plan, routers=tuple(rotated(router) for router in plan.routers)) for plan in reloaded)


def _with(column: Column, **changes: Any) -> Column:
    return [replace(router, **changes) for router in column]


def _not_so_fast(router: VrrpPlan) -> VrrpPlan:
    return replace(router, advert_interval_us=max(router.advert_interval_us, FAST_US))


def _other_version(rng: Random, model: Column) -> Column:
    version = 5 - model[0].version
    interval_us = S if version == 2 else rng.choice((FAST_US, 2 * FAST_US, S))
    vips = (Vip(IPv4Address("192.0.2.240"), 24, "eth0"),)
    changes = {"name": "vi5", "vrid": model[0].vrid + 10, "version": version, "advert_interval_us": interval_us}
    column = _with(model, **changes, vips=vips, auth=Auth.NONE, auth_pass=b"", checksum=ChecksumForm.PSEUDO)
    priorities = [router.priority for router in model]
    rng.shuffle(priorities)
    return [replace(router, priority=priority) for router, priority in zip(column, priorities, strict=True)]


def _other_family(rng: Random, model: Column, hosts: list[int]) -> Column:
    """The same VRID in both families is two virtual routers."""
    interval_us = max(FAST_US, model[0].advert_interval_us)
    vips = (
        Vip(IPv6Address(LINK_LOCAL + 0x200), 64, "eth0"),
        Vip(IPv6Address(GLOBAL + 0x200), 64, "eth0"),
    )
    changes: dict[str, Any] = {"name": "vi6", "version": 3, "advert_interval_us": interval_us, "vips": vips}
    changes |= {"auth": Auth.NONE, "auth_pass": b"", "checksum": ChecksumForm.PSEUDO}
    changes["transport"] = rng.choice((Transport.UNICAST, Transport.MULTICAST))
    sources = [_link_local(host) for host in hosts]
    return [
        replace(router, source=source, peers=tuple(other for other in sources if other != source), **changes)
        for router, source in zip(model, sources, strict=True)
    ]


def _agreed(columns: list[Column]) -> list[Column]:
    """Members of a group that want different MASTERs would contend for ever."""
    model = columns[0]
    return [
        [
            replace(router, priority=like.priority, preempt=like.preempt, preempt_delay_us=like.preempt_delay_us)
            for router, like in zip(column, model, strict=True)
        ]
        for column in columns
    ]


def _tracks(rng: Random) -> tuple[Track, ...]:
    check = Track("check", rng.choice((-200, -50, -1, 1, 20, 100)), reverse=rng.random() < 0.2)
    number = Track("number", rng.choice((-3, -1, 1, 2)), reverse=rng.random() < 0.2)
    return rng.choice(((check,), (number,), (check, number)))


def _knobs(rng: Random) -> dict[str, Any]:
    return {
        "lower_prio_no_advert": rng.random() < 0.15,
        "higher_prio_send_advert": rng.random() < 0.8,
        "down_timer_adverts": rng.choice((3, 3, 3, 3, 2, 4, 5)),
    }


def _authenticated(rng: Random, columns: list[Column]) -> list[Column]:
    if rng.random() < 0.5:
        return [_with_hmac(rng, column) for column in columns]
    found = []
    for column in columns:
        has_ah = column[0].version == 2 and column[0].family == 4 and rng.random() < 0.6
        found.append(_with(column, auth=Auth.AH, auth_pass=b"secret") if has_ah else column)
    return found


def _with_hmac(rng: Random, column: Column) -> Column:
    monotonic, window_us = rng.random() < 0.15, rng.choice((2, 5)) * S
    modes = rng.choice(
        (
            (HmacMode.ENFORCE,),
            (HmacMode.ENFORCE,),
            (HmacMode.PERMISSIVE, HmacMode.RECEIVE_ONLY),
            (HmacMode.ENFORCE, HmacMode.PERMISSIVE),
            (HmacMode.ENFORCE, HmacMode.RECEIVE_ONLY),  # some do not hear the others
        )
    )
    signed = [
        replace(router, hmac=HmacPlan(KEYS, 1, rng.choice(modes), window_us, monotonic), auth=Auth.NONE, auth_pass=b"")
        for router in column
    ]
    if modes == (HmacMode.ENFORCE,) and rng.random() < 0.3:
        return _with(signed, transport=Transport.UDP)
    return signed


def _second_way(rng: Random, column: Column, hosts: list[int]) -> Column:
    family = column[0].family
    sources: list[Address] = [
        IPv4Address(SECOND_NETWORK + host) if family == 4 else IPv6Address(GLOBAL + 0x1000 + host) for host in hosts
    ]
    signed = column[0].hmac is not None and column[0].hmac.mode is HmacMode.ENFORCE
    enforced = signed and all(router.hmac is not None and router.hmac.mode is HmacMode.ENFORCE for router in column)
    transport = rng.choice((Transport.UNICAST, Transport.UDP)) if enforced else Transport.UNICAST
    by_address = {router.source: source for router, source in zip(column, sources, strict=True)}
    return [
        replace(
            router,
            paths=(PathPlan(transport, "eth1", by_address[router.source], tuple(by_address[p] for p in router.peers)),),
        )
        for router in column
    ]


def _forms(rng: Random, column: Column, *, may_differ: bool) -> Column:
    """One form on the wire; some nodes find out which, where everybody who is not heard speaks in the end."""
    if column[0].version != 3 or column[0].family != 4:
        return column
    form = rng.choice((ChecksumForm.PSEUDO, ChecksumForm.PLAIN, ChecksumForm.GROUP))
    modes = {router.hmac.mode if router.hmac else None for router in column}
    # In a group none leads alone, so who is not heard may never be told; by multicast GROUP is as PSEUDO.
    may_differ = may_differ and len(modes) == 1 and not (column[0].paths and form is ChecksumForm.GROUP)
    if not may_differ or rng.random() < 0.7:
        return _with(column, checksum=form)
    return [replace(router, checksum=rng.choice((form, ChecksumForm.AUTO))) for router in column]


def _fact(rng: Random, name: str, nodes: int, span: Span) -> Fault:
    at_us, until_us = _time(rng, span)
    value = rng.choice((-120, -20, -1, 1, 20, 120)) if name == "number" else None
    return Fault(at_us, FaultKind.FACT, until_us, rng.randrange(nodes), fact=name, value=value)


def _time(rng: Random, span: Span) -> tuple[Micros, Micros]:
    start_us, length_us, interval_us = span
    at_us = start_us + rng.randrange(length_us)
    return at_us, at_us + rng.randint(1, 120) * interval_us // 10


def _link_local(host: int) -> IPv6Address:
    return IPv6Address(LINK_LOCAL + host)


def is_sealed(dressed: tuple[Plan, ...]) -> bool:
    """Does nobody believe what is not signed, or was said before?"""
    return all(hearing.demands_freshness(router) for plan in dressed for router in plan.routers)
