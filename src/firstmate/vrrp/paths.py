"""The ways on which adverts of the peers come: a peer is lost only when all of its ways are silent."""

from dataclasses import dataclass

from firstmate.model.addresses import Address
from firstmate.model.messages import PathView
from firstmate.model.plan import Transport, VrrpPlan
from firstmate.model.units import Micros

STRANGERS_MAX = 16  # senders by multicast, who stand in no plan, that are remembered


@dataclass(slots=True)
class Path:
    """See `PathView`."""

    peer: Address
    transport: Transport
    address: Address
    heard_at_us: Micros | None = None


class Paths:
    def __init__(self, plan: VrrpPlan) -> None:
        self._plan = plan
        self._known: dict[tuple[bool, Address], Path] = {  # by: is it UDP, the peer's address on it
            (path.transport is Transport.UDP, address): Path(peer, path.transport, address)
            for path in plan.all_paths
            if path.transport is not Transport.MULTICAST
            for peer, address in zip(plan.peers, path.peers, strict=True)
        }
        self._most = len(self._known) + STRANGERS_MAX

    def of(self, source: Address, peer: Address, *, udp: bool) -> Path:
        """The way that an accepted advert came; a new sender by multicast is remembered."""
        found = self._known.get((udp, source))
        if found is None:
            found = Path(peer, Transport.UDP if udp else self._plan.transport, source)
            if len(self._known) < self._most:
                self._known[udp, source] = found
        return found

    def silent(self, peer: Address, patience_us: Micros, now_us: Micros) -> list[Path]:
        """Ways on which this peer was not heard for so long although it was on another."""
        ways = [path for path in self._known.values() if path.peer == peer]
        silent = [path for path in ways if path.heard_at_us is None or now_us - path.heard_at_us > patience_us]
        return silent if len(silent) < len(ways) else []

    def views(self) -> tuple[PathView, ...]:
        return tuple(
            PathView(path.peer, path.transport.value, path.address, path.heard_at_us) for path in self._known.values()
        )
