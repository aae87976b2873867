"""Exceptions that end a job, and their exit codes.

A bad patch, a crash or a missing metric is not an exception but a result, written as an outcome.
"""

EXIT_BAD_INPUT = 2
EXIT_INFRA = 75  # EX_TEMPFAIL of sysexits.h: the same command may go through later


class BadInput(Exception):
    """Input of a person can't be used. The text names the file and the key."""


class InfraFault(Exception):
    """The machine failed (disk, engine, GPU slot): no patch is to blame, and a later try may pass.

    The text begins with the cause and names the place, the measured numbers and the next step.
    """

    @property
    def cause(self) -> str:
        """The cause, by its name in the table of causes."""
        return str(self).partition(" | ")[0]


def infra_fault(cause: str, *facts: str, step: str = "", log: object = None) -> InfraFault:
    """Return a fault with its text: cause, facts, log, and the next step for a person."""
    place = [f"log: {log}"] if log else []
    again = f"{step}, then run the same command again" if step else "run the same command again"
    parts = [cause, *facts, "nothing was charged to an agent", *place, f"next: {again}"]
    return InfraFault(" | ".join(parts))


class Stopped(Exception):
    """The job was told to stop, or the run that started it is gone."""
