"""The one entry point for checks: `nox`, or `nox -s rules`, or `./test` where nothing is installed yet.

The sessions use the environment that nox itself runs in, so that nothing is installed twice.
"""

import importlib.util
import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "rules", "sim"]  # before every commit; `lab` before every merge

PYTHON = [sys.executable, "-m"]  # modules rather than scripts: a checkout that was moved has stale scripts
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"  # `-m` would do nothing


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, the floors, spelling."""
    session.run(*PYTHON, "ruff", "check")
    session.run(*PYTHON, "ruff", "format", "--check")
    session.run(sys.executable, "-c", LINT_IMPORTS, "--no-logo")
    session.run(*PYTHON, "codespell_lib")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over everything written in Python."""
    session.run(*PYTHON, "mypy", *session.posargs)


@nox.session
def rules(session: nox.Session) -> None:
    """What can be decided without root, sleep or network; with the coverage that may only rise."""
    session.run(
        *PYTHON, "pytest", "tests/rules", "tests/test_tidy.py", "tests/vectors", *(session.posargs or ["--ratchet"])
    )


@nox.session
def sim(session: nox.Session) -> None:
    """2,000 simulated schedules, 20,000 with `-- --long` (half an hour); a failing one prints its seed.

    `FIRSTMATE_SIM_SCHEDULES=5000` asks for so many.
    """
    options = [one for one in session.posargs if one != "--long"]
    env = {"FIRSTMATE_SIM_SCHEDULES": "20000"} if len(options) < len(session.posargs) else {}
    session.run(*PYTHON, "pytest", "tests/sim", *options, env=env)


@nox.session
def mutation(session: nox.Session) -> None:
    """Is there a test for each operator and number of `vrrp`? An hour at most; what survives is in docs/reference.

    `nox -s mutation -- "firstmate.vrrp.sync*"` looks at one module.
    """
    run = [*PYTHON, "mutmut", "run", "--max-children", "2", *session.posargs]
    session.run("timeout", "--signal=INT", "3600", "nice", *run, external=True, success_codes=[0, 124, 130])
    session.run(*PYTHON, "mutmut", "results")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Decoder and receiver under random octets for 30 s, from the corpus on. `nox -s fuzz -- -max_total_time=3600`."""
    if importlib.util.find_spec("atheris") is None:
        session.skip("atheris is not installed: there are wheels of it for CPython on x86-64 Linux")
    found = session.create_tmp()  # new inputs and crashes, of which `fuzz/README.md` says what to do with them
    options = session.posargs or ["-max_total_time=30"]
    session.run(*PYTHON, "fuzz", "receiver", found, f"-artifact_prefix={found}/crash-", *options)


@nox.session
def lab(session: nox.Session) -> None:
    """Real kernel, HAProxy, keepalived and FRR, in network namespaces."""
    session.run(*PYTHON, "pytest", "tests/lab", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Links resolve, TOML blocks are accepted, commands that are shown exist."""
    session.run(*PYTHON, "pytest", "tests/test_docs.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against keepalived: needs root, takes many minutes. `nox -s bench -- failover --rounds 5`."""
    name, *arguments = session.posargs or ["failover"]
    session.run(sys.executable, f"bench/{name}.py", *arguments)
