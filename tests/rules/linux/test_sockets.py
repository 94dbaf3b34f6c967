from ipaddress import IPv4Address, IPv6Address

import pytest

from firstmate.linux.listeners import Raw4, Raw6, Udp
from firstmate.linux.sockets import AdvertSocket, socket_address
from firstmate.model.plan import Transport
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6

OURS, PEER, OURS6 = IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2"), IPv6Address("fe80::1")


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such device"):
        AdvertSocket("nowhere0", OURS, PEER, Transport.UNICAST)
    with pytest.raises(OSError, match="No such device"):
        Raw4("nowhere0", (PEER,), (GROUP_IPV4,))
    with pytest.raises(OSError, match="No such device"):
        Raw6("nowhere0", (), (GROUP_IPV6,))


def test_a_link_local_address_is_one_of_its_interface() -> None:
    assert socket_address(OURS, 7113, "lo") == ("127.0.0.1", 7113)
    assert socket_address(IPv6Address("2001:db8::1"), 7113, "lo") == ("2001:db8::1", 7113, 0, 0)
    assert socket_address(OURS6, 0, "lo") == ("fe80::1", 0, 0, 1)


def test_adverts_in_udp_need_no_right() -> None:
    ear = Udp("lo", PEER, 17_113)
    voice = AdvertSocket("lo", OURS, PEER, Transport.UDP, port=17_113, ttl=7)
    assert ear.receive() is None
    voice.send(b"advert")
    received = ear.receive()
    assert received is not None
    datagram = ear.datagram(received)
    assert (datagram.source, datagram.destination, datagram.ttl, datagram.udp) == (OURS, PEER, 7, True)
    assert (datagram.pdu, ear.said(received)) == (b"advert", None)
    voice.close()
    ear.close()
