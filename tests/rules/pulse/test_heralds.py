"""Pacing of announcements, on an interface that is not there: each that would be said counts as a failure."""

from ipaddress import IPv4Address, IPv6Address

from firstmate.model.plan import Node, Plan, Vip
from firstmate.model.units import MS, Micros
from firstmate.pulse.heralds import Heralds, Rivals

NOW = 1_000_000_000
ONE, TWO = (Vip(IPv4Address(f"192.0.2.{last}"), 24, "fm-nowhere0") for last in (80, 81))
SIX = Vip(IPv6Address("2001:db8::80"), 64, "fm-nowhere0")


class Said:
    """Counts what was tried."""

    def __init__(self, garp_interval_us: Micros = 0, gna_interval_us: Micros = 0) -> None:
        self.count = 0
        node = Node("lb-a", IPv4Address("192.0.2.1"))
        plan = Plan("x", "lb-a", (node,), (), garp_interval_us=garp_interval_us, gna_interval_us=gna_interval_us)
        self.heralds = Heralds(plan, self.failed)

    def failed(self) -> None:
        self.count += 1


def test_without_pacing_all_is_said_at_once() -> None:
    said = Said()
    said.heralds.announce((ONE, TWO, SIX), 5)
    assert (said.count, said.heralds.deadline_us) == (15, None)


def test_with_pacing_one_is_said_in_each_interval() -> None:
    said = Said(garp_interval_us=10 * MS)
    said.heralds.announce((ONE, TWO), 2)
    assert (said.count, said.heralds.deadline_us) == (0, 0)
    for turn in range(4):
        said.heralds.tick(NOW + turn * 10 * MS)
        said.heralds.tick(NOW + turn * 10 * MS + 1)
        assert said.count == turn + 1
    assert said.heralds.deadline_us is None


def test_families_have_paces_of_their_own() -> None:
    said = Said(gna_interval_us=10 * MS)
    said.heralds.announce((ONE, SIX), 1)
    assert said.count == 1
    said.heralds.tick(NOW)
    assert said.count == 2


def test_no_address_waits_more_often_than_it_has_rounds() -> None:
    said = Said(garp_interval_us=10 * MS)
    for _ in range(3):
        said.heralds.announce((ONE,), 5)
    for turn in range(20):
        said.heralds.tick(NOW + turn * 10 * MS)
    assert said.count == 5


def test_what_waits_for_an_address_that_is_gone_is_not_said() -> None:
    said = Said(garp_interval_us=10 * MS)
    said.heralds.announce((ONE, TWO), 3)
    said.heralds.silence((ONE,))
    for turn in range(20):
        said.heralds.tick(NOW + turn * 10 * MS)
    assert said.count == 3


def test_nobody_is_watched_where_nobody_can_be() -> None:
    rivals = Rivals()
    rivals.heed([ONE, SIX], NOW)
    assert rivals.readers() == []
    rivals.probe(NOW + 10_000 * MS)
    assert rivals.read(set(), [ONE], NOW) == []
