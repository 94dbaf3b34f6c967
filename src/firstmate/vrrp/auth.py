"""Authentication of version 2: which method a virtual router uses, and PASS (RFC 2338; `reference/vrrp.md` 3.1, 3.2).

AH is in `ah`, keepalived's `auth_hmac`, which replaces both, in `trailer`.
"""

from firstmate.model.plan import Auth, VrrpPlan
from firstmate.vrrp.packet import AUTH_AH, AUTH_NONE, AUTH_OCTETS, AUTH_PASS, BadAdvert, Refusal

_TYPES = {Auth.NONE: AUTH_NONE, Auth.PASS: AUTH_PASS, Auth.AH: AUTH_AH}


def method(plan: VrrpPlan) -> Auth:
    """None for what is signed, for version 3, and over IPv6, where there is no room. A password alone means PASS."""
    if plan.hmac is not None or plan.version != 2 or plan.family != 4:
        return Auth.NONE
    if plan.auth is Auth.NONE and plan.auth_pass:
        return Auth.PASS
    return plan.auth


def fields(plan: VrrpPlan) -> tuple[int, bytes]:
    """`auth_type` and `auth_data` of the adverts of this virtual router."""
    used = method(plan)
    return _TYPES[used], password_field(plan) if used is Auth.PASS else bytes(AUTH_OCTETS)


def password_field(plan: VrrpPlan) -> bytes:
    return plan.auth_pass[:AUTH_OCTETS].ljust(AUTH_OCTETS, b"\0")


def check_type(found: int, wanted: int) -> None:
    """Checks 13 and 14. Raises `BadAdvert`."""
    if found not in (AUTH_NONE, AUTH_PASS, AUTH_AH):
        raise BadAdvert(Refusal.INVALID_AUTH_TYPE, f"authentication type {found}")
    if found != wanted:
        raise BadAdvert(Refusal.AUTH_TYPE_MISMATCH, f"authentication type {found}, ours is {wanted}")
