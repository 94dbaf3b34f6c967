from dataclasses import replace
from pathlib import Path

import pytest
from tests.rules.haproxy.example import CASES, DB, GROUND, WEB, needs_haproxy, plan

from firstmate.haproxy import prepare as module
from firstmate.haproxy.binary import Binary
from firstmate.haproxy.ground import Ground
from firstmate.haproxy.prepare import Refused, find_for, prepare, problems_of, text_for, verify
from firstmate.model.plan import HaproxyPlan
from firstmate.model.problems import Problem

PLAN = plan(WEB)
NO_BINARY = HaproxyPlan(binary="/nosuch/haproxy")


def program(folder: Path, *lines: str) -> str:
    """An HAProxy that does as the lines say when it is to check a file."""
    path = folder / "haproxy"
    version = 'if [ "$1" = -vv ]; then echo "HAProxy version 2.6.12 2026 - x"; exit 0; fi'
    path.write_text("\n".join(["#!/bin/sh", version, *lines, ""]))
    path.chmod(0o755)
    return str(path)


def asked(folder: Path, *lines: str) -> Binary:
    return Binary(program(folder, *lines), (2, 6, 12), frozenset(), bundled=False)


def ground(tmp_path: Path) -> Ground:
    return replace(GROUND, runtime=str(tmp_path))


def refused(plan_: object, ground_: Ground) -> tuple[Problem, ...]:
    with pytest.raises(Refused) as caught:
        prepare(plan_, ground_)  # type: ignore[arg-type]
    return caught.value.problems


@needs_haproxy
def test_what_is_accepted_is_put_in_place(tmp_path: Path) -> None:
    done = prepare(PLAN, ground(tmp_path))
    assert done.config == f"{tmp_path}/ops/haproxy.cfg"
    assert "listen web" in Path(done.config).read_text()
    assert sorted(path.name for path in (tmp_path / "ops").iterdir()) == ["haproxy.cfg", "servers.state"]


@needs_haproxy
def test_the_digest_says_whether_a_reload_is_needed(tmp_path: Path) -> None:
    first, again = prepare(PLAN, ground(tmp_path)), prepare(PLAN, ground(tmp_path))
    assert first == again
    assert prepare(plan(WEB, DB), ground(tmp_path)).digest != first.digest


@needs_haproxy
def test_what_is_refused_leaves_the_file_before(tmp_path: Path) -> None:
    before = prepare(PLAN, ground(tmp_path))
    text = Path(before.config).read_text()
    problems = refused(plan(replace(WEB, raw=("bogus keyword", "option nosuch"))), ground(tmp_path))
    assert [problem.code for problem in problems] == ["E410", "E410"]
    assert problems[0].text.startswith("HAProxy refuses this: unknown keyword 'bogus'")
    assert problems[0].file == f"{tmp_path}/ops/haproxy.cfg.new"
    assert problems[0].line > 50
    assert Path(before.config).read_text() == text


@needs_haproxy
def test_the_state_of_the_servers_is_not_overwritten(tmp_path: Path) -> None:
    prepare(PLAN, ground(tmp_path))
    state = tmp_path / "ops" / "servers.state"
    assert state.read_text() == "1\n"
    state.write_text("1\n# saved before a reload\n")
    prepare(PLAN, ground(tmp_path))
    assert "saved" in state.read_text()


@needs_haproxy
def test_the_operators_own_file_keeps_its_name_and_lines(tmp_path: Path) -> None:
    own = tmp_path / "own.cfg"
    own.write_bytes("# caf\u00e9\nglobal\n  bogus\n".encode("latin-1"))
    mine = plan(haproxy=HaproxyPlan(config=str(own)))
    (problem,) = refused(mine, ground(tmp_path))
    assert (problem.file, problem.line) == (str(own), 3)
    own.write_bytes("# caf\u00e9\nglobal\n  maxconn 100\n".encode("latin-1"))
    done = prepare(mine, ground(tmp_path))
    assert Path(done.config).read_bytes().endswith(own.read_bytes())


def test_no_binary(tmp_path: Path) -> None:
    (problem,) = refused(plan(WEB, haproxy=NO_BINARY), ground(tmp_path))
    assert (problem.code, problem.file) == ("E401", "firstmate.toml")
    assert "apt install haproxy" in problem.text


def test_too_old(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text('#!/bin/sh\necho "HAProxy version 2.2.9 2021 - x"\n')
    path.chmod(0o755)
    (problem,) = refused(plan(WEB, haproxy=HaproxyPlan(binary=str(path))), ground(tmp_path))
    assert problem.code == "E402"


def test_an_unsafe_value(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        text_for(plan(replace(WEB, name="a b")), ground(tmp_path))
    (problem,) = caught.value.problems
    assert (problem.code, problem.file) == ("E411", "firstmate.toml")


def test_the_operators_own_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r'config = "/nosuch.cfg" in \[haproxy\] cannot be read: No such file'):
        text_for(plan(haproxy=HaproxyPlan(config="/nosuch.cfg")), ground(tmp_path))


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "ops").write_text("a file")
    (problem,) = refused(plan(WEB, haproxy=HaproxyPlan(binary=program(tmp_path, "exit 0"))), ground(tmp_path))
    assert problem.code == "E413"
    assert "cannot write HAProxy's configuration" in problem.text


@needs_haproxy
def test_without_haproxy_in_the_plan_the_systems_is_meant() -> None:
    without = replace(PLAN, haproxy=None)
    assert text_for(without, GROUND)[0].startswith("# Written by firstmate")
    assert find_for(without).version >= (2, 6, 0)


def test_a_check_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_TIMEOUT_S", 0.05)
    (problem,) = verify(asked(tmp_path, "exec sleep 10"), "f", PLAN)
    assert problem.code == "E412"


def test_a_binary_that_went_away(tmp_path: Path) -> None:
    (problem,) = verify(replace(asked(tmp_path), path="/nosuch"), "f", PLAN)
    assert (problem.code, problem.text) == ("E401", "/nosuch does not run: No such file or directory")


def test_warnings_are_no_refusal(tmp_path: Path) -> None:
    assert verify(asked(tmp_path, "echo '[WARNING] (1) : hm' >&2", "exit 0"), "f", PLAN) == []


def test_a_refusal_without_a_word(tmp_path: Path) -> None:
    (problem,) = verify(asked(tmp_path, "exit 1"), "f", replace(PLAN, haproxy=None))
    assert problem.text == "HAProxy refuses its configuration and does not say why"


# fmt: off
PLACES = {                 # alert                                                            line said
    "a line":               ("config : parsing [h.cfg:58] : unknown keyword 'x' in 'listen'", 55, "unknown keyword 'x' in 'listen'"),
    "no line":              ("config : no <listen> line. Nothing to do !",                    0,  "no <listen> line. Nothing to do !"),
    "a line of our own":    ("config : parsing [h.cfg:2] : x",                                0,  "x"),
    "place without parsing":("config : [h.cfg:65] : 'server web/w2' : could not resolve",     62, "'server web/w2' : could not resolve"),
}
# fmt: on


@pytest.mark.parametrize(("alert", "line", "said"), PLACES.values(), ids=PLACES)
def test_places(alert: str, line: int, said: str) -> None:
    (problem,) = problems_of(f"[ALERT]    (9) : {alert}\n", "own.cfg", shift=3)
    assert problem == Problem("E410", f"HAProxy refuses this: {said}", file="own.cfg", line=line)


def test_cases_name_no_host_to_look_up() -> None:
    """A resolver that does not answer would make every `haproxy -c` of these tests slow."""
    addresses = {server.address for one in CASES.values() for service in one.services for server in service.servers}
    assert all(address == "localhost" or address[0].isdigit() for address in addresses)
