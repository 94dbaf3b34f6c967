"""An interface with the virtual MAC (RFC 5798, 7.3): a macvlan on the interface of the virtual router.

It is made at the start and stays while we are BACKUP, without addresses: then nothing on it answers, and becoming
MASTER costs no more than adding the addresses. Its alias is the mark by which a successor knows it.
"""

import errno

from firstmate.linux import links, sysctl
from firstmate.linux.netlink import Link, Netlink
from firstmate.linux.rtnetlink import NLM_F_CREATE, NLM_F_EXCL
from firstmate.model.plan import Vmac

MAC_IPV6 = bytes.fromhex("00005e0002")
RP_FILTER_LOOSE = 2
ARP_ANNOUNCE_BEST = 2
# ARP only for addresses that are on the macvlan; a packet from one of our own addresses is no forgery. `arp_filter`
# stays off: the way back to most hosts leads over the parent, so that nothing would be answered at all.
_IPV4 = {"arp_ignore": 1, "arp_filter": 0, "accept_local": 1}
_IPV6 = {"accept_ra": 0, "autoconf": 0}
# The parent holds other addresses, and would answer for ours with its own MAC, or name them in its questions.
_PARENT = {"arp_ignore": 1, "arp_announce": ARP_ANNOUNCE_BEST}


def prepare(netlink: Netlink, vmac: Vmac, parent: str) -> Link:
    """Have the macvlan on its parent, up; one of ours that is right is taken over, and not touched: each touch is news
    to whoever watches links, and calls this again.

    Raises `OSError`: the name is taken by somebody else's interface (EEXIST), no such parent (ENODEV), or what the
    kernel says.
    """
    base = netlink.link(parent)
    mac = bytes.fromhex(vmac.mac.replace(":", ""))
    found = _find(netlink, vmac.name)
    if found is not None and not (found.ours or _half_made(found, base, mac)):
        raise OSError(errno.EEXIST, f"there is an interface {vmac.name} already, which is not firstmate's")
    if found is not None and (found.mac, found.parent) != (mac, base.index):
        remove(netlink, vmac.name)  # of an earlier configuration
        found = None
    if found is None:
        body = links.encode_macvlan(vmac.name, base.index, mac)
        netlink.questions.ask(links.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)
    made = netlink.link(vmac.name)
    if not made.ours:
        netlink.questions.ask(links.RTM_NEWLINK, 0, links.encode_ours(made.index))
    vrf = base.master if netlink.vrf_table(parent) else 0
    if made.master != vrf:
        netlink.questions.ask(links.RTM_NEWLINK, 0, links.encode_master(made.index, vrf))
    _configure(vmac.name, parent, inet6=mac.startswith(MAC_IPV6))
    if not made.admin_up:
        netlink.questions.ask(links.RTM_NEWLINK, 0, links.encode_up(made.index))
    return netlink.link(vmac.name)


def remove(netlink: Netlink, name: str) -> None:
    """Delete it, with what is on it; one that is gone already, or not ours, is fine."""
    found = _find(netlink, name)
    if found is None or not found.ours:
        return
    try:
        netlink.questions.ask(links.RTM_DELLINK, 0, links.encode_key(found.index))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def leftovers(netlink: Netlink) -> list[Link]:
    """Every macvlan with our mark."""
    return [link for link in netlink.links() if link.ours]


def _find(netlink: Netlink, name: str) -> Link | None:
    try:
        return netlink.link(name)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def _half_made(found: Link, base: Link, mac: bytes) -> bool:
    """A predecessor was killed between making it and marking it: nobody else makes one of this MAC and leaves it so."""
    return found.kind == "macvlan" and not found.admin_up and (found.mac, found.parent) == (mac, base.index)


def _configure(name: str, parent: str, *, inet6: bool) -> None:
    for setting, value in _IPV4.items():
        sysctl.write("ipv4", name, setting, value)
    # The way back to most hosts leads over the parent. The kernel takes the greater of `all` and the interface's own
    # value: where `all` is strict (1), only loose (2) relaxes it.
    strict = sysctl.read("ipv4", "all", "rp_filter") == 1
    sysctl.write("ipv4", name, "rp_filter", RP_FILTER_LOOSE if strict else 0)
    for setting, value in _PARENT.items():
        if sysctl.read("ipv4", parent, setting) < value:
            sysctl.write("ipv4", parent, setting, value)
    # A host may have IPv6 on chosen interfaces only; one that is new gets the default.
    wanted = _IPV6 | {"disable_ipv6": 0} if inet6 else _IPV6
    for setting, value in wanted.items():
        try:
            sysctl.write("ipv6", name, setting, value)
        except FileNotFoundError:
            return  # no IPv6 in this kernel
