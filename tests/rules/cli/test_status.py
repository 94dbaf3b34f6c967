import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.rules.policy.example import (
    BY_UDP,
    BY_VRRP,
    FOREIGN,
    LEADING,
    NOW,
    ONE_WAY,
    PEER,
    PEER_LEADING,
    PLAN,
    RICH,
    VIEW,
    WALL,
    serving,
    snapshot,
    told,
)

from firstmate.cli import status as module
from firstmate.cli.main import group
from firstmate.cli.options import EXIT_NOT_ALLOWED, EXIT_UNREACHABLE
from firstmate.cli.status import NOTES_MAX, check_code, check_line, render
from firstmate.ipc.api_client import NotAllowed
from firstmate.model import jsonable
from firstmate.model.messages import RouterState
from firstmate.model.status import Status
from firstmate.policy.life import Absent
from firstmate.policy.status_view import status
from firstmate.policy.world import World, begin

HEAVY = ("asyncio", "http", "ssl", "rich", "jinja2", "uvicorn", "logging", "importlib.metadata", "subprocess")


def seen(world: World) -> Status:
    return status(world, NOW, WALL)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_moment", lambda _: "Wed 18 Nov 11:05")


MASTER = seen(serving())
FAULT = seen(
    replace(
        serving(PLAN, replace(VIEW, state=RouterState.FAULT, priority=0), peers=(PEER_LEADING,)),
        life=Absent("HAProxy killed by signal 11", NOW - 41_000_000, 1),
    )
)
NOBODY = seen(serving(PLAN, replace(VIEW, master=None, heard_at_us=None), peers=(replace(PEER, connected=False),)))


def test_a_healthy_pair() -> None:
    assert render(MASTER).splitlines() == [
        "edge  HEALTHY   lb-a is MASTER for 1 min 0 s   standby ready: lb-b   takeover about 0.6 s",
        "",
        "VRRP  VRID  MASTER  ADDRESS        SINCE             LAST CHANGE",
        "web      7  lb-a    192.0.2.100 ✓  Wed 18 Nov 11:05  heard nobody for 602 ms",
        "",
        "NODE   ADDRESS     STATE   PRIO  HEARTBEAT     HAPROXY    SERVERS  CONFIG  READY",
        "lb-a*  192.0.2.10  MASTER   254  sends 200 ms  2.6.12 up  2/2      7c1e4f  -",
        "lb-b   192.0.2.11  BACKUP   253  -             2.6.12 up  2/2      7c1e4f  yes",
        "* this node",
    ]


def test_trouble_first() -> None:
    assert render(FAULT).splitlines() == [
        "edge  DEGRADED   lb-b is MASTER for 1 min 0 s   standby ready: none (lb-a)",
        "                 a second failure means an outage",
        "! lb-a cannot serve: HAProxy killed by signal 11, 41.0 s ago",
        "",
        "VRRP  VRID  MASTER  ADDRESS      SINCE             LAST CHANGE",
        "web      7  lb-b    192.0.2.100  Wed 18 Nov 11:05  lb-b has priority 253",
        "",
        "NODE   ADDRESS     STATE   PRIO  HEARTBEAT   HAPROXY          SERVERS  CONFIG  READY",
        "lb-a*  192.0.2.10  FAULT      0  -           down: signal 11  ?        7c1e4f  no: HAProxy down",
        "lb-b   192.0.2.11  MASTER   253  100 ms old  2.6.12 up        2/2      7c1e4f  -",
        "* this node",
    ]


def test_nobody_leads() -> None:
    text = render(NOBODY)
    assert "web      7  ?       192.0.2.100" in text
    assert "! web: nobody is MASTER as seen from lb-a" in text
    assert "seen from lb-a only" in text


@pytest.mark.parametrize("document", [MASTER, FAULT, NOBODY, seen(begin(PLAN, NOW))])
def test_it_fits_the_width(document: Status) -> None:
    assert max(map(len, render(document).splitlines())) <= 100


def test_a_master_without_its_address_and_an_old_pulse() -> None:
    text = render(replace(MASTER, routers=(replace(MASTER.routers[0], held=False),), pulse_age_s=9.0))
    assert "192.0.2.100 not held" in text
    assert "* this node   the states above are old: pulse is silent" in text


def test_several_addresses_and_routers() -> None:
    router = replace(MASTER.routers[0], addresses=("192.0.2.100/24", "192.0.2.101/24"))
    nodes = (replace(MASTER.nodes[0], states={"web": "MASTER", "db": "BACKUP"}, priorities={"web": 254}),)
    text = render(replace(MASTER, routers=(router, replace(router, name="db", addresses=())), nodes=nodes))
    assert "192.0.2.100 +1 ✓" in text
    assert "MASTER/BACKUP" in text
    assert "254/?" in text


def test_what_a_row_cannot_hold() -> None:
    view = replace(VIEW, paths=(BY_VRRP, replace(BY_UDP, heard_at_us=None)), oddities=(ONE_WAY,), priority=234)
    db = replace(LEADING, name="db", vrid=8, paths=(BY_VRRP,))
    first = replace(snapshot(view, db, peers=(PEER_LEADING,)), oddities=(FOREIGN,))
    text = render(seen(told(serving(RICH), first)))
    below = text.split("\n\n")[1].splitlines()
    assert below[3:] == [
        "  ! web: lb-b does not hear us (7 times since Wed 18 Nov 11:05)",
        "  web moves with db",
        "  web from lb-b: unicast 192.0.2.11 100 ms ago, udp 198.51.100.11 SILENT, never heard",
        "  db moves with web",
        "  ! 192.0.2.99 sends adverts for VRID 9, which is none of ours (since Wed 18 Nov 11:05)",
    ]
    assert "! web: lb-b does not hear us" in text.split("\n\n")[0]
    assert "234 (254)/254" in text
    assert max(map(len, text.splitlines())) <= 100


def test_what_others_say_cannot_steer_the_terminal() -> None:
    node = replace(MASTER.nodes[1], haproxy="\x1b[2J\x9b2K", ready="yes\r")
    text = render(replace(MASTER, troubles=("web/web1 is DOWN: \x1b]0;x\x07",), nodes=(node,)))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "?[2J?2K" in text


def test_many_notes_are_cut() -> None:
    router = replace(MASTER.routers[0], moves_with=("db",))
    text = render(replace(MASTER, routers=(router,) * 50))
    assert text.count("moves with") == NOTES_MAX - 1
    assert "and 21 more lines: `firstmate status -o json` has all" in text


def test_before_pulse_has_spoken_there_are_no_routers() -> None:
    assert "VRRP" not in render(seen(begin(PLAN, NOW)))


def test_how_old_a_heartbeat_is() -> None:
    silent = (replace(PEER, connected=False),)
    old = seen(told(serving(), snapshot(replace(VIEW, heard_at_us=NOW - 41_000_000), peers=silent)))
    assert "41.0 s ago" in render(old)
    leads = replace(MASTER.nodes[1], states={"web": "MASTER"})
    assert "  none  " in render(replace(MASTER, nodes=(leads,)))


def test_colour_changes_no_word() -> None:
    text = render(MASTER, colour=True)
    assert text != render(MASTER)
    assert text.replace("\x1b[32m\x1b[1m", "").replace("\x1b[0m", "") == render(MASTER)


# fmt: off
CODES = {
    "healthy":                (MASTER,                                     0, "OK"),
    "nobody could take over": (FAULT,                                      2, "CRITICAL"),
    "nobody leads":           (NOBODY,                                     2, "CRITICAL"),
    "a server is down":       (replace(MASTER, health="DEGRADED"),         1, "WARNING"),
    "alone, something amiss": (replace(MASTER, health="DEGRADED", nodes=MASTER.nodes[:1]), 1, "WARNING"),
}
# fmt: on


@pytest.mark.parametrize(("document", "code", "word"), CODES.values(), ids=CODES)
def test_codes_for_monitoring(document: Status, code: int, word: str) -> None:
    assert check_code(document) == code
    assert check_line(document).startswith(f"{word} - edge ")
    assert "\n" not in check_line(document)


def test_each_leads_its_own_router_and_stands_by_for_the_other() -> None:
    nodes = tuple(replace(node, ready="-", states={"web": "MASTER"}) for node in MASTER.nodes)
    assert check_code(replace(MASTER, health="DEGRADED", nodes=nodes)) == 1


# The command


class Daemon:
    """Answers one request after another with what it was given."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(8)
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._server.accept()
            with client:
                if not client.recv(4096):
                    return
                client.sendall(self._answer)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._server.getsockname())
            last.shutdown(socket.SHUT_WR)
            self._thread.join()
        self._server.close()


def http(body: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body.encode()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    with contextlib.closing(Daemon(tmp_path / "api.sock", http(jsonable.dumps(MASTER)))):
        yield tmp_path / "api.sock"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["status", *arguments], standalone_mode=False)


def test_the_table(daemon: Path) -> None:
    result = run("--socket", str(daemon))
    assert (result.return_value, result.stdout) == (0, render(MASTER) + "\n")


def test_json(daemon: Path) -> None:
    result = run("--socket", str(daemon), "-o", "json")
    document = json.loads(result.stdout)
    assert (document["schema"], document["health"]) == ("status/1", "HEALTHY")


def test_check(daemon: Path) -> None:
    result = run("--socket", str(daemon), "--check")
    assert result.return_value == 0
    assert result.stdout.startswith("OK - edge HEALTHY: lb-a is MASTER for 1 min 0 s, standby ready: lb-b")


def test_the_runtime_directory_says_where(daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTMATE_RUNTIME", str(daemon.parent))
    assert run().return_value == 0


def test_no_daemon(tmp_path: Path) -> None:
    result = run("--socket", f"{tmp_path}/api.sock")
    assert result.return_value == EXIT_UNREACHABLE
    assert result.stdout == ""
    assert "firstmate is not running on this host" in result.stderr
    assert "systemctl start firstmate" in result.stderr
    result = run("--socket", f"{tmp_path}/api.sock", "--check")
    assert (result.return_value, result.stdout[:10]) == (3, "UNKNOWN - ")


def test_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise NotAllowed("no right to use it")

    monkeypatch.setattr(module, "get", refuse)
    result = run()
    assert (result.return_value, result.stderr) == (EXIT_NOT_ALLOWED, "no right to use it.\n")


def test_another_version(tmp_path: Path) -> None:
    with contextlib.closing(Daemon(tmp_path / "api.sock", http('{"type":"Status","schema":"status/9"}'))):
        result = run("--socket", f"{tmp_path}/api.sock")
    assert result.return_value == EXIT_UNREACHABLE
    assert "the daemon's answer is of another version" in result.stderr


def test_an_old_terminal_gets_what_it_can_show(daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner(charset="ascii").invoke(group, ["status", "--socket", str(daemon)], standalone_mode=False)
    assert result.exception is None
    assert "192.0.2.100 ?" in result.stdout


def test_it_starts_quickly() -> None:
    """Half of what a command may take goes to imports: these stay out."""
    code = (
        "import sys; from firstmate.cli.main import group\n"
        "try: group.main(['status', '--socket', '/nosuch'], standalone_mode=False)\n"
        "finally: print([name for name in sys.argv[1:] if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", code, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
