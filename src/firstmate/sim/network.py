"""The wire between the nodes and to the clients: it loses, delays, doubles, reorders, corrupts and is cut.

A place is a plug in the switch: nodes first, by index, then clients.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from firstmate.model.addresses import Address
from firstmate.model.plan import Transport, Vip
from firstmate.model.units import Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.sim.parcel import Parcel
from firstmate.sim.parcel import parcel as wrap
from firstmate.vrrp.receive import Datagram, unwrap
from firstmate.vrrp.sender import Transmit

RECORDED_MAX = 12  # adverts of each node that a forger remembers
IP_OCTETS = 20  # the kernel looks after the header of IP itself


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
    # By family, VRID, interface and transport; None: gratuitous ARP.
    lost_in_a_row: Counter[object] = field(default_factory=Counter)
    missed: int = 0  # lost, cut or corrupted, since the beginning


class Network:
    """`receivers`: what to call with a parcel, by place. `missed` counts what did not arrive, by path."""

    def __init__(
        self, agenda: Agenda, chance: Chance, journal: Journal, places: dict[Address, int], clients: int
    ) -> None:
        self.receivers: dict[int, Callable[[Parcel], None]] = {}
        self.clients = [Client(len(set(places.values())) + number, {}, Counter()) for number in range(clients)]
        self.unplugged: Counter[int] = Counter()  # places with no link, and how many reasons each has
        self._cuts: Counter[tuple[int, int]] = Counter()
        self.blocked: Counter[tuple[int, str]] = Counter()  # places and interfaces where no advert passes
        self.recorded: dict[int, deque[Parcel]] = {}  # by place: what it has said lately
        self._agenda, self._chance, self._journal, self._places = agenda, chance, journal, places
        self._nodes = sorted(set(places.values()))
        everywhere = range(len(self._nodes) + clients)
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

    def is_open_on(self, sender: int, receiver: int, interface: str) -> bool:
        blocked = self.blocked
        return not (blocked[sender, interface] or blocked[receiver, interface]) and self.is_open(sender, receiver)

    def miss(self, sender: int, receiver: int) -> None:
        """What arrived was no good."""
        self._paths[sender, receiver].missed += 1
        self._agenda.changed = True

    def place_of(self, address: Address) -> int | None:
        return self._places.get(address)

    def transmit(self, sender: int, what: Transmit) -> Parcel:
        if what.whole:
            parcel = wrap(unwrap(what.pdu, what.interface), sender, what.pdu)
        else:
            udp = what.transport is Transport.UDP
            said = Datagram(what.interface, what.source, what.destination, what.ttl, what.pdu, udp)
            parcel = wrap(said, sender)
        recorded = self.recorded.get(sender)
        if recorded is not None:
            recorded.append(parcel)
        self.carry(parcel)
        return parcel

    def carry(self, parcel: Parcel) -> None:
        destination = parcel.datagram.destination
        if not destination.is_multicast:
            self._send(self._places[destination], parcel)
            return
        for receiver in self._nodes:
            if receiver != parcel.sender:
                self._send(receiver, parcel)

    def record(self, place: int) -> None:
        self.recorded[place] = deque(maxlen=RECORDED_MAX)

    def announce(self, sender: int, vips: Iterable[Vip], rounds: int) -> None:
        """Gratuitous ARP: a client learns when one round at least comes through."""
        addresses = [vip.ip for vip in vips]
        for client in self.clients:
            if any(self._survives(sender, client.place) for _ in range(rounds)):
                arrives_us = self._arrival_us(sender, client.place, straggles=False)
                self._agenda.at(arrives_us, partial(self._taught, client, addresses, sender))

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

    def _send(self, receiver: int, parcel: Parcel) -> None:
        sender, datagram = parcel.sender, parcel.datagram
        interface = datagram.interface
        if self.blocked and (self.blocked[sender, interface] or self.blocked[receiver, interface]):
            self.miss(sender, receiver)
            return
        stream = (datagram.pdu[1], interface, datagram.udp, datagram.source.version)
        if not self._survives(sender, receiver, stream):
            return
        weather = self._chance.weather
        if self._chance.happens(weather.corruption):
            self.miss(sender, receiver)
            parcel = self._flip(parcel)
        for _ in range(1 + self._chance.happens(weather.duplication)):
            self._agenda.at(self._arrival_us(sender, receiver), partial(self._arrive, receiver, parcel))

    def _flip(self, parcel: Parcel) -> Parcel:
        if not parcel.packet:
            flipped = self._chance.flip(parcel.datagram.pdu)
            return wrap(replace(parcel.datagram, pdu=flipped), parcel.sender, forged=parcel.forged, intact=False)
        packet = parcel.packet[:IP_OCTETS] + self._chance.flip(parcel.packet[IP_OCTETS:])
        return replace(parcel, packet=packet, intact=False)

    def _survives(self, sender: int, receiver: int, stream: object = None) -> bool:
        path, weather = self._paths[sender, receiver], self._chance.weather
        spared = weather.losses_in_a_row_max is not None and path.lost_in_a_row[stream] >= weather.losses_in_a_row_max
        if self.is_open(sender, receiver) and (spared or not self._chance.happens(weather.loss)):
            path.lost_in_a_row[stream] = 0
            return True
        path.lost_in_a_row[stream] += 1
        self.miss(sender, receiver)
        return False

    def _arrival_us(self, sender: int, receiver: int, *, straggles: bool = True) -> Micros:
        """A word to the clients keeps the order: that two hosts claimed it at one time is settled between them."""
        path = self._paths[sender, receiver]
        straggle_us = self._chance.straggle_us()
        if straggle_us and straggles:
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
            number, names = client.place - len(self._nodes) + 1, " ".join(map(str, moved))
            self._journal.note(f"client{number}", "sends {} to n{} now", names, place + 1)
