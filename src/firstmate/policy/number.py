"""The number in a tracked file, read as C's `strtol` reads it with base 0, which is how keepalived does."""

import re

OCTETS_MAX = 64
NUMBER_MAX = 2**63 - 1  # `strtol` stops there too

_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def read_number(content: bytes) -> int | None:
    """The number that the first `OCTETS_MAX` octets begin with; None: they begin with none."""
    found = _NUMBER.match(content[:OCTETS_MAX])
    if found is None:
        return None
    digits = found[2].lower()
    base = 16 if digits.startswith(b"0x") else 8 if digits.startswith(b"0") else 10
    number = int(digits, base)
    return max(-number, -NUMBER_MAX - 1) if found[1] == b"-" else min(number, NUMBER_MAX)
