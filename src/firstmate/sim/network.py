"""The wire between the nodes and to the clients: it loses, delays, doubles, reorders, corrupts and is cut.

A place is a plug in the switch: nodes first, by index, then clients.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from firstmate.model.addresses import Address
from firstmate.model.plan import Vip
from firstmate.model.units import Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.vrrp.packet import GROUP_IPV4, TTL
from firstmate.vrrp.receive import Datagram
from firstmate.vrrp.sender import Transmit


@dataclass(frozen=True, slots=True)
class Parcel:
    datagram: Datagram
    intact: bool  # False: the wire has flipped a bit, and the receiver must find out


@dataclass(slots=True)
class Client:
    """A neighbour with an ARP cache. It keeps what it learned until it learns something else."""

    place: int
    macs: dict[Address, int]  # the place of the node whose MAC it uses; missing: never learned
    lessons: Counter[Address]  # how often an entry was written

    def learn(self, addresses: Iterable[Address], place: int) -> None:
        for address in addresses:
            self.macs[address] = place
            self.lessons[address] += 1


@dataclass(slots=True)
class _Path:
    last_us: Micros = 0  # arrival of the last one that kept the order
    lost_in_a_row: Counter[int] = field(default_factory=Counter)  # by VRID; 0: gratuitous ARP
    missed: int = 0  # lost, cut or corrupted, since the beginning


class Network:
    """`receivers`: what to call with a parcel, by place. `missed` counts what did not arrive, by path."""

    def __init__(
        self, agenda: Agenda, chance: Chance, journal: Journal, places: dict[Address, int], clients: int
    ) -> None:
        self.receivers: dict[int, Callable[[Parcel], None]] = {}
        self.clients = [Client(len(places) + number, {}, Counter()) for number in range(clients)]
        self.unplugged: Counter[int] = Counter()  # places with no link, and how many reasons each has
        self._cuts: Counter[tuple[int, int]] = Counter()
        self._agenda, self._chance, self._journal, self._places = agenda, chance, journal, places
        everywhere = range(len(places) + clients)
        self._paths = {(one, other): _Path() for one in everywhere for other in everywhere if one != other}

    def is_open(self, sender: int, receiver: int) -> bool:
        return not (self.unplugged[sender] or self.unplugged[receiver] or self._cuts[sender, receiver])

    @property
    def is_whole(self) -> bool:
        """Everything that is said arrives: no cut, every link up, nothing lost."""
        weather = self._chance.weather
        return not (any(self._cuts.values()) or any(self.unplugged.values()) or weather.loss or weather.corruption)

    def missed(self, sender: int, receiver: int) -> int:
        return self._paths[sender, receiver].missed

    def cut(self, side: frozenset[int], *, both_ways: bool) -> None:
        self._cuts.update(self._across(side, both_ways=both_ways))

    def mend(self, side: frozenset[int], *, both_ways: bool) -> None:
        self._cuts.subtract(self._across(side, both_ways=both_ways))

    def transmit(self, sender: int, what: Transmit) -> None:
        parcel = Parcel(Datagram(what.interface, what.source, what.destination, TTL, what.pdu), intact=True)
        if what.destination != GROUP_IPV4:
            self._send(sender, self._places[what.destination], parcel)
            return
        for receiver in self._places.values():
            if receiver != sender:
                self._send(sender, receiver, parcel)

    def announce(self, sender: int, vips: Iterable[Vip], rounds: int) -> None:
        """Gratuitous ARP: a client learns when one round at least comes through."""
        addresses = [vip.ip for vip in vips]
        for client in self.clients:
            if any(self._survives(sender, client.place) for _ in range(rounds)):
                self._agenda.at(
                    self._arrival_us(sender, client.place), partial(self._taught, client, addresses, sender)
                )

    def resolve(self, client: Client, address: Address, holders: Iterable[int]) -> None:
        """The client asks who has the address; of several answers it keeps one."""
        answers = [
            place
            for place in holders
            if self.is_open(client.place, place)
            and self.is_open(place, client.place)
            and not self._chance.happens(self._chance.weather.loss)
        ]
        if answers:
            self._taught(client, [address], self._chance.rng.choice(answers))

    def _across(self, side: frozenset[int], *, both_ways: bool) -> list[tuple[int, int]]:
        return [
            (a, b)
            for a, b in self._paths
            if (a in side and b not in side) or (both_ways and b in side and a not in side)
        ]

    def _send(self, sender: int, receiver: int, parcel: Parcel) -> None:
        if not self._survives(sender, receiver, stream=parcel.datagram.pdu[1]):
            return
        weather = self._chance.weather
        if self._chance.happens(weather.corruption):
            self._miss(sender, receiver)
            flipped = replace(parcel.datagram, pdu=self._chance.flip(parcel.datagram.pdu))
            parcel = Parcel(flipped, intact=False)
        for _ in range(1 + self._chance.happens(weather.duplication)):
            self._agenda.at(self._arrival_us(sender, receiver), partial(self._arrive, receiver, parcel))

    def _survives(self, sender: int, receiver: int, stream: int = 0) -> bool:
        path, weather = self._paths[sender, receiver], self._chance.weather
        spared = weather.losses_in_a_row_max is not None and path.lost_in_a_row[stream] >= weather.losses_in_a_row_max
        if self.is_open(sender, receiver) and (spared or not self._chance.happens(weather.loss)):
            path.lost_in_a_row[stream] = 0
            return True
        path.lost_in_a_row[stream] += 1
        self._miss(sender, receiver)
        return False

    def _miss(self, sender: int, receiver: int) -> None:
        self._paths[sender, receiver].missed += 1
        self._agenda.changed = True

    def _arrival_us(self, sender: int, receiver: int) -> Micros:
        path = self._paths[sender, receiver]
        straggle_us = self._chance.straggle_us()
        if straggle_us:
            return self._agenda.now_us + self._chance.delay_us() + straggle_us
        path.last_us = max(path.last_us, self._agenda.now_us + self._chance.delay_us())
        return path.last_us

    def _arrive(self, receiver: int, parcel: Parcel) -> None:
        if not self.unplugged[receiver]:
            self.receivers[receiver](parcel)

    def _taught(self, client: Client, addresses: list[Address], place: int) -> None:
        moved = [address for address in addresses if client.macs.get(address) != place]
        client.learn(addresses, place)
        self._agenda.changed = True
        if moved:
            number, names = client.place - len(self._places) + 1, " ".join(map(str, moved))
            self._journal.note(f"client{number}", "sends {} to n{} now", names, place + 1)
