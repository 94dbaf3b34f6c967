import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.vrrp.digest import MD5, SHA256, Keyed, find_hash


def test_hmac_of_the_standards() -> None:  # RFC 2202, 2 and RFC 4231, 4.3
    key, text = b"Jefe", b"what do ya want for nothing?"
    assert Keyed(MD5, key).digest(text).hex() == "750c783e6ab0b503eaa86e310a5db738"
    wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Keyed(SHA256, key).digest(text).hex() == wanted


@given(st.binary(max_size=64), st.lists(st.binary(max_size=200), max_size=3))
def test_one_key_signs_many_messages(key: bytes, messages: list[bytes]) -> None:
    md5, sha256 = Keyed(MD5, key), Keyed(SHA256, key)
    for message in messages:
        assert md5.digest(message) == hmac.new(key, message, hashlib.md5).digest()
        assert sha256.digest(message) == hmac.new(key, message, hashlib.sha256).digest()


def test_a_key_longer_than_a_block_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="longer"):
        Keyed(SHA256, bytes(65))


def test_the_first_module_that_there_is_counts() -> None:
    assert find_hash("sha256", ("no_such_module", "hashlib")) is hashlib.sha256
    with pytest.raises(ImportError, match="this Python has no sha256"):
        find_hash("sha256", ("no_such_module",))
