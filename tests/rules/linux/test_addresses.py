from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from tests.rules.linux.kernel import address, attribute

from firstmate.linux import addresses
from firstmate.linux.addresses import IfAddress
from firstmate.linux.rtnetlink import read_attributes
from firstmate.model.plan import Vip

IP, IP6 = IPv4Address("10.0.1.100"), IPv6Address("2001:db8::64")
LOCAL = attribute(2, IP.packed)
OTHER = attribute(1, IPv4Address("10.0.1.1").packed)
LOCAL6, MARK = attribute(1, IP6.packed), attribute(11, b"\x70")
FLAGS = attribute(8, b"\x4a\0\0\0")  # tentative, DAD failed, no DAD

# fmt: off
PARSED = {
    "address":            (20, address(2, LOCAL),                            IfAddress(7, IP, 24, marked=False)),
    "point to point":     (20, address(2, OTHER, LOCAL),                     IfAddress(7, IP, 24, marked=False)),
    "no IFA_LOCAL":       (20, address(2, OTHER),                            IfAddress(7, IPv4Address("10.0.1.1"), 24, marked=False)),
    "marked by protocol": (20, address(2, LOCAL, MARK),                      IfAddress(7, IP, 24, marked=True)),
    "keepalived's":       (20, address(2, LOCAL, attribute(11, b"\x12")),    IfAddress(7, IP, 24, marked=False)),
    "marked by label":    (20, address(2, LOCAL, attribute(3, b"eth0:fm\0")), IfAddress(7, IP, 24, marked=True)),
    "another label":      (20, address(2, LOCAL, attribute(3, b"eth0:1\0")), IfAddress(7, IP, 24, marked=False)),
    "address gone":       (21, address(2, LOCAL),                            IfAddress(7, IP, 24, marked=False, gone=True)),
    "IPv6":               (20, address(10, LOCAL6),                          IfAddress(7, IP6, 24, marked=False)),
    "IPv6, ours":         (20, address(10, LOCAL6, MARK, prefix=64),         IfAddress(7, IP6, 64, marked=True)),
    "IPv6, deprecated":   (20, address(10, LOCAL6, flags=0xA0),              IfAddress(7, IP6, 24, marked=False, deprecated=True)),
    "IPv6, duplicate":    (20, address(10, LOCAL6, FLAGS),                   IfAddress(7, IP6, 24, marked=False, tentative=True, duplicate=True)),
    "IPv6, too short":    (20, address(10, LOCAL),                           None),
    "another family":     (20, address(28, LOCAL),                           None),
    "no address":         (20, address(2),                                   None),
}
# fmt: on


@pytest.mark.parametrize(("kind", "body", "wanted"), PARSED.values(), ids=PARSED)
def test_parse(kind: int, body: bytes, wanted: IfAddress | None) -> None:
    assert addresses.parse(kind, body) == wanted


def vip(ip: str, prefix: int, **more: object) -> Vip:
    return Vip(ip_address(ip), prefix, "eth0", **more)  # type: ignore[arg-type] # fields of Vip, whichever


# Each as `ip address add` of iproute2 6.1.0 with our protocol number sends it, but for the order of attributes.
# fmt: off
WANTED = {
    "IPv4":            (vip("10.0.1.100", 24),              (2, 24, 0, 0),      {2: IP.packed, 1: IP.packed, 11: b"\x70", 3: b"eth0:fm\0"}),
    "label":           (vip("10.0.1.100", 24, label="eth0:web"), (2, 24, 0, 0), {2: IP.packed, 1: IP.packed, 11: b"\x70", 3: b"eth0:web\0"}),
    "scope":           (vip("10.0.1.100", 24, scope=253),   (2, 24, 0, 253),    {2: IP.packed, 1: IP.packed, 11: b"\x70", 3: b"eth0:fm\0"}),
    "broadcast":       (vip("10.0.1.100", 24, broadcast=IPv4Address("10.0.1.255")), (2, 24, 0, 0), {2: IP.packed, 1: IP.packed, 11: b"\x70", 3: b"eth0:fm\0", 4: b"\x0a\0\1\xff"}),
    "IPv6":            (vip("2001:db8::64", 64),            (10, 64, 0x02, 0),  {2: IP6.packed, 1: IP6.packed, 11: b"\x70"}),
    "IPv6, label":     (vip("2001:db8::64", 64, label="x", scope=9), (10, 64, 0x02, 0), {2: IP6.packed, 1: IP6.packed, 11: b"\x70"}),
    "IPv6 host":       (vip("2001:db8::64", 128),           (10, 128, 0x02, 0), {2: IP6.packed, 1: IP6.packed, 11: b"\x70", 6: bytes(4) + b"\xff" * 4 + bytes(8)}),
    "IPv6, with DAD":  (vip("2001:db8::64", 64, dad=True),  (10, 64, 0, 0),     {2: IP6.packed, 1: IP6.packed, 11: b"\x70"}),
}
# fmt: on


@pytest.mark.parametrize(("given", "header", "attributes"), WANTED.values(), ids=WANTED)
def test_encode(given: Vip, header: tuple[int, int, int, int], attributes: dict[int, bytes]) -> None:
    body = addresses.encode(given, 7)
    assert (tuple(body[:4]), body[4:8]) == (header, b"\7\0\0\0")
    assert read_attributes(body[8:]) == attributes


def test_a_name_too_long_for_a_label_gets_none() -> None:
    assert 3 not in read_attributes(addresses.encode(Vip(IP, 24, "a23456789012345"), 7)[8:])


@pytest.mark.parametrize("given", [vip("10.0.1.100", 24), vip("2001:db8::64", 64), vip("fe80::1", 128)], ids=str)
def test_what_is_encoded_is_parsed(given: Vip) -> None:
    found = addresses.parse(20, addresses.encode(given, 7))
    assert found == IfAddress(7, given.ip, given.prefix, marked=True)
    assert addresses.parse(21, addresses.encode_key(given, 7)) == IfAddress(
        7, given.ip, given.prefix, marked=False, gone=True
    )


def test_the_mark_fits_the_usual_names() -> None:
    assert len("enp0s31f6" + addresses.LABEL_SUFFIX) <= addresses.LABEL_OCTETS_MAX
    assert addresses.MARK_PROTOCOL not in {0, 1, 2, 3, 18}  # the kernel's own, and keepalived's
