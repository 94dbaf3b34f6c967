"""The lab itself, without what runs in it: it comes, it goes, its faults are real, its measure is true."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

import firstmate
from firstmate.lab import kernel, state
from firstmate.lab.lab import Lab, now_us, wait_until
from firstmate.lab.observer import Observer
from firstmate.lab.probe import Probe
from firstmate.lab.sightings import Kind
from firstmate.lab.topology import standard_site
from firstmate.lab.wire import LabError
from firstmate.model.units import MS, S

pytestmark = pytest.mark.lab

HOLD = "import sys, time; from firstmate.lab.lab import Lab; lab = Lab(name=sys.argv[1]); lab.up(); print('up', flush=True); time.sleep(60)"
NOBODY = 65534


def _namespaces() -> set[str]:
    """Every network and process namespace that some process is in."""
    found = set()
    for process in Path("/proc").iterdir():
        for kind in ("net", "pid"):
            try:
                found.add(str((process / "ns" / kind).readlink()))
            except OSError:
                continue
    return found


def _of_lab(name: str) -> list[int]:
    """Processes that were started for this lab, told by their command line."""
    pids = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and f"/{name}".encode() in (process / "cmdline").read_bytes():
                pids.append(int(process.name))
        except OSError:
            continue
    return pids


def _gone(name: str) -> str:
    if state.directory_of(name).exists():
        return "its directory is still there"
    return f"processes {_of_lab(name)}" if _of_lab(name) else ""


def _hold(name: str) -> "subprocess.Popen[str]":
    """Another process that makes a lab and holds it."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, name], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_down_leaves_nothing(lab: Lab) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    ours = {host.name for host in lab.balancers}
    before = _namespaces()
    seen_inside = len(lab.processes())
    lab.down()

    assert ours == {"lb-a", "lb-b"}
    assert seen_inside == len(standard_site().hosts) - 4  # the web servers: no balancer runs anything yet
    assert _gone(lab.directory.name) == ""
    assert len(before - _namespaces()) >= 2 * len(standard_site().hosts)
    assert Path("/proc/self/mounts").read_text() == mounts


def test_hosts_do_not_mix(lab: Lab) -> None:
    for host in lab.balancers:
        done = host.run(["sh", "-c", "hostname; echo $$; touch /run/mine; ls /run; ls /sys/class/net"])
        assert done.returncode == 0, done.stderr
        hostname, pid, *rest = done.stdout.split()
        assert hostname == host.name
        assert int(pid) < 10  # a process namespace of its own begins at 1
        assert {"mine", "eth0"} <= set(rest)
        assert host.addresses() == ["127.0.0.1", host.plan.address]
    assert not Path("/run/mine").exists()


def test_a_command_that_does_not_exist_says_so(lab: Lab) -> None:
    with pytest.raises(LabError, match="lb-a: /no/such/thing: No such file"):
        lab.host("lb-a").run(["/no/such/thing"])
    with pytest.raises(LabError, match=r'no host "lb-z"; it has .*lb-a, lb-b'):
        lab.host("lb-z")


def test_the_same_lab_twice_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="is up already"):
        Lab(lab.site, name=lab.directory.name).up()
    assert lab.host("client").addresses()  # and the first is unharmed


def test_another_process_can_attach_and_take_it_down(lab: Lab) -> None:
    other = Lab.attach(lab.directory.name)
    other.note(said="hello")
    assert lab.notes() == {"said": "hello"}
    assert other.site == lab.site
    other.down()
    assert _gone(lab.directory.name) == ""
    with pytest.raises(LabError, match="the lab is down"):
        lab.processes()


def test_a_killed_client_takes_its_lab_along(lab: Lab, lab_name: str) -> None:
    name = f"{lab_name}-k"
    holder = _hold(name)
    assert state.is_running(state.directory_of(name))
    holder.kill()
    holder.communicate()
    wait_until(lambda: _gone(name), 5 * S, "clearing up after the client")
    assert lab.host("client").addresses()  # the other lab is unharmed


def test_what_a_killed_lab_left_is_cleared(lab_name: str, lab: Lab) -> None:
    del lab  # only to skip where labs are not allowed
    name = f"{lab_name}-g"
    holder = _hold(name)
    directory = state.directory_of(name)
    os.kill(state.living(directory)["guardian"], signal.SIGKILL)
    wait_until(lambda: "" if not state.is_running(directory) else "the keeper lives", 5 * S, "the keeper's end")
    assert directory.exists()  # nobody was left to remove it
    with Lab(name=name) as again:
        assert again.host("client").addresses()
    assert _gone(name) == ""
    holder.kill()
    holder.communicate()


def test_a_pid_used_again_is_not_ours(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    directory.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    (directory / state.STATE).write_text(f'{{"keeper": [{sleeper.pid}, {(kernel.start_ticks(sleeper.pid) or 0) - 1}]}}')
    assert not state.is_running(directory)
    state.clear(directory)
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_takes_its_lab_along(lab: Lab, lab_name: str, number: int, code: int) -> None:
    del lab
    name = f"{lab_name}-i"
    command = [sys.executable, "-m", "firstmate", "lab", "demo", "--name", name]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs us in the background has it ignored
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    control = state.directory_of(name) / state.CONTROL
    wait_until(lambda: "" if control.exists() else "no lab yet", 10 * S, "starting the demo")
    time.sleep(0.5)  # in the middle of building, or just after
    demo.send_signal(number)
    assert demo.wait(15) == code
    assert _gone(name) == ""


def _hears(sender: socket.socket, receiver: socket.socket, address: str) -> bool:
    sender.sendto(b"hello", (address, 4000))
    receiver.settimeout(0.3)
    try:
        return receiver.recv(16) == b"hello"
    except TimeoutError:
        return False


def test_a_partition_is_real_and_only_between_balancers(lab: Lab) -> None:
    hosts = {name: lab.host(name) for name in ("client", "lb-a", "lb-b", "web1")}
    sockets = {name: host.open_socket(socket.AF_INET, socket.SOCK_DGRAM) for name, host in hosts.items()}
    for sock in sockets.values():
        sock.bind(("0.0.0.0", 4000))

    def heard() -> dict[str, bool]:
        pairs = [("lb-a", "lb-b"), ("lb-b", "lb-a"), ("client", "lb-a"), ("client", "lb-b"), ("lb-b", "web1")]
        return {f"{a} {b}": _hears(sockets[a], sockets[b], hosts[b].plan.address) for a, b in pairs}

    assert all(heard().values())
    lab.partition()
    assert lab.ports()["lb-a"] == {"down": False, "isolated": True}
    assert [pair for pair, ok in heard().items() if not ok] == ["lb-a lb-b", "lb-b lb-a"]
    lab.join()
    assert all(heard().values())
    for sock in sockets.values():
        sock.close()


def test_a_pulled_cable_takes_the_carrier(lab: Lab) -> None:
    host = lab.host("lb-a")
    assert host.read_text("/sys/class/net/eth0/carrier").strip() == "1"
    host.set_cable(plugged=False)
    assert host.read_text("/sys/class/net/eth0/carrier").strip() == "0"
    assert lab.ports()["lb-a"]["down"]
    host.set_cable(plugged=True)
    assert host.read_text("/sys/class/net/eth0/carrier").strip() == "1"


def test_the_prober_measures_an_outage_that_we_know(lab: Lab) -> None:
    web = lab.host("web1")
    with Probe(lab, target=f"{web.plan.address}:80") as probe:
        probe.wait_good(300 * MS, 10 * S)
        cut_us = web.set_cable(plugged=False)
        time.sleep(0.4)
        mended_us = web.set_cable(plugged=True)
        probe.settle()
        lost = probe.outage(cut_us)
        before = probe.outage(cut_us - 200 * MS, cut_us)
    if lost.disturbed:
        pytest.skip(f"the prober itself did not run for {lost.stall_us} us")
    known_us = mended_us - cut_us
    assert known_us - 10 * MS <= lost.gap_us <= known_us + 100 * MS
    assert lost.stopped_us is not None
    assert abs(lost.stopped_us - cut_us) <= 50 * MS
    assert lost.by_outcome.keys() == {"timeout"}
    assert lost.failed == pytest.approx(known_us / (2 * MS), rel=0.4)
    assert before.failed == 0
    assert {answer.server for answer in probe.answers() if not answer.failed} <= {"web1", ""}


def test_the_prober_tells_refused_from_silent(lab: Lab) -> None:
    with Probe(lab, target=f"{lab.host('web1').plan.address}:81", interval_us=20 * MS) as probe:
        begin_us = now_us()
        time.sleep(0.5)
        lost = probe.outage(begin_us)
    assert lost.by_outcome.keys() == {"refused"}
    assert lost.stopped_us is None


def test_the_observer_sees_who_claims_an_address(lab: Lab) -> None:
    host = lab.host("lb-b")
    mac, address = bytes.fromhex(host.plan.mac.replace(":", "")), socket.inet_aton(lab.site.vip)
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, address, bytes(6), address)
    with Observer(lab) as observer, host.open_socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        before_us = now_us()
        sock.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)
        after_us = now_us()
        time.sleep(0.05)
        seen = [s for s in observer.look() if s.kind is Kind.ARP]
        assert observer.look() == []
    assert [(s.host, s.address, s.mac) for s in seen] == [("lb-b", lab.site.vip, host.plan.mac)]
    assert before_us - 5 * MS <= seen[0].at_us <= after_us + 5 * MS


def test_a_crashed_web_server_is_started_again(lab: Lab) -> None:
    found = [process for process in lab.host("web2").processes() if "firstmate.lab.webserver" in process.argv]
    lab.kill(found, signal.SIGKILL)
    wait_until(lambda: "alive" if lab.host("web2").processes() else "", 2 * S, "SIGKILL")
    lab.start_webs()
    assert len(lab.host("web2").processes()) == 1


def _nobodys() -> dict[str, str]:
    """The environment of a user without rights, in which our packages are found."""
    paths = [str(Path(firstmate.__file__).parent.parent), *(path for path in sys.path if "site-packages" in path)]
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def _python_for_nobody() -> str:
    """An interpreter that a user without rights can execute, and that finds firstmate where we have it."""
    found = [sys.executable, *filter(None, [shutil.which("python3", path="/usr/bin:/usr/local/bin")])]
    for python in found:
        probe = [python, "-c", "import sys; assert sys.version_info >= (3, 11); import firstmate.lab.lab"]
        try:
            done = subprocess.run(
                probe,
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                env=_nobodys(),
                cwd="/",
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return python
        except OSError:
            continue
    return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are about the ordinary user already")
def test_an_ordinary_user_has_the_same_lab(lab_name: str) -> None:
    python = _python_for_nobody()
    if not python:
        pytest.skip("no Python and no checkout that an ordinary user may use")
    script = (
        "import sys; from firstmate.lab.lab import Lab; from firstmate.lab.wire import NotAllowed\n"
        "try:\n    lab = Lab(name=sys.argv[1]); lab.up()\n"
        "except NotAllowed as error:\n    print('refused', error); sys.exit()\n"
        "print(lab.host('lb-a').run(['id', '-u']).stdout.strip(), lab.directory); lab.down()\n"
    )
    done = subprocess.run(
        [python, "-c", script, lab_name],
        user=NOBODY, group=NOBODY, extra_groups=[], env=_nobodys(), cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.stdout.startswith("refused"):
        pytest.skip(done.stdout)
    assert done.stderr == ""
    uid, directory = done.stdout.split()
    assert uid == "0"  # root, as far as the host knows
    assert not Path(directory).exists()


def test_not_allowed_is_a_sentence_that_helps(tmp_path: Path, lab_name: str) -> None:
    """A user namespace that allows no further ones stands for a kernel that allows none."""
    limit = tmp_path / "sitecustomize.py"
    limit.write_text(
        "import errno\nfrom firstmate.lab import kernel\n"
        "def refuse(flags):\n    raise PermissionError(errno.EPERM, 'Operation not permitted')\n"
        "kernel.unshare = refuse\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "firstmate", "lab", "up", "--name", lab_name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 77
    assert "run the lab as root" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not state.directory_of(lab_name).exists()
