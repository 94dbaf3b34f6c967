"""Transports, and the addresses of each node on them. `«»` marks the place of the one problem."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from tests.rules.config.example import (
    GOOD,
    HOST,
    HOST6,
    edited,
    found,
    interface,
    plan_of,
    problems_of,
    unmarked,
    vrrp,
    with_ipv6,
)

from firstmate.model.host import HostFacts
from firstmate.model.plan import PathPlan, Transport

A, B = IPv4Address("10.0.1.10"), IPv4Address("10.0.1.11")
A6, B6 = IPv6Address("2001:db8::10"), IPv6Address("2001:db8::11")
FE = IPv6Address("fe80::a")
GOOD6 = with_ipv6(GOOD, "fe80::1/64", "2001:db8::100/64")
UDP = 'hmac = { keys = { 1 = "env:KEY" } }\n'


def transport(written: str, text: str = GOOD) -> str:
    return text.replace("vrid = 1", f"vrid = 1\ntransport = {written}\n{UDP}")


def more(a: str, b: str, text: str = GOOD) -> str:
    """With `more_addresses` of both nodes."""
    text = text.replace('"10.0.1.10"', f'"10.0.1.10"\nmore_addresses = [{a}]', 1)
    return text.replace('"10.0.1.11"', f'"10.0.1.11"\nmore_addresses = [{b}]', 1)


# fmt: off
RULES = {  # id, and the file with its place marked
    "transport twice":  ("E210", transport('["udp", "unicast", «"udp"»]')),
    "no IPv6 address":  ("E312", GOOD6.replace('address6 = "2001:db8::11"', "").replace('[[node]]\nname = "lb-b"', '«[[node]]»\nname = "lb-b"')),
    "fewer addresses":  ("E218", more('"192.168.7.1", "192.168.8.1"', '"192.168.7.2"').replace('["192.168.7.2"]', '«["192.168.7.2"]»')),
    "none at all":      ("E218", edited(('"10.0.1.10"', '"10.0.1.10"\nmore_addresses = ["192.168.7.1"]'), ('[[node]]\nname = "lb-b"', '«[[node]]»\nname = "lb-b"'))),
    "other family":     ("E218", more('"192.168.7.1"', '"2001:db8:7::2"').replace('["2001:db8:7::2"]', '«["2001:db8:7::2"]»')),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD6,
        more('"192.168.7.1"', '"192.168.7.2"'),
        more('"192.168.7.1"', '"2001:db8:7::2"').replace("vrid = 1", 'vrid = 1\ntransport = "multicast"'),
        GOOD6.replace('address6 = "2001:db8::11"', "").replace("vrid = 1", 'vrid = 1\ntransport = "multicast"'),
        GOOD6.replace('address6 = "2001:db8::11"', "").replace("vrid = 1", 'vrid = 1\nsource = { lb-b = "fe80::b" }'),
        transport('["multicast", "udp"]'),
    ],
)
def test_no_problem(text: str) -> None:
    assert found(text) == []


def paths_of(text: str, host: HostFacts = HOST6) -> list[PathPlan]:
    return list(plan_of(text, host).routers[0].all_paths)


def test_one_transport_is_one_path() -> None:
    assert paths_of(GOOD) == [PathPlan(Transport.UNICAST, "eth0", A, (B,))]
    assert plan_of(GOOD).routers[0].paths == ()


def test_each_transport_is_a_path() -> None:
    assert paths_of(transport('["unicast", "udp"]')) == [
        PathPlan(Transport.UNICAST, "eth0", A, (B,)),
        PathPlan(Transport.UDP, "eth0", A, (B,)),
    ]


def test_each_further_address_is_a_path_of_each_transport() -> None:
    a, b = IPv4Address("192.168.7.1"), IPv4Address("192.168.7.2")
    text = more('"192.168.7.1", "2001:db8:7::1"', '"192.168.7.2", "2001:db8:7::2"', transport('["unicast", "udp"]'))
    assert paths_of(text) == [
        PathPlan(Transport.UNICAST, "eth0", A, (B,)),
        PathPlan(Transport.UDP, "eth0", A, (B,)),
        PathPlan(Transport.UNICAST, "eth1", a, (b,)),
        PathPlan(Transport.UDP, "eth1", a, (b,)),
    ]


def test_multicast_has_one_path_and_the_others_have_theirs() -> None:
    a, b = IPv4Address("192.168.7.1"), IPv4Address("192.168.7.2")
    text = more('"192.168.7.1"', '"192.168.7.2"', transport('["multicast", "udp"]'))
    assert paths_of(text) == [
        PathPlan(Transport.MULTICAST, "eth0", A, (B,)),
        PathPlan(Transport.UDP, "eth0", A, (B,)),
        PathPlan(Transport.UDP, "eth1", a, (b,)),
    ]
    text = more('"192.168.7.1"', '"192.168.7.2"').replace("vrid = 1", 'vrid = 1\ntransport = "multicast"')
    assert paths_of(text) == [PathPlan(Transport.MULTICAST, "eth0", A, (B,))]


def test_foreign_peers_are_reached_on_the_first_path() -> None:
    text = more('"192.168.7.1"', '"192.168.7.2"', vrrp('peers = ["10.0.1.9"]'))
    (first, second) = paths_of(text)
    assert first.peers == (B, IPv4Address("10.0.1.9"))
    assert second.peers == (IPv4Address("192.168.7.2"),)


def test_ipv6_unicast_comes_from_the_address_of_the_node() -> None:
    assert paths_of(GOOD6) == [PathPlan(Transport.UNICAST, "eth0", A6, (B6,))]


def test_ipv6_multicast_comes_from_the_link_local_address_of_the_interface() -> None:  # C12
    text = GOOD6.replace("vrid = 1", 'vrid = 1\ntransport = "multicast"')
    assert paths_of(text) == [PathPlan(Transport.MULTICAST, "eth0", FE, (B6,))]
    other = text.replace("vrid = 1", 'vrid = 1\ninterface = "eth1"')
    assert paths_of(other)[0].source == IPv6Address("fe80::b")


def test_ipv6_multicast_needs_no_other_ipv6_address() -> None:
    text = GOOD6.replace('address6 = "2001:db8::10"\n', "").replace('address6 = "2001:db8::11"\n', "")
    text = text.replace("vrid = 1", 'vrid = 1\ntransport = "multicast"')
    host = HostFacts("lb-a", (interface("eth0", "10.0.1.10/24", "fe80::a/64"),))
    assert paths_of(text, host) == [PathPlan(Transport.MULTICAST, "eth0", FE, ())]


def test_ipv6_in_multicast_and_udp() -> None:
    assert paths_of(transport('["multicast", "udp"]', GOOD6)) == [
        PathPlan(Transport.MULTICAST, "eth0", FE, (B6,)),
        PathPlan(Transport.UDP, "eth0", A6, (B6,)),
    ]


def test_every_transport_leaves_by_the_interface_of_the_adverts() -> None:
    host = HostFacts(
        "lb-a", (interface("eth0", "10.0.1.10/24", "fe80::a/64"), interface("eth1", "2001:db8::10/64", "fe80::b/64"))
    )
    text = transport('["multicast", "udp"]', GOOD6)
    assert [path.interface for path in paths_of(text, host)] == ["eth1", "eth1"]
    text = transport('["udp", "multicast"]', GOOD6)
    assert [(path.interface, path.source) for path in paths_of(text, host)] == [
        ("eth1", A6),
        ("eth1", IPv6Address("fe80::b")),
    ]
    text = transport('["multicast", "udp"]\ninterface = "eth0"', GOOD6)  # as written, for all
    assert [path.interface for path in paths_of(text, host)] == ["eth0", "eth0"]


def test_source_of_a_node_is_where_the_others_send() -> None:
    text = GOOD6.replace("vrid = 1", 'vrid = 1\nsource = { lb-a = "fe80::a", lb-b = "fe80::b" }')
    assert paths_of(text) == [PathPlan(Transport.UNICAST, "eth0", FE, (IPv6Address("fe80::b"),))]


def test_an_address_of_a_path_that_this_host_lacks() -> None:
    text, place = unmarked(more('"192.168.7.1", «"192.168.9.1"»', '"192.168.7.2", "192.168.9.2"'))
    assert found(text, HOST) == [("E309", *place)]


def test_a_second_transport_without_a_way_out() -> None:
    host = HostFacts("lb-a", (interface("eth0", "10.0.1.10/24", "2001:db8::10/64"),))
    text, place = unmarked(
        transport('["unicast", "multicast"]', GOOD6).replace('[[vrrp]]\nname = "web"', '[[vrrp]]\nname = «"web"»')
    )
    assert found(text, host) == [("E309", *place)]  # eth0 has no link-local address


def test_addresses_in_other_families_are_no_peers() -> None:
    assert all(ip_address(peer).version == 6 for path in paths_of(GOOD6) for peer in path.peers)
