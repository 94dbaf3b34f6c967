"""What HAProxy thinks of the services: render them, ask `haproxy -c`, and find its lines again in the TOML file."""

import os
import re
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstmate.config.compile import sample_plan
from firstmate.config.toml import Document, parse
from firstmate.haproxy.binary import HaproxyMissing, HaproxyTooOld, find
from firstmate.haproxy.ground import Ground
from firstmate.haproxy.prepare import Refused, text_for, verify
from firstmate.model.plan import HaproxyRun, Plan
from firstmate.model.problems import Problem

_SECTION = re.compile(r"(listen|frontend|backend|global|defaults)\s+(\S+)?")


def ask(content: bytes, name: str, binary: str | None) -> tuple[tuple[Problem, ...], str]:
    """Problems of `haproxy -c` at their places in the file, and a note when it could not be asked.

    `binary` None: the HAProxy that firstmate would run. The file must have no errors of its own.
    """
    plan = sample_plan(content, name)
    document = parse(content, name)
    if plan is None or not isinstance(document, Document) or plan.haproxy is None:
        return (), ""
    if plan.haproxy.run is HaproxyRun.EXTERNAL:
        return (), ""
    try:
        found = find(binary or plan.haproxy.binary)
    except HaproxyMissing as error:
        return _cannot_ask(error, "E401", name, binary)
    except HaproxyTooOld as error:
        return _cannot_ask(error, "E402", name, binary)
    with tempfile.TemporaryDirectory(prefix="firstmate-check-") as folder:
        try:
            text, shift = text_for(plan, _ground(folder))
        except Refused as refused:
            return refused.problems, ""
        path = Path(folder) / "haproxy.cfg"
        path.write_text(text, errors="surrogateescape")
        problems = verify(found, str(path), plan, shift)
    lines = text.splitlines()
    own = plan.haproxy.config
    return tuple(problem if own else blame(problem, lines, plan, document) for problem in problems), ""


def _cannot_ask(error: Exception, code: str, name: str, binary: str | None) -> tuple[tuple[Problem, ...], str]:
    """A HAProxy that was named must be there; another may be missing where a file is only written."""
    if binary:
        return (Problem(code, str(error), file=name),), ""
    return (), f"`haproxy -c` was not asked: {error}"


def _ground(folder: str) -> Ground:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Ground(folder, hard, os.cpu_count() or 1, transparent=True)


def blame(problem: Problem, lines: list[str], plan: Plan, document: Document) -> Problem:
    """The same problem at the line of `firstmate.toml` that made line `problem.line` of `haproxy.cfg`.

    `lines` is the rendered file. What belongs to no service is left to the file as a whole.
    """
    whole = replace(problem, file=document.file, line=0, column=0)
    if not 1 <= problem.line <= len(lines):
        return whole
    section = next((line for line in reversed(lines[: problem.line]) if _SECTION.match(line)), "")
    match = _SECTION.match(section)
    names = [service.name for service in plan.services]
    if match is None or match.group(2) not in names:
        return whole
    index = names.index(match.group(2))
    written: dict[str, Any] = document.data["service"][index]
    span = document.place(("service", index, *_key_of(lines[problem.line - 1].strip(), written))).value
    return replace(problem, file=document.file, line=span.line, column=span.column, width=span.width)


def _key_of(line: str, written: dict[str, Any]) -> tuple[str | int, ...]:
    """The key of a service that a line of HAProxy's comes from; () when it is the service as a whole."""
    raw = written.get("haproxy", [])
    if line in raw:
        return ("haproxy", raw.index(line))
    word, _, rest = line.partition(" ")
    server = rest.partition(" ")[0]
    if word == "server" and server in written["servers"]:
        return ("servers", server)
    for start, key in (("balance", "balance"), ("bind", "bind"), ("option httpchk", "check"), ("http-check", "check")):
        if line.startswith(start) and key in written:
            return (key,)
    return ()
