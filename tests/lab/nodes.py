"""`firstmate run` as an operator starts it, on the hosts of a site, and what `firstmate status` says there."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.lab.netns import ADDRESSES, ADDRESSES6, PAIR, Site
from tests.lab.stories import Story, Until

from firstmate.ipc.api_client import Unreachable, get
from firstmate.model import jsonable
from firstmate.model.status import NodeStatus, OddityStatus, RouterStatus, Status

GLANCE_S = 0.2  # so long is a status believed
PATIENCE_S = 60.0  # a loaded machine is slow, not wrong
END_S = 15.0
RUN = [sys.executable, "-m", "firstmate"]
PARTS = {"pulse": b"firstmate.pulse", "ops": b"firstmate.ops", "haproxy": b"haproxy"}

NODES = "".join(
    f'[[node]]\nname = "lb-{host}"\naddress = "{ADDRESSES[host].ip}"\naddress6 = "{ADDRESSES6[host].ip}"\n'
    for host in ("a", "b")
)


def toml(*parts: str, cluster: str = "", nodes: str = NODES) -> str:
    """A whole firstmate.toml; `cluster`: further lines of [cluster]."""
    return "\n".join([f'[cluster]\nname = "site"\n{cluster}\n', nodes, *parts])


def vrrp(name: str, vrid: int, addresses: str, more: str = "") -> str:
    """One [[vrrp]] that lb-a leads when all is well; `more`: its further lines."""
    lines = [f'name = "{name}"', f"vrid = {vrid}", f"addresses = {addresses}"]
    defaults = {"prefer": '["lb-a", "lb-b"]', "advert_interval": '"200ms"', "preempt_delay": '"0s"'}
    said = {line.partition("=")[0].strip() for line in more.splitlines()}
    for said_one, useless in (("priority", "prefer"), ("preempt", "preempt_delay")):
        if said_one in said:
            defaults.pop(useless)
    lines += [f"{key} = {value}" for key, value in defaults.items() if key not in said]
    return "\n".join(["[[vrrp]]", *lines, more, ""])


class Daemon:
    """One host's; the same file serves all unless `write` gives it another."""

    def __init__(self, site: Site, host: str, directory: Path) -> None:
        self.site, self.host, self.name = site, host, f"lb-{host}"
        self.directory = directory / host
        self.directory.mkdir()
        self.file, self.runtime, self.log_file = (self.directory / name for name in ("firstmate.toml", "run", "log"))
        self.process: subprocess.Popen[bytes] | None = None
        self._status: Status | None = None
        self._asked_at = 0.0
        self._known: set[int] = set()  # processes that were seen, so that none is left

    def write(self, config: str) -> None:
        self.file.write_text(config)

    def start(self, *, inside: bool = True) -> None:
        """On its host, or with `inside` False where the test runs."""
        command, env = [*RUN, "run", "-c", str(self.file)], os.environ | {"FIRSTMATE_RUNTIME": str(self.runtime)}
        if inside:
            self.process = self.site.hosts[self.host].start(command, self.log_file, env=env)
            return
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

    def reload(self, config: str = "") -> None:
        if config:
            self.write(config)
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """End it, whatever state it is in, and leave nothing."""
        if self.process is None:
            return
        self._known |= self._descendants()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)
            self.process.kill()
            self.process.wait(END_S)
        for pid in self._known:
            if _is_ours(pid, self.runtime):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def pid(self, part: str) -> int:
        """0: it does not run."""
        found = self._descendants()
        self._known |= found
        return next((pid for pid in sorted(found) if PARTS[part] in _words(pid)), 0)

    def kill(self, *parts: str) -> float:
        """SIGKILL to these parts, "run" is the supervisor; the time of it."""
        pids = {part: self.process.pid if part == "run" and self.process else self.pid(part) for part in parts}
        assert all(pids.values()), f"{pids} on {self.host}"
        at = time.time()
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)  # so that none sees the end of another
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        if "run" in pids and self.process is not None:
            self.process.wait(END_S)
        return at

    def status(self) -> Status | None:
        """As of now, or of a moment ago; None: it does not answer."""
        if time.monotonic() > self._asked_at + GLANCE_S:
            try:
                self._status = jsonable.loads(Status, get(str(self.runtime / "api.sock"), "/status", 3.0))
            except (Unreachable, jsonable.BadJson):
                self._status = None
            self._asked_at = time.monotonic()
        return self._status

    def table(self, *options: str) -> str:
        """What `firstmate status` prints, on one line."""
        done = subprocess.run(
            [*RUN, "status", *options],
            env=os.environ | {"FIRSTMATE_RUNTIME": str(self.runtime)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    def router(self, name: str = "web") -> RouterStatus | None:
        status = self.status()
        return next((router for router in status.routers if router.name == name), None) if status else None

    def node(self, name: str) -> NodeStatus | None:
        status = self.status()
        return next((node for node in status.nodes if node.name == name), None) if status else None

    def digest(self) -> str:
        node = self.node(self.name)
        return node.config if node else ""

    def is_(self, state: str, router: str = "web") -> bool:
        """In this state; as MASTER with its addresses."""
        view = self.router(router)
        return view is not None and view.state == state and view.held is (state == "MASTER" and bool(view.addresses))

    def counter(self, name: str, router: str = "web") -> int:
        view = self.router(router)
        return view.counters.get(name, 0) if view else 0

    def oddities(self, router: str = "web") -> dict[str, OddityStatus]:
        """By code; `router` "": those of no virtual router."""
        view = self.router(router) if router else self.status()
        return {odd.code: odd for odd in view.oddities} if view else {}

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def ip(self, *words: str) -> str:
        """What `ip WORDS` says on this host."""
        return self.site.hosts[self.host].run(["ip", *words])

    def drop(self, *rules: str) -> None:
        """Have nftables drop what these match, of what comes in; none: nothing any more."""
        lines = "".join(f"{rule} drop\n" for rule in rules)
        chain = f"chain in {{ type filter hook input priority -10; policy accept;\n{lines}}}"
        text = f"table inet cut\ndelete table inet cut\ntable inet cut {{ {chain}\n}}\n"
        self.site.hosts[self.host].run(["nft", "-f", "-"], text)

    def _descendants(self) -> set[int]:
        found: set[int] = set()
        fresh = {self.process.pid} if self.process is not None else set()
        while fresh:
            children = {child for pid in fresh for child in _children(pid)}
            fresh = children - found
            found |= children
        return found


class Duo:
    """Two daemons on a site of their own."""

    def __init__(self, directory: Path, config: str) -> None:
        directory.mkdir()
        self.site = Site(PAIR)
        self.a, self.b = Daemon(self.site, "a", directory), Daemon(self.site, "b", directory)
        self.write(config)

    @property
    def both(self) -> tuple[Daemon, Daemon]:
        return self.a, self.b

    def write(self, config: str) -> None:
        for one in self.both:
            one.write(config)

    def close(self) -> None:
        for one in self.both:
            one.close()
        self.site.close()

    def leads(self, host: str, *routers: str) -> bool:
        """MASTER with the addresses, and the other a BACKUP without."""
        leader, other = (self.a, self.b) if host == "a" else (self.b, self.a)
        return all(leader.is_("MASTER", name) and other.is_("BACKUP", name) for name in routers or ("web",))

    def until(self, condition: Callable[[], object]) -> Until:
        teller = sys._getframe(1)  # a story is not on the stack when its time is over
        while teller.f_code.co_filename == __file__ and teller.f_back is not None:
            teller = teller.f_back
        where = f"line {teller.f_lineno} of {Path(teller.f_code.co_filename).name}\n"
        return Until(lambda: bool(condition()), lambda: where + self.said(), PATIENCE_S)

    def until_leads(self, host: str, *routers: str) -> Until:
        return self.until(lambda: self.leads(host, *routers))

    def begin(self, *routers: str) -> Story:
        """Start both, lb-a first, and it has led ever since."""
        self.a.start()
        yield self.until(lambda: all(self.a.is_("MASTER", name) for name in routers or ("web",)))
        self.b.start()
        yield self.until_leads("a", *routers)
        yield self.until(lambda: all(node.reachable for one in self.both for node in one.status().nodes))  # type: ignore[union-attr] # both answer

    def reload(self, config: str, *daemons: Daemon) -> Story:
        """Another file on both, or these; until it is in force."""
        before = {one: one.digest() for one in daemons or self.both}
        for one in before:
            one.reload(config)
        yield self.until(lambda: all(one.digest() not in ("", digest) for one, digest in before.items()))
        yield self.until(lambda: all(one.log().count("reloaded: configuration") for one in before))

    def said(self) -> str:
        parts = []
        for one in self.both:
            status = one.status()
            parts += [f"--- {one.name}", one.log()[-5000:], jsonable.dumps(status) if status else "no answer"]
        return "\n".join(parts)


@contextmanager
def duos(directory: Path, configs: Mapping[str, str]) -> Iterator[dict[str, Duo]]:
    made: dict[str, Duo] = {}
    try:
        for name, config in configs.items():
            made[name] = Duo(directory / name, config)
        yield made
    finally:
        for duo in made.values():  # all at once, or each would wait for its handover
            for one in duo.both:
                if one.process is not None and one.process.poll() is None:
                    one.process.terminate()
        for duo in made.values():
            duo.close()


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_ours(pid: int, runtime: Path) -> bool:
    """Still the process that we saw: it was told our directory."""
    try:
        return str(runtime).encode() in Path(f"/proc/{pid}/environ").read_bytes() + _words(pid)
    except OSError:
        return False
