"""The cables of the lab: a bridge for the switch, a veth pair for each host, spoken to the kernel by netlink.

Used by the keeper only. Importing pyroute2 takes a third of a second, so only the keeper does.
"""

import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute

from firstmate.lab import kernel
from firstmate.lab.hosts import Host
from firstmate.lab.topology import Role, Site
from firstmate.lab.wire import LabError

_BRIDGE = "br0"
_SIOCGIFCONF = 0x8912
_IFREQ_BYTES = 40  # struct ifreq on 64-bit Linux
_ADDRESSES_MAX = 512


class Wiring:
    """The network of one lab, built by the constructor."""

    def __init__(self, site: Site, hosts: Mapping[str, Host]) -> None:
        self._site = site
        self._hosts = hosts
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with self._netlink(site.of(Role.SWITCH)[0].name) as switch:
            self._build_switch(switch)
        for plan in site.hosts:
            self._furnish(plan.name)

    def set_port(self, name: str, *, up: bool) -> int:
        """Plug or pull the host's cable at the switch; returns the monotonic microsecond of it."""
        with self._netlink(self._switch) as switch:
            index = self._port_index(switch, name)
            now_us = time.monotonic_ns() // 1000
            switch.link("set", index=index, state="up" if up else "down")
        return now_us

    def set_isolated(self, names: list[str], *, isolated: bool) -> int:
        """Let the ports of `names` talk with all others but not with each other; returns when, in microseconds."""
        with self._netlink(self._switch) as switch:
            indexes = [self._port_index(switch, name) for name in names]
            now_us = time.monotonic_ns() // 1000
            for index in indexes:
                switch.brport("set", index=index, isolated=int(isolated))
        return now_us

    def ports(self) -> dict[str, dict[str, bool]]:
        """What is unusual about each host's port: `down`, `isolated`."""
        with self._netlink(self._switch) as switch:
            return {
                plan.name: {
                    "down": switch.get_links(self._port_index(switch, plan.name))[0]["state"] != "up",
                    "isolated": self._is_isolated(switch, plan.name),
                }
                for plan in self._site.hosts
                if plan.role is not Role.SWITCH
            }

    def addresses(self, name: str) -> list[str]:
        """The IPv4 addresses that the host has now."""
        with self.open_socket(name, socket.AF_INET, socket.SOCK_DGRAM, 0) as sock:
            return _interface_addresses(sock)

    def open_socket(self, name: str, family: int, kind: int, protocol: int) -> socket.socket:
        """A socket of that host: it stays in the host's network wherever it is passed."""
        with kernel.inside(self._own, self._hosts[name].net, kernel.CLONE_NEWNET):
            return socket.socket(family, kind, protocol)

    @property
    def _switch(self) -> str:
        return self._site.of(Role.SWITCH)[0].name

    @contextmanager
    def _netlink(self, name: str) -> Iterator[Any]:
        with kernel.inside(self._own, self._hosts[name].net, kernel.CLONE_NEWNET), IPRoute() as route:
            yield route

    def _build_switch(self, switch: Any) -> None:
        switch.link("add", ifname=_BRIDGE, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
        bridge = switch.link_lookup(ifname=_BRIDGE)[0]
        switch.link("set", index=bridge, state="up")
        for plan in self._site.hosts:
            if plan.role is Role.SWITCH:
                continue
            peer = {"ifname": "eth0", "address": plan.mac, "net_ns_fd": self._hosts[plan.name].net}
            switch.link("add", ifname=plan.port, kind="veth", peer=peer)
            switch.link("set", index=self._port_index(switch, plan.name), master=bridge, state="up")

    def _furnish(self, name: str) -> None:
        plan = self._site.named(name)
        with self._netlink(name) as route:
            route.link("set", index=1, state="up")
            if plan.role is Role.SWITCH:
                return
            index = route.link_lookup(ifname="eth0")[0]
            route.link("set", index=index, state="up")
            route.addr("add", index=index, address=plan.address, prefixlen=self._site.prefix)

    def _port_index(self, switch: Any, name: str) -> int:
        found = switch.link_lookup(ifname=self._site.named(name).port)
        if not found:
            message = f"{name} has no port at the switch"
            raise LabError(message)
        return int(found[0])

    def _is_isolated(self, switch: Any, name: str) -> bool:
        for message in switch.brport("show", index=self._port_index(switch, name)):
            info = message.get_attr("IFLA_PROTINFO")
            if info is not None:
                return bool(info.get_attr("IFLA_BRPORT_ISOLATED"))
        return False


def _interface_addresses(sock: socket.socket) -> list[str]:
    import array  # noqa: PLC0415  (a buffer that the kernel can write into)

    buffer = array.array("B", bytes(_ADDRESSES_MAX * _IFREQ_BYTES))
    address, size = buffer.buffer_info()
    answer = fcntl.ioctl(sock.fileno(), _SIOCGIFCONF, struct.pack("iL", size, address))
    used = struct.unpack("iL", answer)[0]
    if used >= size:
        raise OSError(errno.ENOBUFS, "too many addresses for one look")
    data = buffer.tobytes()[:used]
    return [socket.inet_ntoa(data[at + 20 : at + 24]) for at in range(0, used, _IFREQ_BYTES)]
