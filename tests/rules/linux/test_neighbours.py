from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st
from tests.vectors.vrrp.captures import gratuitous_arps, neighbour_adverts

from firstmate.linux import neighbours
from firstmate.linux.neighbours import Claim, gratuitous_arp, read_claim, unsolicited_advertisement
from firstmate.vrrp.packet import checksum

CAPTURED, CAPTURED6 = gratuitous_arps(), neighbour_adverts()
IP, IP6 = IPv4Address("198.51.100.1"), IPv6Address("fe80::5d:1")
MAC = bytes.fromhex("02000000000a")
OTHER = bytes.fromhex("02000000000b")


def test_vectors_are_there() -> None:
    assert (len(CAPTURED), sum(one.times for one in CAPTURED)) == (74, 891)
    assert (len(CAPTURED6), sum(one.times for one in CAPTURED6)) == (74, 218)


def test_gratuitous_arp_is_what_keepalived_and_frr_send() -> None:  # C85, its octets
    for seen in CAPTURED:
        assert gratuitous_arp(seen.ip, seen.mac) == seen.frame, str(seen)
        assert read_claim(seen.frame) == Claim(seen.ip, seen.mac), str(seen)


def test_unsolicited_advertisement_is_what_keepalived_and_frr_send() -> None:  # C86
    for seen in CAPTURED6:
        assert unsolicited_advertisement(seen.ip, seen.mac, router=seen.router) == seen.frame, str(seen)
        assert read_claim(seen.frame) == Claim(seen.ip, seen.mac), str(seen)


def test_gratuitous_arp_of_the_worked_example() -> None:  # reference/vrrp.md, section 12
    wanted = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a c6336401 ffffffffffff c6336401"
    frame = gratuitous_arp(IP, MAC)
    assert (frame, len(frame)) == (bytes.fromhex(wanted), 42)


def test_unsolicited_advertisement_of_the_worked_example() -> None:  # C86
    frame = unsolicited_advertisement(IP6, MAC, router=True)
    assert len(frame) == 86
    assert frame[:14] == bytes.fromhex("333300000001 02000000000a 86dd")
    assert frame[14:22] == bytes.fromhex("60000000 0020 3a ff")
    assert (frame[22:38], frame[38:54]) == (IP6.packed, IPv6Address("ff02::1").packed)
    assert frame[54:] == bytes.fromhex("8800 d6d7 a0000000") + IP6.packed + bytes.fromhex("0201 02000000000a")
    assert unsolicited_advertisement(IP6, MAC, router=False)[58:62] == bytes.fromhex("20000000")


def test_a_probe_tells_nobody_anything() -> None:
    frame = neighbours.arp_probe(IP, MAC)
    wanted = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 00000000 000000000000 c6336401"
    assert frame == bytes.fromhex(wanted)
    assert read_claim(frame) is None
    probe = neighbours.neighbour_probe(IPv6Address("2001:db8::12:3456"), MAC)
    assert probe[:14] == bytes.fromhex("3333ff123456 02000000000a 86dd")
    assert (probe[14:22], probe[22:38]) == (bytes.fromhex("60000000 0020 3a ff"), IPv6Address("fe80::ff:fe00:a").packed)
    assert probe[38:54] == IPv6Address("ff02::1:ff12:3456").packed
    assert (probe[54:56], probe[58:62], len(probe)) == (b"\x87\0", bytes(4), 86)
    assert probe[78:] == bytes.fromhex("0101 02000000000a")
    assert checksum(probe[22:54] + bytes.fromhex("00000020 0000003a") + probe[54:]) == 0
    assert read_claim(probe) is None


ARP, NA = gratuitous_arp(IP, MAC), unsolicited_advertisement(IP6, MAC, router=False)


def changed(frame: bytes, at: int, value: bytes) -> bytes:
    return frame[:at] + value + frame[at + len(value) :]


def without_option() -> bytes:
    """The sum of an advertisement without the option, reckoned anew."""
    short = changed(NA, 18, b"\0\x18")[:78]
    short = changed(short, 56, b"\0\0")
    covered = short[22:54] + bytes.fromhex("00000018 0000003a") + short[54:]
    return changed(short, 56, checksum(covered).to_bytes(2))


# fmt: off
FRAMES = {
    "an answer":               (changed(ARP, 20, b"\0\2"),          Claim(IP, MAC)),
    "a question":              (changed(ARP, 38, b"\1\2\3\4"),      Claim(IP, MAC)),
    "padded to 60":            (ARP + bytes(18),                    Claim(IP, MAC)),
    "another MAC within":      (changed(ARP, 22, OTHER),            Claim(IP, OTHER)),
    "NA, another MAC sends":   (changed(NA, 6, OTHER),              Claim(IP6, MAC)),
    "NA without the option":   (without_option(),                   Claim(IP6, MAC)),
    "NA, padded":              (NA + bytes(6),                      Claim(IP6, MAC)),
    "NA, bad sum":             (changed(NA, 56, b"\0\0"),           None),
    "NA, came from afar":      (changed(NA, 21, b"\xfe"),           None),
    "NA, cut":                 (NA[:80],                            None),
    "a solicitation":          (changed(NA, 54, b"\x87"),           None),
    "UDP":                     (changed(NA, 20, b"\x11"),           None),
    "ARP, cut":                (ARP[:41],                           None),
    "ARP of another network":  (changed(ARP, 16, b"\x12\x34"),      None),
    "IPv4":                    (changed(ARP, 12, b"\x08\0"),        None),
    "nothing":                 (b"",                                None),
}
# fmt: on


@pytest.mark.parametrize(("frame", "wanted"), FRAMES.values(), ids=FRAMES)
def test_read_claim(frame: bytes, wanted: Claim | None) -> None:
    assert read_claim(frame) == wanted


@hypothetically(st.binary(max_size=120), st.sampled_from([ARP[:14], NA[:14], NA[:56], b""]))
def test_any_frame_is_read_or_is_nothing(data: bytes, head: bytes) -> None:
    claim = read_claim(head + data)
    assert claim is None or len(claim.mac) == 6
