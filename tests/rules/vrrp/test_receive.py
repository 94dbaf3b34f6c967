from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st
from tests.rules.vrrp.example import OTHER_VIP, OURS, PEER, PLAN, STRANGER, VIP

from firstmate.model.plan import OWNER, Auth, ChecksumForm, Transport, VrrpPlan
from firstmate.model.units import MS, S
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import GROUP_IPV4, Advert, BadAdvert, Refusal, encode
from firstmate.vrrp.receive import Datagram, Receiver, Remark, unwrap

UNI, MULTI = PLAN, replace(PLAN, transport=Transport.MULTICAST, peers=())
AUTO, LENIENT = replace(PLAN, checksum=ChecksumForm.AUTO), replace(PLAN, lenient=True)
GROUP, GROUP_99 = ChecksumForm.GROUP, IPv4Address("224.0.0.99")
V2, PASS = replace(PLAN, version=2), replace(PLAN, version=2, auth=Auth.PASS, auth_pass=b"abc")
ADVERT = Advert(3, 50, 101, S, (VIP.ip,))
OLD = replace(ADVERT, version=2)
SECRET = replace(OLD, auth_type=1, auth_data=b"abc")


def examine(found: Datagram, plan: VrrpPlan) -> tuple[Heard, list[Remark]]:
    """What a receiver says that has heard nothing before."""
    return Receiver(plan).examine(found, 0)


def datagram(
    advert: Advert,
    source: IPv4Address = PEER,
    to: IPv4Address = OURS,
    ttl: int = 255,
    form: ChecksumForm = ChecksumForm.PSEUDO,
    *,
    spoil: bool = False,
) -> Datagram:
    pdu = encode(advert, source, to, form)
    return Datagram("eth0", source, to, ttl, pdu[:6] + b"\x12\x34" + pdu[8:] if spoil else pdu)


def bent(found: Datagram, at: int, octet: int) -> Datagram:
    """Change one octet of the PDU, and with it the plain checksum of version 2 or the one of version 3."""
    pdu = bytearray(found.pdu)
    before = int.from_bytes(pdu[at & ~1 : (at & ~1) + 2])
    pdu[at] = octet
    after = int.from_bytes(pdu[at & ~1 : (at & ~1) + 2])
    total = (0xFFFF & ~int.from_bytes(pdu[6:8])) + (0xFFFF & ~before) + after  # RFC 1624
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    pdu[6:8] = (0xFFFF & ~total).to_bytes(2)
    return replace(found, pdu=bytes(pdu))


# fmt: off
ACCEPTED = {  # what is heard, and which remarks are made
    "unicast":                (UNI,   datagram(ADVERT),                                                []),
    "C23 TTL 64, unicast":    (UNI,   datagram(ADVERT, ttl=64),                                        []),
    "multicast":              (MULTI, datagram(ADVERT, to=GROUP_IPV4),                                 ["unknown-peer"]),
    "multicast of a peer":    (replace(MULTI, peers=(PEER,)), datagram(ADVERT, to=GROUP_IPV4),         []),
    "priority 0":             (UNI,   datagram(replace(ADVERT, priority=0)),                           []),
    "C32 reserved nibble":    (UNI,   bent(datagram(ADVERT), 4, 0xF0),                                 []),
    "C34 other interval":     (UNI,   datagram(replace(ADVERT, interval_us=500 * MS)),                 ["interval-differs"]),
    "C37 other order":        (replace(PLAN, vips=(VIP, OTHER_VIP)), datagram(replace(ADVERT, addresses=(OTHER_VIP.ip, VIP.ip))), []),
    "C37 other address":      (UNI,   datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,))),            ["addresses-differ"]),
    "C37 one more":           (UNI,   datagram(replace(ADVERT, addresses=(VIP.ip, OTHER_VIP.ip))),     ["addresses-differ"]),
    "C37 one less":           (replace(PLAN, vips=(VIP, OTHER_VIP)), datagram(ADVERT),                 ["addresses-differ"]),
    "C37 one twice":          (UNI,   datagram(replace(ADVERT, addresses=(VIP.ip, VIP.ip))),           ["addresses-differ"]),
    "C37 v2, other address":  (V2,    datagram(replace(OLD, addresses=(OTHER_VIP.ip,))),               ["addresses-differ"]),
    "v2":                     (V2,    datagram(OLD),                                                   []),
    "C41 v2 auth data":       (V2,    datagram(replace(OLD, auth_data=8 * b"\xff")),                   []),
    "v2 PASS":                (PASS,  datagram(SECRET),                                                []),
    "v2 PASS of 9 octets":    (replace(PASS, auth_pass=b"123456789"), datagram(replace(SECRET, auth_data=b"12345678")), []),
    "C47 plain":              (replace(PLAN, checksum=ChecksumForm.PLAIN), datagram(ADVERT, form=ChecksumForm.PLAIN), []),
    "lenient, interval 0":    (LENIENT, bent(datagram(ADVERT), 5, 0),                                  ["interval-differs"]),
    "lenient, count 0":       (LENIENT, datagram(replace(ADVERT, addresses=())),                       ["addresses-differ"]),
    "C44 stranger, no check": (replace(PLAN, check_source=False), datagram(ADVERT, STRANGER),          ["unknown-peer"]),
    "C23 TTL 254, min_ttl":   (replace(PLAN, min_ttl=254), datagram(ADVERT, ttl=254),                  []),
    "C48 old checksum":       (replace(PLAN, checksum=GROUP), datagram(ADVERT, form=GROUP),            []),
    "C47 pseudo at auto":     (AUTO,  datagram(ADVERT),                                                []),
    "C47 plain at auto":      (AUTO,  datagram(ADVERT, form=ChecksumForm.PLAIN),                       []),
    "C48 old at auto":        (AUTO,  datagram(ADVERT, form=GROUP),                                    []),
    "a group of its own":     (replace(MULTI, multicast_group=GROUP_99, peers=(PEER,)), datagram(ADVERT, to=GROUP_99), []),
    "not advertised":         (replace(PLAN, vips=(VIP, replace(OTHER_VIP, advertised=False))), datagram(ADVERT), []),
    "C76 two owners":         (replace(PLAN, priority=OWNER), datagram(replace(ADVERT, priority=OWNER)), ["two-owners"]),
    "one owner":              (replace(PLAN, priority=OWNER), datagram(ADVERT),                        []),
    "another owner":          (UNI,   datagram(replace(ADVERT, priority=OWNER)),                       []),
}
REFUSED = {
    "C22 TTL 254":            (MULTI, datagram(ADVERT, to=GROUP_IPV4, ttl=254),                        Refusal.IP_TTL),
    "C23 TTL 253, min_ttl":   (replace(PLAN, min_ttl=254), datagram(ADVERT, ttl=253),                  Refusal.IP_TTL),
    "C27 VRID 51":            (UNI,   datagram(replace(ADVERT, vrid=51)),                              Refusal.VRID),
    "C27 VRID 0":             (UNI,   datagram(replace(ADVERT, vrid=0)),                               Refusal.VRID),
    "C28 7 octets":           (UNI,   replace(datagram(ADVERT), pdu=datagram(ADVERT).pdu[:7]),         Refusal.PACKET_LENGTH),
    "C45 our own source":     (UNI,   datagram(ADVERT, OURS),                                          Refusal.IGNORED),
    "the owner ignores":      (replace(PLAN, priority=OWNER, owner_ignore_adverts=True), datagram(ADVERT), Refusal.IGNORED),
    "v2 interval 0, lenient": (replace(V2, lenient=True), bent(datagram(OLD), 5, 0),                   Refusal.ADV_INTERVAL),
    "C43 another group":      (MULTI, datagram(ADVERT, to=GROUP_99),                                   Refusal.ADDRESS_LIST),
    "C43 group at unicast":   (UNI,   datagram(ADVERT, to=GROUP_99),                                   Refusal.ADDRESS_LIST),
    "C43 our usual group":    (replace(MULTI, multicast_group=GROUP_99), datagram(ADVERT, to=GROUP_IPV4), Refusal.ADDRESS_LIST),
    "C51 65515 octets":       (UNI,   replace(datagram(ADVERT), pdu=datagram(ADVERT).pdu.ljust(65_515, b"\xff")), Refusal.PACKET_LENGTH),
    "another interface":      (UNI,   replace(datagram(ADVERT), interface="eth1"),                     Refusal.ADDRESS_LIST),
    "UDP, not configured":    (UNI,   replace(datagram(ADVERT), udp=True),                             Refusal.ADDRESS_LIST),
    "C48 old checksum":       (UNI,   datagram(ADVERT, form=GROUP),                                    Refusal.CHECKSUM),
    "a clash, unchecked":     (replace(PLAN, check_source=False), datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,)), STRANGER), Refusal.VRID_CLASH),
    "in AH, which is not ours": (V2,  replace(datagram(OLD), ah=bytes(44)),                            Refusal.AUTH_TYPE_MISMATCH),
    "C24 2 at 3":             (UNI,   datagram(OLD),                                                   Refusal.VERSION),
    "C24 3 at 2":             (V2,    datagram(ADVERT),                                                Refusal.VERSION),
    "C24 version 4":          (UNI,   bent(datagram(ADVERT), 0, 0x41),                                 Refusal.VERSION),
    "C25 type 2":             (UNI,   bent(datagram(ADVERT), 0, 0x32),                                 Refusal.TYPE),
    "C26 checksum":           (UNI,   replace(datagram(ADVERT), pdu=datagram(ADVERT).pdu[:-1] + b"\0"), Refusal.CHECKSUM),
    "C28 cut":                (UNI,   replace(datagram(ADVERT), pdu=datagram(ADVERT).pdu[:-4]),        Refusal.PACKET_LENGTH),
    "C33 interval 0":         (UNI,   bent(datagram(ADVERT), 5, 0),                                    Refusal.ADV_INTERVAL),
    "C33 interval 1000":      (UNI,   bent(bent(datagram(ADVERT), 5, 0), 4, 0x10),                     Refusal.ADV_INTERVAL),
    "C35 v2 interval":        (V2,    datagram(replace(OLD, interval_us=2 * S)),                       Refusal.ADV_INTERVAL),
    "v2 interval 0":          (V2,    bent(datagram(OLD), 5, 0),                                       Refusal.ADV_INTERVAL),
    "v2 count 0":             (V2,    datagram(replace(OLD, addresses=())),                            Refusal.ADDRESS_LIST),
    "C36 count 0":            (UNI,   datagram(replace(ADVERT, addresses=())),                         Refusal.ADDRESS_LIST),
    "C39 auth type 3":        (V2,    datagram(replace(OLD, auth_type=3)),                             Refusal.INVALID_AUTH_TYPE),
    "C39 PASS at none":       (V2,    datagram(SECRET),                                                Refusal.AUTH_TYPE_MISMATCH),
    "C39 AH at none":         (V2,    datagram(replace(OLD, auth_type=2)),                             Refusal.AUTH_TYPE_MISMATCH),
    "C39 none at PASS":       (PASS,  datagram(OLD),                                                   Refusal.AUTH_TYPE_MISMATCH),
    "C40 abc and abc 1":      (PASS,  datagram(replace(SECRET, auth_data=b"abc\1")),                   Refusal.AUTH_FAILURE),
    "C40 last octet":         (PASS,  datagram(replace(SECRET, auth_data=b"abc\0\0\0\0\1")),           Refusal.AUTH_FAILURE),
    "C40 ab":                 (PASS,  datagram(replace(SECRET, auth_data=b"ab")),                      Refusal.AUTH_FAILURE),
    "C43 multicast":          (UNI,   datagram(ADVERT, to=GROUP_IPV4),                                 Refusal.ADDRESS_LIST),
    "C43 unicast":            (MULTI, datagram(ADVERT),                                                Refusal.ADDRESS_LIST),
    "C44 stranger":           (UNI,   datagram(ADVERT, STRANGER),                                      Refusal.UNKNOWN_SOURCE),
    "C47 pseudo at plain":    (replace(PLAN, checksum=ChecksumForm.PLAIN), datagram(ADVERT),           Refusal.CHECKSUM),
    "C47 plain at pseudo":    (UNI,   datagram(ADVERT, form=ChecksumForm.PLAIN),                       Refusal.CHECKSUM),
    "VRID clash":             (MULTI, datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,)), STRANGER, GROUP_IPV4), Refusal.VRID_CLASH),
}
ORDER = {  # two faults: the check that comes first has the counter
    "7 before 8":             (MULTI, datagram(OLD, to=GROUP_IPV4, ttl=1),                             Refusal.IP_TTL),
    "4 before 5":             (UNI,   datagram(replace(ADVERT, vrid=51), OURS),                        Refusal.VRID),
    "5 before 6":             (UNI,   datagram(ADVERT, OURS, GROUP_IPV4),                              Refusal.IGNORED),
    "8 before 9":             (UNI,   bent(datagram(OLD), 0, 0x22),                                    Refusal.VERSION),
    "9 before 10":            (UNI,   replace(bent(datagram(ADVERT), 0, 0x32), pdu=bent(datagram(ADVERT), 0, 0x32).pdu[:-1]), Refusal.TYPE),
    "10 before 11":           (UNI,   replace(datagram(ADVERT), pdu=bytes.fromhex("3132650100640000")), Refusal.PACKET_LENGTH),
    "11 before 13":           (V2,    datagram(replace(OLD, auth_type=3), form=GROUP, spoil=True),     Refusal.CHECKSUM),
    "17 before 19":           (UNI,   bent(datagram(replace(ADVERT, addresses=())), 5, 0),             Refusal.ADV_INTERVAL),
    "22 before 23":           (replace(PLAN, priority=OWNER, owner_ignore_adverts=True), datagram(ADVERT, STRANGER), Refusal.UNKNOWN_SOURCE),
    "6 before 7":             (MULTI, datagram(ADVERT, ttl=1),                                         Refusal.ADDRESS_LIST),
    "14 before 16":           (PASS,  datagram(replace(OLD, interval_us=2 * S)),                       Refusal.AUTH_TYPE_MISMATCH),
    "15 before 16":           (PASS,  datagram(replace(SECRET, auth_data=b"x", interval_us=2 * S)),    Refusal.AUTH_FAILURE),
    "17 before 22":           (UNI,   bent(datagram(ADVERT, STRANGER), 5, 0),                          Refusal.ADV_INTERVAL),
    "22 before the clash":    (UNI,   datagram(replace(ADVERT, addresses=(OTHER_VIP.ip,)), STRANGER),  Refusal.UNKNOWN_SOURCE),
}
# fmt: on


@pytest.mark.parametrize(("plan", "given", "codes"), ACCEPTED.values(), ids=ACCEPTED)
def test_examine_hears(plan: VrrpPlan, given: Datagram, codes: list[str]) -> None:
    heard, remarks = examine(given, plan)
    interval_us = S if plan.version == 2 else (given.pdu[4] & 15) * 2_560_000 + given.pdu[5] * 10_000
    assert heard == Heard(given.pdu[2], interval_us or plan.advert_interval_us, given.source)
    assert [remark.code for remark in remarks] == codes
    assert all(str(given.source) in remark.text for remark in remarks)


@pytest.mark.parametrize(("plan", "given", "reason"), (REFUSED | ORDER).values(), ids=REFUSED | ORDER)
def test_examine_refuses(plan: VrrpPlan, given: Datagram, reason: Refusal) -> None:
    with pytest.raises(BadAdvert) as caught:
        examine(given, plan)
    assert caught.value.reason is reason


def test_remarks_name_their_counters() -> None:  # C34, C37
    odd = replace(ADVERT, interval_us=500 * MS, addresses=(OTHER_VIP.ip,))
    _, remarks = examine(datagram(odd), PLAN)
    assert [remark.counter for remark in remarks] == [Refusal.ADV_INTERVAL.value, Refusal.ADDRESS_LIST.value]
    assert (
        remarks[0].text == "192.0.2.77 advertises every 500 ms, we every 1.0 s; while it is MASTER its interval counts"
    )
    assert "203.0.113.2" in remarks[1].text
    assert all(remark.counter == "" for remark in examine(datagram(ADVERT, to=GROUP_IPV4), MULTI)[1])


def test_a_stranger_with_one_of_our_addresses_is_no_clash() -> None:
    shared = replace(ADVERT, addresses=(OTHER_VIP.ip, VIP.ip))
    _, remarks = examine(datagram(shared, STRANGER, GROUP_IPV4), MULTI)
    assert [remark.code for remark in remarks] == ["addresses-differ", "unknown-peer"]


def test_refusals_say_what_was_found() -> None:
    for plan, given, says in (
        (V2, datagram(replace(OLD, interval_us=2 * S)), "interval 2.0 s, ours is 1.0 s"),
        (UNI, datagram(OLD), "version 2, ours is 3"),
        (UNI, replace(datagram(ADVERT), udp=True), "sent to 192.0.2.10 in UDP, but we use unicast"),
        (UNI, datagram(ADVERT, to=GROUP_IPV4), "sent to 224.0.0.18, but we use unicast"),
        (MULTI, datagram(ADVERT, STRANGER, GROUP_IPV4, 3), "TTL 3: it crossed a router"),
        (PASS, datagram(OLD), "authentication type 0, ours is 1"),
        (UNI, datagram(ADVERT, STRANGER), "192.0.2.99 is no peer of this virtual router"),
    ):
        with pytest.raises(BadAdvert) as caught:
            examine(given, plan)
        assert caught.value.detail == says


IP = bytes.fromhex("45c00028000100 00ff701887 c000020b e0000012".replace(" ", ""))
PDU = bytes.fromhex("2104ff010001b587c633643d0000000000000000")


AH = IP[:2] + b"\0\x40" + IP[4:9] + b"\x33" + IP[10:] + bytes.fromhex("70040000 c000020b 00000001") + bytes(range(12))


def test_unwrap_takes_an_ah_off_and_keeps_it() -> None:
    wanted = Datagram("eth0", IPv4Address("192.0.2.11"), GROUP_IPV4, 255, PDU, ah=AH)
    assert unwrap(AH + PDU + bytes(6), "eth0") == wanted
    longer = b"\x46" + AH[1:3] + b"\x44" + AH[4:20] + b"\x94\x04\0\0" + AH[20:]
    assert unwrap(longer + PDU, "eth0") == replace(wanted, ah=longer)
    assert unwrap(AH[:2] + b"\0\x2c" + AH[4:], "eth0").pdu == b""


def test_unwrap_takes_padding_off() -> None:  # C30: a short frame is padded to 60 octets
    assert unwrap(IP + PDU + bytes(6), "eth1") == Datagram("eth1", IPv4Address("192.0.2.11"), GROUP_IPV4, 255, PDU)


def test_unwrap_skips_ip_options() -> None:  # C46: the router alert
    longer = b"\x46" + IP[1:2] + b"\0\x2c" + IP[4:] + b"\x94\x04\0\0"
    assert unwrap(longer + PDU, "eth0") == unwrap(IP + PDU, "eth0")


# fmt: off
UNREADABLE = {
    "nothing":              (b"",                                  Refusal.PACKET_LENGTH),
    "19 octets":            (IP[:19],                              Refusal.PACKET_LENGTH),
    "IPv6":                 (b"\x65" + IP[1:] + PDU,               Refusal.PACKET_LENGTH),
    "header of 16":         (b"\x44" + IP[1:] + PDU,               Refusal.PACKET_LENGTH),
    "header above total":   (b"\x4f" + IP[1:] + PDU,               Refusal.PACKET_LENGTH),
    "total below header":   (IP[:2] + b"\0\x13" + IP[4:] + PDU,    Refusal.PACKET_LENGTH),
    "total above received": (IP[:2] + b"\0\x29" + IP[4:] + PDU,    Refusal.PACKET_LENGTH),
    "AH of 23 octets":      (AH[:2] + b"\0\x2b" + AH[4:43],         Refusal.PACKET_LENGTH),
    "AH of 5 words":        (AH[:21] + b"\5" + AH[22:] + PDU,       Refusal.PACKET_LENGTH),
    "TCP in AH":            (AH[:20] + b"\6" + AH[21:] + PDU,       Refusal.AUTH_TYPE_MISMATCH),
    "TCP":                  (IP[:9] + b"\x06" + IP[10:] + PDU,     Refusal.AUTH_TYPE_MISMATCH),
}
# fmt: on


@pytest.mark.parametrize(("packet", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_unwrap_refuses(packet: bytes, reason: Refusal) -> None:
    with pytest.raises(BadAdvert) as caught:
        unwrap(packet, "eth0")
    assert caught.value.reason is reason


def test_unwrap_takes_a_header_alone() -> None:
    assert unwrap(IP[:2] + b"\0\x14" + IP[4:], "eth0").pdu == b""


@hypothetically(st.binary(max_size=200))
def test_unwrap_gives_a_value_or_bad_advert(data: bytes) -> None:  # C51
    try:
        found = unwrap(data, "eth0")
    except BadAdvert:
        return
    assert data.find(found.pdu) >= 0


@hypothetically(st.binary(max_size=60), st.sampled_from([UNI, MULTI, V2, PASS]), st.sampled_from([OURS, GROUP_IPV4]))
def test_examine_gives_a_value_or_bad_advert(pdu: bytes, plan: VrrpPlan, to: IPv4Address) -> None:  # C51
    with pytest.raises(BadAdvert):
        examine(Datagram("eth0", PEER, to, 255, pdu), plan)


@pytest.mark.parametrize(("plan", "advert"), [(UNI, ADVERT), (V2, OLD), (PASS, SECRET)], ids=["v3", "v2", "PASS"])
def test_no_single_bit_makes_another_advert(plan: VrrpPlan, advert: Advert) -> None:  # C51
    good = datagram(advert)
    for bit in range(8 * len(good.pdu)):
        pdu = bytearray(good.pdu)
        pdu[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadAdvert):
            examine(replace(good, pdu=bytes(pdu)), plan)
