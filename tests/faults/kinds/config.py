"""People: a second run, changes between runs and during one."""

from __future__ import annotations

import shutil

from tests.faults import cut
from tests.faults.case import Case
from tests.faults.cut import Ending
from tests.faults.kind import Kind, Step
from tests.faults.moments import ANY, WORKING

AGENTS = "examples/tinyserve/agents"
BRIO: dict[tuple[str, str], Ending] = {
    (cut.LATENCY[:8], "brio"): ("failed", "patch.syntax", "agent"),
    (cut.SERVING[:8], "brio"): ("failed", "bench.wrong_output", "agent"),
}
WRONG: dict[tuple[str, str], Ending] = {
    (cut.SERVING[:8], "alba"): ("failed", "bench.wrong_output", "agent")
}
MISSING: dict[tuple[str, str], Ending] = {
    (cut.SERVING[:8], "alba"): ("failed", "patch.missing", "agent")
}


def _second(case: Case) -> None:
    """Give the same command once more while the first goes on."""
    log = (case.project.folder / "started.log").open("ab")
    second = case.popen(log)
    case.undo.append(second.kill)
    code = second.wait(60)
    case.note = f"the second ended with {code}"


def _rival(case: Case) -> None:
    """Give the same command in another window, a moment earlier."""
    with (case.project.folder / "started.log").open("ab") as log:
        rival = case.popen(log)
    case.undo.append(rival.wait)


def _killed(step: Step) -> Step:
    """Kill the run, change something, start it again."""

    def strike(case: Case) -> None:
        case.kill()
        case.remember()
        step(case)
        case.start()

    return strike


def _limits(case: Case) -> None:
    case.change(statistics={"margin": 0.1}, protocol={"limits": {**cut.LIMITS, "benchmark": 30}})


def _one_more_block(case: Case) -> None:
    case.change(protocol={"blocks": 2})


def _one_more_agent(case: Case) -> None:
    case.change(agents={"brio": {"patches": f"{AGENTS}/brio"}})


def _other_patch(case: Case) -> None:
    name = f"{cut.SERVING[:8]}.diff"
    shutil.copy(case.project.folder / AGENTS / "brio" / name, _alba(case))


def _alba(case: Case):
    return case.project.folder / AGENTS / "alba" / f"{cut.SERVING[:8]}.diff"


def _no_patch(case: Case) -> None:
    _alba(case).unlink()


def _broken(case: Case) -> None:
    path = case.project.folder / cut.CONFIG
    whole = path.read_text()
    case.undo.append(lambda: path.write_text(whole))
    path.write_text(whole + "\nprotocol: [\n")


def _unknown_key(case: Case) -> None:
    path = case.project.folder / cut.CONFIG
    whole = path.read_text()
    case.undo.append(lambda: path.write_text(whole))
    case.change(protcol={"blocks": 1})


def _undo(case: Case) -> None:
    while case.undo:
        case.undo.pop()()


P = "process"
KINDS = (
    Kind("second-run", "a second run is started on the same results", _second,
         r"another run \(process \d+\)", moments=ANY),
    Kind("two-at-once", "two runs are started at once on the same results", _undo,
         r"another run \(process \d+\)", prepare=_rival, moments=("start",)),
    Kind("config-limits", "limits and statistics changed between runs", _killed(_limits),
         moments=WORKING, runtime=P),
    Kind("config-blocks", "one more block asked for between runs", _killed(_one_more_block),
         moments=WORKING, runtime=P),
    Kind("config-agent", "one more agent between runs", _killed(_one_more_agent),
         endings=BRIO, moments=WORKING),
    Kind("config-broken", "the configuration is no YAML", _killed(_broken),
         r"cut\.yaml|Config file is not valid",
         repair=_undo, moments=WORKING, runtime=P),
    Kind("config-unknown-key", "the configuration has a misspelt key", _killed(_unknown_key),
         "protcol", repair=_undo, moments=WORKING, runtime=P),
    Kind("patch-changed", "a patch file changed between runs", _killed(_other_patch),
         endings=WRONG, moments=WORKING),
    Kind("patch-changed-meanwhile", "a patch file changed while the run goes on", _other_patch,
         endings=WRONG, moments=WORKING, runtime=P),
    Kind("patch-gone", "a patch file is gone between runs", _killed(_no_patch),
         endings=MISSING, moments=WORKING, runtime=P),
)  # fmt: skip
