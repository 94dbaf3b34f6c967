"""IPv4 or IPv6: which of them a [[vrrp]] is, and what must be of the same family. Pure of the host."""

from firstmate.config.addresses import VipDraft
from firstmate.config.codes import Code
from firstmate.config.findings import Findings
from firstmate.config.paths import transports_of
from firstmate.config.readers import shown
from firstmate.config.schema import Section
from firstmate.config.vrrp_values import VmacDraft
from firstmate.model.addresses import Address
from firstmate.model.plan import Transport, Vmac

MTU = 1500  # octets; an advert is one packet
HEADERS = 40 + 8  # IPv6 and VRRP
UDP_HEADER, TRAILER, ADDRESS = 8, 28, 16  # octets
OTHER = {4: 6, 6: 4}


def family_of(router: Section) -> int:
    """That of its advertised addresses; 4 when there are none at all."""
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    named = [vip for vip in vips if vip.advertised] or vips
    return named[0].ip.version if named else 4


def in_order(router: Section) -> tuple[tuple[int, VipDraft], ...]:
    """Its addresses with their places in the file: the advertised first, and of those a link-local one."""
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    placed = list(enumerate(vips))
    first = next((place for place, vip in placed if vip.advertised and is_link_local(vip.ip)), None)
    return tuple(sorted(placed, key=lambda item: (not item[1].advertised, item[0] != first)))


def is_link_local(ip: Address) -> bool:
    """fe80::/10; 169.254.0.0/16 is nothing special to VRRP."""
    return ip.version == 6 and ip.is_link_local


def vmac_of(router: Section) -> Vmac | None:
    """Its virtual MAC, with what RFC 5798, 7.3 gives where nothing is written; None: it has none."""
    given: bool | VmacDraft | None = router.get("vmac")
    vrid: int | None = router.get("vrid")
    if not given or vrid is None:
        return None
    wanted = VmacDraft() if given is True else given
    v6 = family_of(router) == 6
    return Vmac(
        name=wanted.name or f"vrrp{6 if v6 else ''}.{vrid}",
        mac=wanted.mac or f"00:00:5e:00:{2 if v6 else 1:02x}:{vrid:02x}",
        xmit_base=wanted.xmit_base or Transport.MULTICAST not in transports_of(router),
    )


def judge(router: Section, findings: Findings, *, signed: bool) -> None:
    """`signed`: its adverts carry a trailer, which takes room from the addresses."""
    vips: tuple[VipDraft, ...] = router.get("addresses", ())
    if not vips:
        return
    advertised = [vip for vip in vips if vip.advertised]
    if not advertised and not router.get("lenient"):
        text = "no address is advertised: other routers refuse such an advert"
        findings.add(Code.NOTHING_ADVERTISED, (*router.at, "addresses"), text, "advertise one, or say lenient = true")
    _judge_mixture(router, vips, findings)
    _judge_keys(router, findings)
    if family_of(router) == 6:
        _judge_ipv6(router, advertised, findings, signed=signed)


def _judge_mixture(router: Section, vips: tuple[VipDraft, ...], findings: Findings) -> None:
    family = family_of(router)
    for place, vip in enumerate(vips):
        if vip.advertised and vip.ip.version != family:
            text = f"{vip.ip} is IPv{OTHER[family]} among advertised IPv{family} addresses"
            name = shown(router.get("name") or "NAME")
            hint = (
                f"write a second [[vrrp]] with the same vrid and move_with = [{name}], or only move it along: "
                f'{{ vip = "{vip.ip}/{vip.prefix}", advertise = false }}'
            )
            findings.add(Code.OTHER_FAMILY, (*router.at, "addresses", place), text, hint)


def _judge_keys(router: Section, findings: Findings) -> None:
    """Addresses in other keys."""
    family = family_of(router)
    group: Address | None = router.get("multicast_group")
    written: list[tuple[tuple[str | int, ...], Address]] = [] if group is None else [(("multicast_group",), group)]
    written += [(("peers", place), peer) for place, peer in enumerate(router.get("peers", ()))]
    source = router.get("source")
    if isinstance(source, dict):
        written += [(("source", node), address) for node, address in source.items()]
    elif source is not None:
        written.append((("source",), source))
    for key, address in written:
        if address.version != family:
            text = f"{address} is not IPv{family}, as the addresses are"
            findings.add(Code.OTHER_FAMILY, (*router.at, *key), text, "a virtual router is of one family")
    if family == 6 and router.get("checksum") is not None:
        text = "the form of the checksum is a choice of IPv4 alone"
        findings.add(Code.OTHER_FAMILY, (*router.at, "checksum"), text, "take it out", on_key=True)


def _judge_ipv6(router: Section, advertised: list[VipDraft], findings: Findings, *, signed: bool) -> None:
    if router.get("version") == 2:
        text = "VRRP version 2 knows no IPv6"
        findings.add(Code.WRONG_VERSION, (*router.at, "version"), text, "take it out: 3 is the default")
    room = MTU - HEADERS - TRAILER * signed - UDP_HEADER * (Transport.UDP in transports_of(router))
    if len(advertised) > room // ADDRESS:
        text = f"{len(advertised)} IPv6 addresses do not fit into one packet of {MTU} octets; {room // ADDRESS} do"
        hint = "the rest with advertise = false, or in a second [[vrrp]]"
        findings.add(Code.TOO_MANY, (*router.at, "addresses"), text, hint)
    if advertised and not any(is_link_local(vip.ip) for vip in advertised) and not router.get("lenient"):
        text = "the first address of an IPv6 router is a link-local one (RFC 9568, 5.2.9), and there is none"
        hint = f'add one, such as "fe80::{router.get("vrid") or 1:x}/64", or say lenient = true'
        findings.add(Code.NOT_LINK_LOCAL, (*router.at, "addresses"), text, hint)
