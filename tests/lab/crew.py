"""Daemons of several makes that share virtual routers on one site, and who must lead each of them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.lab import makes
from tests.lab.makes import Cell, Make
from tests.lab.netns import PAIR, TRIO, Site
from tests.lab.stories import Story, Until, stalled_s
from tests.vectors.vrrp.oracle import TRAILER_OCTETS, SeenAdvert

from firstmate.model.plan import Auth, Transport

EARLY_S = 0.03  # FRR counts in centiseconds
LATE_S = 1.5  # what a busy machine may add, and less than what another rule of the same cell would
CALM_ADVERTS = 2  # of each MASTER, and no other: so long is peace watched


class Crew:
    """`makes`: which daemon runs on which host."""

    def __init__(self, directory: Path, members: Mapping[str, str], cells: Sequence[Cell]) -> None:
        self.cells = cells
        self.site = Site(TRIO if "c" in members else PAIR)
        self.alive: set[str] = set()
        self.leaders: dict[str, str] = {}  # name of the virtual router -> host
        self.members: dict[str, Make] = {}
        self._dead_holders: set[str] = set()  # killed: the addresses stay with them, and answer
        self._stack = ExitStack()
        self._stack.callback(self.site.close)
        try:
            for host, make in members.items():
                self.members[host] = member = makes.new(make, self.site, host, directory, cells)
                self._stack.callback(member.close)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def is_frr(self, host: str) -> bool:
        return self.members[host].make == "frr"

    def start(self, *hosts: str) -> None:
        for host in hosts:
            self.members[host].start()
            self.alive.add(host)
        self._elect()

    def stop(self, host: str) -> float:
        at = self.members[host].stop()
        self.alive.discard(host)
        self._elect()
        return at

    def kill(self, host: str) -> float:
        at = self.members[host].kill()
        self.alive.discard(host)
        self._elect()
        return at

    def _elect(self) -> None:
        for cell in self.cells:
            here = [host for host in cell.hosts if host in self.alive]
            leader = self.leaders.get(cell.name, "")
            if here and (cell.preempt or leader not in here):
                self.leaders[cell.name] = max(here, key=lambda host: cell.priorities[host])

    def led_by(self, host: str) -> list[Cell]:
        return [cell for cell in self.cells if self.leaders[cell.name] == host]

    def adverts(self, host: str, cell: Cell, since: float = 0) -> list[tuple[float, SeenAdvert]]:
        return self.site.observer.adverts(host, since, cell.vrid, cell.family)

    # What is waited for.

    def settled(self, *, client: bool = True) -> Story:
        """One MASTER, the right one, by its word, its address, the client and the wire; and it stays so for a while."""
        silent = [cell for cell in self.cells if self._says_it_too_early(cell)]
        if silent:
            yield Until(self._agree, self.story)
            at = time.time()
            yield Until(lambda: all(self.taken_over(cell, at) for cell in silent), self.story)
        yield Until(lambda: self._agree() and (not client or self._client_agrees()), self.story)
        since = time.time()
        yield Until(lambda: all(self._advertised(cell, since) for cell in self.cells), self.story)
        for cell in self.cells:
            others = {host for host in cell.hosts if self.adverts(host, cell, since)} - {self.leaders[cell.name]}
            assert not others, f"{cell.name}: {others} advertise too\n{self.story()}"
        assert self._agree(), self.story()

    def _agree(self) -> bool:
        return not any(self._disagreements())

    def _disagreements(self) -> Iterator[str]:
        for cell in self.cells:
            leader = self.leaders[cell.name]
            for host in sorted(self.alive & set(cell.hosts)):
                wanted, said = "MASTER" if host == leader else "BACKUP", self.members[host].state(cell)
                if said != wanted:
                    yield f"{cell.name} on {host} ({self.members[host].make}) is {said}, not {wanted}"
        for cell in self.cells:
            for host in sorted(self.alive & set(cell.hosts)):
                for vip in cell.vips:
                    if self.site.holds(host, vip.ip) is not (host == self.leaders[cell.name]):
                        yield f"{cell.name}: {vip.ip} on {host} ({self.members[host].make})"

    def _client_agrees(self) -> bool:
        return not any(self._client_errs())

    def _client_errs(self) -> Iterator[str]:
        for cell in self.cells:
            if self._says_it_too_early(cell):
                continue
            asked, wanted = self.site.whom_it_asks("client", cell.vips[-1].ip), self._mac(cell)
            if asked != wanted:
                yield f"{cell.name}: the client asks {asked}, not {wanted}"

    def _says_it_too_early(self, cell: Cell) -> bool:
        """A new MASTER of FRR says in IPv6 where the addresses are, and keeps its first advert to itself.

        In between a third becomes MASTER, or the old one speaks once more, and has the last word at the client.
        """
        return cell.family == 6 and self.is_frr(self.leaders[cell.name])

    def _mac(self, cell: Cell) -> str:
        return self.members[self.leaders[cell.name]].mac(cell)

    def _advertised(self, cell: Cell, since: float) -> bool:
        return len(self.adverts(self.leaders[cell.name], cell, since)) >= CALM_ADVERTS

    def greet(self) -> None:
        self.site.greet(*(cell.vips[-1].ip for cell in self.cells))

    def taken_over(self, cell: Cell, at: float) -> bool:
        return bool(self.adverts(self.leaders[cell.name], cell, at))

    # What is judged afterwards.

    def check_down_time(self, cell: Cell, dead: str) -> None:
        """Three intervals of the dead and our skew after its last word, no other rule."""
        heir = self.leaders[cell.name]
        last = self.adverts(dead, cell)[-1][0]
        first = self.adverts(heir, cell, last)[0][0]
        ideal = cell.down_s(heir, dead)
        late_s = LATE_S + stalled_s(last) + self._frr_silence(cell, heir)
        assert -EARLY_S < first - last - ideal < late_s, (
            f"{cell.name}: {heir} after {first - last:.3f} s, ideal {ideal:.3f}"
        )

    def check_resignation(self, cell: Cell, gone: str, at: float) -> None:
        """Priority 0 once, and the next takes over by its skew: before silence would have told it."""
        heir = self.leaders[cell.name]
        said = [(when, advert.priority) for when, advert in self.adverts(gone, cell, at)]
        assert [priority for _, priority in said][-1:] == [0], f"{cell.name}: {gone} said {said}"
        first = self.adverts(heir, cell, said[-1][0])[0][0]
        took, skew, down = first - said[-1][0], cell.skew_s(heir, gone), 3 * cell.interval(gone)
        late_s = stalled_s(at) + self._frr_silence(cell, heir)
        assert skew - EARLY_S < took < down + late_s, f"{cell.name}: {heir} after {took:.3f} s"

    def check_wire(self) -> None:
        """Every advert of every virtual router is what it is said to be."""
        for cell in self.cells:
            wanted = (cell.version, cell.family, 1, cell.carrier, cell.hmac is not None)
            auth = {Auth.NONE: 0, Auth.PASS: 1, Auth.AH: 2}[cell.auth] if cell.version == 2 else -1
            for host in cell.hosts:
                for _, said in self.adverts(host, cell):
                    trailed = len(said.trailer) == 2 * TRAILER_OCTETS
                    assert (said.version, said.family, said.kind, said.carrier, trailed) == wanted, said
                    assert said.auth_type == auth, said
                    assert said.checksum_ok_with, said
                    assert set(said.addresses) == {str(vip.ip) for vip in cell.vips}, said
                    assert said.ttl == 255 or cell.transport is not Transport.MULTICAST, said

    def check_peace(self) -> None:
        """Nobody refuses anything, and nobody complains."""
        for member in self.members.values():
            assert member.complaints() == [], f"{member.make} on {member.host}"
        assert self.site.observer.unreadable == []

    def _frr_silence(self, cell: Cell, host: str) -> float:
        """A new MASTER of FRR keeps its first IPv6 advert to itself."""
        return cell.interval(host) + EARLY_S if self.is_frr(host) and cell.family == 6 else 0

    def story(self) -> str:
        parts = [*self._disagreements(), *self._client_errs()]
        for host, member in self.members.items():
            parts.append(
                f"--- {host} is {member.make}{'' if host in self.alive else ', dead'}:\n{member.said()[-2500:]}"
            )
        return "\n".join(parts)
