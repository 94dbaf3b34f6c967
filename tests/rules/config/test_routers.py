"""What a [[vrrp]] must agree with. `«»` marks the place of the one problem."""

from ipaddress import IPv4Address

import pytest
from tests.rules.config.example import GOOD, edited, found, plan_of, problems_of, unmarked, vrrp

from firstmate.config.compile import check
from firstmate.config.routers import skew_us
from firstmate.config.schema import Section
from firstmate.model.units import MS, S

SECOND = '\n[[vrrp]]\nname = "two"\nvrid = {}\nprefer = ["lb-b", "lb-a"]\naddresses = [{}]\n'


def replaced(new: str) -> str:
    return edited(('prefer = ["lb-a", "lb-b"]', new))


# fmt: off
RULES = {  # id, and the file with its place marked
    "not a node in prefer":       ("E207", replaced('prefer = ["lb-a", «"lb-c"»]')),
    "not a node in priority":     ("E207", replaced("priority = { lb-a = 2, lb-b = 1, «lb-c» = 3 }")),
    "not a node in source":       ("E207", vrrp('source = { «lb-c» = "10.0.1.12" }')),
    "not a node in interface":    ("E207", vrrp('interface = { lb-a = "eth0", lb-b = "eth0", «"lb-c"» = "eth0" }')),
    "not a node in dev":          ("E207", edited(('"10.0.1.100/24"', '{ vip = "10.0.1.100/24", dev = { lb-a = "eth0", «lb-c» = "eth0" } }'))),
    "not a node in a route":      ("E207", vrrp('routes = [{ to = "10.9.0.0/16", dev = { «lb-c» = "eth0" } }]')),
    "not a node in a rule":       ("E207", vrrp('rules = [{ table = 1, priority = 1, iif = { «lb-c» = "eth0" } }]')),
    "not a node in track":        ("E207", vrrp('track = [{ interface = { «lb-c» = "eth0" } }]')),
    "preferred twice":            ("E210", replaced('prefer = ["lb-a", "lb-b", «"lb-a"»]')),
    "both":                       ("E208", vrrp("«priority» = { lb-a = 2, lb-b = 1 }")),
    "equal priorities":           ("E209", replaced("priority = { lb-a = 100, lb-b = «100» }")),
    "owner of another's":         ("W321", replaced("priority = { lb-a = «255», lb-b = 100 }")),
    "owner without preemption":   ("W317", replaced("priority = { lb-a = 255, lb-b = 100 }\n«preempt» = false").replace("10.0.1.100", "10.0.1.10")),
    "vip of another owner":       ("E303", replaced("priority = { lb-a = 255, lb-b = 100 }").replace('"10.0.1.100/24"', '"10.0.1.10/24", «"10.0.1.11/24"»')),
    "auth without password":      ("E111", vrrp('version = 2\nauth = «"ah"»')),
    "ttl of multicast":           ("W317", vrrp('transport = "multicast"\n«ttl» = 3')),
    "group of unicast":           ("W317", vrrp('«multicast_group» = "224.0.0.19"')),
    "the same virtual MAC":       ("E203", vrrp('interface = "eth0"\nvmac = true') + SECOND.format(1, '"10.0.1.101/24"') + 'interface = "eth1"\nvmac = «true»\n'),
    "alone in prefer":            ("W312", replaced('prefer = «["lb-a"]»')),
    "alone in priority":          ("W312", replaced("priority = «{ lb-a = 7 }»")),
    "v3 faster than possible":    ("E306", vrrp('advert_interval = «"9ms"»')),
    "v3 slower than possible":    ("E306", vrrp('advert_interval = «"40.96s"»')),
    "v3 between centiseconds":    ("E306", vrrp('advert_interval = «"105ms"»')),
    "v2 faster than possible":    ("E306", vrrp('version = 2\nadvert_interval = «"200ms"»')),
    "v2 between seconds":         ("E306", vrrp('version = 2\nadvert_interval = «"1.5s"»')),
    "v3 with password":           ("E214", vrrp('«auth_pass» = "x"')),
    "v2 with checksum":           ("E214", vrrp('version = 2\n«checksum» = "plain"')),
    "delay without preemption":   ("W317", vrrp('preempt = false\n«preempt_delay» = "1s"')),
    "tracks the unknown":         ("E211", vrrp('track = ["haproxy", «"disk"»]')),
    "tracks it twice":            ("E210", vrrp('track = ["haproxy", «"haproxy"»]')),
    "vip of a node":              ("E303", edited(('"10.0.1.100/24"', '«"10.0.1.11/24"»'))),
    "vip in a table":             ("E303", edited(('"10.0.1.100/24"', '«{ vip = "10.0.1.11/24" }»'))),
    "vip on loopback":            ("W314", edited(('"10.0.1.100/24"', '«"127.0.0.3/32"»'))),
    "same vrid":                  ("E205", GOOD + SECOND.format("«1»", '"10.0.1.101/24"')),
    "same vip":                   ("E206", GOOD + SECOND.format(2, '«"10.0.1.100/32"»')),
    "same vip in one":            ("E206", edited(('"10.0.1.100/24"', '"10.0.1.100/24", «"10.0.1.100/24"»'))),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


def test_haproxy_can_only_be_tracked_where_it_is() -> None:
    text, place = unmarked(vrrp('track = [«"haproxy"»]'))
    assert found(text[: text.index("[[service]]")]) == [("E211", *place)]


@pytest.mark.parametrize(
    "text",
    [
        vrrp('advert_interval = "10ms"'),
        vrrp('advert_interval = "40.95s"'),
        vrrp('version = 2\nadvert_interval = "255s"\nauth_pass = "x"'),
        vrrp("version = 2"),
        replaced('prefer = ["lb-a"]\npeers = ["10.0.1.9"]'),
        vrrp('interface = "eth0"') + SECOND.format(1, '"10.0.1.101/24"') + 'interface = "eth1"\n',
        vrrp('source = { lb-b = "10.0.1.13" }'),
        vrrp('version = 2\nauth = "ah"\nauth_pass = "x"'),
        vrrp("vmac = true") + SECOND.format(2, '"10.0.1.101/24"') + "vmac = true\n",
        vrrp("vmac = false"),
        vrrp('transport = ["multicast", "unicast"]\nttl = 3\nmulticast_group = "224.0.0.19"'),
        replaced("priority = { lb-a = 255, lb-b = 100 }").replace("10.0.1.100", "10.0.1.10"),  # the owner, RFC 5798
        GOOD
        + SECOND.format(1, '"fe80::1/64", "2001:db8::100/64"')
        + 'transport = "multicast"\n',  # VRID 1 of each family
        vrrp('interface = "eth0"')
        + SECOND.format(2, '"fe80::5/64"')
        + 'transport = "multicast"\ninterface = "eth0"\n'
        + SECOND.format(2, '"fe80::5/64"').replace("two", "three")
        + 'transport = "multicast"\ninterface = "eth1"\n',
    ],
)
def test_no_problem(text: str) -> None:
    assert found(text) == []


def test_a_free_vrid_is_offered() -> None:
    (problem,) = problems_of(GOOD + SECOND.format(1, '"10.0.1.101/24"'))
    assert (problem.hint, "line 14" in problem.text) == ("2 is free", True)


def test_no_vrid_is_offered_when_none_is_free() -> None:
    text = GOOD + "".join(
        SECOND.format(number, f'"10.0.2.{number - 1}/31"').replace("two", f"r{number}") for number in range(2, 255)
    )
    text = edited() + text[len(GOOD) :].replace("vrid = 254", "vrid = 1", 1)
    assert [problem.hint for problem in problems_of(text) if problem.code == "E205"] == ["254 is free"]


def test_without_nodes_the_hint_says_so() -> None:
    problems = check('[[vrrp]]\nname = "x"\nprefer = ["a"]', "f", None).problems
    assert "there is no [[node]]" in {problem.hint for problem in problems}


def test_skew_of_both_versions() -> None:
    """RFC 5798, 6.1: (256 - priority) * interval / 256; RFC 3768, 6.1: (256 - priority) / 256 seconds."""
    fields = {"advert_interval": 3 * S}
    assert skew_us(Section((), fields), 254) == 23_437
    assert skew_us(Section((), fields | {"version": 2}), 254) == 7_812


def test_peers_follow_the_sources_and_leave_ourselves_out() -> None:
    text = vrrp('source = { lb-b = "10.0.1.13" }\npeers = ["10.0.1.10", "10.0.1.13", "10.0.1.9"]')
    assert plan_of(text).routers[0].peers == (IPv4Address("10.0.1.13"), IPv4Address("10.0.1.9"))


def test_a_node_without_part_is_no_peer() -> None:
    text = edited(("[[vrrp]]", '[[node]]\nname = "lb-c"\naddress = "10.0.1.12"\n[[vrrp]]'))
    assert plan_of(text).routers[0].peers == (IPv4Address("10.0.1.11"),)


def test_default_interval_of_each_version() -> None:
    assert plan_of(vrrp("version = 2")).routers[0].advert_interval_us == S
    assert plan_of(vrrp("version = 3")).routers[0].advert_interval_us == 200 * MS


@pytest.mark.parametrize(
    "line",
    [
        'advert_interval = "0s"',
        'advert_interval = "40.96s"',
        'version = 2\nadvert_interval = "0s"',
        'version = 2\nadvert_interval = "256s"',
    ],
)
def test_an_interval_that_does_not_fit_the_packet_is_refused(line: str) -> None:  # C8
    assert {code for code, *_ in found(vrrp(line))} <= {"E306", "E117"} != set()
    assert found(vrrp(line)) != []


def test_255_addresses_are_accepted_and_one_more_is_refused() -> None:  # C9
    def text(count: int) -> str:
        return edited(('["10.0.1.100/24"]', str([f"10.1.{n // 250}.{n % 250 + 1}/16" for n in range(count)])))

    assert found(text(255)) == []
    assert [code for code, *_ in found(text(256))] == ["E125"]
    assert len(plan_of(text(255)).routers[0].advertised) == 255


def test_version_3_has_neither_password_nor_its_method() -> None:
    assert [code for code, *_ in found(vrrp('auth = "ah"\nauth_pass = "x"'))] == ["E214", "E214"]
