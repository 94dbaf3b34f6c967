"""What pulse must never load, and why: a module that is not there cannot leak, block, fork or be swapped in late."""

import json
import subprocess
import sys

FORBIDDEN = {
    "asyncio": "one select loop, read in one screen, is the whole scheduler",
    "concurrent": "no thread shares the interpreter lock with a deadline",
    "http": "talking to the world is the job of ops",
    "logging": "takes locks and may block on its stream; pulse sends records to ops",
    "multiprocessing": "the supervisor owns every process",
    "ssl": "14 MiB to keep in locked memory",
    "subprocess": "a fork copies page tables while an advert waits",
    "threading": "no thread shares the interpreter lock with a deadline",
    "tomllib": "a parser bug must not reach a process that holds an address",
    "urllib": "talking to the world is the job of ops",
}
MODULES_MAX = 100  # beside our own, which are small and ours to divide
PROGRAM = "import firstmate.pulse.loop, json, sys; print(json.dumps(sorted(sys.modules)))"


def test_pulse_loads_little() -> None:
    # -S -E: without site packages' .pth files, which load what they like; the path is given instead.
    path = [entry for entry in sys.path if entry.endswith("src")]
    program = f"import sys; sys.path[:0] = {path!r}; {PROGRAM}"
    done = subprocess.run([sys.executable, "-S", "-E", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout)
    heavy = {name: FORBIDDEN[name] for name in FORBIDDEN.keys() & {module.partition(".")[0] for module in modules}}
    assert not heavy
    others = [module for module in modules if module.partition(".")[0] != "firstmate"]
    assert len(others) < len(modules), "pulse itself was not loaded"
    assert len(others) < MODULES_MAX
