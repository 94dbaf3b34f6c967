from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from firstmate.linux import firewall
from firstmate.linux.firewall import Firewall, FirewallError, refused, ruleset
from firstmate.model.plan import OWNER, Node, Plan, Vip, VrrpPlan
from firstmate.model.units import S

OURS = IPv4Address("192.0.2.11")
WEB, MAIL, WEB6 = IPv4Address("192.0.2.100"), IPv4Address("192.0.2.9"), IPv6Address("2001:db8::100")


def router(name: str, *addresses: str, accept: bool, priority: int = 100) -> VrrpPlan:
    vips = tuple(Vip(ip_address(ip), 32 if ":" not in ip else 128, "eth0") for ip in addresses)
    return VrrpPlan(name, 5, 3, priority, S, "eth0", OURS, vips, accept=accept)


def plan(*routers: VrrpPlan) -> Plan:
    return Plan("site", "lb-a", (Node("lb-a", OURS),), routers)


def test_only_what_a_router_does_not_accept_is_refused() -> None:
    routers = (
        router("web", str(WEB), str(WEB6), accept=False),
        router("mail", str(MAIL), accept=False),
        router("open", "192.0.2.101", accept=True),
        router("owned", "192.0.2.102", accept=False, priority=OWNER),
    )
    assert refused(plan(*routers)) == (MAIL, WEB, WEB6)
    assert refused(plan(*(replace(one, accept=True) for one in routers))) == ()


def test_neighbours_are_answered_all_the_same() -> None:
    assert ruleset((MAIL, WEB, WEB6)) == (
        "table inet firstmate\n"
        "delete table inet firstmate\n"
        "table inet firstmate {\n"
        "  chain input {\n"
        "    type filter hook input priority filter; policy accept;\n"
        "    ip daddr { 192.0.2.9, 192.0.2.100 } counter drop\n"
        "    ip6 daddr { 2001:db8::100 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
        "    ip6 daddr { 2001:db8::100 } counter drop\n"
        "  }\n"
        "}\n"
    )


def test_nothing_refused_is_no_table() -> None:
    assert ruleset(()) == "table inet firstmate\ndelete table inet firstmate\n"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose only programs are in this directory."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(firewall, "PLACES", (str(tmp_path),))
    return tmp_path


def test_without_nft_it_is_said_what_is_missing(bare: Path) -> None:
    with pytest.raises(FirewallError, match="needs the program nft: install it with `apt install nftables`"):
        Firewall().apply(plan(router("web", str(WEB), accept=False)))
    Firewall().apply(plan(router("web", str(WEB), accept=True)))  # then nobody misses it


def nft(directory: Path, text: str) -> None:
    program = directory / "nft"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_what_nft_says_is_told(bare: Path) -> None:
    nft(bare, "echo 'Error: Operation not permitted' >&2; exit 1")
    with pytest.raises(FirewallError, match="not in force: nft says: Error: Operation not permitted"):
        Firewall().apply(plan(router("web", str(WEB), accept=False)))
    (bare / "nft").write_text("no program\n")
    with pytest.raises(FirewallError, match=r"not in force: .*Exec format error"):
        Firewall().apply(plan(router("web", str(WEB), accept=False)))


def test_nft_runs_only_when_something_changes(bare: Path) -> None:
    nft(bare, f"/bin/cat >> {bare}/asked")
    one, wanted = Firewall(), plan(router("web", str(WEB), accept=False))
    for _ in range(3):
        one.apply(wanted)
    one.apply(plan(router("mail", str(MAIL), accept=False)))
    for _ in range(2):
        one.clear()
    assert (bare / "asked").read_text() == ruleset((WEB,)) + ruleset((MAIL,)) + ruleset(())


def test_what_a_predecessor_left_goes_at_the_first_chance(bare: Path) -> None:
    nft(bare, f"/bin/cat >> {bare}/asked")
    Firewall().apply(plan(router("web", str(WEB), accept=True)))
    assert (bare / "asked").read_text() == ruleset(())


def test_where_nothing_is_refused_a_kernel_without_nftables_is_no_trouble(bare: Path) -> None:
    nft(bare, "exit 1")
    Firewall().apply(plan(router("web", str(WEB), accept=True)))
