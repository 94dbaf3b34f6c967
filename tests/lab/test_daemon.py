"""The whole daemon, its processes killed, stopped and told to change, in the lab: what the wire and the peer see."""

import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.lab.daemons import RUN, Pair, claims, pair, resignations

from firstmate.lab.balancers import haproxy, haproxy_workers, read_status
from firstmate.lab.observer import Observer
from firstmate.model import jsonable
from firstmate.model.status import Status
from firstmate.model.units import MS, S

pytestmark = pytest.mark.lab

PREEMPT_DELAY_US = 500 * MS  # of the configuration in `daemons`
SECOND_VIP = "10.0.1.81"
HEAVY = ("asyncio", "http.client", "jinja2", "rich", "ssl", "starlette", "tomllib", "uvicorn")


@pytest.fixture(scope="module")
def _pair() -> Iterator[Pair]:
    with pair(f"daemon-{os.getpid()}") as made:
        yield made


@pytest.fixture
def site(_pair: Pair, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Whole, with lb-a leading, before each test; its log is shown when one fails."""
    _pair.make_whole()
    yield _pair
    for host in (_pair.a, _pair.b):
        print(f"--- {host.name}\n{_pair.log(host)}")


# At rest


def test_no_process_has_more_than_it_needs(site: Pair) -> None:
    census = site.census(site.a)
    sockets = {name: _sockets(census, name) for name in ("run", "firstmate.pulse", "firstmate.ops")}
    workers = [process for process in census if "haproxy" in process["words"][0]]
    assert len(workers) == 2
    assert len(sockets["run"] & sockets["firstmate.pulse"]) == 2  # to ops and to us; not the other ends, not the API
    assert len(sockets["run"] & sockets["firstmate.ops"]) == 3  # to pulse, to us, and the API
    for process in workers:
        inherited = {target for fd, target in process["fds"].items() if target.startswith("socket:")}
        assert not inherited & (sockets["run"] | sockets["firstmate.pulse"] | sockets["firstmate.ops"])
    assert not [process for process in census if process["status"]["State"].startswith("Z")]


def test_rights_are_dropped(site: Pair) -> None:
    census = site.census(site.a)
    pulse, ops = (_process(census, f"firstmate.{name}")["status"] for name in ("pulse", "ops"))
    assert int(pulse["CapEff"], 16) == 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
    assert int(ops["CapEff"], 16) == 0
    assert (pulse["NoNewPrivs"], ops["NoNewPrivs"]) == ("1", "1")
    assert pulse["Threads"] == "1"


def test_status_is_the_document_and_loads_little(site: Pair) -> None:
    # lb-b tells of itself each second: the first word may be from before it was ready.
    site.until(lambda: read_status(site.a).health.replace("HEALTHY", ""), "what lb-b says of itself")
    done = site.a.run([*RUN, "status", "-o", "json"])
    assert done.returncode == 0, done.stderr
    document = jsonable.loads(Status, done.stdout)
    assert (document.schema, document.node, document.health) == ("status/1", "lb-a", "HEALTHY")
    assert json.loads(done.stdout).keys() >= {"cluster", "headline", "routers", "nodes", "haproxy", "troubles"}
    assert [router.held for router in document.routers] == [True]
    table = site.a.run([*RUN, "status"])
    assert (table.returncode, table.stderr) == (0, "")
    assert "lb-a is MASTER" in table.stdout
    timed = site.a.run([RUN[0], "-X", "importtime", *RUN[1:], "status"])
    imported = {line.rpartition("|")[2].strip() for line in timed.stderr.splitlines()}
    assert "click" in imported
    assert not imported & set(HEAVY)


def test_log_is_lines_with_level_and_event(site: Pair) -> None:
    lines = site.whole_log(site.a).splitlines()
    assert lines
    for line in lines:
        level, event, text = line.split(" ", 2)
        assert level in {"INFO", "NOTICE", "WARNING", "ERROR"}, line
        assert event.replace("-", "").isalpha(), line
        assert text, line


# Reload


def test_good_file_is_applied_without_a_pause(site: Pair) -> None:
    masters = {host.name: _master(site, host) for host in (site.a, site.b)}
    site.write(
        site.config.replace('web2 = "', 'web9 = "10.0.1.21:80"\nweb2 = "').replace(
            '"10.0.1.80/24"', f'"10.0.1.80/24", "{SECOND_VIP}/24"'
        )
    )
    with Observer(site.lab) as observer:
        site.reload()
        site.hears(site.a, "reloaded: configuration", "HAProxy reloads")
        site.until(lambda: _lacks(site, "web9"), "the new server in HAProxy of lb-a")
        site.until(lambda: {SECOND_VIP} - set(site.a.addresses()), "the new address")
        assert SECOND_VIP not in site.b.addresses()
        site.write(site.config)
        site.reload()
        site.until(lambda: SECOND_VIP in site.a.addresses(), "the removal of the new address")
        site.until(lambda: "web9 stays" if not _lacks(site, "web9") else "", "the removal of the new server")
        seen = observer.look()
    assert site.a.holds_vip()
    assert not resignations(seen, "lb-a")  # nothing was handed over for it
    assert claims(seen, "lb-a")  # the new address was announced
    assert {host.name: _master(site, host) for host in (site.a, site.b)} == masters  # reloaded, not restarted


def test_changed_priority_moves_the_address(site: Pair) -> None:
    site.write(site.config.replace('["lb-a", "lb-b"]', '["lb-b", "lb-a"]'))
    site.reload()
    site.until_leads("lb-b")
    site.hears(site.b, "lb-b MASTER (was BACKUP)")
    assert read_status(site.a).routers[0].priority == 253


def test_bad_file_changes_nothing_and_says_so(site: Pair) -> None:
    before, plan = read_status(site.a), site.a.read_text("/run/firstmate/plan.json")
    masters = _master(site, site.a)
    site.write(site.config.replace("prefer ", "prefers "))
    site.reload(site.a)
    site.hears(site.a, 'did you mean "prefer"', "Nothing was changed.", "reload refused")
    site.write("[cluster\n")
    site.mark()
    site.reload(site.a)
    site.hears(site.a, "firstmate.toml:1:", "reload refused")
    assert site.a.read_text("/run/firstmate/plan.json") == plan
    after = read_status(site.a)
    assert (after.routers[0].since, after.nodes[0].config) == (before.routers[0].since, before.nodes[0].config)
    assert _master(site, site.a) == masters
    assert site.a.holds_vip()


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_hands_over_first_and_leaves_nothing(site: Pair, number: int) -> None:
    daemon = site.daemons.started["lb-a"]
    with Observer(site.lab) as observer:
        # A terminal sends Ctrl-C to every process of the session.
        parts = ("run", "pulse", "ops") if number == signal.SIGINT else ("run",)
        site.lab.kill([process for name in parts for process in site.part(site.a, name)], number)
        assert daemon.wait(30 * S) == 0
        site.until_leads("lb-b")
        seen = observer.look()
    (resigned, *again) = resignations(seen, "lb-a")
    assert not again  # once said is enough: the successor has answered
    assert claims(seen, "lb-b", resigned)
    site.until_gone(site.a)
    assert not site.a.holds_vip()
    assert "planned handover: every connection has ended" in site.log(site.a)
    assert "WARNING" not in site.log(site.a)
    assert site.a.run(["test", "-e", "/run/firstmate/api.sock"]).returncode == 1
    shown = site.a.run([*RUN, "status"])
    assert shown.returncode == 69
    assert "firstmate is not running on this host" in shown.stderr


# Ends of each process


def test_end_of_ops_moves_nothing(site: Pair) -> None:
    pids = site.haproxy_pids(site.a)
    (ops,) = site.part(site.a, "ops")
    with Observer(site.lab) as observer:
        site.kill(site.a, "ops")
        site.until(lambda: [one for one in site.part(site.a, "ops") if one.pid == ops.pid], "the end of ops")
        site.until(lambda: site.daemons.trouble(site.a), "the status of the next ops")
        seen = observer.look()
    assert not resignations(seen, "lb-a")
    assert not claims(seen, "lb-b")
    assert site.haproxy_pids(site.a) == pids
    assert "ops ended (killed by signal 9); it is started again now" in site.log(site.a)
    assert site.lab.leader() == "lb-a"


def test_end_of_pulse_is_announced_long_before_its_silence(site: Pair) -> None:
    site.write(site.config.replace('"100ms"', '"1s"'))  # the silence would be 3 s
    site.reload()
    site.until(lambda: [h.name for h in (site.a, site.b) if read_status(h).routers[0].advert_s != 1.0], "1 s adverts")
    with Observer(site.lab) as observer:
        killed_us = site.kill(site.a, "pulse")
        site.until(lambda: "" if site.b.holds_vip() else "nothing yet", "lb-b")
        site.until(lambda: site.a.holds_vip() and not site.b.holds_vip(), "lb-a to let go")
        site.until_leads("lb-a")  # another pulse has come, and preempts
        seen = observer.look()
    resigned = resignations(seen, "lb-a")
    assert killed_us < resigned[0] < killed_us + 1500 * MS
    assert killed_us < claims(seen, "lb-b", resigned[0])[0] < killed_us + 2000 * MS
    assert "pulse died: said priority 0 1 times and released 1 addresses for it" in site.log(site.a)
    assert " of these failed" not in site.log(site.a)


def test_pulse_that_hangs_is_killed_and_spoken_for(site: Pair) -> None:
    with Observer(site.lab) as observer:
        stopped_us = site.kill(site.a, "pulse", signal.SIGSTOP)
        site.until(lambda: "" if site.b.holds_vip() else "nothing yet", "lb-b")
        assert site.a.holds_vip()  # both have it: what a hang without a watchdog would leave
        site.hears(site.a, "hangs: killed", "pulse died: said priority 0 1 times and released 1 addresses for it")
        site.until_leads("lb-a")  # another pulse has come, and preempts
        seen = observer.look()
    assert len(resignations([one for one in seen if one.at_us > stopped_us], "lb-a")) >= 1
    assert " of these failed" not in site.log(site.a)


def test_pulse_that_will_not_stay_up_lets_go_for_good(site: Pair) -> None:
    """With a supervisor that loses patience after two restarts instead of ten."""
    site.daemons.stop(site.a)
    site.until_gone(site.a)
    code = (
        "import sys; from firstmate.supervisor import children; children.PULSE_TRIES_MAX = 2;"
        "sys.argv.pop(1); from firstmate.cli.main import main; main()"
    )
    site.daemons.argv = [RUN[0], "-c", code, "firstmate", "run"]
    site.daemons.start(site.a)
    site.until_leads("lb-a")
    site.mark()
    pids = site.haproxy_pids(site.a)
    for _ in range(3):
        (pulse,) = _wait_part(site, "pulse")
        site.lab.kill([pulse], signal.SIGKILL)
        site.until(lambda: {one.pid for one in site.part(site.a, "pulse")} & {pulse.pid}, "its end")  # noqa: B023
    site.hears(site.a, "pulse does not stay up (killed by signal 9 after 2 restarts); this node gives up its addresses")
    site.until_leads("lb-b")
    site.until(lambda: site.part(site.a, "pulse"), "`pulse --release`")
    assert not site.a.holds_vip()
    assert site.haproxy_pids(site.a) == pids
    site.until(lambda: "" if any("pulse" in line for line in read_status(site.a).troubles) else "no word", "the status")
    site.daemons.stop(site.a)
    assert site.daemons.started["lb-a"].wait(30 * S) == 0


def test_end_of_the_supervisor_resigns_and_haproxy_is_adopted(site: Pair) -> None:
    pids = site.haproxy_pids(site.a)
    with Observer(site.lab) as observer:
        site.kill(site.a, "run")
        site.until_leads("lb-b")
        site.until(lambda: site.daemons.daemon(site.a.processes()), "the end of pulse and ops")
        seen = observer.look()
    assert claims(seen, "lb-b", resignations(seen, "lb-a")[0])
    assert site.haproxy_pids(site.a) == pids
    site.daemons.start(site.a)
    site.hears(site.a, "is still running: adopted")
    site.until_leads("lb-a")
    assert site.haproxy_pids(site.a) == pids
    # What was adopted can be reloaded, and its end is seen.
    site.write(site.config.replace('web2 = "', 'web9 = "10.0.1.21:80"\nweb2 = "'))
    site.reload(site.a)
    site.until(lambda: _lacks(site, "web9"), "the new server in HAProxy of lb-a")
    assert _master(site, site.a) in pids
    site.scene.inject("haproxy-crash", "lb-a")
    site.hears(site.a, "haproxy ended (", "HAProxy 2.")
    site.until_leads("lb-a")
    assert not set(site.haproxy_pids(site.a)) & set(pids)


def test_addresses_of_a_killed_daemon_are_released_by_the_next(site: Pair) -> None:
    site.scene.inject("daemon-kill", "lb-a")
    site.until(lambda: "" if site.b.holds_vip() else "not yet", "lb-b")
    assert site.a.holds_vip()  # nobody is left to take it off
    master = _master(site, site.a)
    with Observer(site.lab) as observer:
        site.daemons.start(site.a)
        site.until_leads("lb-b")
        site.until_leads("lb-a")
        seen = observer.look()
    first = min(one.at_us for one in seen if one.host == "lb-a" and one.priority == 254)
    assert resignations(seen, "lb-a")[0] < first  # politely: it does not start as MASTER
    assert _master(site, site.a) == master


def test_stop_that_was_cut_short_leaves_no_deaf_haproxy(site: Pair) -> None:
    """Killed while HAProxy's listeners ignore new connections: the next daemon adopts it, and they must hear again."""
    site.kill(site.a, "ops", signal.SIGSTOP)  # it would say that HAProxy is idle
    site.daemons.stop(site.a)
    site.until(lambda: "" if _connects(site) == "silence" else "it still answers", "the deaf HAProxy")
    site.lab.kill(site.daemons.daemon(site.a.processes()), signal.SIGKILL)
    site.until(lambda: site.daemons.daemon(site.a.processes()), "the end of all but HAProxy")
    pids = site.haproxy_pids(site.a)
    assert pids
    site.daemons.start(site.a)
    site.hears(site.a, "is still running: adopted")
    site.until_leads("lb-a")
    site.until(lambda: "" if _connects(site) == "answer" else "silence", "HAProxy's answer")
    assert site.haproxy_pids(site.a) == pids


# Ends of HAProxy


@pytest.mark.parametrize("fault", ["haproxy-crash", "haproxy-hang"])
def test_haproxy_that_does_not_serve_costs_the_mastership(site: Pair, fault: str) -> None:
    before = site.transitions(site.a)
    old = {process.pid for process in haproxy_workers(site.a.processes())}
    with Observer(site.lab) as observer:
        site.scene.inject(fault, "lb-a")
        site.until(lambda: old & {process.pid for process in haproxy(site.a.processes())}, "the old HAProxy's end")
        held = site.a.holds_vip()
        site.until_leads("lb-b")
        site.until_leads("lb-a")
        seen = observer.look()
    assert fault == "haproxy-crash" or not held  # what hangs is killed when the address has gone
    assert claims(seen, "lb-b", resignations(seen, "lb-a")[0])
    site.until(lambda: len(site.transitions(site.a)) < len(before) + 3, "the journal of lb-a")
    (fault_, _), (fit, fit_us), (master, master_us) = site.transitions(site.a)[len(before) : len(before) + 3]
    assert (fault_, fit, master) == ("FAULT", "BACKUP", "MASTER")
    assert master_us - fit_us >= PREEMPT_DELAY_US
    log = site.log(site.a)
    assert log.index("HAProxy 2.") < log.index("BACKUP (was FAULT)")  # not before it answers
    if fault == "haproxy-hang":
        assert "the addresses are gone from here; HAProxy is killed" in log


def test_haproxy_that_dies_again_and_again_is_started_more_slowly(site: Pair) -> None:
    # Ends of earlier tests count too: each pause is twice the one before, whatever the first was.
    for number in range(3):
        site.until(lambda: "" if len(site.haproxy_pids(site.a)) == 2 else "not yet", "HAProxy")
        site.scene.inject("haproxy-crash", "lb-a")
        site.until(lambda: site.log(site.a).count("haproxy ended (killed by signal 9)") <= number, "its end")  # noqa: B023
    said = [
        line.rpartition("started again in ")[2] for line in site.log(site.a).splitlines() if "haproxy ended" in line
    ]
    pauses = [_duration_us(text) for text in said]
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    site.until_leads("lb-a")


# What systemd is told


def test_systemd_is_told_of_each_step(site: Pair) -> None:
    site.daemons.stop(site.b)
    site.until_gone(site.b)
    path = site.lab.directory / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(30)
        site.daemons.env = {"NOTIFY_SOCKET": str(path), "JOURNAL_STREAM": "1:1"}
        site.mark()
        site.daemons.start(site.b)
        site.until(lambda: not (site.part(site.b, "pulse") and site.part(site.b, "ops")), "pulse and ops")
        for _ in range(5):  # a reload may come before a child can hear it
            site.reload(site.b)
        assert "READY=1" in _told(systemd, "STATUS=")
        _told(systemd, "WATCHDOG=1")
        site.until(lambda: site.daemons.trouble(site.b), "lb-b")
        while _now(systemd):
            pass
        site.reload(site.b)
        assert "MONOTONIC_USEC=" in _told(systemd, "RELOADING=1")
        assert _told(systemd, "READY=1") == "READY=1"
        site.daemons.stop(site.b)
        _told(systemd, "STOPPING=1")
        assert site.daemons.started["lb-b"].wait(30 * S) == 0
    path.unlink()
    log = site.log(site.b)
    assert "reloaded: configuration" in log
    assert "killed by signal 1)" not in log
    lines = log.splitlines()
    assert {line[:3] for line in lines} <= {"<3>", "<4>", "<5>", "<6>"}
    assert {line.split(" ")[1] for line in lines} > {"supervisor", "transition", "plan"}


def _sockets(census: list[dict[str, Any]], word: str) -> set[str]:
    return {target for target in _process(census, word)["fds"].values() if target.startswith("socket:")}


def _process(census: list[dict[str, Any]], word: str) -> dict[str, Any]:
    (found,) = [process for process in census if word in process["words"]]
    return found


def _master(site: Pair, host: Any) -> int:
    """HAProxy's master process; `haproxy -c` may run too."""
    every = [process for process in haproxy(host.processes()) if "-W" in process.argv]
    pids = {process.pid for process in every}
    (found,) = [process.pid for process in every if process.parent not in pids]
    return found


def _lacks(site: Pair, server: str) -> str:
    """Ask HAProxy of lb-a itself."""
    with site.a.connect("/run/firstmate/haproxy.sock") as haproxy_socket:
        haproxy_socket.settimeout(10)
        haproxy_socket.sendall(b"show stat\n")
        answer = b""
        while chunk := haproxy_socket.recv(65_536):
            answer += chunk
    return "" if f",{server},".encode() in answer else f"no {server}"


def _wait_part(site: Pair, name: str) -> list[Any]:
    site.until(lambda: "" if site.part(site.a, name) else "not yet", name)
    return site.part(site.a, name)


def _connects(site: Pair) -> str:
    """What a new connection to the address meets: "answer", "refusal" or "silence"."""
    with site.lab.host("client").open_socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(0.3)
        try:
            client.connect((site.lab.site.vip, 80))
        except TimeoutError:
            return "silence"
        except OSError:
            return "refusal"
    return "answer"


def _duration_us(text: str) -> int:
    if "now" in text:
        return 0
    number, unit = text.split()
    return int(float(number) * {"ms": MS, "s": S}[unit])


def _told(systemd: socket.socket, text: str) -> str:
    """Wait for the message that has this text."""
    for _ in range(1000):
        message = systemd.recv(4096).decode()
        if text in message:
            return message
    raise AssertionError(f"{text} was not told")


def _now(systemd: socket.socket) -> bytes:
    return systemd.recv(4096) if select.select([systemd], [], [], 0)[0] else b""
