"""Announcements, and the watch for others who make them, on a cable of two ends: eth0 is ours, peer0 the network."""

import os
import select
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from tests.lab.netns import MACS, Namespace, why_not

from firstmate.linux.conflicts import FRAMES_AT_ONCE, ConflictWatch
from firstmate.linux.neighbours import (
    Announcer,
    Claim,
    arp_probe,
    gratuitous_arp,
    neighbour_probe,
    unsolicited_advertisement,
)
from firstmate.linux.netlink import Netlink
from firstmate.model.addresses import Address
from firstmate.model.plan import Vip

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

IP, IP6 = IPv4Address("10.0.1.100"), IPv6Address("2001:db8::64")
MAC, THEIRS = bytes.fromhex(MACS["a"].replace(":", "")), bytes.fromhex("02000000000b")


@pytest.fixture
def wire(space: Namespace) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as end:
        end.bind(("peer0", 3))
        end.settimeout(2)
        yield end


def heard(wire: socket.socket, wanted: bytes) -> bool:
    """The frame comes; the kernel may say something of its own before it."""
    return any(wire.recv(2048) == wanted for _ in range(50))


@pytest.mark.parametrize("forwarding", [False, True])
def test_an_announcement_has_the_interfaces_mac_and_says_whether_it_forwards(
    space: Namespace, wire: socket.socket, *, forwarding: bool
) -> None:  # C86
    Path("/proc/sys/net/ipv6/conf/eth0/forwarding").write_text(str(int(forwarding)))
    voice = Announcer("eth0")
    voice.announce(IP)
    assert heard(wire, gratuitous_arp(IP, MAC))
    voice.announce(IP6)
    assert heard(wire, unsolicited_advertisement(IP6, MAC, router=forwarding))
    voice.close()


def test_a_macvlan_announces_its_virtual_mac(space: Namespace, wire: socket.socket) -> None:  # C13
    space.ip("link add vrrp.5 link eth0 address 00:00:5e:00:01:05 type macvlan mode private", "link set vrrp.5 up")
    voice = Announcer("vrrp.5")
    voice.announce(IP)
    assert heard(wire, gratuitous_arp(IP, bytes.fromhex("00005e000105")))
    voice.close()


def test_where_nobody_asks_for_addresses_nothing_is_said(space: Namespace, wire: socket.socket) -> None:
    space.ip("link set eth0 arp off")
    for interface in ("eth0", "lo"):
        voice = Announcer(interface)
        voice.announce(IP)
        voice.announce(IP6)
        voice.close()
    said = []
    while select.select([wire], [], [], 0)[0]:
        said.append(wire.recv(2048)[12:14])
    assert b"\x08\x06" not in said


def test_an_interface_that_is_not_there(space: Namespace) -> None:
    with pytest.raises(OSError, match="No such device"):
        Announcer("nowhere0")
    with pytest.raises(OSError, match="No such device"):
        ConflictWatch("nowhere0", 4)


def watch(*addresses: Address, family: int = 4) -> ConflictWatch:
    made = ConflictWatch("eth0", family)
    made.heed(addresses)
    return made


def test_somebody_elses_claims_are_told_once_each(wire: socket.socket) -> None:
    ears = watch(IP, IP6)
    ears6 = watch(IP, IP6, family=6)
    for _ in range(3):
        wire.send(gratuitous_arp(IP, THEIRS))
        wire.send(unsolicited_advertisement(IP6, THEIRS, router=False))
    assert select.select([ears, ears6], [], [], 2)[0] == [ears, ears6]
    assert (ears.receive(), ears6.receive()) == ([Claim(IP, THEIRS)], [Claim(IP6, THEIRS)])
    assert (ears.receive(), ears6.receive()) == ([], [])
    ears.close()
    ears6.close()


def test_other_traffic_wakes_nobody(wire: socket.socket) -> None:
    ears, ears6 = watch(IP), watch(IP6, family=6)
    wire.send(gratuitous_arp(IPv4Address("10.0.1.7"), THEIRS))
    wire.send(arp_probe(IP, THEIRS))
    wire.send(neighbour_probe(IP6, THEIRS))
    wire.send(b"\xff" * 6 + THEIRS + b"\x08\x00" + bytes(60))
    assert select.select([ears, ears6], [], [], 0)[0] == []
    ears.close()
    ears6.close()


def test_what_we_say_ourselves_is_no_conflict(wire: socket.socket) -> None:
    ears, voice = watch(IP), Announcer("eth0")
    voice.announce(IP)
    wire.send(gratuitous_arp(IP, MAC))  # a loop in the network
    assert ears.receive() == []
    virtual = bytes.fromhex("00005e000105")
    ears.heed([IP], [virtual])
    wire.send(gratuitous_arp(IP, virtual))
    assert ears.receive() == []
    ears.close()
    voice.close()


def test_a_flood_is_read_in_bounded_portions(wire: socket.socket) -> None:
    ears = watch(IP)
    for n in range(FRAMES_AT_ONCE + 5):
        wire.send(gratuitous_arp(IP, THEIRS[:5] + bytes([n])))
    assert len(ears.receive()) == FRAMES_AT_ONCE - 1  # one of them was ours
    assert len(ears.receive()) == 5
    ears.close()


def test_an_address_that_is_ours_no_longer_is_not_watched(wire: socket.socket) -> None:
    ears = watch(IP)
    wire.send(gratuitous_arp(IP, THEIRS))  # it waits in the queue
    ears.heed([])
    wire.send(gratuitous_arp(IP, THEIRS))
    assert ears.receive() == []
    ears.close()


@pytest.mark.parametrize("ip", [IP, IP6], ids=["IPv4", "IPv6"])
def test_a_silent_duplicate_answers_a_probe(space: Namespace, ip: Address) -> None:
    """The other end of the cable, in another namespace, has our address and says nothing of it."""
    other = Namespace()
    space.ip(f"link set peer0 netns /proc/{os.getpid()}/fd/{other.fd}")
    other.ip(f"link set peer0 address {THEIRS.hex(':')}", "link set peer0 up")
    with other.entered():
        theirs = Netlink()
        theirs.add_address(Vip(ip, 24 if ip.version == 4 else 64, "peer0"))
        theirs.close()
    ears = watch(ip, family=ip.version)
    assert ears.receive() == []
    for _ in range(50):  # the cable needs a moment after it was moved
        ears.probe(ip)
        if select.select([ears], [], [], 0.1)[0]:
            break
    assert ears.receive() == [Claim(ip, THEIRS)]
    ears.close()
    other.close()
