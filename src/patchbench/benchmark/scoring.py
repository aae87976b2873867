"""Answers of a block, scored by one more launch of its baseline after the last arm.

Every arm's answers, the baseline's included, are scored by the same server, so that their gaps can
be compared. What can't be scored is no arm's fault: the reason stands in place of the scores.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection
from pathlib import Path

from patchbench.benchmark import judge_run, sealing
from patchbench.benchmark.context import BlockContext
from patchbench.benchmark.phases import PhaseClock, await_client, stopped_after
from patchbench.benchmark.server import Server, await_ready, start
from patchbench.errors import BadInput
from patchbench.grading.run_folder import DIALECT, LOG_SUFFIXES, SCORES, SCORING, window_files
from patchbench.judge.record import Dialect
from patchbench.judge.scores import LaunchScores
from patchbench.records import BASELINE
from patchbench.system import gpu_driver, gpu_slots, raw_logs
from patchbench.system.files import read_json, write_json

# Scored answers of one launch, over all its windows (docs/judge.md).
ANSWERS = 192


def unscored(context: BlockContext, arms: Collection[str]) -> list[str]:
    """Return the arms to score, in their order: all with records if one of them has no scores yet,
    none if the baseline's server offers no scoring."""
    if not context.is_judged or not _offers_scoring(context.folder / BASELINE / DIALECT):
        return []
    recorded = [arm for arm in arms if _records(context, arm)]
    scored = [arm for arm in recorded if (context.folder / arm / SCORES).is_file()]
    return recorded if len(scored) < len(recorded) else []


def score_answers(context: BlockContext, arms: Collection[str], slot: gpu_slots.Slot) -> None:
    """Start the baseline's server once more and write the scores of each arm's launch. Raises
    InfraFault or Stopped: the next run then scores again."""
    folder = context.folder / SCORING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for arm in arms:
        (context.folder / arm / SCORES).unlink(missing_ok=True)
    if sealing.is_there(context):
        whys = _by_server(context, arms, folder, slot)
    else:
        whys = dict.fromkeys(arms, "the block's secret is lost")
    for arm, why in whys.items():
        if why:
            write_json(context.folder / arm / SCORES, LaunchScores(why=why))
    raw_logs.compress_all(folder, LOG_SUFFIXES)


def _by_server(
    context: BlockContext, arms: Collection[str], folder: Path, slot: gpu_slots.Slot
) -> dict[str, str]:
    """Score the arms on one launch of the baseline's server. Returns by arm why there are no
    scores, empty if there are."""
    gpu_slots.await_clean(slot.devices, context.guard, gpu_driver.why_not_free)
    limits = context.task.protocol.limits
    server = start(context.launch(BASELINE, folder, slot))
    with stopped_after(server.child, limits.stop):
        ready = await_ready(server, limits.start)
        if ready.status != "ok":
            return dict.fromkeys(arms, f"the baseline's server: {ready.detail}")
        why = _score(context, server, arms)
    return {arm: "" if _hand_over(context, arm, folder) else why for arm in arms}


def _score(context: BlockContext, server: Server, arms: Collection[str]) -> str:
    """Have one process of the judge score the launches of all arms. Returns why it could not, empty
    if it could."""
    launch = server.launch
    inside, limits = launch.runtime.inside, context.task.protocol.limits
    dialect = context.folder / BASELINE / DIALECT
    launches = {_scores(arm, launch.folder): _gather(context, arm, launch.folder) for arm in arms}
    records = [record for some in launches.values() for record in some]
    words = ["--dialect", inside(dialect)]
    words += ["--answers", str(math.ceil(ANSWERS * len(launches) / len(records)))]
    for scores, own in launches.items():
        words += ["--score", *map(inside, own), "--out", inside(scores)]
    clock = PhaseClock("scoring")
    logs, reads = launch.folder / "judge", (dialect, *records)
    child = judge_run.start_judge(server, words, logs, reads, tuple(launches))
    if child is None:
        return "the baseline's server had ended"
    seconds = limits.check + len(records) * limits.benchmark
    with stopped_after(child, limits.stop):
        phase = await_client(child, clock, seconds, launch.guard, server.child)
    try:
        phase = judge_run.named_end(phase, child)
    except BadInput as error:
        return str(error)
    return phase.detail


def _gather(context: BlockContext, arm: str, folder: Path) -> list[Path]:
    """Copy an arm's records into the folder of the scoring and return the copies. Their names are
    their own: a container has one folder for the files of all arms."""
    copies = {record: folder / f"{arm}-{record.name}" for record in _records(context, arm)}
    for record, copy in copies.items():
        shutil.copyfile(record, copy)
    return list(copies.values())


def _scores(arm: str, folder: Path) -> Path:
    return folder / f"{arm}-{SCORES}"


def _hand_over(context: BlockContext, arm: str, folder: Path) -> bool:
    """Move an arm's scores into the folder of its launch and remove the copies of its records.
    Returns False if there are no scores."""
    for copy in folder.glob(f"{arm}-*.judge"):
        copy.unlink()
    scores = _scores(arm, folder)
    if not scores.is_file():
        return False
    scores.replace(context.folder / arm / SCORES)
    return True


def _records(context: BlockContext, arm: str) -> list[Path]:
    windows = range(1, context.task.protocol.windows + 1)
    paths = [context.folder / arm / window_files(window).record for window in windows]
    return [path for path in paths if path.is_file()]


def _offers_scoring(dialect: Path) -> bool:
    try:
        return read_json(dialect, Dialect).scoring != "none"
    except BadInput:
        return False
