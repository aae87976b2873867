"""Run the stage build_image by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import build_image

if __name__ == "__main__":
    program.run(build_image.main)
