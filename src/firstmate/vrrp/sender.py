"""The adverts that one virtual router sends: the same bytes again and again, on every path to every peer."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from firstmate.model.addresses import Address
from firstmate.model.messages import Bequest
from firstmate.model.plan import Auth, ChecksumForm, HmacMode, PathPlan, Transport, VrrpPlan
from firstmate.model.units import Micros
from firstmate.vrrp import auth
from firstmate.vrrp.ah import AhSequence, ah_key, build
from firstmate.vrrp.packet import GROUP_IPV4, GROUP_IPV6, TTL, Advert, attach, encode
from firstmate.vrrp.trailer import Signer

PRIORITIES_KEPT_MAX = 8  # encoded adverts that are kept; tracking may try many priorities


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
        self.ah_sequence = AhSequence()
        self._udp_port = udp_port
        self._signer: Signer | None = None
        self._encoded: dict[int, list[Transmit]] = {}  # by priority; not signed yet
        self.adopt(plan)

    def adopt(self, plan: VrrpPlan) -> None:
        """Go on with a changed plan; sequences go on too, or a peer would take what follows for a replay."""
        self.plan = plan
        if plan.checksum is not ChecksumForm.AUTO:
            self.form = plan.checksum
        hmac = plan.hmac if plan.hmac and plan.hmac.mode is not HmacMode.RECEIVE_ONLY else None
        if hmac is None:
            self._signer = None
        elif self._signer is None:
            self._signer = Signer(hmac)
        else:
            self._signer.adopt(hmac)
        self._ah_key = ah_key(plan.auth_pass) if auth.method(plan) is Auth.AH else None
        self._encoded.clear()

    def adverts(self, priority: int, utc_us: Micros) -> list[Transmit]:
        """One for each peer on each path, signed with the time of day. Callers must not change the list."""
        plain = self._plain(priority)
        if self._signer is not None:
            return self._with_trailers(plain, self._signer, utc_us)
        if self._ah_key is not None:
            sequence, key = self.ah_sequence.next(utc_us), self._ah_key
            return [
                replace(one, pdu=build(one.pdu, one.source, one.destination, key, sequence, one.ttl), whole=True)
                for one in plain
                if isinstance(one.destination, IPv4Address)
            ]
        return plain

    def _with_trailers(self, plain: list[Transmit], signer: Signer, utc_us: Micros) -> list[Transmit]:
        """All copies from one source share a trailer: neither checksum nor destination is signed."""
        out: list[Transmit] = []
        trailer, before = b"", None
        for one in plain:
            if before is None or (one.transport, one.source) != (before.transport, before.source):
                trailer, before = signer.sign(one.pdu, one.source, utc_us), one
            pdu = attach(one.pdu, trailer, one.source, one.destination)
            out.append(
                Transmit(
                    one.interface,
                    one.source,
                    one.destination,
                    pdu,
                    one.transport,
                    one.port,
                    one.ttl,
                    wire=one.wire,
                )
            )
        return out

    def _plain(self, priority: int) -> list[Transmit]:
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
        key = plan.hmac.active_key if self._signer is not None and plan.hmac else None
        password = plan.auth_pass if self._ah_key is not None else b""
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
                password,
            )
            for one in self._plain(0)
        )

    def _encode(self, priority: int) -> list[Transmit]:
        plan = self.plan
        auth_type, auth_data = auth.fields(plan)
        advert = Advert(
            plan.version,
            plan.vrid,
            priority,
            plan.advert_interval_us,
            tuple(vip.ip for vip in plan.advertised),
            auth_type,
            auth_data,
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
            kind = "ah" if self._ah_key is not None else path.transport.value
            wire = f"{kind} {interface} {path.source} {to} {port} {ttl}"
            out.append(Transmit(interface, path.source, to, pdu, path.transport, port, ttl, wire=wire))
        return out
