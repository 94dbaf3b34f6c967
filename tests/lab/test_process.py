"""What a process does to itself where the kernel has a say in it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.lab.netns import why_not

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def named() -> Iterator[str]:
    """A namespace as `ip netns` makes it, with an address on its loopback."""
    name = f"fm-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "addr", "add", "192.0.2.77/32", "dev", "lo"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_sockets_and_children_are_in_the_namespace_that_was_entered(named: str) -> None:
    program = (
        "import subprocess; from firstmate.linux.process import enter_net_namespace;"
        "from firstmate.linux.netlink import Netlink;"
        f"enter_net_namespace({named!r}); print([str(one.ip) for one in Netlink().addresses()]);"
        "print(subprocess.run(['ip', '-4', '-o', 'addr'], capture_output=True, text=True).stdout)"
    )
    own, seen_by_child = run(program).split("\n", 1)
    assert own == "['192.0.2.77']"
    assert "192.0.2.77/32" in seen_by_child
    assert "eth0" not in seen_by_child


def test_what_is_real_time_is_neither_swapped_nor_inherited() -> None:
    """SCHED_RR where it is allowed, every page locked; a child begins as an ordinary process."""
    program = (
        "import os, re; from firstmate.linux.process import become_realtime, lock_memory;"
        "print(become_realtime(), lock_memory(), os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR);"
        "status = open('/proc/self/status').read();"
        "locked, size = (int(re.search(f'{name}:\\\\s*(\\\\d+)', status)[1]) for name in ('VmLck', 'VmRSS'));"
        "print(locked >= size // 2);"
        "child = os.fork();"
        "os._exit(os.sched_getscheduler(0)) if child == 0 else print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    asked, locked, inherited = run(program).splitlines()
    realtime, memory, policy = asked.split()
    if realtime == "False":
        pytest.skip("the kernel allows no real-time scheduling here")
    assert (memory, policy, locked) == ("True", "True", "True")
    assert int(inherited) == os.SCHED_OTHER
