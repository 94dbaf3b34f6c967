import pytest

from firstmate.linux import sockets
from firstmate.vrrp import packet


def test_sockets_and_codec_speak_of_the_same_protocol() -> None:
    assert (sockets.PROTOCOL_VRRP, sockets.TTL, sockets.TOS_INTERNETWORK_CONTROL, sockets.GROUP) == (
        packet.PROTOCOL,
        packet.TTL,
        packet.TOS,
        packet.GROUP_IPV4,
    )


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such device: 'nowhere0'"):
        sockets.VrrpSocket("nowhere0")
