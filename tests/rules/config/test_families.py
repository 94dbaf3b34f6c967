"""One family a virtual router, and what IPv6 asks for. `«»` marks the place of the one problem."""

import pytest
from tests.rules.config.example import GOOD, HOST6, edited, found, plan_of, problems_of, unmarked, vrrp, with_ipv6

from firstmate.model.plan import Vmac

MANY6 = [f"2001:db8::{n:x}/64" for n in range(0x100, 0x200)]
GOOD6 = with_ipv6(GOOD, "fe80::1/64", "2001:db8::100/64")
SIGNED6 = GOOD6.replace('name = "web-edge"', 'name = "web-edge"\nsecret = "env:KEY"')


def addresses(written: str) -> str:
    return edited(('["10.0.1.100/24"]', written))


def many6(text: str, count: int) -> str:
    """With so many addresses in all; one of them is link-local."""
    listed = ", ".join(f'"{address}"' for address in ["fe80::1/64", *MANY6[: count - 1]])
    return text.replace('"fe80::1/64", "2001:db8::100/64"', listed)


# fmt: off
RULES = {  # id, and the file with its place marked
    "two families":            ("E219", addresses('["10.0.1.100/24", «"2001:db8::100/64"»]')),
    "two families, IPv6 first": ("E219", GOOD6.replace('"2001:db8::100/64"', '"2001:db8::100/64", «"10.0.1.100/24"»')),
    "peer":                    ("E219", vrrp('peers = ["10.0.1.9", «"2001:db8::9"»]')),
    "source":                  ("E219", vrrp('source = «"2001:db8::9"»')),
    "source of a node":        ("E219", vrrp('source = { lb-a = "10.0.1.9", lb-b = «"2001:db8::9"» }')),
    "group":                   ("E219", vrrp('transport = "multicast"\nmulticast_group = «"ff02::12"»')),
    "checksum":                ("E219", GOOD6.replace("vrid = 1", 'vrid = 1\n«checksum» = "plain"')),
    "version 2":               ("E214", GOOD6.replace("vrid = 1", "vrid = 1\nversion = «2»")),
    "no link-local address":   ("E311", with_ipv6(GOOD, "2001:db8::100/64").replace('["2001:db8::100/64"]', '«["2001:db8::100/64"]»')),
    "nothing advertised":      ("E224", addresses('«[{ vip = "10.0.1.100/24", advertise = false }]»')),
    "more than a packet":      ("E125", many6(GOOD6, 91).replace("addresses = [", "addresses = «[", 1).replace("]\n\n[[service]]", "]»\n\n[[service]]")),
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
        many6(GOOD6, 90),
        many6(SIGNED6, 89),
        many6(SIGNED6, 88).replace("vrid = 1", 'vrid = 1\ntransport = "udp"'),
        addresses('["10.0.1.100/24", { vip = "2001:db8::100/64", advertise = false }]'),
        addresses('[{ vip = "10.0.1.100/24", advertise = false }]\nlenient = true'),
        with_ipv6(GOOD, "2001:db8::100/64").replace("vrid = 1", "vrid = 1\nlenient = true"),
    ],
)
def test_no_problem(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "room"),
    [
        (many6(SIGNED6, 90), "89 do"),
        (many6(SIGNED6, 89).replace("vrid = 1", 'vrid = 1\ntransport = "udp"'), "88 do"),
    ],
)
def test_a_signature_takes_room_from_the_addresses(text: str, room: str) -> None:
    (problem,) = problems_of(text)
    assert (problem.code, room in problem.text) == ("E125", True)


def test_the_hint_says_what_to_write_for_the_other_family() -> None:
    (problem,) = problems_of(addresses('["10.0.1.100/24", "2001:db8::100/64"]'))
    assert 'move_with = ["web"]' in problem.hint
    assert '{ vip = "2001:db8::100/64", advertise = false }' in problem.hint


def test_the_hint_has_a_link_local_address() -> None:
    (problem,) = problems_of(with_ipv6(GOOD, "2001:db8::100/64").replace("vrid = 1", "vrid = 255"))
    assert '"fe80::ff/64"' in problem.hint


def test_a_link_local_address_is_put_first() -> None:  # C10
    text = with_ipv6(GOOD, "2001:db8::1/64", "2001:db8::2/64", "fe80::1/64", "fe80::2/64")
    vips = plan_of(text, HOST6).routers[0].vips
    assert [str(vip.ip) for vip in vips] == ["fe80::1", "2001:db8::1", "2001:db8::2", "fe80::2"]


def test_without_a_link_local_address_the_file_is_refused() -> None:  # C10
    assert [code for code, *_ in found(with_ipv6(GOOD, "2001:db8::1/64"))] == ["E311"]


def test_advertised_addresses_come_first() -> None:
    written = '[{ vip = "fe80::9/64", advertise = false }, "10.0.1.100/24", "10.0.1.101/24"]'
    vips = plan_of(addresses(written)).routers[0].vips
    assert [(str(vip.ip), vip.advertised) for vip in vips] == [
        ("10.0.1.100", True),
        ("10.0.1.101", True),
        ("fe80::9", False),
    ]
    assert plan_of(addresses(written)).routers[0].family == 4


@pytest.mark.parametrize(
    ("text", "vmac"),
    [
        (vrrp('vmac = true\ntransport = "multicast"'), Vmac("vrrp.1", "00:00:5e:00:01:01")),
        (
            vrrp("vmac = true"),
            Vmac("vrrp.1", "00:00:5e:00:01:01", xmit_base=True),
        ),  # unicast comes from the host itself
        (GOOD6.replace("vrid = 1", "vrid = 200\nvmac = {}"), Vmac("vrrp6.200", "00:00:5e:00:02:c8", xmit_base=True)),
        (
            vrrp('vmac = { name = "web0", mac = "02:00:00:00:00:01", xmit_base = true }\ntransport = "multicast"'),
            Vmac("web0", "02:00:00:00:00:01", xmit_base=True),
        ),
        (GOOD, None),
        (vrrp("vmac = false"), None),
    ],
)
def test_virtual_mac(text: str, vmac: Vmac | None) -> None:  # C13
    assert plan_of(text, HOST6).routers[0].vmac == vmac


def test_a_router_whose_addresses_are_wrong_gets_no_further_problem() -> None:
    assert [code for code, *_ in found(addresses('["x"]'))] == ["E301"]


def test_without_names_the_hints_still_say_something() -> None:
    text = addresses('["10.0.1.100/24", "2001:db8::100/64"]').replace('[[vrrp]]\nname = "web"\nvrid = 1', "[[vrrp]]")
    assert 'move_with = ["NAME"]' in " ".join(problem.hint for problem in problems_of(text))
    text = with_ipv6(GOOD, "2001:db8::100/64").replace("vrid = 1\n", "")
    assert '"fe80::1/64"' in " ".join(problem.hint for problem in problems_of(text))
