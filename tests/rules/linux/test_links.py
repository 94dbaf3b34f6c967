import struct

import pytest
from tests.rules.linux.kernel import attribute, link

from firstmate.linux import links
from firstmate.linux.links import Link
from firstmate.linux.rtnetlink import read_attributes

MAC, VIRTUAL = bytes.fromhex("02000000000a"), bytes.fromhex("00005e000105")
UP, ALL_UP = 0x1, 0x10001
NAME = attribute(3, b"eth0\0")
VRF = attribute(18, attribute(1, b"vrf\0") + attribute(2, attribute(1, struct.pack("=I", 1234))))
MACVLAN = attribute(18, attribute(1, b"macvlan\0") + attribute(2, attribute(1, struct.pack("=I", 1))))
ETH0 = Link(2, "eth0", admin_up=True, carrier=True, mac=b"")


def index(number: int) -> bytes:
    return struct.pack("=I", number)


# fmt: off
PARSED = {
    "up":              (16, link(2, ALL_UP, NAME, attribute(1, MAC)),       Link(2, "eth0", admin_up=True, carrier=True, mac=MAC)),
    "set down":        (16, link(2, 0x10000, NAME),                         Link(2, "eth0", admin_up=False, carrier=True, mac=b"")),
    "without carrier": (16, link(2, UP, NAME),                              Link(2, "eth0", admin_up=True, carrier=False, mac=b"")),
    "gone":            (17, link(2, ALL_UP, NAME),                          Link(2, "eth0", admin_up=True, carrier=True, mac=b"", gone=True)),
    "flag in kind":    (16, link(2, ALL_UP, attribute(0x8003, b"eth0\0")),  ETH0),
    "odd name":        (16, link(2, ALL_UP, attribute(3, b"\xff\0")),       Link(2, "\ufffd", admin_up=True, carrier=True, mac=b"")),
    "in a VRF":        (16, link(2, ALL_UP, NAME, attribute(10, index(9))), Link(2, "eth0", admin_up=True, carrier=True, mac=b"", master=9)),
    "a VRF":           (16, link(2, ALL_UP, NAME, VRF),                     Link(2, "eth0", admin_up=True, carrier=True, mac=b"", kind="vrf", table=1234)),
    "a macvlan":       (16, link(2, ALL_UP, NAME, MACVLAN, attribute(5, index(4)), attribute(20, b"firstmate\0")),
                                                                            Link(2, "eth0", admin_up=True, carrier=True, mac=b"", kind="macvlan", parent=4, alias="firstmate")),
    "without ARP":     (16, link(2, ALL_UP | 0x80, NAME),                   Link(2, "eth0", admin_up=True, carrier=True, mac=b"", arp=False)),
    "of a bridge":     (17, link(2, ALL_UP, NAME, family=7),                None),  # it left the bridge, and is there still
}
# fmt: on


@pytest.mark.parametrize(("kind", "body", "wanted"), PARSED.values(), ids=PARSED)
def test_parse(kind: int, body: bytes, wanted: Link | None) -> None:
    assert links.parse(kind, body) == wanted


@pytest.mark.parametrize(("admin_up", "carrier", "up"), [(1, 1, 1), (1, 0, 0), (0, 1, 0)])
def test_a_link_is_up_when_both_say_so(*, admin_up: int, carrier: int, up: int) -> None:
    assert Link(2, "eth0", admin_up=bool(admin_up), carrier=bool(carrier), mac=b"").up is bool(up)


def test_ours_is_a_macvlan_with_our_alias() -> None:
    parsed = {name: link for name, (_, _, link) in PARSED.items() if link is not None}
    assert {name for name, one in parsed.items() if one.ours} == {"a macvlan"}


def test_a_macvlan_is_apart_from_others_and_has_the_virtual_mac() -> None:
    body = links.encode_macvlan("vrrp.5", 4, VIRTUAL)
    assert links.parse(16, body) == Link(
        0, "vrrp.5", admin_up=False, carrier=False, mac=VIRTUAL, parent=4, kind="macvlan"
    )
    info = read_attributes(read_attributes(body[16:])[18])
    assert read_attributes(info[2]) == {1: struct.pack("=I", 2)}  # IFLA_MACVLAN_MODE, VEPA


def test_our_interface_has_an_alias_and_no_link_local_address() -> None:
    values = read_attributes(links.encode_ours(7)[16:])
    assert values[20] == b"firstmate"
    assert read_attributes(read_attributes(values[26])[10]) == {8: b"\1"}  # IFLA_INET6_ADDR_GEN_MODE, none


def test_the_other_requests() -> None:
    assert links.encode_up(7) == struct.pack("=BBHiII", 0, 0, 0, 7, 1, 1)
    assert links.encode_key(7) == struct.pack("=BBHiII", 0, 0, 0, 7, 0, 0)
    assert links.encode_master(7, 9) == struct.pack("=BBHiII", 0, 0, 0, 7, 0, 0) + attribute(10, index(9))
