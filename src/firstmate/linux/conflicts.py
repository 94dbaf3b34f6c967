"""Notices that somebody else answers for our addresses (RFC 5227, 2.4; `reference/vrrp.md` section 8)."""

import socket
from collections.abc import Collection

from firstmate.linux.bpf import NOTHING, attach, claims_of
from firstmate.linux.neighbours import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    Claim,
    arp_probe,
    neighbour_probe,
    read_claim,
    speaks_arp,
)
from firstmate.model.addresses import Address

FRAMES_AT_ONCE = 32  # in one wake-up; the rest waits, or is dropped when the queue is full
FRAME_OCTETS = 2048  # longer ones are cut, and then no claims
QUEUE_OCTETS = 1 << 16


class ConflictWatch:
    """One packet socket for one family on one interface, which the kernel wakes only for claims to our addresses.

    It is bound to the Ethernet type, so that what we send ourselves is not seen. Raises `PermissionError` without
    CAP_NET_RAW, `OSError` without the interface.
    """

    def __init__(self, interface: str, family: int) -> None:
        self.interface, self.family = interface, family
        self._addresses: frozenset[Address] = frozenset()
        self._macs: frozenset[bytes] = frozenset()
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)  # protocol 0: deaf until the filter is in place
        try:
            attach(self._socket, NOTHING)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_OCTETS)
            self._socket.bind((interface, ETHERTYPE_ARP if family == 4 else ETHERTYPE_IPV6))
            self.mac: bytes = self._socket.getsockname()[4]
            self._has_neighbours = speaks_arp(self._socket, interface)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def heed(self, addresses: Collection[Address], macs: Collection[bytes] = ()) -> None:
        """From now on these are ours; who claims one of them with a MAC that is neither ours nor of `macs` is told of.

        Those of the other family are left out. Raises `OSError`.
        """
        self._addresses = frozenset(ip for ip in addresses if ip.version == self.family)
        self._macs = frozenset({self.mac, *macs})
        attach(self._socket, claims_of(self.family, sorted(ip.packed for ip in self._addresses)))

    def receive(self) -> list[Claim]:
        """Who claims our addresses, each once; looks at so many frames and never waits. Raises `OSError`."""
        found: dict[Claim, None] = {}
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = self._socket.recv(FRAME_OCTETS)
            except BlockingIOError:
                break
            claim = read_claim(frame)
            if claim is not None and claim.ip in self._addresses and claim.mac not in self._macs:
                found[claim] = None
        return list(found)

    def probe(self, ip: Address) -> None:
        """Ask who has it, so that a silent duplicate speaks: its answer comes by `receive`. Raises `OSError`."""
        if self._has_neighbours:
            self._socket.send(arp_probe(ip, self.mac) if ip.version == 4 else neighbour_probe(ip, self.mac))
