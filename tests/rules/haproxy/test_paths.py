from dataclasses import replace

from tests.rules.haproxy.example import plan

from firstmate.haproxy.paths import socket_path, state_path
from firstmate.model.plan import HaproxyPlan


def test_our_socket_is_in_the_runtime_directory() -> None:
    assert socket_path(plan(), "/run/firstmate") == "/run/firstmate/haproxy.sock"
    assert socket_path(replace(plan(), haproxy=None), "/run/firstmate") == "/run/firstmate/haproxy.sock"


def test_the_operators_own_socket_is_where_it_is() -> None:
    own = plan(haproxy=HaproxyPlan(config="/etc/haproxy/haproxy.cfg", socket="/run/haproxy/admin.sock"))
    assert socket_path(own, "/run/firstmate") == "/run/haproxy/admin.sock"


def test_states_belong_to_ops() -> None:
    assert state_path("/run/firstmate") == "/run/firstmate/ops/servers.state"
