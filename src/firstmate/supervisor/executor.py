"""Executes the will of a pulse that died without a word: priority 0 first, then what it had put into the kernel.

A Python process needs a tenth of a second to start; the peer should not wait so long for a successor to speak.
"""

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from firstmate.linux.netlink import Netlink
from firstmate.linux.sockets import AdvertSocket
from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import Route, Rule, Transport
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.testament import seal

_Way: TypeAlias = tuple[str, Address, Address, Transport, int, int, bool]
_What = TypeVar("_What", Route, Rule)


class Executor:
    """Holds the sockets ready, so that nothing has to be opened when it matters."""

    def __init__(self) -> None:
        self._wills: dict[str, Will] = {}  # by virtual router
        self._netlink = Netlink()
        self._sockets: dict[_Way, AdvertSocket] = {}

    @property
    def will(self) -> Will:
        """All of it."""
        wills = self._wills.values()
        bequests = tuple(one for will in wills for one in will.bequests)
        return Will(bequests, tuple(one for will in wills for one in will.holdings))

    def keep(self, router: str, will: Will) -> None:
        """Replace what was left for this virtual router; sockets that it needs are opened at once.

        An interface that goes away and comes back has the same name and another index: pulse then leaves a will
        without it and later one with it, and the socket is opened anew.
        """
        before = self._wills.pop(router, None)
        if will.bequests or will.holdings:
            self._wills[router] = will
            for bequest in will.bequests:
                self._open(_way(bequest))
        elif before is not None:
            needed = {_way(bequest) for other in self._wills.values() for bequest in other.bequests}
            for way in {_way(bequest) for bequest in before.bequests} - needed:
                if way in self._sockets:
                    self._sockets.pop(way).close()

    def forget(self) -> None:
        """A new pulse begins, and has nothing to bequeath yet."""
        self._wills.clear()
        self._close()

    def execute(self) -> str:
        """Do what the will says, once; returns what was done, for the log ("" when there was nothing)."""
        will = self.will
        self._wills.clear()
        failures = self._speak(will)
        removed, refused = self._take_away(will.holdings)
        self._close()
        if not will.bequests and not will.holdings:
            return ""
        done = f"said priority 0 {len(will.bequests)} times and released {removed} for it"
        failures += refused
        return done + (f", {failures} of these failed" if failures else "")

    def _speak(self, will: Will) -> int:
        failures = 0
        for one in seal(will.bequests, time.time_ns() // 1000):
            try:
                self._sockets[_way(one)].send(one.pdu)
            except (KeyError, OSError):
                failures += 1
        return failures

    def _take_away(self, holdings: tuple[Holding, ...]) -> tuple[str, int]:
        """In the order reversed in which pulse has added it: what it was, and how much of it failed."""
        rules = [rule for holding in reversed(holdings) for rule in reversed(holding.rules)]
        routes = [route for holding in reversed(holdings) for route in reversed(holding.routes)]
        vips = [vip for holding in reversed(holdings) for vip in reversed(holding.addresses)]
        failures = sum(not _done(self._netlink.remove_rule, rule) for rule in rules)
        failures += sum(not _done(self._netlink.remove_route, route) for route in routes)
        failures += sum(error is not None for error in self._netlink.remove_addresses(vips))
        names = {"addresses": len(vips), "routes": len(routes), "rules": len(rules)}
        return ", ".join(f"{count} {name}" for name, count in names.items() if count or name == "addresses"), failures

    def _open(self, way: _Way) -> None:
        if way in self._sockets:
            return
        interface, source, destination, transport, port, ttl, whole = way
        try:
            self._sockets[way] = AdvertSocket(
                interface, source, destination, transport, port=port, ttl=ttl, whole=whole
            )
        except OSError:
            return

    def _close(self) -> None:
        """An interface may be another one next time."""
        for end in self._sockets.values():
            end.close()
        self._sockets.clear()


def _way(one: Bequest | Transmit) -> _Way:
    whole = bool(one.ah_key and one.hmac_key is None) if isinstance(one, Bequest) else one.whole
    return one.interface, one.source, one.destination, one.transport, one.port, one.ttl, whole


def _done(deed: Callable[[_What], None], what: _What) -> bool:
    try:
        deed(what)
    except OSError:
        return False
    return True
