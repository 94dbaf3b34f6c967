"""What the kernel sends, laid out by hand."""

import struct


def attribute(kind: int, value: bytes) -> bytes:
    """Length, kind, value, padding to 4 octets."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, flags: int, *attributes: bytes, family: int = 0) -> bytes:
    return struct.pack("=BBHiII", family, 0, 1, index, flags, 0) + b"".join(attributes)


def address(family: int, *attributes: bytes, prefix: int = 24, flags: int = 0x80) -> bytes:
    return struct.pack("=BBBBI", family, prefix, flags, 0, 7) + b"".join(attributes)
