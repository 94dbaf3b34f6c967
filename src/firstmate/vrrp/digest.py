"""HMAC (RFC 2104) over MD5 and SHA-256, as adverts need it: one key, many short messages.

The interpreter's own hash modules do the work. `hashlib` would give the same digests, but loads libcrypto: 5 MiB of
locked memory in the process that holds the addresses, against 50 KiB.
"""

from collections.abc import Callable
from typing import Any, Protocol

BLOCK_OCTETS = 64  # of both hashes; a longer key would have to be hashed first, and no key of ours is longer

_INNER = bytes(octet ^ 0x36 for octet in range(256))
_OUTER = bytes(octet ^ 0x5C for octet in range(256))


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def copy(self) -> "Hash": ...


def find_hash(name: str, homes: tuple[str, ...]) -> Callable[[bytes], Hash]:
    """The constructor `name` in the first of these modules that there is. Raises `ImportError`."""
    for home in homes:
        try:
            module: Any = __import__(home)
        except ImportError:
            continue
        found: Callable[[bytes], Hash] = getattr(module, name)
        return found
    raise ImportError(f"this Python has no {name}")


MD5 = find_hash("md5", ("_md5", "hashlib"))
SHA256 = find_hash("sha256", ("_sha2", "_sha256", "hashlib"))  # 3.12 and later, 3.11, any


class Keyed:
    """HMAC with one key of at most 64 octets."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, kind: Callable[[bytes], Hash], key: bytes) -> None:
        assert len(key) <= BLOCK_OCTETS, "config refuses longer keys"
        padded = key.ljust(BLOCK_OCTETS, b"\0")
        self._inner, self._outer = kind(padded.translate(_INNER)), kind(padded.translate(_OUTER))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()
