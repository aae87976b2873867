"""Run the stage aggregate by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import aggregate

if __name__ == "__main__":
    program.run(aggregate.main)
