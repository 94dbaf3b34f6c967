"""Each of the 996 adverts that keepalived and FRR sent: read, judged, and written again to the last octet."""

from dataclasses import replace
from itertools import groupby

import pytest
from tests.vectors.vrrp.captures import CapturedPacket, packets
from tests.vectors.vrrp.oracle import SeenAdvert, icv, judge, mac

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, ChecksumForm, HmacKey, HmacPlan, Transport, Vip, VrrpPlan
from firstmate.model.units import S
from firstmate.vrrp import ah
from firstmate.vrrp.instance import Heard
from firstmate.vrrp.packet import (
    GROUP_IPV4,
    GROUP_IPV6,
    TRAILER_OCTETS,
    Advert,
    BadAdvert,
    Refusal,
    attach,
    check,
    encode,
    read,
)
from firstmate.vrrp.receive import Datagram, Receiver, unwrap
from firstmate.vrrp.trailer import Signer

PACKETS = packets()
FILES = {name: list(group) for name, group in groupby(PACKETS, lambda one: one.file)}
FORMS = {
    "plain": ChecksumForm.PLAIN,
    "pseudo4": ChecksumForm.PSEUDO,
    "pseudo4-mcast-dst": ChecksumForm.GROUP,
    "pseudo6": ChecksumForm.PSEUDO,
}


def test_every_packet_is_here() -> None:
    assert (len(PACKETS), len(FILES)) == (996, 37)
    assert sum(one.ah_sequence is not None for one in PACKETS) == 20
    assert sum(one.key_id is not None for one in PACKETS) == 40
    assert {one.checksum_ok_with for one in PACKETS} == {(name,) for name in FORMS}


def form_of(seen: CapturedPacket) -> ChecksumForm:
    (name,) = seen.checksum_ok_with
    return FORMS[name]


def received(seen: CapturedPacket) -> Datagram:
    """As the socket gives it: IPv4 with its header, IPv6 without."""
    if seen.src.version == 4:
        return unwrap(seen.frame[14:], "eth0")
    length = int.from_bytes(seen.frame[18:20])
    return Datagram("eth0", seen.src, seen.dst, seen.ttl, seen.frame[54 : 54 + length])


def plan_for(seen: CapturedPacket, ours: Address) -> VrrpPlan:
    """A peer of the sender, configured as the sender is."""
    auth = {0: Auth.NONE, 1: Auth.PASS, 2: Auth.AH}[seen.auth_type]
    return VrrpPlan(
        name="web",
        vrid=seen.vrid,
        version=seen.version,
        priority=100,
        advert_interval_us=seen.interval_us,
        interface="eth0",
        source=ours,
        vips=tuple(Vip(ip, 8 * len(ip.packed), "eth0") for ip in seen.addresses),
        peers=(seen.src,),
        transport=Transport.MULTICAST if seen.dst.is_multicast else Transport.UNICAST,
        checksum=form_of(seen),
        auth=auth,
        auth_pass=seen.ah_password if auth is Auth.AH else seen.auth_data if auth is Auth.PASS else b"",
        hmac=HmacPlan(tuple(HmacKey(*one) for one in seen.keys.items()), seen.key_id) if seen.key_id else None,
        multicast_group=seen.dst if seen.dst.is_multicast else None,
    )


def ours_beside(seen: CapturedPacket) -> Address:
    return type(seen.src)(b"\xc0\x00\x02\xc8" if seen.src.version == 4 else b"\xfe\x80" + bytes(13) + b"\xc8")


def needs_leniency(seen: CapturedPacket) -> Refusal | None:
    """keepalived without addresses, and with a first IPv6 address that is not link-local."""
    if not seen.addresses or (seen.src.version == 6 and not seen.addresses[0].is_link_local):
        return Refusal.ADDRESS_LIST
    return None


def now_us(seen: CapturedPacket) -> int:
    """What the clock said: that of the captures is the sender's."""
    return seen.t_us


@pytest.mark.parametrize("name", FILES)
def test_captured_packets_are_heard(name: str) -> None:  # C21, C96: each receiver lives through its capture
    receivers: dict[object, Receiver] = {}
    for seen in FILES[name]:
        found = received(seen)
        assert (found.source, found.destination, found.ttl) == (seen.src, seen.dst, seen.ttl), str(seen)
        assert (found.ah is None) is (seen.ah_sequence is None), str(seen)
        plan = plan_for(seen, ours_beside(seen))
        if (refusal := needs_leniency(seen)) is not None:
            with pytest.raises(BadAdvert) as caught:
                Receiver(plan).examine(found, now_us(seen))
            assert caught.value.reason is refusal, str(seen)
            plan = replace(plan, lenient=True)
        receiver = receivers.setdefault((plan, seen.dst), Receiver(plan))
        assert receiver.examine(found, now_us(seen)) == (Heard(seen.priority, seen.interval_us, seen.src), []), str(
            seen
        )


@pytest.mark.parametrize("name", FILES)
def test_captured_packets_are_written_again(name: str) -> None:  # C1..C7, C14, C15, C18, C19, C21
    for seen in FILES[name]:
        found = received(seen)
        end, form = check(found.pdu, seen.src, seen.dst, form_of(seen), trailer=seen.key_id is not None)
        advert = read(found.pdu, seen.src.version)
        auth_data = seen.auth_data.ljust(8, b"\0")
        wanted = (seen.version, seen.vrid, seen.priority, seen.interval_us, seen.addresses, seen.auth_type, auth_data)
        assert advert == Advert(*wanted), str(seen)
        again = encode(advert, seen.src, seen.dst, form)
        if seen.key_id is not None and seen.sequence is not None:
            assert end == len(found.pdu) - TRAILER_OCTETS
            signer = Signer(HmacPlan((HmacKey(seen.key_id, seen.keys[seen.key_id]),), seen.key_id))
            signer.last = seen.sequence - 1
            again = attach(again, signer.sign(again, seen.src, (seen.sequence >> 32) * S), seen.src, seen.dst)
        assert again == found.pdu, str(seen)
        if seen.ah_sequence is not None:
            packet = ah.build(again, seen.src, seen.dst, ah.ah_key(seen.ah_password), seen.ah_sequence)
            assert packet == seen.frame[14 : 14 + len(packet)], str(seen)


def test_captured_checksums_hold_in_their_form_only() -> None:  # C21, C47, C48
    for seen in PACKETS:
        found = received(seen)
        fitting = set()
        for form in (ChecksumForm.PSEUDO, ChecksumForm.PLAIN, ChecksumForm.GROUP):
            try:
                check(found.pdu, seen.src, seen.dst, form, trailer=True)
            except BadAdvert as error:
                assert error.reason is Refusal.CHECKSUM  # noqa: PT017 - nothing else is wrong with them
            else:
                fitting.add(form)
        if seen.version == 2 or seen.src.version == 6:
            assert len(fitting) == 3, str(seen)  # there is but one
        elif seen.dst == GROUP_IPV4 and form_of(seen) is ChecksumForm.PSEUDO:
            assert fitting == {ChecksumForm.PSEUDO, ChecksumForm.GROUP}, str(seen)
        else:
            assert fitting == {form_of(seen)}, str(seen)
        if seen.version == 3 and seen.src.version == 4:
            assert check(found.pdu, seen.src, seen.dst, ChecksumForm.AUTO, trailer=True)[1] is form_of(seen), str(seen)


def test_an_advert_of_another_group_or_to_somebody_else_is_not_for_us() -> None:  # C43
    for seen in PACKETS:
        other = Transport.UNICAST if seen.dst.is_multicast else Transport.MULTICAST
        plan = replace(plan_for(seen, ours_beside(seen)), transport=other)
        with pytest.raises(BadAdvert) as caught:
            Receiver(replace(plan, multicast_group=None)).examine(received(seen), now_us(seen))
        assert caught.value.reason is Refusal.ADDRESS_LIST, str(seen)


def test_the_oracle_agrees_with_the_captures() -> None:
    for seen in PACKETS:
        judged = judge(seen.frame)
        assert isinstance(judged, SeenAdvert), str(seen)
        assert (judged.source, judged.destination, judged.ttl) == (str(seen.src), str(seen.dst), seen.ttl)
        assert (judged.version, judged.kind, judged.vrid, judged.priority) == (
            seen.version,
            1,
            seen.vrid,
            seen.priority,
        )
        assert (judged.interval_us, judged.addresses) == (seen.interval_us, tuple(map(str, seen.addresses)))
        assert (max(judged.auth_type, 0), judged.auth_data) == (seen.auth_type, seen.auth_data.hex())
        assert judged.checksum_ok_with == seen.checksum_ok_with
        assert judged.ah[24:] == seen.ah_icv
        if seen.ah_sequence is not None:
            assert icv(seen.frame, seen.ah_password, ttl_kept=seen.dst.is_multicast) == seen.ah_icv
            assert int(judged.ah[16:24], 16) == seen.ah_sequence
        if seen.key_id is not None and seen.sequence is not None:
            head = bytes([1, seen.key_id, 0, 0]) + seen.sequence.to_bytes(8)
            assert judged.trailer == head.hex() + mac(seen.frame, seen.keys[seen.key_id])
        else:
            assert not judged.trailer


def test_the_well_known_groups_are_what_daemons_use() -> None:  # C11, C12
    assert {one.dst for one in PACKETS if one.dst.is_multicast and one.ttl == 255} >= {GROUP_IPV4, GROUP_IPV6}
