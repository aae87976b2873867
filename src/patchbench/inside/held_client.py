"""Starts a Python module whose imports are done beforehand, at a sign.

A program of its own, of the standard library alone (Python 3.8 or newer), because in the Docker
runtime it runs in the judge's image:

    held.py GATE MODULES MODULE ARGUMENTS...

It imports MODULES (names with commas between them), waits until somebody opens the named pipe GATE
for writing, and then runs MODULE as ``python -m MODULE ARGUMENTS...`` would.
"""

import importlib
import runpy
import sys
from pathlib import Path


def main(gate: str, modules: str, module: str, *arguments: str) -> None:
    """Import, wait, run."""
    # As with -m: the working folder comes first, not the one in which this file lies.
    sys.path[0] = str(Path.cwd())
    for name in modules.split(","):
        try:
            importlib.import_module(name)
        except Exception:  # the module itself will say what it lacks
            continue
    Path(gate).read_bytes()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
