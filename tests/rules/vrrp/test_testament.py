from ipaddress import IPv4Address, IPv6Address

import pytest

from firstmate.model.messages import Bequest
from firstmate.model.plan import HmacKey, HmacPlan, Transport
from firstmate.model.units import S
from firstmate.vrrp.ah import AH_OCTETS, ah_key, verify
from firstmate.vrrp.packet import TRAILER_OCTETS, Advert, decode, encode
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.testament import AH_AHEAD, seal
from firstmate.vrrp.trailer import Verifier

OURS, PEER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
OURS6, PEER6 = IPv6Address("fe80::1"), IPv6Address("fe80::2")
NOW = 1_800_000_000 * S
KEY = HmacKey(7, bytes(range(32)))


def test_what_needs_no_signature_is_sent_as_it_is() -> None:
    udp = Bequest("eth0", OURS, PEER, b"pdu", Transport.UDP, 7113, 64)
    assert seal((udp,), NOW) == [Transmit("eth0", OURS, PEER, b"pdu", Transport.UDP, 7113, 64)]


@pytest.mark.parametrize(("source", "peer"), [(OURS, PEER), (OURS6, PEER6)], ids=["IPv4", "IPv6"])
def test_last_words_are_signed_when_they_are_said(
    source: IPv4Address | IPv6Address, peer: IPv4Address | IPv6Address
) -> None:
    pdu = encode(Advert(3, 5, 0, S, (source,)), source, peer)
    one, two = seal((Bequest("eth0", source, peer, pdu, hmac_key=KEY),) * 2, NOW)
    verifier = Verifier(HmacPlan((KEY,), 7))
    marks = [
        verifier.verify(sent.pdu[:-TRAILER_OCTETS], sent.pdu[-TRAILER_OCTETS:], source, NOW, None)
        for sent in (one, two)
    ]
    assert marks[0] < marks[1]  # to one peer on two paths: neither is a replay
    assert decode(pdu, source, peer).priority == 0


def test_last_words_with_ah_are_later_than_what_pulse_said_in_this_second() -> None:
    pdu = encode(Advert(2, 5, 0, S, (OURS,), 2), OURS, PEER)
    one, two = seal((Bequest("eth0", OURS, PEER, pdu, version=2, ah_key=b"secret"),) * 2, NOW)
    assert one.whole
    head = 20 + AH_OCTETS
    marks = [verify(sent.pdu[:head], sent.pdu[head:], ah_key(b"secret"), NOW // S) for sent in (one, two)]
    assert marks == [NOW // S + AH_AHEAD] * 2
