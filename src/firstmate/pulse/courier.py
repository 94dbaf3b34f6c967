"""Carries what `vrrp` decided to the network: adverts, addresses, routes, rules, gratuitous ARP."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from firstmate.linux import sysctl, vmac
from firstmate.linux.addresses import IfAddress
from firstmate.linux.netlink import Netlink
from firstmate.linux.sockets import AdvertSocket
from firstmate.model.plan import Plan, Route, Rule, Vip, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.pulse.heralds import Heralds
from firstmate.pulse.surroundings import Surroundings
from firstmate.vrrp.member import Action, Announce, Claim, Release
from firstmate.vrrp.sender import Transmit

REPAIR_US: Micros = 1 * S  # how often an address that is missing is put back
NO_ADDRESS = IPv4Address("0.0.0.0")  # noqa: S104 - nothing is bound; no interface has it
COMPLAINTS_MAX = 16  # kept until they are fetched; more of the same help nobody


class Courier:
    """Owns the sockets that speak. What the kernel refuses is counted in `failures` and told by `complaints`."""

    def __init__(self, plan: Plan, netlink: Netlink, surroundings: Surroundings) -> None:
        self.plan = plan
        self.failures = 0
        self.complaints: list[str] = []
        self.heralds = Heralds(plan, self.count_failure)
        self._netlink, self._surroundings = netlink, surroundings
        self._ways: dict[str, AdvertSocket] = {}  # by Transmit.wire
        self._send: dict[str, Callable[[bytes], None]] = {}
        self._wanted: dict[str, list[Vip]] = {}  # by router: claimed and not released
        self._laid: dict[str, tuple[list[Route], list[Rule]]] = {}  # the same of routes and rules

    @property
    def held(self) -> set[str]:
        """Routers whose every address is on its interface, as the kernel said last."""
        holds = self._surroundings.holds
        return {name for name, vips in self._wanted.items() if all(holds(vip) for vip in vips)}

    @property
    def vips(self) -> list[Vip]:
        """Every address that we hold, or should."""
        return [vip for vips in self._wanted.values() for vip in vips]

    def check_rights(self) -> None:
        """Raises `PermissionError` when addresses may not be changed here: a MASTER without them serves nobody."""
        if not any(one.vips or one.routes or one.rules for one in self.plan.routers):
            return
        try:
            self._netlink.remove_address(Vip(NO_ADDRESS, 32, "lo"))
        except PermissionError:
            raise
        except OSError:
            return  # the kernel has looked for it, so it would have removed it

    def leftovers(self) -> list[IfAddress]:
        """All addresses that carry our mark: at start, a killed predecessor's."""
        found = self._netlink.addresses()
        return [one for one in found if one.marked and self._surroundings.name_of(one.index)]

    def remove_leftovers(self, found: Iterable[IfAddress]) -> None:
        """These addresses, and every rule and route with our mark."""
        for leftover in (*self._netlink.leftover_rules(), *self._netlink.leftover_routes()):
            self._try(f"{leftover} of a predecessor stays", self._netlink.remove_leftover, leftover)
        for address in found:
            interface = self._surroundings.name_of(address.index)
            text = f"{interface}: {address.ip} left by a predecessor cannot be removed"
            self._try(text, self._netlink.remove_address, Vip(address.ip, address.prefix, interface))

    def prepare(self, interfaces: Iterable[str]) -> None:
        """Have these interfaces, and every macvlan of the plan on them, as our addresses need them.

        Macvlans of an earlier plan are removed.
        """
        there, wanted = set(interfaces), {one.vmac.name for one in self.plan.routers if one.vmac}
        for router in self.plan.routers:
            if router.vmac is not None and router.interface in there:
                text = f"{router.vmac.name}: cannot be made on {router.interface}"
                self._try(text, vmac.prepare, self._netlink, router.vmac, router.interface)
        for link in vmac.leftovers(self._netlink):
            if link.name not in wanted:
                self._try(f"{link.name}: cannot be removed", vmac.remove, self._netlink, link.name)
        # The kernel would take every address of a network away with its first one, which may be another router's.
        for device in {vip.dev for one in self.plan.routers for vip in one.moving if vip.ip.version == 4} & there:
            text = f"{device}: addresses may be lost when another of their network moves"
            self._try(text, sysctl.write, "ipv4", device, "promote_secondaries", 1)
        # An owner advertises from the address that we hold while it is away, which looks forged.
        for name in {one.interface for one in self.plan.routers if one.family == 4 and _has_an_owner(one)} & there:
            text = f"{name}: the owner of an address cannot be heard while we hold it"
            self._try(text, sysctl.write, "ipv4", name, "accept_local", 1)

    def remove_vmacs(self) -> None:
        for router in self.plan.routers:
            if router.vmac is not None:
                text = f"{router.vmac.name}: cannot be removed"
                self._try(text, vmac.remove, self._netlink, router.vmac.name)

    def carry(self, action: Action) -> None:
        match action:
            case Transmit():
                self._transmit(action)
            case Claim():
                self._claim(action)
            case Release():
                self._release(action)
            case Announce(_, vips, rounds):
                self.heralds.announce(vips, rounds)

    def repair(self) -> list[Vip]:
        """Put back what somebody else took from the interface; returns what is there again."""
        holds = self._surroundings.holds
        missing = [vip for vip in self.vips if not holds(vip)]
        self._put(missing)
        for routes, rules in self._laid.values():
            self._lay(routes, rules)
        return [vip for vip in missing if holds(vip)]

    def adopt(self, plan: Plan) -> None:
        self.plan = plan
        self.heralds.adopt(plan)
        for way in list(self._ways):
            self._lose_way(way)

    def lose(self, interface: str) -> None:
        """It is gone, or has another MAC: sockets on it are of no use any more."""
        self.heralds.lose(interface)
        for way in [way for way, end in self._ways.items() if end.interface == interface]:
            self._lose_way(way)

    def take_complaints(self) -> list[str]:
        complaints, self.complaints = self.complaints, []
        return complaints

    def count_failure(self) -> None:
        self.failures += 1

    def complain(self, text: str) -> None:
        self.failures += 1
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(text)

    def _transmit(self, action: Transmit) -> None:
        try:
            send = self._send.get(action.wire)
            if send is None:
                send = self._open_way(action)
            send(action.pdu)
        except BlockingIOError:
            self.failures += 1
        except OSError:
            self.failures += 1  # a link that is down is told of by its fact
            self._lose_way(action.wire)

    def _open_way(self, action: Transmit) -> Callable[[bytes], None]:
        way = self._ways[action.wire] = AdvertSocket(
            action.interface,
            action.source,
            action.destination,
            action.transport,
            port=action.port,
            ttl=action.ttl,
            whole=action.whole,
        )
        self._send[action.wire] = way.send
        return way.send

    def _lose_way(self, wire: str) -> None:
        self._send.pop(wire, None)
        if wire in self._ways:
            self._ways.pop(wire).close()

    def _claim(self, claim: Claim) -> None:
        known = self._wanted.setdefault(claim.router, [])
        places = {vip.place for vip in known}
        known += [vip for vip in claim.vips if vip.place not in places]
        self._put(claim.vips)
        if claim.routes or claim.rules:
            routes, rules = self._laid.setdefault(claim.router, ([], []))
            routes += [route for route in claim.routes if route not in routes]
            rules += [rule for rule in claim.rules if rule not in rules]
            self._lay(claim.routes, claim.rules)

    def _release(self, release: Release) -> None:
        self.heralds.silence(release.vips)
        routes, rules = self._laid.get(release.router, ([], []))
        self._laid[release.router] = (
            [route for route in routes if route not in release.routes],
            [rule for rule in rules if rule not in release.rules],
        )
        if not any(self._laid[release.router]):
            del self._laid[release.router]
        for rule in reversed(release.rules):
            self._try(f"a rule for table {rule.table} stays", self._netlink.remove_rule, rule)
        for route in reversed(release.routes):
            text = f"the route to {route.destination}/{route.prefix} stays"
            self._try(text, self._netlink.remove_route, route)
        places = {vip.place for vip in release.vips}
        self._wanted[release.router] = [vip for vip in self._wanted.get(release.router, []) if vip.place not in places]
        if not self._wanted[release.router]:
            del self._wanted[release.router]
        for vip, error in zip(release.vips, self._netlink.remove_addresses(release.vips), strict=True):
            if error is not None:
                self.complain(f"{vip.dev}: cannot remove {vip.ip}: {error.strerror}")

    def _put(self, vips: Iterable[Vip]) -> None:
        vips = list(vips)
        for vip, error in zip(vips, self._netlink.add_addresses(vips), strict=True):
            if error is None:
                self._surroundings.remember(vip)
            else:
                self.complain(f"{vip.dev}: cannot add {vip.ip}: {error.strerror}")

    def _lay(self, routes: Iterable[Route], rules: Iterable[Rule]) -> None:
        for route in routes:
            text = f"cannot add the route to {route.destination}/{route.prefix}"
            self._try(text, self._netlink.add_route, route)
        for rule in rules:
            self._try(f"cannot add the rule for table {rule.table}", self._netlink.add_rule, rule)

    def _try(self, otherwise: str, do: Callable[..., object], *what: object) -> None:
        try:
            do(*what)
        except OSError as error:
            self.complain(f"{otherwise}: {error.strerror}")


def _has_an_owner(plan: VrrpPlan) -> bool:
    """Another node: it is reached at one of the addresses that move."""
    return any(vip.ip in path.peers for vip in plan.vips for path in plan.all_paths)
