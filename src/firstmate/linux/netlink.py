"""rtnetlink: addresses and links, read, changed and watched, without a fork.

Our addresses carry a mark, so that a successor knows what a killed predecessor left: the protocol
attribute (`IFA_PROTO`, Linux 5.18) and, for older kernels, the label `DEV:fm`.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from firstmate.model.addresses import Address

MARK_PROTOCOL = 112  # IFA_PROTO of our addresses: VRRP's own number; the kernel uses 0..3, keepalived 18
LABEL_SUFFIX = ":fm"
LABEL_OCTETS_MAX = 15  # IFNAMSIZ without the NUL

NETLINK_ROUTE = 0
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_CREATE = 0x100, 0x400
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_PROTO = 1, 2, 3, 11
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
RTMGRP_LINK, RTMGRP_IPV4_IFADDR = 0x1, 0x10

RECEIVE_OCTETS = 1 << 17
ANSWER_TIMEOUT_S = 2.0  # the kernel answers within the call; more than this is no kernel
EVENT_BUFFER_OCTETS = 1 << 20

_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence, port (netlink(7))
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix, flags, scope, index (ifaddrmsg)
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change (ifinfomsg)
_ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    up: bool  # administratively up and with carrier
    mac: bytes
    gone: bool = False  # this is the news that it was removed


@dataclass(frozen=True, slots=True)
class IfAddress:
    index: int  # of its interface
    ip: IPv4Address
    prefix: int
    marked: bool  # carries firstmate's mark
    gone: bool = False


class Netlink:
    """One socket for requests (each answered before the next), one for news.

    Raises `OSError` as the kernel says it.
    """

    def __init__(self, *, watch: bool = False) -> None:
        self._requests = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._requests.bind((0, 0))
        self._requests.settimeout(ANSWER_TIMEOUT_S)
        self._sequence = 0
        self.events: socket.socket | None = None
        if watch:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self.events = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
            self.events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EVENT_BUFFER_OCTETS)
            self.events.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR))

    def close(self) -> None:
        self._requests.close()
        if self.events is not None:
            self.events.close()

    def links(self) -> list[Link]:
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [item for item in self._dump(RTM_GETLINK, body) if isinstance(item, Link)]

    def addresses(self) -> list[IfAddress]:
        """Every IPv4 address of this network namespace."""
        body = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        return [item for item in self._dump(RTM_GETADDR, body) if isinstance(item, IfAddress)]

    def add_address(self, ip: Address, prefix: int, interface: str) -> None:
        """Put a marked address on the interface; one that is there already is fine."""
        label = interface + LABEL_SUFFIX
        attributes = [(IFA_LOCAL, ip.packed), (IFA_ADDRESS, ip.packed), (IFA_PROTO, bytes([MARK_PROTOCOL]))]
        if len(label) <= LABEL_OCTETS_MAX:
            attributes.append((IFA_LABEL, label.encode() + b"\0"))
        body = _ADDRESS.pack(socket.AF_INET, prefix, 0, 0, interface_index(interface)) + _attributes(attributes)
        self._ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body)

    def remove_address(self, ip: Address, prefix: int, interface: str) -> None:
        """Take the address off the interface; one that is gone already, with its interface or not, is fine."""
        try:
            index = interface_index(interface)
            body = _ADDRESS.pack(socket.AF_INET, prefix, 0, 0, index) + _attributes([(IFA_LOCAL, ip.packed)])
            self._ask(RTM_DELADDR, 0, body)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise

    def news(self) -> Iterator[Link | IfAddress]:
        """What changed since the last call. Never blocks.

        Raises `OSError` (ENOBUFS) when news was lost: look at everything again.
        """
        assert self.events is not None
        while True:
            try:
                data = self.events.recv(RECEIVE_OCTETS)
            except BlockingIOError:
                return
            for kind, body in _messages(data):
                if (item := _parse(kind, body)) is not None:
                    yield item

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._send(kind, flags | NLM_F_ACK, body)
        for answer, payload in _messages(self._requests.recv(RECEIVE_OCTETS)):
            if answer == NLMSG_ERROR:
                _raise(payload)

    def _dump(self, kind: int, body: bytes) -> Iterator[Link | IfAddress]:
        self._send(kind, NLM_F_DUMP, body)
        while True:
            for answer, payload in _messages(self._requests.recv(RECEIVE_OCTETS)):
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    _raise(payload)
                if (item := _parse(answer, payload)) is not None:
                    yield item

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        header = _MESSAGE.pack(_MESSAGE.size + len(body), kind, NLM_F_REQUEST | flags, self._sequence, 0)
        self._requests.send(header + body)


def interface_index(interface: str) -> int:
    """The kernel's number for it. Raises `OSError` (ENODEV), which `if_nametoindex` alone leaves without a number."""
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), interface) from error


def _attributes(pairs: list[tuple[int, bytes]]) -> bytes:
    out = b""
    for kind, value in pairs:
        length = _ATTRIBUTE.size + len(value)
        out += _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)
    return out


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
        if length < _MESSAGE.size:
            return
        yield kind, data[at + _MESSAGE.size : at + length]
        at += (length + 3) & ~3


def _parse(kind: int, body: bytes) -> Link | IfAddress | None:
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        _, _, index, flags, _ = _LINK.unpack_from(body)
        values = _read_attributes(body[_LINK.size :])
        name = values.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        up = flags & IFF_UP != 0 and flags & IFF_LOWER_UP != 0
        return Link(index, name, up, values.get(IFLA_ADDRESS, b""), gone=kind == RTM_DELLINK)
    if kind in (RTM_NEWADDR, RTM_DELADDR):
        family, prefix, _, _, index = _ADDRESS.unpack_from(body)
        values = _read_attributes(body[_ADDRESS.size :])
        packed = values.get(IFA_LOCAL, values.get(IFA_ADDRESS, b""))
        if family != socket.AF_INET or len(packed) != 4:
            return None
        label = values.get(IFA_LABEL, b"").rstrip(b"\0")
        marked = values.get(IFA_PROTO) == bytes([MARK_PROTOCOL]) or label.endswith(LABEL_SUFFIX.encode())
        return IfAddress(index, IPv4Address(packed), prefix, marked, gone=kind == RTM_DELADDR)
    return None


def _read_attributes(data: bytes) -> dict[int, bytes]:
    values = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        values[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return values


def _raise(payload: bytes) -> None:
    code = -struct.unpack_from("=i", payload)[0]
    if code:
        raise OSError(code, os.strerror(code))
