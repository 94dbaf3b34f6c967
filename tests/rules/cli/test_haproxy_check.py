"""A line of the rendered haproxy.cfg is found again in firstmate.toml."""

from pathlib import Path

import pytest
from tests.rules.config.example import GOOD, edited

from firstmate.cli.haproxy_check import ask, blame
from firstmate.config.compile import sample_plan
from firstmate.config.toml import Document, parse
from firstmate.model.problems import Problem

TEXT = edited(
    (
        'bind = [":80"]',
        'bind = [":80"]\nbalance = "source"\ncheck = "GET /x"\nhaproxy = ["option a", "option b"]\ngoal = "30s"',
    )
)
RENDERED = """\
global
    log stdout
defaults
    mode http
listen fm-monitor
    bind 127.0.0.1:1
listen web
    bind 10.0.1.100:80 transparent
    balance source
    option httpchk
    http-check send meth GET uri /x
    option a
    option b
    server web2 10.0.1.22:80 check
    timeout connect 1s
""".splitlines()

# fmt: off
PLACES = {  # what stands there        line   TOML line, column, width
    "global":                         (2,     (0, 0, 1)),
    "defaults":                       (4,     (0, 0, 1)),
    "our own section":                (6,     (0, 0, 1)),
    "the service itself":             (7,     (18, 1, 11)),
    "bind":                           (8,     (21, 8, 7)),
    "balance":                        (9,     (22, 11, 8)),
    "option httpchk":                 (10,    (23, 9, 8)),
    "http-check":                     (11,    (23, 9, 8)),
    "first raw line":                 (12,    (24, 12, 10)),
    "second raw line":                (13,    (24, 24, 10)),
    "server":                         (14,    (28, 8, 14)),
    "a line of ours":                 (15,    (18, 1, 11)),
    "no line":                        (0,     (0, 0, 1)),
    "beyond the end":                 (99,    (0, 0, 1)),
}
# fmt: on


@pytest.mark.parametrize(("line", "place"), PLACES.values(), ids=PLACES)
def test_blame(line: int, place: tuple[int, int, int]) -> None:
    plan, document = sample_plan(TEXT, "f.toml"), parse(TEXT, "f.toml")
    assert plan is not None
    assert isinstance(document, Document)
    problem = blame(Problem("E410", "no", file="haproxy.cfg", line=line), RENDERED, plan, document)
    assert problem.file == "f.toml"
    assert (problem.line, problem.column, problem.width) == place


@pytest.mark.parametrize(
    "text",
    [
        GOOD[: GOOD.index("[[service]]")],
        GOOD[: GOOD.index("[[service]]")] + '[haproxy]\nrun = "external"\nsocket = "/x"',
        "[",
    ],
)
def test_nothing_to_ask(text: str) -> None:
    assert ask(text.encode(), "f", "/no/such/haproxy") == ((), "")


def test_a_haproxy_of_the_file_may_be_missing_where_it_is_written() -> None:
    problems, note = ask((GOOD + '[haproxy]\nbinary = "/no/such/haproxy"').encode(), "f", None)
    assert problems == ()
    assert note.startswith("`haproxy -c` was not asked: ")


def test_a_haproxy_that_was_named_must_be_there() -> None:
    problems, _ = ask(GOOD.encode(), "f", "/no/such/haproxy")
    assert [problem.code for problem in problems] == ["E401"]


def stand_in(folder: Path, version: str) -> str:
    """A program that says it is HAProxy, and accepts everything."""
    path = folder / "haproxy"
    path.write_text(f"#!/bin/sh\necho 'HAProxy version {version} 2026/01/01'\n")
    path.chmod(0o755)
    return str(path)


def test_a_haproxy_that_is_too_old(tmp_path: Path) -> None:
    problems, _ = ask(GOOD.encode(), "f", stand_in(tmp_path, "1.8.0"))
    assert [problem.code for problem in problems] == ["E402"]


def test_a_haproxy_that_accepts(tmp_path: Path) -> None:
    assert ask(GOOD.encode(), "f", stand_in(tmp_path, "2.8.0")) == ((), "")


def test_an_own_file_that_is_not_there(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[[service]]")] + '[haproxy]\nconfig = "/no/such/haproxy.cfg"'
    problems, _ = ask(text.encode(), "f", stand_in(tmp_path, "2.8.0"))
    assert [problem.code for problem in problems] == ["E414"]
