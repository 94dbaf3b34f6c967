"""Every section and key of `firstmate.toml`, each with its reader; and the file as read.

Defaults stand in `model.plan`; `docs/reference/configuration.md` lists all of it for operators.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from firstmate.config.codes import Code
from firstmate.config.findings import Findings, Spot
from firstmate.config.places import Path
from firstmate.config.readers import (
    absolute_path,
    array,
    boolean,
    by_name,
    choice,
    command,
    duration,
    host_address,
    integer,
    name,
    number_choice,
    one_or_more,
    per_node,
)
from firstmate.config.tables import Fields, Key, Planned, read_table, read_value
from firstmate.config.values import (
    auth_pass,
    balance,
    bind,
    check,
    endpoint,
    interface_name,
    raw_line,
    secret,
    vip,
)
from firstmate.model.plan import ChecksumForm, HaproxyRun, Mode, Server, Transport
from firstmate.model.units import MS, S

NODES_MAX = 32
SECTIONS_MAX = 255  # of one kind; for [[vrrp]] it is the number of vrids
SERVERS_MAX = 1000  # of one service
COUNT_MAX = 100  # rise, fall, repeats: more is surely a mistake
MINUTE_US, HOUR_US, DAY_US = 60 * S, 3600 * S, 86_400 * S

Keys: TypeAlias = dict[str, Key | Planned]
_count = integer(1, COUNT_MAX)

# fmt: off
CLUSTER: Keys = {
    "name":             Key(name, required=True),
    "secret":           Key(secret),
    "peer_port":        Key(integer(0, 65_535, Code.PORT_RANGE)),
}

NODE: Keys = {
    "name":             Key(name, required=True),
    "address":          Key(host_address, required=True),
}

VRRP: Keys = {
    "name":             Key(name, required=True),
    "vrid":             Key(integer(1, 255, Code.VRID_RANGE), required=True),
    "addresses":        Key(array(vip), required=True),
    "prefer":           Key(array(name, most=NODES_MAX)),
    "priority":         Key(by_name(integer(1, 255), NODES_MAX)),
    "preempt":          Key(boolean),
    "preempt_delay":    Key(duration(0, DAY_US), field="preempt_delay_us"),
    "transport":        Key(choice({word.value: word for word in Transport})),
    "version":          Key(number_choice((2, 3))),
    "advert_interval":  Key(duration(0, 255 * S), field="advert_interval_us"),
    "checksum":         Key(choice({word.value: word for word in ChecksumForm})),
    "auth_pass":        Key(auth_pass),
    "peers":            Key(array(host_address, least=0)),
    "source":           Key(per_node(host_address)),
    "interface":        Key(per_node(interface_name)),
    "track":            Key(array(name, least=0)),
    "garp_repeat":      Key(integer(1, COUNT_MAX)),
    "garp_delay":       Key(duration(0, HOUR_US), field="garp_delay_us"),
    "garp_refresh":     Key(duration(0, DAY_US), field="garp_refresh_us"),
    "move_with":        Planned(),
}

SERVER: Keys = {
    "address":          Key(endpoint, required=True),
    "backup":           Key(boolean),
    "weight":           Key(integer(0, 256)),
    "maxconn":          Key(integer(1, 1_000_000)),
}


def _server(spot: Spot) -> Server | None:
    """`"10.0.1.21:80"`, or a table with that address and more."""
    if not isinstance(spot.value, dict):
        at = endpoint(spot)
        return None if at is None else Server(spot.key, at.host, at.port)
    fields = read_value(spot, SERVER, "a server")
    if fields is None:
        return None
    at = fields.pop("address")
    return Server(spot.key, at.host, at.port, **fields)


SERVICE: Keys = {
    "name":             Key(name, required=True),
    "mode":             Key(choice({word.value: word for word in Mode}), required=True),
    "bind":             Key(one_or_more(bind), required=True, field="binds"),
    "servers":          Key(by_name(_server, SERVERS_MAX), required=True),
    "balance":          Key(balance),
    "check":            Key(check),
    "check_interval":   Key(duration(10 * MS, HOUR_US), field="check_interval_us"),
    "rise":             Key(_count),
    "fall":             Key(_count),
    "goal":             Key(duration(MS, DAY_US), field="goal_us"),
    "haproxy":          Key(array(raw_line, least=0), field="raw"),
}

HAPROXY: Keys = {
    "run":              Key(choice({word.value: word for word in HaproxyRun}, later=("systemd",))),
    "binary":           Key(absolute_path),
    "config":           Key(absolute_path),
    "socket":           Key(absolute_path),
    "probe_interval":   Key(duration(10 * MS, MINUTE_US), field="probe_interval_us"),
    "probe_deadline":   Key(duration(10 * MS, MINUTE_US), field="probe_deadline_us"),
    "fall":             Key(_count),
    "rise":             Key(_count),
    "on_crash":         Planned(),
}

CHECK: Keys = {
    "name":             Key(name, required=True),
    "command":          Key(command, required=True),
    "interval":         Key(duration(10 * MS, DAY_US), field="interval_us"),
    "timeout":          Key(duration(10 * MS, HOUR_US), field="timeout_us"),
    "rise":             Key(_count),
    "fall":             Key(_count),
    "user":             Key(name),
    "weight":           Planned(),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Section:
    """One table as read: the values its readers accepted, and where it stands."""

    at: Path
    fields: Fields

    def get(self, key: str, default: Any = None) -> Any:
        return self.fields.get(key, default)


@dataclass(frozen=True, slots=True)
class Draft:
    """A file as read, before its sections are compared with each other."""

    cluster: Section
    nodes: tuple[Section, ...] = ()
    routers: tuple[Section, ...] = ()
    services: tuple[Section, ...] = ()
    haproxy: Section | None = None  # None: the file has no such section
    checks: tuple[Section, ...] = field(default=())

    @property
    def runs_haproxy(self) -> bool:
        return bool(self.services) or self.haproxy is not None


def _one(title: str, keys: Keys) -> Key:
    """A section that stands once: `[cluster]`."""

    def read(spot: Spot) -> Section | None:
        if isinstance(spot.value, list):
            return spot.wrong_type("a table", f"[{title}] in single brackets")
        fields = read_table(spot, keys, f"[{title}]")
        return None if fields is None else Section(spot.path, fields)

    return Key(read, required=title == "cluster")


def _many(title: str, keys: Keys, most: int) -> Key:
    """A section that stands once for each: `[[node]]`."""

    def read_each(spot: Spot) -> Section | None:
        fields = read_table(spot, keys, f"[[{title}]]")
        return None if fields is None else Section(spot.path, fields)

    def read(spot: Spot) -> tuple[Section, ...] | None:
        if isinstance(spot.value, dict):
            return spot.wrong_type("a list of tables", f"[[{title}]] in double brackets")
        if not isinstance(spot.value, list):
            return spot.wrong_type("a list of tables", f"[[{title}]]")
        if len(spot.value) > most:
            return spot.error(Code.TOO_MANY, f"{len(spot.value)} sections [[{title}]]; {most} are possible")
        read_sections = (read_each(child) for child in spot.children())
        return tuple(section for section in read_sections if section is not None)

    return Key(read, required=title == "node")


FILE: Keys = {
    "cluster": _one("cluster", CLUSTER),
    "node": _many("node", NODE, NODES_MAX),
    "vrrp": _many("vrrp", VRRP, SECTIONS_MAX),
    "service": _many("service", SERVICE, SECTIONS_MAX),
    "haproxy": _one("haproxy", HAPROXY),
    "check": _many("check", CHECK, SECTIONS_MAX),
    "notify": Planned(),
    "api": Planned(),
    "aws": Planned(),
}


def read_file(findings: Findings) -> Draft:
    """Read the whole document; what is wrong in it is in `findings` afterwards."""
    sections = read_table(Spot(findings.document.data, (), findings), FILE, "") or {}
    return Draft(
        cluster=sections.get("cluster", Section(("cluster",), {})),
        nodes=sections.get("node", ()),
        routers=sections.get("vrrp", ()),
        services=sections.get("service", ()),
        haproxy=sections.get("haproxy"),
        checks=sections.get("check", ()),
    )
