"""Short answers about a `World`, used by `decide` and by the status document."""

import re

from firstmate.model.addresses import Address
from firstmate.model.messages import Oddity, PeerView, RouterState
from firstmate.model.plan import Node
from firstmate.model.units import S, Micros
from firstmate.policy.life import Absent, Hung, Killing, Serving, Silent, Starting
from firstmate.policy.world import RouterSeen, World

PEER_FRESH_US: Micros = 3 * S  # a peer speaks once a second

TWO_MASTERS, PATH_SILENT = "two-masters", "path-silent"  # codes of pulse's oddities

_BOUNDS = {4: (r"(?<![\d.])", r"(?![\d.]*\d)"), 6: (r"(?<![\da-f:])", r"(?!:*[\da-f])")}  # of a whole address
# A fact that is named twice, as in "haproxy: HAProxy hangs".
_FACT_TWICE = re.compile(r"^(\S+): ((?:(?:check|process check|file) \")?\1\b)", re.IGNORECASE)


def haproxy_text(world: World) -> str:
    """What we tell peers and people of our HAProxy: "2.6.12 up", "down: killed by signal 9"."""
    if world.plan.haproxy is None:
        return "none"
    match world.life:
        case Serving(version=version):
            return f"{version} up"
        case Starting(why=why):
            return f"starting: {why}" if why != "starting" else "starting"
        case Hung() | Killing():
            return "down: hangs"
        case Absent(why=why) | Silent(why=why):
            return f"down: {why.removeprefix('HAProxy ')}"


def servers_text(world: World) -> str:
    """Servers up of all, "4/5"; "?": HAProxy does not say."""
    if not isinstance(world.life, Serving) or not world.servers:
        return "?"
    return f"{world.servers_up}/{len(world.servers)}"


def addresses_of(node: Node) -> tuple[Address, ...]:
    """Each by which it may be known."""
    return (node.address, *((node.address6,) if node.address6 else ()), *node.more_addresses)


def node_name(world: World, address: object) -> str:
    """The name of the node with this address; the address itself when it is no node's."""
    return next((node.name for node in world.plan.nodes if address in addresses_of(node)), str(address))


def in_words(world: World, reason: str) -> str:
    """A reason of pulse's for people: nodes by their names, and no fact named twice.

    A further address of a node stays beside its name: it tells which path is meant.
    """
    for node in world.plan.nodes:
        for address in addresses_of(node):
            if str(address) in reason:
                before, after = _BOUNDS[address.version]
                name = f"{node.name} ({address})" if address in node.more_addresses else node.name
                reason = re.sub(before + re.escape(str(address)) + after, name, reason)
    return _FACT_TWICE.sub(r"\2", reason)


def fresh_peers(world: World, now_us: Micros) -> list[PeerView]:
    """The peers that told of themselves within `PEER_FRESH_US`."""
    snapshot = world.snapshot
    if snapshot is None:
        return []
    return [
        peer
        for peer in snapshot.peers
        if peer.connected and peer.states is not None and now_us - peer.at_us <= PEER_FRESH_US
    ]


def peer_masters(world: World, router: str, now_us: Micros) -> list[str]:
    """The peers that say of themselves that they are MASTER of this virtual router."""
    return [
        peer.node or node_name(world, peer.address)
        for peer in fresh_peers(world, now_us)
        if (peer.states or {}).get(router) == RouterState.MASTER.value
    ]


def master_of(world: World, seen: RouterSeen, now_us: Micros) -> str:
    """Who is MASTER: this node, a peer that says so, or whose adverts were fresh then; "": nobody known."""
    router = seen.view
    if world.states.get(router.name, router.state) is RouterState.MASTER:
        return world.plan.node
    says = peer_masters(world, router.name, now_us)
    if says:
        return says[0]
    heard = router.heard_at_us
    if router.master is None or heard is None or seen.at_us - heard > router.down_interval_us + S:
        return ""
    return node_name(world, router.master)


def oddities(world: World) -> list[tuple[str, Oddity]]:
    """What is wrong on the wire now, with the name of the virtual router; "": of none."""
    general = world.snapshot.oddities if world.snapshot else ()
    found = [(seen.view.name, odd) for seen in world.seen for odd in lasting(seen.view.oddities)]
    return found + [("", odd) for odd in general]


def lasting(found: tuple[Oddity, ...]) -> tuple[Oddity, ...]:
    """Without the one advert of a MASTER that concedes: it is how a change of MASTER ends."""
    return tuple(odd for odd in found if odd.code != TWO_MASTERS or odd.count > 1)
