"""A site of network namespaces for one test: balancers and a client on a switch, and an eye on every cable.

The namespaces have no names: file descriptors of the test keep them, so that nothing is left behind even when
it is killed.
"""

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any

from tests.lab.observer import Observer

CLONE_NEWNET = 0x40000000
A, B, C, CLIENT = (IPv4Interface(f"192.0.2.{n}/24") for n in (11, 12, 13, 20))
A6, B6, C6, CLIENT6 = (IPv6Interface(f"fd00::{n}/64") for n in (11, 12, 13, 20))
LINK_A, LINK_B, LINK_C = (IPv6Address(f"fe80::ff:fe00:{n}") for n in ("a", "b", "d"))  # of the MACs below
VIP = IPv4Interface("192.0.2.100/24")
VIP6_LINK, VIP6 = IPv6Interface("fe80::100/64"), IPv6Interface("fd00::100/64")
MACS = {
    "a": "02:00:00:00:00:0a",
    "b": "02:00:00:00:00:0b",
    "c": "02:00:00:00:00:0d",
    "client": "02:00:00:00:00:0c",
}
ADDRESSES = {"a": A, "b": B, "c": C, "client": CLIENT}
ADDRESSES6 = {"a": A6, "b": B6, "c": C6, "client": CLIENT6}
LINK_LOCALS = {"a": LINK_A, "b": LINK_B, "c": LINK_C}
PAIR, TRIO = ("a", "b", "client"), ("a", "b", "c", "client")

GLANCE_S = 0.05  # so long is an answer of `ip` believed
# A host that is quiet in IPv6, and can use an address as soon as it has it.
HOST_SETTINGS = {
    "accept_dad": "0",
    "dad_transmits": "0",
    "accept_ra": "0",
    "autoconf": "0",
    "router_solicitations": "0",
    "keep_addr_on_down": "1",
}

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


class Site:
    """Hosts with an interface eth0 each, plugged into a switch; each but `client` is a balancer."""

    def __init__(self, hosts: Sequence[str] = PAIR) -> None:
        self._stack = ExitStack()
        self._glances: dict[tuple[str, ...], tuple[float, Any]] = {}
        try:
            self.switch = self._namespace({"disable_ipv6": "1"})
            self.hosts = {name: self._namespace(HOST_SETTINGS) for name in hosts}
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

    def _namespace(self, settings: dict[str, str]) -> Namespace:
        made = Namespace()
        self._stack.callback(made.close)
        with made.entered():
            for name, value in settings.items():
                Path(f"/proc/sys/net/ipv6/conf/default/{name}").write_text(value)
        made.ip("link set lo up")
        return made

    def plug(self, name: str) -> None:
        """Give a host its interface and its address."""
        host = f"/proc/{os.getpid()}/fd/{self.hosts[name].fd}"
        self.switch.ip(
            f"link add p-{name} type veth peer name eth0 netns {host} address {MACS[name]}",
            f"link set p-{name} master br0 up",
        )
        self.hosts[name].ip(
            f"addr add {ADDRESSES[name]} dev eth0", f"addr add {ADDRESSES6[name]} dev eth0", "link set eth0 up"
        )

    def unplug(self, name: str) -> None:
        """Remove the interface of a host for good."""
        self.switch.ip(f"link del p-{name}")

    def carrier(self, name: str, *, on: bool) -> None:
        self.switch.ip(f"link set p-{name} {'up' if on else 'down'}")

    def partition(self, *, on: bool) -> None:
        """The balancers do not hear each other, and the client hears both."""
        state = "on" if on else "off"
        for name in self.balancers:
            self.switch.ip(f"link set p-{name} type bridge_slave isolated {state}")

    @property
    def balancers(self) -> list[str]:
        return [name for name in self.hosts if name != "client"]

    def addresses(self, name: str) -> set[IPv4Interface]:
        words = self.hosts[name].run(["ip", "-4", "-o", "addr", "show", "dev", "eth0"]).split()
        return {IPv4Interface(words[at + 1]) for at, word in enumerate(words) if word == "inet"}

    def has_vip(self, name: str) -> bool:
        return VIP in self.addresses(name)

    def holds(self, name: str, address: IPv4Address | IPv6Address) -> bool:
        """Whether the host has it on an interface that works."""
        for link in self._glance(name, "address"):
            if link["operstate"] != "DOWN" and any(one["local"] == str(address) for one in link["addr_info"]):
                return True
        return False

    def whom_it_asks(self, name: str, address: IPv4Address | IPv6Address) -> str:
        """The MAC that a host knows for an address; empty: none."""
        return next(
            (one["lladdr"] for one in self._glance(name, "neigh") if one["dst"] == str(address) and "lladdr" in one), ""
        )

    def greet(self, *addresses: IPv4Address | IPv6Address) -> None:
        """Have the client look the addresses up, so that it has entries that ARP and NAs can change."""
        with self.hosts["client"].entered():
            for address in addresses:
                family = socket.AF_INET if address.version == 4 else socket.AF_INET6
                scope = (0, socket.if_nametoindex("eth0")) if address.is_link_local else ()
                with socket.socket(family, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"hello", (str(address), 9, *scope))

    def _glance(self, name: str, what: str) -> Any:
        """What `ip` says of a host; as of now, or of a moment ago."""
        at, seen = self._glances.get((name, what), (0.0, None))
        if time.monotonic() > at + GLANCE_S:
            seen = json.loads(self.hosts[name].run(["ip", "-json", what, "show"]) or "[]")
            self._glances[name, what] = (time.monotonic(), seen)
        return seen

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
