"""Output check: each launch's answers to the fixed prompts, compared with the baseline's.

It is the weaker check: one prompt at a time, a few short answers, compared as texts. Where the
answers under load could be scored (``grading.scored``) and are like the baseline's, texts may
differ, but not all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import median_low

import msgspec

from patchbench.grading.run_folder import ANSWERS
from patchbench.records import AA_PAIR, Evidence, GradedRun, Task

Answers = Sequence[str]
MAX_TEXT = 400
# An engine that gives fewer of its own answers again can't be compared by its answers.
MIN_REPEATED = 0.5
ONE = 1e-9  # a share of equal answers that any single one reaches


def check_answers(
    task: Task, runs: list[GradedRun], scored: Collection[str] = ()
) -> list[GradedRun]:
    """Return the launches of a commit, those with wrong answers as failed. Of the arms ``scored``,
    whose answers under load are like the baseline's, one equal answer is enough.

    An answer is right if any measured launch of the baseline gave it. An arm needs no more
    agreement than half of these launches have with the others: some engines don't repeat
    themselves, and a single odd launch decides nothing. If that is less than MIN_REPEATED, the
    check says nothing, and no launch has an agreement."""
    check = task.subject.output_check
    answers = [read_answers(Path(run.folder)) for run in runs]
    baseline = [
        given
        for given, run in zip(answers, runs, strict=True)
        if given and run.arm in AA_PAIR and run.status == "measured"
    ]
    if check is None or not baseline or task.answers == "ignored":
        return runs
    repeated = median_low(_own_agreement(baseline) or [1.0])
    if repeated < MIN_REPEATED:
        return runs
    needed = min(check.min_agreement, repeated)
    accepted = _accepted(baseline)
    return [
        run
        if run.arm in AA_PAIR or run.status != "measured"
        else _checked(run, given or (), accepted, ONE if run.arm in scored else needed)
        for run, given in zip(runs, answers, strict=True)
    ]


def read_answers(folder: Path) -> Answers | None:
    """Return the answers in a launch's folder, or None if there is no readable file of them."""
    try:
        data = (folder / ANSWERS).read_bytes()
        return msgspec.json.decode(data, type=dict[str, list[str]])["answers"]
    except (OSError, msgspec.MsgspecError, KeyError):
        return None


def agreement(answers: Answers, accepted: Sequence[set[str]]) -> float:
    """Return the share of the fixed prompts with an accepted answer, 0 to 1; 0 if the numbers of
    answers differ."""
    if len(answers) != len(accepted) or not accepted:
        return 0.0
    right = (answer in good for answer, good in zip(answers, accepted, strict=True))
    return sum(right) / len(answers)


def _accepted(launches: Sequence[Answers]) -> list[set[str]]:
    return [set(answers) for answers in zip(*launches, strict=False)]


def _own_agreement(baseline: list[Answers]) -> list[float]:
    """Return each baseline launch's agreement with the others; empty for a single launch."""
    others = (baseline[:at] + baseline[at + 1 :] for at in range(len(baseline)))
    pairs = zip(baseline, others, strict=True)
    return [agreement(answers, _accepted(rest)) for answers, rest in pairs if rest]


def _checked(
    run: GradedRun, answers: Answers, accepted: list[set[str]], needed: float
) -> GradedRun:
    share = agreement(answers, accepted)
    if answers and share >= needed:
        return msgspec.structs.replace(run, agreement=share)
    text = f"{share:.0%} of the answers equal the baseline's, {needed:.0%} wanted"
    for number, (answer, good) in enumerate(zip(answers, accepted, strict=False), 1):
        if answer not in good:
            text += f"; prompt {number}: {answer!r} instead of {min(good)!r}"
            break
    return msgspec.structs.replace(
        run,
        status="failed",
        metrics={},
        cause="bench.wrong_output" if answers else "check.failed",
        stage="output_check",
        agreement=share,
        evidence=Evidence(text=text[:MAX_TEXT], file=str(Path(run.folder) / ANSWERS)),
    )
