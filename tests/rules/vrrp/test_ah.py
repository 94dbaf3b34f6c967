from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.units import S
from firstmate.vrrp.ah import SEQUENCE_MAX, AhSequence, ah_key, build, verify
from firstmate.vrrp.packet import GROUP_IPV4, Advert, BadAdvert, Refusal, checksum, encode

A, B = map(IPv4Address, ("192.0.2.11", "192.0.2.12"))
KEY = ah_key(b"ahsecret")
PDU = encode(Advert(2, 7, 150, S, (IPv4Address("198.51.100.91"),), 2), A, GROUP_IPV4)
UTC_US = 1_700_000_000 * S


def test_the_first_multicast_advert_of_keepalived() -> None:  # C18, C11
    packet = build(PDU, A, GROUP_IPV4, KEY, 1)
    assert packet[20:44].hex() == "70040000" + "c000020b" + "00000001" + "18063c96e2df4626a28b7ab0"
    assert packet[44:] == PDU
    header = packet[:20]
    assert (header[0], header[1], header[8], header[9]) == (0x45, 0xC0, 255, 51)
    assert (int.from_bytes(header[2:4]), header[4:6], header[6:8]) == (len(packet), b"\0\1", b"\0\0")
    assert (header[12:16], header[16:20]) == (A.packed, GROUP_IPV4.packed)
    assert checksum(header) == 0


def test_a_resignation_differs_in_priority_and_what_follows_from_it() -> None:  # C20
    last = encode(Advert(2, 7, 0, S, (IPv4Address("198.51.100.91"),), 2), A, GROUP_IPV4)
    before, after = build(PDU, A, GROUP_IPV4, KEY, 1), build(last, A, GROUP_IPV4, KEY, 2)
    differing = {at for at in range(len(before)) if before[at] != after[at]}
    assert differing <= {
        4,
        5,
        10,
        11,
        *range(28, 44),
        46,
        50,
        51,
    }  # IP id and checksum, sequence and ICV; priority, checksum
    assert after[46] == 0


def test_in_unicast_the_ttl_may_change_on_the_way() -> None:  # C19
    sent = build(PDU, A, B, KEY, 1)
    assert verify(sent[:8] + b"\x40" + sent[9:44], PDU, KEY, None) == 1
    assert build(PDU, A, B, KEY, 1, ttl=64)[32:44] == sent[32:44]


def test_in_multicast_it_may_not() -> None:  # C19
    sent = build(PDU, A, GROUP_IPV4, KEY, 1)
    with pytest.raises(BadAdvert, match="another AH password"):
        verify(sent[:8] + b"\x40" + sent[9:44], PDU, KEY, None)


@pytest.mark.parametrize(
    ("sequence", "identification"), [(1, 1), (65_535, 65_535), (65_536, 1), (1_700_000_000, 22_100)]
)
def test_the_identification_is_never_0(sequence: int, identification: int) -> None:  # the kernel would choose one
    packet = build(PDU, A, B, KEY, sequence)
    assert int.from_bytes(packet[4:6]) == identification


def test_keys_are_cut_and_padded_to_8_octets() -> None:
    assert build(PDU, A, B, ah_key(b"ahsecret9"), 1) == build(PDU, A, B, KEY, 1)
    assert build(PDU, A, B, ah_key(b"ah1"), 1) == build(PDU, A, B, ah_key(b"ah1\0\0\0\0\0"), 1)


def test_what_changes_on_the_way_is_not_covered() -> None:
    sent = bytearray(build(PDU, A, B, KEY, 1)[:44])
    sent[1], sent[6:8], sent[10:12] = 0x12, b"\x40\0", b"\xaa\xbb"  # TOS, flags, header checksum
    assert verify(bytes(sent), PDU, KEY, None) == 1


@pytest.mark.parametrize(
    ("mark", "refused"), [(None, False), (41, False), (42, True), (43, True), (SEQUENCE_MAX, True)]
)
def test_the_sequence_must_grow(mark: int | None, refused: bool) -> None:  # C42
    sent = build(PDU, A, B, KEY, 42)[:44]
    if not refused:
        assert verify(sent, PDU, KEY, mark) == 42
        return
    with pytest.raises(BadAdvert, match=f"heard before: AH sequence 42 after {mark}") as caught:
        verify(sent, PDU, KEY, mark)
    assert caught.value.reason is Refusal.AUTH_FAILURE


def test_the_spi_must_be_the_source() -> None:  # C42
    sent = build(PDU, A, B, KEY, 1)
    theirs = sent[:24] + B.packed + sent[28:32]
    icv = KEY.digest(
        sent[:1] + b"\0" + sent[2:8] + b"\0" + sent[9:10] + b"\0\0" + sent[12:20] + theirs[20:] + bytes(12) + PDU
    )
    with pytest.raises(BadAdvert, match=r"AH of 192\.0\.2\.12, not of its source") as caught:
        verify(theirs + icv[:12], PDU, KEY, None)
    assert caught.value.reason is Refusal.AUTH_FAILURE


@pytest.mark.parametrize(("to", "ttl"), [(B, 0), (GROUP_IPV4, 255)])
def test_ip_options_are_covered_as_they_were_sent(to: IPv4Address, ttl: int) -> None:  # C46
    sent = build(PDU, A, to, KEY, 3)
    longer = b"\x46" + sent[1:20] + b"\x94\x04\0\0" + sent[20:32]
    still = b"\x46\0" + longer[2:6] + b"\0\0" + bytes([ttl]) + b"\x33\0\0" + longer[12:]
    icv = KEY.digest(still + bytes(12) + PDU)[:12]
    assert verify(longer + icv, PDU, KEY, None) == 3
    with pytest.raises(BadAdvert, match="another AH password"):
        verify(longer[:20] + b"\x94\x04\0\1" + longer[24:] + icv, PDU, KEY, None)


def test_the_icv_is_looked_at_first() -> None:
    sent = build(PDU, A, B, KEY, 1)
    with pytest.raises(BadAdvert, match="another AH password"):
        verify(sent[:24] + B.packed + sent[28:44], PDU, KEY, 99)


def test_no_single_bit_may_change() -> None:
    sent = build(PDU, A, B, KEY, 7)
    mutable = {1, 6, 7, 8, 10, 11}
    for at in range(len(sent)):
        for bit in range(8):
            bent = bytearray(sent)
            bent[at] ^= 1 << bit
            if at in mutable:
                assert verify(bytes(bent[:44]), bytes(bent[44:]), KEY, None) == 7
                continue
            with pytest.raises(BadAdvert):
                verify(bytes(bent[:44]), bytes(bent[44:]), KEY, None)


def test_sequences_begin_with_the_time_and_only_grow() -> None:
    sequence = AhSequence()
    assert [sequence.next(UTC_US) for _ in range(3)] == [1_700_000_000, 1_700_000_001, 1_700_000_002]
    assert sequence.next(UTC_US - 3600 * S) == 1_700_000_003
    assert sequence.next(UTC_US + 100 * S) == 1_700_000_100


def test_sequences_end_where_the_field_ends() -> None:
    assert AhSequence().next(0) == 1  # of a host without a clock
    sequence = AhSequence()
    sequence.heard(0xFFFF_FFFE)
    assert [sequence.next(UTC_US) for _ in range(2)] == [0xFFFF_FFFF, 0xFFFF_FFFF]
    assert build(PDU, A, B, KEY, 0xFFFF_FFFF)[28:32] == b"\xff\xff\xff\xff"


def test_sequences_stay_above_what_was_heard() -> None:  # keepalived has one counter for what it hears and says
    sequence = AhSequence()
    sequence.heard(1_800_000_000)
    sequence.heard(5)
    assert sequence.next(UTC_US) == 1_800_000_001


@given(st.lists(st.integers(0, 1 << 52), min_size=1, max_size=20))
def test_sequences_fit_and_never_fall(times: list[int]) -> None:
    sequence = AhSequence()
    found = [sequence.next(utc_us) for utc_us in times]
    assert all(a < b or a == b == SEQUENCE_MAX for a, b in pairwise(found))
    assert all(0 <= one <= SEQUENCE_MAX for one in found)
