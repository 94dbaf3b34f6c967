"""Executes the will of a pulse that died without a word: priority 0 first, then what it had put into the kernel.

A Python process needs a tenth of a second to start; the peer should not wait so long for a successor to speak.
"""

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

from firstmate.linux.netlink import Netlink
from firstmate.linux.sockets import VrrpSocket
from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import HmacKey, HmacPlan, Route, Rule, Transport
from firstmate.model.units import S, Micros
from firstmate.vrrp import ah
from firstmate.vrrp.packet import attach
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.trailer import Signer

# Seconds that last words are ahead of the clock: pulse may have used this second. A successor speaks later.
AH_AHEAD = 2

_What = TypeVar("_What", Route, Rule)


class Executor:
    """Holds the sockets ready, so that nothing has to be opened when it matters."""

    def __init__(self) -> None:
        self.will = Will((), ())
        self._netlink = Netlink()
        self._sockets: dict[str, VrrpSocket] = {}

    def keep(self, will: Will) -> None:
        """Replace the will before. A socket is kept only while the will needs it.

        An interface that goes away and comes back has the same name and another index: pulse then leaves a will
        without it and later one with it, and the socket is opened anew.
        """
        self.will = will
        needed = {bequest.interface for bequest in will.bequests}
        for interface in self._sockets.keys() - needed:
            self._sockets.pop(interface).close()
        for interface in needed:
            self._open(interface)

    def execute(self) -> str:
        """Do what the will says, once; returns what was done, for the log ("" when there was nothing)."""
        will, self.will = self.will, Will((), ())
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
                self._send(one)
            except (KeyError, OSError):
                failures += 1
        return failures

    def _send(self, one: Transmit) -> None:
        if one.whole or one.transport is Transport.UDP or one.source.version == 6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        self._sockets[one.interface].send(one.pdu, one.source, one.destination)

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

    def _open(self, interface: str) -> None:
        if interface in self._sockets:
            return
        try:
            # It never reads, and the group is for receivers: a sender needs no membership.
            self._sockets[interface] = VrrpSocket(interface, listens=False)
        except OSError:
            return

    def _close(self) -> None:
        """An interface may be another one next time."""
        for end in self._sockets.values():
            end.close()
        self._sockets.clear()


def seal(bequests: tuple[Bequest, ...], utc_us: Micros) -> list[Transmit]:
    """What is to be sent for them, signed with the time of day where it has to be."""
    signers: dict[HmacKey, Signer] = {}
    sequence = ah.AhSequence()
    sequence.heard(utc_us // S + AH_AHEAD - 1)
    out = []
    for one in bequests:
        pdu, whole = one.pdu, False
        if one.hmac_key is not None:
            key = one.hmac_key
            signer = signers.setdefault(key, Signer(HmacPlan((key,), key.id)))
            pdu = attach(pdu, signer.sign(pdu, one.source, utc_us), one.source, one.destination)
        elif one.ah_key:
            key8 = ah.ah_key(one.ah_key)
            pdu = ah.build(pdu, one.source, one.destination, key8, sequence.next(utc_us), one.ttl)
            whole = True
        out.append(
            Transmit(one.interface, one.source, one.destination, pdu, one.transport, one.port, one.ttl, whole=whole)
        )
    return out


def _done(deed: Callable[[_What], None], what: _What) -> bool:
    try:
        deed(what)
    except OSError:
        return False
    return True
