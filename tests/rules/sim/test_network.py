from dataclasses import replace
from ipaddress import IPv4Address
from random import Random

import pytest
from tests.rules.sim.example import STILL, STRONG, VIP, WEAK, WIRE

from firstmate.model.addresses import Address
from firstmate.model.units import MS, Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.sim.network import Network
from firstmate.sim.parcel import Parcel
from firstmate.sim.schedule import Weather
from firstmate.vrrp.packet import GROUP_IPV4, TTL
from firstmate.vrrp.sender import Transmit

THIRD = IPv4Address("192.0.2.13")
PLACES: dict[Address, int] = {STRONG: 0, WEAK: 1, THIRD: 2}
CLIENT = 3
ADVERT = b"\x31\x07\xfe\x01\x00\x0a\x00\x00"


class Wire:
    """A network of three nodes and a client, and what arrived: time, place, parcel."""

    def __init__(self, weather: Weather = STILL) -> None:
        self.agenda = Agenda()
        self.chance = Chance(Random(1), weather)
        self.network = Network(self.agenda, self.chance, Journal(self.agenda), PLACES, 1)
        self.arrived: list[tuple[Micros, int, Parcel]] = []
        for place in PLACES.values():
            self.network.receivers[place] = self._receiver(place)

    def _receiver(self, place: int):  # type: ignore[no-untyped-def] # noqa: ANN202
        return lambda parcel: self.arrived.append((self.agenda.now_us, place, parcel))

    def say(self, destination: Address, times: int = 1, sender: int = 0) -> None:
        for _ in range(times):
            self.network.transmit(sender, Transmit("eth0", STRONG, destination, ADVERT))

    def play(self) -> list[tuple[Micros, int]]:
        while (what := self.agenda.next(10**9)) is not None:
            what()
        return [(at_us, place) for at_us, place, _ in self.arrived]


def test_unicast_goes_to_one_and_multicast_to_all_others() -> None:
    wire = Wire()
    wire.say(WEAK)
    assert wire.play() == [(WIRE, 1)]
    wire = Wire()
    wire.say(GROUP_IPV4)
    assert wire.play() == [(WIRE, 1), (WIRE, 2)]
    datagram = wire.arrived[0][2].datagram
    assert (datagram.ttl, datagram.source, datagram.destination) == (TTL, STRONG, GROUP_IPV4)
    assert datagram.pdu == ADVERT


def test_cuts_add_up() -> None:
    wire = Wire()
    network = wire.network
    network.cut(frozenset({0, 2}), both_ways=True)
    assert not network.is_open(0, 1)
    assert not network.is_open(1, 0)
    assert network.is_open(0, 2)
    assert not network.is_open(0, CLIENT)
    network.cut(frozenset({0}), both_ways=False)
    network.mend(frozenset({0, 2}), both_ways=True)
    assert not network.is_open(0, 1)
    assert network.is_open(1, 0)
    assert not network.is_whole
    network.mend(frozenset({0}), both_ways=False)
    assert network.is_open(0, 1)
    assert wire.network.is_whole


def test_what_is_cut_is_missed_and_what_was_on_its_way_arrives() -> None:
    wire = Wire()
    wire.say(WEAK)
    wire.network.cut(frozenset({0}), both_ways=True)
    wire.say(WEAK)
    assert wire.network.missed(0, 1) == 1
    assert wire.play() == [(WIRE, 1)]


def test_an_unplugged_port_takes_nothing_not_even_what_was_on_its_way() -> None:
    wire = Wire()
    wire.say(WEAK)
    wire.network.unplugged[1] += 1
    wire.say(WEAK)
    assert wire.play() == []
    assert not wire.network.is_whole


def test_losses_in_a_row_have_a_limit_for_each_virtual_router() -> None:
    wire = Wire(replace(STILL, loss=1.0, losses_in_a_row_max=2))
    wire.say(WEAK, times=9)
    assert len(wire.play()) == 3
    assert wire.network.missed(0, 1) == 6
    wire.network.transmit(0, Transmit("eth0", STRONG, WEAK, b"\x31\x08" + ADVERT[2:]))
    assert len(wire.play()) == 3  # the first of another router: its own row


def test_a_path_keeps_the_order_but_for_stragglers() -> None:
    shaky = replace(STILL, delay_us=(0, 10 * MS))
    wire = Wire(shaky)
    for number in range(50):
        wire.network.transmit(0, Transmit("eth0", STRONG, WEAK, ADVERT + bytes([number])))
    wire.play()
    assert [parcel.datagram.pdu[-1] for _, _, parcel in wire.arrived] == list(range(50))
    wire = Wire(replace(shaky, reordering=0.5, straggle_us=20 * MS))
    for number in range(50):
        wire.network.transmit(0, Transmit("eth0", STRONG, WEAK, ADVERT + bytes([number])))
    assert 10 * MS < wire.play()[-1][0] <= 30 * MS
    assert [parcel.datagram.pdu[-1] for _, _, parcel in wire.arrived] != list(range(50))


def test_duplication() -> None:
    wire = Wire(replace(STILL, duplication=1.0))
    wire.say(WEAK)
    assert len(wire.play()) == 2


def test_corruption_flips_a_bit_and_counts_as_missed() -> None:
    wire = Wire(replace(STILL, corruption=1.0))
    wire.say(WEAK)
    wire.play()
    parcel = wire.arrived[0][2]
    assert not parcel.intact
    assert parcel.datagram.pdu != ADVERT
    assert wire.network.missed(0, 1) == 1


def test_a_client_learns_by_gratuitous_arp() -> None:
    wire = Wire()
    (client,) = wire.network.clients
    wire.network.announce(1, [VIP], rounds=5)
    assert client.macs == {}
    wire.play()
    assert client.macs == {VIP.ip: 1}
    assert client.lessons[VIP.ip] == 1


@pytest.mark.parametrize(("rounds", "learns"), [(2, False), (3, True)])
def test_one_round_that_comes_through_is_enough(rounds: int, *, learns: bool) -> None:
    wire = Wire(replace(STILL, loss=1.0, losses_in_a_row_max=2))
    wire.network.announce(1, [VIP], rounds)
    wire.play()
    assert (VIP.ip in wire.network.clients[0].macs) is learns


def test_a_client_that_asks_keeps_one_answer_of_those_it_can_reach() -> None:
    wire = Wire()
    (client,) = wire.network.clients
    wire.network.resolve(client, VIP.ip, [])
    assert client.macs == {}
    wire.network.cut(frozenset({0}), both_ways=False)
    wire.network.resolve(client, VIP.ip, [0, 1])
    assert client.macs == {VIP.ip: 1}
