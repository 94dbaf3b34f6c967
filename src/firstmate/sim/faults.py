"""What each kind of fault does to nodes and network, and how it is undone."""

from collections.abc import Sequence

from firstmate.model.units import MS, Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.sim.network import Network
from firstmate.sim.node import Node
from firstmate.sim.schedule import Fault, FaultKind, Schedule

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
            case FaultKind.JUMP | FaultKind.RELOAD:
                pass

    def _cut(self) -> None:
        self.cuts += 1
        self._agenda.changed = True

    def _tell(self, fault: Fault, word: str) -> None:
        if fault.side:
            nodes = len(self._nodes)
            where = " ".join(f"n{at + 1}" if at < nodes else f"client{at - nodes + 1}" for at in sorted(fault.side))
        else:
            where = self._nodes[fault.node].name
        self._journal.note(word, "{}: {}", fault.kind.value, where)
