from dataclasses import replace
from ipaddress import IPv4Address

from tests.rules.vrrp.example import LOWER, NOW, PEER, PLAN, STRANGER

from firstmate.model.messages import PathView
from firstmate.model.plan import PathPlan, Transport
from firstmate.model.units import S
from firstmate.vrrp.paths import STRANGERS_MAX, Paths

SECOND, LOWER_SECOND = IPv4Address("198.51.100.77"), IPv4Address("198.51.100.9")
OTHER_WAY = PathPlan(Transport.UDP, "eth1", IPv4Address("198.51.100.10"), (SECOND, LOWER_SECOND))
TWO_WAYS = replace(PLAN, paths=(OTHER_WAY,))
MULTI = replace(PLAN, transport=Transport.MULTICAST)


def test_every_way_of_the_plan_is_known() -> None:
    assert Paths(TWO_WAYS).views() == (
        PathView(PEER, "unicast", PEER, None),
        PathView(LOWER, "unicast", LOWER, None),
        PathView(PEER, "udp", SECOND, None),
        PathView(LOWER, "udp", LOWER_SECOND, None),
    )


def test_a_way_is_found_by_where_the_advert_came_from() -> None:
    paths = Paths(TWO_WAYS)
    found = paths.of(SECOND, PEER, udp=True)
    assert (found.peer, found.transport, found.address) == (PEER, Transport.UDP, SECOND)
    assert paths.of(SECOND, PEER, udp=True) is found


def test_senders_by_multicast_are_remembered_up_to_a_bound() -> None:
    paths = Paths(MULTI)
    assert paths.views() == ()
    assert paths.of(STRANGER, STRANGER, udp=False) is paths.of(STRANGER, STRANGER, udp=False)
    for number in range(2 * STRANGERS_MAX):
        paths.of(PEER + number, PEER + number, udp=False)
    assert len(paths.views()) == STRANGERS_MAX
    assert paths.views()[0] == PathView(STRANGER, "multicast", STRANGER, None)
    assert paths.of(OTHER_WAY.source, PEER, udp=True).transport is Transport.UDP


def test_one_silent_way_among_two() -> None:
    paths = Paths(TWO_WAYS)
    assert paths.silent(PEER, S, NOW) == []  # all are: then the timer speaks
    first, second = paths.of(PEER, PEER, udp=False), paths.of(SECOND, PEER, udp=True)
    first.heard_at_us = NOW
    assert paths.silent(PEER, S, NOW + S) == [second]
    second.heard_at_us = NOW + S
    assert paths.silent(PEER, S, NOW + S) == []
    assert paths.silent(PEER, S, NOW + S + 1) == [first]
    assert paths.silent(PEER, S, NOW + 2 * S + 1) == []
