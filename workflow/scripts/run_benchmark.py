"""Run the stage run_benchmark by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import run_benchmark

if __name__ == "__main__":
    program.run(run_benchmark.main)
