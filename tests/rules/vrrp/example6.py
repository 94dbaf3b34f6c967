"""The IPv6 virtual router of the conformance checklist: VRID 50, fe80::10, its peer fe80::77, one address."""

from dataclasses import replace
from ipaddress import IPv6Address

from tests.rules.vrrp.example import PLAN

from firstmate.model.plan import Vip

OURS6, PEER6, LOWER6, STRANGER6 = map(IPv6Address, ("fe80::10", "fe80::77", "fe80::9", "fe80::99"))
VIP6 = Vip(IPv6Address("fe80::50:1"), 64, "eth0")
GLOBAL6 = Vip(IPv6Address("2001:db8::1"), 64, "eth0")
PLAN6 = replace(PLAN, source=OURS6, vips=(VIP6,), peers=(PEER6, LOWER6))
