import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.lab.sightings import Kind, Sighting, changes, first_advert, read_frame
from firstmate.model.units import MS, S

ETHERNET = bytes.fromhex("01005e0000120200000001 0a".replace(" ", ""))
IP = bytes.fromhex("45c0002000000000ff70") + bytes(2) + bytes([10, 0, 1, 10]) + bytes([224, 0, 0, 18])
ADVERT_V3 = ETHERNET + b"\x08\x00" + IP + bytes.fromhex("31 33 fe 01 000a 0000 0a000150".replace(" ", ""))
ADVERT_V2 = ETHERNET + b"\x08\x00" + IP + bytes.fromhex("21 33 00 01 00 02 0000 0a000150".replace(" ", "")) + bytes(8)
GRATUITOUS = (
    ETHERNET + b"\x08\x06" + bytes.fromhex("0001080006040001") + bytes.fromhex("02000000010a") + bytes([10, 0, 1, 80])
    + bytes(6) + bytes([10, 0, 1, 80])
)  # fmt: skip


def test_version_3() -> None:
    seen = read_frame(ADVERT_V3, "lb-a", 7)
    assert seen == Sighting(7, "lb-a", Kind.ADVERT, "10.0.1.10", "02:00:00:00:01:0a", 51, 254, 3, 100 * MS)


def test_version_2_says_priority_0() -> None:
    seen = read_frame(ADVERT_V2, "lb-a", 7)
    assert seen == Sighting(7, "lb-a", Kind.ADVERT, "10.0.1.10", "02:00:00:00:01:0a", 51, 0, 2, 2 * S)


def test_a_gratuitous_arp_claims_its_address() -> None:
    seen = read_frame(GRATUITOUS, "lb-b", 9)
    assert seen == Sighting(9, "lb-b", Kind.ARP, "10.0.1.80", "02:00:00:00:01:0a")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ADVERT_V3[:13],
        ADVERT_V3[:40],
        GRATUITOUS[:41],
        GRATUITOUS[:-1] + b"\x51",
        ADVERT_V3.replace(b"\xff\x70", b"\xff\x06"),
    ],
    ids=["empty", "no ethernet", "cut advert", "cut arp", "a question", "tcp"],
)
def test_anything_else_is_nothing(frame: bytes) -> None:
    assert read_frame(frame, "lb-a", 0) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_read(frame: bytes) -> None:
    read_frame(b"\0" * 12 + frame, "lb-a", 0)


def advert(at_ms: int, host: str, priority: int) -> Sighting:
    return Sighting(at_ms * MS, host, Kind.ADVERT, "10.0.1.10", "", 51, priority, 3, 100 * MS)


def arp(at_ms: int, host: str) -> Sighting:
    return Sighting(at_ms * MS, host, Kind.ARP, "10.0.1.80", "")


def test_only_news_is_told() -> None:
    a, b = "lb-a", "lb-b"
    seen = [
        advert(0, a, 254), advert(100, a, 254), advert(150, a, 0), advert(151, b, 253), arp(152, b), arp(153, b),
        advert(250, b, 253), arp(260, b), advert(300, a, 254), arp(301, a), advert(900, b, 253), arp(901, b),
    ]  # fmt: skip
    news = [(s.at_us // MS, s.host, s.kind) for s in changes(seen)]
    adverts, arps = Kind.ADVERT, Kind.ARP
    assert news == [
        (0, a, adverts), (150, a, adverts), (151, b, adverts), (152, b, arps), (300, a, adverts), (301, a, arps),
        (900, b, adverts), (901, b, arps),
    ]  # fmt: skip


def test_two_masters_do_not_fill_the_page() -> None:
    seen = [advert(t, "lb-a" if t % 100 == 0 else "lb-b", 254 - (t % 100 != 0)) for t in range(0, 2000, 50)]
    assert len(changes(seen)) == 2


def test_the_first_advert_after_the_fault_that_is_not_a_farewell() -> None:
    seen = [advert(10, "lb-b", 253), advert(60, "lb-b", 0), advert(70, "lb-a", 254), advert(90, "lb-b", 253)]
    assert first_advert(seen, "lb-b", 50 * MS) == 40 * MS
    assert first_advert(seen, "lb-a", 80 * MS) is None
