"""Run the stage fetch_patch by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import fetch_patch

if __name__ == "__main__":
    program.run(fetch_patch.main)
