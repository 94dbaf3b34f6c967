from ipaddress import IPv4Address

import pytest
from tests.vectors.vrrp.captures import CapturedArp, gratuitous_arps

from firstmate.linux.neighbours import gratuitous_arp

CAPTURED = gratuitous_arps()


def test_vectors_are_there() -> None:
    assert (len(CAPTURED), sum(one.times for one in CAPTURED)) == (74, 891)


@pytest.mark.parametrize("seen", CAPTURED, ids=str)
def test_gratuitous_arp_is_what_keepalived_and_frr_send(seen: CapturedArp) -> None:
    assert gratuitous_arp(seen.ip, seen.mac) == seen.frame


def test_gratuitous_arp_of_the_worked_example() -> None:  # reference/vrrp.md, section 12
    wanted = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a c6336401 ffffffffffff c6336401"
    frame = gratuitous_arp(IPv4Address("198.51.100.1"), bytes.fromhex("02000000000a"))
    assert (frame, len(frame)) == (bytes.fromhex(wanted), 42)
