from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from tests.rules.vrrp.example6 import GLOBAL6, LOWER6, OURS6, PEER6, PLAN6, STRANGER6, VIP6

from firstmate.model.addresses import Address
from firstmate.model.plan import Transport, VrrpPlan
from firstmate.model.units import S
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import GROUP_IPV6, Advert, BadAdvert, Refusal, encode
from firstmate.vrrp.receive import Datagram, Receiver

MULTI6 = replace(PLAN6, transport=Transport.MULTICAST)
V2 = replace(PLAN6, version=2)
LENIENT, LENIENT_MULTI = replace(PLAN6, lenient=True), replace(MULTI6, lenient=True)
PEER_GLOBAL = IPv6Address("2001:db8::77")
ADVERT = Advert(3, 50, 101, S, (VIP6.ip,))


def first(text: str) -> Advert:
    return replace(ADVERT, addresses=(IPv6Address(text), VIP6.ip))


def datagram(advert: Advert, source: Address = PEER6, to: Address = OURS6, ttl: int = 255) -> Datagram:
    return Datagram("eth0", source, to, ttl, encode(advert, source, to))


# fmt: off
ACCEPTED = {
    "unicast":              (PLAN6,         datagram(ADVERT),                                       []),
    "C16 hop limit 64":     (PLAN6,         datagram(ADVERT, ttl=64),                               []),
    "multicast":            (MULTI6,        datagram(ADVERT, to=GROUP_IPV6),                        []),
    "a stranger":           (MULTI6,        datagram(ADVERT, STRANGER6, GROUP_IPV6),                ["unknown-peer"]),
    "a link-local address": (replace(MULTI6, peers=(PEER_GLOBAL,)), datagram(ADVERT, to=GROUP_IPV6), []),
    "C38 febf::1":          (PLAN6,         datagram(first("febf::1")),                             ["addresses-differ"]),
    "C38 global, lenient":  (LENIENT,       datagram(first("2001:db8::1")),                         ["addresses-differ"]),
    "C38 source, lenient":  (LENIENT_MULTI, datagram(ADVERT, PEER_GLOBAL, GROUP_IPV6),              ["unknown-peer"]),
    "global unicast peer":  (replace(PLAN6, peers=(PEER_GLOBAL,)), datagram(ADVERT, PEER_GLOBAL),   []),
    "another order":        (replace(PLAN6, vips=(VIP6, GLOBAL6, replace(VIP6, ip=LOWER6))),
                             datagram(replace(ADVERT, addresses=(LOWER6, GLOBAL6.ip, VIP6.ip))),    []),
    "v2":                   (V2,            datagram(replace(ADVERT, version=2)),                   []),
}
REFUSED = {
    "C22 hop limit 254":    (MULTI6,        datagram(ADVERT, to=GROUP_IPV6, ttl=254),               Refusal.IP_TTL),
    "C38 global":           (PLAN6,         datagram(first("2001:db8::1")),                         Refusal.ADDRESS_LIST),
    "C38 site-local":       (PLAN6,         datagram(first("fec0::1")),                             Refusal.ADDRESS_LIST),
    "C38 multicast":        (PLAN6,         datagram(first("ff02::1")),                             Refusal.ADDRESS_LIST),
    "C38 unspecified":      (PLAN6,         datagram(first("::")),                                  Refusal.ADDRESS_LIST),
    "C38 v2":               (V2,            datagram(replace(first("fec0::1"), version=2)),         Refusal.ADDRESS_LIST),
    "C38 source":           (MULTI6,        datagram(ADVERT, PEER_GLOBAL, GROUP_IPV6),              Refusal.ADDRESS_LIST),
    "C36 count 0":          (PLAN6,         datagram(replace(ADVERT, addresses=())),                Refusal.ADDRESS_LIST),
    "C43 multicast":        (PLAN6,         datagram(ADVERT, to=GROUP_IPV6),                        Refusal.ADDRESS_LIST),
    "C43 unicast":          (MULTI6,        datagram(ADVERT),                                       Refusal.ADDRESS_LIST),
    "C44 stranger":         (PLAN6,         datagram(ADVERT, STRANGER6),                            Refusal.UNKNOWN_SOURCE),
    "C45 our own":          (MULTI6,        datagram(ADVERT, OURS6, GROUP_IPV6),                    Refusal.IGNORED),
    "C26 checksum":         (PLAN6,         replace(datagram(ADVERT), destination=PEER6),           Refusal.CHECKSUM),
    "C24 2 at 3":           (PLAN6,         datagram(replace(ADVERT, version=2)),                   Refusal.VERSION),
}
# fmt: on


@pytest.mark.parametrize(("plan", "given", "codes"), ACCEPTED.values(), ids=ACCEPTED)
def test_hears(plan: VrrpPlan, given: Datagram, codes: list[str]) -> None:
    heard, remarks = Receiver(plan).examine(given, 0)
    assert heard == Heard(101, S, given.source)
    assert [remark.code for remark in remarks] == codes


@pytest.mark.parametrize(("plan", "given", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses(plan: VrrpPlan, given: Datagram, reason: Refusal) -> None:
    with pytest.raises(BadAdvert) as caught:
        Receiver(plan).examine(given, 0)
    assert caught.value.reason is reason


def test_refusals_name_the_address() -> None:
    for plan, given, says in (
        (PLAN6, datagram(first("fec0::1")), "its first address, fec0::1, is not link-local"),
        (MULTI6, datagram(ADVERT, PEER_GLOBAL, GROUP_IPV6), "multicast of 2001:db8::77, which is not link-local"),
    ):
        with pytest.raises(BadAdvert) as caught:
            Receiver(plan).examine(given, 0)
        assert caught.value.detail == says


def test_no_single_bit_makes_another_advert() -> None:  # C51, C6
    good = datagram(ADVERT)
    for bit in range(8 * len(good.pdu)):
        pdu = bytearray(good.pdu)
        pdu[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadAdvert):
            Receiver(PLAN6).examine(replace(good, pdu=bytes(pdu)), 0)
