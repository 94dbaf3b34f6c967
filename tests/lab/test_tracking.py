"""Processes and files that are tracked, through the whole daemon: they move the address, and `status` says why."""

import os
import shutil
import signal
from collections.abc import Iterator

import pytest
from tests.lab.daemons import RUN, Pair, pair

from firstmate.lab.balancers import read_status
from firstmate.lab.lab import LabHost
from firstmate.model.status import RouterStatus

pytestmark = pytest.mark.lab

WORKER, PRIO = "fm-worker", "/run/prio"
TRACKED = f"""
[[process]]
name = "worker"
process = "{WORKER}"
interval = "50ms"

[[file]]
name = "prio"
path = "{PRIO}"
interval = "50ms"
"""


@pytest.fixture(scope="module")
def _pair() -> Iterator[Pair]:
    with pair(f"tracking-{os.getpid()}") as made:
        shutil.copy("/bin/sleep", made.lab.directory / WORKER)
        yield made


@pytest.fixture
def site(_pair: Pair) -> Iterator[Pair]:
    """Both nodes track a process, which runs on both, and a file, which is on neither."""
    _pair.make_whole()
    for host in (_pair.a, _pair.b):
        work(_pair, host)
    _pair.write(_pair.config + TRACKED)
    _pair.reload()
    _pair.hears(_pair.a, 'process check "worker" passes')
    _pair.hears(_pair.b, 'process check "worker" passes')
    _pair.until_leads("lb-a")
    _pair.mark()
    yield _pair
    for host in (_pair.a, _pair.b):
        print(f"--- {host.name}\n{_pair.log(host)}")
        host.run(["rm", "-f", PRIO])
        _pair.lab.kill([one for one in host.processes() if WORKER in one.argv[0]], signal.SIGKILL)


def work(site: Pair, host: LabHost) -> None:
    host.spawn([str(site.lab.directory / WORKER), "3600"], log="worker.log").close()


def says(host: LabHost, number: str) -> None:
    """As an operator does it: the file is empty for a moment, and must not count as 0 then."""
    assert host.run(["sh", "-c", f"echo {number} > {PRIO}"]).returncode == 0


def router(host: LabHost) -> RouterStatus:
    return read_status(host).routers[0]


def test_a_process_that_ends_costs_the_mastership(site: Pair) -> None:
    workers = [one for one in site.a.processes() if WORKER in one.argv[0]]
    site.lab.kill(workers, signal.SIGKILL)
    site.until_leads("lb-b")
    site.hears(site.a, f'process check "worker" fails: 0 of {WORKER} run, at least 1 must', "FAULT (was MASTER)")
    assert any("lb-a is unfit: process check" in trouble for trouble in read_status(site.a).troubles)
    work(site, site.a)
    site.until_leads("lb-a")


def test_a_number_in_a_file_moves_the_address_and_is_shown(site: Pair) -> None:
    says(site.a, "-50")
    site.until_leads("lb-b")
    site.until(lambda: "" if router(site.a).priority == 204 else router(site.a).priority, "the priority 204")
    assert router(site.a).configured_priority == 254
    assert "204 (254)" in site.a.run([*RUN, "status"]).stdout
    says(site.a, "-0x1")
    site.until(lambda: "" if router(site.a).priority == 253 else router(site.a).priority, "the priority 253")
    site.a.run(["rm", PRIO])
    site.until_leads("lb-a")
    assert " FAULT " not in site.log(site.a)


def test_an_end_of_ops_moves_nothing_and_forgets_no_number(site: Pair) -> None:
    says(site.a, "-50")
    site.until_leads("lb-b")
    site.until(lambda: [state for state, _ in site.transitions(site.a)][-1].replace("BACKUP", ""), "its journal")
    before = site.transitions(site.a)
    (ops,) = site.part(site.a, "ops")
    site.kill(site.a, "ops")
    site.until(lambda: [one for one in site.part(site.a, "ops") if one.pid == ops.pid], "the end of ops")
    site.until(lambda: "" if router(site.a).priority == 204 else "another", "what the next ops knows")
    assert site.transitions(site.a) == before
    assert site.lab.leader() == "lb-b"
