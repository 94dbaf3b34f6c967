"""What a daemon meets that is not as it should be: it says so clearly, does not crash, and loses no address."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from tests.lab.daemons import RUN, Pair, pair

from firstmate.lab.balancers import CONFIG, Firstmate, haproxy, read_status
from firstmate.lab.lab import LabHost, Process
from firstmate.lab.topology import Role
from firstmate.model.messages import RouterState
from firstmate.model.plan import ChecksumForm
from firstmate.model.units import MS, S
from firstmate.vrrp.packet import Advert, encode

pytestmark = pytest.mark.lab

VIP = "10.0.1.80"
END_US = 40 * S
# Everything but this: what a container or a unit file may leave a root.
WITHOUT = {
    "raw sockets": ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"],
    "addresses": ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    "any right": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
}
REACHES = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import firstmate'], check=True)"
OLD_HAPROXY = "#!/bin/sh\necho 'HAProxy version 2.4.22-f8e3218 2023/02/14 - https://haproxy.org/'\n"
LISTENER = """
import socket, sys, time
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("listens", flush=True)
time.sleep(600)
"""
# Takes ops' end of the channel to pulse or to the supervisor, and says on it what ops never would.
INTRUDER = """
import ctypes, os, socket, sys
name, ops = "FIRSTMATE_FD_" + sys.argv[1], None
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline").read().split("\\0") if pid != "1" else []
    if "firstmate.ops" in words:
        environ = dict(pair.split("=", 1) for pair in open(f"/proc/{pid}/environ").read().split("\\0") if "=" in pair)
        ops = int(pid), int(environ[name])
fd = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(ops[0]), ops[1], 0)  # pidfd_getfd(2)
assert fd >= 0, os.strerror(ctypes.get_errno())
end = socket.socket(fileno=fd)
for text in (b"{", b"[]", b"null", b"\\xff\\xfe", b"\\x00", b"7", b'{"type":"Nothing"}', b'{"type":"Beat"}',
             b'{"type":"FactChanged","name":"haproxy","up":"no","why":"","at_us":1}', b'{"type":"KillHaproxy"}',
             b'{"type":"StartHaproxy","binary":7,"config":"","digest":""}', b"[" * 100000, b"x" * 150000):
    end.send(text)
"""


@pytest.fixture(scope="module")
def _pair() -> Iterator[Pair]:
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv of util-linux")
    with pair(f"bad-input-{os.getpid()}", webs=1) as made:
        yield made


@pytest.fixture
def bare(_pair: Pair) -> Iterator[Pair]:
    """Nothing runs on lb-b, and nothing is left there; what its daemon said is shown when a test fails."""
    _pair.mark()
    yield _pair
    print(f"--- lb-b\n{_pair.log(_pair.b)}")
    _pair.lab.kill(_pair.b.processes(), signal.SIGCONT)
    _pair.lab.kill(_pair.b.processes(), signal.SIGKILL)
    _pair.until_gone(_pair.b)
    _pair.b.run(["ip", "address", "delete", f"{VIP}/24", "dev", "eth0"])
    _pair.b.run(["find", "/run/firstmate", "-delete"])


@pytest.fixture
def whole(_pair: Pair) -> Iterator[Pair]:
    """Both run, and lb-a leads."""
    _pair.make_whole()
    yield _pair
    for host in (_pair.a, _pair.b):
        print(f"--- {host.name}\n{_pair.log(host)}")
        _pair.daemons.stop(host)
    for host in (_pair.a, _pair.b):
        _pair.until_gone(host)


def start(site: Pair, *, config: str = "", before: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Process:
    """Start a daemon on lb-b, whose configuration may be its own."""
    file = site.b.directory / CONFIG
    file.write_text(config or site.config)
    file.chmod(0o644)
    argv = [*before, *RUN, "run", "-c", str(file)]
    return site.b.spawn(argv, env={"PYTHONDONTWRITEBYTECODE": "1", **(env or {})}, log="firstmate.log")


def with_haproxy(site: Pair, line: str) -> str:
    return f"{site.config}\n[haproxy]\n{line}\n"


def take_port(site: Pair, host: LabHost, port: int) -> Process:
    """Another program listens there."""
    log = f"port-{port}.log"
    other = host.spawn([sys.executable, "-c", LISTENER, str(port)], log=log)
    site.until(lambda: "" if "listens" in (host.directory / log).read_text() else "not yet", "the other program")
    return other


def until_state(site: Pair, state: RouterState, host: LabHost | None = None) -> None:
    where = host or site.b
    site.until(lambda: "" if read_status(where).routers[0].state == state.value else "not yet", f"{state.value}")


def until_trouble(site: Pair, text: str) -> None:
    site.until(
        lambda: "" if any(text in line for line in read_status(site.b).troubles) else read_status(site.b).troubles, text
    )


# HAProxy


def test_haproxy_is_missing_until_it_is_not(bare: Pair) -> None:
    program = bare.b.directory / "haproxy"
    start(bare, config=with_haproxy(bare, f'binary = "{program}"'))
    bare.hears(bare.b, f'binary = "{program}" in [haproxy] is not a program')
    until_trouble(bare, "is not a program")
    assert not bare.b.holds_vip()  # an address without HAProxy behind it helps nobody
    program.symlink_to(shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "/usr/sbin/haproxy")
    bare.reload(bare.b)
    until_state(bare, RouterState.MASTER)
    program.unlink()


def test_haproxy_is_too_old(bare: Pair) -> None:
    program = bare.b.directory / "old-haproxy"
    program.write_text(OLD_HAPROXY)
    program.chmod(0o755)
    start(bare, config=with_haproxy(bare, f'binary = "{program}"'))
    bare.hears(bare.b, f"{program} is HAProxy 2.4.22, and firstmate needs 2.6 or newer")
    until_trouble(bare, "firstmate needs 2.6 or newer")
    assert not bare.b.holds_vip()


def test_haproxy_refuses_to_start_what_it_accepted(bare: Pair) -> None:
    own = bare.b.directory / "own.cfg"
    own.write_text("global\n    maxconn 5000000\nfrontend web\n    mode http\n    timeout client 1s\n    bind :80\n")
    without_services = bare.config.partition("[[service]]")[0]
    start(bare, config=f'{without_services}[haproxy]\nconfig = "{own}"\n')
    bare.hears(bare.b, "raise LimitNOFILE of the service, or lower maxconn", "it is started again in 400 ms")
    until_trouble(bare, "raise LimitNOFILE of the service, or lower maxconn")
    assert not bare.b.holds_vip()
    log = bare.log(bare.b)
    assert log.count("haproxy ended (") >= 4
    said = [line for line in log.splitlines() if line.startswith("ERROR supervisor haproxy: ")]
    assert 1 <= len(said) <= 6  # the same words are not repeated for ever


def test_port_is_taken_until_it_is_free(bare: Pair) -> None:
    other = take_port(bare, bare.b, 80)
    start(bare)
    bare.hears(bare.b, f'service "web": port 80 on {VIP} is taken by another program')
    until_trouble(bare, f"port 80 on {VIP} is taken by another program; `ss -ltnp sport = :80` names it")
    assert not bare.b.holds_vip()
    other.signal(signal.SIGKILL)
    until_state(bare, RouterState.MASTER)
    other.close()


def test_port_of_a_reload_is_taken_until_it_is_free(whole: Pair) -> None:
    pids = whole.haproxy_pids(whole.a)
    other = take_port(whole, whole.a, 81)
    whole.write(whole.config.replace('[":80"]', '[":80", ":81"]'))
    whole.reload(whole.a)
    whole.hears(
        whole.a, f'HAProxy goes on with the configuration before: service "web": port 81 on {VIP} is taken by another'
    )
    assert set(pids) <= set(whole.haproxy_pids(whole.a))
    assert whole.lab.leader() == "lb-a"
    other.signal(signal.SIGKILL)
    other.close()
    whole.mark()
    whole.reload(whole.a)  # the same file: what failed is tried again
    whole.hears(whole.a, "HAProxy reloads", "Loading success.")
    assert whole.lab.leader() == "lb-a"


# Rights


def skip_unless_anybody_can(site: Pair, program: str) -> None:
    if site.b.run([*WITHOUT["any right"], sys.executable, "-c", program]).returncode != 0:
        pytest.skip("this Python, or this checkout, is not for every user")


@pytest.mark.parametrize("right", ["raw sockets", "addresses", "any right"])
def test_right_is_missing(bare: Pair, right: str) -> None:
    if right == "any right":
        skip_unless_anybody_can(bare, REACHES)
    directory = bare.b.directory / "open"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o777)
    daemon = start(bare, before=(*WITHOUT[right],), env={"FIRSTMATE_RUNTIME": str(directory / right.replace(" ", "-"))})
    assert daemon.wait(END_US) == 77
    assert "run as root, or give CAP_NET_RAW and CAP_NET_ADMIN" in bare.log(bare.b)
    assert bare.log(bare.b).count("ERROR") == 1
    assert "Traceback" not in bare.log(bare.b)
    bare.until_gone(bare.b)  # HAProxy too


def test_directory_may_not_be_written(bare: Pair) -> None:
    if os.geteuid() != 0:
        pytest.skip("there is nobody else to become in a namespace of one user")
    skip_unless_anybody_can(bare, "import firstmate")  # it ends before it starts a child
    daemon = start(bare, before=(*WITHOUT["any right"],))
    assert daemon.wait(END_US) == 77
    assert bare.log(bare.b) == (
        "ERROR supervisor /run/firstmate cannot be the runtime directory: Permission denied; "
        "run as root, or set FIRSTMATE_RUNTIME\n"
    )


def test_directory_is_no_directory(bare: Pair) -> None:
    daemon = start(bare, env={"FIRSTMATE_RUNTIME": str(bare.b.directory / CONFIG)})
    assert daemon.wait(END_US) == 69
    assert f"{bare.b.directory / CONFIG} cannot be the runtime directory: File exists" in bare.log(bare.b)


def test_second_daemon_is_refused_and_the_first_unmoved(whole: Pair) -> None:
    first = whole.census(whole.a)
    supervisor = next(process["pid"] for process in first if "run" in process["words"])
    config = str(whole.lab.directory / CONFIG)
    second = whole.a.run([*RUN, "run", "-c", config])
    assert second.returncode == 75
    assert second.stderr == (
        f"ERROR supervisor another firstmate (pid {supervisor}) runs in /run/firstmate: stop it first\n"
    )
    elsewhere = whole.a.run([*RUN, "run", "-c", config], env={"FIRSTMATE_RUNTIME": "/run/elsewhere"})
    assert elsewhere.returncode == 75
    assert elsewhere.stderr.startswith(f"ERROR supervisor another firstmate (pid {supervisor}) works in this network")
    assert whole.a.holds_vip()
    assert whole.daemons.trouble(whole.a) == ""


# The interface


def test_interface_is_missing_at_the_start(bare: Pair) -> None:
    config = bare.config.replace("[[vrrp]]\n", '[[vrrp]]\ninterface = "eth7"\n')
    daemon = start(bare, config=config)
    assert daemon.wait(END_US) == 78
    assert "eth7" in bare.log(bare.b)
    assert "Traceback" not in bare.log(bare.b)


def test_own_address_is_missing_at_the_start(bare: Pair) -> None:
    daemon = start(bare, config=bare.config.replace("10.0.1.11", "10.0.1.12"))
    assert daemon.wait(END_US) == 78
    assert "Traceback" not in bare.log(bare.b)


def test_interface_goes_away_and_comes_back(bare: Pair) -> None:
    def make() -> None:
        for words in ("link add dm0 type veth peer name dm1", "link set dm1 up", "link set dm0 up",
                      "address add 10.9.9.11/24 dev dm0"):  # fmt: skip
            done = bare.b.run(["ip", *words.split()])
            assert done.returncode == 0, done.stderr

    make()
    config = bare.config.replace("10.0.1.80/24", "10.9.9.80/24").replace("10.0.1.10", "10.9.9.10")
    start(bare, config=config.replace("10.0.1.11", "10.9.9.11"))
    until_state(bare, RouterState.MASTER)
    bare.b.run(["ip", "link", "delete", "dm0"])
    until_state(bare, RouterState.FAULT)
    bare.hears(bare.b, "FAULT (was MASTER): link dm0: ")
    make()
    until_state(bare, RouterState.MASTER)
    bare.until(lambda: {"10.9.9.80"} - set(bare.b.addresses()), "the address")
    # The new interface has another index: what is kept to speak for a killed pulse must belong to it.
    bare.kill(bare.b, "pulse")
    bare.hears(bare.b, "pulse died: said priority 0 1 times and released 1 addresses for it\n")
    until_state(bare, RouterState.MASTER)
    bare.b.run(["ip", "link", "delete", "dm0"])


# Others on the network


def test_stranger_with_our_vrid_is_named_and_refused(whole: Pair) -> None:
    advert = Advert(3, 51, 255, 100 * MS, (IPv4Address(VIP),))
    stranger = whole.lab.hosts(Role.WEB)[0]
    source, target = IPv4Address(stranger.plan.address), IPv4Address(whole.a.plan.address)
    with stranger.open_socket(socket.AF_INET, socket.SOCK_RAW, 112) as end:
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        for _ in range(3):
            end.sendto(encode(advert, source, target, ChecksumForm.PSEUDO), (str(target), 0))
    whole.hears(whole.a, f"refused an advert of {source}")
    whole.until(lambda: [] if sum(read_status(whole.a).routers[0].counters.values()) else ["nothing"], "the counters")
    assert whole.log(whole.a).count(f"refused an advert of {source}") == 1
    assert whole.a.holds_vip()
    assert whole.lab.leader() == "lb-a"


# Files and channels of our own


def test_plan_is_damaged(whole: Pair) -> None:
    whole.a.run(["sh", "-c", "echo '{' > /run/firstmate/plan.json; echo '{' > /run/firstmate/pulse.json"])
    whole.kill(whole.a, "pulse", signal.SIGHUP)  # not by the supervisor: it would write the plan first
    whole.kill(whole.a, "ops", signal.SIGHUP)
    whole.hears(whole.a, "the new plan cannot be read, the old one stands", "the plan before goes on")
    assert whole.a.holds_vip()
    whole.kill(whole.a, "pulse")  # the next one gets the plan anew
    whole.hears(whole.a, "pulse ended (killed by signal 9)")
    whole.until_leads("lb-a")
    assert "ended (exit" not in whole.log(whole.a)


def test_api_socket_is_removed(whole: Pair) -> None:
    whole.a.run(["rm", "/run/firstmate/api.sock"])
    whole.hears(whole.a, "the socket of the API was removed: made anew")
    whole.until(lambda: whole.daemons.trouble(whole.a), "the status")
    assert whole.a.run([*RUN, "status"]).returncode == 0
    assert whole.lab.leader() == "lb-a"
    assert "MASTER" not in whole.log(whole.b)


@pytest.mark.parametrize("channel", ["PULSE", "SUPERVISOR"])
def test_nonsense_of_ops_is_ignored(whole: Pair, channel: str) -> None:
    pids = sorted(process.pid for process in whole.a.processes())
    done = whole.a.run([sys.executable, "-c", INTRUDER, channel])
    if "Operation not permitted" in done.stderr:
        pytest.skip("this kernel does not let us take a descriptor of ops")
    assert done.returncode == 0, done.stderr
    asked = read_status(whole.a).as_of
    whole.until(lambda: "" if read_status(whole.a).as_of > asked else "no answer yet", "ops")
    assert sorted(process.pid for process in whole.a.processes()) == pids
    assert whole.log(whole.a) == ""
    assert whole.a.holds_vip()
    whole.scene.inject("haproxy-crash", "lb-a")  # the channels carry what is true as before
    whole.hears(whole.a, "haproxy ended (killed by signal 9)", "HAProxy 2.", "MASTER (was BACKUP)")


def test_disk_is_full(bare: Pair) -> None:
    small = "/run/small"
    mounted = bare.b.run(["sh", "-c", f"mkdir -p {small} && mount -t tmpfs -o size=512k small {small}"])
    assert mounted.returncode == 0, mounted.stderr
    fill = ["dd", "if=/dev/zero", f"of={small}/fill", "bs=4k"]
    bare.b.run(fill)
    refused = start(bare, env={"FIRSTMATE_RUNTIME": small})
    assert refused.wait(END_US) == 69
    assert f"ERROR supervisor {small} cannot be the runtime directory: No space left on device\n" in bare.log(bare.b)
    bare.b.run(["rm", f"{small}/fill"])
    start(bare, env={"FIRSTMATE_RUNTIME": small})
    bare.until(lambda: "" if bare.b.holds_vip() else "not yet", "the address")
    pids = sorted(process.pid for process in haproxy(bare.b.processes()))
    bare.b.run(fill)
    file = bare.b.directory / CONFIG
    file.write_text(bare.config.replace('"500ms"', '"700ms"'))
    bare.reload(bare.b)
    bare.hears(bare.b, f"reload refused: {small} cannot be written (No space left on device); the old plan goes on")
    bare.kill(bare.b, "pulse")
    bare.hears(bare.b, "pulse ended (killed by signal 9)")
    bare.kill(bare.b, "ops")
    bare.hears(bare.b, "ops ended (killed by signal 9)", "no MASTER heard")
    bare.until(lambda: "" if bare.b.holds_vip() else "not yet", "the address")
    assert sorted(process.pid for process in haproxy(bare.b.processes())) == pids
    bare.b.run(["rm", f"{small}/fill"])
    bare.reload(bare.b)
    bare.hears(bare.b, "reloaded: configuration")
    assert "Traceback" not in bare.log(bare.b)
    assert Firstmate().part(bare.b.processes(), "run")


def test_orphans_of_a_container_are_buried(bare: Pair) -> None:
    """As process 1 the daemon inherits HAProxy's workers when their master is killed."""
    outside = start(bare, before=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    bare.until(lambda: "" if bare.b.holds_vip() else "not yet", "the address")
    census = bare.census(bare.b)
    masters = [one for one in census if "-W" in one["words"]]
    pid = min(one["pid"] for one in masters)
    bare.b.run(["sh", "-c", f"kill -KILL {pid}"])  # the shell's own: a bare system has no other
    bare.hears(bare.b, "haproxy ended (killed by signal 9)", "BACKUP (was FAULT): fit again")
    zombies = [one["words"] for one in bare.census(bare.b) if one["status"]["State"].startswith("Z")]
    assert not zombies
    assert not {one["pid"] for one in masters} & {one["pid"] for one in bare.census(bare.b)}
    outside.signal(signal.SIGKILL)
    bare.until(lambda: [one["words"] for one in bare.census(bare.b) if "-W" in one["words"]], "the container's end")
