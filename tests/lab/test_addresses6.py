"""IPv6 addresses that move, in a network namespace of its own."""

import socket
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from tests.lab.netns import Namespace, why_not

from firstmate.linux.interfaces import read_host_facts
from firstmate.linux.netlink import IfAddress, Netlink
from firstmate.linux.rtnetlink import interface_index
from firstmate.model.plan import Vip

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

IP = IPv6Address("2001:db8::64")
NET, HOST, LOCAL = Vip(IP, 64, "eth0"), Vip(IP, 128, "eth0"), Vip(IPv6Address("fe80::64"), 64, "eth0")


def ours(netlink: Netlink) -> list[IfAddress]:
    return [one for one in netlink.addresses() if one.ip in {IP, LOCAL.ip}]


def test_an_address_is_usable_at_once(netlink: Netlink) -> None:
    """Duplicate address detection would take a second, in which nobody has it."""
    netlink.add_address(NET)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as end:
        end.bind((str(IP), 0))  # a tentative one is refused
    (one,) = ours(netlink)
    assert one == IfAddress(interface_index("eth0"), IP, 64, marked=True)


def test_with_dad_the_kernel_looks_first(netlink: Netlink) -> None:
    netlink.add_address(Vip(IP, 64, "eth0", dad=True))
    (one,) = ours(netlink)
    assert one.tentative


def test_a_host_address_is_never_chosen_as_source(space: Namespace, netlink: Netlink) -> None:
    space.ip("addr add 2001:db8::11/64 dev eth0 nodad")
    netlink.add_address(HOST)
    (one,) = ours(netlink)
    assert (one.prefix, one.deprecated) == (128, True)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as end:
        end.connect(("2001:db8::65", 9))
        assert end.getsockname()[0] == "2001:db8::11"


@pytest.mark.parametrize("vip", [NET, HOST, LOCAL], ids=str)
def test_adding_and_removing_twice_is_fine(netlink: Netlink, vip: Vip) -> None:
    for _ in range(2):
        netlink.add_address(vip)
        assert [(one.ip, one.prefix, one.marked) for one in ours(netlink)] == [(vip.ip, vip.prefix, True)]
    for _ in range(2):
        netlink.remove_address(vip)
        assert ours(netlink) == []


def test_an_address_of_somebody_else_gets_our_mark_when_we_claim_it(space: Namespace, netlink: Netlink) -> None:
    space.ip(f"addr add {IP}/64 dev eth0 nodad")
    netlink.add_address(NET)
    (one,) = ours(netlink)
    assert (one.prefix, one.marked) == (64, True)


def test_news_of_addresses(space: Namespace, netlink: Netlink) -> None:
    def told() -> list[tuple[int, bool, bool]]:
        return [
            (one.prefix, one.marked, one.gone) for one in netlink.news() if isinstance(one, IfAddress) and one.ip == IP
        ]

    told()
    netlink.add_address(NET)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as end:
        end.bind((str(IP), 0))
    space.ip(f"addr del {IP}/64 dev eth0")
    news = told()
    assert set(news[:-1]) == {(64, True, False)}
    assert news[-1] == (64, True, True)


def test_where_ipv6_is_off_the_error_says_so(space: Namespace, netlink: Netlink) -> None:
    Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("1")
    with pytest.raises(OSError, match="IPv6 is off on eth0") as caught:
        netlink.add_address(NET)
    assert not isinstance(caught.value, PermissionError)
    netlink.remove_address(NET)


def test_addresses_go_with_their_link_and_can_be_put_back(space: Namespace, netlink: Netlink) -> None:
    """The kernel flushes IPv6 addresses of an interface that is set down, unlike those of IPv4."""
    netlink.add_address(NET)
    list(netlink.news())
    space.ip("link set eth0 down")
    gone = [one for one in netlink.news() if isinstance(one, IfAddress) and one.gone and one.ip == IP]
    assert len(gone) == 1
    space.ip("link set eth0 up")
    netlink.add_address(NET)
    assert len(ours(netlink)) == 1


def test_host_facts_have_both_families_without_what_is_ours(space: Namespace, netlink: Netlink) -> None:
    space.ip("addr add 2001:db8::11/64 dev eth0 nodad")
    netlink.add_address(NET)
    netlink.add_address(LOCAL)
    eth0 = next(one for one in read_host_facts().interfaces if one.name == "eth0")
    assert [str(one) for one in eth0.addresses] == ["10.0.1.11/24"]
    assert sorted(str(one) for one in eth0.addresses6) == ["2001:db8::11/64", "fe80::ff:fe00:a/64"]
    assert eth0.vrf == ""


def test_host_facts_name_the_vrf(space: Namespace) -> None:
    try:
        space.ip("link add blue type vrf table 1234")
    except AssertionError as error:
        pytest.skip(f"this kernel has no VRF: {error}")
    space.ip("link set blue up", "link set eth0 master blue")
    assert {one.name: one.vrf for one in read_host_facts().interfaces}["eth0"] == "blue"
