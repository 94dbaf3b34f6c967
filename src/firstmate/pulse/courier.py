"""Carries what `vrrp` decided to the network: adverts, addresses, gratuitous ARP."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from firstmate.linux.neighbours import Announcer
from firstmate.linux.netlink import IfAddress, Link, Netlink, News
from firstmate.linux.sockets import VrrpSocket
from firstmate.model.addresses import Address
from firstmate.model.messages import FactChanged
from firstmate.model.plan import Plan, Vip, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.vrrp.member import Action, Announce, Claim, Release
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.tracking import link_fact

REPAIR_US: Micros = 1 * S  # how often an address that is missing is put back
NO_ADDRESS = IPv4Address("0.0.0.0")  # noqa: S104 - nothing is bound; no interface has it
COMPLAINTS_MAX = 16  # kept until they are fetched; more of the same help nobody


class Courier:
    """Owns pulse's sockets. What the kernel refuses is counted in `failures` and told by `complaints`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.netlink = Netlink(watch=True)
        self.vrrp: dict[str, VrrpSocket] = {}
        self.failures = 0
        self.complaints: list[str] = []
        self._arp: dict[str, Announcer] = {}
        self._links: dict[int, Link] = {}
        self._addresses: set[tuple[int, Address]] = set()
        self._wanted: dict[str, list[Vip]] = {}  # by router: claimed and not released

    @property
    def held(self) -> set[str]:
        """Routers whose every address is on its interface, as the kernel said last."""
        return {name for name, vips in self._wanted.items() if all(self._is_there(vip) for vip in vips)}

    def look(self) -> None:
        """Read links and addresses anew; open the sockets that can be opened.

        Raises `PermissionError` without CAP_NET_RAW.
        """
        self._links = {link.index: link for link in self.netlink.links()}
        self._addresses = {(address.index, address.ip) for address in self.netlink.addresses()}
        self._open_sockets()

    def check_rights(self) -> None:
        """Raises `PermissionError` when addresses may not be changed here: a MASTER without them serves nobody."""
        try:
            self.netlink.remove_address(Vip(NO_ADDRESS, 32, "lo"))
        except PermissionError:
            raise
        except OSError:
            return  # the kernel has looked for it, so it would have removed it

    def leftovers(self) -> list[tuple[str, IfAddress]]:
        """Interface and address of all that carries our mark: at start, a killed predecessor's."""
        names = {link.index: link.name for link in self._links.values()}
        return [(names[one.index], one) for one in self.netlink.addresses() if one.marked and one.index in names]

    def remove(self, interface: str, address: IfAddress) -> None:
        try:
            self.netlink.remove_address(Vip(address.ip, address.prefix, interface))
        except OSError as error:
            self._complain(f"{interface}: {address.ip} left by a predecessor cannot be removed: {error.strerror}")

    def link_facts(self, now_us: Micros) -> list[FactChanged]:
        """One fact for each interface that adverts use."""
        facts = {}
        for router in self.plan.routers:
            why = self._why_link_down(router)
            name = link_fact(router.interface)
            if name not in facts or why:
                facts[name] = FactChanged(name, up=not why, why=why, at_us=now_us)
        return list(facts.values())

    def hear_news(self) -> bool:
        """Take in what netlink tells; True when something that we use changed."""
        try:
            news = list(self.netlink.news())
        except OSError:  # news was lost
            self.look()
            return True
        for item in news:
            self._learn(item)
        if any(isinstance(item, Link) for item in news):
            self._open_sockets()
        return bool(news)

    def carry(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Transmit():
                    self._transmit(action)
                case Claim(router, vips):
                    known = self._wanted.setdefault(router, [])
                    known += [vip for vip in vips if vip not in known]
                    self._put(vips)
                case Release(router, vips):
                    self._wanted[router] = [vip for vip in self._wanted.get(router, []) if vip not in vips]
                    if not self._wanted[router]:
                        del self._wanted[router]
                    self._take(vips)
                case Announce(_, vips, rounds):
                    self._announce(vips, rounds)

    def repair(self) -> list[Vip]:
        """Put back what somebody else took from the interface; returns what is there again."""
        missing = [vip for vips in self._wanted.values() for vip in vips if not self._is_there(vip)]
        self._put(missing)
        return [vip for vip in missing if self._is_there(vip)]

    def adopt(self, plan: Plan) -> None:
        """Use the interfaces of a changed plan; sockets of others are closed."""
        self.plan = plan
        for vrrp in self.vrrp.values():
            vrrp.close()
        self.vrrp.clear()
        self._open_sockets()

    def take_complaints(self) -> list[str]:
        complaints, self.complaints = self.complaints, []
        return complaints

    def _open_sockets(self) -> None:
        there = {link.name for link in self._links.values()}
        for name in set(self.vrrp) - there:
            self.vrrp.pop(name).close()
        for name in set(self._arp) - there:
            self._arp.pop(name).close()
        for name in {router.interface for router in self.plan.routers} & there - set(self.vrrp):
            try:
                self.vrrp[name] = VrrpSocket(name)
            except PermissionError:
                raise
            except OSError as error:
                self._complain(f"{name}: no VRRP socket: {error.strerror}")

    def _why_link_down(self, router: VrrpPlan) -> str:
        link = next((link for link in self._links.values() if link.name == router.interface), None)
        if link is None:
            return "there is no such interface"
        if not link.up:
            return "carrier lost, or set down"
        if (link.index, router.source) not in self._addresses:
            return f"it has no address {router.source} any more"
        return "" if router.interface in self.vrrp else "its VRRP socket could not be opened"

    def _learn(self, item: News) -> None:
        match item:
            case Link(gone=True):
                self._links.pop(item.index, None)
                self._forget(item.name)
            case Link():
                before = self._links.get(item.index)
                self._links[item.index] = item
                if before is not None and before.mac != item.mac:
                    self._forget_arp(item.name)
            case IfAddress(gone=True):
                self._addresses.discard((item.index, item.ip))
            case IfAddress():
                self._addresses.add((item.index, item.ip))

    def _forget(self, interface: str) -> None:
        """An interface is gone; should one of this name return, it needs new sockets."""
        if interface in self.vrrp:
            self.vrrp.pop(interface).close()
        self._forget_arp(interface)

    def _forget_arp(self, interface: str) -> None:
        if interface in self._arp:
            self._arp.pop(interface).close()

    def _is_there(self, vip: Vip) -> bool:
        return any(link.name == vip.dev and (link.index, vip.ip) in self._addresses for link in self._links.values())

    def _transmit(self, action: Transmit) -> None:
        try:
            self.vrrp[action.interface].send(action.pdu, action.source, action.destination)
        except (OSError, KeyError):
            self.failures += 1  # a link that is down is told of by its fact

    def _put(self, vips: Iterable[Vip]) -> None:
        for vip in vips:
            try:
                self.netlink.add_address(vip)
            except OSError as error:
                self._complain(f"{vip.dev}: cannot add {vip.ip}: {error.strerror}")
                continue
            self._remember(vip)

    def _remember(self, vip: Vip) -> None:
        """The kernel has said yes; its news comes later."""
        for link in self._links.values():
            if link.name == vip.dev:
                self._addresses.add((link.index, vip.ip))

    def _take(self, vips: Iterable[Vip]) -> None:
        for vip in vips:
            try:
                self.netlink.remove_address(vip)
            except OSError as error:
                self._complain(f"{vip.dev}: cannot remove {vip.ip}: {error.strerror}")

    def _announce(self, vips: tuple[Vip, ...], rounds: int) -> None:
        for _ in range(rounds):
            for vip in vips:
                try:
                    if vip.dev not in self._arp:
                        self._arp[vip.dev] = Announcer(vip.dev)
                    self._arp[vip.dev].announce(vip.ip)
                except OSError:
                    self.failures += 1
                    self._forget_arp(vip.dev)

    def _complain(self, text: str) -> None:
        self.failures += 1
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(text)
