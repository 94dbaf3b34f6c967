"""keepalived's `auth_hmac`: 28 octets behind the PDU that say who sent it, and when (`reference/keepalived.md` 5.3).

     0       1        2         3
    +-------+--------+---------+--------+
    | 1     | key id | 0                |
    +-------+--------+------------------+  the next eight are one number, the sequence: it only grows
    | UTC seconds                       |
    +----------------+------------------+
    | 1/65536 s      | counter          |
    +----------------+------------------+
    | HMAC-SHA-256, its first 16 octets |

As keepalived 2.4.2 and later have it; 2.4.0 and 2.4.1 wrote something else.
"""

import struct
from _operator import _compare_digest as equal  # what `hmac.compare_digest` is, without what `hmac` loads

from firstmate.model.addresses import Address
from firstmate.model.plan import HmacMode, HmacPlan
from firstmate.model.units import S, Micros, format_duration
from firstmate.vrrp.digest import SHA256, Keyed
from firstmate.vrrp.packet import TRAILER_OCTETS, BadAdvert, Refusal

EXTENSION = 1  # HMAC-SHA-256/128, the only type
MAC_OCTETS = 16
_HEAD = struct.Struct("!BBHQ")
_COUNTER_BITS, _FRACTION_BITS = 16, 16
_SECONDS_SHIFT = _COUNTER_BITS + _FRACTION_BITS
_SEQUENCE_END = 1 << 64


def sequence_at(utc_us: Micros) -> int:
    """The sequence of a clock: seconds, 65536ths, counter 0."""
    return ((utc_us << _FRACTION_BITS) // S << _COUNTER_BITS) % _SEQUENCE_END


def is_later(sequence: int, other: int) -> bool:
    """Serial-number order (RFC 1982), so that the seconds may wrap in 2106."""
    return 0 < (sequence - other) % _SEQUENCE_END < _SEQUENCE_END >> 1


def skew_us(sequence: int, utc_us: Micros) -> Micros:
    """How far the clock that wrote `sequence` is ahead of ours; negative: behind."""
    ahead = (sequence - sequence_at(utc_us)) % _SEQUENCE_END
    if ahead >= _SEQUENCE_END >> 1:
        ahead -= _SEQUENCE_END
    return ahead * S >> _SECONDS_SHIFT


def is_stale(sequence: int, utc_us: Micros, window_us: Micros) -> bool:
    """Is its clock more than the window away from ours? Whole seconds are compared, as keepalived does."""
    apart = ((sequence >> _SECONDS_SHIFT) - utc_us // S) % (1 << 32)
    return min(apart, (1 << 32) - apart) * S > window_us


def describe_skew(ahead_us: Micros) -> str:
    return f"its clock is {format_duration(abs(ahead_us))} {'behind' if ahead_us < 0 else 'ahead of'} ours"


class Signer:
    """Makes the trailers of one virtual router."""

    def __init__(self, plan: HmacPlan) -> None:
        self.plan = plan
        self.last: int | None = None  # sequence of the last advert; None: none yet
        self._key = Keyed(SHA256, plan.active_key.value)

    def adopt(self, plan: HmacPlan) -> None:
        """Go on with other keys. The sequence goes on too: a peer in monotonic mode must not hear it fall."""
        self.plan = plan
        self._key = Keyed(SHA256, plan.active_key.value)

    def sign(self, pdu: bytes, source: Address, utc_us: Micros) -> bytes:
        """The trailer of one advert. All its copies share it: checksum and destination are not signed."""
        head = _HEAD.pack(EXTENSION, self.plan.active, 0, self.next(utc_us))
        return head + _mac(self._key, pdu, head, source)

    def next(self, utc_us: Micros) -> int:
        """The later of the clock and the last one + 1.

        A last one further ahead than the window is forgotten: our clock was put back, and nobody would hear us.
        """
        sequence = sequence_at(utc_us)
        if self.last is not None and not is_later(sequence, self.last):
            following = (self.last + 1) % _SEQUENCE_END
            if self.plan.monotonic or not is_stale(following, utc_us, self.plan.window_us):
                sequence = following
        self.last = sequence
        return sequence


class Verifier:
    """Judges trailers. It remembers nothing: the marks against replay are the receiver's."""

    def __init__(self, plan: HmacPlan) -> None:
        self.plan = plan
        self._keys = {key.id: Keyed(SHA256, key.value) for key in plan.keys}

    @property
    def demands(self) -> bool:
        """Is an advert without a trailer refused?"""
        return self.plan.mode is HmacMode.ENFORCE

    def verify(self, pdu: bytes, trailer: bytes, source: Address, utc_us: Micros, mark: int | None) -> int:
        """The sequence of a good trailer; `mark`: the last one accepted of this sender. Raises `BadAdvert`."""
        assert len(trailer) == TRAILER_OCTETS
        plan = self.plan
        kind, key_id, reserved = trailer[0], trailer[1], trailer[2:4]
        sequence = int.from_bytes(trailer[4 : _HEAD.size])
        if kind != EXTENSION or any(reserved):
            raise BadAdvert(Refusal.AUTH_EXT_MALFORMED, f"trailer of type {kind}, reserved {reserved.hex()}")
        if not plan.monotonic and is_stale(sequence, utc_us, plan.window_us):
            window = format_duration(plan.window_us)
            raise BadAdvert(
                Refusal.AUTH_EXT_STALE, f"{describe_skew(skew_us(sequence, utc_us))}, {window} is what we bear"
            )
        key = self._keys.get(key_id)
        if key is None:
            ours = " ".join(str(one.id) for one in plan.keys)
            raise BadAdvert(Refusal.AUTH_EXT_UNKNOWN_KEY, f"signed with key {key_id}, ours: {ours}")
        if not equal(_mac(key, pdu, trailer[: _HEAD.size], source), trailer[_HEAD.size :]):
            raise BadAdvert(Refusal.AUTH_EXT_INVALID_HMAC, f"signed with another key {key_id} than ours, or changed")
        if mark is not None and not plan.monotonic and is_stale(mark, utc_us, plan.window_us):
            mark = None  # nothing as old or as far ahead as that would be heard: nothing is left to compare with
        if mark is not None and not is_later(sequence, mark):
            raise BadAdvert(Refusal.AUTH_EXT_REPLAY, "heard before: the sequence did not grow")
        return sequence


def _mac(key: Keyed, pdu: bytes, head: bytes, source: Address) -> bytes:
    who = bytes((source.version, pdu[0] >> 4, pdu[1], 0)) + source.packed.ljust(16, b"\0")
    return key.digest(who + pdu[:6] + b"\0\0" + pdu[8:] + head + bytes(MAC_OCTETS))[:MAC_OCTETS]
