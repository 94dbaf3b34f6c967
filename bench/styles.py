"""What the article, and an expert, write into keepalived.conf."""

from dataclasses import dataclass

import lan

from firstmate.lab.lab import LabHost


@dataclass(frozen=True, slots=True)
class Style:
    """What somebody writes into keepalived.conf."""

    name: str
    version: int
    advert: str  # seconds, as keepalived has it
    priorities: tuple[int, ...]  # of lb-a, lb-b
    outside: bool  # runs in the initial namespaces, with track_process and an HTTP check
    rt_priority: int  # 0: ordinary scheduling


# fmt: off
STYLES = {style.name: style for style in (
    Style("article",     2, "1",   (101, 100), outside=False, rt_priority=0),
    Style("expert",      3, "0.1", (101, 100), outside=True,  rt_priority=50),
    Style("expert-254",  3, "0.1", (254, 253), outside=True,  rt_priority=50),
    Style("expert-nort", 3, "0.1", (101, 100), outside=True,  rt_priority=0),
)}
# fmt: on

_PIDOF = """
vrrp_script alive {
    script "/usr/bin/dash -c 'pidof haproxy'"
    interval 2
}
"""
# Every fork on the machine is an event to `track_process`. With the default limit of 10 ms the VRRP child was
# killed when a burst of them kept it busy; with the default buffer keepalived itself asks for a larger one.
_REAL_TIME = """\
    vrrp_rt_priority {priority}
    vrrp_rlimit_rttime 500000
    process_monitor_rcv_bufs 1048576
"""
_EXPERT = """
vrrp_track_process haproxy {{
    process /usr/sbin/haproxy -W -L {host}
    param_match partial
    quorum 2
    weight 0
}}

vrrp_script alive {{
    script "/usr/bin/curl -sf -m 0.5 -o /dev/null {url}"
    interval 1
    timeout 1
    fall 1
    rise 1
}}
"""


def configuration(style: Style, host: LabHost) -> str:
    """keepalived.conf of that host."""
    plans = [other.plan for other in host.lab.balancers]
    peers = " ".join(plan.address for plan in plans if plan.name != host.name)
    priority = style.priorities[[plan.name for plan in plans].index(host.name)]
    tracks = "track_process {\n        haproxy\n    }\n    " if style.outside else ""
    return f"""\
global_defs {{
    router_id {host.name}
    script_user root
    enable_script_security
    vrrp_version {style.version}
{_REAL_TIME.format(priority=style.rt_priority) if style.rt_priority else ""}
}}
{_EXPERT.format(host=host.name, url=lan.ALIVE) if style.outside else _PIDOF}
vrrp_instance web {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {style.advert}
    unicast_src_ip {host.plan.address}
    unicast_peer {{
        {peers}
    }}
    virtual_ipaddress {{
        {host.lab.site.vip}/{host.lab.site.prefix}
    }}
    {tracks}track_script {{
        alive
    }}
}}
"""


def namespace(host: LabHost) -> str:
    """The name under which keepalived finds the network of that host."""
    return f"{host.lab.directory.name}-{host.name}"
