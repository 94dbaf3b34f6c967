"""The site that every subject of the benches gets: the lab's own, with one more listener for checks of HAProxy."""

import os
from dataclasses import replace

from firstmate.config.compile import sample_plan
from firstmate.haproxy.prepare import Prepared, Refused, prepare
from firstmate.lab.lab import LabHost
from firstmate.lab.topology import Site, firstmate_toml
from firstmate.lab.wire import LabError
from firstmate.ops.ground import survey

LAB = "bench"
ALIVE = "http://127.0.0.1:8404/alive"  # HAProxy itself answers, whatever the web servers do
ADVERT_INTERVAL = "100ms"

_BIND = 'bind           = [":80"]'
_SERVERS = "[service.servers]"


def config(site: Site) -> str:
    """firstmate.toml; keepalived's HAProxy reads what is rendered from the same file."""
    text = firstmate_toml(site, ADVERT_INTERVAL)
    assert _BIND in text
    assert _SERVERS in text
    text = text.replace(_BIND, 'bind           = [":80", "127.0.0.1:8404"]')
    return text.replace(_SERVERS, f'haproxy        = ["monitor-uri /alive"]\n{_SERVERS}')


def render_haproxy(host: LabHost) -> Prepared:
    """Write the haproxy.cfg that firstmate would run on this host, below the host's directory. Raises `LabError`."""
    plan = sample_plan(config(host.lab.site), "firstmate.toml")
    assert plan is not None
    try:
        return prepare(replace(plan, node=host.name), survey(str(host.directory), os.getpid()))
    except Refused as error:
        raise LabError(f"{host.name}: {error}") from error


def haproxy_socket(host: LabHost) -> str:
    """Where the HAProxy of `render_haproxy` answers; the path is the same outside the host."""
    return str(host.directory / "haproxy.sock")
