"""What a host says of itself: read by `linux.interfaces`, asked by `config`."""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    index: int
    up: bool  # administratively up and with carrier
    mac: str  # "02:00:00:00:00:0a"; empty when it has none
    addresses: tuple[IPv4Interface, ...] = ()  # without those that carry firstmate's mark
    addresses6: tuple[IPv6Interface, ...] = ()  # the same; link-local ones too
    vrf: str = ""  # name of the VRF that it is in


@dataclass(frozen=True, slots=True)
class HostFacts:
    hostname: str
    interfaces: tuple[Interface, ...]
