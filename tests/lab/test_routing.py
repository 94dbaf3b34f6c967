"""Routes and rules that move with the addresses, against `ip` and pyroute2, in a network namespace of its own."""

import json
import select
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from tests.lab.netns import Namespace, why_not

from firstmate.linux.listeners import Raw4
from firstmate.linux.netlink import KernelRoute, KernelRule, Netlink
from firstmate.linux.rtnetlink import interface_index
from firstmate.linux.sockets import AdvertSocket
from firstmate.model.addresses import Address
from firstmate.model.plan import Route, RouteKind, Rule, Transport, Vip
from firstmate.vrrp.packet import PROTOCOL, checksum

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

NET, NET6 = IPv4Address("198.51.100.0"), IPv6Address("2001:db8:7::")
VIA, VIA6 = IPv4Address("10.0.1.1"), IPv6Address("2001:db8::1")
OWN6 = "2001:db8::11/64"


@pytest.fixture
def routing(space: Namespace) -> Namespace:
    """eth0 has an IPv6 address as well."""
    space.ip("link set lo up", f"addr add {OWN6} dev eth0 nodad")
    return space


def shown(space: Namespace, *words: str) -> list[dict[str, Any]]:
    told = space.run(["ip", "-json", "-d", *words])
    return json.loads(told) if told.strip() else []


# fmt: off
ROUTES = {
    "by a gateway":   (Route(NET, 24, via=VIA, dev="eth0"),                  {"dst": "198.51.100.0/24", "gateway": "10.0.1.1", "dev": "eth0"}),
    "found by via":   (Route(NET, 24, via=VIA),                              {"gateway": "10.0.1.1", "dev": "eth0"}),
    "by interface":   (Route(NET, 24, dev="eth0"),                           {"dev": "eth0", "scope": "link"}),
    "default":        (Route(IPv4Address(0), 0, via=VIA, metric=50),         {"dst": "default", "metric": 50}),
    "far table":      (Route(NET, 24, dev="eth0", table=70_000),             {"table": "70000"}),
    "source":         (Route(NET, 24, dev="eth0", source=IPv4Address("10.0.1.11")), {"prefsrc": "10.0.1.11"}),
    "scope":          (Route(NET, 24, dev="eth0", scope=200),                {"scope": "site"}),
    "onlink":         (Route(NET, 24, via=IPv4Address("203.0.113.1"), dev="eth0", onlink=True), {"gateway": "203.0.113.1", "flags": ["onlink"]}),
    "blackhole":      (Route(NET, 24, RouteKind.BLACKHOLE),                  {"type": "blackhole"}),
    "unreachable":    (Route(NET, 24, RouteKind.UNREACHABLE),                {"type": "unreachable"}),
    "prohibit":       (Route(NET, 24, RouteKind.PROHIBIT),                   {"type": "prohibit"}),
    "IPv4 by IPv6":   (Route(NET, 24, via=VIA6, dev="eth0"),                 {"via": {"family": "inet6", "host": "2001:db8::1"}}),
    "IPv6":           (Route(NET6, 48, via=VIA6, dev="eth0"),                {"gateway": "2001:db8::1", "metric": 1024}),
    "IPv6, found":    (Route(NET6, 48, via=VIA6),                            {"gateway": "2001:db8::1", "dev": "eth0"}),
    "IPv6 by dev":    (Route(NET6, 48, dev="eth0", metric=7),                {"metric": 7, "dev": "eth0"}),
    "IPv6 default":   (Route(IPv6Address(0), 0, via=VIA6),                   {"dst": "default"}),
    "IPv6, table":    (Route(NET6, 48, dev="eth0", table=70_000),            {"table": "70000"}),
    "IPv6 onlink":    (Route(NET6, 48, via=IPv6Address("2001:db8:99::1"), dev="eth0", onlink=True), {"gateway": "2001:db8:99::1"}),
    "IPv6 blackhole": (Route(NET6, 48, RouteKind.BLACKHOLE),                 {"type": "blackhole"}),
    "IPv6 prohibit":  (Route(NET6, 48, RouteKind.PROHIBIT, table=500),       {"type": "prohibit", "table": "500"}),
}
# fmt: on


def our_routes(space: Namespace) -> list[dict[str, Any]]:
    return [
        one
        for family in ("-4", "-6")
        for one in shown(space, family, "route", "show", "table", "all")
        if one.get("protocol") == "112"
    ]


@pytest.mark.parametrize(("route", "told"), ROUTES.values(), ids=ROUTES)
def test_a_route_comes_and_goes(routing: Namespace, netlink: Netlink, route: Route, told: dict[str, Any]) -> None:
    assert netlink.add_route(route)
    (seen,) = our_routes(routing)
    assert {key: seen.get(key) for key in told} == told
    assert not netlink.add_route(route)  # it is there already
    assert len(our_routes(routing)) == 1
    (found,) = netlink.leftover_routes()
    assert (found.destination, found.prefix) == (route.destination, route.prefix)
    for _ in range(2):
        netlink.remove_route(route)
        assert our_routes(routing) == []
    assert netlink.leftover_routes() == []


@pytest.mark.parametrize("name", ROUTES)
def test_a_leftover_route_is_removed_as_it_was_found(routing: Namespace, netlink: Netlink, name: str) -> None:
    netlink.add_route(ROUTES[name][0])
    (found,) = netlink.leftover_routes()
    for _ in range(2):
        netlink.remove_leftover(found)
        assert our_routes(routing) == []


def test_a_route_of_somebody_else_is_neither_lost_nor_removed(routing: Namespace, netlink: Netlink) -> None:
    routing.ip("route add 198.51.100.0/24 via 10.0.1.2")
    ours = Route(NET, 24, via=VIA)
    assert netlink.add_route(ours)
    assert shown(routing, "route", "get", "198.51.100.7")[0]["gateway"] == str(VIA)
    netlink.remove_route(ours)
    assert shown(routing, "route", "get", "198.51.100.7")[0]["gateway"] == "10.0.1.2"
    netlink.remove_route(Route(NET, 24, via=IPv4Address("10.0.1.2")))
    assert shown(routing, "route", "get", "198.51.100.7")[0]["gateway"] == "10.0.1.2"


def test_an_ipv6_route_of_somebody_else_is_not_shared(routing: Namespace, netlink: Netlink) -> None:
    routing.ip("route add 2001:db8:7::/48 via 2001:db8::2")
    with pytest.raises(FileExistsError, match="another route has this destination and metric"):
        netlink.add_route(Route(NET6, 48, via=VIA6))
    assert netlink.add_route(Route(NET6, 48, via=VIA6, metric=5))
    assert shown(routing, "-6", "route", "get", "2001:db8:7::7")[0]["gateway"] == str(VIA6)


def test_a_route_that_cannot_be_is_an_oserror_with_a_sentence(routing: Namespace, netlink: Netlink) -> None:
    with pytest.raises(OSError, match="Network is unreachable"):
        netlink.add_route(Route(NET, 24, via=IPv4Address("203.0.113.1"), dev="eth0"))
    with pytest.raises(OSError, match="No such device"):
        netlink.add_route(Route(NET, 24, dev="nowhere0"))
    netlink.remove_route(Route(NET, 24, dev="nowhere0"))  # gone with its interface


# fmt: off
RULES = {
    "from":      (Rule(4, 70_000, 500, source=NET, source_prefix=24),           {"src": "198.51.100.0", "srclen": 24, "table": "70000", "priority": 500}),
    "to":        (Rule(4, 100, 500, destination=NET, destination_prefix=24),    {"dst": "198.51.100.0", "dstlen": 24, "table": "100"}),
    "iif":       (Rule(4, 100, 500, iif="eth0"),                                {"iif": "eth0"}),
    "mark":      (Rule(4, 100, 500, fwmark=7, fwmask=255),                      {"fwmark": "0x7", "fwmask": "0xff"}),
    "last":      (Rule(4, 100, 2**32 - 1),                                      {"priority": 2**32 - 1}),
    "IPv6 from": (Rule(6, 70_000, 500, source=NET6, source_prefix=48),          {"src": "2001:db8:7::", "srclen": 48, "table": "70000"}),
    "IPv6 to":   (Rule(6, 100, 500, destination=NET6, destination_prefix=48),   {"dst": "2001:db8:7::", "dstlen": 48}),
}
# fmt: on


def our_rules(space: Namespace) -> list[dict[str, Any]]:
    return [
        one for family in ("-4", "-6") for one in shown(space, family, "rule", "show") if one.get("protocol") == "112"
    ]


@pytest.mark.parametrize(("rule", "told"), RULES.values(), ids=RULES)
def test_a_rule_comes_and_goes(routing: Namespace, netlink: Netlink, rule: Rule, told: dict[str, Any]) -> None:
    assert netlink.add_rule(rule)
    (seen,) = our_rules(routing)
    assert {key: seen.get(key) for key in told} == told
    assert not netlink.add_rule(rule)
    assert len(our_rules(routing)) == 1
    (found,) = netlink.leftover_rules()
    assert (found.family, found.priority, found.table) == (rule.family, rule.priority, rule.table)
    for _ in range(2):
        netlink.remove_rule(rule)
        assert our_rules(routing) == []
    netlink.add_rule(rule)
    for _ in range(2):
        netlink.remove_leftover(found)
        assert our_rules(routing) == []


def test_a_rule_of_somebody_else_is_not_removed(routing: Namespace, netlink: Netlink) -> None:
    routing.ip("rule add from 198.51.100.0/24 table 100 priority 500 protocol 18")
    before = shown(routing, "-4", "rule", "show")
    netlink.remove_rule(Rule(4, 100, 500, source=NET, source_prefix=24))
    assert netlink.leftover_rules() == []
    assert shown(routing, "-4", "rule", "show") == before


def test_only_what_is_taken_from_us_is_news(routing: Namespace, netlink: Netlink) -> None:
    def told() -> list[KernelRoute | KernelRule]:
        return [one for one in netlink.news() if isinstance(one, KernelRoute | KernelRule)]

    ours, rule = Route(NET, 24, via=VIA), Rule(4, 100, 500, iif="eth0")
    netlink.add_route(ours)
    netlink.add_rule(rule)
    routing.ip("route add 203.0.113.0/24 via 10.0.1.2", "route del 203.0.113.0/24 via 10.0.1.2")
    assert told() == []
    routing.ip("route del 198.51.100.0/24 via 10.0.1.1", "rule del priority 500")
    route_gone, rule_gone = told()
    assert (str(route_gone), str(rule_gone)) == ("198.51.100.0/24 in table 254", "rule 500 to table 100 (IPv4)")
    assert netlink.add_route(ours)
    assert netlink.add_rule(rule)


def test_many_changes_of_other_routes_lose_no_news(routing: Namespace, netlink: Netlink) -> None:
    netlink.add_route(Route(NET, 24, via=VIA))
    routing.ip(*(f"route add blackhole 10.{n >> 8}.{n & 255}.0/24" for n in range(3000, 9000)))
    routing.ip("route del 198.51.100.0/24 via 10.0.1.1")
    assert [str(one) for one in netlink.news()] == ["198.51.100.0/24 in table 254"]
    assert [str(one) for one in netlink.leftover_routes()] == []


def vrf(space: Namespace) -> None:
    try:
        space.ip("link add blue type vrf table 1234")
    except AssertionError as error:
        pytest.skip(f"this kernel has no VRF: {error}")
    space.ip("link set blue up", "link set eth0 master blue")


def test_routes_of_an_interface_in_a_vrf_go_into_its_table(routing: Namespace, netlink: Netlink) -> None:
    vrf(routing)
    assert netlink.vrf_table("eth0") == netlink.vrf_table("blue") == 1234
    for route in (Route(NET, 24, via=VIA, dev="eth0"), Route(NET6, 48, dev="eth0")):
        assert netlink.add_route(route)
        assert [one.table for one in netlink.leftover_routes()] == [1234]
        netlink.remove_route(route)
        assert netlink.leftover_routes() == []


def test_addresses_of_an_interface_in_a_vrf_are_local_there(routing: Namespace, netlink: Netlink) -> None:
    vrf(routing)
    netlink.add_address(Vip(IPv4Address("10.0.1.100"), 24, "eth0"))
    local = shown(routing, "route", "show", "table", "1234", "type", "local")
    assert "10.0.1.100" in {one["dst"] for one in local}


def test_adverts_are_heard_and_sent_by_an_interface_in_a_vrf(routing: Namespace) -> None:
    vrf(routing)
    own, other, group = IPv4Address("10.0.1.11"), IPv4Address("10.0.1.12"), IPv4Address("224.0.0.18")
    pdu = b"\x31\x05\x64\0\0\x64\0\0"
    header = bytes.fromhex("45c0001c0001 0000 ff70") + b"\0\0" + other.packed + group.packed
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    ours = Raw4("eth0", (), (group,))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("peer0", 0x0800))
        wire.settimeout(2)
        wire.send(bytes.fromhex("01005e000012 02000000000b 0800") + header + pdu)
        assert select.select([ours], [], [], 2)[0]
        assert ours.receive() == header + pdu
        for destination in (group, other):
            routing.ip(f"neigh replace {other} lladdr 02:00:00:00:00:0b dev eth0")
            kind = Transport.MULTICAST if destination == group else Transport.UNICAST
            voice = AdvertSocket("eth0", own, destination, kind)
            voice.send(pdu)
            voice.close()
            frame = wire.recv(2048)
            while frame[23] != PROTOCOL:  # joining the group is said first
                frame = wire.recv(2048)
            assert frame[26:42] == own.packed + destination.packed + pdu
    ours.close()


def test_without_a_vrf_the_table_is_the_main_one(routing: Namespace, netlink: Netlink) -> None:
    assert netlink.vrf_table("eth0") == 0
    netlink.add_route(Route(NET, 24, dev="eth0"))
    assert [one.table for one in netlink.leftover_routes()] == [254]


def test_a_bridge_is_no_vrf(routing: Namespace, netlink: Netlink) -> None:
    routing.ip("link add br0 type bridge", "link set peer0 master br0")
    assert netlink.link("peer0").master == interface_index("br0")
    assert netlink.vrf_table("peer0") == 0
    list(netlink.news())
    routing.ip("link set peer0 nomaster")
    assert [one for one in netlink.news() if getattr(one, "gone", False)] == []  # the bridge says that its port is gone


def test_many_addresses_in_few_calls(routing: Namespace, netlink: Netlink) -> None:
    ips: list[Address] = [ip_address("10.9.0.0") + n for n in range(1, 400)]
    ips += [ip_address("2001:db8::1:0") + n for n in range(200)]
    vips = [Vip(ip, 32 if ip.version == 4 else 128, "eth0") for ip in ips]
    vips.insert(100, Vip(IPv4Address("10.9.9.9"), 32, "nowhere0"))
    vips.insert(200, Vip(IPv4Address("10.9.9.9"), 40, "eth0"))
    answers = netlink.add_addresses(vips)
    assert {at: error.strerror for at, error in enumerate(answers) if error is not None} == {
        100: "No such device",
        200: "Invalid argument (ipv4: Invalid prefix length)",
    }
    assert {one.ip for one in netlink.addresses() if one.marked} == set(ips)
    answers = netlink.remove_addresses(vips)
    assert [at for at, error in enumerate(answers) if error is not None] == []
    assert not any(one.marked for one in netlink.addresses())


def test_sockets_are_of_this_namespace(space: Namespace) -> None:
    assert {name for _, name in socket.if_nameindex()} >= {"eth0", "peer0"}
