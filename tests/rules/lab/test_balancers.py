import pytest

from firstmate.lab.balancers import Firstmate, haproxy, haproxy_workers
from firstmate.lab.lab import ProcessView

PYTHON = "/usr/bin/python3"


def view(pid: int, parent: int, *argv: str) -> ProcessView:
    return ProcessView("lb-a", pid, parent, "S", argv)


SUPERVISOR = view(10, 1, PYTHON, "-m", "firstmate", "run", "-c", "/x/firstmate.toml")
INSTALLED = view(10, 1, PYTHON, "/opt/bin/firstmate", "run")
PULSE = view(11, 10, PYTHON, "-m", "firstmate.pulse")
OPS = view(12, 10, PYTHON, "-m", "firstmate.ops")
MASTER = view(13, 10, "/usr/sbin/haproxy", "-W", "-f", "x.cfg")
WORKER = view(14, 13, "/usr/sbin/haproxy", "-sf", "5", "-f", "x.cfg")
OTHERS = [
    view(15, 1, PYTHON, "-m", "firstmate.lab.webserver", "run"),
    view(16, 1, PYTHON, "-m", "firstmate", "status"),
    view(17, 1, "vi", "haproxy"),
    view(18, 1),
]


@pytest.mark.parametrize(("part", "process"), [("run", SUPERVISOR), ("run", INSTALLED), ("pulse", PULSE), ("ops", OPS)])
def test_each_part_is_known_by_its_words(part: str, process: ProcessView) -> None:
    everything = [process, MASTER, WORKER, *OTHERS]
    assert Firstmate().part(everything, part) == [process]
    assert Firstmate().daemon(everything) == [process]


def test_workers_are_children_of_the_master() -> None:
    everything = [SUPERVISOR, MASTER, WORKER, *OTHERS]
    assert haproxy(everything) == [MASTER, WORKER]
    assert haproxy_workers(everything) == [WORKER]
    assert haproxy_workers([WORKER]) == [WORKER]  # its master is dead, or there never was one
