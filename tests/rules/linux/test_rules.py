import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from firstmate.linux import rules
from firstmate.linux.rtnetlink import read_attributes
from firstmate.linux.rules import KernelRule
from firstmate.model.plan import Rule

NET, NET6 = IPv4Address("198.51.100.0"), IPv6Address("2001:db8:7::")
MARK = b"\x70"


def n(value: int) -> bytes:
    return struct.pack("=I", value)


# family, destination and source prefix, short table; attributes by kind
# fmt: off
WANTED = {
    "from":       (Rule(4, 100, 500, source=NET, source_prefix=24),            (2, 0, 24, 100),   {2: NET.packed, 6: n(500), 15: n(100), 21: MARK}),
    "to":         (Rule(4, 100, 500, destination=NET, destination_prefix=24),  (2, 24, 0, 100),   {1: NET.packed, 6: n(500), 15: n(100), 21: MARK}),
    "from all":   (Rule(4, 100, 500, source=IPv4Address(0), source_prefix=0),  (2, 0, 0, 100),    {6: n(500), 15: n(100), 21: MARK}),
    "far table":  (Rule(4, 70000, 500, iif="eth0"),                            (2, 0, 0, 252),    {3: b"eth0\0", 6: n(500), 15: n(70000), 21: MARK}),
    "a mark":     (Rule(4, 100, 2**32 - 1, fwmark=7, fwmask=255),              (2, 0, 0, 100),    {6: n(2**32 - 1), 10: n(7), 15: n(100), 16: n(255), 21: MARK}),
    "IPv6":       (Rule(6, 100, 500, source=NET6, source_prefix=48),           (10, 0, 48, 100),  {2: NET6.packed, 6: n(500), 15: n(100), 21: MARK}),
}
# fmt: on


@pytest.mark.parametrize(("rule", "header", "attributes"), WANTED.values(), ids=WANTED)
def test_encode(rule: Rule, header: tuple[int, ...], attributes: dict[int, bytes]) -> None:
    body = rules.encode(rule)
    family, destination, source, tos, table, _, _, action, flags = struct.unpack_from("=8BI", body)
    assert (family, destination, source, table) == header
    assert (tos, action, flags) == (0, 1, 0)
    assert read_attributes(body[12:]) == attributes


@pytest.mark.parametrize("given", WANTED)
def test_what_is_encoded_is_parsed(given: str) -> None:
    rule, _, _ = WANTED[given]
    body = rules.encode(rule)
    assert rules.parse(body) == KernelRule(rule.family, rule.priority, rule.table, body)


def test_what_is_not_ours_is_nothing() -> None:
    header = struct.pack("=8BI", 2, 0, 0, 0, 254, 0, 0, 1, 0)
    assert rules.parse(header) is None
    assert rules.parse(header + struct.pack("=HHB3x", 5, 21, 18)) is None
    assert rules.parse(b"\x80" + header[1:] + struct.pack("=HHB3x", 5, 21, 112)) is None


def test_a_rule_is_said_in_words() -> None:
    assert str(rules.parse(rules.encode(WANTED["from"][0]))) == "rule 500 to table 100 (IPv4)"
