"""Run the stage render_report by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import render_report

if __name__ == "__main__":
    program.run(render_report.main)
