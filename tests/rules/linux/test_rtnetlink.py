import errno
import struct

import pytest
from hypothesis import given as hypothetically
from hypothesis import strategies as st
from tests.rules.linux.kernel import attribute

from firstmate.linux import rtnetlink

ONE, TWO = attribute(2, bytes(4)), attribute(3, b"eth0:fm\0")


def test_attributes_are_padded_and_read_again() -> None:
    pairs = [(11, b"\x70"), (2, bytes(4)), (3, b"eth0:fm\0")]
    data = rtnetlink.attributes(pairs)
    assert data == b"".join(attribute(kind, value) for kind, value in pairs)
    assert rtnetlink.read_attributes(data) == dict(pairs)


def test_attributes_end_where_they_make_no_sense() -> None:
    assert rtnetlink.read_attributes(ONE + b"\0\0\0\0" + TWO) == {2: bytes(4)}
    assert rtnetlink.read_attributes(ONE + b"\x08") == {2: bytes(4)}


def test_flags_are_no_part_of_an_attributes_kind() -> None:
    assert rtnetlink.read_attributes(attribute(0x8000 | 18, b"abcd")) == {18: b"abcd"}


def test_messages_are_told_apart_by_their_lengths() -> None:
    one = struct.pack("=IHHII", 17, 20, 2, 1, 0) + b"a" + bytes(3)
    two = struct.pack("=IHHII", 16, 3, 0, 9, 0)
    assert list(rtnetlink.messages(one + two)) == [(20, 2, 1, b"a"), (3, 0, 9, b"")]
    assert list(rtnetlink.messages(struct.pack("=IHHII", 0, 20, 0, 1, 0) + two)) == []  # else it would never end
    assert list(rtnetlink.messages(two[:15])) == []


@hypothetically(st.binary(max_size=300))
def test_any_bytes_end(data: bytes) -> None:
    assert len(list(rtnetlink.messages(data))) <= len(data) // 16
    assert len(rtnetlink.read_attributes(data)) <= len(data) // 4


def test_an_error_of_the_kernel_is_an_oserror() -> None:
    assert rtnetlink.refusal(struct.pack("=i", 0)) is None
    error = rtnetlink.refusal(struct.pack("=i", -errno.EPERM))
    assert isinstance(error, PermissionError)
    assert error.strerror == "Operation not permitted"


def test_the_kernels_own_sentence_is_kept() -> None:
    payload = struct.pack("=i", -errno.EINVAL) + bytes(16) + attribute(1, b"Invalid prefix length\0")
    error = rtnetlink.refusal(payload, rtnetlink.NLM_F_ACK_TLVS)
    assert error is not None
    assert error.strerror == "Invalid argument (Invalid prefix length)"
    silent = rtnetlink.refusal(payload[:20], rtnetlink.NLM_F_ACK_TLVS)
    assert silent is not None
    assert silent.strerror == "Invalid argument"


@pytest.mark.parametrize(("value", "read"), [(None, 0), (b"", 0), (b"\1\0\0", 0), (struct.pack("=I", 7), 7)])
def test_a_number_that_is_not_there_is_zero(value: bytes | None, read: int) -> None:
    assert rtnetlink.read_u32(value) == read


def test_text_that_is_no_text_is_text() -> None:
    assert rtnetlink.read_text(None) == ""
    assert rtnetlink.read_text(b"\xff\0") == "\ufffd"
    assert rtnetlink.read_text(rtnetlink.text("eth0")) == "eth0"
