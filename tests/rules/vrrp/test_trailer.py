from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.addresses import Address
from firstmate.model.plan import ChecksumForm, HmacKey, HmacMode, HmacPlan
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.packet import Advert, BadAdvert, Refusal, attach, encode
from firstmate.vrrp.trailer import Signer, Verifier, describe_skew, is_later, is_stale, sequence_at, skew_us

A, B = map(IPv4Address, ("198.51.100.10", "198.51.100.20"))
A6, B6 = map(IPv6Address, ("fe80::10", "fe80::20"))
PLAN = HmacPlan((HmacKey(1, bytes(range(32))), HmacKey(7, b"k" * 64)), 1)
MONOTONIC = replace(PLAN, monotonic=True)
REFERENCE = 0x6800000080000000
UTC_US: Micros = (REFERENCE >> 32) * S + S // 2
PDU = encode(Advert(3, 51, 200, S, (IPv4Address("192.0.2.100"),)), A, B)
# fmt: off
REFERENCES = {  # keepalived's own test vectors; the IPv4 one has the plain checksum
    "IPv4": (A,  B,  "192.0.2.100", "3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265"),
    "IPv6": (A6, B6, "fe80::100",   "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78"),
}
# fmt: on


@pytest.mark.parametrize(("source", "to", "vip", "wanted"), REFERENCES.values(), ids=REFERENCES)
def test_signed_as_keepalived_signs(source: Address, to: Address, vip: str, wanted: str) -> None:
    pdu = encode(Advert(3, 51, 200, S, (type(source)(vip),)), source, to, ChecksumForm.PLAIN)
    trailer = Signer(PLAN).sign(pdu, source, UTC_US)
    assert attach(pdu, trailer, source, to).hex() == wanted  # over IPv6 with the trailer in the checksum
    assert Verifier(PLAN).verify(pdu, trailer, source, UTC_US, None) == REFERENCE


def test_over_ipv4_the_checksum_leaves_the_trailer_out() -> None:
    assert attach(PDU, b"x" * 28, A, B) == PDU + b"x" * 28


def test_copies_share_a_trailer() -> None:  # C14: they differ in destination and checksum
    signer = Signer(PLAN)
    trailer = signer.sign(PDU, A, UTC_US)
    other = encode(Advert(3, 51, 200, S, (IPv4Address("192.0.2.100"),)), A, IPv4Address("198.51.100.30"))
    assert other != PDU
    assert Verifier(PLAN).verify(other, trailer, A, UTC_US, None) == signer.last


def test_a_resignation_differs_in_priority_and_trailer_only() -> None:  # C20
    signer = Signer(PLAN)
    last = encode(Advert(3, 51, 0, S, (IPv4Address("192.0.2.100"),)), A, B)
    before, after = (attach(pdu, signer.sign(pdu, A, UTC_US), A, B) for pdu in (PDU, last))
    assert {at for at in range(len(before)) if before[at] != after[at]} <= {2, 6, 7, *range(16, 40)}


# fmt: off
SEQUENCES = {  # the last one, the clock, the next one
    "the first":                        (None,                    UTC_US,            REFERENCE),
    "the clock went on":                (REFERENCE,               UTC_US + S,        REFERENCE + (1 << 32)),
    "the same moment":                  (REFERENCE,               UTC_US,            REFERENCE + 1),
    "the clock went back a little":     (REFERENCE,               UTC_US - 4 * S,    REFERENCE + 1),
    "as far as the window":             (REFERENCE,               UTC_US - 5 * S,    REFERENCE + 1),
    "farther than the window":          (REFERENCE,               UTC_US - 6 * S,    REFERENCE - (6 << 32)),
    "the seconds wrap in 2106":         (0xFFFFFFFF_FFFF_FFFF,    ((1 << 32) - 1) * S, 0),
}
# fmt: on


@pytest.mark.parametrize(("last", "utc_us", "wanted"), SEQUENCES.values(), ids=SEQUENCES)
def test_sequence(last: int | None, utc_us: Micros, wanted: int) -> None:
    signer = Signer(PLAN)
    signer.last = last
    assert signer.next(utc_us) == wanted
    assert signer.last == wanted


def test_a_monotonic_sequence_never_falls() -> None:
    signer = Signer(MONOTONIC)
    signer.last = REFERENCE
    assert signer.next(UTC_US - 3600 * S) == REFERENCE + 1


def test_new_keys_go_on_with_the_sequence() -> None:
    signer = Signer(PLAN)
    signer.sign(PDU, A, UTC_US)
    signer.adopt(replace(PLAN, active=7))
    trailer = signer.sign(PDU, A, UTC_US)
    assert trailer[1] == 7
    assert Verifier(PLAN).verify(PDU, trailer, A, UTC_US, REFERENCE) == REFERENCE + 1


def signed(utc_us: Micros = UTC_US, plan: HmacPlan = PLAN) -> bytes:
    return Signer(plan).sign(PDU, A, utc_us)


def bent(at: int, octet: int) -> bytes:
    good = signed()
    return good[:at] + bytes([octet]) + good[at + 1 :]


# fmt: off
STRANGE = HmacPlan((HmacKey(8, bytes(32)),), 8)
OTHER = HmacPlan((HmacKey(1, bytes(32)),), 1)
OLD = UTC_US - 6 * S
REFUSED = {  # C50: each reason, then the order of two
    "type 2":               (bent(0, 2),                  None,      Refusal.AUTH_EXT_MALFORMED,    "type 2"),
    "reserved 1":           (bent(3, 1),                  None,      Refusal.AUTH_EXT_MALFORMED,    "reserved 0001"),
    "reserved 256":         (bent(2, 1),                  None,      Refusal.AUTH_EXT_MALFORMED,    "reserved 0100"),
    "6 s old":              (signed(OLD),                 None,      Refusal.AUTH_EXT_STALE,        "its clock is 6.0 s behind ours, 5.0 s is what we bear"),
    "6 s ahead":            (signed(UTC_US + 6 * S),      None,      Refusal.AUTH_EXT_STALE,        "its clock is 6.0 s ahead of ours"),
    "key 8":                (signed(plan=STRANGE),        None,      Refusal.AUTH_EXT_UNKNOWN_KEY,  "signed with key 8, ours: 1 7"),
    "another key 1":        (signed(plan=OTHER),          None,      Refusal.AUTH_EXT_INVALID_HMAC, "another key 1"),
    "the last bit":         (bent(27, signed()[27] ^ 1),  None,      Refusal.AUTH_EXT_INVALID_HMAC, "or changed"),
    "heard before":         (signed(),                    REFERENCE, Refusal.AUTH_EXT_REPLAY,       "heard before"),
    "malformed, then stale":   (b"\2" + signed(OLD)[1:],              None,      Refusal.AUTH_EXT_MALFORMED,    ""),
    "stale, then unknown":     (signed(OLD, STRANGE),                 None,      Refusal.AUTH_EXT_STALE,        ""),
    "unknown, then invalid":   (b"\1\x09" + signed()[2:],             None,      Refusal.AUTH_EXT_UNKNOWN_KEY,  ""),
    "invalid, then replay":    (signed(plan=OTHER),                   REFERENCE, Refusal.AUTH_EXT_INVALID_HMAC, ""),
}
# fmt: on


@pytest.mark.parametrize(("trailer", "mark", "reason", "says"), REFUSED.values(), ids=REFUSED)
def test_refused(trailer: bytes, mark: int | None, reason: Refusal, says: str) -> None:
    with pytest.raises(BadAdvert) as caught:
        Verifier(PLAN).verify(PDU, trailer, A, UTC_US, mark)
    assert caught.value.reason is reason
    assert says in caught.value.detail


def test_everything_that_is_signed_counts() -> None:
    verifier, trailer = Verifier(PLAN), signed()
    for at in [*range(6), *range(8, len(PDU))]:
        changed = PDU[:at] + bytes([PDU[at] ^ 1]) + PDU[at + 1 :]
        with pytest.raises(BadAdvert, match="or changed"):
            verifier.verify(changed, trailer, A, UTC_US, None)
    with pytest.raises(BadAdvert, match="or changed"):
        verifier.verify(PDU, trailer, B, UTC_US, None)


def test_a_mark_outside_the_window_expires() -> None:
    """A sender whose clock was ahead is heard again when it has been put right."""
    verifier, trailer = Verifier(PLAN), signed()
    ahead = REFERENCE + (6 << 32)
    assert verifier.verify(PDU, trailer, A, UTC_US, ahead) == REFERENCE
    with pytest.raises(BadAdvert):
        verifier.verify(PDU, trailer, A, UTC_US, REFERENCE + (5 << 32))


def test_monotonic_looks_at_no_clock() -> None:
    verifier, trailer = Verifier(MONOTONIC), signed()
    later = UTC_US + 1_000_000 * S
    assert verifier.verify(PDU, trailer, A, later, None) == REFERENCE
    assert verifier.verify(PDU, trailer, A, later, REFERENCE - 1) == REFERENCE
    with pytest.raises(BadAdvert) as caught:
        verifier.verify(PDU, trailer, A, later, REFERENCE)
    assert caught.value.reason is Refusal.AUTH_EXT_REPLAY


@pytest.mark.parametrize("mode", HmacMode)
def test_only_enforce_demands_a_trailer(mode: HmacMode) -> None:
    assert Verifier(replace(PLAN, mode=mode)).demands is (mode is HmacMode.ENFORCE)


def test_a_trailer_of_another_length_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Verifier(PLAN).verify(PDU, bytes(27), A, UTC_US, None)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (-7_300 * MS, "its clock is 7.3 s behind ours"),
        (3 * 86_400 * S, "its clock is 3 d 0 h ahead of ours"),
        (0, "its clock is 0.0 ms ahead of ours"),
    ],
)
def test_skew_in_words(us: Micros, text: str) -> None:
    assert describe_skew(us) == text


def test_whole_seconds_are_compared() -> None:  # as keepalived does
    assert not is_stale(sequence_at(100 * S), 105 * S + 999_999, 5 * S)
    assert is_stale(sequence_at(100 * S + 999_999), 106 * S, 5 * S)
    assert not is_stale(sequence_at(3 * S), ((1 << 32) - 2) * S, 5 * S)  # across the wrap of 2106
    assert not is_stale(sequence_at(((1 << 32) - 2) * S), 3 * S, 5 * S)


@given(st.integers(0, 1 << 51), st.integers(-3600 * S, 3600 * S))
def test_skew_is_what_was_between_the_clocks(utc_us: Micros, ahead_us: Micros) -> None:
    found = skew_us(sequence_at(utc_us + ahead_us + 3600 * S), utc_us + 3600 * S)
    assert abs(found - ahead_us) <= 32  # two roundings to 1/65536 s


@pytest.mark.parametrize("years", [-60, -20, 20, 60])
def test_skew_of_a_clock_that_was_never_set(years: int) -> None:
    far_us = years * 366 * 86_400 * S
    assert skew_us(sequence_at(UTC_US + far_us), UTC_US) == far_us


def test_half_a_circle_apart_nobody_is_later() -> None:
    assert not is_later(1 << 63, 0)
    assert not is_later(0, 1 << 63)
    assert skew_us((1 << 63) + sequence_at(UTC_US) - (1 << 64), UTC_US) == -(1 << 31) * S


@given(st.integers(0, (1 << 64) - 1), st.integers(1, (1 << 63) - 1))
def test_serial_order(sequence: int, step: int) -> None:
    following = (sequence + step) % (1 << 64)
    assert is_later(following, sequence)
    assert not is_later(sequence, following)
    assert not is_later(sequence, sequence)


@given(st.lists(st.integers(-20 * S, 20 * S), min_size=1, max_size=20))
def test_whatever_the_clock_does_the_peers_hear_us(jumps: list[Micros]) -> None:
    """Clocks of sender and receiver are one here, and jump. Nothing that the sender says is refused."""
    signer, verifier, utc_us = Signer(PLAN), Verifier(PLAN), UTC_US
    mark: int | None = None
    for jump in jumps:
        utc_us += jump
        mark = verifier.verify(PDU, signer.sign(PDU, A, utc_us), A, utc_us, mark)
