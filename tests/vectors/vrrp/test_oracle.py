"""Our encoder and a decoder that shares nothing with it, on 10,000 adverts of every kind."""

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from tests.vectors.vrrp.oracle import SeenAdvert, icv, judge, mac

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, ChecksumForm, HmacKey, HmacPlan, Transport, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp import ah, auth, trailer
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6, PROTOCOL, TOS, TTL, Advert, attach, checksum, encode
from firstmate.vrrp.receive import Datagram, Receiver, unwrap

ADVERTS, SEED = 10_000, 2026
FORM_NAMES = {ChecksumForm.PSEUDO: "pseudo4", ChecksumForm.PLAIN: "plain", ChecksumForm.GROUP: "pseudo4-mcast-dst"}
ETHERNET = bytes.fromhex("01005e000012020000000001")


def address(rng: random.Random, family: int) -> Address:
    if family == 4:
        return IPv4Address(rng.randrange(1 << 24, 224 << 24))
    return IPv6Address((0xFE80 << 112) + rng.getrandbits(64))


def frame(source: Address, to: Address, payload: bytes) -> bytes:
    if source.version == 6:
        head = bytes((0x6C, 0, 0, 0)) + len(payload).to_bytes(2) + bytes((PROTOCOL, TTL))
        return ETHERNET + b"\x86\xdd" + head + source.packed + to.packed + payload
    head = bytes((0x45, TOS)) + (20 + len(payload)).to_bytes(2) + bytes((0, 7, 0, 0, TTL, PROTOCOL, 0, 0))
    head += source.packed + to.packed
    return ETHERNET + b"\x08\0" + head[:10] + checksum(head).to_bytes(2) + head[12:] + payload


def drawn_plan(rng: random.Random) -> VrrpPlan:
    """Of the sender."""
    family, version = rng.choice((4, 6)), rng.choice((2, 3))
    plan = VrrpPlan(
        name="web",
        vrid=rng.randint(1, 255),
        version=version,
        priority=rng.randint(1, 255),
        advert_interval_us=rng.randint(1, 255) * S if version == 2 else rng.randint(1, 4095) * 10 * MS,
        interface="eth0",
        source=address(rng, family),
        vips=tuple(Vip(address(rng, family), 24, "eth0") for _ in range(rng.choice((1, 1, 2, 3, 8)))),
        peers=(address(rng, family),),
        transport=rng.choice((Transport.UNICAST, Transport.MULTICAST)),
        checksum=rng.choice(tuple(FORM_NAMES)),
    )
    if rng.random() < 0.3:
        key = HmacKey(rng.randint(1, 255), rng.randbytes(rng.randint(32, 64)))
        return replace(plan, hmac=HmacPlan((key,), key.id))
    if version == 2 and rng.random() < 0.6:
        methods = (Auth.PASS, Auth.AH) if family == 4 else (Auth.NONE,)
        return replace(plan, auth=rng.choice(methods), auth_pass=rng.randbytes(rng.randint(1, 8)).strip(b"\0"))
    return plan


def peer_of(plan: VrrpPlan) -> VrrpPlan:
    return replace(plan, source=plan.peers[0], peers=(plan.source,))


def compare(plan: VrrpPlan, advert: Advert, to: Address, sent: bytes, judged: SeenAdvert) -> None:
    assert (judged.source, judged.destination) == (str(plan.source), str(to))
    assert (judged.ttl, judged.tos, judged.fragment) == (TTL, TOS, 0)  # C11, C12
    assert (judged.version, judged.kind, judged.vrid) == (plan.version, 1, plan.vrid)
    assert (judged.priority, judged.interval_us) == (advert.priority, plan.advert_interval_us)
    assert judged.addresses == tuple(str(vip.ip) for vip in plan.vips)
    kind, data = (-1, "") if plan.version == 3 else (advert.auth_type, advert.auth_data.hex())
    assert (judged.auth_type, judged.auth_data) == (kind, data if plan.family == 4 else "")
    if plan.family == 6:
        assert judged.checksum_ok_with == ("pseudo6",)
    elif plan.version == 2:
        assert judged.checksum_ok_with[0] == "plain"
    else:
        name = FORM_NAMES[plan.checksum]
        assert ("pseudo4" if to == GROUP_IPV4 and name != "plain" else name) in judged.checksum_ok_with
    if auth.method(plan) is Auth.AH:
        assert judged.ah[24:] == icv(sent, plan.auth_pass, ttl_kept=plan.transport is Transport.MULTICAST)
    if plan.hmac is not None:
        assert judged.trailer[24:] == mac(sent, plan.hmac.active_key.value)


def test_ten_thousand_adverts_mean_the_same_to_both() -> None:  # C1..C7, C11..C15, C17..C19
    rng = random.Random(SEED)
    kinds: set[tuple[object, ...]] = set()
    for n in range(ADVERTS):
        plan = drawn_plan(rng)
        multicast = plan.transport is Transport.MULTICAST
        to: Address = (GROUP_IPV4 if plan.family == 4 else GROUP_IPV6) if multicast else plan.peers[0]
        priority = rng.choice((0, plan.priority))
        ips = tuple(vip.ip for vip in plan.vips)
        advert = Advert(plan.version, plan.vrid, priority, plan.advert_interval_us, ips, *auth.fields(plan))
        pdu = encode(advert, plan.source, to, plan.checksum)
        now_us: Micros = 1_700_000_000 * S + n
        if plan.hmac is not None:
            pdu = attach(pdu, trailer.Signer(plan.hmac).sign(pdu, plan.source, now_us), plan.source, to)
        sent = frame(plan.source, to, pdu)
        if auth.method(plan) is Auth.AH:
            sent = ETHERNET + b"\x08\0" + ah.build(pdu, plan.source, to, ah.ah_key(plan.auth_pass), n + 1)
        judged = judge(sent)
        assert isinstance(judged, SeenAdvert)
        compare(plan, advert, to, sent, judged)
        found = unwrap(sent[14:], "eth0") if plan.family == 4 else Datagram("eth0", plan.source, to, TTL, pdu)
        heard, _ = Receiver(peer_of(plan)).examine(found, now_us)
        assert heard == Heard(priority, plan.advert_interval_us, plan.source)
        kinds.add((plan.family, plan.version, multicast, auth.method(plan), plan.hmac is not None, plan.checksum))
    assert len(kinds) == 2 * 2 * 2 * 2 * 3 + 2 * 2 * 3  # with and without HMAC; and PASS and AH of version 2 IPv4
