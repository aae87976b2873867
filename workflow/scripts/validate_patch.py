"""Run the stage validate_patch by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import validate_patch

if __name__ == "__main__":
    program.run(validate_patch.main)
