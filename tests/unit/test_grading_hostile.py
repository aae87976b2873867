"""Cheats of docs/judge.md and of the classes tried on the demo, graded beside the baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.grading import run_folder, scored
from patchbench.grading.beside_baseline import lost_words
from patchbench.judge.record import Answer, Dialect
from patchbench.judge.scores import LaunchScores
from patchbench.load import AllAtOnce
from patchbench.records import Metrics
from patchbench.subject import OutputCheck
from patchbench.system.files import write_json
from tests.unit import make
from tests.unit.judge_make import MS, make_load, window
from tests.unit.judged_launches import (
    ARMS,
    HONEST,
    PHASES,
    REQUESTS,
    WRONG,
    a_launch,
    answers,
    graded,
    result_of,
    run_of,
    scores,
    task,
)
from tests.unit.make import phase

replace = msgspec.structs.replace
FIRST_TOKEN = 20.0


def usage_doubled(a: Answer) -> Answer:
    return replace(a, claim_output=16)


def stops_early(a: Answer) -> Answer:
    return replace(a, at=a.at[:4], text=a.text[:4], ids=a.ids[:4], claim_output=4)


def one_stops_early(a: Answer) -> Answer:
    return stops_early(a) if a.index == 7 else a


def goes_on(a: Answer) -> Answer:
    at = (*a.at, a.at[-1] + MS)
    return replace(a, at=at, text=(*a.text, " x"), ids=(*a.ids, (9,)), claim_output=9)


def says_nothing(a: Answer) -> Answer:
    """Streams ids without their text: nothing is detokenized."""
    return replace(a, text=("",) * len(a.text))


def writes_anything(a: Answer) -> Answer:
    """Streams ids with a text as long as theirs, but always the same."""
    return replace(a, text=(" xx",) * len(a.text))


def held_back(a: Answer) -> Answer:
    return replace(a, at=tuple(a.at[-1] + n * MS // 100 for n in range(len(a.at))))


def hangs_up(a: Answer) -> Answer:
    return replace(a, error="closed") if a.index % 2 else a


def empty_first(a: Answer) -> Answer:
    return replace(a, at=(MS, *a.at), text=("", *a.text), ids=((), *a.ids))


def bundled(a: Answer) -> Answer:
    return replace(
        a,
        at=a.at[1::2],
        text=tuple(f"{x}{y}" for x, y in zip(a.text[::2], a.text[1::2], strict=True)),
        ids=tuple((*x, *y) for x, y in zip(a.ids[::2], a.ids[1::2], strict=True)),
    )


def beside(place: Path, spoil: Callable[[Answer], Answer], blocks: int = 3) -> Metrics:
    """Alba's answers spoilt in every block, beside an honest baseline and human."""
    for block in range(1, blocks + 1):
        for arm in ARMS:
            made = answers(spoil if arm == "alba" else lambda a: a)
            a_launch(place, arm, block, [window(made, block=block)])
    return graded(task(), place)


@pytest.mark.parametrize(
    ("spoil", "cause", "first"),
    [
        (usage_doubled, "bench.false_claim", 0),
        (stops_early, "bench.less_work", 0),
        (one_stops_early, "bench.less_work", 7),
        (goes_on, "bench.wrong_length", 0),
        (says_nothing, "bench.false_claim", 0),
        (writes_anything, "bench.false_claim", 0),
        (held_back, "bench.not_streamed", 0),
        (hangs_up, "bench.requests_failed", 1),
    ],
)
def test_a_cheat_is_its_agents_and_names_a_request(
    tmp_path: Path, spoil, cause: str, first: int
) -> None:
    found = beside(tmp_path, spoil)
    alba = result_of(found, "alba")
    assert (alba.status, alba.cause, alba.blame) == ("failed", cause, "agent")
    assert alba.evidence.text.startswith(f"window 1, request {first}: "), alba.evidence
    assert alba.evidence.file.endswith("window-1.judge")
    assert {result_of(found, arm).status for arm in ("baseline", "human")} == {"measured"}
    assert all(run.metrics == {} for run in found.runs if run.arm == "alba")


@pytest.mark.parametrize(
    ("spoil", "note"), [(empty_first, "empty_chunks"), (bundled, "bundled_tokens")]
)
def test_what_gains_nothing_is_a_note(tmp_path: Path, spoil, note: str) -> None:
    found = beside(tmp_path, spoil)
    run = run_of(found, "alba")
    assert (run.status, [f.cause for f in run.findings]) == ("measured", [note])
    assert run.findings[0].severity == "note"
    assert run.metrics["ttft_median_ms"] >= FIRST_TOKEN


def test_honest_arms_have_no_findings(tmp_path: Path) -> None:
    found = beside(tmp_path, lambda a: replace(a, at=tuple(t // 2 for t in a.at)))
    assert [run.findings for run in found.runs if run.findings] == []
    assert {arm.status for arm in found.arms} == {"measured"}


def a_chunk_late(a: Answer) -> Answer:
    """Holds each token's text back until the next one."""
    return replace(a, text=("", *a.text[:-2], f"{a.text[-2]}{a.text[-1]}"))


def test_text_that_comes_a_chunk_late_is_honest(tmp_path: Path) -> None:
    assert result_of(beside(tmp_path, a_chunk_late), "alba").status == "measured"


@pytest.mark.parametrize("spoil", [usage_doubled, stops_early, goes_on])
def test_what_the_baseline_shows_too_is_a_note_of_both(tmp_path: Path, spoil) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            a_launch(tmp_path, arm, block, [window(answers(spoil), block=block)])
    found = graded(task(), tmp_path)
    assert {arm.status for arm in found.arms} == {"measured"}
    assert {f.severity for run in found.runs for f in run.findings} == {"note"}
    assert "the baseline's launch shows it too" in run_of(found, "alba").findings[0].text


def test_the_humans_fault_is_the_tasks(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            made = answers(stops_early if arm == "human" else lambda a: a)
            a_launch(tmp_path, arm, block, [window(made, block=block)])
    found = graded(task(), tmp_path)
    assert (result_of(found, "human").cause, result_of(found, "human").blame) == (
        "bench.less_work",
        "task",
    )
    assert result_of(found, "alba").status == "measured"


def test_beside_a_failed_baseline_nothing_is_charged(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        a_launch(tmp_path, "baseline", block, [], phases=(phase("server_start", "failed", 1),))
        a_launch(tmp_path, "alba", block, [window(answers(usage_doubled), block=block)])
    alba = result_of(graded(task(), tmp_path), "alba")
    assert (alba.cause, alba.blame) == ("bench.false_claim", "task")


def test_bundles_that_leave_no_metric_are_explained(tmp_path: Path) -> None:
    """One chunk per answer has no TPOT: the cause is what the audit found, not its lack."""

    def one_chunk(a: Answer) -> Answer:
        text, ids = "".join(a.text), tuple(i for some in a.ids for i in some)
        return replace(a, at=a.at[-1:], text=(text,), ids=(ids,))

    for block in (1, 2, 3):
        for arm in ARMS:
            made = answers(one_chunk if arm == "alba" else lambda a: a)
            a_launch(tmp_path, arm, block, [window(made, block=block)])
    alba = run_of(graded(task(primary_metric="tpot_median_ms"), tmp_path), "alba")
    assert (alba.cause, alba.blame) == ("bench.not_streamed", "agent")
    assert alba.other_causes == ("bench.partial",)


def test_other_prompts_than_the_baselines_are_no_measurement(tmp_path: Path) -> None:
    other = lambda a: replace(a, prompt_digest="f" * 16)  # noqa: E731
    alba = run_of(beside(tmp_path / "once", other, blocks=1), "alba")
    assert (alba.cause, alba.blame) == ("harness.torn_record", "harness")
    assert "different prompts" in alba.evidence.text
    assert run_of(beside(tmp_path / "often", other), "alba").blame == "agent"


def test_records_that_are_torn_in_one_arm_alone_are_no_chance(tmp_path: Path) -> None:
    beside(tmp_path, lambda a: a)
    for record in tmp_path.glob("block-[12]/alba/*.judge"):
        record.write_bytes(record.read_bytes()[:50])
    found = graded(task(), tmp_path)
    assert result_of(found, "alba").blame == "agent"
    for record in tmp_path.glob("block-[12]/baseline/*.judge"):
        record.unlink()
    assert run_of(graded(task(), tmp_path), "alba").blame == "harness"


# --- the words that a server accepts ----------------------------------------------------------

FULL = Dialect(
    ids_stream=True, usage_chunk=True, fields=("stream_options", "return_token_ids"), scoring="echo"
)


def with_dialects(place: Path, own: Dialect, baseline: Dialect = FULL) -> Metrics:
    for block in (1, 2, 3):
        for arm in ARMS:
            dialect = own if arm == "alba" else baseline
            a_launch(place, arm, block, [window(answers(), block=block, dialect=dialect)])
    return graded(task(), place)


@pytest.mark.parametrize(
    ("own", "lost"),
    [
        (replace(FULL, ids_stream=False), "token ids in the stream"),
        (replace(FULL, fields=("stream_options",)), "return_token_ids"),
        (replace(FULL, ids_prompt=False), "prompts as token ids"),
    ],
)
def test_an_arm_that_refuses_what_the_baseline_accepts_is_refused(
    tmp_path: Path, own: Dialect, lost: str
) -> None:
    alba = result_of(with_dialects(tmp_path, own), "alba")
    assert (alba.cause, alba.blame) == ("bench.refused", "agent")
    assert lost in alba.evidence.text


def test_more_words_than_the_baseline_are_no_fault(tmp_path: Path) -> None:
    found = with_dialects(tmp_path, FULL, Dialect(ids_stream=True))
    assert result_of(found, "alba").status == "measured"


@given(
    st.builds(
        Dialect,
        ids_prompt=st.booleans(),
        ids_stream=st.booleans(),
        usage_chunk=st.booleans(),
        fields=st.sampled_from([(), ("stream_options",), FULL.fields]),
        scoring=st.sampled_from(["echo", "none"]),
    )
)
def test_a_dialect_loses_nothing_against_itself_or_less(own: Dialect) -> None:
    assert list(lost_words(own, own)) == []
    assert list(lost_words(FULL, own)) == []
    assert bool(list(lost_words(own, FULL))) == (
        not own.ids_prompt or not own.ids_stream or set(own.fields) != set(FULL.fields)
    )


# --- answers under load -----------------------------------------------------------------------


def with_scores(
    place: Path, kinds: dict[str, tuple[float, float]], blocks: int = 3, **more
) -> Metrics:
    """Launches of the arms with scores of these kinds."""
    for block in range(1, blocks + 1):
        for arm, kind in kinds.items():
            folder = a_launch(place, arm, block, [window(answers(), block=block)])
            scores(folder, kind)
    return graded(task(**more), place, [arm for arm in kinds if arm != "baseline-aa"])


def test_wrong_answers_under_load_are_the_agents(tmp_path: Path) -> None:
    found = with_scores(tmp_path, {"baseline": HONEST, "human": HONEST, "alba": WRONG})
    alba = result_of(found, "alba")
    assert (alba.cause, alba.blame) == ("bench.wrong_output_under_load", "agent")
    assert alba.answers.status == "wrong_output" and alba.answers.rule == "mean"
    assert alba.answers.mean_gap > 10 * alba.answers.baseline_gap > 0
    assert alba.answers.answers == 3 * REQUESTS
    assert "worst: block " in alba.evidence.text and alba.evidence.file.endswith(".judge")
    human = result_of(found, "human")
    assert (human.status, human.answers.status) == ("measured", "like_baseline")
    assert result_of(found, "baseline").answers is None


def test_wrong_answers_in_one_block_decide(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(tmp_path, arm, block, [window(answers(), block=block)])
            scores(folder, (0.95, 4.0) if (arm, block) == ("alba", 2) else HONEST)
    alba = result_of(graded(task(), tmp_path), "alba")
    assert alba.cause == "bench.wrong_output_under_load"
    assert "block 2" in alba.evidence.text and "block-2" in alba.evidence.file


def test_one_bad_launch_of_the_baseline_excuses_nothing(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(tmp_path, arm, block, [window(answers(), block=block)])
            bad = arm == "alba" or (arm, block) == ("baseline", 1)
            scores(folder, WRONG if bad else HONEST)
    found = graded(task(), tmp_path)
    assert result_of(found, "alba").cause == "bench.wrong_output_under_load"
    assert result_of(found, "human").answers.status == "like_baseline"


def test_answers_that_no_server_can_score_are_wrong(tmp_path: Path) -> None:
    """Token ids outside of the vocabulary can't be scored: that is no way around the check."""
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(tmp_path, arm, block, [window(answers(), block=block)])
            if arm == "alba":
                scores(folder, count=0, unscored={3: "http_400: out of vocabulary"})
            else:
                scores(folder)
    alba = result_of(graded(task(), tmp_path), "alba")
    assert (alba.cause, alba.answers.rule) == ("bench.wrong_output_under_load", "unscorable")
    assert "out of vocabulary" in alba.evidence.text


def test_small_launches_are_pooled(tmp_path: Path) -> None:
    """Eight answers per launch: no launch of the baseline has enough for itself."""
    load = make_load(AllAtOnce(requests=8))
    for block in range(1, 8):
        for arm in ARMS:
            record = window(answers(count=8), block=block)
            folder = a_launch(tmp_path, arm, block, [record])
            scores(folder, WRONG if arm == "alba" else HONEST, count=8)
    found = graded(task(load), tmp_path)
    assert result_of(found, "alba").cause == "bench.wrong_output_under_load"
    check = result_of(found, "human").answers
    assert (check.status, check.answers, check.launches) == ("like_baseline", 56, 2)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 80))
def test_groups_hold_every_launch_once_and_enough_answers(counts: list[int], least: int) -> None:
    launches = [make.run("baseline", block) for block in range(len(counts))]
    groups = list(scored._groups(launches, counts, least))
    assert [run for group in groups for run in group] == launches
    sizes = [sum(counts[run.block] for run in group) for group in groups]
    assert all(size >= least for size in sizes) or len(groups) == 1


CHECK = OutputCheck(prompts=("a", "b", "c", "d"))
RIGHT = ["one", "two", "three", "four"]


def with_prompts(place: Path, given_: list[str], *, scored_: bool) -> Metrics:
    """Alba's answers to the fixed prompts, beside right ones; under load all are honest."""
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(place, arm, block, [window(answers(), block=block)])
            write_json(folder / run_folder.ANSWERS, {"answers": given_ if arm == "alba" else RIGHT})
            if scored_:
                scores(folder)
    return graded(task(subject=make.subject(output_check=CHECK)), place)


def test_where_scores_can_not_be_used_the_fixed_prompts_decide(tmp_path: Path) -> None:
    alba = result_of(with_prompts(tmp_path, ["one", "2", "3", "4"], scored_=False), "alba")
    assert alba.cause == "bench.wrong_output"
    assert (alba.answers.status, alba.answers.reason) == (
        "not_usable",
        "the answers were not scored",
    )


def test_texts_may_differ_where_scores_say_that_answers_are_right(tmp_path: Path) -> None:
    found = with_prompts(tmp_path / "some", ["one", "2", "3", "4"], scored_=True)
    assert result_of(found, "alba").status == "measured"
    assert run_of(found, "alba").agreement == 0.25
    found = with_prompts(tmp_path / "none", ["1", "2", "3", "4"], scored_=True)
    assert result_of(found, "alba").cause == "bench.wrong_output"


def test_answers_that_a_task_ignores_are_not_checked(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(tmp_path, arm, block, [window(answers(), block=block)])
            scores(folder, WRONG if arm == "alba" else HONEST)
            given_ = RIGHT[::-1] if arm == "alba" else RIGHT
            write_json(folder / run_folder.ANSWERS, {"answers": given_})
    ignored = task(subject=make.subject(output_check=CHECK), answers="ignored")
    alba = result_of(graded(ignored, tmp_path), "alba")
    assert (alba.status, alba.answers.status) == ("measured", "not_usable")
    assert alba.answers.reason == "the answers of this task are ignored"


def test_why_nothing_was_scored_is_kept(tmp_path: Path) -> None:
    for block in (1, 2, 3):
        for arm in ARMS:
            folder = a_launch(tmp_path, arm, block, [window(answers(), block=block)])
            write_json(folder / run_folder.SCORES, LaunchScores(why="the server did not start"))
    check = result_of(graded(task(), tmp_path), "alba").answers
    assert (check.status, check.reason) == ("not_usable", "the server did not start")


def test_a_half_written_file_of_scores_is_no_wrong_answer(tmp_path: Path) -> None:
    found = with_scores(tmp_path, {"baseline": HONEST, "human": HONEST, "alba": HONEST})
    assert result_of(found, "alba").answers.status == "like_baseline"
    for file in tmp_path.glob("*/alba/scores.json"):
        file.write_bytes(file.read_bytes()[:99])
    alba = result_of(graded(task(), tmp_path), "alba")
    assert (alba.status, alba.answers.status) == ("measured", "not_usable")
    assert "can't be read" in alba.answers.reason


# --- lines that look like the machine's fault --------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "OSError: [Errno 122] Disk quota exceeded",
        "OSError: [Errno 28] No space left on device",
        "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://x",
    ],
)
def test_a_server_that_prints_a_fault_of_the_machine_and_dies_is_its_agents(
    tmp_path: Path, line: str
) -> None:
    died = (PHASES[0], phase("benchmark"), phase("server_died", "failed", 1))
    for block in (1, 2, 3):
        for arm in ARMS:
            a_launch(tmp_path, arm, block, phases=died if arm == "alba" else PHASES)
        log = tmp_path / f"block-{block}" / "alba" / run_folder.SERVER_ERR
        log.write_text(f"{line}\nRuntimeError: broken\n")
    alba = result_of(graded(task(), tmp_path), "alba")
    assert (alba.cause, alba.blame) == ("server.crash_under_load", "agent")
