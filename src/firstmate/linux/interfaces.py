"""What this host says of itself, for `config`."""

import socket
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from firstmate.linux.netlink import IfAddress, Link, Netlink
from firstmate.model.host import HostFacts, Interface


def read_host_facts() -> HostFacts:
    """Interfaces with their addresses, without those that firstmate put there. Raises `OSError`."""
    netlink = Netlink()
    try:
        links, addresses = netlink.links(), netlink.addresses()
    finally:
        netlink.close()
    vrfs = {link.index: link.name for link in links if link.kind == "vrf"}
    interfaces = tuple(_describe(link, addresses, vrfs) for link in links if not link.ours)
    return HostFacts(socket.gethostname(), interfaces)


def _describe(link: Link, addresses: list[IfAddress], vrfs: dict[int, str]) -> Interface:
    own = [
        ip_interface((address.ip, address.prefix))
        for address in addresses
        if address.index == link.index and not address.marked
    ]
    return Interface(
        name=link.name,
        index=link.index,
        up=link.up,
        mac=link.mac.hex(":"),
        addresses=tuple(one for one in own if isinstance(one, IPv4Interface)),
        addresses6=tuple(one for one in own if isinstance(one, IPv6Interface)),
        vrf=vrfs.get(link.master, ""),
    )
