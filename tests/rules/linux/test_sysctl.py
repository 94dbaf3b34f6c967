import pytest

from firstmate.linux import sysctl


def test_a_setting_is_a_number() -> None:
    assert sysctl.read("ipv4", "lo", "forwarding") in {0, 1}


def test_what_is_right_already_needs_no_right_to_be_set() -> None:
    sysctl.write("ipv4", "lo", "forwarding", sysctl.read("ipv4", "lo", "forwarding"))


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        sysctl.read("ipv4", "nowhere0", "forwarding")
    with pytest.raises(FileNotFoundError):
        sysctl.write("ipv6", "nowhere0", "forwarding", 1)
