"""rtnetlink: links, addresses, routes and rules, read, changed and watched, without a fork."""

import contextlib
import errno
import socket
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from firstmate.linux import addresses, links, routes, rules
from firstmate.linux.addresses import IfAddress
from firstmate.linux.bpf import OUR_ROUTING_NEWS, attach
from firstmate.linux.links import Link
from firstmate.linux.routes import KernelRoute
from firstmate.linux.rtnetlink import (
    NETLINK_ROUTE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RECEIVE_OCTETS,
    Questions,
    interface_index,
    messages,
)
from firstmate.linux.rules import KernelRule
from firstmate.model.plan import Route, Rule, Vip

__all__ = ["IfAddress", "KernelRoute", "KernelRule", "Link", "Netlink", "News", "interface_index"]

RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV4_RULE = 0x1, 0x10, 0x40, 0x80
RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_IPV6_RULE = 0x100, 0x400, 0x40000
EVERY_GROUP = (
    RTMGRP_LINK
    | RTMGRP_IPV4_IFADDR
    | RTMGRP_IPV6_IFADDR
    | RTMGRP_IPV4_ROUTE
    | RTMGRP_IPV6_ROUTE
    | RTMGRP_IPV4_RULE
    | RTMGRP_IPV6_RULE
)
EVENT_BUFFER_OCTETS = 1 << 22  # what is not read in time is lost, and everything has to be looked at again
SO_RCVBUFFORCE = 33

GONE_ALREADY = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT})

News: TypeAlias = Link | IfAddress | KernelRoute | KernelRule


class Netlink:
    """One socket for requests (each answered before the next), one for news.

    Raises `OSError` as the kernel says it.
    """

    def __init__(self, *, watch: bool = False) -> None:
        self.questions = Questions()
        self.events: socket.socket | None = None
        if watch:
            self.events = _listen()

    def close(self) -> None:
        self.questions.close()
        if self.events is not None:
            self.events.close()

    def links(self) -> list[Link]:
        found = (links.parse(*item) for item in self.questions.dump(links.RTM_GETLINK, links.EVERY))
        return [link for link in found if link is not None]

    def link(self, interface: str) -> Link:
        """Raises `OSError` (ENODEV) without it."""
        return self._link(interface_index(interface))

    def addresses(self) -> list[IfAddress]:
        """Every IPv4 and IPv6 address of this network namespace."""
        found = (addresses.parse(*item) for item in self.questions.dump(addresses.RTM_GETADDR, addresses.EVERY))
        return [address for address in found if address is not None]

    def add_address(self, vip: Vip) -> None:
        """Put a marked address on its interface; one that is there already is fine."""
        (error,) = self.add_addresses([vip])
        if error is not None:
            raise error

    def add_addresses(self, vips: Iterable[Vip]) -> list[OSError | None]:
        """The same for many, in few system calls: what became of each."""
        flags = NLM_F_CREATE | NLM_F_REPLACE
        return self._change_addresses(addresses.RTM_NEWADDR, flags, vips)

    def remove_address(self, vip: Vip) -> None:
        """Take the address off the interface; one that is gone already, with its interface or not, is fine."""
        (error,) = self.remove_addresses([vip])
        if error is not None:
            raise error

    def remove_addresses(self, vips: Iterable[Vip]) -> list[OSError | None]:
        """The same for many, in few system calls: what became of each."""
        answers = self._change_addresses(addresses.RTM_DELADDR, 0, vips)
        return [None if error is not None and error.errno in GONE_ALREADY else error for error in answers]

    def add_route(self, route: Route) -> bool:
        """Put a marked route into its table; False: it is there already.

        Another route of the same key stands behind ours in IPv4 until ours goes. In IPv6 the kernel would use both at
        once, so that it is refused (EEXIST): give ours another metric.
        """
        table, index = self._place(route)
        flags = NLM_F_CREATE if route.destination.version == 4 else NLM_F_CREATE | NLM_F_EXCL
        try:
            self.questions.ask(routes.RTM_NEWROUTE, flags, routes.encode(route, index, table))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            if route.destination.version == 6 and not any(
                routes.is_it(found, route, table) for found in self._our_routes(6, table)
            ):
                text = "another route has this destination and metric"
                raise OSError(errno.EEXIST, text) from error
            return False
        return True

    def remove_route(self, route: Route) -> None:
        """Take our route away, never another's; one that is gone already, with its interface or not, is fine."""
        with _gone_is_fine():
            table, index = self._place(route)
            self.questions.ask(routes.RTM_DELROUTE, 0, routes.encode(route, index, table, key=True))

    def add_rule(self, rule: Rule) -> bool:
        """Put a marked rule in its place; False: it is there already."""
        try:
            self.questions.ask(rules.RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rules.encode(rule))
        except FileExistsError:
            return False
        return True

    def remove_rule(self, rule: Rule) -> None:
        """Take our rule away; one that is gone already is fine."""
        with _gone_is_fine():
            self.questions.ask(rules.RTM_DELRULE, 0, rules.encode(rule))

    def leftover_routes(self) -> list[KernelRoute]:
        """Every route with our mark: at start, a killed predecessor's."""
        return [*self._our_routes(4), *self._our_routes(6)]

    def leftover_rules(self) -> list[KernelRule]:
        """Every rule with our mark."""
        found = (rules.parse(body) for _, body in self.questions.dump(rules.RTM_GETRULE, rules.EVERY))
        return [rule for rule in found if rule is not None]

    def remove_leftover(self, leftover: KernelRoute | KernelRule) -> None:
        kind = routes.RTM_DELROUTE if isinstance(leftover, KernelRoute) else rules.RTM_DELRULE
        with _gone_is_fine():
            self.questions.ask(kind, 0, leftover.body)

    def vrf_table(self, interface: str) -> int:
        """The table of the VRF that the interface is in; 0: it is in none. Raises `OSError` (ENODEV) without it."""
        link = self.link(interface)
        return self._link(link.master).table if link.master else link.table

    def news(self) -> Iterator[News]:
        """What changed since the last call. Never blocks. Routes and rules: only that one of ours was removed.

        Raises `OSError` (ENOBUFS) when news was lost: look at everything again.
        """
        assert self.events is not None
        while True:
            try:
                data = self.events.recv(RECEIVE_OCTETS)
            except BlockingIOError:
                return
            for kind, _, _, body in messages(data):
                if (item := parse(kind, body)) is not None:
                    yield item

    def _link(self, index: int) -> Link:
        found = [links.parse(*item) for item in self.questions.get(links.RTM_GETLINK, links.encode_key(index))]
        return next(link for link in found if link is not None)

    def _place(self, route: Route) -> tuple[int, int]:
        """Table and interface of a route. Raises `OSError` (ENODEV)."""
        index = interface_index(route.dev) if route.dev else 0
        table = route.table or (self.vrf_table(route.dev) if route.dev else 0) or routes.RT_TABLE_MAIN
        return table, index

    def _our_routes(self, family: int, table: int = 0) -> list[KernelRoute]:
        try:
            answers = self.questions.dump(routes.RTM_GETROUTE, routes.encode_ours(family, table))
        except OSError as error:
            if error.errno == errno.ENOENT:  # there is no such table
                return []
            raise
        found = (routes.parse(body) for _, body in answers)
        return [route for route in found if route is not None and route.destination.version == family]

    def _change_addresses(self, kind: int, flags: int, vips: Iterable[Vip]) -> list[OSError | None]:
        encode = addresses.encode if kind == addresses.RTM_NEWADDR else addresses.encode_key
        places: list[Vip | OSError] = []
        requests = []
        indices: dict[str, int] = {}
        for vip in vips:
            try:
                index = indices.get(vip.dev) or indices.setdefault(vip.dev, interface_index(vip.dev))
            except OSError as error:
                places.append(error)
                continue
            requests.append((kind, flags, encode(vip, index)))
            places.append(vip)
        done = iter(self.questions.ask_all(requests))
        return [place if isinstance(place, OSError) else _explained(next(done), place) for place in places]


def parse(kind: int, body: bytes) -> News | None:
    """One message of the kernel; None: it says nothing that we use."""
    if kind in {addresses.RTM_NEWADDR, addresses.RTM_DELADDR}:
        return addresses.parse(kind, body)
    if kind in {links.RTM_NEWLINK, links.RTM_DELLINK}:
        return links.parse(kind, body)
    if kind == routes.RTM_DELROUTE:
        return routes.parse(body)
    if kind == rules.RTM_DELRULE:
        return rules.parse(body)
    return None


def _listen() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    events = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
    try:
        events.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, EVENT_BUFFER_OCTETS)
    except OSError:
        events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EVENT_BUFFER_OCTETS)
    # A router that learns the whole Internet's routes changes thousands a second: none of them wakes us.
    attach(events, OUR_ROUTING_NEWS)
    events.bind((0, EVERY_GROUP))
    return events


def _explained(error: OSError | None, vip: Vip) -> OSError | None:
    """The kernel says EACCES or EOPNOTSUPP where IPv6 is off, which reads like a missing right."""
    if error is not None and vip.ip.version == 6 and error.errno in {errno.EACCES, errno.EOPNOTSUPP}:
        return OSError(errno.EAFNOSUPPORT, f"IPv6 is off on {vip.dev} (net.ipv6.conf.{vip.dev}.disable_ipv6)")
    return error


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in GONE_ALREADY:
            raise
