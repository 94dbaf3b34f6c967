"""Readers of the values that have a small grammar of their own: VIPs, binds, servers, checks, balance."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from firstmate.config.codes import Code
from firstmate.config.findings import Spot
from firstmate.config.readers import (
    Reader,
    choice,
    integer,
    name,
    not_yet,
    parse_ipv4,
    per_node,
    shown,
    text,
    usable,
)
from firstmate.config.tables import Key, read_value
from firstmate.model.plan import Bind as BindPlan
from firstmate.model.plan import HttpCheck, ProtocolCheck, ServiceCheck, TcpCheck

PORT_MAX = 65_535
AUTH_OCTETS_MAX = 8  # RFC 2338, 5.3.6: the field has no more
INTERFACE_NAME_MAX = 15  # IFNAMSIZ less the final NUL

port: Reader[int] = integer(1, PORT_MAX, Code.PORT_RANGE)

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_HTTP_CHECK = re.compile(r"(GET|HEAD|OPTIONS|POST|PUT) (/[!-~]*)")
_HTTP_STATUS = re.compile(r"[1-5]\d\d(-[1-5]\d\d)?(,[1-5]\d\d(-[1-5]\d\d)?)*")
_SECRET = re.compile(r"file:/\S+|env:[A-Za-z_][A-Za-z0-9_]*|credential:[A-Za-z0-9_.-]+")
_RAW_SECTIONS = frozenset(
    [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "mailers",
        "userlist",
        "program",
        "cache",
        "ring",
        "http-errors",
        "log-forward",
        "fcgi-app",
    ]
)

# fmt: off
BALANCE = {  # algorithm        form of its arguments
    "roundrobin":  re.compile(r""),
    "static-rr":   re.compile(r""),
    "leastconn":   re.compile(r""),
    "first":       re.compile(r""),
    "source":      re.compile(r""),
    "uri":         re.compile(r"( (whole|path-only|(len|depth) \d{1,5}))*"),
    "url_param":   re.compile(r" [\w.-]{1,64}( check_post( max_wait \d{1,6})?)?", re.ASCII),
    "hdr":         re.compile(r"\([\w-]{1,64}\)( use_domain_only)?", re.ASCII),
    "random":      re.compile(r"(\([1-9]\d{0,2}\))?"),
    "rdp-cookie":  re.compile(r"(\([\w.-]{1,64}\))?", re.ASCII),
    "hash":        re.compile(r" [\w.,()*-]{1,200}", re.ASCII),
}
# fmt: on
HTTP_BALANCE = frozenset(("uri", "url_param", "hdr"))  # what they look at exists in mode http alone
PROTOCOLS = ("tls", "mysql", "pgsql", "redis")


@dataclass(frozen=True, slots=True)
class VipDraft:
    """An address that moves, before the host has been asked which interface it belongs to."""

    ip: IPv4Address
    prefix: int
    dev: str | dict[str, str] | None  # None: to be inferred; a table: by node


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server as written: `"host:port"`, or a table around it."""

    host: str
    port: int


def vip(spot: Spot) -> VipDraft | None:
    """`"10.0.1.100/24"` or `{ vip = "10.0.1.100/24", dev = "eth1" }`."""
    if not isinstance(spot.value, dict):
        interface = _interface(spot)
        return None if interface is None else VipDraft(interface.ip, interface.network.prefixlen, None)
    if "elastic_ip" in spot.value:
        return not_yet(spot.child("elastic_ip"), "an Elastic IP")
    fields = read_value(spot, VIP_KEYS, "addresses")
    if fields is None:
        return None
    inner: IPv4Interface = fields["vip"]
    return VipDraft(inner.ip, inner.network.prefixlen, fields.get("dev"))


def _interface(spot: Spot) -> IPv4Interface | None:
    given = text(spot)
    if given is None:
        return None
    address, slash, prefix = given.partition("/")
    ip = parse_ipv4(spot, address)
    if ip is None or usable(spot, ip) is None:
        return None
    if not slash:
        hint = f'write the prefix length of its network: "{ip}/24"'
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no prefix length", hint)
    if not re.fullmatch(r"[0-9]|[12][0-9]|3[0-2]", prefix):
        return spot.error(Code.BAD_ADDRESS, f"{shown(prefix)} is not a prefix length", "a number from 0 to 32")
    found = IPv4Interface((ip, int(prefix)))
    network = found.network
    if network.prefixlen <= 30 and ip in (network.network_address, network.broadcast_address):
        what = "network" if ip == network.network_address else "broadcast"
        return spot.error(Code.UNUSABLE_ADDRESS, f"{ip} is the {what} address of {network}", "choose another address")
    return found


def interface_name(spot: Spot) -> str | None:
    given = text(spot)
    if given is None:
        return None
    if not given or len(given) > INTERFACE_NAME_MAX or "/" in given or " " in given:
        return spot.error(Code.BAD_NAME, f"{shown(given)} cannot be the name of an interface")
    return given


VIP_KEYS: dict[str, Key] = {
    "vip": Key(_interface, required=True),
    "dev": Key(per_node(interface_name)),
}


def bind(spot: Spot) -> BindPlan | None:
    """`":80"` listens on every address of the virtual routers, `"10.0.0.1:80"` on one."""
    given = text(spot)
    if given is None:
        return None
    if given.startswith("["):
        return not_yet(spot, "an IPv6 address")
    host, colon, digits = given.rpartition(":")
    if not colon:
        hint = f'":{given}"' if re.fullmatch(r"\d{1,5}", given, re.ASCII) else 'such as ":80"'
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no port to listen on", hint)
    number = _port_of(spot, digits)
    if number is None:
        return None
    if not host:
        return BindPlan(number)
    address = IPv4Address(0) if host == "*" else parse_ipv4(spot, host)
    return None if address is None else BindPlan(number, address)


def _port_of(spot: Spot, digits: str) -> int | None:
    if not re.fullmatch(r"\d{1,5}", digits, re.ASCII) or not 1 <= int(digits) <= PORT_MAX:
        return spot.error(Code.PORT_RANGE, f"{shown(digits)} is not a port", f"a number from 1 to {PORT_MAX}")
    return int(digits)


def endpoint(spot: Spot) -> Endpoint | None:
    """`"10.0.1.21:80"` or `"web1.example:80"`."""
    given = text(spot)
    if given is None:
        return None
    host, colon, digits = given.rpartition(":")
    if given.startswith("[") or host.count(":") > 1:
        return not_yet(spot, f"the IPv6 address {shown(given)}")
    if not colon:
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no port", f"such as {shown(given + ':80')}")
    number = _port_of(spot, digits)
    if number is None:
        return None
    if re.fullmatch(r"[\d.]+", host, re.ASCII):
        address = parse_ipv4(spot, host)
        host = "" if address is None or usable(spot, address) is None else str(address)
    elif not _HOST_NAME.fullmatch(host):
        spot.error(Code.BAD_ADDRESS, f"{shown(host)} is neither an IPv4 address nor a host name")
        host = ""
    return Endpoint(host, number) if host else None


def check(spot: Spot) -> ServiceCheck | None:
    """`"GET /x"`, `"tcp"`, `"mysql"`, ..., or a table that adds a port and more."""
    if not isinstance(spot.value, dict):
        return _check_word(spot)
    fields = read_value(spot, CHECK_KEYS, "check")
    if fields is None:
        return None
    kind = "http" if "http" in fields else fields.get("type")
    if kind is None or {"http", "type"} <= fields.keys():
        hint = '{ http = "GET /", port = 8080 } or { type = "tcp", port = 8080 }'
        return spot.error(Code.BAD_CHECK, 'a check table has either "http" or "type"', hint)
    wrong = next((key for key in fields if key in _MEANING and kind not in _MEANING[key]), None)
    if wrong is not None:
        return spot.child(wrong).error(Code.BAD_CHECK, f'"{wrong}" has no meaning in this check', on_key=True)
    if kind == "http":
        method, uri = fields["http"]
        return HttpCheck(method, uri, **{key: fields[key] for key in ("host", "port", "status") if key in fields})
    if kind == "tcp":
        return TcpCheck(fields.get("port"))
    return ProtocolCheck(kind, fields.get("port"), fields.get("user", ""))


_MEANING = {"host": ("http",), "status": ("http",), "user": ("mysql", "pgsql")}  # keys that only some checks know


def _check_word(spot: Spot) -> ServiceCheck | None:
    given = text(spot)
    if given is None:
        return None
    if given == "tcp":
        return TcpCheck()
    if given in PROTOCOLS:
        return ProtocolCheck(given)
    request = _HTTP_CHECK.fullmatch(given)
    if request and not re.search(r"[\"'\\#]", given):
        return HttpCheck(request.group(1), request.group(2))
    words = ", ".join(f'"{word}"' for word in ("GET /", "tcp", *PROTOCOLS))
    return spot.error(Code.BAD_CHECK, f"{shown(given)} is not a check", f"one of {words}")


def _http_request(spot: Spot) -> tuple[str, str] | None:
    given = text(spot)
    if given is None:
        return None
    request = _HTTP_CHECK.fullmatch(given)
    if request is None or re.search(r"[\"'\\#]", given):
        return spot.error(Code.BAD_CHECK, f"{shown(given)} is not a request", 'such as "GET /health"')
    return request.group(1), request.group(2)


def _http_host(spot: Spot) -> str | None:
    given = text(spot)
    if given is not None and not _HOST_NAME.fullmatch(given.partition(":")[0]):
        return spot.error(Code.BAD_CHECK, f"{shown(given)} is not a host name")
    return given


def _http_status(spot: Spot) -> str | None:
    given = text(spot)
    if given is not None and not _HTTP_STATUS.fullmatch(given):
        return spot.error(Code.BAD_CHECK, f"{shown(given)} is not a list of status codes", 'such as "200-399"')
    return given


CHECK_KEYS: dict[str, Key] = {
    "http": Key(_http_request),
    "type": Key(choice({word: word for word in ("tcp", *PROTOCOLS)})),
    "port": Key(port),
    "host": Key(_http_host),
    "status": Key(_http_status),
    "user": Key(name),
}


def balance(spot: Spot) -> str | None:
    given = text(spot)
    if given is None:
        return None
    word = re.match(r"[\w-]*", given, re.ASCII)
    algorithm = word.group() if word else ""
    if algorithm not in BALANCE:
        return choice(dict.fromkeys(BALANCE, ""))(Spot(given.partition(" ")[0], spot.path, spot.findings))
    if not BALANCE[algorithm].fullmatch(given, len(algorithm)):
        hint = _BALANCE_SAMPLES.get(algorithm, f'"{algorithm}" takes no argument')
        return spot.error(Code.BAD_BALANCE, f"{shown(given)} is not how {algorithm} is written", hint)
    return given


_BALANCE_SAMPLES = {
    "uri": 'such as "uri", "uri depth 3", "uri whole"',
    "url_param": 'such as "url_param session"',
    "hdr": 'such as "hdr(User-Agent)"',
    "random": 'such as "random" or "random(2)"',
    "rdp-cookie": 'such as "rdp-cookie" or "rdp-cookie(mstshash)"',
    "hash": 'such as "hash src"',
}


def raw_line(spot: Spot) -> str | None:
    """A line of HAProxy's own language, which must stay inside its section."""
    given = text(spot)
    if given is None:
        return None
    words = given.split()
    if not words:
        return spot.error(Code.BAD_RAW_LINE, "an empty HAProxy line", "take it out")
    if words[0] in _RAW_SECTIONS:
        hint = 'use [haproxy] config = "/etc/haproxy/haproxy.cfg" for a file of your own'
        return spot.error(Code.BAD_RAW_LINE, f'"{words[0]}" would begin another section of haproxy.cfg', hint)
    return given


def secret(spot: Spot) -> str | None:
    """A reference to a secret; the message never repeats what was written."""
    if not isinstance(spot.value, str):
        return spot.wrong_type("a reference to a secret")
    if not _SECRET.fullmatch(spot.value):
        hint = '"file:/etc/firstmate/cluster.key", "env:NAME" or "credential:NAME"'
        return spot.error(Code.BAD_SECRET, "a secret is given by reference, never in this file", hint)
    return spot.value


def auth_pass(spot: Spot) -> bytes | None:
    given = text(spot)
    if given is None:
        return None
    if not given.isascii() or not 1 <= len(given) <= AUTH_OCTETS_MAX:
        hint = "keepalived cuts a longer one off: write its first 8 characters" if len(given) > AUTH_OCTETS_MAX else ""
        return spot.error(Code.OUT_OF_RANGE, f"auth_pass takes 1 to {AUTH_OCTETS_MAX} ASCII characters", hint)
    return given.encode("ascii")
