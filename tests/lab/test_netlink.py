"""Our netlink against pyroute2, in a network namespace of its own."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest
from tests.lab.netns import MACS, Namespace, why_not

from firstmate.linux.addresses import MARK_PROTOCOL
from firstmate.linux.interfaces import read_host_facts
from firstmate.linux.netlink import IfAddress, Link, Netlink
from firstmate.model.plan import Vip

pyroute2 = pytest.importorskip("pyroute2", reason="needs pyroute2 as oracle (extra `lab`)")

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

IP, OWN = IPv4Address("10.0.1.100"), IPv4Address("10.0.1.11")
MAC = MACS["a"]


@contextmanager
def oracle() -> Iterator[Any]:
    with pyroute2.IPRoute() as found:
        yield found


def seen_by_oracle() -> dict[str, tuple[int, str, int, str | None]]:
    """Each IPv4 address: prefix, label, index, protocol."""
    with oracle() as route:
        return {
            one.get_attr("IFA_LOCAL"): (
                one["prefixlen"],
                one.get_attr("IFA_LABEL"),
                one["index"],
                one.get_attr("IFA_PROTO"),
            )
            for one in route.get_addr(family=socket.AF_INET)
        }


def protocol(value: Any) -> int | None:
    """pyroute2 gives IFA_PROTO as a number or as it came, by its version."""
    if isinstance(value, str):
        value = bytes.fromhex(value.replace(":", ""))
    return value[0] if isinstance(value, bytes) else value


def test_added_address_carries_the_mark(netlink: Netlink) -> None:
    netlink.add_address(Vip(IP, 24, "eth0"))
    index = socket.if_nametoindex("eth0")
    prefix, label, where, proto = seen_by_oracle()[str(IP)]
    assert (prefix, label, where, protocol(proto)) == (24, "eth0:fm", index, MARK_PROTOCOL)
    assert IfAddress(index, IP, 24, marked=True) in netlink.addresses()
    assert IfAddress(index, OWN, 24, marked=False) in netlink.addresses()


def test_adding_and_removing_twice_is_fine(netlink: Netlink) -> None:
    for _ in range(2):
        netlink.add_address(Vip(IP, 32, "eth0"))
    assert set(seen_by_oracle()) == {str(IP), str(OWN)}
    for _ in range(2):
        netlink.remove_address(Vip(IP, 32, "eth0"))
    assert set(seen_by_oracle()) == {str(OWN)}


def test_an_address_is_removed_by_its_prefix(netlink: Netlink) -> None:
    netlink.add_address(Vip(IP, 32, "eth0"))
    netlink.add_address(Vip(IP, 24, "eth0"))
    netlink.remove_address(Vip(IP, 32, "eth0"))
    assert [(one.ip, one.prefix) for one in netlink.addresses() if one.marked] == [(IP, 24)]


def test_an_address_of_somebody_else_gets_our_mark_when_we_claim_it(space: Namespace, netlink: Netlink) -> None:
    space.ip(f"addr add {IP}/24 dev eth0")
    netlink.add_address(Vip(IP, 24, "eth0"))
    (one,) = [one for one in netlink.addresses() if one.ip == IP]
    assert (one.prefix, one.marked) == (24, True)


def test_a_name_too_long_for_a_label_is_marked_by_protocol_alone(space: Namespace, netlink: Netlink) -> None:
    space.ip("link add a23456789012345 type veth peer name other0")
    netlink.add_address(Vip(IP, 24, "a23456789012345"))
    _, label, _, proto = seen_by_oracle()[str(IP)]
    assert (label, protocol(proto)) == ("a23456789012345", MARK_PROTOCOL)
    assert [one.ip for one in netlink.addresses() if one.marked] == [IP]


def test_refusals_are_oserrors(netlink: Netlink) -> None:
    with pytest.raises(OSError, match="No such device") as caught:
        netlink.add_address(Vip(IP, 24, "nowhere0"))
    assert caught.value.errno == errno.ENODEV
    netlink.remove_address(Vip(IP, 24, "nowhere0"))
    with pytest.raises(OSError, match="Invalid argument"):
        netlink.add_address(Vip(IP, 40, "eth0"))
    netlink.add_address(Vip(IP, 24, "eth0"))  # the next question gets its own answer


def test_links_are_those_of_the_oracle(netlink: Netlink) -> None:
    with oracle() as route:
        wanted = {
            one.get_attr("IFLA_IFNAME"): (one["index"], one.get_attr("IFLA_ADDRESS"), one.get_attr("IFLA_CARRIER"))
            for one in route.get_links()
        }
    found = {link.name: (link.index, link.mac.hex(":"), int(link.up)) for link in netlink.links()}
    assert found["eth0"] == wanted["eth0"]
    assert found["eth0"][1:] == (MAC, 1)
    assert found.keys() == wanted.keys()


def test_a_dump_of_many_addresses_is_whole(space: Namespace, netlink: Netlink) -> None:
    many = {IPv4Address("10.9.0.0") + n for n in range(1, 1500)}
    space.ip(*(f"addr add {ip}/32 dev eth0" for ip in many))
    assert {one.ip for one in netlink.addresses() if one.ip.version == 4} == many | {OWN}


def test_news_of_links(space: Namespace, netlink: Netlink) -> None:
    def told() -> list[tuple[str, bool, bool]]:
        return [(one.name, one.up, one.gone) for one in netlink.news() if isinstance(one, Link) and one.name == "eth0"]

    assert told() == []
    space.ip("link set peer0 down")
    assert told()[-1] == ("eth0", False, False)
    space.ip("link set peer0 up")
    assert told()[-1] == ("eth0", True, False)
    space.ip("link set eth0 down")
    assert told()[-1] == ("eth0", False, False)
    space.ip("link del eth0")
    assert told()[-1][2] is True
    assert told() == []


def test_news_of_addresses(space: Namespace, netlink: Netlink) -> None:
    def told() -> list[IfAddress]:
        return [one for one in netlink.news() if isinstance(one, IfAddress) and one.ip.version == 4]

    index = socket.if_nametoindex("eth0")
    netlink.add_address(Vip(IP, 24, "eth0"))
    assert told() == [IfAddress(index, IP, 24, marked=True)]
    space.ip(f"addr del {IP}/24 dev eth0")
    assert told() == [IfAddress(index, IP, 24, marked=True, gone=True)]
    space.ip(f"addr add {IP}/24 dev eth0")
    assert told() == [IfAddress(index, IP, 24, marked=False)]


def test_lost_news_are_an_error_once(space: Namespace) -> None:
    netlink = Netlink(watch=True)
    assert netlink.events is not None
    netlink.events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    space.ip(*(f"addr add 10.9.0.{n}/32 dev eth0" for n in range(1, 200)))
    with pytest.raises(OSError, match="No buffer space") as caught:
        list(netlink.news())
    assert caught.value.errno == errno.ENOBUFS
    list(netlink.news())
    space.ip(f"addr add {IP}/24 dev eth0")
    assert IfAddress(socket.if_nametoindex("eth0"), IP, 24, marked=False) in list(netlink.news())
    netlink.close()


def test_host_facts_leave_out_what_is_ours(netlink: Netlink) -> None:
    netlink.add_address(Vip(IP, 24, "eth0"))
    eth0 = next(one for one in read_host_facts().interfaces if one.name == "eth0")
    assert (eth0.up, eth0.mac, [str(one) for one in eth0.addresses]) == (True, MAC, ["10.0.1.11/24"])
