import os
import signal
import subprocess
import sys
import time

import pytest

from firstmate.linux import process


def test_the_clock_counts_microseconds_of_boot_time() -> None:
    before_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    now_us = process.clock_us()
    assert before_ns // 1000 <= now_us <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def test_who_has_lost_the_parent_already_dies_at_once() -> None:
    program = f"from firstmate.linux.process import die_with_parent; die_with_parent({os.getpid() + 1}); print('alive')"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"")


def test_who_has_its_parent_lives_under_its_name() -> None:
    program = (
        "from firstmate.linux.process import die_with_parent, set_name;"
        f"die_with_parent({os.getpid()}); set_name('a-name-far-too-long'); print(open('/proc/self/comm').read())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=20)
    assert done.stdout.split() == [b"a-name-far-too-"]


@pytest.mark.parametrize("name", ["firstmate-is-not-there", "."])
def test_a_network_namespace_that_is_none_is_named(name: str) -> None:
    with pytest.raises(OSError, match="/run/netns") as raised:
        process.enter_net_namespace(name)
    assert raised.value.filename.startswith("/run/netns/")


def test_deep_recursion_does_not_end_who_locked_its_memory() -> None:
    program = (
        "import json; from firstmate.linux.process import lock_memory, keep_capabilities;"
        "print(lock_memory()); keep_capabilities()\n"
        "try: json.loads('[' * 100_000)\n"
        "except RecursionError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, [b"refused"]), done.stderr
