"""Readers of the values of a [[vrrp]] that have a small grammar of their own: signing, tracking, virtual MAC."""

import re
from dataclasses import dataclass, field

from firstmate.config.addresses import interface_name
from firstmate.config.codes import Code
from firstmate.config.findings import Spot
from firstmate.config.readers import Reader, boolean, by_name, choice, duration, integer, name, per_node, shown, text
from firstmate.config.tables import Key, read_value
from firstmate.model.plan import HmacMode
from firstmate.model.units import S, Micros

AUTH_OCTETS_MAX = 8  # RFC 2338, 5.3.6: the field has no more
KEY_IDS_MAX = 255
WEIGHT_MAX = 253  # more than any difference of two priorities
WINDOW_LEAST_US, WINDOW_MOST_US = 1 * S, 300 * S

_SECRET = re.compile(r"file:/\S+|env:[A-Za-z_][A-Za-z0-9_]*|credential:[A-Za-z0-9_.-]+")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class HmacDraft:
    """`hmac` of a router, with its keys by reference."""

    keys: dict[int, str] = field(default_factory=dict)  # empty: those of the cluster
    active: int | None = None
    mode: HmacMode = HmacMode.ENFORCE
    window_us: Micros | None = None  # None: from the advert interval
    monotonic: bool = False


@dataclass(frozen=True, slots=True)
class TrackDraft:
    """One entry of `track`: a fact by its name, or the link of an interface."""

    name: str = ""
    interface: str | dict[str, str] = ""  # a table: by node
    weight: int | None = None  # None: that of the check
    reverse: bool | None = None


@dataclass(frozen=True, slots=True)
class VmacDraft:
    name: str = ""  # empty: by vrid and family
    mac: str = ""
    xmit_base: bool = False


# Secrets


def secret(spot: Spot) -> str | None:
    """A reference to a secret; the message never repeats what was written."""
    if not isinstance(spot.value, str):
        return spot.wrong_type("a reference to a secret")
    if not _SECRET.fullmatch(spot.value):
        hint = '"file:/etc/firstmate/cluster.key", "env:NAME" or "credential:NAME"'
        return spot.error(Code.BAD_SECRET, "a secret is given by reference, never in this file", hint)
    return spot.value


def secrets(spot: Spot) -> dict[int, str] | None:
    """Keys by their ids: `{ 1 = "file:...", 2 = "file:..." }`."""
    found = by_name(secret, KEY_IDS_MAX)(spot)
    if found is None:
        return None
    for key in found:
        if not re.fullmatch(r"[1-9]\d{0,2}", key, re.ASCII) or int(key) > KEY_IDS_MAX:
            text_ = f"{shown(key)} is not the id of a key"
            spot.child(key).error(Code.OUT_OF_RANGE, text_, f"a number from 1 to {KEY_IDS_MAX}", on_key=True)
            return None
    return {int(key): reference for key, reference in found.items()}


key_id: Reader[int] = integer(1, KEY_IDS_MAX)

HMAC_KEYS: dict[str, Key] = {
    "keys": Key(secrets),
    "active": Key(key_id),
    "mode": Key(choice({word.value: word for word in HmacMode})),
    "window": Key(duration(WINDOW_LEAST_US, WINDOW_MOST_US), field="window_us"),
    "anti_replay": Key(choice({"time": False, "monotonic": True}), field="monotonic"),
}


def hmac(spot: Spot) -> bool | HmacDraft | None:
    """`true` or `false`, or a table that says how."""
    if not isinstance(spot.value, dict):
        return boolean(spot)
    fields = read_value(spot, HMAC_KEYS, "hmac")
    if fields is None:
        return None
    return HmacDraft(**{HMAC_KEYS[key].field or key: value for key, value in fields.items()})


def auth_pass(spot: Spot) -> bytes | None:
    given = text(spot)
    if given is None:
        return None
    if not given.isascii() or not 1 <= len(given) <= AUTH_OCTETS_MAX:
        hint = "keepalived cuts a longer one off: write its first 8 characters" if len(given) > AUTH_OCTETS_MAX else ""
        return spot.error(Code.OUT_OF_RANGE, f"auth_pass takes 1 to {AUTH_OCTETS_MAX} ASCII characters", hint)
    return given.encode("ascii")


# Tracking


def weight(spot: Spot) -> int | None:
    """-253..253; keepalived also takes 254 and cuts it."""
    if spot.value in (WEIGHT_MAX + 1, -WEIGHT_MAX - 1) and not isinstance(spot.value, bool):
        cut = WEIGHT_MAX if spot.value > 0 else -WEIGHT_MAX
        text_ = f'"{spot.key}" is {spot.value}, outside {-WEIGHT_MAX} to {WEIGHT_MAX}'
        return spot.error(Code.OUT_OF_RANGE, text_, f"keepalived cuts it: write {cut}")
    return integer(-WEIGHT_MAX, WEIGHT_MAX)(spot)


TRACK_KEYS: dict[str, Key] = {
    "name": Key(name),
    "interface": Key(per_node(interface_name)),
    "weight": Key(weight),
    "reverse": Key(boolean),
}


def track(spot: Spot) -> TrackDraft | None:
    """`"disk"`, or a table with a name or an interface."""
    if not isinstance(spot.value, dict):
        given = name(spot)
        return None if given is None else TrackDraft(given)
    fields = read_value(spot, TRACK_KEYS, "track")
    if fields is None:
        return None
    if ("name" in fields) == ("interface" in fields):
        hint = '{ name = "disk", weight = -20 } or { interface = "eth1" }'
        return spot.error(Code.BAD_TRACK, 'an entry of track has either "name" or "interface"', hint)
    return TrackDraft(**fields)


# Virtual MAC


def mac(spot: Spot) -> str | None:
    given = text(spot)
    if given is None:
        return None
    if not _MAC.fullmatch(given) or int(given[:2], 16) & 1 or given.replace("0", "") == ":::::":
        hint = "six pairs of hexadecimal digits, of one host: 00:00:5e:00:01:01"
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} is not the MAC address of a host", hint)
    return given.lower()


VMAC_KEYS: dict[str, Key] = {
    "name": Key(interface_name),
    "mac": Key(mac),
    "xmit_base": Key(boolean),
}


def vmac(spot: Spot) -> bool | VmacDraft | None:
    if not isinstance(spot.value, dict):
        return boolean(spot)
    fields = read_value(spot, VMAC_KEYS, "vmac")
    return None if fields is None else VmacDraft(**fields)
