"""The simulator's own reading of signatures, against the sender that the routers use."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from tests.rules.sim.example import ROUTER, STRONG, WEAK

from firstmate.model.plan import Auth, ChecksumForm, HmacKey, HmacMode, HmacPlan, Transport, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.sim import hearing
from firstmate.sim.hearing import Witness
from firstmate.sim.parcel import Parcel
from firstmate.sim.parcel import parcel as wrap
from firstmate.vrrp.receive import Datagram, unwrap
from firstmate.vrrp.sender import Sender

KEYS = (HmacKey(1, b"1" * 32), HmacKey(2, b"2" * 32))
NOW: Micros = 1_790_000_000 * S
PLAIN = replace(ROUTER, source=WEAK, peers=(STRONG,))  # who listens
SIGNED = replace(PLAIN, hmac=HmacPlan(KEYS, 1, window_us=2 * S))
WITH_AH = replace(PLAIN, version=2, advert_interval_us=S, auth=Auth.AH, auth_pass=b"secret")


def mode(name: HmacMode, **more: object) -> VrrpPlan:
    return replace(SIGNED, hmac=HmacPlan(KEYS, 1, name, 2 * S, **more))  # type: ignore[arg-type]


def said(of: VrrpPlan, at_us: Micros = NOW) -> Parcel:
    """An advert of the strong one, by a sender that begins anew."""
    (one,) = Sender(replace(of, source=STRONG, peers=(WEAK,)), 7113).adverts(200, at_us)
    if one.whole:
        return wrap(unwrap(one.pdu, "eth0"), 0, one.pdu)
    udp = one.transport is Transport.UDP
    return wrap(Datagram("eth0", STRONG, WEAK, 255, one.pdu, udp), 0)


@pytest.mark.parametrize(("listens", "given", "at_us", "good"), [
    (PLAIN,                       said(PLAIN),                                       NOW,          True),
    (PLAIN,                       said(SIGNED),                                      NOW,          False),
    (SIGNED,                      said(SIGNED),                                      NOW,          True),
    (SIGNED,                      said(SIGNED),                                      NOW + 2 * S,  True),
    (SIGNED,                      said(SIGNED),                                      NOW + 3 * S,  False),
    (SIGNED,                      said(SIGNED),                                      NOW - 3 * S,  False),
    (mode(HmacMode.ENFORCE, monotonic=True), said(SIGNED),                           NOW + 99 * S, True),
    (SIGNED,                      said(PLAIN),                                       NOW,          False),
    (mode(HmacMode.PERMISSIVE),   said(PLAIN),                                       NOW,          True),
    (mode(HmacMode.RECEIVE_ONLY), said(SIGNED),                                      NOW,          True),
    (replace(SIGNED, hmac=HmacPlan(KEYS[1:], 2)), said(SIGNED),                      NOW,          False),
    (WITH_AH,                     said(WITH_AH),                                     NOW,          True),
    (WITH_AH,                     said(replace(WITH_AH, auth=Auth.NONE)),            NOW,          False),
    (PLAIN,                       said(WITH_AH),                                     NOW,          False),
    (PLAIN,                       said(replace(PLAIN, checksum=ChecksumForm.PLAIN)), NOW,          False),
    (replace(PLAIN, checksum=ChecksumForm.AUTO), said(replace(PLAIN, checksum=ChecksumForm.PLAIN)), NOW, True),
    (replace(SIGNED, transport=Transport.UDP), said(replace(SIGNED, transport=Transport.UDP)), NOW, True),
    (PLAIN,                       replace(said(PLAIN), intact=False),                NOW,          False),
])  # fmt: skip
def test_what_is_good(listens: VrrpPlan, given: Parcel, at_us: Micros, *, good: bool) -> None:
    assert Witness().accepts(listens, given, at_us) is good


@pytest.mark.parametrize("plan", [SIGNED, WITH_AH])
def test_nothing_is_good_twice(plan: VrrpPlan) -> None:
    witness = Witness()
    old, new = said(plan, NOW - S), said(plan)
    assert [witness.accepts(plan, one, NOW) for one in (old, new, new, old)] == [True, True, False, False]


def test_a_mark_that_is_too_old_is_forgotten() -> None:
    """The clock of both was put back."""
    witness = Witness()
    assert witness.accepts(SIGNED, said(SIGNED), NOW)
    assert witness.accepts(SIGNED, said(SIGNED, NOW - 60 * S), NOW - 60 * S)


@pytest.mark.parametrize(("speaks", "listens", "apart_us", "hears"), [
    (PLAIN,                       PLAIN,                       0,      True),
    (PLAIN,                       SIGNED,                      0,      False),
    (SIGNED,                      PLAIN,                       0,      False),
    (SIGNED,                      SIGNED,                      2 * S,  True),
    (SIGNED,                      SIGNED,                      -3 * S, False),
    (mode(HmacMode.RECEIVE_ONLY), SIGNED,                      0,      False),
    (SIGNED,                      mode(HmacMode.RECEIVE_ONLY), 0,      True),
    (mode(HmacMode.RECEIVE_ONLY), mode(HmacMode.PERMISSIVE),   99 * S, True),
    (SIGNED, mode(HmacMode.ENFORCE, monotonic=True),           99 * S, True),
    (replace(SIGNED, hmac=HmacPlan(KEYS, 2)), replace(SIGNED, hmac=HmacPlan(KEYS[:1], 1)), 0, False),
])  # fmt: skip
def test_who_may_hear_whom(speaks: VrrpPlan, listens: VrrpPlan, apart_us: Micros, *, hears: bool) -> None:
    assert hearing.may_hear(speaks, listens, apart_us) is hears


def test_who_demands_what_is_new() -> None:
    assert hearing.demands_freshness(SIGNED)
    assert hearing.demands_freshness(WITH_AH)
    assert not hearing.demands_freshness(PLAIN)
    assert not hearing.demands_freshness(mode(HmacMode.PERMISSIVE))


def test_octets_that_differ_are_another_advert() -> None:
    one, other = said(PLAIN), said(replace(PLAIN, advert_interval_us=2 * S))
    assert one.said == said(PLAIN).said != other.said
    assert wrap(replace(one.datagram, source=IPv4Address("192.0.2.99")), 0).said != one.said
