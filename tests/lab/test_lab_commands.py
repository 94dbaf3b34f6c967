"""`firstmate lab` as a person uses it, with the real daemon and HAProxy on the load balancers."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstmate.lab import state
from firstmate.lab.lab import Lab, wait_until
from firstmate.lab.wire import LabError
from firstmate.model.units import S

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed"),
]

GET = "import urllib.request as r; print(r.urlopen('http://10.0.1.80/', timeout=5).read().decode(), end='')"


def firstmate(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "firstmate", "lab", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    if done.returncode == 77:
        pytest.skip(done.stderr)
    return done


@pytest.fixture
def site(lab_name: str) -> Iterator[str]:
    """A lab that `lab up` made and left running."""
    done = firstmate("up", "--name", lab_name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    yield lab_name
    assert firstmate("down", "--name", lab_name).stdout == "the lab is down\n"
    assert not state.directory_of(lab_name).exists()


def _states(name: str) -> dict[str, dict[str, object]]:
    document = json.loads(firstmate("status", "-o", "json", "--name", name).stdout)
    assert document["schema"] == "lab/1"
    return {host["name"]: host for host in document["hosts"]}


def _holder(name: str) -> str:
    return ",".join(host for host, found in _states(name).items() if found.get("holds_address"))


def test_a_person_breaks_and_mends_the_site(site: str) -> None:
    assert _holder(site) == "lb-a"
    table = firstmate("status", "--name", site).stdout
    assert re.search(r"lb-a +10\.0\.1\.10 +holds 10\.0\.1\.80", table)
    assert re.search(r"web5 +10\.0\.1\.25 +up", table)

    answer = firstmate("shell", "--name", site, "client", sys.executable, "-c", GET)
    assert re.fullmatch(r"web\d via 10\.0\.1\.10\n", answer.stdout)

    assert "heal" in firstmate("fault", "daemon-kill", "--name", site).stdout
    wait_until(lambda: "" if _states(site)["lb-b"]["holds_address"] else "not yet", 5 * S, "the takeover")
    assert _states(site)["lb-a"]["daemon"] is False
    assert "no daemon" in firstmate("status", "--name", site).stdout

    again = firstmate("fault", "pulse-kill", "lb-a", "--name", site)
    assert again.returncode == 69
    assert "lb-a: pulse of firstmate does not run" in again.stderr

    assert firstmate("heal", "--name", site).stdout == "lb-a: firstmate started\n"
    wait_until(lambda: "" if _holder(site) == "lb-a" else _holder(site), 15 * S, "the way back")
    assert firstmate("heal", "--name", site).stdout == "nothing was broken\n"


def test_the_second_up_says_that_there_is_one(site: str) -> None:
    done = firstmate("up", "--name", site)
    assert done.returncode == 69
    assert "is up already" in done.stderr


def test_a_shell_has_a_terminal(site: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "firstmate", "lab", "shell", "--name", site, "lb-b", "/bin/sh"]
    shell = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    os.write(ours, b"tty; hostname; exit 7\n")
    shown = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    assert shell.wait(10) == 7
    os.close(ours)
    assert re.search(rb"/dev/pts/\d+\r\nlb-b\r\n", shown)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status"], "no lab is up"),
        (["heal"], "no lab is up"),
        (["fault", "haproxy-crash"], "no lab is up"),
        (["up", "--name", "Not A Name"], "is no name for a lab"),
    ],
)
def test_without_a_lab_each_command_says_so(words: list[str], says: str, lab_name: str) -> None:
    done = firstmate(*words, *([] if "--name" in words else ["--name", lab_name]))
    assert done.returncode == 69
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_down_without_a_lab_is_harmless(lab_name: str) -> None:
    done = firstmate("down", "--name", lab_name)
    assert (done.returncode, done.stdout) == (0, "no lab was up\n")


def test_every_fault_is_listed() -> None:
    names = {line.split()[0] for line in firstmate("fault", "list").stdout.splitlines()}
    assert names == {
        "haproxy-crash", "haproxy-hang", "pulse-kill", "ops-kill", "daemon-kill", "daemon-freeze", "link-down",
        "partition", "web-down", "stop",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_demo_holds_its_limits_and_can_leave_the_lab(lab_name: str, tmp_path: Path) -> None:
    done = firstmate("demo", "--keep", "--name", lab_name, cwd=tmp_path)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS") == 2 * 5
    assert all(f"web{i}" in done.stdout for i in range(1, 6))
    page = (tmp_path / "report.html").read_text()
    assert "5 of 5 limits held" in page
    with pytest.raises(LabError, match="is up already"):
        Lab(name=lab_name).up()
    assert firstmate("down", "--name", lab_name).returncode == 0
    assert not state.directory_of(lab_name).exists()
