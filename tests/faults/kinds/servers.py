"""Servers that misbehave, beside a run that is killed while they do."""

from __future__ import annotations

import signal

from tests.faults import cut
from tests.faults.case import Case
from tests.faults.cut import Ending
from tests.faults.kind import Kind, Step
from tests.faults.kinds.files import add_to_server
from tests.faults.moments import LAUNCHING

ALBA = (cut.SERVING[:8], "alba")
REQUEST = (
    "    def add_request(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:\n"
)
HANG = "import time; time.sleep(600)"
DEAF = "import signal, threading\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"
# What a verbose engine prints into its log in a bad hour.
FLOOD = (
    "import os\npiece = (b'x' * 1023 + b'\\n') * 1024\n"
    "for _ in range({megabytes}):\n    done = 0\n"
    "    while done < len(piece): done += os.write({stream}, piece[done:])"
)
BYTES = (
    "import os\nos.write(2, bytes(range(128, 256)) * 8 + b'\\n')\n"
    "os.write(1, b'caf\\xe9 \\xff\\xfe\\x00 \\xf0\\x9f\\n')"
)


# A hang costs its whole time limit; nothing of the others' launches comes near these.
SHORT = {"start": 8, "check": 6, "benchmark": 15, "stop": 1}
TWO_GB = FLOOD.format(megabytes=2048, stream=1)
MORE_LIMITS = {TWO_GB: {"start": 120, "smoke": 120}, BYTES: {}}


def _patched(code: str, where: str = "") -> Step:
    def prepare(case: Case) -> None:
        case.change(protocol={"limits": {**cut.LIMITS, **MORE_LIMITS.get(code, SHORT)}})
        add_to_server(case, code, where)

    return prepare


def _kill(case: Case) -> None:
    case.signal(signal.SIGKILL, group=True)


def _kind(name: str, what: str, code: str, where: str = "", cause: str = "") -> Kind:
    endings: dict[tuple[str, str], Ending] = {ALBA: ("failed", cause, "agent")} if cause else {}
    return Kind(
        name, f"{what}; SIGKILL to the group", _kill, prepare=_patched(code, where),
        endings=endings, moments=LAUNCHING,
    )  # fmt: skip


KINDS = (
    _kind("server-hangs-start", "a server never gets ready", HANG, cause="server.timeout"),
    _kind("server-hangs-answer", "a server never answers", HANG, REQUEST, cause="bench.timeout"),
    _kind("server-hangs-stop", "a server does not end on SIGTERM", DEAF),
    _kind("output-2gb", "a server prints 2 GB", TWO_GB),
    _kind("output-bytes", "a server prints bytes that are no UTF-8", BYTES),
)
