"""Keys and passwords: what is read of them, and a plan without them."""

from dataclasses import dataclass, field, replace

from firstmate.model.plan import Plan, VrrpPlan


@dataclass(frozen=True, slots=True)
class Secret:
    """What a reference such as `"file:/etc/firstmate/cluster.key"` leads to, as it stands there."""

    content: bytes = field(repr=False)
    exposed: str = ""  # who else can read it, a sentence; empty: nobody but its owner and root


def without_secrets(plan: Plan) -> Plan:
    """The same plan with every key and password blanked, ids and modes kept: for whoever only looks."""
    return replace(plan, routers=tuple(map(_router_without_secrets, plan.routers)))


def _router_without_secrets(router: VrrpPlan) -> VrrpPlan:
    hmac = router.hmac
    if hmac is not None:
        hmac = replace(hmac, keys=tuple(replace(key, value=b"") for key in hmac.keys))
    return replace(router, auth_pass=b"", hmac=hmac)
