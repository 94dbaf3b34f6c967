"""Where pulse hears adverts: which sockets the plan needs, and how much of what comes is looked at.

Peers and strangers have sockets apart, where the plan names the peers by the addresses that they speak from. A sender
may have so many adverts looked at in a while, and all together somewhat more; those that repeat byte by byte cost next
to nothing and are never counted. So a flood costs a bounded share of the processor, and keeps no peer from being heard.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from firstmate.linux.listeners import Listener, Raw4, Raw6, Received, Udp
from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, Plan, Transport
from firstmate.model.units import MS, S, Micros
from firstmate.vrrp.ah import AH_PROTOCOL
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6

PACKETS_AT_ONCE = 256  # of one socket in one wake-up; then timers get their turn
STRANGERS_AT_ONCE = 32
STRANGERS_REST_US: Micros = 20 * MS
WINDOW_US: Micros = 100 * MS
LOOKED_AT_MIN = 50  # adverts of one sender in a window, beside four times what the plan makes us expect
SENDERS_SHARE = 4  # all senders together: so many times one sender's part

_Key: TypeAlias = tuple[Hashable, ...]  # equal for sockets that hear the same


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: _Key
    interface: str
    open: Callable[[], Listener]


class Ears:
    def __init__(self, plan: Plan) -> None:
        self.listeners: dict[_Key, Listener] = {}
        self.dropped = 0  # adverts that were not looked at, because there were too many
        self._wanted: dict[_Key, _Wanted] = {}
        self._resting_until_us: dict[_Key, Micros] = {}
        self._window_at_us: Micros = 0
        self._spent: dict[Hashable, int] = {}
        self._share = self._total = 0
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Use another plan, and keep the sockets that it needs too; call `open` then."""
        self._wanted = {wanted.key: wanted for wanted in _all_wanted(plan)}
        for key in self.listeners.keys() - self._wanted.keys():
            self._forget(key)
        expected = sum(S // one.advert_interval_us * max(1, len(one.all_paths)) for one in plan.routers)
        self._share = LOOKED_AT_MIN + 4 * expected * WINDOW_US // S
        self._total = SENDERS_SHARE * self._share

    def open(self, interfaces: Iterable[str], complain: Callable[[str], None]) -> None:
        """Open what is missing on these interfaces; close what is on others. Raises `PermissionError`."""
        there = set(interfaces)
        for key in [key for key, one in self.listeners.items() if one.interface not in there]:
            self._forget(key)
        for wanted in self._wanted.values():
            if wanted.key in self.listeners or wanted.interface not in there:
                continue
            try:
                self.listeners[wanted.key] = wanted.open()
            except PermissionError:
                raise
            except OSError as error:
                complain(f"{wanted.interface}: no socket for adverts: {error.strerror}")

    def lose(self, interface: str) -> None:
        """It is gone; should one of this name return, it needs new sockets."""
        for key in [key for key, one in self.listeners.items() if one.interface == interface]:
            self._forget(key)

    def hears_on(self, interface: str) -> bool:
        """Is there every socket for it?"""
        return all(key in self.listeners for key, wanted in self._wanted.items() if wanted.interface == interface)

    def close(self) -> None:
        for key in list(self.listeners):
            self._forget(key)

    def awake(self, now_us: Micros) -> list[Listener]:
        """Those that are to be listened to now."""
        if self._resting_until_us:
            self._resting_until_us = {key: at for key, at in self._resting_until_us.items() if at > now_us}
            return [one for key, one in self.listeners.items() if key not in self._resting_until_us]
        return list(self.listeners.values())

    @property
    def deadline_us(self) -> Micros | None:
        """When the next one wakes up."""
        return min(self._resting_until_us.values(), default=None)

    def rest(self, listener: Listener, now_us: Micros) -> None:
        """It had more than was looked at."""
        if listener.strangers:
            key = next(key for key, one in self.listeners.items() if one is listener)
            self._resting_until_us[key] = now_us + STRANGERS_REST_US

    def may_look(self, received: Received, now_us: Micros) -> bool:
        """Has this sender, and have all together, not had their share of this window yet?"""
        if now_us - self._window_at_us >= WINDOW_US:
            self._window_at_us = now_us
            self._spent.clear()
        sender = received[12:16] if isinstance(received, bytes) else received[1]
        spent, total = self._spent.get(sender, 0), self._spent.get(None, 0)
        if spent >= self._share or total >= self._total:
            self.dropped += 1
            return False
        self._spent[sender], self._spent[None] = spent + 1, total + 1
        return True

    def _forget(self, key: _Key) -> None:
        self.listeners.pop(key).close()
        self._resting_until_us.pop(key, None)


@dataclass(slots=True)
class _Place:
    """One interface and family: what its virtual routers hear there."""

    ah: bool = False
    open: bool = False  # peers cannot be told from strangers
    peers: dict[Address, None] = field(default_factory=dict)
    groups: dict[Address, None] = field(default_factory=dict)


def _all_wanted(plan: Plan) -> list[_Wanted]:
    """Every socket that the plan needs, each once."""
    found: dict[_Key, _Wanted] = {}
    for (interface, family), place in _places(plan, found).items():
        # With multicast too: a router that the plan does not know is heard among the strangers.
        peers = () if place.open else tuple(place.peers)
        groups = (GROUP_IPV4 if family == 4 else GROUP_IPV6, *place.groups)
        for strangers in (False, True) if peers else (False,):
            key: _Key = ("raw", interface, family, strangers, peers, groups)
            found[key] = _Wanted(key, interface, _opener_raw(interface, family, peers, groups, strangers=strangers))
        if place.ah:
            key = ("ah", interface, groups)
            found[key] = _Wanted(key, interface, _opener_ah(interface, groups))
    return list(found.values())


def _places(plan: Plan, udp: dict[_Key, _Wanted]) -> dict[tuple[str, int], _Place]:
    """All but UDP, whose sockets go into `udp`."""
    places: dict[tuple[str, int], _Place] = {}
    for router in plan.routers:
        for path in router.all_paths:
            if path.transport is Transport.UDP:
                key = ("udp", path.interface, path.source, plan.udp_port)
                udp.setdefault(
                    key, _Wanted(key, path.interface, _opener_udp(path.interface, path.source, plan.udp_port))
                )
                continue
            place = places.setdefault((path.interface, router.family), _Place())
            place.ah |= router.auth is Auth.AH and router.hmac is None
            multicast6 = path.transport is Transport.MULTICAST and router.family == 6
            if multicast6 and not all(peer.is_link_local for peer in path.peers):
                place.open = True  # they speak from link-local addresses, which most files do not name
            place.peers |= dict.fromkeys(path.peers)
            if router.multicast_group is not None:
                place.groups[router.multicast_group] = None
    return places


def _opener_udp(interface: str, source: Address, port: int) -> Callable[[], Listener]:
    return lambda: Udp(interface, source, port)


def _opener_raw(
    interface: str, family: int, peers: tuple[Address, ...], groups: tuple[Address, ...], *, strangers: bool
) -> Callable[[], Listener]:
    if family == 4:
        return lambda: Raw4(interface, peers, groups, strangers=strangers)
    return lambda: Raw6(interface, peers, groups, strangers=strangers)


def _opener_ah(interface: str, groups: tuple[Address, ...]) -> Callable[[], Listener]:
    return lambda: Raw4(interface, (), groups, protocol=AH_PROTOCOL)
