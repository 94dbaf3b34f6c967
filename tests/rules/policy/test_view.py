from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.rules.policy.example import LEADING, NOW, PEER, PEER_LEADING, PLAN, VIEW, A, B, serving, snapshot, told
from tests.rules.policy.test_life import FRESH, HUNG, KILLING, SILENT

from firstmate.model.messages import PeerView, RouterView
from firstmate.model.units import S
from firstmate.policy.life import Absent, Hung, Killing, Life, Silent, Starting
from firstmate.policy.view import (
    PEER_FRESH_US,
    fresh_peers,
    haproxy_text,
    in_words,
    master_of,
    node_name,
    peer_masters,
    servers_text,
)
from firstmate.policy.world import RouterSeen, begin

STRANGER = replace(VIEW, master=A.__class__("192.0.2.77"))


# fmt: off
TEXTS: dict[str, tuple[Life, str]] = {
    "serving":  (serving().life,                                      "2.6.12 up"),
    "starting": (Starting(1, 9, NOW, FRESH),                          "starting"),
    "slow":     (Starting(1, 9, NOW, FRESH, "no answer"),             "starting: no answer"),
    "hung":     (HUNG,                                                "down: hangs"),
    "killing":  (KILLING,                                             "down: hangs"),
    "silent":   (SILENT,                                              "down: hangs: no answer"),
    "gone":     (Absent("HAProxy killed by signal 9", NOW, 1),        "down: killed by signal 9"),
}
# fmt: on


@pytest.mark.parametrize(("life", "text"), TEXTS.values(), ids=TEXTS)
def test_haproxy_text(life: Life, text: str) -> None:
    assert haproxy_text(replace(serving(), life=life)) == text


def test_every_state_of_life_has_a_text() -> None:
    assert {type(life) for life, _ in TEXTS.values()} == {
        type(serving().life), Starting, Hung, Killing, Silent, Absent,
    }  # fmt: skip


def test_no_haproxy() -> None:
    assert haproxy_text(begin(replace(PLAN, haproxy=None), NOW)) == "none"


def test_servers_text() -> None:
    assert servers_text(serving()) == "2/2"
    assert servers_text(replace(serving(), servers=())) == "?"
    assert servers_text(replace(serving(), life=HUNG)) == "?"


def test_node_name() -> None:
    assert node_name(serving(), B) == "lb-b"
    assert node_name(serving(), "198.51.100.9") == "198.51.100.9"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("192.0.2.11 said priority 0", "lb-b said priority 0"),
        ("192.0.2.11, 192.0.2.10", "lb-b, lb-a"),
        ("heard 192.0.2.11.", "heard lb-b."),
        ("2001:db8::11 said priority 0", "lb-b said priority 0"),
        ("two (2001:db8::11, 198.51.100.11): why", "two (lb-b, lb-b (198.51.100.11)): why"),
        ("2001:db8::11: it is odd", "lb-b: it is odd"),
        ("2001:db8::111, 2001:db8::11:2", "2001:db8::111, 2001:db8::11:2"),
        ("192.0.2.110 and 1192.0.2.11", "192.0.2.110 and 1192.0.2.11"),
        ("haproxy: HAProxy hangs", "HAProxy hangs"),
        ('disk: check "disk" fails: full', 'check "disk" fails: full'),
        ("haproxy: not known to be well yet", "haproxy: not known to be well yet"),
    ],
)
def test_in_words(reason: str, words: str) -> None:
    here, there = PLAN.nodes
    there = replace(there, address6=IPv6Address("2001:db8::11"), more_addresses=(IPv4Address("198.51.100.11"),))
    assert in_words(serving(replace(PLAN, nodes=(here, there))), reason) == words


def test_old_and_cut_off_peers_are_not_fresh() -> None:
    world = serving()
    assert fresh_peers(world, NOW + PEER_FRESH_US) == [PEER]
    assert fresh_peers(world, NOW + PEER_FRESH_US + 1) == []
    assert fresh_peers(serving(PLAN, peers=(replace(PEER, connected=False),)), NOW) == []
    assert fresh_peers(serving(PLAN, peers=(replace(PEER, states=None),)), NOW) == []
    assert fresh_peers(begin(PLAN, NOW), NOW) == []


def test_peer_masters() -> None:
    assert peer_masters(serving(PLAN, peers=(PEER_LEADING,)), "web", NOW) == ["lb-b"]
    assert peer_masters(serving(PLAN, peers=(replace(PEER_LEADING, node=""),)), "web", NOW) == ["lb-b"]
    assert peer_masters(serving(), "web", NOW) == []


# fmt: off
MASTERS = {                   # we are   the peer says  after  master
    "we":                       (LEADING,  PEER_LEADING,  0,     "lb-a"),
    "its adverts are fresh":    (VIEW,     PEER,          0,     "lb-b"),
    "it says so":               (replace(VIEW, master=None), PEER_LEADING, 0, "lb-b"),
    "nobody we ever heard":     (replace(VIEW, master=None), PEER, 0, ""),
    "no advert was accepted":   (replace(VIEW, heard_at_us=None), PEER, 0, ""),
    "long silent":              (VIEW,     PEER,          2 * S, ""),
    "a stranger's adverts":     (STRANGER, PEER,          0,     "192.0.2.77"),
}
# fmt: on


@pytest.mark.parametrize(("view", "peer", "after", "master"), MASTERS.values(), ids=MASTERS)
def test_master_of(view: RouterView, peer: PeerView, after: int, master: str) -> None:
    world = told(begin(PLAN, NOW), snapshot(view, peers=(peer,)))
    assert master_of(world, RouterSeen(view, NOW + after), NOW + after) == master
