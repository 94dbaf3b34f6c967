from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.linux.kernel import address, attribute, link
from tests.rules.linux.test_bpf import run

from firstmate.linux import netlink, routes, rules
from firstmate.linux.bpf import OUR_ROUTING_NEWS
from firstmate.linux.rtnetlink import _MESSAGE
from firstmate.model.plan import Route, Rule, Vip

IP = IPv4Address("10.0.1.100")
ROUTE = routes.encode(Route(IP, 32, dev="eth0"), 7, 254)
THEIRS = ROUTE[:5] + b"\x03" + ROUTE[6:]
RULE = rules.encode(Rule(4, 100, 500, iif="eth0"))
LINK = link(2, 0x10001, attribute(3, b"eth0\0"))
ADDRESS = address(2, attribute(2, IP.packed))

# fmt: off
NEWS = {
    #                    type body     kind                 reaches us
    "link":             (16, LINK,    netlink.Link,        True),
    "link gone":        (17, LINK,    netlink.Link,        True),
    "address":          (20, ADDRESS, netlink.IfAddress,   True),
    "address gone":     (21, ADDRESS, netlink.IfAddress,   True),
    "route":            (24, ROUTE,   None,                False),
    "route gone":       (25, ROUTE,   netlink.KernelRoute, True),
    "theirs is gone":   (25, THEIRS,  None,                False),
    "rule":             (32, RULE,    None,                False),
    "rule gone":        (33, RULE,    netlink.KernelRule,  True),
    "something else":   (28, b"",     None,                True),
}
# fmt: on


@pytest.mark.parametrize(("kind", "body", "wanted", "kept"), NEWS.values(), ids=NEWS)
def test_news(kind: int, body: bytes, wanted: type | None, *, kept: bool) -> None:
    found = netlink.parse(kind, body)
    assert (type(found) if found is not None else None) is wanted
    message = _MESSAGE.pack(16 + len(body), kind, 0, 0, 0) + body
    assert bool(run(OUR_ROUTING_NEWS, message)) is kept


def test_where_ipv6_is_off_the_error_says_so() -> None:
    vip = Vip(IPv6Address("2001:db8::1"), 64, "eth0")
    told = netlink._explained(PermissionError(13, "Permission denied"), vip)
    assert told is not None
    assert not isinstance(told, PermissionError)  # which is for a right that pulse lacks
    assert told.strerror == "IPv6 is off on eth0 (net.ipv6.conf.eth0.disable_ipv6)"
    lacking = PermissionError(1, "Operation not permitted")
    assert netlink._explained(lacking, vip) is lacking
    assert netlink._explained(None, vip) is None


def test_groups_are_those_of_the_kernel() -> None:
    assert sum(1 << number - 1 for number in (1, 5, 7, 8, 9, 11, 19)) == netlink.EVERY_GROUP
