"""Every section and key of `firstmate.toml`, each with its reader; and the file as read.

Defaults stand in `model.plan`; `docs/reference/configuration.md` lists all of it for operators.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from firstmate.config.addresses import host_address, interface_name, multicast_address, routable_ipv6, vip
from firstmate.config.codes import Code
from firstmate.config.findings import Findings, Spot
from firstmate.config.places import Path
from firstmate.config.readers import (
    WORDS_MAX,
    absolute_path,
    array,
    boolean,
    by_name,
    choice,
    command,
    duration,
    filled,
    integer,
    name,
    number_choice,
    one_or_more,
    per_node,
    text,
)
from firstmate.config.routes import route, rule
from firstmate.config.tables import Fields, Key, Planned, read_table, read_value
from firstmate.config.values import balance, bind, check, endpoint, raw_line
from firstmate.config.vrrp_values import auth_pass, hmac, key_id, secret, secrets, track, vmac, weight
from firstmate.model.plan import OWNER, Auth, ChecksumForm, HaproxyRun, Mode, Server, Transport
from firstmate.model.units import MS, S

NODES_MAX = 32
SECTIONS_MAX = 255  # of one kind
ROUTERS_MAX = 2000  # 255 vrids of each family on every interface; more has not been measured
SERVERS_MAX = 1000  # of one service
MORE_ADDRESSES_MAX = 8  # of one node: a path for each
COUNT_MAX = 100  # rise, fall, repeats: more is surely a mistake
MINUTE_US, HOUR_US, DAY_US = 60 * S, 3600 * S, 86_400 * S

Keys: TypeAlias = dict[str, Key | Planned]
_count = integer(1, COUNT_MAX)

# fmt: off
CLUSTER: Keys = {
    "name":             Key(name, required=True),
    "secret":           Key(secret),
    "secrets":          Key(secrets),
    "active_secret":    Key(key_id),
    "peer_port":        Key(integer(0, 65_535, Code.PORT_RANGE)),
    "udp_port":         Key(integer(1, 65_535, Code.PORT_RANGE)),
    "start_delay":      Key(duration(0, DAY_US), field="start_delay_us"),
    "garp_interval":    Key(duration(0, MINUTE_US), field="garp_interval_us"),
    "gna_interval":     Key(duration(0, MINUTE_US), field="gna_interval_us"),
    "net_namespace":    Key(name),
}

NODE: Keys = {
    "name":             Key(name, required=True),
    "address":          Key(host_address(4), required=True),
    "address6":         Key(routable_ipv6),
    "more_addresses":   Key(array(host_address(), most=MORE_ADDRESSES_MAX)),
}

VRRP: Keys = {
    "name":             Key(name, required=True),
    "vrid":             Key(integer(1, 255, Code.VRID_RANGE), required=True),
    "addresses":        Key(array(vip), required=True),
    "prefer":           Key(array(name, most=NODES_MAX)),
    "priority":         Key(by_name(integer(1, OWNER), NODES_MAX)),
    "preempt":          Key(boolean),
    "preempt_delay":    Key(duration(0, DAY_US), field="preempt_delay_us"),
    "transport":        Key(one_or_more(choice({word.value: word for word in Transport}))),
    "version":          Key(number_choice((2, 3))),
    "advert_interval":  Key(duration(0, 255 * S), field="advert_interval_us"),
    "checksum":         Key(choice({word.value: word for word in ChecksumForm})),
    "auth":             Key(choice({word.value: word for word in Auth if word is not Auth.NONE})),
    "auth_pass":        Key(auth_pass),
    "hmac":             Key(hmac),
    "peers":            Key(array(host_address(), least=0)),
    "source":           Key(per_node(host_address())),
    "interface":        Key(per_node(interface_name)),
    "track":            Key(array(track, least=0)),
    "track_interface":  Key(boolean, field="track_primary"),
    "track_source":     Key(boolean),
    "move_with":        Key(array(name)),
    "move_with_weights": Key(boolean),
    "routes":           Key(array(route)),
    "rules":            Key(array(rule)),
    "vmac":             Key(vmac),
    "accept":           Key(boolean),
    "garp_repeat":      Key(_count),
    "garp_delay":       Key(duration(0, HOUR_US), field="garp_delay_us"),
    "garp_refresh":     Key(duration(0, DAY_US), field="garp_refresh_us"),
    "garp_refresh_repeat": Key(_count),
    "garp_lower_prio_repeat": Key(integer(0, COUNT_MAX)),
    "garp_lower_prio_delay": Key(duration(0, HOUR_US), field="garp_lower_prio_delay_us"),
    "ttl":              Key(integer(1, 255)),
    "min_ttl":          Key(integer(0, 255)),
    "multicast_group":  Key(multicast_address),
    "check_source":     Key(boolean),
    "lenient":          Key(boolean),
    "lower_prio_no_advert": Key(boolean),
    "higher_prio_send_advert": Key(boolean),
    "owner_ignore_adverts": Key(boolean),
    "down_timer_adverts": Key(_count),
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
    "init_fail":        Key(boolean),
    "weight":           Key(weight),
    "reverse":          Key(boolean),
}

PROCESS: Keys = {
    "name":             Key(name, required=True),
    "process":          Key(filled, required=True),
    "params":           Key(array(text, least=0, most=WORDS_MAX)),
    "quorum":           Key(integer(1, 65_535)),
    "quorum_max":       Key(integer(1, 65_535)),
    "interval":         Key(duration(10 * MS, DAY_US), field="interval_us"),
    "rise":             Key(_count),
    "fall":             Key(_count),
    "init_fail":        Key(boolean),
    "weight":           Key(weight),
    "reverse":          Key(boolean),
}

TRACKED_FILE: Keys = {
    "name":             Key(name, required=True),
    "path":             Key(absolute_path, required=True),
    "interval":         Key(duration(10 * MS, DAY_US), field="interval_us"),
    "weight":           Key(weight),
    "reverse":          Key(boolean),
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
    processes: tuple[Section, ...] = ()
    files: tuple[Section, ...] = ()

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
    "vrrp": _many("vrrp", VRRP, ROUTERS_MAX),
    "service": _many("service", SERVICE, SECTIONS_MAX),
    "haproxy": _one("haproxy", HAPROXY),
    "check": _many("check", CHECK, SECTIONS_MAX),
    "process": _many("process", PROCESS, SECTIONS_MAX),
    "file": _many("file", TRACKED_FILE, SECTIONS_MAX),
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
        processes=sections.get("process", ()),
        files=sections.get("file", ()),
    )
