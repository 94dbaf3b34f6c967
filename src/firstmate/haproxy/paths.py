"""Where HAProxy's files are. Apart from the renderer, so that the supervisor need not load a template engine."""

from firstmate.model.plan import Plan


def socket_path(plan: Plan, runtime: str) -> str:
    """The runtime socket: the one that the operator names, or ours in the runtime directory."""
    return (plan.haproxy.socket if plan.haproxy is not None else "") or f"{runtime}/haproxy.sock"


def state_path(runtime: str) -> str:
    """Where the states of the servers are kept while HAProxy reloads."""
    return f"{runtime}/ops/servers.state"
