"""The two ways in which a job may end badly, and the exit codes that tell them apart.

A bad patch, a crash or a missing metric is neither: that is a *result*, written as an outcome.
"""

EXIT_BAD_INPUT = 2
EXIT_INFRA = 75  # EX_TEMPFAIL of sysexits.h: the same command may go through later


class BadInput(Exception):
    """What a person gave us can't be used. The text names the file and the key."""


class InfraFault(Exception):
    """The machine failed us (disk, engine, GPU slot): nobody's patch is to blame, retry later.

    The text says what failed, where, the measured numbers and the next step; it begins with the
    cause.
    """

    @property
    def cause(self) -> str:
        """What failed, by its name in the table of causes."""
        return str(self).partition(" | ")[0]


class Stopped(Exception):
    """This job was told to stop, or the run that started it is gone."""
