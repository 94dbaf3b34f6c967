"""Fuzz with atheris: `python -m fuzz receiver -max_total_time=30`; what stands behind the name is libFuzzer's.

New inputs that reach new code go into the first folder named; without one they are forgotten. A crash is written
to the working directory.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["firstmate"]):
    from fuzz.receiver import examine_anything

TARGETS = {"receiver": examine_anything}
CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    name, *arguments = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"python -m fuzz {{{','.join(TARGETS)}}} [folder ...] [-option=value ...]")
    corpus = str(CORPUS / name)
    # libFuzzer merges into the first folder and, when it fuzzes, writes what is new there.
    folders = [corpus, *arguments] if "-merge=1" in arguments else [*arguments, corpus]
    again = f"{sys.executable} -m fuzz {name}"  # how libFuzzer starts its helpers, through a shell
    atheris.Setup([again, *folders], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
