from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.vrrp.example import LOWER, OURS, PEER, PLAN, VIP

from firstmate.model.plan import (
    Auth,
    ChecksumForm,
    HmacKey,
    HmacMode,
    HmacPlan,
    PathPlan,
    Transport,
    Vip,
    Vmac,
    VrrpPlan,
)
from firstmate.model.units import S
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6, TRAILER_OCTETS, decode
from firstmate.vrrp.receive import unwrap
from firstmate.vrrp.sender import PRIORITIES_KEPT_MAX, Sender, Transmit

UTC = 1_800_000_000 * S
KEY, OTHER_KEY = HmacKey(1, bytes(range(32))), HmacKey(2, bytes(range(1, 33)))
SIGNED = replace(PLAN, hmac=HmacPlan((KEY, OTHER_KEY), 1))
MULTI = replace(PLAN, transport=Transport.MULTICAST)
OLD = replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"ahsecret")
LINK, PEER6 = IPv6Address("fe80::10"), IPv6Address("fe80::77")
SIX = replace(
    PLAN,
    source=LINK,
    peers=(PEER6,),
    vips=(Vip(IPv6Address("fe80::50:1"), 64, "eth0"), Vip(IPv6Address("2001:db8::1"), 64, "eth0")),
)
SECOND = PathPlan(
    Transport.UDP, "eth1", IPv4Address("198.51.100.10"), (IPv4Address("198.51.100.77"), IPv4Address("198.51.100.9"))
)


def adverts(plan: VrrpPlan, priority: int = 100) -> list[Transmit]:
    return Sender(plan, 7113).adverts(priority, UTC)


def test_one_for_each_peer() -> None:
    found = adverts(PLAN)
    assert [(one.source, one.destination, one.ttl, one.transport) for one in found] == [
        (OURS, PEER, 255, Transport.UNICAST),
        (OURS, LOWER, 255, Transport.UNICAST),
    ]
    assert len({one.wire for one in found}) == 2
    assert decode(found[0].pdu, OURS, PEER).addresses == (VIP.ip,)


def test_multicast_is_one_to_the_group_with_ttl_255() -> None:  # C11, C12
    (four,) = adverts(replace(MULTI, ttl=3))
    assert (four.destination, four.ttl) == (GROUP_IPV4, 255)
    (six,) = adverts(replace(SIX, transport=Transport.MULTICAST))
    assert (six.source, six.destination, six.ttl) == (LINK, GROUP_IPV6, 255)
    (other,) = adverts(replace(MULTI, multicast_group=IPv4Address("239.1.1.1")))
    assert other.destination == IPv4Address("239.1.1.1")


def test_unicast_has_the_ttl_of_the_plan() -> None:  # C16
    assert [one.ttl for one in adverts(SIX)] == [255]
    assert [one.ttl for one in adverts(replace(SIX, ttl=9))] == [9]


def test_only_advertised_addresses_are_named() -> None:
    hidden = replace(VIP, ip=VIP.ip + 5, advertised=False)
    (first, _) = adverts(replace(PLAN, vips=(VIP, hidden)))
    assert decode(first.pdu, OURS, PEER).addresses == (VIP.ip,)


def test_a_second_way_is_used_too() -> None:
    found = adverts(replace(SIGNED, paths=(SECOND,)))
    assert [(one.transport, one.interface, one.port) for one in found] == [
        (Transport.UNICAST, "eth0", 0),
        (Transport.UNICAST, "eth0", 0),
        (Transport.UDP, "eth1", 7113),
        (Transport.UDP, "eth1", 7113),
    ]
    trailers = [one.pdu[-TRAILER_OCTETS:] for one in found]
    assert trailers[0] == trailers[1]  # one signature for all peers
    assert trailers[2] == trailers[3]
    assert trailers[0] != trailers[2]  # another source, and another sequence: the peer keeps a mark for each


def test_the_virtual_mac_speaks_in_multicast_unless_told_otherwise() -> None:  # C13
    vmac = Vmac("vrrp.50", "00:00:5e:00:01:32")
    assert [one.interface for one in adverts(replace(MULTI, vmac=vmac))] == ["vrrp.50"]
    assert [one.interface for one in adverts(replace(MULTI, vmac=replace(vmac, xmit_base=True)))] == ["eth0"]
    assert {one.interface for one in adverts(replace(PLAN, vmac=vmac))} == {"eth0"}


def test_adverts_repeat_octet_by_octet_and_are_made_once() -> None:
    sender = Sender(PLAN, 0)
    assert sender.adverts(100, UTC) is sender.adverts(100, UTC + S)
    for priority in range(PRIORITIES_KEPT_MAX + 1):
        sender.adverts(priority, UTC)
    assert sender.adverts(100, UTC)[0].pdu[2] == 100


def test_signed_adverts_never_repeat() -> None:
    sender = Sender(SIGNED, 0)
    first, second = sender.adverts(100, UTC)[0].pdu, sender.adverts(100, UTC)[0].pdu
    assert first[:-TRAILER_OCTETS] == second[:-TRAILER_OCTETS]
    assert first[-TRAILER_OCTETS:] < second[-TRAILER_OCTETS:]
    assert first[-TRAILER_OCTETS : -TRAILER_OCTETS + 2] == b"\1\1"


def test_receive_only_does_not_sign() -> None:
    assert SIGNED.hmac is not None
    plan = replace(SIGNED, hmac=replace(SIGNED.hmac, mode=HmacMode.RECEIVE_ONLY))
    assert [one.pdu for one in adverts(plan)] == [one.pdu for one in adverts(PLAN)]
    assert [one.hmac_key for one in Sender(plan, 0).bequests()] == [None, None]


def test_a_reload_changes_the_key_and_keeps_the_sequence() -> None:
    sender = Sender(SIGNED, 0)
    before = sender.adverts(100, UTC)[0].pdu[-TRAILER_OCTETS:]
    sender.adopt(replace(SIGNED, hmac=HmacPlan((KEY, OTHER_KEY), 2)))
    after = sender.adverts(100, UTC)[0].pdu[-TRAILER_OCTETS:]
    assert (before[1], after[1]) == (1, 2)
    assert before[4:12] < after[4:12]
    sender.adopt(PLAN)
    assert sender.adverts(100, UTC)[0].pdu == adverts(PLAN)[0].pdu


def test_ah_is_a_whole_packet_with_a_growing_sequence() -> None:
    sender = Sender(OLD, 0)
    first, second = sender.adverts(100, UTC)[0], sender.adverts(100, UTC)[0]
    assert first.whole
    assert first.wire.startswith("ah ")
    found = [unwrap(one.pdu, "eth0") for one in (first, second)]
    assert [(one.source, one.destination, one.ttl) for one in found] == [(OURS, PEER, 255)] * 2
    sequences = [int.from_bytes(one.ah[28:32]) for one in found if one.ah is not None]
    assert sequences == [UTC // S, UTC // S + 1]


def test_the_form_of_the_checksum_may_be_learned() -> None:
    sender = Sender(replace(PLAN, checksum=ChecksumForm.AUTO), 0)
    assert sender.adverts(100, UTC)[0].pdu == adverts(PLAN)[0].pdu
    sender.use_form(ChecksumForm.PLAIN)
    assert sender.adverts(100, UTC)[0].pdu == adverts(replace(PLAN, checksum=ChecksumForm.PLAIN))[0].pdu
    kept = sender.adverts(100, UTC)
    sender.use_form(ChecksumForm.PLAIN)
    assert sender.adverts(100, UTC) is kept


@pytest.mark.parametrize(("plan", "key", "ah_key"), [(PLAN, None, b""), (SIGNED, KEY, b""), (OLD, None, b"ahsecret")])
def test_bequests_are_to_be_signed_when_they_are_sent(plan: VrrpPlan, key: HmacKey | None, ah_key: bytes) -> None:
    found = Sender(plan, 0).bequests()
    assert [(one.destination, one.hmac_key, one.ah_key, one.version) for one in found] == [
        (PEER, key, ah_key, plan.version),
        (LOWER, key, ah_key, plan.version),
    ]
    assert {one.pdu[2] for one in found} == {0}
