"""What a process does to itself: priority, memory, parent's death, name, capabilities."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import time

from firstmate.model.units import Micros

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 15, 38, 24
MCL_CURRENT, MCL_FUTURE = 1, 2
REALTIME_PRIORITY = 50  # as keepalived's users choose; above everything ordinary, below the kernel's own threads
RTTIME_US = 500 * 1000  # a loop that never sleeps for so long is broken: the kernel ends it
NICE_FALLBACK = -20
CAP_LAST = 40
CLONE_NEWNET = 0x40000000
NAMESPACES = "/run/netns"  # where `ip netns` keeps them
_DEEPER_THAN_ALLOWED = 100_000  # Python's limits are 1000 to 10,000 levels
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def clock_us() -> Micros:
    """The clock of every process of firstmate: it goes on while the host is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def enter_net_namespace(name: str) -> None:
    """Go into a network namespace of `ip netns`; every later socket and child is in it. Raises `OSError`."""
    fd = os.open(f"{NAMESPACES}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"{NAMESPACES}/{name}")
    finally:
        os.close(fd)


def utc_us() -> Micros:
    """The time of day, since 1970."""
    return time.time_ns() // 1000


def become_realtime(turn_us: Micros = RTTIME_US) -> bool:
    """SCHED_RR, or a high nice value where that is refused. True when it is real-time.

    A process that then does not sleep for `turn_us` is ended by the kernel (SIGXCPU).
    """
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (turn_us, 2 * turn_us))
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
    except (OSError, ValueError):
        be_nice(NICE_FALLBACK)
        return False
    return True


def be_nice(value: int) -> None:
    """Set the nice value of this process; without the right to, go on as we are."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, value)
    except OSError:
        return


def lock_memory() -> bool:
    """Keep every page in memory: a page fault from disk is longer than an advert interval.

    The limit goes first. Once CAP_IPC_LOCK is dropped it holds for us too, and each page still to come would be
    refused: Python sees that as MemoryError. Where it cannot be lifted, only what is there now is locked: the code
    and nearly all data. False: nothing could be locked.
    """
    _grow_stack()
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        flags = MCL_CURRENT | MCL_FUTURE
    except (OSError, ValueError):
        flags = MCL_CURRENT
    return bool(_libc.mlockall(flags) == 0)


def _grow_stack() -> None:
    """Use as much of the stack as Python lets its C code.

    A locked stack that may not grow ends the process by a SIGSEGV: one deeply nested message would do.
    """
    with contextlib.suppress(RecursionError):
        json.loads("[" * _DEEPER_THAN_ALLOWED)


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Get a signal when the parent ends; at once when it has ended already."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def set_name(name: str) -> None:
    """The name in `ps` and `top`: at most 15 octets."""
    _libc.prctl(PR_SET_NAME, name.encode()[:15] + b"\0", 0, 0, 0)


def keep_capabilities(*numbers: int) -> None:
    """Drop every capability but these, for good. Without the right to drop, nothing was there to lose."""
    for number in range(CAP_LAST + 1):
        if number not in numbers:
            _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    low = sum(1 << number for number in numbers if number < 32)
    high = sum(1 << (number - 32) for number in numbers if number >= 32)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    _libc.capset(ctypes.byref(header), ctypes.byref(data))
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
