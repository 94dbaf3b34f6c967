"""Where a plan lands: which node this host is, and which of its interfaces carry what."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.readers import meant, shown
from firstmate.config.schema import Draft, Section
from firstmate.config.values import VipDraft
from firstmate.model.host import HostFacts, Interface
from firstmate.model.plan import Node, Transport, Vip

T = TypeVar("T")
_LISTED_MAX = 8  # interfaces named in one message


@dataclass(frozen=True, slots=True)
class Placed:
    """A virtual router on this host's interfaces."""

    interface: str
    source: IPv4Address
    vips: tuple[Vip, ...]


def nodes_of(draft: Draft) -> tuple[Node, ...]:
    """The nodes that are completely described."""
    return tuple(
        Node(node.get("name"), node.get("address"))
        for node in draft.nodes
        if node.get("name") is not None and node.get("address") is not None
    )


def recognise(nodes: tuple[Node, ...], host: HostFacts) -> Node | None:
    """The node that this host is: by its address, else by its name; None when that is not certain."""
    local = {address.ip for interface in host.interfaces for address in interface.addresses}
    here = [node for node in nodes if node.address in local]
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


def for_node(value: T | dict[str, T] | None, node: str) -> T | None:
    """What `node` gets of a value that may be a table by node."""
    return value.get(node) if isinstance(value, dict) else value


def place(router: Section, node: Node, host: HostFacts, findings: Findings) -> Placed | None:
    """Find the interface of the adverts and of each VIP; None when a problem was noted."""
    source = for_node(router.get("source"), node.name)
    wanted = for_node(router.get("interface"), node.name)
    carrier = _carrier(router, wanted, source or node.address, host, findings)
    if carrier is None:
        return None
    if source is None:
        source = _source(router, node, carrier, findings)
    vips = [_vip(vip, (*router.at, "addresses", index), node, carrier, host, findings)
            for index, vip in enumerate(router.get("addresses", ()))]  # fmt: skip
    if source is None or None in vips:
        return None
    return Placed(carrier.name, source, tuple(vip for vip in vips if vip is not None))


def _carrier(
    router: Section, wanted: str | None, address: IPv4Address, host: HostFacts, findings: Findings
) -> Interface | None:
    """The interface of the adverts: as written, else the one that has the address they come from."""
    if wanted is not None:
        return _named(wanted, (*router.at, "interface"), host, findings)
    having = [interface for interface in host.interfaces if any(own.ip == address for own in interface.addresses)]
    if len(having) == 1:
        return having[0]
    at = (*router.at, "source") if router.get("source") is not None else (*router.at, "name")
    if not having:
        text = f"{address} is on no interface of this host, so adverts have no way out: it has {say_host(host)}"
        findings.add(Code.NOT_ON_THIS_HOST, at, text, 'give this node its address, or say interface = "..." and source')
    else:
        candidates = ", ".join(interface.name for interface in having)
        text = f"{address} is on several interfaces: {candidates}"
        findings.add(Code.WHICH_INTERFACE, at, text, f'choose one: interface = "{having[0].name}"')
    return None


def _source(router: Section, node: Node, carrier: Interface, findings: Findings) -> IPv4Address | None:
    """Adverts come from the node's address; multicast ones from an address of the interface they leave by."""
    on_carrier = [own.ip for own in carrier.addresses]
    if node.address in on_carrier or router.get("transport") is not Transport.MULTICAST:
        return node.address
    if on_carrier:
        return on_carrier[0]
    text = f"{carrier.name} has no IPv4 address for adverts to come from"
    findings.add(Code.NOT_ON_THIS_HOST, (*router.at, "interface"), text, "give it one, or say source")
    return None


def _vip(
    vip: VipDraft, path: tuple[str | int, ...], node: Node, carrier: Interface, host: HostFacts, findings: Findings
) -> Vip | None:
    """A VIP on the interface written for it, else the one whose subnet holds it, else the adverts' one."""
    wanted = for_node(vip.dev, node.name)
    if wanted is not None:
        named = _named(wanted, (*path, "dev"), host, findings)
        return None if named is None else Vip(vip.ip, vip.prefix, named.name)
    fitting = [interface for interface in host.interfaces if _holds(interface, vip.ip)]
    if carrier in fitting or not fitting:
        return Vip(vip.ip, vip.prefix, carrier.name)
    if len(fitting) == 1:
        return Vip(vip.ip, vip.prefix, fitting[0].name)
    candidates = ", ".join(interface.name for interface in fitting)
    hint = f'choose one: {{ vip = "{vip.ip}/{vip.prefix}", dev = "{fitting[0].name}" }}'
    findings.add(Code.WHICH_INTERFACE, path, f"the subnet of {vip.ip} is on several interfaces: {candidates}", hint)
    return None


def _holds(interface: Interface, ip: IPv4Address) -> bool:
    return any(ip in address.network for address in interface.addresses if address.network.prefixlen < 32)


def _named(name: str, path: tuple[str | int, ...], host: HostFacts, findings: Findings) -> Interface | None:
    found = next((interface for interface in host.interfaces if interface.name == name), None)
    if found is None:
        names = _names(host.interfaces)
        findings.add(Code.UNKNOWN_INTERFACE, path, f"this host has no interface {shown(name)}", f"it has {names}")
    return found


def _names(interfaces: Iterable[Interface]) -> str:
    names = [interface.name for interface in interfaces]
    return ", ".join(names[:_LISTED_MAX]) + (" ..." if len(names) > _LISTED_MAX else "") if names else "none"


def imagine(router: Section) -> tuple[Vip, ...]:
    """The VIPs of a router on a host that nobody asked."""
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    return tuple(Vip(vip.ip, vip.prefix, vip.dev if isinstance(vip.dev, str) else "eth0") for vip in vips)
