"""Which node a host is, and which interface carries what; `«»` marks the place of the one problem."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.config.example import (
    GOOD,
    HOST,
    HOST6,
    LO,
    edited,
    found,
    interface,
    plan_of,
    unmarked,
    vrrp,
    with_ipv6,
)

from firstmate.config.compile import compile_plan, sample_plan
from firstmate.model.host import HostFacts
from firstmate.model.plan import RouteKind, Vip
from firstmate.model.problems import Problem

BARE = HostFacts("other", (LO, interface("eth0", "10.0.5.3/24")))
ETH0, ETH1 = interface("eth0", "10.0.1.10/24"), interface("eth1", "192.168.7.1/24")


def compiled(text: str, host: HostFacts, node: str | None = None) -> list[Problem]:
    return list(compile_plan(text, "f", host, node)[1])


@pytest.mark.parametrize(
    ("host", "said", "node"),
    [
        (HOST, None, "lb-a"),
        (HostFacts("lb-a", (interface("eth0", "10.0.1.11/24"),)), None, "lb-b"),
        (HostFacts("lb-a", (ETH0, interface("eth1", "10.0.1.11/24"))), "lb-b", "lb-b"),
    ],
)
def test_who_am_i(host: HostFacts, said: str | None, node: str) -> None:
    assert plan_of(GOOD, host, said).node == node


@pytest.mark.parametrize("hostname", ["lb-b", "lb-b.example.net"])
def test_a_name_tells_when_no_address_does(hostname: str) -> None:
    text = vrrp('source = "10.0.5.3"')
    assert plan_of(text, HostFacts(hostname, BARE.interfaces)).node == "lb-b"


@pytest.mark.parametrize("host", [BARE, HostFacts("x", ()), HostFacts("x", (ETH0, interface("b", "10.0.1.11/24")))])
def test_when_it_cannot_be_told_both_sides_are_listed(host: HostFacts) -> None:
    (problem,) = compiled(GOOD, host)
    assert problem.code == "E201"
    assert "lb-a 10.0.1.10, lb-b 10.0.1.11" in problem.text
    assert f'"{host.hostname}"' in problem.text
    assert "FIRSTMATE_NODE" in problem.hint


def test_many_interfaces_are_not_all_listed() -> None:
    host = HostFacts("x", tuple(interface(f"eth{number}", f"10.9.{number}.1/24") for number in range(40)))
    (problem,) = compiled(GOOD, host)
    assert "and 32 more interfaces" in problem.text


@pytest.mark.parametrize(("said", "hint"), [("lb-c", 'did you mean "lb-b"?'), ("x", "nodes: lb-a, lb-b")])
def test_a_node_that_is_not_there(said: str, hint: str) -> None:
    (problem,) = compiled(GOOD, HOST, said)
    assert (problem.code, problem.hint) in {("E201", hint), ("E201", 'did you mean "lb-a"?')}


# fmt: off
PROBLEMS = {  # id, the file with the place marked, and the host
    "address nowhere":       ("E309", edited(('name = "web"', 'name = «"web"»')), HostFacts("lb-a", (LO,))),
    "source nowhere":        ("E309", vrrp('source = «"10.0.1.99"»'), HOST),
    "address twice":         ("E308", edited(('name = "web"', 'name = «"web"»')), HostFacts("x", (ETH0, interface("b", "10.0.1.10/8")))),
    "no such interface":     ("E307", vrrp('interface = «"eth7"»'), HOST),
    "no such device":        ("E307", edited(('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", dev = «"eth7"» }')), HOST),
    "multicast, no address": ("E309", vrrp('transport = "multicast"\ninterface = «"b"»'), HostFacts("x", (ETH0, interface("b")))),
    "which subnet":          ("E308", edited(('"10.0.1.100/24"', '«"172.16.0.9/16"»')), HostFacts("x", (ETH0, interface("b", "172.16.0.1/16"), interface("c", "172.16.0.2/16")))),
    "label":                 ("E118", edited(('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", label = «"web"» }')), HOST),
    "label of a vmac":       ("E118", vrrp("vmac = true").replace('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", label = «"eth0:1"» }'), HOST),
    "route":                 ("E307", vrrp('routes = [{ to = "0.0.0.0/0", dev = «"eth7"» }]'), HOST),
    "no link-local address": ("E309", edited(('name = "web"', 'name = «"web"»'), ("vrid = 1", 'vrid = 1\ntransport = "multicast"'), ('"10.0.1.100/24"', '"fe80::1/64"')), HOST),
    "link-local twice":      ("E308", vrrp('transport = "multicast"\nsource = «"fe80::a"»').replace('"10.0.1.100/24"', '"fe80::1/64"'), HostFacts("lb-a", (interface("eth0", "10.0.1.10/24", "fe80::a/64"), interface("b", "fe80::a/64")))),
    "vrid on one interface": ("E205", vrrp('interface = "eth0"') + '[[vrrp]]\nname = "two"\nvrid = «1»\naddresses = ["10.0.1.101/24"]', HOST),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked", "host"), PROBLEMS.values(), ids=PROBLEMS)
def test_problem(code: str, marked: str, host: HostFacts) -> None:
    text, place = unmarked(marked)
    assert found(text, host) == [(code, *place)]
    (problem,) = compiled(text, host, "lb-a")
    assert (problem.code, problem.line, problem.column, problem.width) == (code, *place)


def test_check_says_nothing_of_a_host_that_is_no_node() -> None:
    assert found(vrrp('interface = "eth7"'), BARE) == []


@pytest.mark.parametrize(
    ("vip", "dev"),
    [
        ('"10.0.1.100/24"', "eth0"),
        ('"192.168.7.9/24"', "eth1"),  # the interface whose subnet holds it
        ('"203.0.113.80/32"', "eth0"),  # in no subnet: with the adverts
        ('{ vip = "10.0.1.100/24", dev = "eth1" }', "eth1"),
        ('{ vip = "10.0.1.100/24", dev = { lb-a = "lo" } }', "lo"),
        ('{ vip = "10.0.1.100/24", dev = { lb-b = "eth7" } }', "eth0"),
    ],
)
def test_interface_of_a_vip(vip: str, dev: str) -> None:
    assert [vip.dev for vip in plan_of(edited(('"10.0.1.100/24"', vip))).routers[0].vips] == [dev]


def test_the_interface_of_the_adverts_is_preferred_for_a_vip() -> None:
    host = HostFacts("x", (interface("a", "10.0.1.20/24"), ETH0))
    assert plan_of(GOOD, host).routers[0].vips[0].dev == "eth0"


@pytest.mark.parametrize(
    ("lines", "name", "source"),
    [
        ("", "eth0", "10.0.1.10"),
        ('interface = "eth1"', "eth1", "10.0.1.10"),
        ('interface = { lb-a = "eth1" }\ntransport = "multicast"', "eth1", "192.168.7.1"),
        ('interface = "eth0"\ntransport = "multicast"', "eth0", "10.0.1.10"),
        ('source = { lb-a = "192.168.7.1" }', "eth1", "192.168.7.1"),
        ('source = "192.168.7.1"\ninterface = "eth0"', "eth0", "192.168.7.1"),
    ],
)
def test_interface_and_source_of_the_adverts(lines: str, name: str, source: str) -> None:
    router = plan_of(vrrp(lines)).routers[0]
    assert (router.interface, router.source) == (name, IPv4Address(source))


@pytest.mark.parametrize(
    ("vip", "dev"),
    [
        ('"2001:db8::100/64"', "eth0"),
        ('"2001:db8:7::100/64"', "eth1"),  # the interface whose subnet holds it
        ('"2001:db8:9::1/128"', "eth0"),
        ('{ vip = "fe80::9/64", dev = "eth1" }', "eth1"),
        ('"fe80::9/64"', "eth0"),  # every interface has that subnet
    ],
)
def test_interface_of_an_ipv6_vip(vip: str, dev: str) -> None:
    text = edited(('"10.0.1.100/24"', f'"fe80::1/64", {vip}'), ("vrid = 1", 'vrid = 1\ntransport = "multicast"'))
    assert [vip.dev for vip in plan_of(text, HOST6).routers[0].vips] == ["eth0", dev]


def test_a_virtual_mac_holds_the_addresses_of_its_interface() -> None:
    written = '{ vip = "10.0.1.100/24", label = "vrrp.1:web" }, "192.168.7.9/24"'
    vips = plan_of(edited(("vrid = 1", "vrid = 1\nvmac = true"), ('"10.0.1.100/24"', written))).routers[0].vips
    assert [vip.dev for vip in vips] == ["vrrp.1", "eth1"]


def test_an_address_of_the_owner_stays_where_it_is() -> None:
    owned = "priority = { lb-a = 255, lb-b = 100 }\nvmac = true"
    text = edited(('prefer = ["lb-a", "lb-b"]', owned), ("10.0.1.100", "10.0.1.10"))
    assert plan_of(text).routers[0].vips == (Vip(IPv4Address("10.0.1.10"), 24, "eth0", fixed=True),)


def test_an_address_takes_what_is_written_of_it() -> None:
    written = (
        '{ vip = "10.0.1.100/24", scope = "link", label = "eth0:web", broadcast = "+", track = false, advertise = true }'
        ', { vip = "2001:db8::9/64", advertise = false, dad = true }'
    )
    assert plan_of(edited(('"10.0.1.100/24"', written))).routers[0].vips == (
        Vip(
            IPv4Address("10.0.1.100"),
            24,
            "eth0",
            scope=253,
            label="eth0:web",
            broadcast=IPv4Address("10.0.1.255"),
            track=False,
        ),
        Vip(IPv6Address("2001:db8::9"), 64, "eth0", advertised=False, dad=True),
    )


def test_routes_and_rules_get_their_interfaces() -> None:
    text = vrrp(
        """routes = [
  { to = "0.0.0.0/0", via = "10.0.1.1", dev = { lb-b = "eth7" } },
  { to = "10.8.0.0/16", dev = { lb-b = "eth7" } },
  { to = "10.9.0.0/16", dev = { lb-a = "eth1" } },
  { to = "10.7.0.0/16", type = "blackhole" },
]
rules = [
  { from = "10.0.1.100", table = 100, priority = 1000, iif = { lb-a = "eth1" } },
  { to = "10.9.0.0/16", table = 100, priority = 1001, iif = { lb-b = "eth7" } },
]"""
    )
    router = plan_of(text).routers[0]
    assert [route.dev for route in router.routes] == ["", "eth0", "eth1", ""]
    assert [route.kind for route in router.routes][-1] is RouteKind.BLACKHOLE
    assert [(rule.priority, rule.iif) for rule in router.rules] == [(1000, "eth1"), (1001, "")]


def test_a_node_is_recognised_by_its_ipv6_address() -> None:
    text = edited(
        ('"10.0.1.10"', '"10.0.1.99"\naddress6 = "2001:db8::10"'), ("vrid = 1", 'vrid = 1\ninterface = "eth0"')
    )
    host = HostFacts("x", (interface("eth0", "10.0.1.10/24", "2001:db8::10/64"),))
    assert plan_of(text, host).node == "lb-a"


def test_the_imagined_host_has_its_peers() -> None:
    plan = sample_plan(GOOD, "f")
    assert plan is not None
    assert plan.routers[0].peers == plan_of(GOOD).routers[0].peers != ()


def test_imagined_host_of_an_ipv6_router() -> None:
    plan = sample_plan(with_ipv6(GOOD, "2001:db8::100/64", "fe80::1/64"), "f")
    assert plan is not None
    assert (plan.routers[0].source, plan.routers[0].vips[0].ip) == (
        IPv6Address("2001:db8::10"),
        IPv6Address("fe80::1"),
    )


def test_imagined_host() -> None:
    plan = sample_plan(edited(('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", dev = "eth5" }, "10.0.1.101/24"')), "f")
    assert plan is not None
    assert plan.routers[0].vips == (
        Vip(IPv4Address("10.0.1.100"), 24, "eth5"),
        Vip(IPv4Address("10.0.1.101"), 24, "eth0"),
    )
    assert sample_plan(edited(("vrid = 1", "vrid = 0")), "f") is None
