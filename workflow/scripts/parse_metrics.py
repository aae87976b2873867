"""Run the stage parse_metrics by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import parse_metrics

if __name__ == "__main__":
    program.run(parse_metrics.main)
