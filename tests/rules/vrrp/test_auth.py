from dataclasses import replace

import pytest
from tests.rules.vrrp.example import PLAN
from tests.rules.vrrp.example6 import PLAN6

from firstmate.model.plan import Auth, HmacKey, HmacPlan, VrrpPlan
from firstmate.vrrp import auth
from firstmate.vrrp.packet import BadAdvert, Refusal

SIGNED = HmacPlan((HmacKey(1, bytes(32)),), 1)
PASS = replace(PLAN, version=2, auth=Auth.PASS, auth_pass=b"abc")
AH = replace(PASS, auth=Auth.AH)
NOTHING = (0, bytes(8))
# fmt: off
PLANS = {
    "v2":                   (replace(PLAN, version=2),                           Auth.NONE, NOTHING),
    "PASS":                 (PASS,                                               Auth.PASS, (1, b"abc\0\0\0\0\0")),
    "C3 long PASS":         (replace(PASS, auth_pass=b"123456789"),              Auth.PASS, (1, b"12345678")),
    "a password alone":     (replace(PASS, auth=Auth.NONE),                      Auth.PASS, (1, b"abc\0\0\0\0\0")),
    "AH":                   (AH,                                                 Auth.AH,   (2, bytes(8))),
    "PASS, but signed":     (replace(PASS, hmac=SIGNED),                         Auth.NONE, NOTHING),
    "AH, but signed":       (replace(AH, hmac=SIGNED),                           Auth.NONE, NOTHING),
    "v3 has none":          (replace(PASS, version=3),                           Auth.NONE, NOTHING),
    "IPv6 has no room":     (replace(PLAN6, version=2, auth_pass=b"abc"),        Auth.NONE, NOTHING),
}
# fmt: on


@pytest.mark.parametrize(("plan", "used", "fields"), PLANS.values(), ids=PLANS)
def test_method_and_fields(plan: VrrpPlan, used: Auth, fields: tuple[int, bytes]) -> None:
    assert auth.method(plan) is used
    assert auth.fields(plan) == fields


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_configured_type_passes(kind: int) -> None:
    auth.check_type(kind, kind)


@pytest.mark.parametrize(
    ("found", "wanted", "reason"),
    [
        (3, 0, Refusal.INVALID_AUTH_TYPE),  # C39
        (255, 1, Refusal.INVALID_AUTH_TYPE),
        (1, 0, Refusal.AUTH_TYPE_MISMATCH),  # C39
        (0, 2, Refusal.AUTH_TYPE_MISMATCH),
    ],
)
def test_another_type_does_not_pass(found: int, wanted: int, reason: Refusal) -> None:
    with pytest.raises(BadAdvert, match=str(found)) as caught:
        auth.check_type(found, wanted)
    assert caught.value.reason is reason
