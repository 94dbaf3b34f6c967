"""The site as data: which hosts there are, where they live, how they look on paper. Pure."""

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    CLIENT = "client"
    SWITCH = "switch"
    BALANCER = "balancer"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class HostPlan:
    name: str
    role: Role
    address: str = ""  # IPv4 without prefix; the switch has none
    mac: str = ""

    @property
    def port(self) -> str:
        """Name of the switch's port to this host."""
        return f"to-{self.name}"


@dataclass(frozen=True, slots=True)
class Site:
    """One LAN: every host hangs on one switch by its `eth0`."""

    hosts: tuple[HostPlan, ...]
    vip: str = "10.0.1.80"
    prefix: int = 24

    def of(self, role: Role) -> tuple[HostPlan, ...]:
        return tuple(host for host in self.hosts if host.role is role)

    def named(self, name: str) -> HostPlan:
        """Raises `KeyError` for a name that the site does not have."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


def standard_site(webs: int = 5, balancers: int = 2) -> Site:
    """A client, two load balancers and five web servers on 10.0.1.0/24.

    `webs` 1..9 and `balancers` 1..4 change the numbers.
    """
    hosts = [
        HostPlan("switch", Role.SWITCH),
        HostPlan("client", Role.CLIENT, "10.0.1.100", "02:00:00:00:01:64"),
        *(_host(f"lb-{'abcd'[i]}", Role.BALANCER, 10 + i) for i in range(balancers)),
        *(_host(f"web{i}", Role.WEB, 20 + i) for i in range(1, webs + 1)),
    ]
    return Site(tuple(hosts))


def firstmate_toml(site: Site, advert_interval: str = "100ms", preempt_delay: str = "1s") -> str:
    """The one configuration file, the same bytes on every load balancer."""
    nodes = "\n".join(
        f'[[node]]\nname    = "{host.name}"\naddress = "{host.address}"\n' for host in site.of(Role.BALANCER)
    )
    prefer = ", ".join(f'"{host.name}"' for host in site.of(Role.BALANCER))
    servers = "\n".join(f'{host.name} = "{host.address}:80"' for host in site.of(Role.WEB))
    return f"""\
# the same file on every load balancer of the lab
[cluster]
name = "lab"

{nodes}
[[vrrp]]
name            = "web"
vrid            = 51
prefer          = [{prefer}]
addresses       = ["{site.vip}/{site.prefix}"]
advert_interval = "{advert_interval}"
preempt_delay   = "{preempt_delay}"

[[service]]
name           = "web"
mode           = "http"
bind           = [":80"]
check          = "GET /"
check_interval = "500ms"
[service.servers]
{servers}
"""


def draw(site: Site, leader: str = "") -> str:
    """The topology as text, at most 100 columns; `leader` holds the address that moves.

    >>> draw(standard_site(), "lb-a")
    """
    balancers, webs = site.of(Role.BALANCER), site.of(Role.WEB)
    boxes = []
    for host in balancers:
        star = f"  holds {site.vip}" if host.name == leader else ""
        boxes.append(f"{host.name}  {host.address}{star}")
    width = max(len(box) for box in boxes)
    first, last = webs[0], webs[-1]
    right = f"{first.name} … {last.name}  {first.address}-{last.address.rpartition('.')[2]}"
    left = f"client {site.of(Role.CLIENT)[0].address}"
    lines = []
    for row, box in enumerate(boxes):
        top, bottom = row == 0, row == len(boxes) - 1
        corner = ("┬", "┐") if top and not bottom else ("└", "┘") if bottom and not top else ("├", "┤")
        if len(boxes) == 1:
            corner = ("─", "─")
        lead = f"  {left} ── switch ──{corner[0]}" if top else " " * (len(left) + 15) + corner[0]
        tail = f"── {right}" if top else ""
        lines.append(f"{lead}─ {box:<{width}} ─{corner[1]}{tail}")
    return "\n".join(lines)


def _host(name: str, role: Role, number: int) -> HostPlan:
    return HostPlan(name, role, f"10.0.1.{number}", f"02:00:00:00:01:{number:02x}")
