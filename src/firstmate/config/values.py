"""Readers of the values of a [[service]] that have a small grammar of their own: binds, servers, checks, balance."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

from firstmate.config.addresses import parse_address, usable
from firstmate.config.codes import Code
from firstmate.config.findings import Spot
from firstmate.config.readers import Reader, choice, integer, name, shown, text
from firstmate.config.tables import Key, read_value
from firstmate.model.addresses import Address
from firstmate.model.plan import Bind as BindPlan
from firstmate.model.plan import HttpCheck, ProtocolCheck, ServiceCheck, TcpCheck

PORT_MAX = 65_535

port: Reader[int] = integer(1, PORT_MAX, Code.PORT_RANGE)

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_HTTP_CHECK = re.compile(r"(GET|HEAD|OPTIONS|POST|PUT) (/[!-~]*)")
_HTTP_STATUS = re.compile(r"[1-5]\d\d(-[1-5]\d\d)?(,[1-5]\d\d(-[1-5]\d\d)?)*")
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
class Endpoint:
    """A server as written: `"host:port"`, or a table around it."""

    host: str
    port: int


def bind(spot: Spot) -> BindPlan | None:
    """`":80"` listens on every address of the virtual routers, `"10.0.0.1:80"` or `"[2001:db8::1]:80"` on one."""
    given = text(spot)
    if given is None:
        return None
    host, colon, digits = given.rpartition(":")
    if not colon or given.endswith("]"):
        hint = f'":{given}"' if re.fullmatch(r"\d{1,5}", given, re.ASCII) else 'such as ":80"'
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no port to listen on", hint)
    number = _port_of(spot, digits)
    if number is None:
        return None
    if not host:
        return BindPlan(number)
    address = IPv4Address(0) if host == "*" else _host_of(spot, host, digits)
    if address is not None and address.version == 6 and address.is_link_local:
        hint = f'":{number}" listens on every other address of the virtual routers'
        return spot.error(Code.UNUSABLE_ADDRESS, f"{address} is good on one link only", hint)
    return None if address is None else BindPlan(number, address)


def _host_of(spot: Spot, host: str, digits: str) -> Address | None:
    """An IPv4 address, or an IPv6 one in brackets."""
    if host.startswith("[") and host.endswith("]"):
        return parse_address(spot, host[1:-1], 6)
    if ":" in host:
        hint = f'in brackets: "[{host[:40]}]:{digits}"'
        return spot.error(Code.BAD_ADDRESS, f"{shown(host)}: where does the port begin?", hint)
    return parse_address(spot, host, 4)


def _port_of(spot: Spot, digits: str) -> int | None:
    if not re.fullmatch(r"\d{1,5}", digits, re.ASCII) or not 1 <= int(digits) <= PORT_MAX:
        return spot.error(Code.PORT_RANGE, f"{shown(digits)} is not a port", f"a number from 1 to {PORT_MAX}")
    return int(digits)


def endpoint(spot: Spot) -> Endpoint | None:
    """`"10.0.1.21:80"`, `"[2001:db8::21]:80"` or `"web1.example:80"`."""
    given = text(spot)
    if given is None:
        return None
    host, colon, digits = given.rpartition(":")
    if not colon or given.endswith("]"):
        return spot.error(Code.BAD_ADDRESS, f"{shown(given)} has no port", f"such as {shown(given + ':80')}")
    number = _port_of(spot, digits)
    if number is None:
        return None
    if ":" in host or re.fullmatch(r"[\d.]+", host, re.ASCII):
        address = _host_of(spot, host, digits)
        return None if address is None or usable(spot, address) is None else Endpoint(str(address), number)
    if not _HOST_NAME.fullmatch(host):
        return spot.error(Code.BAD_ADDRESS, f"{shown(host)} is neither an IP address nor a host name")
    return Endpoint(host, number)


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
