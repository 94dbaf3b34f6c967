"""Classic BPF socket filters, for an unprivileged process too (socket(7), SO_ATTACH_FILTER)."""

import ctypes
import socket
import struct
from collections.abc import Sequence

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
KEEP = 0xFFFF_FFFF

SYN, SYN_OR_ACK = 0x02, 0x12

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k (sock_filter)
Program = tuple[Instruction, ...]

# fmt: off
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30    # BPF_LD | BPF_W | BPF_ABS, ...
_LOAD_BYTE_X = 0x50                                      # BPF_LD | BPF_B | BPF_IND
_IPV4_HEADER_LENGTH = 0xB1                               # BPF_LDX | BPF_B | BPF_MSH
_AND, _IF_EQUAL, _RETURN = 0x54, 0x15, 0x06

NOTHING: Program = ((_RETURN, 0, 0, 0),)

# On a listening TCP socket the filter sees segments from the TCP header on; flags are octet 13.
ALL_BUT_NEW_CONNECTIONS: Program = (
    (_LOAD_BYTE, 0, 0, 13),
    (_AND, 0, 0, SYN_OR_ACK),
    (_IF_EQUAL, 0, 1, SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, KEEP),
)

# On a packet socket it sees Ethernet frames.
ARP_AND_NEW_CONNECTIONS: Program = (
    (_LOAD_HALF, 0, 0, 12),
    (_IF_EQUAL, 8, 0, 0x0806),
    (_IF_EQUAL, 0, 8, 0x0800),
    (_LOAD_BYTE, 0, 0, 23),            # protocol
    (_IF_EQUAL, 0, 6, 6),              # TCP
    (_IPV4_HEADER_LENGTH, 0, 0, 14),
    (_LOAD_BYTE_X, 0, 0, 14 + 13),     # flags
    (_AND, 0, 0, SYN_OR_ACK),
    (_IF_EQUAL, 1, 2, SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, KEEP),
    (_RETURN, 0, 0, 0),
)
# On a netlink socket: all but routes and rules, and of these that one was removed; a route only with our mark (112).
_DELROUTE, _NEWROUTE, _NEWRULE = (socket.htons(number) for number in (25, 24, 32))
OUR_ROUTING_NEWS: Program = (
    (_LOAD_HALF, 0, 0, 4),             # nlmsg_type
    (_IF_EQUAL, 4, 0, _NEWROUTE),
    (_IF_EQUAL, 3, 0, _NEWRULE),
    (_IF_EQUAL, 0, 3, _DELROUTE),
    (_LOAD_BYTE, 0, 0, 21),            # rtm_protocol
    (_IF_EQUAL, 1, 0, 112),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, KEEP),
)
# fmt: on

INSTRUCTIONS_MAX = 4096  # BPF_MAXINSNS
_SENDER_IN_ARP, _TARGET_END_IN_NA = 28, 74  # in an Ethernet frame


def claims_of(family: int, addresses: Sequence[bytes]) -> Program:
    """On a packet socket bound to the Ethernet type: ARPs sent by one of these IPv4 addresses, or NAs about one of
    these IPv6 addresses, of which the last four octets are compared.
    """
    if not addresses:
        return NOTHING
    if 2 * len(addresses) > INSTRUCTIONS_MAX - 16:
        addresses = ()  # more than fit: every claim is kept
    # fmt: off
    is_advertisement = (
        (_LOAD_BYTE, 0, 0, 20),      # next header
        (_IF_EQUAL, 0, 2, 58),
        (_LOAD_BYTE, 0, 0, 54),      # ICMPv6 type
        (_IF_EQUAL, 1, 0, 136),
        (_RETURN, 0, 0, 0),
    )
    # fmt: on
    head = () if family == 4 else is_advertisement
    load = (_LOAD_WORD, 0, 0, _SENDER_IN_ARP if family == 4 else _TARGET_END_IN_NA)
    numbers = sorted({int.from_bytes(address[-4:]) for address in addresses})
    tests = [step for number in numbers for step in ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, KEEP))]
    return (*head, load, *tests, (_RETURN, 0, 0, 0 if numbers else KEEP))


SKF_NET_OFF = 0xFFF0_0000  # from here on `k` counts from the IP header, where the socket begins behind it
SOURCES_MAX = 512  # peers that are told apart from strangers


def from_sources(family: int, sources: Sequence[bytes], *, wanted: bool) -> Program:
    """On a raw socket: only packets from these addresses, or all but them; of IPv6 the last four octets are compared.

    Two IPv6 addresses that end alike are taken for each other: that sorts them, nothing more.
    """
    numbers = sorted({int.from_bytes(source[-4:]) for source in sources})[:SOURCES_MAX]
    load = (_LOAD_WORD, 0, 0, 12 if family == 4 else SKF_NET_OFF + 20)
    verdict = KEEP if wanted else 0
    tests = [step for number in numbers for step in ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict))]
    return (load, *tests, (_RETURN, 0, 0, KEEP - verdict))


def attach(end: socket.socket, program: Program) -> None:
    """Let only what the program returns KEEP for into the socket. Raises `OSError`."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def detach(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
