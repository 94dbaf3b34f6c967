"""The macvlan with the virtual MAC: how it is made, and that only it answers for what is on it."""

import json
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from tests.lab.netns import Namespace, why_not

from firstmate.linux import vmac
from firstmate.linux.interfaces import read_host_facts
from firstmate.linux.netlink import Link, Netlink
from firstmate.linux.sockets import AdvertSocket
from firstmate.model.addresses import Address
from firstmate.model.plan import Transport, Vip, Vmac

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

IP, IP6, ASKER = IPv4Address("10.0.1.100"), IPv6Address("fe80::64"), IPv4Address("10.0.1.7")
VIRTUAL, VIRTUAL6 = "00:00:5e:00:01:ff", "00:00:5e:00:02:ff"  # of VRID 255
V4, V6 = Vmac("vrrp.255", VIRTUAL), Vmac("vrrp6.255", VIRTUAL6)


def shown(space: Namespace, name: str) -> dict[str, Any]:
    return json.loads(space.run(["ip", "-json", "-d", "link", "show", name]))[0]  # type: ignore[no-any-return] # of ip


def setting(path: str) -> str:
    return Path(f"/proc/sys/net/{path}").read_text().strip()


def test_it_has_the_virtual_mac_and_no_address(space: Namespace, netlink: Netlink) -> None:  # C13
    for one in (V4, V6):
        link = vmac.prepare(netlink, one, "eth0")
        assert (link.name, link.mac.hex(":"), link.admin_up, link.ours) == (one.name, one.mac, True, True)
        seen = shown(space, one.name)
        assert (seen["link"], seen["ifalias"], seen["address"]) == ("eth0", "firstmate", one.mac)
        assert seen["linkinfo"]["info_data"]["mode"] == "vepa"
        assert seen["inet6_addr_gen_mode"] == "none"
        assert not [address for address in netlink.addresses() if address.index == link.index]
    assert (setting("ipv4/conf/eth0/arp_ignore"), setting("ipv4/conf/eth0/arp_announce")) == ("1", "2")


def test_its_settings(space: Namespace, netlink: Netlink) -> None:
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("1")
    vmac.prepare(netlink, V4, "eth0")
    wanted = {"ipv4": {"arp_ignore": "1", "rp_filter": "2", "accept_local": "1"}, "ipv6": {"accept_ra": "0"}}
    for family, settings in wanted.items():
        for name, value in settings.items():
            assert setting(f"{family}/conf/vrrp.255/{name}") == value


def test_it_speaks_ipv6_where_new_interfaces_do_not(space: Namespace, netlink: Netlink) -> None:
    Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    link = vmac.prepare(netlink, V6, "eth0")
    netlink.add_address(Vip(IP6, 64, V6.name))
    assert {one.ip for one in netlink.addresses() if one.index == link.index} == {IP6}


def test_it_is_in_the_vrf_of_its_parent(space: Namespace, netlink: Netlink) -> None:
    try:
        space.ip("link add blue type vrf table 1234")
    except AssertionError as error:
        pytest.skip(f"this kernel has no VRF: {error}")
    space.ip("link set blue up", "link set eth0 master blue")
    assert vmac.prepare(netlink, V4, "eth0").master == netlink.link("blue").index
    space.ip("link set eth0 nomaster")
    assert vmac.prepare(netlink, V4, "eth0").master == 0


def test_ours_is_taken_over_with_what_is_on_it(space: Namespace, netlink: Netlink) -> None:
    before = vmac.prepare(netlink, V4, "eth0")
    netlink.add_address(Vip(IP, 32, V4.name))
    assert vmac.prepare(netlink, V4, "eth0") == before
    assert IP in {one.ip for one in netlink.addresses()}
    assert [link.name for link in vmac.leftovers(netlink)] == [V4.name]


def test_ours_of_another_configuration_is_made_anew(space: Namespace, netlink: Netlink) -> None:
    before = vmac.prepare(netlink, V4, "eth0")
    after = vmac.prepare(netlink, Vmac(V4.name, "00:00:5e:00:01:07"), "eth0")
    assert (after.index != before.index, after.mac.hex(":")) == (True, "00:00:5e:00:01:07")


def test_one_that_a_killed_predecessor_had_not_finished_is_finished(space: Namespace, netlink: Netlink) -> None:
    space.ip(f"link add {V4.name} link eth0 address {VIRTUAL} type macvlan mode vepa")
    assert vmac.prepare(netlink, V4, "eth0").ours


def test_an_interface_of_somebody_else_is_left_alone(space: Namespace, netlink: Netlink) -> None:
    space.ip(f"link add {V4.name} link eth0 type macvlan mode bridge", f"link set {V4.name} up")
    with pytest.raises(FileExistsError, match=r"an interface vrrp\.255 already, which is not firstmate's"):
        vmac.prepare(netlink, V4, "eth0")
    vmac.remove(netlink, V4.name)
    assert netlink.link(V4.name).kind == "macvlan"


def test_it_goes_when_it_is_removed(space: Namespace, netlink: Netlink) -> None:
    vmac.prepare(netlink, V4, "eth0")
    for _ in range(2):
        vmac.remove(netlink, V4.name)
        assert vmac.leftovers(netlink) == []


def test_without_its_parent_it_cannot_be(space: Namespace, netlink: Netlink) -> None:
    with pytest.raises(OSError, match="No such device"):
        vmac.prepare(netlink, V4, "nowhere0")


def test_what_happens_to_its_parent_is_news(space: Namespace, netlink: Netlink) -> None:
    def told() -> dict[str, tuple[bool, bool]]:
        """Up and gone of each, as told last."""
        return {one.name: (one.up, one.gone) for one in netlink.news() if isinstance(one, Link)}

    vmac.prepare(netlink, V4, "eth0")
    assert told()[V4.name] == (True, False)
    space.ip("link set peer0 down")
    assert told()[V4.name] == (False, False)
    space.ip("link set peer0 up")
    assert told()[V4.name] == (True, False)
    space.ip("link del eth0")
    news = told()
    assert (news["eth0"][1], news[V4.name][1]) == (True, True)
    space.ip("link add eth0 type veth peer name peer0", "link set eth0 up", "link set peer0 up")
    assert told()["eth0"] == (True, False)
    assert vmac.prepare(netlink, V4, "eth0").up


def test_host_facts_leave_it_out(space: Namespace, netlink: Netlink) -> None:
    vmac.prepare(netlink, V4, "eth0")
    assert V4.name not in {one.name for one in read_host_facts().interfaces}


@pytest.fixture
def wire(space: Namespace) -> Iterator[socket.socket]:
    """Frames of every kind at the other end of the cable."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as end:
        end.bind(("peer0", 3))
        end.settimeout(0.3)
        yield end


def who_answers(wire: socket.socket, ip: Address) -> set[str]:
    """The MACs that claim the address when it is asked for; waits until nobody has said anything for a while."""
    mac = wire.getsockname()[4]
    if isinstance(ip, IPv4Address):
        body = bytes.fromhex("0001080006040001") + mac + ASKER.packed + bytes(6) + ip.packed
        wire.send(b"\xff" * 6 + mac + b"\x08\x06" + body)
    else:
        wire.send(solicitation(ip, mac))
    found: set[str] = set()
    while True:
        try:
            frame, (_, _, direction, *_) = wire.recvfrom(2048)
        except TimeoutError:
            return found
        if direction == 4:
            continue
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == ip.packed:
            assert frame[6:12] == frame[22:28]
            found.add(frame[22:28].hex(":"))
        if frame[12:14] == b"\x86\xdd" and frame[54] == 136 and frame[62:78] == ip.packed:
            assert (frame[78:80], frame[6:12]) == (b"\2\1", frame[80:86])
            found.add(frame[80:86].hex(":"))


def solicitation(ip: IPv6Address, mac: bytes) -> bytes:
    """From a link-local neighbour, as RFC 4861 has it; the checksum by hand."""
    source, group = IPv6Address("fe80::7"), IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + ip.packed[13:])
    icmp = bytes([135, 0, 0, 0, 0, 0, 0, 0]) + ip.packed + b"\1\1" + mac
    covered = source.packed + group.packed + len(icmp).to_bytes(4) + (58).to_bytes(4) + icmp
    total = sum(int.from_bytes(covered[at : at + 2]) for at in range(0, len(covered), 2))
    total = (total & 0xFFFF) + (total >> 16)
    icmp = icmp[:2] + (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2) + icmp[4:]
    header = b"\x60\0\0\0" + len(icmp).to_bytes(2) + b"\x3a\xff" + source.packed + group.packed
    return b"\x33\x33" + group.packed[12:] + mac + b"\x86\xdd" + header + icmp


def test_adverts_that_leave_by_it_come_from_the_virtual_mac(
    space: Namespace, netlink: Netlink, wire: socket.socket
) -> None:  # C13
    """By the macvlan, and from the address of its parent: it has none of its own."""
    vmac.prepare(netlink, V4, "eth0")
    space.ip(f"neigh replace {ASKER} lladdr 02:00:00:00:00:07 dev {V4.name}")
    for transport, destination in ((Transport.MULTICAST, IPv4Address("224.0.0.18")), (Transport.UNICAST, ASKER)):
        voice = AdvertSocket(V4.name, IPv4Address("10.0.1.11"), destination, transport)
        voice.send(b"advert")
        voice.close()
        frame = wire.recv(2048)
        while frame[12:14] != b"\x08\0":
            frame = wire.recv(2048)
        assert frame[6:12].hex(":") == VIRTUAL
        assert (frame[26:34], frame[34:]) == (IPv4Address("10.0.1.11").packed + destination.packed, b"advert")


@pytest.mark.parametrize(("one", "ip"), [(V4, IP), (V6, IP6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("alone", [False, True], ids=["network", "alone"])
def test_only_the_virtual_mac_answers_and_only_while_it_holds_the_address(
    space: Namespace, netlink: Netlink, wire: socket.socket, one: Vmac, ip: Address, *, alone: bool
) -> None:  # C89
    vmac.prepare(netlink, one, "eth0")
    assert who_answers(wire, ip) == set()
    bits = {4: (24, 32), 6: (64, 128)}[ip.version][alone]
    vip = Vip(ip, bits, one.name)
    netlink.add_address(vip)
    assert who_answers(wire, ip) == {one.mac}
    netlink.remove_address(vip)
    assert who_answers(wire, ip) == set()
