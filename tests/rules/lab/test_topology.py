import tomllib

import pytest

from firstmate.lab.topology import Role, draw, firstmate_toml, standard_site
from firstmate.model import jsonable


def test_the_standard_site() -> None:
    site = standard_site()
    assert [host.name for host in site.hosts] == [
        "switch",
        "client",
        "lb-a",
        "lb-b",
        "web1",
        "web2",
        "web3",
        "web4",
        "web5",
    ]
    assert [host.address for host in site.of(Role.BALANCER)] == ["10.0.1.10", "10.0.1.11"]
    assert site.named("web5").address == "10.0.1.25"
    with pytest.raises(KeyError):
        site.named("web6")
    macs = [host.mac for host in site.hosts if host.mac]
    assert len(set(macs)) == len(macs) == 8
    assert all(len(host.port) <= 15 for host in site.hosts)  # what an interface's name may have


def test_a_site_crosses_a_socket() -> None:
    site = standard_site(webs=2, balancers=3)
    assert jsonable.loads(type(site), jsonable.dumps(site)) == site


def test_the_file_names_every_host() -> None:
    document = tomllib.loads(firstmate_toml(standard_site(), advert_interval="1s", preempt_delay="5s"))
    assert [node["name"] for node in document["node"]] == ["lb-a", "lb-b"]
    assert document["vrrp"][0]["prefer"] == ["lb-a", "lb-b"]
    assert document["vrrp"][0]["addresses"] == ["10.0.1.80/24"]
    assert (document["vrrp"][0]["advert_interval"], document["vrrp"][0]["preempt_delay"]) == ("1s", "5s")
    assert document["service"][0]["servers"] == {f"web{i}": f"10.0.1.2{i}:80" for i in range(1, 6)}


def test_drawing() -> None:
    assert draw(standard_site(), "lb-b").splitlines() == [
        "  client 10.0.1.100 ── switch ──┬─ lb-a  10.0.1.10                  ─┐── web1 … web5  10.0.1.21-25",
        "                                └─ lb-b  10.0.1.11  holds 10.0.1.80 ─┘",
    ]


@pytest.mark.parametrize("balancers", [1, 2, 3, 4])
def test_every_balancer_is_drawn(balancers: int) -> None:
    site = standard_site(balancers=balancers)
    lines = draw(site, "lb-a").splitlines()
    assert len(lines) == balancers
    assert max(map(len, lines)) <= 100
    assert all(host.name in line for host, line in zip(site.of(Role.BALANCER), lines, strict=True))
