"""Executes the will of a pulse that died without a word: priority 0 first, then the addresses.

A Python process needs a tenth of a second to start; the peer should not wait so long for a successor to speak.
"""

from firstmate.linux.netlink import Netlink
from firstmate.linux.sockets import VrrpSocket
from firstmate.model.messages import Will


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
        failures = 0
        for bequest in will.bequests:
            try:
                self._sockets[bequest.interface].send(bequest.pdu, bequest.source, bequest.destination)
            except (KeyError, OSError):
                failures += 1
        vips = [vip for holding in will.holdings for vip in holding.addresses]
        for vip in vips:
            try:
                self._netlink.remove_address(vip)
            except OSError:
                failures += 1
        self._close()
        if not will.bequests and not vips:
            return ""
        done = f"said priority 0 {len(will.bequests)} times and released {len(vips)} addresses for it"
        return done + (f", {failures} of these failed" if failures else "")

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
