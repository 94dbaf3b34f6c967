"""What HAProxy says of itself on its runtime socket, as values.

Columns are found by their names: their number differs between versions (129 in 2.6, 139 in 2.8).
"""

import csv
import io
import re
from dataclasses import dataclass

SERVER_TYPE = "2"  # column `type` of a server's row

_FACTS = re.compile(r"^(Version|Pid|CurrConns): (.*)$", re.MULTILINE)  # 3 of 70 lines, ten times a second


class BadAnswer(ValueError):
    """HAProxy answered with something else than was asked for."""


@dataclass(frozen=True, slots=True)
class Info:
    """The part of `show info` that we use."""

    pid: int  # of the worker
    version: str  # "2.6.12"
    connections: int


@dataclass(frozen=True, slots=True)
class ServerState:
    service: str
    server: str
    up: bool  # takes new connections: UP, or no check
    status: str  # HAProxy's word: "UP", "DOWN", "MAINT", "DRAIN", "UP 1/2"
    why: str  # the last check: "L4CON Connection refused"; "" when there was none


def parse_info(text: str) -> Info:
    """Read `show info`. Raises `BadAnswer`."""
    facts = dict(_FACTS.findall(text))
    try:
        version = facts["Version"].split("-")[0]
        return Info(int(facts["Pid"]), version, int(facts["CurrConns"]))
    except (KeyError, ValueError) as error:
        message = f"not an answer to `show info`: {text[:60]!r}"
        raise BadAnswer(message) from error


def parse_servers(text: str) -> tuple[ServerState, ...]:
    """Read the servers from `show stat` (CSV). Raises `BadAnswer`."""
    if not text.startswith("# "):
        message = f"not an answer to `show stat`: {text[:60]!r}"
        raise BadAnswer(message)
    rows = csv.DictReader(io.StringIO(text[2:]))
    try:
        return tuple(_server(row) for row in rows if row["type"] == SERVER_TYPE)
    except (KeyError, TypeError, AttributeError, csv.Error) as error:
        message = "an answer to `show stat` without the columns of servers"
        raise BadAnswer(message) from error


def _server(row: dict[str, str]) -> ServerState:
    status = row["status"]
    check = row["check_status"].lstrip("* ")  # a star: the check is running again
    why = f"{check} {row['last_chk']}".strip()
    return ServerState(row["pxname"], row["svname"], status.startswith("UP") or status == "no check", status, why)
