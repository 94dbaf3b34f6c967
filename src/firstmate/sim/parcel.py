"""An advert on its way."""

from dataclasses import dataclass

from firstmate.vrrp.receive import Datagram


@dataclass(frozen=True, slots=True)
class Parcel:
    datagram: Datagram
    intact: bool  # False: the wire has flipped a bit, and the receiver must find out
    sender: int = -1  # the place that it comes from
    forged: bool = False  # by somebody who has no key
    packet: bytes = b""  # with AH: the whole IPv4 packet, to be unwrapped by the receiver
    said: bytes = b""  # what stands for all of it in `Router.hear_again`


def parcel(
    datagram: Datagram, sender: int, packet: bytes = b"", *, forged: bool = False, intact: bool = True
) -> Parcel:
    ends = b"".join((datagram.source.packed, datagram.destination.packed, bytes((datagram.ttl, datagram.udp))))
    said = b"".join((datagram.interface.encode(), ends, datagram.pdu))
    return Parcel(datagram, intact, sender, forged, packet, said)
