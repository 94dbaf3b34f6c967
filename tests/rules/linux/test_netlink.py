import errno
import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st

from firstmate.linux import netlink
from firstmate.linux.netlink import IfAddress, Link

IP = IPv4Address("10.0.1.100")
MAC = bytes.fromhex("02000000000a")
UP = netlink.IFF_UP | netlink.IFF_LOWER_UP


def attribute(kind: int, value: bytes) -> bytes:
    """As the kernel lays it out, written by hand: length, kind, value, padding to 4 octets."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, flags: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBHiII", 0, 0, 1, index, flags, 0) + b"".join(attributes)


def address(family: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBBBI", family, 24, 0x80, 0, 7) + b"".join(attributes)


NAME, LOCAL = attribute(netlink.IFLA_IFNAME, b"eth0\0"), attribute(netlink.IFA_LOCAL, IP.packed)
OTHER = attribute(netlink.IFA_ADDRESS, IPv4Address("10.0.1.1").packed)
NESTED = attribute(0x8000 | netlink.IFLA_IFNAME, b"eth0\0")  # NLA_F_NESTED is no part of the kind

# fmt: off
PARSED = {
    "link up":              (16, link(2, UP, NAME, attribute(1, MAC)),          Link(2, "eth0", up=True, mac=MAC)),
    "link set down":        (16, link(2, netlink.IFF_LOWER_UP, NAME),           Link(2, "eth0", up=False, mac=b"")),
    "link without carrier": (16, link(2, netlink.IFF_UP, NAME),                 Link(2, "eth0", up=False, mac=b"")),
    "link gone":            (17, link(2, UP, NAME),                             Link(2, "eth0", up=True, mac=b"", gone=True)),
    "link, flag in kind":   (16, link(2, UP, NESTED),                           Link(2, "eth0", up=True, mac=b"")),
    "link, odd name":       (16, link(2, UP, attribute(3, b"\xff\0")),          Link(2, "\ufffd", up=True, mac=b"")),
    "address":              (20, address(2, LOCAL),                             IfAddress(7, IP, 24, marked=False)),
    "point to point":       (20, address(2, OTHER, LOCAL),                      IfAddress(7, IP, 24, marked=False)),
    "no IFA_LOCAL":         (20, address(2, OTHER),                             IfAddress(7, IPv4Address("10.0.1.1"), 24, marked=False)),
    "marked by protocol":   (20, address(2, LOCAL, attribute(11, b"\x70")),     IfAddress(7, IP, 24, marked=True)),
    "keepalived's":         (20, address(2, LOCAL, attribute(11, b"\x12")),     IfAddress(7, IP, 24, marked=False)),
    "marked by label":      (20, address(2, LOCAL, attribute(3, b"eth0:fm\0")), IfAddress(7, IP, 24, marked=True)),
    "another label":        (20, address(2, LOCAL, attribute(3, b"eth0:1\0")),  IfAddress(7, IP, 24, marked=False)),
    "address gone":         (21, address(2, LOCAL),                             IfAddress(7, IP, 24, marked=False, gone=True)),
    "IPv6":                 (20, address(10, attribute(1, bytes(16))),          None),
    "no address":           (20, address(2),                                    None),
    "something else":       (24, b"",                                           None),
}
# fmt: on


@pytest.mark.parametrize(("kind", "body", "wanted"), PARSED.values(), ids=PARSED)
def test_parse(kind: int, body: bytes, wanted: Link | IfAddress | None) -> None:
    assert netlink._parse(kind, body) == wanted


def test_attributes_are_padded_and_read_again() -> None:
    pairs = [(netlink.IFA_PROTO, b"\x70"), (netlink.IFA_LOCAL, IP.packed), (netlink.IFA_LABEL, b"eth0:fm\0")]
    data = netlink._attributes(pairs)
    assert data == b"".join(attribute(kind, value) for kind, value in pairs)
    assert netlink._read_attributes(data) == dict(pairs)


def test_messages_are_told_apart_by_their_lengths() -> None:
    one = struct.pack("=IHHII", 17, 20, 0, 1, 0) + b"a" + bytes(3)
    two = struct.pack("=IHHII", 16, 3, 0, 1, 0)
    assert list(netlink._messages(one + two)) == [(20, b"a"), (3, b"")]
    assert list(netlink._messages(struct.pack("=IHHII", 0, 20, 0, 1, 0) + two)) == []  # else it would never end
    assert list(netlink._messages(two[:15])) == []


def test_attributes_end_where_they_make_no_sense() -> None:
    assert netlink._read_attributes(LOCAL + b"\0\0\0\0" + LOCAL) == {netlink.IFA_LOCAL: IP.packed}
    assert netlink._read_attributes(LOCAL + b"\x08") == {netlink.IFA_LOCAL: IP.packed}


def test_an_error_of_the_kernel_is_an_oserror() -> None:
    netlink._raise(struct.pack("=i", 0))
    with pytest.raises(PermissionError) as caught:
        netlink._raise(struct.pack("=i", -errno.EPERM))
    assert caught.value.strerror == "Operation not permitted"


@hypothetically(st.binary(max_size=300))
def test_any_bytes_end(data: bytes) -> None:
    assert len(list(netlink._messages(data))) <= len(data) // 16
    assert len(netlink._read_attributes(data)) <= len(data) // 4


def test_the_mark_fits_the_usual_names() -> None:
    assert len("enp0s31f6" + netlink.LABEL_SUFFIX) <= netlink.LABEL_OCTETS_MAX
    assert netlink.MARK_PROTOCOL not in {0, 1, 2, 3, 18}  # the kernel's own, and keepalived's
