"""Two hosts on a few wires, in network namespaces without names: nothing is left behind even by a kill.

Interface K of both hosts (`eth0`, `eth1`, ...) is plugged into bridge K of a third namespace, the switch. Neighbours
are written down for good, so that no advert waits for an answer to ARP that a cut wire keeps away.
"""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Self

from firstmate.lab import kernel

HOSTS = ("lb-a", "lb-b")  # the first is preferred
PREFIX = 16
VIPS_PER_OCTET = 250

_SETTLE_S = 0.01
_LINK_UP_S = 5.0
_RTM_SETLINK, _NLM_F_REQUEST, _NLM_F_ACK, _NLMSG_ERROR = 19, 1, 4, 2
_AF_BRIDGE, _IFLA_PROTINFO, _NLA_F_NESTED, _IFLA_BRPORT_STATE = 7, 12, 0x8000, 1
_DISABLED, _FORWARDING = 0, 3  # without STP the kernel lets a port that is "blocking" forward again at once


def host_address(host: str, wire: int) -> IPv4Interface:
    return IPv4Interface(f"10.{10 + wire}.0.{HOSTS.index(host) + 1}/{PREFIX}")


def vip(number: int, wire: int) -> IPv4Interface:
    """The address of virtual router `number` (from 0) on a wire."""
    return IPv4Interface(f"10.{10 + wire}.{1 + number // VIPS_PER_OCTET}.{number % VIPS_PER_OCTET + 1}/{PREFIX}")


def port(host: str, wire: int) -> str:
    """The switch's end of a host's interface."""
    return f"{host[-1]}{wire}"


def _mac(host: str, wire: int) -> str:
    return f"02:00:00:00:{wire:02x}:{HOSTS.index(host) + 10:02x}"


class Namespace:
    """A network namespace; it ends with its descriptor and its last process. Raises `OSError`."""

    def __init__(self, own: int) -> None:
        self._own = own
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            kernel.setns(own, kernel.CLONE_NEWNET)

    def close(self) -> None:
        os.close(self.fd)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets made inside belong to this namespace, and /proc/thread-self/net speaks of it."""
        with kernel.inside(self._own, self.fd, kernel.CLONE_NEWNET):
            yield

    def enter(self) -> None:
        """For a child that is about to become another program."""
        kernel.setns(self.fd, kernel.CLONE_NEWNET)

    def ip(self, *commands: str) -> None:
        """Run commands of `ip`, all at once."""
        self._run(["ip", "-batch", "-"], "\n".join(commands))

    def show(self, *words: str) -> str:
        """What one command of `ip` prints."""
        return self._run(["ip", *words])

    def _run(self, command: Sequence[str], text: str = "") -> str:
        done = subprocess.run(
            command,
            input=text,
            preexec_fn=self.enter,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(f"ip: {done.stderr.strip()}")
        return done.stdout

    def start(self, command: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a program in it that dies with us; what it says goes to the end of the file."""

        def prepare() -> None:
            self.enter()
            kernel.die_with_parent()

        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                preexec_fn=prepare,  # noqa: PLW1509 - one thread
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment,
                start_new_session=True,
            )


class Wires:
    """Use it as a block: its end takes everything down."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self._stack.callback(os.close, own)
            self.switch, *hosts = (self._namespace(own) for _ in range(1 + len(HOSTS)))
            self.hosts = dict(zip(HOSTS, hosts, strict=True))
            for wire in range(self.count):
                self._lay(wire)
            self._wait_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut(self, host: str) -> None:
        """Nothing passes between the host and the others, on every wire; its carrier stays."""
        self._set_ports(host, _DISABLED)

    def mend(self, host: str) -> None:
        self._set_ports(host, _FORWARDING)

    def held(self, host: str) -> set[str]:
        """Every IPv4 address of the host."""
        words = self.hosts[host].show("-4", "-o", "addr", "show").split()
        return {words[at + 1].partition("/")[0] for at, word in enumerate(words) if word == "inet"}

    def open_file(self, host: str, name: str) -> int:
        """A file of /proc/net as that host has it, for `os.pread`. The caller closes it."""
        with self.hosts[host].entered():
            return os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def _namespace(self, own: int) -> Namespace:
        made = Namespace(own)
        self._stack.callback(made.close)
        with made.entered():
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1", encoding="ascii")
        made.ip("link set lo up")
        return made

    def _lay(self, wire: int) -> None:
        bridge = f"br{wire}"
        self.switch.ip(
            f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0", f"link set {bridge} up"
        )
        for host, namespace in self.hosts.items():
            name, where = f"eth{wire}", f"/proc/{os.getpid()}/fd/{namespace.fd}"
            self.switch.ip(
                f"link add {port(host, wire)} type veth peer name {name} netns {where} address {_mac(host, wire)}",
                f"link set {port(host, wire)} master {bridge} up",
            )
            others = [other for other in HOSTS if other != host]
            namespace.ip(
                f"addr add {host_address(host, wire)} dev {name}",
                f"link set {name} up",
                *(
                    f"neigh replace {host_address(other, wire).ip} lladdr {_mac(other, wire)} nud permanent dev {name}"
                    for other in others
                ),
            )

    def _wait_up(self) -> None:
        """A port forwards a moment after its link is up."""
        deadline = time.monotonic() + _LINK_UP_S
        while self._ports().count("state forwarding") < len(HOSTS) * self.count:
            if time.monotonic() > deadline:
                raise OSError("the wires do not come up")
            time.sleep(_SETTLE_S)

    def _ports(self) -> str:
        """One line for each port of the switch."""
        return self.switch.show("-d", "-o", "link", "show", "type", "bridge_slave")

    def _set_ports(self, host: str, state: int) -> None:
        """By one netlink message each: `ip` would take longer to start than an interval of 10 ms."""
        with self.switch.entered():
            netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
            indexes = [socket.if_nametoindex(port(host, wire)) for wire in range(self.count)]
        with netlink:
            for index in indexes:
                netlink.send(_port_message(index, state))
                kind, error = struct.unpack_from("=4xH10xi", netlink.recv(4096))
                if kind != _NLMSG_ERROR or error:
                    raise OSError(-error, f"port of {host}: {os.strerror(-error)}")


def _port_message(index: int, state: int) -> bytes:
    """RTM_SETLINK of a bridge's port (linux/if_link.h)."""
    attribute = struct.pack("=HHB3x", 5, _IFLA_BRPORT_STATE, state)
    nested = struct.pack("=HH", 4 + len(attribute), _IFLA_PROTINFO | _NLA_F_NESTED) + attribute
    body = struct.pack("=BxHiII", _AF_BRIDGE, 0, index, 0, 0) + nested
    return struct.pack("=IHHII", 16 + len(body), _RTM_SETLINK, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0) + body
