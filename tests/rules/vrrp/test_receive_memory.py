"""What a receiver remembers: the form of checksum, marks, and adverts that it knows by heart. No refusal touches it."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules.vrrp.example import OTHER_VIP, OURS, PEER, PLAN, STRANGER, VIP

from firstmate.model.plan import Auth, ChecksumForm, HmacKey, HmacMode, HmacPlan, Transport, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp import ah, auth
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import GROUP_IPV4, TRAILER_OCTETS, Advert, BadAdvert, Refusal, attach, encode
from firstmate.vrrp.receive import ANSWERS_MAX, Datagram, Marks, Receiver, Remark, unwrap
from firstmate.vrrp.trailer import Signer

PSEUDO, PLAIN, GROUP, AUTO = ChecksumForm.PSEUDO, ChecksumForm.PLAIN, ChecksumForm.GROUP, ChecksumForm.AUTO
HMAC = HmacPlan((HmacKey(1, bytes(range(32))),), 1)
UTC_US: Micros = 1_700_000_000 * S
V2 = replace(PLAN, version=2)
PLANS = {
    "v3": PLAN,
    "v2": V2,
    "auto": replace(PLAN, checksum=AUTO),
    "multicast": replace(PLAN, transport=Transport.MULTICAST),
    "PASS": replace(V2, auth=Auth.PASS, auth_pass=b"abc"),
    "AH": replace(V2, auth=Auth.AH, auth_pass=b"abc"),
    "signed": replace(PLAN, hmac=HMAC),
    "permissive": replace(PLAN, checksum=AUTO, hmac=replace(HMAC, mode=HmacMode.PERMISSIVE)),
    "lenient": replace(PLAN, lenient=True, check_source=False),
}


def memory(receiver: Receiver) -> object:
    answers = {stem: (known.datagram, known.answer) for stem, known in receiver._answers.items()}
    return list(receiver._marks.items()), answers, receiver.form, receiver.skew_us, receiver.ah_sequence


def datagram(
    plan: VrrpPlan,
    advert: Advert,
    form: ChecksumForm = PSEUDO,
    source: IPv4Address = PEER,
    signer: Signer | None = None,
    utc_us: Micros = UTC_US,
) -> Datagram:
    """As a peer would send it that is configured as `plan` is."""
    to = GROUP_IPV4 if plan.transport is Transport.MULTICAST else OURS
    pdu = encode(advert, source, to, form)
    if auth.method(plan) is Auth.AH:
        return unwrap(ah.build(pdu, source, to, ah.ah_key(plan.auth_pass), utc_us // S), "eth0")
    if signer is not None:
        pdu = attach(pdu, signer.sign(pdu, source, utc_us), source, to)
    return Datagram("eth0", source, to, 255, pdu)


def usual(plan: VrrpPlan, priority: int = 101) -> Advert:
    return Advert(plan.version, 50, priority, plan.advert_interval_us, (VIP.ip,), *auth.fields(plan))


def test_auto_sends_what_it_heard_last() -> None:  # C47
    receiver = Receiver(PLANS["auto"])
    assert receiver.form is PSEUDO
    for form in (PLAIN, GROUP, PSEUDO, PLAIN, PLAIN, GROUP):  # the second time each is known by heart
        receiver.examine(datagram(PLAN, usual(PLAN), form), 0)
        assert receiver.form is form


@pytest.mark.parametrize("form", [PSEUDO, PLAIN, GROUP])
def test_a_configured_form_stays(form: ChecksumForm) -> None:
    receiver = Receiver(replace(PLAN, checksum=form))
    assert receiver.form is form
    receiver.examine(datagram(PLAN, usual(PLAN), form), 0)
    assert receiver.form is form


def test_a_reload_keeps_what_auto_learned() -> None:
    receiver = Receiver(PLANS["auto"])
    receiver.examine(datagram(PLAN, usual(PLAN), PLAIN), 0)
    receiver.adopt(replace(PLANS["auto"], priority=120))
    assert receiver.form is PLAIN
    receiver.adopt(PLAN)
    assert receiver.form is PSEUDO


def test_what_is_known_by_heart_is_forgotten_on_a_reload() -> None:
    receiver, found = Receiver(PLAN), datagram(PLAN, usual(PLAN))
    assert receiver.examine(found, 0) is receiver.examine(found, 0)
    receiver.adopt(replace(PLAN, vips=(OTHER_VIP,)))
    assert [one.code for one in receiver.examine(found, 0)[1]] == ["addresses-differ"]


def test_only_so_much_is_known_by_heart() -> None:
    receiver = Receiver(PLAN)
    for priority in range(1, 3 * ANSWERS_MAX):
        receiver.examine(datagram(PLAN, usual(PLAN, priority)), 0)
        assert len(receiver._answers) <= ANSWERS_MAX


def test_the_same_octets_from_elsewhere_are_not_known() -> None:  # version 2: the checksum covers no address
    receiver, found = Receiver(V2), datagram(V2, usual(V2))
    receiver.examine(found, 0)
    for other, wanted in (
        (replace(found, source=STRANGER), Refusal.UNKNOWN_SOURCE),
        (replace(found, source=OURS), Refusal.IGNORED),
        (replace(found, destination=GROUP_IPV4), Refusal.ADDRESS_LIST),
        (replace(found, interface="eth1"), Refusal.ADDRESS_LIST),
        (replace(found, udp=True), Refusal.ADDRESS_LIST),
        (replace(found, ah=bytes(44)), Refusal.AUTH_TYPE_MISMATCH),
    ):
        with pytest.raises(BadAdvert) as caught:
            receiver.examine(other, 0)
        assert caught.value.reason is wanted
    tight = Receiver(replace(V2, min_ttl=255))
    tight.examine(found, 0)
    with pytest.raises(BadAdvert, match="TTL 254, we want at least 255"):
        tight.examine(replace(found, ttl=254), 0)


def test_marks_forget_whom_they_heard_least_lately() -> None:
    marks: Marks[str] = Marks(2)
    marks.move("a", 1)
    marks.move("b", 2)
    marks.move("a", 3)
    marks.move("c", 4)
    assert list(marks.items()) == [("a", 3), ("c", 4)]


@pytest.mark.parametrize("name", PLANS)
def test_a_refused_advert_leaves_no_trace(name: str) -> None:  # C51, C52
    """Every bit of a good advert flipped, and what C22 to C44 are about, between two good ones."""
    plan = PLANS[name]
    signer = Signer(HMAC) if plan.hmac else None
    receiver = Receiver(plan)
    receiver.examine(datagram(plan, usual(plan), signer=signer), UTC_US)
    before = memory(receiver)
    good = datagram(plan, usual(plan, 102), signer=signer, utc_us=UTC_US + S)
    stripped = TRAILER_OCTETS if name == "permissive" else 0  # without its trailer it is a good one there
    cuts = [cut for cut in range(1, len(good.pdu) + 1) if cut != stripped]
    bad = [replace(good, pdu=good.pdu[: len(good.pdu) - cut]) for cut in cuts]
    bad += [replace(good, pdu=good.pdu + bytes(more)) for more in (1, 4, 28)]
    for bit in range(8 * len(good.pdu)):
        pdu = bytearray(good.pdu)
        pdu[bit // 8] ^= 1 << bit % 8
        bad.append(replace(good, pdu=bytes(pdu)))
    if plan.transport is Transport.MULTICAST:
        bad.append(replace(good, ttl=254))
    if plan.check_source and plan.transport is Transport.UNICAST:
        bad.append(datagram(plan, usual(plan), source=STRANGER, signer=signer, utc_us=UTC_US + S))
    bad.append(replace(good, interface="eth1"))
    bad.append(replace(good, destination=OURS if good.destination.is_multicast else GROUP_IPV4))
    bad.append(datagram(plan, replace(usual(plan), vrid=51), signer=signer, utc_us=UTC_US + S))
    for one in bad:
        with pytest.raises(BadAdvert):
            receiver.examine(one, UTC_US + S)
        assert memory(receiver) == before
    heard, _ = receiver.examine(good, UTC_US + S)
    assert heard.priority == 102
    assert memory(receiver) != before


def test_by_heart_or_not_the_answer_is_the_same() -> None:
    receiver = Receiver(PLANS["signed"])
    signer = Signer(HMAC)
    for n in range(4):
        found = datagram(PLANS["signed"], usual(PLAN), signer=signer, utc_us=UTC_US + n * S)
        assert receiver.examine(found, UTC_US + n * S) == (Heard(101, S, PEER), [])
    assert len(receiver._answers) == 1
    late = datagram(PLANS["signed"], usual(PLAN), signer=signer, utc_us=UTC_US + 4 * S)
    for at in (6, 7):  # the checksum is not signed, so that it must still be looked at
        spoilt = bytearray(late.pdu)
        spoilt[at] ^= 1
        with pytest.raises(BadAdvert, match="checksum_errors"):
            receiver.examine(replace(late, pdu=bytes(spoilt)), UTC_US + 4 * S)


Answer = tuple[Heard, list[Remark]] | Refusal


def answer(receiver: Receiver, found: Datagram, utc_us: Micros) -> Answer:
    try:
        return receiver.examine(found, utc_us)
    except BadAdvert as error:
        return error.reason


STEPS = st.tuples(
    st.sampled_from([0, 100, 101]),  # priority
    st.sampled_from([S, 2 * S]),  # interval
    st.sampled_from([(VIP.ip,), (OTHER_VIP.ip,), (OTHER_VIP.ip, VIP.ip), ()]),
    st.sampled_from([PEER, STRANGER, OURS]),
    st.sampled_from([PSEUDO, PLAIN, GROUP]),
    st.booleans(),  # signed
    st.sampled_from([0, 0, 0, -10 * S, -3 * S]),  # how wrong its clock is
    st.integers(-1, 40),  # octet to bend
)


@given(st.sampled_from(list(PLANS)), st.lists(STEPS, max_size=12))
def test_whatever_comes_a_forgetful_receiver_says_the_same(name: str, steps: list[tuple[Any, ...]]) -> None:  # C51, C52
    plan = PLANS[name]
    receiver, forgetful, signer = Receiver(plan), Receiver(plan), Signer(HMAC)
    for n, (priority, interval_us, ips, source, form, signs, ahead_us, bend) in enumerate(steps):
        utc_us = UTC_US + n * 100 * MS
        advert = Advert(plan.version, 50, priority, interval_us, ips, *auth.fields(plan))
        found = datagram(plan, advert, form, source, signer if signs else None, utc_us + ahead_us)
        if 0 <= bend < len(found.pdu):
            found = replace(found, pdu=found.pdu[:bend] + b"\x31" + found.pdu[bend + 1 :])
        before = memory(receiver)
        first = answer(receiver, found, utc_us)
        forgetful._answers.clear()
        assert answer(forgetful, found, utc_us) == first
        if isinstance(first, Refusal):
            assert memory(receiver) == before
