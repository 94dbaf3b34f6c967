"""What one pulse hears and says, as seen from outside: beside the router under test, whatever that makes of it."""

from collections.abc import Iterable

from firstmate.model.plan import VrrpPlan
from firstmate.model.units import Micros
from firstmate.sim.hearing import Witness, sequence_of
from firstmate.sim.news import Around, Listened, Odd
from firstmate.sim.parcel import Parcel
from firstmate.vrrp.sender import Transmit


class Senses:
    """They begin anew with each pulse."""

    def __init__(self, place: int, around: Around) -> None:
        self._place, self._around = place, around
        self._witness = Witness()
        self._sequences: dict[tuple[object, ...], int] = {}  # by virtual router and way

    def heard(self, plan: VrrpPlan, parcel: Parcel, priority: int, utc_us: Micros) -> None:
        """Must it be heard?"""
        if self._witness.accepts(plan, parcel, utc_us):
            self._around.news.append(Listened(self._place, plan.name, parcel.sender, priority))
        elif not parcel.forged:
            self._around.network.miss(parcel.sender, self._place)
            self._around.news.append(Odd("unheard", self._place, f"{plan.name} of n{parcel.sender + 1}"))

    def spoken(self, plans: Iterable[VrrpPlan], what: Transmit, parcel: Parcel) -> None:
        """A signed advert must be newer than the last one on the same way."""
        who = parcel.datagram.pdu[0] >> 4, parcel.datagram.pdu[1], what.source.version
        for plan in plans:
            sequence = sequence_of(plan, parcel) if (plan.version, plan.vrid, plan.family) == who else None
            if sequence is None:
                continue
            way = plan.name, what.interface, what.source, what.destination, what.transport
            if self._sequences.get(way, -1) >= sequence:
                self._around.news.append(Odd("sequence", self._place, f"{plan.name}: {sequence} to {what.destination}"))
            self._sequences[way] = sequence
