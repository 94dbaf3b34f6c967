"""Interfaces as rtnetlink(7) has them."""

import socket
import struct
from dataclasses import dataclass

from firstmate.linux.rtnetlink import attributes, nested, read_attributes, read_text, read_u32, text, u32

ALIAS = "firstmate"  # marks an interface that is ours

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_EXT_MASK = 18, 20, 26, 29
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_VRF_TABLE = 1
IFLA_MACVLAN_MODE, MACVLAN_MODE_VEPA = 1, 2
IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE = 8, 1
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFF_UP, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x80, 0x10000

_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change (ifinfomsg)
_NO_STATISTICS = attributes([(IFLA_EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS))])

EVERY = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _NO_STATISTICS  # asks for all of them


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    admin_up: bool
    carrier: bool
    mac: bytes  # empty, or of any length: only Ethernet has 6 octets
    gone: bool = False  # this is the news that it was removed
    master: int = 0  # index of the VRF, bridge or bond that it is in; 0: none
    parent: int = 0  # index of the interface that it sits on; 0: none
    kind: str = ""  # "macvlan", "vrf", "veth", ...; empty: hardware
    table: int = 0  # of a VRF
    arp: bool = True  # False: nobody is asked for addresses on it (IFF_NOARP)
    alias: str = ""

    @property
    def up(self) -> bool:
        """Administratively up and with carrier."""
        return self.admin_up and self.carrier

    @property
    def ours(self) -> bool:
        """A macvlan that firstmate has made."""
        return self.kind == "macvlan" and self.alias == ALIAS


def parse(kind: int, body: bytes) -> Link | None:
    """What RTM_NEWLINK or RTM_DELLINK says; None for what a bridge says of its port, which is no news of the port."""
    family, _, index, flags, _ = _LINK.unpack_from(body)
    if family != socket.AF_UNSPEC:
        return None
    values = read_attributes(body[_LINK.size :])
    info = read_attributes(values.get(IFLA_LINKINFO, b""))
    sort = read_text(info.get(IFLA_INFO_KIND))
    data = read_attributes(info[IFLA_INFO_DATA]) if sort == "vrf" and IFLA_INFO_DATA in info else {}
    return Link(
        index,
        read_text(values.get(IFLA_IFNAME)),
        admin_up=flags & IFF_UP != 0,
        carrier=flags & IFF_LOWER_UP != 0,
        mac=values.get(IFLA_ADDRESS, b""),
        gone=kind == RTM_DELLINK,
        master=read_u32(values.get(IFLA_MASTER)),
        parent=read_u32(values.get(IFLA_LINK)),
        kind=sort,
        table=read_u32(data.get(IFLA_VRF_TABLE)),
        arp=flags & IFF_NOARP == 0,
        alias=read_text(values.get(IFLA_IFALIAS)),
    )


def encode_key(index: int) -> bytes:
    """Body of RTM_DELLINK, and of RTM_GETLINK for one interface."""
    return _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)


def encode_macvlan(name: str, parent: int, mac: bytes) -> bytes:
    """Body of RTM_NEWLINK: a macvlan in VEPA mode, down: two of the same parent do not speak to each other.

    In private mode the kernel would give it alone what comes from its own MAC: the adverts of the peers.
    """
    mode = nested((IFLA_MACVLAN_MODE, u32(MACVLAN_MODE_VEPA)))
    info = nested((IFLA_INFO_KIND, text("macvlan")), (IFLA_INFO_DATA, mode))
    pairs = [(IFLA_IFNAME, text(name)), (IFLA_LINK, u32(parent)), (IFLA_ADDRESS, mac), (IFLA_LINKINFO, info)]
    return _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attributes(pairs)


def encode_ours(index: int) -> bytes:
    """Body of RTM_NEWLINK for an interface that is there: marked as ours, and without a link-local address."""
    inet6 = nested((IFLA_INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_MODE_NONE])))
    pairs = [(IFLA_IFALIAS, ALIAS.encode()), (IFLA_AF_SPEC, nested((socket.AF_INET6, inet6)))]
    return _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attributes(pairs)


def encode_master(index: int, master: int) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attributes([(IFLA_MASTER, u32(master))])


def encode_up(index: int) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP)
