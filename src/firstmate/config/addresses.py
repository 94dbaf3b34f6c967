"""Readers of IP addresses, of either family, and of the addresses that move."""

import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import TypeAlias

from firstmate.config.codes import Code
from firstmate.config.findings import Spot
from firstmate.config.readers import Reader, boolean, not_yet, per_node, shown, text
from firstmate.config.tables import Key, read_value
from firstmate.model.addresses import Address

Prefix: TypeAlias = IPv4Network | IPv6Network
Interface: TypeAlias = IPv4Interface | IPv6Interface

INTERFACE_NAME_MAX = 15  # IFNAMSIZ less the final NUL
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254}  # rtnetlink(7)
_SHOWN_MAX = 40
_SAMPLES = {4: "four numbers from 0 to 255, such as 10.0.1.10", 6: "such as 2001:db8::10"}


@dataclass(frozen=True, slots=True)
class VipDraft:
    """An address that moves, before the host has been asked which interface it belongs to."""

    ip: Address
    prefix: int
    dev: str | dict[str, str] | None = None  # None: to be inferred; a table: by node
    advertised: bool = True
    scope: int = 0
    label: str = ""
    broadcast: IPv4Address | None = None
    track: bool = True
    dad: bool = False


# One address


def parse_address(spot: Spot, given: str, family: int | None = None) -> Address | None:
    """The address in `given`, a part of this value; notes why it is none, or none of `family` (4, 6, None: either)."""
    try:
        address = ip_address(given)
    except ValueError:
        wanted = "IP" if family is None else f"IPv{family}"
        hint = f"write {_SAMPLES[family or 4]}" + (f", or {_SAMPLES[6]}" if family is None else "")
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} is not an {wanted} address", hint)
    if family is not None and address.version != family:
        text = f"{shown(given)} is an IPv{address.version} address, and this takes IPv{family}"
        return spot.error(Code.OTHER_FAMILY, text, f"write {_SAMPLES[family]}")
    if getattr(address, "scope_id", None):
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} names an interface", "write it without %, and say dev")
    return address


def usable(spot: Spot, address: Address) -> Address | None:
    """Refuse what no host can have as its address."""
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    reserved = address.version == 4 and address.is_reserved
    if address.is_multicast or address.is_unspecified or reserved or mapped:
        return spot.error(Code.UNUSABLE_ADDRESS, f"{address} cannot be the address of a host")
    return address


def host_address(family: int | None = None) -> Reader[Address]:
    """An address that one host can have: without a prefix length."""

    def read(spot: Spot) -> Address | None:
        given = text(spot)
        if given is None:
            return None
        if "/" in given:
            hint = f'only the address: "{given.partition("/")[0][:_SHOWN_MAX]}"'
            return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has a prefix length", hint)
        address = parse_address(spot, given, family)
        return None if address is None else usable(spot, address)

    return read


def routable_ipv6(spot: Spot) -> Address | None:
    """An IPv6 address that other hosts reach without naming an interface."""
    address = host_address(6)(spot)
    if address is not None and address.is_link_local:
        hint = "a global or unique local one, such as 2001:db8::10"
        return spot.error(Code.UNUSABLE_ADDRESS, f"{address} is good on one link only", hint)
    return address


def multicast_address(spot: Spot) -> Address | None:
    given = text(spot)
    address = None if given is None else parse_address(spot, given)
    if address is not None and not address.is_multicast:
        hint = "such as 224.0.0.18 or ff02::12"
        return spot.error(Code.UNUSABLE_ADDRESS, f"{address} is not a multicast group", hint)
    return address


def prefix(spot: Spot) -> Prefix | None:
    """`"10.0.0.0/8"`, or one address for a prefix of its own; no bit behind the length may be set."""
    given = text(spot)
    found = None if given is None else _with_length(spot, given, bare=True)
    if found is None:
        return None
    if found.ip != found.network.network_address:
        text_ = f"{shown(str(found))} has bits set behind its length"
        return spot.error(Code.BAD_ADDRESS, text_, f'"{found.network}", or "{found.ip}" for the one address')
    return found.network


def _with_length(spot: Spot, given: str, *, bare: bool = False) -> Interface | None:
    """An address and its prefix length; with `bare`, the length may be left out."""
    written, slash, length = given.partition("/")
    ip = parse_address(spot, written)
    if ip is None:
        return None
    if not slash and not bare:
        hint = f'write the prefix length of its network: "{ip}/{24 if ip.version == 4 else 64}"'
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no prefix length", hint)
    most = ip.max_prefixlen
    if not slash:
        length = str(most)
    if not re.fullmatch(r"0|[1-9]\d{0,2}", length, re.ASCII) or int(length) > most:
        return spot.error(Code.BAD_ADDRESS, f"{shown(length)} is not a prefix length", f"a number from 0 to {most}")
    return ip_interface((ip, int(length)))


# What moves


def vip(spot: Spot) -> VipDraft | None:
    """`"10.0.1.100/24"` or `{ vip = "10.0.1.100/24", dev = "eth1" }`."""
    if not isinstance(spot.value, dict):
        interface = _vip_address(spot)
        return None if interface is None else VipDraft(interface.ip, interface.network.prefixlen)
    if "elastic_ip" in spot.value:
        return not_yet(spot.child("elastic_ip"), "an Elastic IP")
    fields = read_value(spot, VIP_KEYS, "addresses")
    if fields is None:
        return None
    inner: Interface = fields.pop("vip")
    wrong = next((key for key in fields if _FAMILY_OF_KEY.get(key, inner.version) != inner.version), None)
    if wrong is not None:
        text_ = f'"{wrong}" has no meaning for an IPv{inner.version} address'
        return spot.child(wrong).error(Code.OTHER_FAMILY, text_, "take it out", on_key=True)
    if fields.pop("broadcast", "-") == "+":
        fields["broadcast"] = inner.network.broadcast_address
    elif spot.value.get("broadcast", "-") != "-":
        fields["broadcast"] = IPv4Address(spot.value["broadcast"])
    if "advertise" in fields:
        fields["advertised"] = fields.pop("advertise")
    return VipDraft(inner.ip, inner.network.prefixlen, **fields)


_FAMILY_OF_KEY = {"scope": 4, "label": 4, "broadcast": 4, "dad": 6}


def _vip_address(spot: Spot) -> Interface | None:
    given = text(spot)
    found = None if given is None else _with_length(spot, given)
    if found is None or usable(spot, found.ip) is None:
        return None
    network = found.network
    if network.max_prefixlen - network.prefixlen >= 2:
        if found.ip == network.network_address:
            what = "network" if found.version == 4 else "subnet router's anycast"
        elif found.version == 4 and found.ip == network.broadcast_address:
            what = "broadcast"
        else:
            return found
        hint = "choose another address"
        return spot.error(Code.UNUSABLE_ADDRESS, f"{found.ip} is the {what} address of {network}", hint)
    return found


def interface_name(spot: Spot) -> str | None:
    given = text(spot)
    if given is None:
        return None
    if given in ("", ".", "..") or len(given.encode()) > INTERFACE_NAME_MAX or re.search(r"[/ :]", given):
        return spot.error(Code.BAD_NAME, f"{shown(given)} cannot be the name of an interface")
    return given


def scope(spot: Spot) -> int | None:
    """A word of rtnetlink(7), or its number."""
    if isinstance(spot.value, int) and not isinstance(spot.value, bool) and 0 <= spot.value <= 255:
        return spot.value
    if isinstance(spot.value, str) and spot.value in SCOPES:
        return SCOPES[spot.value]
    words = ", ".join(f'"{word}"' for word in SCOPES)
    return spot.error(
        Code.NOT_A_CHOICE, f"{spot.key} cannot be {shown(str(spot.value))}", f"one of {words}, or 0 to 255"
    )


def _label(spot: Spot) -> str | None:
    """As an interface's name; that it begins with the one of its interface is seen on the host."""
    given = text(spot)
    if given is None:
        return None
    if not 1 <= len(given.encode()) <= INTERFACE_NAME_MAX or re.search(r"[/ ]", given):
        hint = 'begins with the interface, at most 15 characters: "eth0:web"'
        return spot.error(Code.BAD_NAME, f"{shown(given)} cannot be a label", hint)
    return given


def _broadcast(spot: Spot) -> str | None:
    """`"+"`: that of its network; `"-"`: none; else an address."""
    given = text(spot)
    if given is None or given in ("+", "-"):
        return given
    return None if parse_address(spot, given, 4) is None else given


VIP_KEYS: dict[str, Key] = {
    "vip": Key(_vip_address, required=True),
    "dev": Key(per_node(interface_name)),
    "advertise": Key(boolean),
    "track": Key(boolean),
    "scope": Key(scope),
    "label": Key(_label),
    "broadcast": Key(_broadcast),
    "dad": Key(boolean),
}
