"""The ways by which nodes hear one another: transports, and the addresses of each node on them."""

from typing import TypeVar

from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.readers import shown
from firstmate.config.schema import Draft, Section
from firstmate.model.addresses import Address
from firstmate.model.plan import Node, Transport

T = TypeVar("T")


def transports_of(router: Section) -> tuple[Transport, ...]:
    given: tuple[Transport, ...] = router.get("transport", (Transport.UNICAST,))
    return given


def for_node(value: T | dict[str, T] | None, node: str) -> T | None:
    """What `node` gets of a value that may be a table by node."""
    return value.get(node) if isinstance(value, dict) else value


def more_of(node: Node, family: int) -> tuple[Address, ...]:
    """Its further addresses of one family."""
    return tuple(address for address in node.more_addresses if address.version == family)


def peers_of(router: Section, others: tuple[Node, ...], own: tuple[Address, ...], family: int) -> tuple[Address, ...]:
    """Where the others are reached: the nodes by the address their adverts come from, then the foreign ones.

    A multicast IPv6 node without `source` and `address6` has no address that we could know.
    """
    given = router.get("source")
    sources: dict[str, Address] = given if isinstance(given, dict) else {}
    fixed = [(node.name, node.address if family == 4 else node.address6) for node in others]
    ours = [address for name, own_address in fixed if (address := sources.get(name, own_address)) is not None]
    foreign = [address for address in router.get("peers", ()) if address not in own]
    return tuple(dict.fromkeys([*ours, *foreign]))


def foreign_of(router: Section, draft: Draft) -> tuple[Address, ...]:
    """Those of `peers` that are no node of this file."""
    given = router.get("source")
    known = {*given.values()} if isinstance(given, dict) else {given}
    for node in draft.nodes:
        known |= {node.get("address"), node.get("address6"), *node.get("more_addresses", ())}
    return tuple(peer for peer in router.get("peers", ()) if peer not in known)


def judge(router: Section, taking_part: list[Section], family: int, findings: Findings) -> None:
    """`taking_part`: the nodes of this router."""
    transports = transports_of(router)
    for place, transport in enumerate(transports):
        if transport in transports[:place]:
            path = (*router.at, "transport", place)
            findings.add(Code.LISTED_TWICE, path, f"{shown(transport.value)} stands twice in transport", "keep one")
    if {*transports} == {Transport.MULTICAST}:
        return
    given = router.get("source")
    for node in taking_part:
        known = node.get("name") in given if isinstance(given, dict) else False
        if family == 6 and not known and node.get("address6") is None:
            text = f"{shown(node.get('name') or '?')} has no address6, where the IPv6 adverts of the others would go"
            hint = 'add address6 = "2001:db8::10" to it, or transport = "multicast" to the [[vrrp]]'
            findings.add(Code.NO_ADDRESS6, node.at, text, hint)
    _judge_counts(router, taking_part, family, findings)


def _judge_counts(router: Section, taking_part: list[Section], family: int, findings: Findings) -> None:
    """A path leads from the second address of one node to the second one of each other."""
    counts = [sum(address.version == family for address in node.get("more_addresses", ())) for node in taking_part]
    for node, count in zip(taking_part, counts, strict=True):
        if count < max(counts):
            most = taking_part[counts.index(max(counts))]
            name, other, mine = (shown(section.get("name") or "?") for section in (node, most, router))
            text = (
                f"{name} has {count} further IPv{family} address{'es' * (count != 1)}, and {other} has {max(counts)}: "
                f"a path of {mine} needs both ends"
            )
            at = (*node.at, "more_addresses") if node.get("more_addresses") else node.at
            findings.add(Code.UNEQUAL_PATHS, at, text, "give each node that takes part as many")
