import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.policy.number import OCTETS_MAX, read_number

_strtol = ctypes.CDLL(None).strtol
_strtol.restype = ctypes.c_long


# fmt: off
NUMBERS: dict[bytes, int | None] = {
    b"":             None,
    b"\n":           None,
    b"ten":          None,
    b"-":            None,
    b"- 1":          None,
    b"10":           10,
    b"10\n":         10,
    b" \t\n-20 # x": -20,
    b"+7":           7,
    b"0":            0,
    b"-0":           0,
    b"010":          8,
    b"08":           0,
    b"0x1F":         31,
    b"-0XfF\n":      -255,
    b"0xg":          0,
    b"0x":           0,
    b"12.5":         12,
    b"1e3":          1,
    b"12abc":        12,
    b"1\x002":       1,
    b"\xff1":        None,
    b"9" * 30:       2**63 - 1,
    b"-" + b"9" * 30: -(2**63),
    b" " * OCTETS_MAX + b"1": None,
}
# fmt: on


@pytest.mark.parametrize(("content", "number"), NUMBERS.items(), ids=[repr(content[:12]) for content in NUMBERS])
def test_numbers(content: bytes, number: int | None) -> None:
    assert read_number(content) == number


@given(st.from_regex(rb"[ \t]{0,3}[+-]{0,2}(0[xX]?)?[0-9a-fgx]{0,24}[ \n]{0,2}", fullmatch=True))
def test_it_is_what_c_reads(content: bytes) -> None:
    assert (read_number(content) or 0) == _strtol(content, None, 0)
