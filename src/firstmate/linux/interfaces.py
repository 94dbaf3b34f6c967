"""What this host says of itself, for `config`."""

import socket
from ipaddress import IPv4Interface

from firstmate.linux.netlink import Netlink
from firstmate.model.host import HostFacts, Interface


def read_host_facts() -> HostFacts:
    """Interfaces with their IPv4 addresses, without those that firstmate put there. Raises `OSError`."""
    netlink = Netlink()
    try:
        links, addresses = netlink.links(), netlink.addresses()
    finally:
        netlink.close()
    interfaces = tuple(
        Interface(
            name=link.name,
            index=link.index,
            up=link.up,
            mac=link.mac.hex(":"),
            addresses=tuple(
                IPv4Interface((address.ip, address.prefix))
                for address in addresses
                if address.index == link.index and not address.marked
            ),
        )
        for link in links
    )
    return HostFacts(socket.gethostname(), interfaces)
