"""Who signs with which key; and no secret in what anybody can see. `«»` marks the place of the one problem."""

from collections.abc import Mapping

import pytest
from tests.rules.config.example import GOOD, HOST, edited, found, problems_of, unmarked, vrrp

from firstmate.config.compile import check, compile_plan, digest_of
from firstmate.config.signing import ReadSecret, key_of, no_secrets
from firstmate.config.toml import Document, parse
from firstmate.model.host import HostFacts
from firstmate.model.plan import HmacKey, HmacMode, HmacPlan, Plan
from firstmate.model.problems import Problem, Severity
from firstmate.model.secrets import Secret
from firstmate.model.units import S

OLD, NEW = b"o" * 32, b"n" * 64
STORE: dict[str, Secret | Exception] = {
    "env:KEY": Secret(OLD),
    "env:OLD": Secret(OLD),
    "env:NEW": Secret(NEW),
    "env:HEX": Secret(b"hex:" + OLD.hex().encode()),
    "file:/open": Secret(OLD, "/open has the mode 0644: everybody can read the secret or change it"),
    "file:/short": Secret(b"hunter2"),
    "file:/none": FileNotFoundError(2, "No such file or directory"),
    "file:/root": PermissionError(13, "Permission denied"),
    "file:/odd": OSError("something odd"),
    "env:NONE": LookupError("the variable NONE is not set"),
    "env:MUTE": LookupError(),
}


def reader(store: Mapping[str, Secret | Exception] = STORE) -> ReadSecret:
    def read(reference: str) -> Secret:
        found = store[reference]
        if isinstance(found, Exception):
            raise found
        return found

    return read


def compiled(text: str, host: HostFacts = HOST) -> tuple[Plan | None, tuple[Problem, ...]]:
    return compile_plan(text, "firstmate.toml", host, "lb-a", reader())


def planned(text: str, host: HostFacts = HOST) -> Plan:
    plan, problems = compiled(text, host)
    assert plan is not None, problems
    return plan


def hmac_of(text: str) -> HmacPlan | None:
    return planned(text).routers[0].hmac


def cluster(lines: str, text: str = GOOD) -> str:
    return text.replace('name = "web-edge"', f'name = "web-edge"\n{lines}')


SECRET = cluster('secret = "env:KEY"')
ROTATION = 'secrets = { 1 = "env:OLD", 2 = "env:NEW" }\n'
FOREIGN = SECRET.replace("vrid = 1", 'vrid = 1\npeers = ["10.0.1.9"]')


def signed(lines: str, text: str = SECRET) -> str:
    return text.replace("vrid = 1", f"vrid = 1\n{lines}")


@pytest.mark.parametrize(
    ("text", "hmac"),
    [
        (GOOD, None),
        (SECRET, HmacPlan((HmacKey(1, OLD),), 1)),
        (cluster('secret = "env:HEX"'), HmacPlan((HmacKey(1, OLD),), 1)),
        (cluster('secrets = { 9 = "env:NEW" }'), HmacPlan((HmacKey(9, NEW),), 9)),
        (cluster(f"{ROTATION}active_secret = 2"), HmacPlan((HmacKey(1, OLD), HmacKey(2, NEW)), 2)),
        (signed("hmac = true"), HmacPlan((HmacKey(1, OLD),), 1)),
        (signed("hmac = false"), None),
        (signed('version = 2\nauth_pass = "x"'), None),
        (FOREIGN, None),
        (signed("hmac = true", FOREIGN), HmacPlan((HmacKey(1, OLD),), 1)),
        (signed('peers = ["10.0.1.11"]'), HmacPlan((HmacKey(1, OLD),), 1)),  # a node of this file
        (signed('source = "10.0.1.10"\npeers = ["10.0.1.10"]'), HmacPlan((HmacKey(1, OLD),), 1)),
        (signed('source = { lb-b = "10.0.1.9" }\npeers = ["10.0.1.9"]'), HmacPlan((HmacKey(1, OLD),), 1)),
        (signed('hmac = { mode = "permissive" }'), HmacPlan((HmacKey(1, OLD),), 1, HmacMode.PERMISSIVE)),
        (signed('hmac = { keys = { 7 = "env:NEW" } }'), HmacPlan((HmacKey(7, NEW),), 7)),
        (
            signed(
                'hmac = { keys = { 7 = "env:NEW", 8 = "env:OLD" }, active = 8, window = "1s", anti_replay = "monotonic" }'
            ),
            HmacPlan((HmacKey(7, NEW), HmacKey(8, OLD)), 8, window_us=S, monotonic=True),
        ),
        (
            signed("hmac = { active = 1 }", cluster(f"{ROTATION}active_secret = 2")),
            HmacPlan((HmacKey(1, OLD), HmacKey(2, NEW)), 1),
        ),
        (signed('advert_interval = "2.5s"'), HmacPlan((HmacKey(1, OLD),), 1, window_us=8 * S)),
        (signed('version = 2\nadvert_interval = "200s"'), HmacPlan((HmacKey(1, OLD),), 1, window_us=300 * S)),
        (vrrp('hmac = { keys = { 1 = "env:KEY" } }\ntransport = "udp"'), HmacPlan((HmacKey(1, OLD),), 1)),
    ],
)
def test_how_a_router_signs(text: str, hmac: HmacPlan | None) -> None:
    assert hmac_of(text) == hmac


# fmt: off
RULES = {  # id, and the file with its place marked
    "both":                  ("E221", cluster('secret = "env:KEY"\n«secrets» = { 1 = "env:KEY" }')),
    "which of them":         ("E111", cluster(ROTATION).replace("[cluster]", "«[cluster]»")),
    "none of them":          ("E221", cluster(f"{ROTATION}active_secret = «3»")),
    "nothing to choose":     ("W317", cluster('secret = "env:KEY"\n«active_secret» = 1')),
    "hmac and password":     ("E221", signed('version = 2\n«auth_pass» = "x"\nhmac = true')),
    "hmac and AH":           ("E221", signed('version = 2\n«auth» = "ah"\nauth_pass = "x"\nhmac = {}')),
    "no key":                ("E221", vrrp("hmac = «true»")),
    "no key, table":         ("E221", vrrp('hmac = «{ mode = "permissive" }»')),
    "unknown key":           ("E221", signed("hmac = { active = «2» }")),
    "which key":             ("E111", signed('hmac = «{ keys = { 1 = "env:KEY", 2 = "env:NEW" } }»')),
    "foreign":               ("W323", FOREIGN.replace('["10.0.1.9"]', '«["10.0.1.9"]»')),
    "UDP, no secret":        ("E220", vrrp('transport = «"udp"»')),
    "UDP, off":              ("E220", signed('transport = «["unicast", "udp"]»\nhmac = false')),
    "UDP, permissive":       ("E220", signed('transport = «"udp"»\nhmac = { mode = "permissive" }')),
}
# fmt: on


@pytest.mark.parametrize(("code", "marked"), RULES.values(), ids=RULES)
def test_rule(code: str, marked: str) -> None:
    text, place = unmarked(marked)
    assert found(text) == [(code, *place)], problems_of(text)


# Reading the keys


# fmt: off
UNREADABLE = {  # reference      id, severity in run,          in check,                    said                      hint
    "file:/none":               ("E222", Severity.ERROR,       "E222",                      "No such file",           "(umask 077; openssl rand -hex 32 > /none)"),
    "file:/odd":                ("E222", Severity.ERROR,       "E222",                      "something odd",          "openssl rand"),
    "env:NONE":                 ("E222", Severity.ERROR,       "E222",                      "NONE is not set",        ""),
    "env:MUTE":                 ("E222", Severity.ERROR,       "E222",                      "cannot be read",         ""),
    "file:/root":               ("E222", Severity.ERROR,       "W324",                      "Permission denied",      ""),
    "file:/short":              ("E223", Severity.ERROR,       "E223",                      "7 octets",               "openssl rand -hex 32"),
    "file:/open":               ("W325", Severity.WARNING,     "W325",                      "mode 0644",              "chmod 600 /open"),
}
# fmt: on


@pytest.mark.parametrize("reference", UNREADABLE)
def test_a_secret_that_cannot_be_used(reference: str) -> None:
    code, severity, in_check, said, hint = UNREADABLE[reference]
    text, place = unmarked(cluster(f'secret = «"{reference}"»'))
    plan, (problem,) = compiled(text)
    assert (problem.code, problem.severity) == (code, severity)
    assert (problem.line, problem.column, problem.width) == place
    assert said in problem.text
    assert hint in problem.hint
    assert (plan is None) == (severity is Severity.ERROR)
    (seen,) = check(text, "f", HOST, reader()).problems
    assert seen.code == in_check
    assert "hunter2" not in f"{problem} {seen}"


def test_each_secret_is_read_once() -> None:
    asked: list[str] = []

    def read(reference: str) -> Secret:
        asked.append(reference)
        return Secret(OLD)

    second = SECRET + '[[vrrp]]\nname = "two"\nvrid = 2\naddresses = ["10.0.1.101/24"]\n'
    plan, _ = compile_plan(second, "f", HOST, "lb-a", read)
    assert plan is not None
    assert [router.hmac for router in plan.routers] == [HmacPlan((HmacKey(1, OLD),), 1)] * 2
    assert asked == ["env:KEY"]


def test_a_secret_of_routers_that_are_not_ours_is_not_read() -> None:
    text = SECRET.replace('prefer = ["lb-a", "lb-b"]', 'prefer = ["lb-b"]\npeers = ["10.0.1.11"]')
    plan, problems = compile_plan(text, "f", HOST, "lb-a", no_secrets)
    assert plan is not None, problems


def test_who_may_read_no_secret_says_so() -> None:
    plan, (problem,) = compile_plan(SECRET, "f", HOST, "lb-a")
    assert (plan, problem.code) == (None, "E222")
    assert "no secret is read here" in problem.text


def test_check_on_another_host_reads_no_secret() -> None:
    assert check(SECRET, "f", HostFacts("elsewhere", ()), reader({})).problems == ()
    assert check(SECRET, "f", HOST).problems == ()


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (OLD, OLD),
        (OLD + b"\n", OLD),
        (b"hex:" + NEW.hex().encode() + b"\n", NEW),
        (b"o" * 31, "the secret has 31 octets, and a key has 32 to 64"),
        (b"o" * 65, "the secret has 65 octets, and a key has 32 to 64"),
        (b"hex:" + b"ab" * 31, "the secret has 31 octets, and a key has 32 to 64"),
        (b"hex:xy", "the secret begins with hex: and is not hexadecimal"),
        (b"hex:\xff", "the secret begins with hex: and is not hexadecimal"),
        (b"", "the secret has 0 octets, and a key has 32 to 64"),
    ],
)
def test_what_is_a_key(content: bytes, key: bytes | str) -> None:
    assert key_of(content) == key


def test_no_secret_changes_the_fingerprint() -> None:
    assert planned(SECRET).digest == planned(SECRET).digest
    with_password = edited(("vrid = 1", 'vrid = 1\nversion = 2\nauth_pass = "hunter2"'))
    documents = [parse(text, "f") for text in (with_password, with_password.replace("hunter2", "hunter3"))]
    assert len({digest_of(document) for document in documents if isinstance(document, Document)}) == 1
