"""Ends of a measurement that are the server's doing, with the judge's exit statuses."""

from __future__ import annotations

EXIT_REFUSED = 3
EXIT_LATE = 4


class ServerFailed(Exception):
    """The server let no window be measured; the text says how."""

    exit_status: int


class Refused(ServerFailed):
    """The server refuses the load's requests."""

    exit_status = EXIT_REFUSED


class Late(ServerFailed):
    """The server did not answer within the load's limits."""

    exit_status = EXIT_LATE
