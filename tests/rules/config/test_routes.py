"""Routes and policy rules as they are written."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.config.test_readers import read

from firstmate.config.routes import RouteDraft, RuleDraft, route, rule
from firstmate.model.plan import Route, RouteKind, Rule

ANY, ANY6 = IPv4Address(0), IPv6Address(0)
GATEWAY, VIP = IPv4Address("10.0.1.1"), IPv4Address("10.0.1.100")

# fmt: off
ROUTES = {
    '{ to = "0.0.0.0/0", via = "10.0.1.1" }': RouteDraft(Route(ANY, 0, via=GATEWAY), None),
    '{ to = "::/0", dev = { a = "eth1" } }': RouteDraft(Route(ANY6, 0), {"a": "eth1"}),
    '{ to = "10.9.0.0/16", type = "blackhole", metric = 0 }': RouteDraft(
        Route(IPv4Address("10.9.0.0"), 16, RouteKind.BLACKHOLE, metric=0), None
    ),
    '{ to = "10.0.9.9", via = "10.0.1.1", dev = "eth1", source = "10.0.1.100", table = 100, metric = 50,'
    ' scope = "link", onlink = true, track = false }': RouteDraft(
        Route(
            IPv4Address("10.0.9.9"), 32, via=GATEWAY, source=VIP, table=100, metric=50, scope=253, onlink=True, track=False
        ),
        "eth1",
    ),
}
RULES = {
    '{ from = "10.0.1.100", table = 100, priority = 1000 }': RuleDraft(
        Rule(4, 100, 1000, source=VIP, source_prefix=32), None
    ),
    '{ to = "2001:db8::/32", table = 4294967295, priority = 0, track = false }': RuleDraft(
        Rule(6, 2**32 - 1, 0, destination=IPv6Address("2001:db8::"), destination_prefix=32, track=False), None
    ),
    '{ fwmark = "0x1/0xff", family = 6, table = 1, priority = 1 }': RuleDraft(Rule(6, 1, 1, fwmark=1, fwmask=255), None),
    '{ fwmark = "16", iif = "eth0", table = 1, priority = 1 }': RuleDraft(Rule(4, 1, 1, fwmark=16), "eth0"),
    "{ fwmark = 7, table = 1, priority = 1 }": RuleDraft(Rule(4, 1, 1, fwmark=7), None),
}
REFUSED = [  # reader  written                                                               code    said
    (route, '"0.0.0.0/0 via 10.0.1.1"',                                                     "E110", "a table"),
    (route, '{ via = "10.0.1.1" }',                                                         "E111", 'needs "to"'),
    (route, '{ to = "0.0.0.0/0" }',                                                         "E111", "leads somewhere"),
    (route, '{ to = "0.0.0.0/0", via = "2001:db8::1" }',                                    "E219", '"via" is not IPv4'),
    (route, '{ to = "::/0", via = "2001:db8::1", source = "10.0.1.1" }',                    "E219", '"source" is not IPv6'),
    (route, '{ to = "10.9.0.0/16", type = "blackhole", dev = "eth1" }',                     "E126", "leads nowhere"),
    (route, '{ to = "10.9.0.0/16", via = "10.0.1.1", onlink = true }',                      "E126", "needs via and dev"),
    (route, '{ to = "10.9.0.0/16", via = "10.0.1.1", type = "local" }',                     "E115", "cannot be"),
    (rule,  '{ from = "10.0.1.100", table = 100 }',                                         "E111", 'needs "priority"'),
    (rule,  '{ from = "10.0.1.100", to = "::/0", table = 1, priority = 1 }',                "E219", '"to" is not IPv4'),
    (rule,  '{ from = "10.0.1.100", family = 6, table = 1, priority = 1 }',                 "E219", '"from" is not IPv6'),
    (rule,  '{ from = "10.0.1.100", table = 0, priority = 1 }',                             "E117", "outside 1"),
    (rule,  '{ fwmark = "x", table = 1, priority = 1 }',                                    "E126", "not a mark"),
    (rule,  '{ fwmark = "4294967296", table = 1, priority = 1 }',                           "E126", "not a mark"),
    (rule,  "{ fwmark = -1, table = 1, priority = 1 }",                                     "E117", "outside 0"),
    (rule,  "{ fwmark = true, table = 1, priority = 1 }",                                   "E110", "takes text"),
]
# fmt: on


@pytest.mark.parametrize(("written", "value"), ROUTES.items(), ids=ROUTES)
def test_route(written: str, value: RouteDraft) -> None:
    assert read(route, written) == (value, [])


@pytest.mark.parametrize(("written", "value"), RULES.items(), ids=RULES)
def test_rule(written: str, value: RuleDraft) -> None:
    assert read(rule, written) == (value, [])


@pytest.mark.parametrize(("reader", "written", "code", "said"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refused(reader: object, written: str, code: str, said: str) -> None:
    value, problems = read(reader, written)  # type: ignore[arg-type] # either of the two readers
    assert [problem.code for problem in problems] == [code], problems
    assert said in problems[0].text
    assert value is None
