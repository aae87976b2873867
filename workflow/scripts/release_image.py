"""Run the stage release_image by hand; --help says with which options."""

from patchbench.system import program
from patchbench.workflow.stages import release_image

if __name__ == "__main__":
    program.run(release_image.main)
