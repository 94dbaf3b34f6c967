import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from firstmate.linux import routes
from firstmate.linux.routes import KernelRoute
from firstmate.linux.rtnetlink import read_attributes
from firstmate.model.plan import Route, RouteKind

NET, NET6 = IPv4Address("198.51.100.0"), IPv6Address("2001:db8:7::")
VIA, VIA6, SOURCE = IPv4Address("10.0.1.1"), IPv6Address("fe80::1"), IPv4Address("10.0.1.100")
ANY, ANY6 = IPv4Address("0.0.0.0"), IPv6Address("::")
UNIVERSE, LINK, NOWHERE = 0, 253, 255


def n(value: int) -> bytes:
    return struct.pack("=I", value)


# family, prefix, tables, scope, type, flags; attributes by kind
# fmt: off
WANTED = {
    "by a gateway":    (Route(NET, 24, via=VIA, dev="eth0"),       7, 254,  (2, 24, 254, UNIVERSE, 1, 0), {1: NET.packed, 4: n(7), 5: VIA.packed, 15: n(254)}),
    "default":         (Route(ANY, 0, via=VIA),                    0, 254,  (2, 0, 254, UNIVERSE, 1, 0),  {5: VIA.packed, 15: n(254)}),
    "by an interface": (Route(NET, 24, dev="eth0"),                7, 254,  (2, 24, 254, LINK, 1, 0),     {1: NET.packed, 4: n(7), 15: n(254)}),
    "a scope":         (Route(NET, 24, dev="eth0", scope=200),     7, 254,  (2, 24, 254, 200, 1, 0),      {1: NET.packed, 4: n(7), 15: n(254)}),
    "far table":       (Route(NET, 24, dev="eth0", table=1234),    7, 1234, (2, 24, 252, LINK, 1, 0),     {1: NET.packed, 4: n(7), 15: n(1234)}),
    "source, metric":  (Route(NET, 24, via=VIA, source=SOURCE, metric=50), 0, 254, (2, 24, 254, UNIVERSE, 1, 0), {1: NET.packed, 5: VIA.packed, 6: n(50), 7: SOURCE.packed, 15: n(254)}),
    "onlink":          (Route(NET, 24, via=VIA, dev="eth0", onlink=True), 7, 254, (2, 24, 254, UNIVERSE, 1, 4), {1: NET.packed, 4: n(7), 5: VIA.packed, 15: n(254)}),
    "blackhole":       (Route(NET, 24, RouteKind.BLACKHOLE),       0, 254,  (2, 24, 254, UNIVERSE, 6, 0), {1: NET.packed, 15: n(254)}),
    "unreachable":     (Route(NET, 24, RouteKind.UNREACHABLE),     0, 254,  (2, 24, 254, UNIVERSE, 7, 0), {1: NET.packed, 15: n(254)}),
    "prohibit":        (Route(NET, 24, RouteKind.PROHIBIT),        0, 254,  (2, 24, 254, UNIVERSE, 8, 0), {1: NET.packed, 15: n(254)}),
    "IPv6":            (Route(NET6, 48, via=VIA6, dev="eth0"),     7, 254,  (10, 48, 254, UNIVERSE, 1, 0), {1: NET6.packed, 4: n(7), 5: VIA6.packed, 15: n(254)}),
    "IPv6 by dev":     (Route(NET6, 48, dev="eth0"),               7, 254,  (10, 48, 254, UNIVERSE, 1, 0), {1: NET6.packed, 4: n(7), 15: n(254)}),
    "IPv4 by IPv6":    (Route(NET, 24, via=VIA6, dev="eth0"),      7, 254,  (2, 24, 254, UNIVERSE, 1, 0), {1: NET.packed, 4: n(7), 18: b"\x0a\0" + VIA6.packed, 15: n(254)}),
}
# fmt: on


@pytest.mark.parametrize(("route", "index", "table", "header", "attributes"), WANTED.values(), ids=WANTED)
def test_encode(route: Route, index: int, table: int, header: tuple[int, ...], attributes: dict[int, bytes]) -> None:
    body = routes.encode(route, index, table)
    family, prefix, source_prefix, tos, short_table, protocol, scope, kind, flags = struct.unpack_from("=8BI", body)
    assert (family, prefix, short_table, scope, kind, flags) == header
    assert (source_prefix, tos, protocol) == (0, 0, 112)
    assert read_attributes(body[12:]) == attributes


def test_a_route_is_removed_whatever_scope_the_kernel_gave_it() -> None:
    assert routes.encode(Route(NET, 24, via=VIA), 0, 254, key=True)[6] == NOWHERE
    assert routes.encode(Route(NET, 24, via=VIA, scope=200), 0, 254, key=True)[6] == 200


@pytest.mark.parametrize("given", WANTED)
def test_what_is_encoded_is_parsed_and_known_again(given: str) -> None:
    route, index, table, _, _ = WANTED[given]
    body = routes.encode(route, index, table)
    found = routes.parse(body)
    assert found == KernelRoute(route.destination, route.prefix, table, route.metric or 0, body)
    if route.destination.version == 4:
        assert routes.is_it(found, route, table)
        assert not routes.is_it(found, route, table + 1)


def test_the_kernel_gives_ipv6_a_metric() -> None:
    found = KernelRoute(NET6, 48, 254, 1024, b"")
    assert routes.is_it(found, Route(NET6, 48, dev="eth0"), 254)
    assert not routes.is_it(found, Route(NET6, 48, dev="eth0", metric=5), 254)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("=8BI", 2, 24, 0, 0, 254, 3, 0, 1, 0),
        struct.pack("=8BI", 28, 24, 0, 0, 254, 112, 0, 1, 0),
        struct.pack("=8BI", 2, 24, 0, 0, 254, 112, 0, 1, 0) + struct.pack("=HH", 7, 1) + b"abc\0",
    ],
    ids=["somebody else's", "another family", "no address"],
)
def test_what_is_not_ours_is_nothing(body: bytes) -> None:
    assert routes.parse(body) is None


def test_a_default_route_is_said_in_words() -> None:
    body = struct.pack("=8BI", 10, 0, 0, 0, 254, 112, 0, 1, 0)
    assert routes.parse(body) == KernelRoute(ip_address("::"), 0, 254, 0, body)
    assert str(routes.parse(body)) == "::/0 in table 254"


def test_the_question_for_ours_names_protocol_and_table() -> None:
    assert routes.encode_ours(4) == struct.pack("=8BI", 2, 0, 0, 0, 0, 112, 0, 0, 0)
    assert routes.encode_ours(6, 1234)[12:] == struct.pack("=HHI", 8, 15, 1234)
