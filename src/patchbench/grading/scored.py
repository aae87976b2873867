"""Answers under load: the baseline's scores of an arm's answers, over all windows and blocks.

The rules are the judge's (``judge.answers``). Here launches are pooled: those of the arm into one,
those of the baseline into groups with enough answers each, so that a bad launch of it stands apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.failures.causes import CAUSES
from patchbench.grading.run_folder import SCORES, window_files
from patchbench.judge.answers import GROSS_COUNT, MIN_ANSWERS, check_answers
from patchbench.judge.record import ScoringForm
from patchbench.judge.scores import LaunchScores, Score, Scores
from patchbench.load import NEARLY_GREEDY
from patchbench.records import AA_PAIR, AnswerCheck, Evidence, GradedRun, Task

WRONG = "bench.wrong_output_under_load"
UNSCORABLE = "unscorable"
# More groups of the baseline than this would make the search for those that agree slow.
MOST_GROUPS = 8
# The reply of a server that refuses the token ids that it is asked to score.
REFUSED = "http_4"


class Place(NamedTuple):
    """The place of a scored answer: the launch's folder, block, window, request."""

    folder: str
    block: int
    window: int
    request: int

    @property
    def text(self) -> str:
        """The place in words."""
        return f"block {self.block}, window {self.window}, request {self.request}"


class Pool(NamedTuple):
    """Scores of several launches as one, with the place of each answer by its number there.
    ``refused`` are answers that the baseline's server could not score, with its words; ``why`` are
    reasons for launches without scores."""

    scores: Scores
    places: Mapping[int, Place] = {}
    refused: Mapping[Place, str] = {}
    why: tuple[str, ...] = ()


class Checked(NamedTuple):
    """The check of an arm's answers, and the file of the record with the worst one."""

    check: AnswerCheck
    text: str = ""
    file: str = ""


def check_arms(task: Task, runs: Sequence[GradedRun]) -> dict[str, Checked]:
    """Return the check of each arm whose launches the judge measured, the baseline's left out."""
    measured = [run for run in runs if run.counted_by and run.status == "measured"]
    load = task.workload.load if task.workload else None
    if load is None:
        return {}
    if task.answers == "ignored":
        check = AnswerCheck(status="not_usable", reason="the answers of this task are ignored")
        return {run.arm: Checked(check) for run in measured if run.arm not in AA_PAIR}
    groups = baseline_groups([run for run in measured if run.arm in AA_PAIR])
    greedy = load.sampling.temperature <= NEARLY_GREEDY
    arms = sorted({run.arm for run in measured} - {*AA_PAIR})
    return {
        arm: check_arm(pooled([r for r in measured if r.arm == arm]), groups, greedy=greedy)
        for arm in arms
    }


def check_arm(arm: Pool, baseline: Sequence[Pool], *, greedy: bool) -> Checked:
    """Compare an arm's pooled scores with those of the baseline's groups."""
    refused = len(arm.refused)
    if refused >= GROSS_COUNT and baseline and not any(pool.refused for pool in baseline):
        place, words = min(arm.refused.items())
        check = AnswerCheck(
            status="wrong_output", rule=UNSCORABLE, worst=place.request, answers=refused
        )
        text = f"the baseline's server can't score {refused} answers; {place.text}: {words}"
        return Checked(check, text, _record(place))
    check = check_answers(arm.scores, [pool.scores for pool in baseline], greedy=greedy)
    why = next((why for pool in (arm, *baseline) for why in pool.why), "")
    if check.status == "not_usable" and why and not arm.scores.scores:
        return Checked(msgspec.structs.replace(check, reason=why))
    if check.status == "like_baseline" or check.worst is None:
        return Checked(_at_place(check, arm))
    place = arm.places[check.worst]
    text = (
        f"mean gap {check.mean_gap:.4f} nats, the baseline's {check.baseline_gap:.4f} "
        f"(rule {check.rule}, {check.answers} answers); worst: {place.text}, "
        f"{check.worst_gap:.3f} nats"
    )
    return Checked(_at_place(check, arm), text, _record(place))


def failed(runs: Sequence[GradedRun], checks: Mapping[str, Checked]) -> list[GradedRun]:
    """Return the launches, those of arms with wrong answers under load as failed."""
    return [
        _wrong(run, checks[run.arm])
        if run.status == "measured"
        and run.counted_by
        and run.arm in checks
        and checks[run.arm].check.status == "wrong_output"
        else run
        for run in runs
    ]


def pooled(runs: Sequence[GradedRun]) -> Pool:
    """Return the scores of some launches as one."""
    scores: list[Score] = []
    places: dict[int, Place] = {}
    refused: dict[Place, str] = {}
    forms: list[ScoringForm] = []
    why: list[str] = []
    for run in runs:
        launch = read_scores(Path(run.folder))
        why += [launch.why] if launch.why else []
        for window in launch.scores:
            forms.append(window.form)
            place = Place(run.folder, run.block, window.window, 0)
            for score in window.scores:
                places[len(scores)] = place._replace(request=score.index)
                scores.append(msgspec.structs.replace(score, index=len(scores)))
            refused |= {
                place._replace(request=request): words
                for request, words in window.unscored.items()
                if words.startswith(REFUSED)
            }
    form: ScoringForm = next((form for form in forms if form != "none"), "none")
    whole = Scores(block=0, window=0, form=form, scores=tuple(scores))
    return Pool(whole, places, refused, tuple(dict.fromkeys(why)))


def read_scores(folder: Path) -> LaunchScores:
    """Return the scores in a launch's folder; without a readable file the reason why."""
    try:
        return msgspec.json.decode((folder / SCORES).read_bytes(), type=LaunchScores)
    except FileNotFoundError:
        return LaunchScores(why="the answers were not scored")
    except (OSError, msgspec.MsgspecError) as error:
        return LaunchScores(why=f"{SCORES} can't be read: {error}")


def baseline_groups(runs: Sequence[GradedRun]) -> list[Pool]:
    """Return the baseline's launches in groups of neighbours, each with MIN_ANSWERS answers or
    more, at most MOST_GROUPS; if all together have fewer, one group."""
    launches = sorted(runs, key=lambda run: (run.block, run.position))
    answers = [len(pooled([run]).scores.scores) for run in launches]
    least = max(MIN_ANSWERS, -(-sum(answers) // MOST_GROUPS))
    return [pooled(group) for group in _groups(launches, answers, least)]


def _groups(
    launches: Sequence[GradedRun], answers: Sequence[int], least: int
) -> Iterator[list[GradedRun]]:
    """Yield neighbours with ``least`` answers or more together; what is left joins the last."""
    groups: list[list[GradedRun]] = []
    group: list[GradedRun] = []
    count = 0
    for run, more in zip(launches, answers, strict=True):
        group.append(run)
        count += more
        if count >= least:
            groups.append(group)
            group, count = [], 0
    if group and groups:
        groups[-1] += group
    elif group:
        groups.append(group)
    yield from groups


def _at_place(check: AnswerCheck, arm: Pool) -> AnswerCheck:
    if check.worst is None:
        return check
    return msgspec.structs.replace(check, worst=arm.places[check.worst].request)


def _record(place: Place) -> str:
    return str(Path(place.folder) / window_files(max(1, place.window)).record)


def _wrong(run: GradedRun, checked: Checked) -> GradedRun:
    return msgspec.structs.replace(
        run,
        status="failed",
        metrics={},
        windows=(),
        cause=WRONG,
        stage=CAUSES[WRONG].stage,
        evidence=Evidence(text=checked.text, file=checked.file),
    )
