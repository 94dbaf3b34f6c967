import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rules.ops.office import QUIET_PLAN

from firstmate.haproxy.ground import Ground
from firstmate.model.plan import HaproxyPlan
from firstmate.ops.preparation import prepare_apart
from firstmate.policy.world import ConfigAccepted, ConfigRefused

HEAVY = ("jinja2", "uvicorn", "starlette")


def ground(runtime: Path) -> Ground:
    return Ground(str(runtime), 1024, 1, transparent=False)


def why(outcome: ConfigAccepted | ConfigRefused) -> str:
    assert isinstance(outcome, ConfigRefused)
    (problem,) = outcome.problems
    return f"{problem.code} {problem.text}"


def test_a_program_that_accepts_every_file(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_text('#!/bin/sh\necho "HAProxy version 2.6.12 2026 - x"\n')
    program.chmod(0o755)
    outcome = prepare_apart(replace(QUIET_PLAN, haproxy=HaproxyPlan(binary=str(program))), ground(tmp_path))
    assert isinstance(outcome, ConfigAccepted)
    assert (outcome.binary, outcome.version) == (str(program), "2.6.12")
    assert Path(outcome.config).read_text().startswith("#")


def test_a_refusal_comes_back_whole(tmp_path: Path) -> None:
    outcome = prepare_apart(replace(QUIET_PLAN, haproxy=HaproxyPlan(binary="/nosuch")), ground(tmp_path))
    assert why(outcome).startswith("E401 ")


# fmt: off
FAILURES = {
    "dies":          (("/bin/sh", "-c", "echo >&2; echo out of memory >&2; exit 3"), "exit 3: out of memory"),
    "is killed":     (("/bin/sh", "-c", "kill -9 $$"),                  "killed by signal 9"),
    "says nonsense": (("/bin/sh", "-c", "echo all is well"),            "exit 0"),
    "is missing":    (("/nosuch/python",),                              "/nosuch/python: No such file or directory"),
    "hangs":         (("/bin/sleep", "60"),                             "it took longer than 0 s"),
}
# fmt: on


@pytest.mark.parametrize(("command", "text"), FAILURES.values(), ids=FAILURES)
def test_one_that_fails_is_a_refusal(tmp_path: Path, command: tuple[str, ...], text: str) -> None:
    outcome = prepare_apart(QUIET_PLAN, ground(tmp_path), command, timeout_s=0.3 if "sleep" in command[0] else 20)
    assert why(outcome) == f"E413 HAProxy's configuration could not be prepared: {text}"


def test_ops_loads_little() -> None:
    """Until somebody asks for the status; then the web server too."""
    code = "import sys, firstmate.ops.__main__; print([name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
