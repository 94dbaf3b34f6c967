"""A network namespace of `ip netns`, entered as `net_namespace` of the file asks."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.lab.netns import why_not

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

FILE = """
[cluster]
name = "edge"
net_namespace = "{}"
[[node]]
name = "lb-a"
address = "192.0.2.11"
[[node]]
name = "lb-b"
address = "192.0.2.12"
[[vrrp]]
name = "web"
vrid = 1
addresses = ["192.0.2.100/24"]
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"firstmate-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(made.stderr)
    subprocess.run(["ip", "-n", name, "link", "add", "edge0", "type", "veth", "peer", "edge1"], check=False)
    subprocess.run(["ip", "-n", name, "address", "add", "192.0.2.11/24", "dev", "edge0"], check=False)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=False)


def test_what_comes_after_is_in_it(namespace: str) -> None:
    program = (
        "from firstmate.linux.process import enter_net_namespace\n"
        "from firstmate.linux.interfaces import read_host_facts\n"
        f"enter_net_namespace({namespace!r})\n"
        "print(*[interface.name for interface in read_host_facts().interfaces])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=20)
    assert sorted(done.stdout.split()) == ["edge0", "edge1", "lo"]


def test_check_looks_at_the_interfaces_in_it(namespace: str) -> None:
    command = [sys.executable, "-m", "firstmate", "check", "-"]
    done = subprocess.run(
        command, input=FILE.format(namespace), check=False, capture_output=True, text=True, timeout=20
    )
    assert "this host is lb-a" in done.stdout, done
