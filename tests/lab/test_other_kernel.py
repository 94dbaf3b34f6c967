"""What the kernel at hand may lack: the tests of VRFs, inside a Linux that runs as an ordinary process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab.netns import why_not

ROOT = Path(__file__).parents[2]
WHY_NOT = why_not() or ("" if shutil.which("linux.uml") else "there is no linux.uml (Debian package user-mode-linux)")
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

BOOT_WAIT_S = 300
TESTS = ("tests/lab/test_routing.py", "tests/lab/test_vmac.py")
VRF_TESTS = 6  # in these files
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
mkdir -p /run/m/lib/modules /run/netns
ln -s /usr/lib/uml/modules/$(uname -r) /run/m/lib/modules/$(uname -r)
for module in ipv6 veth bridge macvlan vrf; do modprobe -d /run/m $module; done
ip link set lo up
cd {root}
export TMPDIR=/run
{python} -B -m pytest -p no:cacheprovider -q -rs {tests} -k vrf --timeout 200 > {answer} 2>&1
echo o > /proc/sysrq-trigger
sleep 1
"""


@pytest.mark.timeout(BOOT_WAIT_S + 20)
@pytest.mark.slow
def test_interfaces_in_a_vrf(tmp_path: Path) -> None:
    """Adverts, addresses, routes and macvlans of an interface that is in a VRF."""
    init, answer = tmp_path / "init.sh", tmp_path / "answer"
    init.write_text(INIT.format(root=ROOT, python=sys.executable, tests=" ".join(TESTS), answer=answer))
    init.chmod(0o755)
    command = [
        "linux.uml",
        "rootfstype=hostfs",
        "hostfs=/",
        "rw",
        "mem=512M",
        f"init={init}",
        "con=null",
        "con0=fd:0,fd:1",
    ]
    console = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BOOT_WAIT_S,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    said = answer.read_text() if answer.exists() else console.stdout.decode(errors="replace")[-3000:]
    assert f"{VRF_TESTS} passed" in said, said
    assert "failed" not in said, said
    assert "skipped" not in said, said
