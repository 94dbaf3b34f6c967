"""The last words of a killed pulse, signed by the supervisor as `supervisor.executor` does it."""

from collections.abc import Iterable

from firstmate.model.messages import Bequest
from firstmate.model.plan import HmacKey, HmacPlan
from firstmate.model.units import S, Micros
from firstmate.vrrp import ah
from firstmate.vrrp.packet import attach
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.trailer import Signer

AH_AHEAD = 2  # seconds: pulse may have used this one


def seal(bequests: Iterable[Bequest], utc_us: Micros) -> list[Transmit]:
    """What is to be sent for them."""
    signers: dict[HmacKey, Signer] = {}
    sequence = ah.AhSequence()
    sequence.heard(utc_us // S + AH_AHEAD - 1)
    out = []
    for one in bequests:
        pdu, whole = one.pdu, False
        if one.hmac_key is not None:
            signer = signers.setdefault(one.hmac_key, Signer(HmacPlan((one.hmac_key,), one.hmac_key.id)))
            pdu = attach(pdu, signer.sign(pdu, one.source, utc_us), one.source, one.destination)
        elif one.ah_key:
            key, number = ah.ah_key(one.ah_key), sequence.next(utc_us)
            pdu, whole = ah.build(pdu, one.source, one.destination, key, number, one.ttl), True
        out.append(
            Transmit(one.interface, one.source, one.destination, pdu, one.transport, one.port, one.ttl, whole=whole)
        )
    return out
