"""What fuzzing found, replayed; and a little of it anew."""

from pathlib import Path

import pytest
from fuzz import receiver
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.units import Micros
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.receive import Datagram, Receiver, Remark

CORPUS = Path(receiver.__file__).parent / "corpus" / "receiver"


def test_the_corpus_is_judged_as_before() -> None:
    found = sorted(CORPUS.iterdir())
    assert len(found) > 50
    for path in found:
        receiver.examine_anything(path.read_bytes())


@given(
    st.integers(0, len(receiver.PLANS) - 1),
    st.lists(st.tuples(st.binary(min_size=3, max_size=3), st.binary(max_size=70))),
)
def test_any_octets_have_a_verdict(plan: int, datagrams: list[tuple[bytes, bytes]]) -> None:  # C51, C52
    said = b"".join(head + bytes([len(pdu)]) + pdu for head, pdu in datagrams)
    receiver.examine_anything(bytes([plan]) + said)


class Leaky(Receiver):
    def examine(self, datagram: Datagram, utc_us: Micros) -> tuple[Heard, list[Remark]]:
        self.ah_sequence += 1
        return super().examine(datagram, utc_us)


def test_a_trace_would_be_seen() -> None:
    """The target is of no use unless it fails when the receiver does."""
    with pytest.raises(AssertionError, match="left a trace"):
        receiver.examine_anything(bytes([0, 0, 0, 1, 4]) + b"1234", Leaky)
