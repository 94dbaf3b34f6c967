"""Which sockets a plan needs, and how much of a flood is looked at."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from tests.rules.vrrp.example import LOWER, OURS, PEER, PLAN

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, Node, PathPlan, Plan, Transport, VrrpPlan
from firstmate.model.units import S
from firstmate.pulse.ears import LOOKED_AT_MIN, SENDERS_SHARE, WINDOW_US, Ears

NOW = 1_000_000_000
SIX = replace(PLAN, name="six", source=IPv6Address("fe80::1"), peers=(), transport=Transport.MULTICAST)
NODES = (Node("lb-a", OURS),)


def kinds(*routers: VrrpPlan) -> list[tuple[object, ...]]:
    """Kind, interface and family of each socket, and whether it hears strangers."""
    return [key[:4] for key in Ears(Plan("x", "lb-a", NODES, routers))._wanted]


def test_unicast_has_a_socket_for_peers_and_one_for_strangers() -> None:
    assert kinds(PLAN, replace(PLAN, name="db", vrid=51)) == [("raw", "eth0", 4, False), ("raw", "eth0", 4, True)]


def test_so_has_multicast_when_the_plan_names_peers() -> None:
    group = replace(PLAN, transport=Transport.MULTICAST)
    assert kinds(group) == [("raw", "eth0", 4, False), ("raw", "eth0", 4, True)]
    assert kinds(replace(group, peers=())) == [("raw", "eth0", 4, False)]


def test_each_family_and_carrier_has_its_own() -> None:
    old = replace(PLAN, version=2, auth=Auth.AH, auth_pass=b"secret12", transport=Transport.MULTICAST)
    udp = replace(PLAN, vrid=9, transport=Transport.UDP)
    found = [(kind[0], kind[2]) for kind in kinds(old, SIX, udp) if kind[-1] is not True]
    assert {kind for kind, _ in found} == {"ah", "raw", "udp"}
    assert {family for kind, family in found if kind == "raw"} == {4, 6}


def test_a_second_path_has_its_own() -> None:
    second: tuple[Address, ...] = (IPv4Address("198.51.100.7"), IPv4Address("198.51.100.9"))
    path = PathPlan(Transport.UNICAST, "eth1", IPv4Address("198.51.100.1"), second)
    assert {kind[1] for kind in kinds(replace(PLAN, paths=(path,)))} == {"eth0", "eth1"}


def test_an_equal_plan_needs_equal_sockets() -> None:
    ears = Ears(Plan("x", "lb-a", NODES, (PLAN,)))
    before = dict(ears._wanted)
    ears.adopt(Plan("x", "lb-a", NODES, (replace(PLAN, priority=7),)))
    assert ears._wanted.keys() == before.keys()
    ears.adopt(Plan("x", "lb-a", NODES, (replace(PLAN, peers=(PEER,)),)))
    assert ears._wanted.keys().isdisjoint(before)


def packet(source: IPv4Address) -> bytes:
    return bytes(12) + source.packed + bytes(12)


def test_one_sender_is_looked_at_so_often_in_a_window() -> None:
    ears = Ears(Plan("x", "lb-a", NODES, (replace(PLAN, advert_interval_us=S // 100),)))  # 10 a window are expected
    share = LOOKED_AT_MIN + 4 * 10
    looked = [ears.may_look(packet(PEER), NOW) for _ in range(share + 5)]
    assert looked == [True] * share + [False] * 5
    assert ears.may_look(packet(LOWER), NOW)  # another has a share of its own
    assert ears.dropped == 5
    assert ears.may_look(packet(PEER), NOW + WINDOW_US)


def test_all_senders_together_have_a_share_too() -> None:
    ears = Ears(Plan("x", "lb-a", NODES, (PLAN,)))
    looked = sum(ears.may_look(packet(PEER + number), NOW) for number in range(10_000))
    assert looked == SENDERS_SHARE * (LOOKED_AT_MIN + 4 * WINDOW_US // S)


def test_senders_of_ipv6_are_told_apart_too() -> None:
    ears = Ears(Plan("x", "lb-a", NODES, (PLAN,)))
    for _ in range(1000):
        ears.may_look((b"", "fe80::1%eth0", 255, b""), NOW)
    assert not ears.may_look((b"", "fe80::1%eth0", 255, b""), NOW)
    assert ears.may_look((b"", "fe80::2%eth0", 255, b""), NOW)
