"""The status document, made from a `World`. Pure: the wall clock is an argument, only to print.

Health: HEALTHY: every address is held by somebody, somebody else is ready, nothing is amiss.
DEGRADED: served, but a second failure would hurt. DOWN: an address without a MASTER.
"""

from datetime import UTC, datetime

from firstmate.model.messages import Oddity, PathView, PeerView, RouterState
from firstmate.model.plan import Node, VrrpPlan
from firstmate.model.status import HaproxyStatus, NodeStatus, OddityStatus, PathStatus, RouterStatus, Status
from firstmate.model.units import S, Micros, format_duration
from firstmate.policy.life import Absent, Serving
from firstmate.policy.trouble import is_silent, standby_faults, troubles
from firstmate.policy.view import addresses_of, fresh_peers, haproxy_text, in_words, lasting, node_name, servers_text
from firstmate.policy.world import RouterSeen, World

PULSE_NEVER_S = 1e6  # age of a snapshot that never came
SNAPSHOT_STALE_US: Micros = 2 * S  # pulse sends one a second: older ones mean that it is not well


def status(world: World, now_us: Micros, wall_us: Micros) -> Status:
    """What is to be said at monotonic `now_us`, which is `wall_us` microseconds after 1970 UTC."""
    shift_us = wall_us - now_us
    plans = {router.name: router for router in world.plan.routers}
    routers = tuple(_router(world, plans[seen.view.name], seen, now_us, shift_us) for seen in world.seen)
    nodes = tuple(_node(world, node, now_us) for node in world.plan.nodes)
    found = troubles(world, now_us)
    health = _health(world, nodes, degraded=bool(found))
    seen_us = world.snapshot.at_us if world.snapshot else None
    return Status(
        cluster=world.plan.cluster,
        node=world.plan.node,
        health=health,
        headline=_headline(world, nodes, now_us),
        as_of=_rfc3339(wall_us),
        pulse_age_s=_seconds(now_us - seen_us) if seen_us is not None else PULSE_NEVER_S,
        routers=routers,
        nodes=nodes,
        haproxy=_haproxy(world, shift_us),
        troubles=found,
        oddities=tuple(_oddity(world, odd, shift_us) for odd in world.snapshot.oddities) if world.snapshot else (),
    )


def _router(world: World, plan: VrrpPlan, seen: RouterSeen, now_us: Micros, shift_us: Micros) -> RouterStatus:
    view = seen.view
    return RouterStatus(
        name=view.name,
        vrid=view.vrid,
        state=world.states.get(view.name, view.state).value,
        priority=view.priority,
        master=_master(world, view.name),
        addresses=view.addresses,
        held=view.held,
        since=_rfc3339(view.since_us + shift_us),
        for_s=_seconds(now_us - view.since_us),
        reason=in_words(world, view.reason),
        takeover_s=_seconds(view.down_interval_us),
        counters=view.counters,
        advert_s=_seconds(plan.advert_interval_us),
        configured_priority=plan.priority,
        paths=tuple(_path(world, path, seen, now_us) for path in view.paths),
        oddities=tuple(_oddity(world, odd, shift_us) for odd in lasting(view.oddities)),
        moves_with=_moves_with(world, view.name),
    )


def _path(world: World, path: PathView, seen: RouterSeen, now_us: Micros) -> PathStatus:
    heard_us = path.heard_at_us
    return PathStatus(
        peer=node_name(world, path.peer),
        transport=path.transport,
        address=str(path.address),
        heard_age_s=None if heard_us is None else _seconds(_age_us(world, heard_us, seen, now_us)),
        silent=is_silent(world, path, seen),
    )


def _oddity(world: World, odd: Oddity, shift_us: Micros) -> OddityStatus:
    since, last = _rfc3339(odd.since_us + shift_us), _rfc3339(odd.last_us + shift_us)
    return OddityStatus(odd.code, in_words(world, odd.source), in_words(world, odd.text), since, last, odd.count)


def _moves_with(world: World, name: str) -> tuple[str, ...]:
    groups = [group for group in world.plan.groups if name in group.members]
    return tuple(other for group in groups for other in group.members if other != name)


def _node(world: World, node: Node, now_us: Micros) -> NodeStatus:
    if node.name == world.plan.node:
        names = [router.name for router in world.plan.routers if router.name in world.states]
        states = {name: world.states[name].value for name in names}
        return NodeStatus(
            name=node.name,
            address=str(node.address),
            this=True,
            reachable=True,
            states=states,
            priorities={seen.view.name: seen.view.priority for seen in world.seen},
            heartbeat_age_s=None,
            haproxy=haproxy_text(world),
            servers=servers_text(world),
            config=world.plan.digest,
            ready=_ready(states, standby_faults(world, now_us)),
        )
    peer = next((peer for peer in fresh_peers(world, now_us) if peer.address == node.address), None)
    heard = _heartbeat_age_us(world, node, now_us)
    if peer is None:
        return _silent_node(world, node, heard)
    states = dict(peer.states or {})
    return NodeStatus(
        name=node.name,
        address=str(node.address),
        this=False,
        reachable=True,
        states=states,
        priorities=dict(peer.priorities or {}),
        heartbeat_age_s=None if heard is None else _seconds(heard),
        haproxy=peer.haproxy or "?",
        servers=peer.servers or "?",
        config=peer.config,
        ready=_ready(states, _peer_faults(world, peer)),
    )


def _silent_node(world: World, node: Node, heard_us: Micros | None) -> NodeStatus:
    """A peer that does not tell us of itself (keepalived never does): adverts are all we know of it."""
    leads = {name: RouterState.MASTER.value for name, master in world.masters.items() if master.node == node.name}
    priorities = {
        seen.view.name: seen.view.master_priority
        for seen in world.seen
        if seen.view.name in leads and seen.view.master_priority is not None
    }
    age = None if heard_us is None else _seconds(heard_us)
    ready = "-" if leads else "no: silent"
    return NodeStatus(node.name, str(node.address), False, False, leads, priorities, age, "?", "?", "?", ready)  # noqa: FBT003


def _heartbeat_age_us(world: World, node: Node, now_us: Micros) -> Micros | None:
    ages = [
        _age_us(world, seen.view.heard_at_us, seen, now_us)
        for seen in world.seen
        if seen.view.master in addresses_of(node) and seen.view.heard_at_us is not None
    ]
    return max(0, min(ages)) if ages else None


def _age_us(world: World, heard_us: Micros, seen: RouterSeen, now_us: Micros) -> Micros:
    """As old as it was when pulse told us: that is once a second at most, and adverts come far more often."""
    silence_us = now_us - world.snapshot.at_us if world.snapshot else 0
    return seen.at_us - heard_us + (silence_us if silence_us >= SNAPSHOT_STALE_US else 0)


def _peer_faults(world: World, peer: PeerView) -> list[str]:
    faults = []
    if peer.haproxy.startswith("down"):
        faults.append("HAProxy down")
    elif peer.haproxy.startswith("starting"):
        faults.append("HAProxy starting")
    if peer.config and world.plan.digest and peer.config != world.plan.digest:
        faults.append("other configuration")
    return faults


def _ready(states: dict[str, str], faults: list[str]) -> str:
    """Could this node take over now: "yes", "-" (it leads already), "no: why"."""
    if states and all(state == RouterState.MASTER.value for state in states.values()):
        return "-"
    unfit = [state for state in states.values() if state in {RouterState.FAULT.value, RouterState.INIT.value}]
    if unfit or faults or not states:
        return "no: " + (faults[0] if faults else unfit[0] if unfit else "says nothing yet")
    return "yes"


def _health(world: World, nodes: tuple[NodeStatus, ...], *, degraded: bool) -> str:
    names = [router.name for router in world.plan.routers]
    if any(not _master(world, name) for name in names):
        return "DOWN"
    standby = len(nodes) < 2 or any(node.ready == "yes" for node in nodes) or _leads_shared(nodes)
    return "HEALTHY" if standby and not degraded else "DEGRADED"


def _leads_shared(nodes: tuple[NodeStatus, ...]) -> bool:
    """Several nodes lead something each, so each stands by for the others."""
    return sum(RouterState.MASTER.value in node.states.values() for node in nodes) > 1


def _headline(world: World, nodes: tuple[NodeStatus, ...], now_us: Micros) -> str:
    parts = [_who_leads(world, now_us)]
    ready = [node.name for node in nodes if node.ready == "yes"]
    if len(nodes) > 1:
        others = [node.name for node in nodes if node.ready not in {"yes", "-"}]
        if ready:
            parts.append(f"standby ready: {', '.join(ready)}")
        elif others:
            parts.append(f"standby ready: none ({', '.join(others)})")
    takeover_us = _takeover_us(world, nodes)
    if ready and takeover_us is not None:
        parts.append(f"takeover about {takeover_us / S:.1f} s")
    elif len(nodes) > 1 and not ready and not _leads_shared(nodes):
        parts.append("a second failure means an outage")
    if any(not node.reachable for node in nodes):
        parts.append(f"seen from {world.plan.node} only")
    return "   ".join(parts)


def _who_leads(world: World, now_us: Micros) -> str:
    names = [router.name for router in world.plan.routers]
    if not names:
        return "no virtual router in this configuration"
    masters = {name: _master(world, name) for name in names}
    missing = [name for name in names if not masters[name]]
    if missing:
        return f"no MASTER is known for {', '.join(missing)}"
    if len(set(masters.values())) == 1:
        since = max(world.masters[name].since_us for name in names)
        return f"{masters[names[0]]} is MASTER for {format_duration(max(0, now_us - since))}"
    return ", ".join(f"{name} on {node}" for name, node in masters.items())


def _takeover_us(world: World, nodes: tuple[NodeStatus, ...]) -> Micros | None:
    """How long until the best ready standby leads, when the MASTER falls silent (Master_Down_Interval)."""
    times = [
        _down_interval_us(router, node.priorities[router.name])
        for router in world.plan.routers
        for node in nodes
        if node.ready == "yes" and node.priorities.get(router.name)
    ]
    return min(times, default=None)


def _down_interval_us(router: VrrpPlan, priority: int) -> Micros:
    """Master_Down_Interval of a router with this priority (RFC 9568, 6.1; version 2: RFC 3768, 6.1)."""
    skew_of_us = S if router.version == 2 else router.advert_interval_us
    return 3 * router.advert_interval_us + (256 - priority) * skew_of_us // 256


def _master(world: World, router: str) -> str:
    master = world.masters.get(router)
    return master.node if master else ""


def _haproxy(world: World, shift_us: Micros) -> HaproxyStatus | None:
    if world.plan.haproxy is None:
        return None
    life = world.life
    version = world.config.version if world.config else ""
    return HaproxyStatus(
        up=isinstance(life, Serving),
        version=life.version if isinstance(life, Serving) else version,
        pid=None if isinstance(life, Absent) else life.pid or None,
        since=_rfc3339(life.since_us + shift_us),
        restarts=world.restarts,
        servers_up=world.servers_up,
        servers_total=len(world.servers),
        why="" if isinstance(life, Serving) else getattr(life, "why", ""),
    )


def _rfc3339(wall_us: Micros) -> str:
    moment = datetime.fromtimestamp(wall_us // S, UTC).replace(microsecond=wall_us % S)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(duration_us: Micros) -> float:
    return round(max(0, duration_us) / S, 3)
