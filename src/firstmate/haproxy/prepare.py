"""From a `Plan` to a file that HAProxy has accepted: find, render, ask `haproxy -c`, put in place.

Blocking: it runs programs and writes files. `ops` has a process for it (`ops.preparation`).
"""

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from firstmate.haproxy.binary import Binary, HaproxyMissing, HaproxyTooOld, find
from firstmate.haproxy.ground import Ground
from firstmate.haproxy.paths import state_path
from firstmate.haproxy.render import UnsafeValue, render, with_socket
from firstmate.haproxy.verdict import alerts
from firstmate.model.plan import Plan
from firstmate.model.problems import Problem

CHECK_TIMEOUT_S = 30.0  # names of servers are looked up, and a resolver may take its time
PROBLEMS_MAX = 20
CONFIG_BYTES_MAX = 16 * 1024 * 1024

_PLACE = re.compile(r"\[(?P<file>[^\]:]+):(?P<line>\d+)\]\s*:?\s*")


@dataclass(frozen=True, slots=True)
class Prepared:
    binary: Binary
    config: str  # path of the accepted file
    digest: str  # of binary and text, 12 hex digits: another digest means HAProxy has to reload


class Refused(Exception):
    """There is nothing that HAProxy could run with; `problems` says why, at least one."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


def prepare(plan: Plan, ground: Ground) -> Prepared:
    """Write `ops/haproxy.cfg` in the runtime directory, once `haproxy -c` has accepted it. Raises `Refused`.

    What was there before stays when it does not: HAProxy can always be started again with a file that works.
    """
    binary = find_for(plan)
    text, shift = text_for(plan, ground)
    target = Path(ground.runtime) / "ops" / "haproxy.cfg"
    digest = hashlib.sha256(
        f"{binary.path}\n{binary.version_text}\n{text}".encode(errors="surrogateescape")
    ).hexdigest()[:12]
    try:
        target.parent.mkdir(mode=0o755, exist_ok=True)
        _state_file(ground)
        if target.is_file() and target.read_text(errors="surrogateescape") == text:
            return Prepared(binary, str(target), digest)
        tried = target.with_suffix(".cfg.new")
        tried.write_text(text, errors="surrogateescape")
        problems = verify(binary, str(tried), plan, shift)
        if problems:
            raise Refused(*problems)
        tried.rename(target)
    except OSError as error:
        text = f"cannot write HAProxy's configuration: {error}"
        raise Refused(Problem("E413", text, "look at the free space and the rights of that directory")) from error
    return Prepared(binary, str(target), digest)


def find_for(plan: Plan) -> Binary:
    """The HAProxy of this plan. Raises `Refused`."""
    try:
        return find(plan.haproxy.binary if plan.haproxy else "")
    except HaproxyMissing as error:
        raise Refused(Problem("E401", str(error), file=plan.source)) from error
    except HaproxyTooOld as error:
        raise Refused(Problem("E402", str(error), file=plan.source)) from error


def text_for(plan: Plan, ground: Ground) -> tuple[str, int]:
    """HAProxy's configuration, and how many of its lines stand before the operator's own. Raises `Refused`."""
    own = plan.haproxy.config if plan.haproxy else ""
    try:
        if not own:
            return render(plan, ground), 0
        with Path(own).open(encoding="utf-8", errors="surrogateescape") as file:
            return with_socket(file.read(CONFIG_BYTES_MAX), plan, ground)
    except UnsafeValue as error:
        raise Refused(Problem("E411", str(error), file=plan.source)) from error
    except OSError as error:
        text = f'config = "{own}" in [haproxy] cannot be read: {error.strerror}'
        raise Refused(Problem("E414", text, file=plan.source)) from error


def verify(binary: Binary, path: str, plan: Plan, shift: int = 0) -> list[Problem]:
    """Ask `haproxy -c`; an empty list: accepted. Warnings are not refusals."""
    command = [binary.path, "-c", "-L", plan.node, "-f", path]
    try:
        done = subprocess.run(  # noqa: S603  our own words, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        text = f"`haproxy -c` did not finish within {CHECK_TIMEOUT_S:.0f} s"
        return [Problem("E412", text, "are the names of the servers resolvable? addresses need no look-up")]
    except OSError as error:
        return [Problem("E401", f"{binary.path} does not run: {error.strerror}")]
    if done.returncode == 0:
        return []
    own = plan.haproxy.config if plan.haproxy else ""
    return problems_of(done.stderr.decode(errors="replace"), own or path, shift)


def problems_of(stderr: str, file: str, shift: int = 0) -> list[Problem]:
    """The alerts of `haproxy -c` as `Problem`s of `file`, whose first line is HAProxy's line `shift` + 1."""
    problems = []
    for text in alerts(stderr)[:PROBLEMS_MAX]:
        place = _PLACE.search(text)
        line = max(0, int(place["line"]) - shift) if place else 0
        said = _PLACE.sub("", text).removeprefix("config :").strip().removeprefix("parsing").strip()
        problems.append(Problem("E410", f"HAProxy refuses this: {said}", file=file, line=line))
    return problems or [Problem("E410", "HAProxy refuses its configuration and does not say why", file=file)]


def _state_file(ground: Ground) -> None:
    """An empty file of server states, so that HAProxy does not warn that there is none."""
    with os.fdopen(os.open(state_path(ground.runtime), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), "w") as file:
        if file.tell() == 0 and os.fstat(file.fileno()).st_size == 0:
            file.write("1\n")  # the version of its format
