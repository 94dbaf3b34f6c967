"""What each kind of fault does to nodes and network, and how it is undone."""

from collections.abc import Sequence
from dataclasses import replace

from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, PathPlan, Transport, VrrpPlan
from firstmate.model.units import MS, Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.sim.network import Network
from firstmate.sim.node import Node
from firstmate.sim.parcel import parcel
from firstmate.sim.schedule import Fault, FaultKind, Schedule
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6, Advert, encode
from firstmate.vrrp.receive import Datagram

LATE_NEWS_US_MAX: Micros = 20 * MS  # how long a word of ops may be on its way


class Faults:
    """`cuts` counts what changed on the network as a whole."""

    def __init__(
        self,
        schedule: Schedule,
        nodes: Sequence[Node],
        network: Network,
        agenda: Agenda,
        chance: Chance,
        journal: Journal,
    ) -> None:
        self.cuts = 0
        self._reloaded = schedule.reloaded
        self._nodes, self._network = nodes, network
        self._agenda, self._chance, self._journal = agenda, chance, journal

    def begin(self, fault: Fault) -> None:
        node = self._nodes[fault.node]
        self._tell(fault, "fault")
        match fault.kind:
            case FaultKind.PARTITION | FaultKind.DEAF:
                self._network.cut(fault.side, both_ways=fault.kind is FaultKind.PARTITION)
                self._cut()
            case FaultKind.LINK:
                self._network.unplugged[node.place] += 1
                node.link_changed()
            case FaultKind.PAUSE:
                node.pause()
            case FaultKind.FREEZE | FaultKind.STALL:
                node.freeze(clock_stops=fault.kind is FaultKind.STALL)
            case FaultKind.CRASH | FaultKind.KILL:
                node.crash(with_will=fault.kind is FaultKind.CRASH)
            case FaultKind.STOP:
                node.stop()
            case FaultKind.POWER:
                node.power_off()
            case FaultKind.HAPROXY:
                late = self._chance.happens(0.3)
                node.haproxy_ends(late_news_us=self._chance.rng.randrange(LATE_NEWS_US_MAX) if late else None)
            case FaultKind.JUMP:
                node.jump(fault.jump_us)
            case FaultKind.RELOAD:
                node.reload(self._reloaded[fault.node])
            case FaultKind.FACT:
                node.learn(fault.fact, fault.value if fault.value is not None else False)
            case FaultKind.WAY:
                self._network.blocked[node.place, fault.fact] += 1
                self._agenda.changed = True
            case FaultKind.FORGE:
                Forger(node, self._network, self._agenda, fault.until_us or fault.at_us).begin()

    def end(self, fault: Fault) -> None:
        node = self._nodes[fault.node]
        self._tell(fault, "over")
        match fault.kind:
            case FaultKind.PARTITION | FaultKind.DEAF:
                self._network.mend(fault.side, both_ways=fault.kind is FaultKind.PARTITION)
                self._cut()
            case FaultKind.LINK:
                self._network.unplugged[node.place] -= 1
                node.link_changed()
            case FaultKind.PAUSE:
                node.resume()
            case FaultKind.FREEZE | FaultKind.STALL:
                node.thaw()
            case FaultKind.CRASH | FaultKind.KILL | FaultKind.STOP:
                node.start()
            case FaultKind.POWER:
                if not node.powered:
                    node.power_on()
            case FaultKind.HAPROXY:
                node.haproxy_serves()
            case FaultKind.FACT:
                node.learn(fault.fact, True if fault.value is None else 0)
            case FaultKind.WAY:
                self._network.blocked[node.place, fault.fact] -= 1
                self._agenda.changed = True
            case FaultKind.JUMP | FaultKind.RELOAD | FaultKind.FORGE:
                pass

    def _cut(self) -> None:
        self.cuts += 1
        self._agenda.changed = True

    def _tell(self, fault: Fault, word: str) -> None:
        if fault.side:
            nodes = len(self._nodes)
            where = " ".join(f"n{at + 1}" if at < nodes else f"client{at - nodes + 1}" for at in sorted(fault.side))
        else:
            where = f"{self._nodes[fault.node].name} {fault.fact}".rstrip()
            if fault.value is not None and word == "fault":
                where += f" {fault.value}"
        self._journal.note(word, "{}: {}", fault.kind.value, where)


class Forger:
    """Sits on the wire beside one node: repeats what that has said, and says in its name what is not signed."""

    def __init__(self, victim: Node, network: Network, agenda: Agenda, until_us: Micros) -> None:
        self._victim, self._network, self._agenda, self._until_us = victim, network, agenda, until_us
        self._pause_us = min(router.advert_interval_us for router in victim.plan.routers) // 2

    def begin(self) -> None:
        self._network.record(self._victim.place)
        self._agenda.after(4 * self._pause_us, self._speak)

    def _speak(self) -> None:
        if self._agenda.now_us >= self._until_us:
            self._network.recorded.pop(self._victim.place, None)
            return
        for old in [*self._network.recorded.get(self._victim.place, ())][:4]:
            self._network.carry(replace(old, forged=True))
        for router in self._victim.plan.routers:
            for path in router.all_paths:
                group = GROUP_IPV4 if router.family == 4 else GROUP_IPV6
                for to in (group,) if path.transport is Transport.MULTICAST else path.peers:
                    self._lie(router, path, to)
        self._agenda.after(self._pause_us, self._speak)

    def _lie(self, router: VrrpPlan, path: PathPlan, to: Address) -> None:
        for priority in (0, OWNER):
            vips = tuple(vip.ip for vip in router.advertised)
            said = Advert(router.version, router.vrid, priority, router.advert_interval_us, vips)
            pdu, udp = encode(said, path.source, to), path.transport is Transport.UDP
            datagram = Datagram(path.interface, path.source, to, 255, pdu, udp)
            self._network.carry(parcel(datagram, self._victim.place, forged=True))
