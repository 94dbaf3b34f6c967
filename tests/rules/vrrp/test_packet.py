from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstmate.model.plan import ChecksumForm
from firstmate.model.units import MS, S
from firstmate.vrrp.packet import (
    AUTH_ERROR_TYPE,
    GROUP_IPV4,
    GROUP_IPV6,
    PROTO_ERR_REASON,
    Address,
    Advert,
    BadAdvert,
    Refusal,
    attach,
    check,
    checksum,
    decode,
    encode,
    read,
)

PSEUDO, PLAIN, GROUP, AUTO = ChecksumForm.PSEUDO, ChecksumForm.PLAIN, ChecksumForm.GROUP, ChecksumForm.AUTO

A, B, C = map(IPv4Address, ("192.0.2.11", "192.0.2.12", "192.0.2.13"))
A6 = IPv6Address("fe80::ff:fe00:a")


def ips(*texts: str) -> tuple[IPv4Address, ...]:
    return tuple(map(IPv4Address, texts))


TWO = ips("198.51.100.11", "198.51.100.12")
C1 = Advert(2, 2, 100, S, TWO)
C4 = Advert(3, 22, 100, 500 * MS, TWO)
C6 = Advert(3, 32, 100, 500 * MS, (IPv6Address("fe80::20:1"), IPv6Address("2001:db8:20::1")))


# fmt: off
ENCODED = {
    "C1 v2":           (C1,                                                   GROUP_IPV4, PSEUDO, "210264020001267bc633640bc633640c" + 16 * "0"),
    "C2 PASS abc":     (Advert(2, 2, 100, S, TWO, 1, b"abc"),                  GROUP_IPV4, PSEUDO, "2102640201016118c633640bc633640c6162630000000000"),
    "C3 PASS cut":     (Advert(2, 2, 100, S, TWO, 1, b"123456789"),            GROUP_IPV4, PSEUDO, "21026402010154a6c633640bc633640c3132333435363738"),
    "C4 v3 pseudo":    (C4,                                                   GROUP_IPV4, PSEUDO, "3116640200327397c633640bc633640c"),
    "C5 v3 plain":     (Advert(3, 26, 100, 500 * MS, ips("198.51.100.81", "198.51.100.82")), GROUP_IPV4, PLAIN, "311a6402003215a6c6336451c6336452"),
    "C14 unicast":     (Advert(3, 41, 100, 500 * MS, ips("198.51.100.1")),     B,          PSEUDO, "312964010032bbd9c6336401"),
    "12 v2 PASS":      (Advert(2, 5, 100, S, ips("198.51.100.71"), 1, b"secret12"), GROUP_IPV4, PSEUDO, "210564010101e1fec63364477365637265743132"),
    "C18 PDU in AH":   (Advert(2, 7, 150, S, ips("198.51.100.91"), 2),         GROUP_IPV4, PSEUDO, "2107960102011c67c633645b" + 16 * "0"),
    "12 v3 owner":     (Advert(3, 24, 255, 40_950 * MS, ips("198.51.100.61")), GROUP_IPV4, PSEUDO, "3118ff010ffff2dac633643d"),
    "C15 old checksum": (Advert(3, 44, 1, 500 * MS, ips("198.51.100.61")),    B,          GROUP,  "312c010100320095c633643d"),
    "AUTO is PSEUDO":  (Advert(3, 41, 100, 500 * MS, ips("198.51.100.1")),     B,          AUTO,   "312964010032bbd9c6336401"),
    "C7 1 cs":         (Advert(3, 24, 255, 10 * MS, ips("198.51.100.61")),     GROUP_IPV4, PLAIN,  "3118ff010001a573c633643d"),
}
# fmt: on


@pytest.mark.parametrize(("advert", "to", "form", "wanted"), ENCODED.values(), ids=ENCODED)
def test_encode(advert: Advert, to: Address, form: ChecksumForm, wanted: str) -> None:
    assert encode(advert, A, to, form).hex() == wanted


def test_encode_ipv6() -> None:  # C6
    pdu = encode(C6, A6, GROUP_IPV6)
    assert (len(pdu), pdu[6:8].hex()) == (40, "40f7")


def test_encode_two_copies_of_one_advert() -> None:  # C14
    to_b, to_c = (encode(C4, A, to) for to in (B, C))
    assert [at for at in range(len(to_b)) if to_b[at] != to_c[at]] == [7]
    assert encode(C1, A, B) == encode(C1, A, C)


def test_encode_resignation() -> None:  # C20
    usual, last = encode(C4, A, B), encode(Advert(3, 22, 0, 500 * MS, TWO), A, B)
    assert {at for at in range(len(usual)) if usual[at] != last[at]} <= {2, 6, 7}
    assert last[2] == 0


def test_encode_checksum_of_zero_is_sent_as_zero() -> None:  # C17
    free = int.from_bytes(encode(Advert(3, 1, 100, S, ips("1.2.0.0")), A, GROUP_IPV4)[6:8])
    pdu = encode(Advert(3, 1, 100, S, ips(f"1.2.{free >> 8}.{free & 255}")), A, GROUP_IPV4)
    assert pdu[6:8] == b"\0\0"


def test_decode_accepts_ffff_for_zero() -> None:  # C49
    free = int.from_bytes(encode(Advert(3, 1, 100, S, ips("1.2.0.0")), A, GROUP_IPV4)[6:8])
    advert = Advert(3, 1, 100, S, ips(f"1.2.{free >> 8}.{free & 255}"))
    pdu = bytearray(encode(advert, A, GROUP_IPV4))
    pdu[6:8] = b"\xff\xff"
    assert decode(bytes(pdu), A, GROUP_IPV4) == advert


def test_encode_as_many_addresses_as_the_count_can_say() -> None:  # C9
    many = tuple(IPv4Address(0x0A000000 + n) for n in range(255))
    pdu = encode(Advert(2, 1, 100, S, many), A, GROUP_IPV4)
    assert (len(pdu), pdu[3]) == (1036, 255)
    with pytest.raises(ValueError, match="256 addresses do not fit in one advertisement: at most 255"):
        encode(Advert(2, 1, 100, S, (*many, A)), A, GROUP_IPV4)


# fmt: off
UNSENDABLE = {
    "C8 v3 0":        (Advert(3, 1, 100, 0, TWO),                "centiseconds"),
    "C8 v3 4096 cs":  (Advert(3, 1, 100, 40_960 * MS, TWO),      "1..4095"),
    "C8 v3 between":  (Advert(3, 1, 100, 15 * MS, TWO),          "not 15000 us"),
    "C8 v3 minus":    (Advert(3, 1, 100, -10 * MS, TWO),         "centiseconds"),
    "C8 v2 0":        (Advert(2, 1, 100, 0, TWO),                "seconds"),
    "C8 v2 256 s":    (Advert(2, 1, 100, 256 * S, TWO),          "1..255"),
    "C8 v2 between":  (Advert(2, 1, 100, 1500 * MS, TWO),        "whole seconds"),
    "version 1":      (Advert(1, 1, 100, S, TWO),                "no VRRP version 1"),
    "version 4":      (Advert(4, 1, 100, S, TWO),                "no VRRP version 4"),
    "vrid 256":       (Advert(3, 256, 100, S, TWO),              "vrid 256"),
    "vrid -1":        (Advert(3, -1, 100, S, TWO),               "vrid -1"),
    "priority 256":   (Advert(2, 1, 256, S, TWO),                "priority 256"),
    "auth type 256":  (Advert(2, 1, 100, S, TWO, 256),           "auth_type 256"),
    "mixed families": (Advert(3, 1, 100, S, (A, A6)),            "family"),
}
# fmt: on


@pytest.mark.parametrize(("advert", "says"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_encode_never_cuts(advert: Advert, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        encode(advert, A, GROUP_IPV4)


def sealed(text: str, to: IPv4Address = GROUP_IPV4) -> bytes:
    """Give a PDU, written with checksum 0, the checksum that its version wants."""
    pdu = bytes.fromhex(text)
    before = A.packed + to.packed + b"\0\x70" + len(pdu).to_bytes(2) if pdu[0] >> 4 == 3 else b""
    return pdu[:6] + checksum(before + pdu).to_bytes(2) + pdu[8:]


ONE = "c6336401"
NO_AUTH = 16 * "0"
# fmt: off
REFUSED = {
    "C24 version 0":        (sealed("0132640100640000" + ONE),           3,    Refusal.VERSION),
    "C24 version 1":        (sealed("1132640100640000" + ONE),           3,    Refusal.VERSION),
    "C24 version 4":        (sealed("4132640100640000" + ONE),           None, Refusal.VERSION),
    "C24 version 15":       (sealed("f132640100640000" + ONE),           None, Refusal.VERSION),
    "C24 3 at 2":           (sealed("3132640100640000" + ONE),           2,    Refusal.VERSION),
    "C24 2 at 3":           (sealed("2132640100010000" + ONE + NO_AUTH), 3,    Refusal.VERSION),
    "C25 type 0":           (sealed("3032640100640000" + ONE),           3,    Refusal.TYPE),
    "C25 type 2":           (sealed("3232640100640000" + ONE),           3,    Refusal.TYPE),
    "C25 type 7":           (sealed("2732640100010000" + ONE + NO_AUTH), 2,    Refusal.TYPE),
    "C25 type 15":          (sealed("3f32640100640000" + ONE),           3,    Refusal.TYPE),
    "C26 checksum":         (bytes.fromhex("3116640200327396c633640bc633640c"), 3, Refusal.CHECKSUM),
    "C28 no address":       (sealed("3132640100640000"),                 3,    Refusal.PACKET_LENGTH),
    "C28 no header":        (bytes.fromhex("31326401006400"),            3,    Refusal.PACKET_LENGTH),
    "C28 nothing":          (b"",                                        3,    Refusal.PACKET_LENGTH),
    "C29 v2 without auth":  (sealed("2132640100010000" + ONE),           2,    Refusal.PACKET_LENGTH),
    "C30 4 more octets":    (sealed("3132640100640000" + ONE + ONE),     3,    Refusal.PACKET_LENGTH),
    "C31 count 3 of 2":     (sealed("3132640300640000" + ONE + ONE),     3,    Refusal.PACKET_LENGTH),
    "C31 count 3 of 2, v2": (sealed("2132640300010000" + ONE + ONE + NO_AUTH), 2, Refusal.PACKET_LENGTH),
    "v3 with v2's auth":    (sealed("3132640100640000" + ONE + NO_AUTH), 3,    Refusal.PACKET_LENGTH),
}
READ = {
    "C32 reserved nibble":  (sealed("31326401f0640000" + ONE),           Advert(3, 50, 100, S, ips("198.51.100.1"))),
    "C33 interval 0":       (sealed("3132640110000000" + ONE),           Advert(3, 50, 100, 0, ips("198.51.100.1"))),
    "C36 count 0":          (sealed("3132640000640000"),                 Advert(3, 50, 100, S, ())),
    "C41 auth data":        (sealed("2132640100010000" + ONE + 16 * "f"), Advert(2, 50, 100, S, ips("198.51.100.1"), 0, 8 * b"\xff")),
    "v2 auth type":         (sealed("2132640103ff0000" + ONE + NO_AUTH), Advert(2, 50, 100, 255 * S, ips("198.51.100.1"), 3)),
    "vrid 0":               (sealed("3100640100640000" + ONE),           Advert(3, 0, 100, S, ips("198.51.100.1"))),
}
# fmt: on


@pytest.mark.parametrize(("pdu", "version", "reason"), REFUSED.values(), ids=REFUSED)
def test_decode_refuses(pdu: bytes, version: int | None, reason: Refusal) -> None:
    with pytest.raises(BadAdvert) as caught:
        decode(pdu, A, GROUP_IPV4, version=version)
    assert caught.value.reason is reason
    assert str(caught.value) == f"{reason.value}: {caught.value.detail}"


@pytest.mark.parametrize(("pdu", "wanted"), READ.values(), ids=READ)
def test_decode_reads_what_others_are_to_judge(pdu: bytes, wanted: Advert) -> None:
    assert decode(pdu, A, GROUP_IPV4) == wanted


def test_where_any_version_is_heard_a_refusal_names_none_of_ours() -> None:
    with pytest.raises(BadAdvert) as caught:
        decode(sealed("4132640100640000" + ONE), A, GROUP_IPV4)
    assert caught.value.detail == "version 4"


def test_decode_wants_the_destination_that_was_summed() -> None:  # C14, C48
    pdu = encode(C4, A, GROUP_IPV4)
    with pytest.raises(BadAdvert, match="checksum_errors: checksum 7397"):
        decode(pdu, A, B)


@pytest.mark.parametrize("form", [PSEUDO, PLAIN, GROUP])
def test_auto_tells_which_form_fitted(form: ChecksumForm) -> None:  # C47, C48
    pdu = encode(C4, A, B, form)
    assert check(pdu, A, B, AUTO) == (len(pdu), form)
    assert decode(pdu, A, B, AUTO) == C4


def test_auto_says_pseudo_where_two_are_the_same() -> None:
    assert check(encode(C4, A, GROUP_IPV4, GROUP), A, GROUP_IPV4, AUTO)[1] is PSEUDO
    assert check(encode(C1, A, B), A, B, AUTO)[1] is PSEUDO  # version 2 has one form
    assert check(encode(C6, A6, GROUP_IPV6, PLAIN), A6, GROUP_IPV6, AUTO)[1] is PSEUDO  # and so has IPv6


def test_version_2_over_ipv6_has_no_authentication_octets() -> None:
    old = Advert(2, 32, 100, S, C6.addresses)
    pdu = encode(old, A6, GROUP_IPV6)
    assert (len(pdu), pdu[:6].hex()) == (40, "212064020001")
    assert decode(pdu, A6, GROUP_IPV6, version=2) == old
    with pytest.raises(BadAdvert, match="packet_length_errors"):
        decode(pdu + bytes(8), A6, GROUP_IPV6)


@pytest.mark.parametrize(("advert", "source", "to"), [(C1, A, B), (C4, A, GROUP_IPV4), (C6, A6, GROUP_IPV6)])
def test_a_trailer_is_told_by_its_length_and_only_when_looked_for(advert: Advert, source: Address, to: Address) -> None:
    pdu = encode(advert, source, to)
    whole = attach(pdu, bytes(range(28)), source, to)
    assert whole[8:] == pdu[8:] + bytes(range(28))
    assert check(whole, source, to, PSEUDO, trailer=True) == (len(pdu), PSEUDO)
    assert check(pdu, source, to, PSEUDO, trailer=True) == (len(pdu), PSEUDO)
    assert read(whole, source.version) == advert
    for wrong in (whole[:-1], whole + b"\0", pdu + b"\0"):
        with pytest.raises(BadAdvert, match="packet_length_errors"):
            check(wrong, source, to, PSEUDO, trailer=True)
    with pytest.raises(BadAdvert, match="packet_length_errors"):
        check(whole, source, to, PSEUDO)


def test_over_ipv4_the_trailer_is_in_neither_sum_nor_length() -> None:
    whole = attach(encode(C4, A, B), b"\xff" * 28, A, B)
    assert whole[6:8] == encode(C4, A, B)[6:8]
    six = attach(encode(C6, A6, GROUP_IPV6), b"\x12" * 28, A6, GROUP_IPV6)
    assert six[6:8] != encode(C6, A6, GROUP_IPV6)[6:8]
    assert checksum(A6.packed + GROUP_IPV6.packed + len(six).to_bytes(4) + b"\0\0\0\x70" + six) == 0


def test_known_addresses_are_not_read_again() -> None:
    pdu = encode(C4, A, B)
    known = ips("198.51.100.11", "198.51.100.12")
    assert read(pdu, 4, known).addresses is known


def test_reasons_of_the_management_information_bases() -> None:  # RFC 6527 vrrpv3StatisticsProtoErrReason; RFC 2787
    said = {refusal: PROTO_ERR_REASON.get(refusal, 0) for refusal in Refusal}
    assert {name.name: number for name, number in said.items() if number} == {
        "IP_TTL": 1, "VERSION": 2, "CHECKSUM": 3, "VRID": 4,
    }  # fmt: skip
    assert [AUTH_ERROR_TYPE[Refusal[name]] for name in ("INVALID_AUTH_TYPE", "AUTH_TYPE_MISMATCH", "AUTH_FAILURE")] == [
        1, 2, 3,
    ]  # fmt: skip


@pytest.mark.parametrize("advert", [C1, C4], ids=["C1", "C4"])
def test_decode_refuses_every_truncation(advert: Advert) -> None:  # C28
    pdu = encode(advert, A, GROUP_IPV4)
    for length in range(len(pdu)):
        with pytest.raises(BadAdvert) as caught:
            decode(pdu[:length], A, GROUP_IPV4)
        assert caught.value.reason is Refusal.PACKET_LENGTH


@pytest.mark.parametrize(("advert", "source", "to"), [(C1, A, B), (C4, A, GROUP_IPV4), (C6, A6, GROUP_IPV6)])
def test_decode_refuses_every_flipped_bit(advert: Advert, source: Address, to: Address) -> None:  # C51
    pdu = encode(advert, source, to)
    for bit in range(8 * len(pdu)):
        bent = bytearray(pdu)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadAdvert):
            decode(bytes(bent), source, to, version=advert.version)


def test_decode_bears_the_longest_packet() -> None:  # C51
    with pytest.raises(BadAdvert, match="65515 octets do not hold"):
        decode(encode(C4, A, B).ljust(65_515, b"\xff"), A, B)


@given(st.binary(max_size=1100), st.sampled_from([(A, B), (A6, GROUP_IPV6)]), st.sampled_from([None, 2, 3]))
def test_decode_gives_a_value_or_bad_advert(
    data: bytes, ends: tuple[Address, Address], version: int | None
) -> None:  # C51
    try:
        advert = decode(data, *ends, version=version)
    except BadAdvert:
        return
    assert advert.version in (2, 3)


@given(st.integers(2, 3), st.integers(0, 15), st.binary(min_size=5, max_size=5), st.binary(max_size=64))
def test_decode_gives_a_value_or_bad_advert_behind_a_right_checksum(
    version: int, kind: int, rest: bytes, body: bytes
) -> None:
    pdu = bytearray(bytes([version << 4 | kind]) + rest + b"\0\0" + body)
    before = A.packed + B.packed + b"\0\x70" + len(pdu).to_bytes(2) if version == 3 else b""
    pdu[6:8] = checksum(before + pdu).to_bytes(2)
    try:
        advert = decode(bytes(pdu), A, B)
    except BadAdvert as error:
        assert error.reason in {Refusal.TYPE, Refusal.PACKET_LENGTH}  # noqa: PT017 - either outcome is right
        return
    assert (advert.version, advert.vrid, advert.priority) == (version, rest[0], rest[1])


@st.composite
def any_advert(draw: st.DrawFn) -> tuple[Advert, Address, Address]:
    version = draw(st.sampled_from([2, 3]))
    ipv4 = draw(st.booleans())
    address: st.SearchStrategy[Address] = st.ip_addresses(v=4) if ipv4 else st.ip_addresses(v=6)
    has_auth = version == 2 and ipv4
    advert = Advert(
        version,
        draw(st.integers(0, 255)),
        draw(st.integers(0, 255)),
        draw(st.integers(1, 255)) * S if version == 2 else draw(st.integers(1, 4095)) * 10 * MS,
        tuple(draw(st.lists(address, max_size=20))),
        draw(st.integers(0, 255)) if version == 2 else 0,
        draw(st.binary(min_size=8, max_size=8)) if has_auth else bytes(8),
    )
    return advert, draw(address), draw(address)


@given(any_advert(), st.sampled_from(ChecksumForm))
def test_decode_undoes_encode(made: tuple[Advert, Address, Address], form: ChecksumForm) -> None:
    advert, source, to = made
    assert decode(encode(advert, source, to, form), source, to, form, version=advert.version) == advert


@pytest.mark.parametrize(
    ("data", "wanted"), [(b"", 0xFFFF), (b"\0\1", 0xFFFE), (b"\xff\xff\0\1", 0xFFFE), (b"\1", 0xFEFF)]
)
def test_checksum(data: bytes, wanted: int) -> None:  # RFC 1071: carries wrap round, an odd octet is padded
    assert checksum(data) == wanted
