"""The last words of a killed pulse: adverts of priority 0, signed by whoever finds it dead."""

from collections.abc import Iterable

from firstmate.model.messages import Bequest
from firstmate.model.plan import HmacKey, HmacPlan
from firstmate.model.units import S, Micros
from firstmate.vrrp.ah import ah_key, build
from firstmate.vrrp.packet import attach
from firstmate.vrrp.sender import Transmit
from firstmate.vrrp.trailer import Signer

# Seconds that last words are ahead of the clock: pulse may have used this second. A successor speaks later.
AH_AHEAD = 2


def seal(bequests: Iterable[Bequest], utc_us: Micros) -> list[Transmit]:
    """What is to be sent for them, signed with the time of day where it has to be."""
    signers: dict[HmacKey, Signer] = {}
    sequence = utc_us // S + AH_AHEAD  # the same for all: each virtual router has its own, and each peer a mark of it
    out = []
    for one in bequests:
        pdu, whole = one.pdu, False
        if one.hmac_key is not None:
            signer = signers.setdefault(one.hmac_key, Signer(HmacPlan((one.hmac_key,), one.hmac_key.id)))
            pdu = attach(pdu, signer.sign(pdu, one.source, utc_us), one.source, one.destination)
        elif one.ah_key:
            pdu = build(pdu, one.source, one.destination, ah_key(one.ah_key), sequence, one.ttl)
            whole = True
        out.append(
            Transmit(one.interface, one.source, one.destination, pdu, one.transport, one.port, one.ttl, whole=whole)
        )
    return out
