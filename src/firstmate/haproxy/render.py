"""A `Plan` as text for HAProxy: the file `haproxy.cfg`.

Every value that reaches the text passes `hap` (jinja's `finalize`), which refuses what HAProxy's grammar would
take for something else. Nothing is escaped: a value that needs it is a mistake.

A service is one `listen` section, so that a raw line of the operator may be of the frontend or of the backend.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from firstmate.haproxy.ground import Ground
from firstmate.haproxy.paths import socket_path, state_path
from firstmate.model.addresses import Address
from firstmate.model.plan import Bind, HttpCheck, Plan, ProtocolCheck, ServicePlan
from firstmate.model.units import MS

MAXCONN_MAX = 20_000  # about 1 GiB of buffers when all are busy
MAXCONN_MIN = 100
MAXPIPES_MAX = 256  # with 256 KiB each: what Linux lets an ordinary user have (fs.pipe-user-pages-soft)
DESCRIPTORS_SPARE = 100  # HAProxy's own: epoll, logs, runtime sockets
HASHED = ("source", "uri", "url_param", "hdr", "hash", "rdp-cookie")  # a lost server must not remap every client

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_UNSAFE = re.compile(r"[\s'\"#\\\x00-\x1f\x7f]")
_DAEMON = re.compile(r"^([ \t]*)(daemon)\b[^\n]*$", re.MULTILINE)
# fmt: off
_SECTIONS = frozenset({
    "global", "defaults", "listen", "frontend", "backend", "peers", "ring", "resolvers", "userlist", "cache",
    "mailers", "program", "http-errors", "fcgi-app", "log-forward", "crt-store", "traces", "acme", "log-profile",
    "healthcheck", ".if", ".elif", ".else", ".endif",
})
# fmt: on


class UnsafeValue(ValueError):
    """A value that HAProxy would read as something else than it is; the text names it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    nofile: int
    maxconn: int
    maxpipes: int


class Line(str):
    """A whole line, already checked word by word or given by the operator."""

    __slots__ = ()


def render(plan: Plan, ground: Ground) -> str:
    """The complete `haproxy.cfg`. Raises `UnsafeValue`."""
    template = _ENVIRONMENT.get_template("haproxy.cfg.j2")
    return template.render(
        node=hap(plan.node),
        ground=ground,
        sizes=sizes(plan, ground.nofile),
        socket=socket_path(plan, ground.runtime),
        state_file=state_path(ground.runtime),
        services=[_service(service, plan, ground) for service in plan.services],
    )


def with_socket(text: str, plan: Plan, ground: Ground) -> tuple[str, int]:
    """The operator's own `haproxy.cfg` with our runtime socket put before it, and in the foreground.

    `daemon` is left out (distributions write it): a child that leaves its parent cannot be watched.
    Returns the text and how many lines were put before the operator's first one.
    A socket named in `firstmate.toml` is the operator's: nothing is added then.
    """
    text = _DAEMON.sub(r"\1# \2  (firstmate keeps it in the foreground)", text)
    if plan.haproxy is None or plan.haproxy.socket:
        return text, 0
    owner = "" if ground.socket_uid is None else f" uid {ground.socket_uid} gid {ground.socket_gid}"
    path = hap(socket_path(plan, ground.runtime))
    return f"global\n    stats socket {path} mode 660 level admin expose-fd listeners{owner}\n\n{text}", 3


def sizes(plan: Plan, nofile: int) -> Sizes:
    """How much HAProxy may take: two descriptors a connection, after what everything else needs.

    `haproxy -c` accepts any number here; only starting refuses one that is too large.
    """
    maxpipes = min(MAXPIPES_MAX, max(nofile // 32, 1))
    listeners = sum(len(service.binds) for service in plan.services) * max(1, len(_vips(plan)))
    servers = sum(len(service.servers) for service in plan.services)
    free = nofile - DESCRIPTORS_SPARE - listeners - servers - 2 * maxpipes
    return Sizes(nofile, max(MAXCONN_MIN, min(MAXCONN_MAX, free // 2)), maxpipes)


def hap(value: object) -> str:
    """Refuse (never escape) what is not one plain word. Raises `UnsafeValue`."""
    text = str(value)
    if isinstance(value, Line):
        return text
    if not text or _UNSAFE.search(text) or not text.isprintable():
        message = f"{text[:60]!r} cannot stand in haproxy.cfg: no spaces, quotes, '#' or backslashes, and not empty"
        raise UnsafeValue(message)
    return text


def name(value: str) -> str:
    """A name of a service or server. Raises `UnsafeValue`."""
    if not _NAME.fullmatch(value):
        message = f"{value[:60]!r} is no name for HAProxy: use letters, digits and . _ : -"
        raise UnsafeValue(message)
    return value


def raw_line(text: str) -> Line:
    """A line of the operator: anything but a new section. Raises `UnsafeValue`."""
    words = text.split()
    if not words or "\n" in text or "\r" in text or "\x00" in text:
        message = f"{text[:60]!r}: a raw HAProxy line is one line, and not empty"
        raise UnsafeValue(message)
    if words[0].lower() in _SECTIONS:
        message = f'{text[:60]!r}: a raw HAProxy line stays inside its service; it cannot begin with "{words[0]}"'
        raise UnsafeValue(message)
    return Line(text.strip())


def _service(service: ServicePlan, plan: Plan, ground: Ground) -> dict[str, Any]:
    interval_ms = max(1, service.check_interval_us // MS)
    check_lines, check_words = _check(service)
    return {
        "name": service.name,
        "mode": service.mode,
        "binds": _binds(service, plan, ground),
        "balance": service.balance.split(),
        "hashed": re.split(r"[\s(]", service.balance, maxsplit=1)[0] in HASHED,
        "check_lines": check_lines,
        "check_words": check_words,
        "inter_ms": interval_ms,
        "fastinter_ms": max(1, interval_ms // 4),
        "downinter_ms": max(1, interval_ms // 2),
        "rise": service.rise,
        "fall": service.fall,
        "servers": [
            {
                "name": server.name,
                "where": _written(server.address),
                "port": server.port,
                "weight": server.weight,
                "maxconn": server.maxconn,
                "backup": server.backup,
            }
            for server in service.servers
        ],
        "raw": [raw_line(line) for line in service.raw],
    }


def _binds(service: ServicePlan, plan: Plan, ground: Ground) -> list[dict[str, Any]]:
    """Where to listen: on addresses that may be elsewhere now.

    Without the right to that (`Ground.transparent`), on every address of the host: it then answers on others too.
    """
    vips = _vips(plan)
    found: dict[tuple[str, int], bool] = {}
    for bind in service.binds:
        for address in _addresses(bind, vips):
            moves = address in vips
            anywhere = address.is_unspecified or (moves and not ground.transparent)
            found[(_everywhere(address) if anywhere else _written(address), bind.port)] = moves and not anywhere
    return [
        {"where": where, "port": port, "transparent": flag, "v6only": where == "[::]"}
        for (where, port), flag in found.items()
    ]


def _addresses(bind: Bind, vips: list[Address]) -> list[Address]:
    return (vips or [IPv4Address(0)]) if bind.address is None else [bind.address]


def _everywhere(address: Address) -> str:
    """On every address of the host, of the same family."""
    return "*" if address.version == 4 else "[::]"


def _written(address: Address | str) -> str:
    return f"[{address}]" if ":" in str(address) else str(address)


def _vips(plan: Plan) -> list[Address]:
    """Without link-local IPv6 ones: clients would have to name their interface, and so would HAProxy."""
    found = dict.fromkeys(vip.ip for router in plan.routers for vip in router.vips)
    return [ip for ip in found if ip.version == 4 or not ip.is_link_local]


def _check(service: ServicePlan) -> tuple[list[Line], list[str]]:
    """Lines of the section, and words of each server line after `check`."""
    check = service.check
    lines: list[Line] = []
    words = [] if check.port is None else ["port", str(check.port)]
    if isinstance(check, HttpCheck):
        send = f"http-check send meth {hap(check.method)} uri {hap(check.uri)}"
        if check.host:  # HTTP/1.1 must name a host; without one HAProxy speaks 1.0
            send += f" ver HTTP/1.1 hdr Host {hap(check.host)}"
        lines = [Line("option httpchk"), Line(send), Line(f"http-check expect status {hap(check.status)}")]
    elif isinstance(check, ProtocolCheck):
        user = f" user {hap(check.user)}" if check.user else ""
        match check.protocol:
            case "tls":
                words = ["check-ssl", "verify", "none", *words]  # a whole handshake, whoever signed
            case "mysql":
                lines = [Line(f"option mysql-check{user}")]
            case "pgsql":
                lines = [Line(f"option pgsql-check{user or ' user postgres'}")]
            case "redis":
                lines = [Line("option redis-check")]
            case other:
                message = f"{other!r} is no check that HAProxy has: tls, mysql, pgsql, redis"
                raise UnsafeValue(message)
    return lines, words


_ENVIRONMENT = Environment(
    loader=PackageLoader("firstmate.haproxy", "."),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701  HTML escaping is the wrong tool for this grammar; `hap` refuses instead
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    finalize=hap,
)
_ENVIRONMENT.filters["hap"] = hap
_ENVIRONMENT.filters["name"] = name
