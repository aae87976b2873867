"""People: a second run, changes between runs and during one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import yaml

from tests.faults import cut
from tests.faults.case import Case
from tests.faults.cut import Ending
from tests.faults.kind import Kind, Step
from tests.faults.moments import AMID, ANY, WORKING
from tests.workflow.project import BIN

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


def _folder_away(case: Case) -> None:
    folder = (case.project.folder / AGENTS) / "alba"
    away = folder.with_name("alba-away")
    folder.rename(away)
    case.undo.append(lambda: away.rename(folder))


def _renamed(case: Case) -> None:
    _agents(case, lambda agents: agents | {"dora": agents.pop("alba")})


def _taken_out(case: Case) -> None:
    _agents(case, lambda agents: {name: a for name, a in agents.items() if name != "alba"})


def _agents(case: Case, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = case.project.folder / cut.CONFIG
    whole = path.read_text()
    case.undo.append(lambda: path.write_text(whole))
    config = yaml.safe_load(whole)
    config["agents"] = edit(config["agents"])
    path.write_text(yaml.safe_dump(config))


def _no_tasks(case: Case) -> None:
    path = case.project.folder / "tasks.yaml"
    whole = path.read_text()
    case.undo.append(lambda: path.write_text(whole))
    path.write_text("tasks: []\n")


def _results_a_file(case: Case) -> None:
    place = case.project.folder / "results"
    away = place.with_name("results-away")
    place.rename(away)
    place.write_text("")
    case.undo.append(lambda: (place.unlink(), away.rename(place)))


def _touched(case: Case) -> None:
    """Change a patch and tell Snakemake that all is up to date."""
    case.kill()
    case.remember()
    _other_patch(case)
    case.start("--touch")


def _forced(case: Case) -> None:
    case.kill()
    case.remember()
    case.start("--forceall")


def _outputs_deleted(case: Case) -> None:
    """Have Snakemake delete all outputs: measured launches are none of them."""
    case.kill()
    case.remember()
    case.project.snakemake(*case.args, "--delete-all-output")
    case.start()


def _watched(case: Case) -> None:
    """Look at the campaign again and again while it runs, and close the pipe early."""
    patchbench = str(BIN / "patchbench")
    while not case.over():
        for words in (("status",), ("report",), ("plan",)):
            line = " ".join((patchbench, *words, "--config", cut.CONFIG))
            subprocess.run(["sh", "-c", f"{line} 2>/dev/null | head -1 > watched.log"],
                           cwd=case.project.folder, env=case.project.env)  # fmt: skip


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
    Kind("patches-away", "the folder of an agent's patches is away for one run",
         _killed(_folder_away), repair=_undo, moments=AMID, runtime=P),
    Kind("agent-renamed", "an agent has another name for one run", _killed(_renamed),
         repair=_undo, moments=AMID, runtime=P),
    Kind("agent-out-and-back", "an agent is taken out for one run", _killed(_taken_out),
         repair=_undo, moments=AMID, runtime=P),
    Kind("no-tasks", "the list of tasks is empty for one run", _killed(_no_tasks),
         "lists name no task", repair=_undo, moments=AMID, runtime=P),
    Kind("results-a-file", "a file lies where the results are, for one run",
         _killed(_results_a_file), "results is no folder", repair=_undo, moments=AMID, runtime=P),
    Kind("touch-after-change", "a patch changed, and --touch says that nothing did", _touched,
         "--touch", endings=WRONG, moments=AMID, runtime=P),
    Kind("forceall", "--forceall over half a campaign", _forced, moments=AMID, runtime=P),
    Kind("outputs-deleted", "--delete-all-output over half a campaign", _outputs_deleted,
         moments=AMID, runtime=P),
    Kind("watched", "status, plan and report again and again while it runs, with closed pipes",
         _watched, moments=("start",), runtime=P),
)  # fmt: skip
