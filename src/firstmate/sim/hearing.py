"""Who hears whom, and which advert is a good one: the simulator's own reading of signatures, clocks and sequences."""

from dataclasses import dataclass

from firstmate.model.plan import Auth, ChecksumForm, HmacMode, HmacPlan, Transport, VrrpPlan
from firstmate.model.units import S, Micros
from firstmate.sim.parcel import Parcel
from firstmate.vrrp.packet import BadAdvert, check

SEQUENCE_AT = slice(4, 12)  # of the trailer
AH_SEQUENCE_AT = slice(-16, -12)  # of the octets before the PDU
SECONDS_SHIFT = 32


def has_ah(plan: VrrpPlan) -> bool:
    return plan.version == 2 and plan.auth is Auth.AH and plan.hmac is None


def demands_freshness(plan: VrrpPlan) -> bool:
    """Is everything refused that is not signed, or was heard before?"""
    return has_ah(plan) or (plan.hmac is not None and plan.hmac.mode is HmacMode.ENFORCE)


def may_hear(sender: VrrpPlan, receiver: VrrpPlan, apart_us: Micros) -> bool:
    """By their plans and clocks: is a good advert of one good to the other?"""
    signs = sender.hmac is not None and sender.hmac.mode is not HmacMode.RECEIVE_ONLY
    if not signs:
        return receiver.hmac is None or receiver.hmac.mode is not HmacMode.ENFORCE
    assert sender.hmac is not None
    if receiver.hmac is None or sender.hmac.active not in {key.id for key in receiver.hmac.keys}:
        return False
    return receiver.hmac.monotonic or abs(apart_us) <= receiver.hmac.window_us


def uses_auto(plan: VrrpPlan) -> bool:
    return plan.checksum is ChecksumForm.AUTO


def sequence_of(plan: VrrpPlan, parcel: Parcel) -> int | None:
    """What says how new an advert is; None: nothing does."""
    datagram = parcel.datagram
    if datagram.ah is not None:
        return int.from_bytes(datagram.ah[AH_SEQUENCE_AT])
    end = octets(plan, datagram.pdu[3])
    return int.from_bytes(datagram.pdu[end:][SEQUENCE_AT]) if len(datagram.pdu) > end else None


def octets(plan: VrrpPlan, count: int) -> int:
    """How many a PDU has without trailer."""
    return 8 + count * (4 if plan.family == 4 else 16) + (8 if plan.version == 2 and plan.family == 4 else 0)


@dataclass(frozen=True, slots=True)
class _Way:
    router: str
    interface: str
    source: object
    udp: bool


class Witness:
    """What one pulse must hear, and what it must refuse: it remembers the same sequences."""

    def __init__(self) -> None:
        self._marks: dict[_Way, int] = {}

    def accepts(self, plan: VrrpPlan, parcel: Parcel, utc_us: Micros) -> bool:
        datagram = parcel.datagram
        if not parcel.intact or (datagram.ah is not None) is not has_ah(plan):
            return False
        try:
            check(
                datagram.pdu,
                datagram.source,
                datagram.destination,
                plan.checksum,
                version=plan.version,
                trailer=plan.hmac is not None,
            )
        except BadAdvert:
            return False
        sequence = sequence_of(plan, parcel)
        if sequence is None:
            return not datagram.udp and (plan.hmac is None or plan.hmac.mode is not HmacMode.ENFORCE)
        way = _Way(plan.name, datagram.interface, datagram.source, datagram.udp)
        mark = self._marks.get(way)
        hmac = plan.hmac
        if hmac is not None and not hmac.monotonic:
            if _is_old(sequence, hmac, utc_us):
                return False
            if mark is not None and _is_old(mark, hmac, utc_us):
                mark = None
        if hmac is not None and parcel.datagram.pdu[octets(plan, datagram.pdu[3]) + 1] not in {k.id for k in hmac.keys}:
            return False
        if mark is not None and sequence <= mark:
            return False
        self._marks[way] = sequence
        return True


def _is_old(sequence: int, plan: HmacPlan, utc_us: Micros) -> bool:
    return abs((sequence >> SECONDS_SHIFT) - utc_us // S) * S > plan.window_us


def interfaces(plan: VrrpPlan) -> set[str]:
    return {path.interface for path in plan.all_paths}


def is_udp(plan: VrrpPlan) -> bool:
    return any(path.transport is Transport.UDP for path in plan.all_paths)
