"""Addresses of both families: what is one, and what can move."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from tests.rules.config.test_readers import read

from firstmate.config import addresses
from firstmate.config.addresses import VipDraft
from firstmate.config.readers import Reader

ADDRESS, ADDRESS6 = IPv4Address("10.0.1.100"), IPv6Address("2001:db8::100")
EITHER, IPV4 = addresses.host_address(), addresses.host_address(4)
VIP = '{ vip = "10.0.1.100/24", '
VIP6 = '{ vip = "2001:db8::100/64", '

# fmt: off
ACCEPTED = [  # reader              written                                   value
    (IPV4,                         '"10.0.1.100"',                           ADDRESS),
    (EITHER,                       '"10.0.1.100"',                           ADDRESS),
    (EITHER,                       '"2001:DB8:0::100"',                      ADDRESS6),
    (EITHER,                       '"fe80::1"',                              IPv6Address("fe80::1")),
    (addresses.routable_ipv6,      '"2001:db8::100"',                        ADDRESS6),
    (addresses.routable_ipv6,      '"fd00::1"',                              IPv6Address("fd00::1")),
    (addresses.multicast_address,  '"224.0.0.19"',                           IPv4Address("224.0.0.19")),
    (addresses.multicast_address,  '"ff02::13"',                             IPv6Address("ff02::13")),
    (addresses.prefix,             '"0.0.0.0/0"',                            IPv4Network("0.0.0.0/0")),
    (addresses.prefix,             '"10.0.1.100"',                           IPv4Network("10.0.1.100/32")),
    (addresses.prefix,             '"2001:db8::/32"',                        IPv6Network("2001:db8::/32")),
    (addresses.scope,              '"link"',                                 253),
    (addresses.scope,              "200",                                    200),
    (addresses.interface_name,     '"enp0s31f6.4094"',                       "enp0s31f6.4094"),
    (addresses.vip,                '"10.0.1.100/24"',                        VipDraft(ADDRESS, 24)),
    (addresses.vip,                '"10.0.1.100/32"',                        VipDraft(ADDRESS, 32)),
    (addresses.vip,                '"10.0.1.100/31"',                        VipDraft(ADDRESS, 31)),
    (addresses.vip,                '"2001:db8::100/64"',                     VipDraft(ADDRESS6, 64)),
    (addresses.vip,                '"2001:db8::/127"',                       VipDraft(IPv6Address("2001:db8::"), 127)),
    (addresses.vip,                '"2001:db8::ffff:ffff:ffff:ffff/64"',     VipDraft(IPv6Address("2001:db8::ffff:ffff:ffff:ffff"), 64)),
    (addresses.vip,                VIP[:-2] + "}",                              VipDraft(ADDRESS, 24)),
    (addresses.vip,                VIP + 'dev = "eth1" }',                   VipDraft(ADDRESS, 24, "eth1")),
    (addresses.vip,                VIP + 'dev = { a = "b" } }',              VipDraft(ADDRESS, 24, {"a": "b"})),
    (addresses.vip,                VIP + "advertise = false }",              VipDraft(ADDRESS, 24, advertised=False)),
    (addresses.vip,                VIP + "track = false }",                  VipDraft(ADDRESS, 24, track=False)),
    (addresses.vip,                VIP + 'scope = "host" }',                 VipDraft(ADDRESS, 24, scope=254)),
    (addresses.vip,                VIP + 'label = "eth0:web" }',             VipDraft(ADDRESS, 24, label="eth0:web")),
    (addresses.vip,                VIP + 'broadcast = "+" }',                VipDraft(ADDRESS, 24, broadcast=IPv4Address("10.0.1.255"))),
    (addresses.vip,                VIP + 'broadcast = "-" }',                VipDraft(ADDRESS, 24)),
    (addresses.vip,                VIP + 'broadcast = "10.0.1.9" }',         VipDraft(ADDRESS, 24, broadcast=IPv4Address("10.0.1.9"))),
    (addresses.vip,                VIP6 + "dad = true }",                    VipDraft(ADDRESS6, 64, dad=True)),
]

REFUSED = [  # reader               written                                   code    said                     hint
    (IPV4,                         '"10.0.1.10/24"',                         "E301", "prefix length",         '"10.0.1.10"'),
    (IPV4,                         '"10.0.1"',                               "E301", "not an IPv4 address",   "four numbers"),
    (IPV4,                         '"10.0.01.1"',                            "E301", "not an IPv4 address",   ""),
    (IPV4,                         '"2001:db8::1"',                          "E219", "this takes IPv4",       "10.0.1.10"),
    (IPV4,                         '"224.0.0.18"',                           "E304", "address of a host",     ""),
    (IPV4,                         '"0.0.0.0"',                              "E304", "address of a host",     ""),
    (IPV4,                         '"255.255.255.255"',                      "E304", "address of a host",     ""),
    (IPV4,                         "10",                                     "E110", "takes text",            ""),
    (EITHER,                       '"x"',                                    "E301", "not an IP address",     "2001:db8::10"),
    (EITHER,                       '"fe80::1%eth0"',                         "E301", "names an interface",    "say dev"),
    (EITHER,                       '"::"',                                   "E304", "address of a host",     ""),
    (EITHER,                       '"ff02::1"',                              "E304", "address of a host",     ""),
    (EITHER,                       '"::ffff:10.0.1.1"',                      "E304", "address of a host",     ""),
    (addresses.routable_ipv6,      '"fe80::1"',                              "E304", "one link only",         "2001:db8::10"),
    (addresses.routable_ipv6,      '"10.0.1.1"',                             "E219", "this takes IPv6",       ""),
    (addresses.multicast_address,  '"10.0.1.1"',                             "E304", "not a multicast",       "ff02::12"),
    (addresses.multicast_address,  '"x"',                                    "E301", "not an IP",             ""),
    (addresses.multicast_address,  "1",                                      "E110", "takes text",            ""),
    (addresses.prefix,             '"10.0.1.1/24"',                          "E301", "bits set behind",       '"10.0.1.0/24", or "10.0.1.1"'),
    (addresses.prefix,             '"10.0.1.0/33"',                          "E301", '"33" is not',           "0 to 32"),
    (addresses.prefix,             "1",                                      "E110", "takes text",            ""),
    (addresses.scope,              '"universe"',                             "E115", "cannot be",             '"global"'),
    (addresses.scope,              "256",                                    "E115", "cannot be",             "0 to 255"),
    (addresses.scope,              "true",                                   "E115", "cannot be",             ""),
    (addresses.interface_name,     '"a/b"',                                  "E118", "name of an interface",  ""),
    (addresses.interface_name,     '"sixteen-letters-"',                     "E118", "name of an interface",  ""),
    (addresses.interface_name,     '""',                                     "E118", "name of an interface",  ""),
    (addresses.interface_name,     '".."',                                   "E118", "name of an interface",  ""),
    (addresses.interface_name,     "1",                                      "E110", "takes text",            ""),
    (addresses.vip,                '"10.0.1.100"',                           "E301", "no prefix length",      '"10.0.1.100/24"'),
    (addresses.vip,                '"2001:db8::100"',                        "E301", "no prefix length",      '"2001:db8::100/64"'),
    (addresses.vip,                '"10.0.1.100/33"',                        "E301", '"33" is not',           "0 to 32"),
    (addresses.vip,                '"2001:db8::100/129"',                    "E301", '"129" is not',          "0 to 128"),
    (addresses.vip,                '"10.0.1.100/024"',                       "E301", '"024" is not',          ""),
    (addresses.vip,                '"10.0.1.100/255.255.255.0"',             "E301", "not a prefix length",   ""),
    (addresses.vip,                '"10.0.1/24"',                            "E301", "not an IP address",     ""),
    (addresses.vip,                '"10.0.1.0/24"',                          "E304", "network address",       ""),
    (addresses.vip,                '"10.0.1.255/24"',                        "E304", "broadcast address",     ""),
    (addresses.vip,                '"2001:db8::/64"',                        "E304", "anycast address",       ""),
    (addresses.vip,                '"224.0.0.18/32"',                        "E304", "address of a host",     ""),
    (addresses.vip,                "1",                                      "E110", "takes text",            ""),
    (addresses.vip,                '{ elastic_ip = "eipalloc-0abc" }',       "E114", "Elastic IP",            "take it out"),
    (addresses.vip,                '{ dev = "eth0" }',                       "E111", 'needs "vip"',           ""),
    (addresses.vip,                '{ vip = "x/24" }',                       "E301", "not an IP address",     ""),
    (addresses.vip,                VIP + 'device = "eth0" }',                "E112", '"device"',              'did you mean "dev"?'),
    (addresses.vip,                VIP + "dad = true }",                     "E219", "IPv4 address",          "take it out"),
    (addresses.vip,                VIP6 + 'label = "eth0:1" }',              "E219", "IPv6 address",          "take it out"),
    (addresses.vip,                VIP6 + 'broadcast = "+" }',               "E219", "IPv6 address",          "take it out"),
    (addresses.vip,                VIP6 + 'scope = "host" }',                "E219", "IPv6 address",          "take it out"),
    (addresses.vip,                VIP + 'broadcast = "x" }',                "E301", "not an IPv4 address",   ""),
    (addresses.vip,                VIP + "broadcast = 1 }",                  "E110", "takes text",            ""),
    (addresses.vip,                VIP + 'label = "eth0:a-longer-one" }',      "E118", "cannot be a label",     "at most 15"),
    (addresses.vip,                VIP + "label = 1 }",                      "E110", "takes text",            ""),
]
# fmt: on


@pytest.mark.parametrize(("reader", "written", "value"), ACCEPTED, ids=[str(row[1]) for row in ACCEPTED])
def test_accepted(reader: Reader[Any], written: str, value: object) -> None:
    assert read(reader, written) == (value, [])


@pytest.mark.parametrize(("reader", "written", "code", "said", "hint"), REFUSED, ids=[str(row[1]) for row in REFUSED])
def test_refused(reader: Reader[Any], written: str, code: str, said: str, hint: str) -> None:
    value, problems = read(reader, written)
    assert [problem.code for problem in problems] == [code], problems
    assert said in problems[0].text
    assert hint in problems[0].hint
    assert value is None
