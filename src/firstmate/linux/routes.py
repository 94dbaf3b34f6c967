"""Routes that move with the addresses, as rtnetlink(7) has them. Ours carry the protocol number 112."""

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

from firstmate.linux.addresses import MARK_PROTOCOL
from firstmate.linux.rtnetlink import attributes, read_attributes, read_u32, u32
from firstmate.model.addresses import Address
from firstmate.model.plan import Route, RouteKind

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE, RTA_VIA = 1, 4, 5, 6, 7, 15, 18
RT_TABLE_COMPAT, RT_TABLE_MAIN = 252, 254
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTNH_F_ONLINK = 4
IPV6_METRIC = 1024  # what the kernel takes where none is said
TYPES = {RouteKind.UNICAST: 1, RouteKind.BLACKHOLE: 6, RouteKind.UNREACHABLE: 7, RouteKind.PROHIBIT: 8}

_ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst and src prefix, tos, table, protocol, scope, type, flags (rtmsg)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A route with our mark, as it is in the kernel."""

    destination: Address
    prefix: int
    table: int
    metric: int
    body: bytes  # the message that describes it, which sent back removes it

    def __str__(self) -> str:
        return f"{self.destination}/{self.prefix} in table {self.table}"


def encode(route: Route, index: int, table: int, *, key: bool = False) -> bytes:
    """Body of RTM_NEWROUTE, or with `key` of RTM_DELROUTE. `index` 0: no interface is named; `table` 1..2^32-1."""
    pairs = [(RTA_TABLE, u32(table))]
    if route.prefix:
        pairs.append((RTA_DST, route.destination.packed))
    if index:
        pairs.append((RTA_OIF, u32(index)))
    if route.via is not None:
        pairs.append(_gateway(route.via, route.destination.version))
    if route.metric is not None:
        pairs.append((RTA_PRIORITY, u32(route.metric)))
    if route.source is not None:
        pairs.append((RTA_PREFSRC, route.source.packed))
    header = _ROUTE.pack(
        _FAMILIES[route.destination.version],
        route.prefix,
        0,
        0,
        table if table < 256 else RT_TABLE_COMPAT,
        MARK_PROTOCOL,
        RT_SCOPE_NOWHERE if key and route.scope is None else _scope(route),
        TYPES[route.kind],
        RTNH_F_ONLINK if route.onlink else 0,
    )
    return header + attributes(pairs)


def encode_ours(family: int, table: int = 0) -> bytes:
    """Body of RTM_GETROUTE: those with our mark, where the kernel can choose them; `table` 0: of every table."""
    pairs = [(RTA_TABLE, u32(table))] if table else []
    return _ROUTE.pack(_FAMILIES[family], 0, 0, 0, 0, MARK_PROTOCOL, 0, 0, 0) + attributes(pairs)


def parse(body: bytes) -> KernelRoute | None:
    """What RTM_NEWROUTE or RTM_DELROUTE says; None: not ours."""
    family, prefix, _, _, table, protocol, _, _, _ = _ROUTE.unpack_from(body)
    octets = {socket.AF_INET: 4, socket.AF_INET6: 16}.get(family)
    if protocol != MARK_PROTOCOL or octets is None:
        return None
    values = read_attributes(body[_ROUTE.size :])
    destination = values.get(RTA_DST, bytes(octets))
    if len(destination) != octets:
        return None
    table = read_u32(values.get(RTA_TABLE)) or table
    return KernelRoute(ip_address(destination), prefix, table, read_u32(values.get(RTA_PRIORITY)), body)


def is_it(found: KernelRoute, route: Route, table: int) -> bool:
    """It has the key of what we want: the kernel has no second one of it."""
    metric = route.metric or (IPV6_METRIC if route.destination.version == 6 else 0)
    return (found.destination, found.prefix, found.table, found.metric) == (
        route.destination,
        route.prefix,
        table,
        metric,
    )


def _gateway(via: Address, family: int) -> tuple[int, bytes]:
    if via.version == family:
        return RTA_GATEWAY, via.packed
    return RTA_VIA, struct.pack("=H", _FAMILIES[via.version]) + via.packed  # RFC 8950: IPv4 by an IPv6 neighbour


def _scope(route: Route) -> int:
    if route.scope is not None:
        return route.scope
    is_neighbour = route.destination.version == 4 and route.kind is RouteKind.UNICAST and route.via is None
    return RT_SCOPE_LINK if is_neighbour else RT_SCOPE_UNIVERSE
