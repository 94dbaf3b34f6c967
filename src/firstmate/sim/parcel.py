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
