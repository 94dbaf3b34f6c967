"""What is amiss, worst first: each one sentence, with the command that helps where there is one."""

from firstmate.model.messages import PathView
from firstmate.model.units import S, Micros, format_duration
from firstmate.policy.fitness import against
from firstmate.policy.life import Absent, Hung, Killing, Serving, Silent, Starting
from firstmate.policy.view import (
    PATH_SILENT,
    TWO_MASTERS,
    fresh_peers,
    in_words,
    lasting,
    node_name,
    oddities,
    peer_masters,
)
from firstmate.policy.world import RouterSeen, World

PULSE_OLD_US: Micros = 3 * S  # pulse tells of itself each second
NOTICE_SHOWN_US: Micros = 60 * S
TROUBLES_MAX = 20


def troubles(world: World, now_us: Micros) -> tuple[str, ...]:
    """At most `TROUBLES_MAX` sentences; the last then says how many more there are."""
    found = [
        *_routers(world, now_us),
        *_oddities(world),
        *_paths(world),
        *_pulse(world, now_us),
        *_config(world),
        *_haproxy(world, now_us),
        *_checks(world),
        *_servers(world),
        *_peers(world, now_us),
    ]
    found += [text for text in _notices(world, now_us) if not any(text in said or said in text for said in found)]
    if len(found) > TROUBLES_MAX:
        more = len(found) - TROUBLES_MAX + 1
        found = [*found[: TROUBLES_MAX - 1], f"and {more} more: `firstmate status -o json` has all servers and nodes"]
    return tuple(found)


def standby_faults(world: World, now_us: Micros) -> list[str]:
    """Why this node could not take over now, in two or three words each."""
    faults = []
    if world.plan.haproxy is not None and not isinstance(world.life, Serving):
        faults.append("HAProxy starting" if isinstance(world.life, Starting) else "HAProxy down")
    faults += [why.partition(": ")[0].replace('"', "") for _, unfit, why in against(world) if unfit]
    if world.snapshot is None or now_us - world.snapshot.at_us > PULSE_OLD_US:
        faults.append("pulse is silent")
    return faults


def _routers(world: World, now_us: Micros) -> list[str]:
    found = []
    for router in world.plan.routers:
        master = world.masters.get(router.name)
        if world.snapshot is not None and (master is None or not master.node):
            found.append(f"{router.name}: nobody is MASTER as seen from {world.plan.node}: the address is not served")
        claims = peer_masters(world, router.name, now_us)
        seen = world.routers.get(router.name)
        said = seen is not None and any(odd.code == TWO_MASTERS for odd in lasting(seen.view.oddities))
        if master is not None and master.node == world.plan.node and claims and not said:
            both = ", ".join([world.plan.node, *claims])
            found.append(f"{router.name}: more than one node is MASTER ({both}): they do not hear each other's adverts")
        if seen is not None and seen.view.state.value == "MASTER" and not seen.view.held:
            found.append(f"{router.name}: {world.plan.node} is MASTER, but its addresses are not on the interface")
    return found


def _oddities(world: World) -> list[str]:
    said = [(router, in_words(world, odd.text)) for router, odd in oddities(world)]
    return [f"{router}: {text}" if router and not text.startswith(f"{router}: ") else text for router, text in said]


def _paths(world: World) -> list[str]:
    """A path that is silent while another is heard; when all are, the peer is not heard at all: said elsewhere."""
    found = []
    for seen in world.seen:
        if len(seen.view.paths) < 2 or any(odd.code == PATH_SILENT for odd in seen.view.oddities):
            continue  # nothing to compare, or said there
        for path in seen.view.paths:
            ways = [other for other in seen.view.paths if other.peer == path.peer]
            if is_silent(world, path, seen) and not all(is_silent(world, other, seen) for other in ways):
                peer, way = node_name(world, path.peer), f"{path.transport} from {path.address}"
                found.append(f"{seen.view.name}: {peer} is not heard by {way}; another path is well")
    return found


def is_silent(world: World, path: PathView, seen: RouterSeen) -> bool:
    """The peer is MASTER, so it should have been heard by this path when pulse took this view."""
    if path.heard_at_us is not None and seen.at_us - path.heard_at_us <= seen.view.down_interval_us:
        return False
    master = world.masters.get(seen.view.name)
    return master is not None and master.node != world.plan.node and master.node == node_name(world, path.peer)


def _pulse(world: World, now_us: Micros) -> list[str]:
    if world.snapshot is None:
        return ["pulse has not said anything yet: the states of the virtual routers are not known"]
    age_us = now_us - world.snapshot.at_us
    if age_us > PULSE_OLD_US:
        return [f"pulse has been silent for {format_duration(age_us)}: what is said of the virtual routers is that old"]
    return []


def _config(world: World) -> list[str]:
    help_text = f"firstmate check {world.plan.source}".strip()
    kept = " (HAProxy goes on with the one before)" if not isinstance(world.life, Absent) else ""
    return [f"{_place(problem.file, problem.line)}{problem.text}{kept}   {help_text}" for problem in world.problems]


def _place(file: str, line: int) -> str:
    return f"{file}:{line}: " if file and line else ""


def _haproxy(world: World, now_us: Micros) -> list[str]:
    if world.plan.haproxy is None or (world.problems and isinstance(world.life, Absent)):
        return []  # said already
    node, since = world.plan.node, format_duration(max(0, now_us - world.life.since_us))
    match world.life:
        case Absent(why=why, generation=generation) if generation:
            return [f"{node} cannot serve: {why}, {since} ago"]
        case Absent(why=why):
            return [f"{node} cannot serve: HAProxy is {why}"]
        case Hung(why=why) | Killing(why=why):
            return [f"{node} cannot serve: {why}; it is killed and started again"]
        case Silent(why=why):
            return [f"{node} cannot serve: {why}, since {since}; it is not firstmate's to restart"]
        case Starting(why=why):
            return [f"{node} cannot serve yet: HAProxy is {why} ({since})"]
        case Serving():
            return []


def _checks(world: World) -> list[str]:
    return [f"{world.plan.node} {'is unfit' if unfit else 'is weaker'}: {why}" for _, unfit, why in against(world)]


def _servers(world: World) -> list[str]:
    return [
        f"{server.service}/{server.server} is {server.status}" + (f": {server.why}" if server.why else "")
        for server in world.servers
        if not server.up
    ]


def _peers(world: World, now_us: Micros) -> list[str]:
    found = []
    fresh = {peer.address: peer for peer in fresh_peers(world, now_us)}
    known = {peer.address: peer for peer in world.snapshot.peers} if world.snapshot else {}
    for node in world.plan.nodes:
        if node.name == world.plan.node or node.address not in known:
            continue
        peer = fresh.get(node.address)
        if peer is None:
            spoke_us = known[node.address].at_us
            ago = f"for {format_duration(now_us - spoke_us)}" if spoke_us else "since we began"
            found.append(f"{node.name} has told nothing of itself {ago}   run `firstmate status` there")
        elif peer.config and world.plan.digest and peer.config != world.plan.digest:
            found.append(
                f"{node_name(world, node.address)} runs another configuration ({peer.config[:6]}, here "
                f"{world.plan.digest[:6]})   run `firstmate check` on both"
            )
    return found


def _notices(world: World, now_us: Micros) -> list[str]:
    """Of what is odd on the wire, pulse also says how long it goes on: that is shown instead."""
    news = [notice for notice in world.notices if notice.code not in world.odd_codes]
    recent = [in_words(world, notice.text) for notice in news if now_us - notice.at_us <= NOTICE_SHOWN_US]
    return list(dict.fromkeys(recent))
