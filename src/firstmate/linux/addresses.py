"""Addresses of both families as rtnetlink(7) has them.

Ours carry a mark, so that a successor knows what a killed predecessor left: the protocol attribute (`IFA_PROTO`,
Linux 5.18; IPv6 too) and, for older kernels and IPv4, the label `DEV:fm`.
"""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from firstmate.linux.rtnetlink import attributes, read_attributes, read_u32, text
from firstmate.model.addresses import Address
from firstmate.model.plan import Vip

MARK_PROTOCOL = 112  # of addresses, routes and rules: VRRP's own number; the kernel uses 0..3, keepalived 18
LABEL_SUFFIX = ":fm"
LABEL_OCTETS_MAX = 15  # IFNAMSIZ without the NUL

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 4, 6, 8, 11
IFA_F_NODAD, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x02, 0x08, 0x20, 0x40
FOREVER = 0xFFFF_FFFF
IPV6_BITS = 128

_ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index (ifaddrmsg)
_LIFETIMES = struct.Struct("=IIII")  # preferred and valid, in seconds; two times that only the kernel fills in
_MARK = bytes([MARK_PROTOCOL])
_LABEL_SUFFIX = LABEL_SUFFIX.encode()

EVERY = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)  # asks for all of them


@dataclass(frozen=True, slots=True)
class IfAddress:
    index: int  # of its interface
    ip: Address
    prefix: int
    marked: bool  # carries firstmate's mark
    gone: bool = False  # this is the news that it was removed
    tentative: bool = False  # IPv6: its uniqueness is being looked for, or was not found
    duplicate: bool = False  # IPv6: somebody else has it
    deprecated: bool = False  # never chosen as source


def encode(vip: Vip, index: int) -> bytes:
    """Body of RTM_NEWADDR: the address with our mark.

    An IPv6 /128 is deprecated from the start, so that this host never speaks from it of its own accord.
    """
    packed = vip.ip.packed
    pairs = [(IFA_LOCAL, packed), (IFA_ADDRESS, packed), (IFA_PROTO, _MARK)]
    if vip.ip.version == 6:
        if vip.prefix == IPV6_BITS:
            pairs.append((IFA_CACHEINFO, _LIFETIMES.pack(0, FOREVER, 0, 0)))
        flags = 0 if vip.dad else IFA_F_NODAD
        return _ADDRESS.pack(socket.AF_INET6, vip.prefix, flags, 0, index) + attributes(pairs)
    label = vip.label or vip.dev + LABEL_SUFFIX
    if len(label) <= LABEL_OCTETS_MAX:
        pairs.append((IFA_LABEL, text(label)))
    if vip.broadcast is not None:
        pairs.append((IFA_BROADCAST, vip.broadcast.packed))
    return _ADDRESS.pack(socket.AF_INET, vip.prefix, 0, vip.scope, index) + attributes(pairs)


def encode_key(vip: Vip, index: int) -> bytes:
    """Body of RTM_DELADDR."""
    family = socket.AF_INET6 if vip.ip.version == 6 else socket.AF_INET
    pairs = [(IFA_LOCAL, vip.ip.packed), (IFA_ADDRESS, vip.ip.packed)]
    return _ADDRESS.pack(family, vip.prefix, 0, 0, index) + attributes(pairs)


def parse(kind: int, body: bytes) -> IfAddress | None:
    """What RTM_NEWADDR or RTM_DELADDR says; None for another family."""
    family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
    values = read_attributes(body[_ADDRESS.size :])
    packed = values.get(IFA_LOCAL, values.get(IFA_ADDRESS, b""))
    ip: Address
    if family == socket.AF_INET and len(packed) == 4:
        ip = IPv4Address(packed)
    elif family == socket.AF_INET6 and len(packed) == 16:
        ip = IPv6Address(packed)
    else:
        return None
    flags = read_u32(values[IFA_FLAGS]) if IFA_FLAGS in values else flags
    label = values.get(IFA_LABEL, b"").rstrip(b"\0")
    return IfAddress(
        index,
        ip,
        prefix,
        marked=values.get(IFA_PROTO) == _MARK or label.endswith(_LABEL_SUFFIX),
        gone=kind == RTM_DELADDR,
        tentative=flags & IFA_F_TENTATIVE != 0,
        duplicate=flags & IFA_F_DADFAILED != 0,
        deprecated=flags & IFA_F_DEPRECATED != 0,
    )
