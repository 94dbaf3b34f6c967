"""Facts about this node -> may it hold the addresses?

A fact is down until somebody says that it is up. Each has a generation (which start of the thing it is
about), so that an old "up" cannot hide a newer "down".
"""

from firstmate.model.messages import FactChanged, FactView
from firstmate.model.plan import VrrpPlan

FACTS_MAX = 1_000  # names come from our own processes; a bound all the same


def link_fact(interface: str) -> str:
    return f"link {interface}"


class Facts:
    def __init__(self) -> None:
        self._known: dict[str, FactChanged] = {}

    def learn(self, fact: FactChanged) -> bool:
        """Take a fact; False when it changes nothing (known already, or about an older generation)."""
        known = self._known.get(fact.name)
        if known is not None and fact.generation < known.generation:
            return False
        if known is None and len(self._known) >= FACTS_MAX:
            return False
        self._known[fact.name] = fact
        return known is None or known.up != fact.up or known.why != fact.why

    def why_unfit(self, plan: VrrpPlan) -> str | None:
        """The first thing that keeps this node from holding the addresses; None: it is fit."""
        for name in (link_fact(plan.interface), *(track.name for track in plan.track)):
            fact = self._known.get(name)
            if fact is None:
                return f"{name}: not known to be well yet"
            if not fact.up:
                return f"{name}: {fact.why}" if fact.why else f"{name} is down"
        return None

    def views(self) -> tuple[FactView, ...]:
        return tuple(FactView(fact.name, fact.up, fact.why, fact.at_us) for fact in self._known.values())
