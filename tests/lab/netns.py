"""A site of network namespaces for one test: two balancers and a client on a switch, and an eye on every cable.

The namespaces have no names: file descriptors of the test keep them, so that nothing is left behind even when
it is killed.
"""

import ctypes
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from tests.vectors.vrrp.oracle import SeenAdvert, SeenArp, judge

CLONE_NEWNET = 0x40000000
A, B, CLIENT = (IPv4Interface(f"192.0.2.{n}/24") for n in (11, 12, 20))
VIP = IPv4Interface("192.0.2.100/24")
MACS = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b", "client": "02:00:00:00:00:0c"}
ADDRESSES = {"a": A, "b": B, "client": CLIENT}

SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
PACKET_OUTGOING = 4
OBSERVED_OCTETS = 8 << 20  # a test's worth of frames waits in the kernel until it is asked for

_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Why no namespaces can be made here; empty: they can."""
    if os.geteuid() != 0:
        return "network namespaces and raw sockets need root"
    if shutil.which("ip") is None:
        return "needs ip of iproute2"
    try:
        Namespace().close()
    except OSError as error:
        return f"the kernel makes no network namespace: {error.strerror}"
    return ""


class Namespace:
    """A network namespace; it ends with its descriptor and its last process. Raises `OSError`."""

    def __init__(self) -> None:
        with _returning():
            _checked(_libc.unshare(CLONE_NEWNET))
            self.fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.fd)

    def enter(self) -> None:
        _checked(_libc.setns(self.fd, CLONE_NEWNET))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets made inside belong to this namespace, and /proc/net speaks of it."""
        with _returning():
            self.enter()
            yield

    def ip(self, *commands: str) -> None:
        """Run commands of `ip`, all at once."""
        self.run(["ip", "-batch", "-"], "\n".join(commands))

    def run(self, command: Sequence[str], text: str = "") -> str:
        """Run a command to its end; its output. Fails with what it said."""
        done = subprocess.run(
            command, input=text, preexec_fn=self.enter, capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}{text}"
        return done.stdout

    def start(self, command: Sequence[str], log: Path, **options: object) -> subprocess.Popen[bytes]:
        """Start a program in it; what it writes goes to the file."""
        with log.open("ab") as file:
            return subprocess.Popen(  # type: ignore[call-overload, no-any-return] # options are Popen's
                command,
                preexec_fn=self.enter,  # noqa: PLW1509 - tests have no threads
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                **options,
            )


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that entered the switch."""

    at: float  # seconds, CLOCK_REALTIME: `time.time()`
    host: str  # who sent it
    what: SeenAdvert | SeenArp


class Observer:
    """Every advert and ARP that a host sends into the switch, with the kernel's time, judged by the oracle."""

    def __init__(self, switch: Namespace) -> None:
        with switch.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, OBSERVED_OCTETS)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._seen: list[Seen] = []
        self.unreadable: list[tuple[str, bytes]] = []  # host and frame: an advert or ARP that is none

    def close(self) -> None:
        self._socket.close()

    def look(self) -> list[Seen]:
        """Everything seen so far."""
        while True:
            try:
                frame, ancillary, _, (port, _, direction, *_) = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return self._seen
            if direction == PACKET_OUTGOING or not port.startswith("p-"):
                continue
            host = port.removeprefix("p-")
            try:
                what = judge(frame)
            except (ValueError, IndexError, struct.error):
                self.unreadable.append((host, frame))
                continue
            if what is not None:
                seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
                self._seen.append(Seen(seconds + nanoseconds / 1e9, host, what))

    def adverts(self, host: str, since: float = 0) -> list[tuple[float, SeenAdvert]]:
        return [
            (one.at, one.what)
            for one in self.look()
            if one.host == host and one.at >= since and isinstance(one.what, SeenAdvert)
        ]

    def arps(self, host: str, since: float = 0) -> list[tuple[float, SeenArp]]:
        """Gratuitous ones for the virtual address."""
        return [
            (one.at, one.what)
            for one in self.look()
            if one.host == host and one.at >= since and isinstance(one.what, SeenArp)
            if one.what.gratuitous and one.what.sender_ip == str(VIP.ip)
        ]

    def priorities(self, host: str, since: float = 0) -> list[int]:
        return [advert.priority for _, advert in self.adverts(host, since)]

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Until the condition holds, looked at with each frame and every 5 ms."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            select.select([self._socket], [], [], 0.005)
            self.look()
            time.sleep(0.001)


class Site:
    """Hosts `a`, `b` and `client` with an interface eth0 each, plugged into a switch."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        try:
            self.switch = self._namespace()
            self.hosts = {name: self._namespace() for name in ADDRESSES}
            self.switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set br0 up")
            for name in self.hosts:
                self.plug(name)
            self.observer = Observer(self.switch)
            self._stack.callback(self.observer.close)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def _namespace(self) -> Namespace:
        made = Namespace()
        self._stack.callback(made.close)
        with made.entered():
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        made.ip("link set lo up")
        return made

    def plug(self, name: str) -> None:
        """Give a host its interface and its address."""
        host = f"/proc/{os.getpid()}/fd/{self.hosts[name].fd}"
        self.switch.ip(
            f"link add p-{name} type veth peer name eth0 netns {host} address {MACS[name]}",
            f"link set p-{name} master br0 up",
        )
        self.hosts[name].ip(f"addr add {ADDRESSES[name]} dev eth0", "link set eth0 up")

    def unplug(self, name: str) -> None:
        """Remove the interface of a host for good."""
        self.switch.ip(f"link del p-{name}")

    def carrier(self, name: str, *, on: bool) -> None:
        self.switch.ip(f"link set p-{name} {'up' if on else 'down'}")

    def partition(self, *, on: bool) -> None:
        """The balancers do not hear each other, and the client hears both."""
        state = "on" if on else "off"
        for name in ("a", "b"):
            self.switch.ip(f"link set p-{name} type bridge_slave isolated {state}")

    def addresses(self, name: str) -> set[IPv4Interface]:
        words = self.hosts[name].run(["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).split()
        return {IPv4Interface(words[at + 1]) for at, word in enumerate(words) if word == "inet"}

    def has_vip(self, name: str) -> bool:
        return VIP in self.addresses(name)

    def whom_the_client_asks(self) -> str:
        """The MAC that the client knows for the virtual address; empty: none."""
        with self.hosts["client"].entered():
            table = Path("/proc/thread-self/net/arp").read_text().splitlines()[1:]
        return next((line.split()[3] for line in table if line.split()[0] == str(VIP.ip)), "")

    def client_talks(self) -> None:
        """Have the client look up the virtual address, so that it has an entry that ARP can change."""
        with self.hosts["client"].entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((str(VIP.ip), 9))
            sender.send(b"hello")

    def inject(self, name: str, pdu: bytes, source: IPv4Address, destination: IPv4Address, ttl: int = 255) -> None:
        """Send bytes by protocol 112 from a host, with any source."""
        header = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(pdu), 0, 0, ttl, 112, 0)
        with self.hosts[name].entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ADDRESSES[name].ip.packed)
            sender.sendto(header + source.packed + destination.packed + pdu, (str(destination), 0))


@contextmanager
def _returning() -> Iterator[None]:
    """Back to our own namespace at the end."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _checked(_libc.setns(home, CLONE_NEWNET))
        os.close(home)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
