"""The adverts that one virtual router sends: the same bytes again and again, on every path to every peer."""

from dataclasses import dataclass, field

from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest
from firstmate.model.plan import Auth, ChecksumForm, HmacMode, PathPlan, Transport, VrrpPlan
from firstmate.vrrp.packet import AUTH_AH, AUTH_NONE, AUTH_PASS, GROUP_IPV4, GROUP_IPV6, TTL, Advert, encode

PRIORITIES_KEPT_MAX = 8  # encoded adverts that are kept; tracking may try many priorities
_AUTH_TYPES = {Auth.NONE: AUTH_NONE, Auth.PASS: AUTH_PASS, Auth.AH: AUTH_AH}


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send this PDU. `wire` names the way: equal for equal interface, source, destination, transport, port, TTL."""

    interface: str
    source: Address
    destination: Address
    pdu: bytes
    transport: Transport = Transport.UNICAST
    port: int = 0  # UDP
    ttl: int = 255  # IPv6: hop limit
    whole: bool = False  # `pdu` is a complete IPv4 packet (AH)
    wire: str = field(default="", compare=False)


class Sender:
    """`form` may be changed: what the peers were last heard to use (`ChecksumForm.AUTO`)."""

    def __init__(self, plan: VrrpPlan, udp_port: int) -> None:
        self.plan = plan
        self.form: ChecksumForm = ChecksumForm.PSEUDO if plan.checksum is ChecksumForm.AUTO else plan.checksum
        self._udp_port = udp_port
        self._encoded: dict[int, list[Transmit]] = {}  # by priority

    def adverts(self, priority: int) -> list[Transmit]:
        """One for each peer on each path. Callers must not change the list."""
        found = self._encoded.get(priority)
        if found is None:
            if len(self._encoded) >= PRIORITIES_KEPT_MAX:
                self._encoded.clear()
            found = self._encoded[priority] = self._encode(priority)
        return found

    def use_form(self, form: ChecksumForm) -> None:
        if form is not self.form:
            self.form = form
            self._encoded.clear()

    def bequests(self) -> tuple[Bequest, ...]:
        """Adverts of priority 0, to be signed by whoever sends them."""
        plan = self.plan
        key = plan.hmac.active_key if plan.hmac and plan.hmac.mode is not HmacMode.RECEIVE_ONLY else None
        ah_key = plan.auth_pass if plan.auth is Auth.AH and plan.hmac is None else b""
        return tuple(
            Bequest(
                one.interface,
                one.source,
                one.destination,
                one.pdu,
                one.transport,
                one.port,
                one.ttl,
                plan.version,
                key,
                ah_key,
            )
            for one in self.adverts(0)
        )

    def _encode(self, priority: int) -> list[Transmit]:
        plan = self.plan
        legacy = plan.auth if plan.hmac is None else Auth.NONE
        advert = Advert(
            plan.version,
            plan.vrid,
            priority,
            plan.advert_interval_us,
            tuple(vip.ip for vip in plan.advertised),
            _AUTH_TYPES[legacy],
            plan.auth_pass if legacy is Auth.PASS else b"",
        )
        return [one for path in plan.all_paths for one in self._on_path(advert, path)]

    def _on_path(self, advert: Advert, path: PathPlan) -> list[Transmit]:
        plan = self.plan
        group = plan.multicast_group or (GROUP_IPV4 if plan.family == 4 else GROUP_IPV6)
        multicast, udp = path.transport is Transport.MULTICAST, path.transport is Transport.UDP
        interface = path.interface
        if plan.vmac and not plan.vmac.xmit_base and interface == plan.interface and multicast:
            interface = plan.vmac.name
        port, ttl = (self._udp_port if udp else 0), (TTL if multicast else plan.ttl)
        out = []
        for to in (group,) if multicast else path.peers:
            pdu = encode(advert, path.source, to, self.form)
            wire = f"{path.transport.value} {interface} {path.source} {to} {port} {ttl}"
            out.append(Transmit(interface, path.source, to, pdu, path.transport, port, ttl, wire=wire))
        return out
