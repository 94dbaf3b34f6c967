"""Gratuitous ARP: the bytes, and the socket that sends them (`reference/vrrp.md` section 8.1)."""

import socket
import struct

from firstmate.model.addresses import Address

BROADCAST = b"\xff" * 6
ETHERTYPE_ARP = 0x0806
MAC_OCTETS = 6

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_HARDWARE_ETHERNET, _PROTOCOL_IPV4, _REQUEST = 1, 0x0800, 1


def gratuitous_arp(ip: Address, mac: bytes) -> bytes:
    """The 42 octets that keepalived and FRR send: a broadcast request for an address by its holder."""
    ethernet = _ETHERNET.pack(BROADCAST, mac, ETHERTYPE_ARP)
    return ethernet + _ARP.pack(
        _HARDWARE_ETHERNET, _PROTOCOL_IPV4, MAC_OCTETS, 4, _REQUEST, mac, ip.packed, BROADCAST, ip.packed
    )


class ArpSocket:
    """Sends frames on one interface. Raises `OSError` when it is gone or not Ethernet."""

    def __init__(self, interface: str) -> None:
        # Protocol 0: it sends only, so that no traffic is ever copied to us.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.bind((interface, 0))
        except OSError:
            self._socket.close()
            raise
        self.mac: bytes = self._socket.getsockname()[4]

    def announce(self, ip: Address) -> None:
        """Send one gratuitous ARP; an interface without a MAC (a tunnel) needs none."""
        if len(self.mac) == MAC_OCTETS and any(self.mac):
            self._socket.send(gratuitous_arp(ip, self.mac))

    def close(self) -> None:
        self._socket.close()
