"""What the kernel says of our interfaces and their addresses, and the facts that follow from it."""

from collections.abc import Callable, Iterable

from firstmate.linux.addresses import IfAddress
from firstmate.linux.links import Link
from firstmate.linux.netlink import Netlink, News
from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged
from firstmate.model.plan import Plan, Vip
from firstmate.model.units import Micros
from firstmate.vrrp.tracking import link_fact, needed_facts, source_fact

_LINK_FACT = link_fact("")


class Surroundings:
    def __init__(self, netlink: Netlink, plan: Plan) -> None:
        self._netlink = netlink
        self._links: dict[int, Link] = {}
        self._by_name: dict[str, Link] = {}
        self._addresses: set[tuple[int, Address]] = set()
        self._told: dict[str, tuple[bool, str]] = {}
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Tell of everything anew, by another plan."""
        self._told.clear()
        self._sources = {source_fact(one.interface, one.source): (one.interface, one.source) for one in plan.routers}
        groups = {name: group for group in plan.groups for name in group.members}
        names = {track.name for one in plan.routers for track in needed_facts(one, groups.get(one.name))}
        self._interfaces = sorted(
            {name.removeprefix(_LINK_FACT) for name in names if name.startswith(_LINK_FACT)}
            | {one.interface for one in plan.routers}
        )

    def look(self) -> None:
        """Read links and addresses anew."""
        self._links = {link.index: link for link in self._netlink.links()}
        self._by_name = {link.name: link for link in self._links.values()}
        self._addresses = {(address.index, address.ip) for address in self._netlink.addresses()}

    def learn(self, item: News) -> None:
        match item:
            case Link(gone=True):
                self._links.pop(item.index, None)
                self._by_name.pop(item.name, None)
            case Link():
                before = self._links.get(item.index)
                if before is not None and before.name != item.name:
                    self._by_name.pop(before.name, None)
                self._links[item.index] = self._by_name[item.name] = item
            case IfAddress(gone=True):
                self._addresses.discard((item.index, item.ip))
            case IfAddress():
                self._addresses.add((item.index, item.ip))
            case _:
                return

    def mac_of(self, interface: str) -> bytes:
        """Empty for one that is not there."""
        link = self._by_name.get(interface)
        return link.mac if link else b""

    def name_of(self, index: int) -> str:
        """Empty for one that is not there."""
        link = self._links.get(index)
        return link.name if link else ""

    @property
    def interfaces(self) -> Iterable[str]:
        """Those that are there."""
        return self._by_name

    def holds(self, vip: Vip) -> bool:
        link = self._by_name.get(vip.dev)
        return link is not None and (link.index, vip.ip) in self._addresses

    def remember(self, vip: Vip) -> None:
        """The kernel has said yes; its news comes later."""
        link = self._by_name.get(vip.dev)
        if link is not None:
            self._addresses.add((link.index, vip.ip))

    def facts(self, hears_on: Callable[[str], bool], now_us: Micros) -> list[FactChanged]:
        """Those that are not as they were when this was asked last."""
        found = {link_fact(name): self._why_down(name, hears_on) for name in self._interfaces}
        found |= {name: self._why_without(*where) for name, where in self._sources.items()}
        changed = []
        for name, why in found.items():
            now = (not why, why)
            if self._told.get(name) != now:
                self._told[name] = now
                changed.append(FactChanged(name, up=not why, why=why, at_us=now_us))
        return changed

    def _why_down(self, interface: str, hears_on: Callable[[str], bool]) -> str:
        link = self._by_name.get(interface)
        if link is None:
            return "there is no such interface"
        if not link.admin_up:
            return "it was set down"
        if not link.carrier:
            return "carrier lost"
        return "" if hears_on(interface) else "its socket for adverts could not be opened"

    def _why_without(self, interface: str, source: Address) -> str:
        link = self._by_name.get(interface)
        if link is not None and (link.index, source) in self._addresses:
            return ""
        return f"{interface} has no address {source} any more"
