"""Decoder and receiver under any octets, in any order, with and without right checksums and signatures.

An input is one octet that chooses a virtual router, then datagrams of four octets (how it is made; who sends it and
what is wrong with it; TTL and time; length) and a PDU each. For every datagram: a verdict or `BadAdvert`, nothing
else; what is refused leaves no trace; and a receiver that knows adverts by heart says the same as one that does not.
"""

from dataclasses import replace
from ipaddress import ip_address

from firstmate.model.plan import Auth, ChecksumForm, HmacKey, HmacMode, HmacPlan, PathPlan, Transport, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp import ah, trailer
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import (
    GROUP_IPV4,
    GROUP_IPV6,
    HEADER_OCTETS,
    Address,
    BadAdvert,
    attach,
    check,
    checksum,
    decode,
    encode,
    read,
)
from firstmate.vrrp.receive import Datagram, Receiver, Remark, unwrap

OURS, PEER, STRANGER = map(ip_address, ("192.0.2.10", "192.0.2.77", "192.0.2.99"))
OURS6, PEER6, STRANGER6 = map(ip_address, ("fe80::10", "fe80::77", "2001:db8::99"))
VIP, VIP6 = Vip(ip_address("203.0.113.1"), 24, "eth0"), Vip(ip_address("fe80::50:1"), 64, "eth0")
KEYS = (HmacKey(1, bytes(range(32))), HmacKey(2, b"k" * 64))
SIGNED = HmacPlan(KEYS, 1)
STRANGE = HmacPlan((HmacKey(1, bytes(32)),), 1)
START_US: Micros = 1_700_000_000 * S

V4 = VrrpPlan("web", 50, 3, 100, S, "eth0", OURS, (VIP,), (PEER,))
V4_MULTI = replace(V4, transport=Transport.MULTICAST)
V6 = replace(V4, source=OURS6, vips=(VIP6,), peers=(PEER6,))
V6_MULTI = replace(V6, transport=Transport.MULTICAST)
V2 = replace(V4, version=2)
PLANS = (
    V4,
    V4_MULTI,
    V6,
    V6_MULTI,
    V2,
    replace(V4, checksum=ChecksumForm.AUTO, lenient=True),
    replace(V6_MULTI, lenient=True, priority=255),
    replace(V2, auth=Auth.PASS, auth_pass=b"secret"),
    replace(V2, auth=Auth.AH, auth_pass=b"secret"),
    replace(V2, auth=Auth.AH, auth_pass=b"secret", transport=Transport.MULTICAST),
    replace(V6, version=2),
    replace(V4, hmac=SIGNED),
    replace(V4_MULTI, hmac=replace(SIGNED, mode=HmacMode.PERMISSIVE), checksum=ChecksumForm.AUTO),
    replace(V6, hmac=replace(SIGNED, monotonic=True)),
    replace(V2, hmac=SIGNED, paths=(PathPlan(Transport.UDP, "eth0", OURS, (PEER,)),)),
    replace(V4, hmac=SIGNED, transport=Transport.UDP, check_source=False, min_ttl=254),
    replace(V4_MULTI, checksum=ChecksumForm.PLAIN, multicast_group=ip_address("224.0.0.99")),
    replace(V4, priority=255, owner_ignore_adverts=True),
)
DATAGRAMS_MAX = 12
FORMS = (ChecksumForm.PSEUDO, ChecksumForm.PLAIN, ChecksumForm.GROUP)

SEAL, SIGN, UDP, AH, MULTICAST, RAW = 1, 2, 4, 8, 16, 32  # bits of the first octet of a datagram; above: the form
FORGED, ODD_KEY, WRONG_CLOCK, AGAIN = 16, 32, 64, 128  # bits of the second; below: who


def examine_anything(data: bytes, kind: type[Receiver] = Receiver) -> None:
    if not data:
        return
    plan = PLANS[data[0] % len(PLANS)]
    receiver, forgetful = kind(plan), kind(plan)
    at, now_us, last = 1, START_US, None
    for _ in range(DATAGRAMS_MAX):
        head = data[at : at + 4]
        if len(head) < 4:
            return
        pdu = data[at + 4 : at + 4 + head[3]]
        at += 4 + head[3]
        now_us += (head[2] >> 1) * 100 * MS
        datagram = last if head[1] & AGAIN else _make(plan, head, pdu, now_us)
        if datagram is None:
            continue
        last = datagram
        before = _memory(receiver)
        answer = _answer(receiver, datagram, now_us)
        if isinstance(answer, BadAdvert):
            assert _memory(receiver) == before, f"{answer} left a trace"
        else:
            _check_heard(datagram, plan, answer)
        forgetful._answers.clear()
        again = _answer(forgetful, datagram, now_us)
        assert _comparable(again) == _comparable(answer), (again, answer)


def _answer(receiver: Receiver, datagram: Datagram, now_us: Micros) -> tuple[Heard, list[Remark]] | BadAdvert:
    try:
        return receiver.examine(datagram, now_us)
    except BadAdvert as error:
        return error


def _comparable(answer: tuple[Heard, list[Remark]] | BadAdvert) -> object:
    return (answer.reason, answer.detail) if isinstance(answer, BadAdvert) else answer


def _memory(receiver: Receiver) -> object:
    return (
        dict(receiver._marks),
        list(receiver._answers),
        receiver.form,
        receiver.skew_us,
        receiver.ah_sequence,
    )


def _make(plan: VrrpPlan, head: bytes, pdu: bytes, now_us: Micros) -> Datagram | None:
    """None: it does not even come to a receiver."""
    how, who, when, _ = head
    v6 = plan.family == 6
    source: Address = ((PEER, OURS, STRANGER), (PEER6, OURS6, STRANGER6))[v6][(who & 15) % 3]
    group: Address = plan.multicast_group or (GROUP_IPV6 if v6 else GROUP_IPV4)
    to = group if how & MULTICAST else plan.source
    if how & SEAL and len(pdu) >= HEADER_OCTETS:
        pdu = _seal(pdu, source, to, FORMS[(how >> 6) % len(FORMS)])
    if how & SIGN and len(pdu) >= HEADER_OCTETS:
        signer = trailer.Signer(STRANGE if who & FORGED else replace(SIGNED, active=1 + who % 2))
        made = signer.sign(pdu, source, now_us - (7 * S if who & WRONG_CLOCK else 0) - who % 4 * S)
        made = made[:1] + b"\x09" + made[2:] if who & ODD_KEY else made
        pdu = attach(pdu, made, source, to)
    if v6 or how & UDP:
        return Datagram("eth0", source, to, 255 if when & 1 else who, pdu, udp=bool(how & UDP))
    if how & AH:
        packet = ah.build(pdu, source, to, ah.ah_key(b"other" if who & FORGED else b"secret"), now_us // S + who)
    elif how & RAW:
        packet = pdu
    else:
        ends = source.packed + to.packed
        packet = bytes((0x45, 0xC0)) + (20 + len(pdu)).to_bytes(2) + bytes((0, 1, 0, 0, 255 if when & 1 else who, 112))
        packet += bytes(2) + ends + pdu
    try:
        return unwrap(packet, "eth0")
    except BadAdvert:
        return None


def _seal(pdu: bytes, source: Address, to: Address, form: ChecksumForm) -> bytes:
    bare = pdu[:6] + b"\0\0" + pdu[8:]
    before = b""
    if source.version == 6:
        before = source.packed + to.packed + len(bare).to_bytes(4) + (112).to_bytes(4)
    elif pdu[0] >> 4 == 3 and form is not ChecksumForm.PLAIN:
        to = GROUP_IPV4 if form is ChecksumForm.GROUP else to
        before = source.packed + to.packed + (112).to_bytes(2) + len(bare).to_bytes(2)
    return pdu[:6] + checksum(before + bare).to_bytes(2) + pdu[8:]


def _check_heard(datagram: Datagram, plan: VrrpPlan, answer: tuple[Heard, list[Remark]]) -> None:
    heard, _ = answer
    pdu, ends = datagram.pdu, (datagram.source, datagram.destination)
    assert heard.priority == pdu[2]
    assert pdu[1] == plan.vrid
    assert 10 * MS <= heard.interval_us <= 255 * S
    end, form = check(pdu, *ends, plan.checksum, version=plan.version, trailer=plan.hmac is not None)
    advert = read(pdu, plan.family)
    if pdu[4] >> 4 == 0 and advert.interval_us:
        again = encode(advert, *ends, form)
        again = attach(again, pdu[end:], *ends) if len(pdu) > end else again
        said = int.from_bytes(pdu[6:8]) % 0xFFFF  # 0xffff and 0x0000 are the same sum
        assert (again[:6], again[8:], int.from_bytes(again[6:8]) % 0xFFFF) == (pdu[:6], pdu[8:], said)
        if len(pdu) == end:
            assert decode(again, *ends, form) == advert
