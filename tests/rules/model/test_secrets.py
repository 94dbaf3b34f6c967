"""Keys and passwords do not leave the process that needs them."""

from dataclasses import replace
from ipaddress import IPv4Address

from firstmate.model import jsonable
from firstmate.model.plan import Auth, HmacKey, HmacMode, HmacPlan, Node, Plan, VrrpPlan
from firstmate.model.secrets import Secret, without_secrets

KEY, PASSWORD = b"k" * 32, b"s3cret"
A = Node("a", IPv4Address("10.0.1.10"))
SIGNED = VrrpPlan(
    "web", 1, 3, 254, 200_000, "eth0", A.address, (), hmac=HmacPlan((HmacKey(7, KEY),), 7, HmacMode.PERMISSIVE)
)
PASS = replace(SIGNED, hmac=None, version=2, auth=Auth.PASS, auth_pass=PASSWORD)
PLAN = Plan("c", "a", (A,), (SIGNED, PASS))


def test_a_plan_without_secrets_keeps_all_else() -> None:
    signed, with_password = without_secrets(PLAN).routers
    assert signed == replace(SIGNED, hmac=HmacPlan((HmacKey(7, b""),), 7, HmacMode.PERMISSIVE))
    assert with_password == replace(PASS, auth_pass=b"")
    assert replace(without_secrets(PLAN), routers=PLAN.routers) == PLAN


def test_no_secret_is_in_the_text_of_it() -> None:
    text = jsonable.dumps(without_secrets(PLAN))
    assert KEY.hex() not in text
    assert PASSWORD.hex() not in text
    assert KEY.hex() in jsonable.dumps(PLAN)


def test_no_secret_is_in_what_a_traceback_or_a_log_would_print() -> None:
    assert "kkkk" not in f"{PLAN!r} {Secret(KEY)!r}"
    assert "s3cret" not in repr(PLAN)
