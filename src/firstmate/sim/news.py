"""What the nodes of a story share, and what they tell the judge."""

from dataclasses import dataclass
from typing import TypeAlias

from firstmate.model.units import Micros
from firstmate.sim.agenda import Agenda
from firstmate.sim.chance import Chance
from firstmate.sim.journal import Journal
from firstmate.sim.network import Network
from firstmate.vrrp.router import Changed


@dataclass(frozen=True, slots=True)
class Listened:
    """A good advert was given to the router."""

    node: int
    router: str
    sender: int
    priority: int


@dataclass(frozen=True, slots=True)
class Odd:
    """A node sent, or was sent, what must not be: see `Invariant`."""

    what: str
    node: int
    text: str


@dataclass(frozen=True, slots=True)
class Moved:
    node: int
    changed: Changed


@dataclass(frozen=True, slots=True)
class Disturbed:
    """Something befell this node from outside; what it did until now says nothing about what follows."""

    node: int
    slept_us: Micros = 0  # by its own clock: how long it has done nothing, or how far the clock jumped


News: TypeAlias = Listened | Moved | Disturbed | Odd


@dataclass(frozen=True, slots=True)
class Around:
    """What every node of a story shares."""

    agenda: Agenda
    chance: Chance
    network: Network
    journal: Journal
    news: list[News]  # for the judge, who empties it
