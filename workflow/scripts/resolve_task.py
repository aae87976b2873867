"""Run the stage resolve_task by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import resolve_task

if __name__ == "__main__":
    program.run(resolve_task.main)
