"""Program that imports a client's modules first and starts the client at a signal.

    held_client.py GATE MODULES MODULE ARGUMENTS...

It imports MODULES (joined by commas), waits until the named pipe GATE is opened for writing and
closed, and then runs MODULE as ``python -m MODULE ARGUMENTS...`` would.
"""

import importlib
import runpy
import sys
from pathlib import Path


def main(gate: str, modules: str, module: str, *arguments: str) -> None:
    """Import, wait for the gate, run the module."""
    # As with -m: the working folder comes first on the path, not the folder of this file.
    sys.path[0] = str(Path.cwd())
    for name in modules.split(","):
        try:
            importlib.import_module(name)
        except Exception:  # the module itself will report it
            continue
    Path(gate).read_bytes()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
