from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import HmacKey, HmacPlan, Route, Transport, Vip
from firstmate.model.units import S
from firstmate.supervisor.executor import AH_AHEAD, Executor, seal
from firstmate.vrrp.ah import AH_OCTETS, ah_key, verify
from firstmate.vrrp.packet import TRAILER_OCTETS, Advert, decode, encode
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.trailer import Verifier

NOWHERE = "fm-nowhere0"  # no such interface: nothing can be sent, whoever runs the test
VIP = IPv4Address("192.0.2.80")
WILL = Will(
    (Bequest(NOWHERE, IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), b"\x31\x33\x00\x01\x00\x0a\x00\x00"),),
    (Holding((Vip(VIP, 24, NOWHERE),)),),
)


@pytest.fixture
def executor() -> Iterator[Executor]:
    one = Executor()
    yield one
    one._netlink.close()


def test_nothing_bequeathed_is_nothing_done(executor: Executor) -> None:
    assert executor.execute() == ""


def test_will_is_executed_once(executor: Executor) -> None:
    executor.keep("web", WILL)
    assert executor.execute().startswith("said priority 0 1 times and released 1 addresses for it")
    assert executor.execute() == ""


def test_failures_are_counted_and_stop_nothing(executor: Executor) -> None:
    executor.keep("web", WILL)
    # The advert cannot leave; an address that went with its interface is no failure.
    assert executor.execute().endswith(", 1 of these failed")


def test_later_will_replaces_the_one_before(executor: Executor) -> None:
    executor.keep("web", WILL)
    executor.keep("web", Will((), ()))
    assert executor.execute() == ""


def test_routes_and_rules_are_told_of_and_gone_is_no_failure(executor: Executor) -> None:
    holding = Holding((), (Route(VIP, 32, dev=NOWHERE),), ())
    executor.keep("web", Will((), (holding, holding)))
    assert executor.execute() == "said priority 0 0 times and released 0 addresses, 2 routes for it"


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
