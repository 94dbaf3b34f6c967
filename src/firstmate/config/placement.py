"""Where a plan lands: which node this host is, and which of its interfaces carry what."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from firstmate.config.addresses import VipDraft
from firstmate.config.codes import Code
from firstmate.config.families import family_of, in_order, is_link_local, vmac_of
from firstmate.config.findings import Findings
from firstmate.config.paths import for_node, more_of, peers_of, transports_of
from firstmate.config.places import Path
from firstmate.config.readers import meant, shown
from firstmate.config.routers import priorities_of
from firstmate.config.routes import RouteDraft
from firstmate.config.schema import Draft, Section
from firstmate.config.tracking import tracked_by
from firstmate.model.addresses import Address
from firstmate.model.host import HostFacts, Interface
from firstmate.model.plan import Node, PathPlan, Route, Rule, Transport, Vip

_LISTED_MAX = 8  # interfaces named in one message


@dataclass(frozen=True, slots=True)
class Placed:
    """A virtual router on this host's interfaces."""

    interface: str
    source: Address
    vips: tuple[Vip, ...]
    peers: tuple[Address, ...] = ()
    paths: tuple[PathPlan, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


def nodes_of(draft: Draft) -> tuple[Node, ...]:
    """The nodes that are completely described."""
    return tuple(
        Node(node.get("name"), node.get("address"), node.get("address6"), node.get("more_addresses", ()))
        for node in draft.nodes
        if node.get("name") is not None and node.get("address") is not None
    )


def recognise(nodes: tuple[Node, ...], host: HostFacts) -> Node | None:
    """The node that this host is: by its address, else by its name; None when that is not certain."""
    local = {address for interface in host.interfaces for address in _own(interface)}
    here = [node for node in nodes if local & {node.address, node.address6}]
    if not here:
        here = [node for node in nodes if node.name in (host.hostname, host.hostname.partition(".")[0])]
    return here[0] if len(here) == 1 else None


def who_am_i(draft: Draft, host: HostFacts, name: str | None, findings: Findings) -> Node | None:
    """The node named `name`, or the one that this host is; notes why it cannot be told."""
    nodes = nodes_of(draft)
    if name is not None:
        named = next((node for node in nodes if node.name == name), None)
        if named is None:
            listed = meant(name, [node.name for node in nodes]) or "nodes: " + ", ".join(node.name for node in nodes)
            findings.add(Code.WHO_AM_I, ("node",), f"{shown(name)}, given as this node, is not in the file", listed)
        return named
    found = recognise(nodes, host)
    if found is None:
        wanted = ", ".join(f"{node.name} {node.address}" for node in nodes) or "none"
        text = f"cannot tell which node this host is: the file has {wanted}; this host has {say_host(host)}"
        findings.add(Code.WHO_AM_I, ("node",), text, "say it: --node NAME or FIRSTMATE_NODE=NAME")
    return found


def say_host(host: HostFacts) -> str:
    """The host as a message lists it: name and addresses."""
    with_address = [interface for interface in host.interfaces if interface.addresses]
    listed = ", ".join(
        f"{interface.name} {' '.join(str(address.ip) for address in interface.addresses[:_LISTED_MAX])}"
        for interface in with_address[:_LISTED_MAX]
    )
    more = f" and {len(with_address) - _LISTED_MAX} more interfaces" if len(with_address) > _LISTED_MAX else ""
    return f"the name {shown(host.hostname)} and {listed or 'no address'}{more}"


def place(router: Section, me: Node, draft: Draft, host: HostFacts, findings: Findings) -> Placed | None:
    """Find the interfaces of the adverts and of each VIP; None when a problem was noted."""
    family, transport = family_of(router), transports_of(router)[0]
    source = for_node(router.get("source"), me.name)
    wanted = for_node(router.get("interface"), me.name)
    fixed = me.address6 if family == 6 and me.address6 is not None else me.address
    carrier = _carrier(router, wanted, source or fixed, host, findings)
    if carrier is None:
        return None
    source = _source(router, me, carrier, transport, findings)
    vips = _vips(router, me, carrier, host, findings)
    if source is None or vips is None:
        return None
    _judge_tracked(router, draft, me, host, findings)
    others = _others(router, me, draft)
    return Placed(
        interface=carrier.name,
        source=source,
        vips=vips,
        peers=_peers(router, me, others, source),
        paths=tuple(_paths(router, me, Way(carrier, others), draft, host, findings)),
        routes=_routes(router, me, carrier, host, findings),
        rules=tuple(replace(each.rule, iif=for_node(each.iif, me.name) or "") for each in router.get("rules", ())),
    )


def _others(router: Section, me: Node, draft: Draft) -> tuple[Node, ...]:
    """The other nodes that take part."""
    taking_part = priorities_of(router, draft)
    return tuple(node for node in nodes_of(draft) if node.name in taking_part and node.name != me.name)


def _carrier(
    router: Section, wanted: str | None, address: Address, host: HostFacts, findings: Findings
) -> Interface | None:
    """The interface of the adverts: as written, else the one that has the address they come from."""
    if wanted is not None:
        return _named(wanted, (*router.at, "interface"), host, findings)
    at = (*router.at, "source") if router.get("source") is not None else (*router.at, "name")
    return _having(address, at, host, findings)


def _having(address: Address, at: Path, host: HostFacts, findings: Findings) -> Interface | None:
    """The one interface that has this address."""
    having = [interface for interface in host.interfaces if address in _own(interface)]
    if len(having) == 1:
        return having[0]
    if not having:
        text = f"{address} is on no interface of this host, so adverts have no way out: it has {say_host(host)}"
        findings.add(Code.NOT_ON_THIS_HOST, at, text, 'give this node its address, or say interface = "..." and source')
    else:
        candidates = ", ".join(interface.name for interface in having)
        text = f"{address} is on several interfaces: {candidates}"
        findings.add(Code.WHICH_INTERFACE, at, text, f'choose one: interface = "{having[0].name}"')
    return None


def _own(interface: Interface) -> list[Address]:
    return [*(own.ip for own in interface.addresses), *(own.ip for own in interface.addresses6)]


def _source(router: Section, me: Node, carrier: Interface, transport: Transport, findings: Findings) -> Address | None:
    """Where adverts come from: as written, else the node's address; multicast ones from one of their interface.

    IPv6 multicast comes from a link-local address (RFC 9568, 5.1.2.1).
    """
    given: Address | None = for_node(router.get("source"), me.name)
    if given is not None:
        return given
    if family_of(router) == 4:
        fixed: Address | None = me.address
        on_carrier: list[Address] = [own.ip for own in carrier.addresses]
        what = "IPv4"
    else:
        fixed = me.address6
        on_carrier = [own.ip for own in carrier.addresses6 if own.ip.is_link_local]
        what = "link-local IPv6"
    if fixed in on_carrier or transport is not Transport.MULTICAST:
        return fixed
    if on_carrier:
        return on_carrier[0]
    text = f"{carrier.name} has no {what} address for adverts to come from"
    at = (*router.at, "interface") if router.get("interface") is not None else (*router.at, "name")
    findings.add(Code.NOT_ON_THIS_HOST, at, text, "give it one, or say source")
    return None


def _peers(router: Section, me: Node, others: tuple[Node, ...], source: Address) -> tuple[Address, ...]:
    own = tuple(address for address in (source, me.address, me.address6) if address is not None)
    return peers_of(router, others, own, family_of(router))


@dataclass(frozen=True, slots=True)
class Way:
    """Where the first path of a router leaves this host."""

    carrier: Interface
    others: tuple[Node, ...]  # those that take part, ourselves excepted


def _paths(router: Section, me: Node, first: Way, draft: Draft, host: HostFacts, findings: Findings) -> list[PathPlan]:
    """Every way but the first: the other transports, and each transport by the further addresses of the nodes."""
    family, found = family_of(router), []
    for transport in transports_of(router)[1:]:
        source = _source(router, me, first.carrier, transport, findings)
        if source is not None:
            found.append(PathPlan(transport, first.carrier.name, source, _peers(router, me, first.others, source)))
    if {*transports_of(router)} == {Transport.MULTICAST}:
        return found
    mine, ends = more_of(me, family), [more_of(node, family) for node in first.others]
    at = next(node.at for node in draft.nodes if node.get("name") == me.name)
    for index in range(min(map(len, (mine, *ends)))):
        having = _having(mine[index], (*at, "more_addresses", me.more_addresses.index(mine[index])), host, findings)
        if having is None:
            continue
        peers = tuple(end[index] for end in ends)
        found += [
            PathPlan(transport, having.name, mine[index], peers)
            for transport in transports_of(router)
            if transport is not Transport.MULTICAST
        ]
    return found


# What moves


def _vips(router: Section, me: Node, carrier: Interface, host: HostFacts, findings: Findings) -> tuple[Vip, ...] | None:
    vmac, found, complete = vmac_of(router), [], True
    for index, vip in in_order(router):
        path = (*router.at, "addresses", index)
        dev = _dev(vip, path, me, carrier, host, findings)
        if dev is None:
            complete = False
            continue
        fixed = vip.ip in {me.address, me.address6, *me.more_addresses}  # then this node is its owner
        if vmac is not None and dev == carrier.name and not fixed:
            dev = vmac.name  # the virtual MAC answers for the addresses of the router's own interface
        if not vip.label.startswith(dev) and vip.label:
            text = f"the label {shown(vip.label)} does not begin with the interface {shown(dev)}"
            findings.add(Code.BAD_NAME, (*path, "label"), text, f'such as "{dev}:1"')
        written = (vip.advertised, vip.scope, vip.label, vip.broadcast, vip.track, vip.dad, fixed)
        found.append(Vip(vip.ip, vip.prefix, dev, *written))
    return tuple(found) if complete else None


def _dev(vip: VipDraft, path: Path, node: Node, carrier: Interface, host: HostFacts, findings: Findings) -> str | None:
    """The interface written for a VIP, else the one whose subnet holds it, else the adverts' one."""
    wanted = for_node(vip.dev, node.name)
    if wanted is not None:
        named = _named(wanted, (*path, "dev"), host, findings)
        return None if named is None else named.name
    fitting = [] if is_link_local(vip.ip) else [own for own in host.interfaces if _holds(own, vip.ip)]
    if carrier in fitting or not fitting:
        return carrier.name
    if len(fitting) == 1:
        return fitting[0].name
    candidates = ", ".join(interface.name for interface in fitting)
    hint = f'choose one: {{ vip = "{vip.ip}/{vip.prefix}", dev = "{fitting[0].name}" }}'
    findings.add(Code.WHICH_INTERFACE, path, f"the subnet of {vip.ip} is on several interfaces: {candidates}", hint)
    return None


def _holds(interface: Interface, ip: Address) -> bool:
    """A network of one address holds nothing else."""
    networks: list[IPv4Network | IPv6Network] = [own.network for own in interface.addresses]
    networks += [own.network for own in interface.addresses6]
    return any(ip in network for network in networks if network.prefixlen < network.max_prefixlen)


def _routes(router: Section, me: Node, carrier: Interface, host: HostFacts, findings: Findings) -> tuple[Route, ...]:
    """With their interfaces as written; one that names none for this node and has no `via` leaves like the adverts."""
    routes = []
    drafts: tuple[RouteDraft, ...] = router.get("routes", ())
    for index, drafted in enumerate(drafts):
        dev = for_node(drafted.dev, me.name)
        if dev is not None:
            _named(dev, (*router.at, "routes", index, "dev"), host, findings)
        elif drafted.dev is not None and drafted.route.via is None:
            dev = carrier.name
        routes.append(replace(drafted.route, dev=dev or ""))
    return tuple(routes)


def _judge_tracked(router: Section, draft: Draft, me: Node, host: HostFacts, findings: Findings) -> None:
    """A tracked interface may come later, and counts as down until then."""
    names = {interface.name for interface in host.interfaces}
    for tracked in tracked_by(router, draft):
        interface = for_node(tracked.draft.interface, me.name)
        if interface and interface not in names:
            text = f"this host has no interface {shown(interface)}: it counts as down"
            at = (*tracked.at, "interface")
            findings.add(Code.MISSING_INTERFACE, at, text, f"it has {_names(host.interfaces)}")


# Names


def _named(name: str, path: Path, host: HostFacts, findings: Findings) -> Interface | None:
    found = next((interface for interface in host.interfaces if interface.name == name), None)
    if found is None:
        names = _names(host.interfaces)
        findings.add(Code.UNKNOWN_INTERFACE, path, f"this host has no interface {shown(name)}", f"it has {names}")
    return found


def _names(interfaces: Iterable[Interface]) -> str:
    names = [interface.name for interface in interfaces]
    return ", ".join(names[:_LISTED_MAX]) + (" ..." if len(names) > _LISTED_MAX else "") if names else "none"


def imagine(router: Section, me: Node, draft: Draft) -> Placed:
    """A router on a host that nobody asked."""
    vips = tuple(
        Vip(vip.ip, vip.prefix, vip.dev if isinstance(vip.dev, str) else "eth0", vip.advertised)
        for _, vip in in_order(router)
    )
    source = me.address6 if family_of(router) == 6 and me.address6 is not None else me.address
    return Placed("eth0", source, vips, _peers(router, me, _others(router, me, draft), source))
