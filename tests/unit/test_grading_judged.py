"""A launch that the judge measured: graded from its records alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.benchmark.resume import damage
from patchbench.failures.causes import CAUSES
from patchbench.grading import run_folder
from patchbench.grading.commit import grade_folder
from patchbench.grading.costs import claimed_seconds, rounds
from patchbench.grading.run_folder import read_run
from patchbench.judge.ends import EXIT_LATE, EXIT_REFUSED
from patchbench.judge.record import Answer
from patchbench.ledger.journal import Event
from patchbench.load import AllAtOnce, Batch, ClosedLoop, Goodput
from patchbench.parsing.names import METRICS
from patchbench.plan.workload import GUARDS, PRIMARY
from patchbench.records import GradedRun, Task
from patchbench.system import telemetry
from tests.unit import make
from tests.unit.judge_make import MS, make_load, window
from tests.unit.judged_launches import LOAD, PHASES, a_launch, answers, task
from tests.unit.make import phase

START = PHASES[0]


def grade(folder: Path, task_: Task | None = None) -> GradedRun:
    return grade_folder(task_ or task(), folder)


def test_metrics_come_from_the_record(tmp_path: Path) -> None:
    run = grade(a_launch(tmp_path, "alba"))
    assert (run.status, run.format, run.counted_by) == ("measured", "record", "ids")
    assert run.metrics["ttft_median_ms"] == 20.0
    assert run.metrics["tpot_median_ms"] == 10.0
    assert run.metrics["startup_s"] == 1.0
    assert run.windows == () and run.findings == ()
    assert run.metrics.keys() <= METRICS.keys()


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("serving", ClosedLoop(requests=24, concurrency=4)),
        ("latency", Batch(size=8, rounds=3)),
        ("throughput", AllAtOnce(requests=24)),
        ("prefix_caching", ClosedLoop(requests=24, concurrency=1)),
    ],
)
def test_every_type_has_its_primary_metric_and_guards(tmp_path: Path, kind, shape) -> None:
    load = make_load(shape, goodput=Goodput(ttft_ms=100))
    of_kind = task(load, workload={"type": kind}, primary_metric=PRIMARY[kind])
    run = grade(a_launch(tmp_path, "alba", records=[window(answers(), load=load)]), of_kind)
    assert run.status == "measured", run.evidence
    assert {PRIMARY[kind], *GUARDS[kind]} <= run.metrics.keys() <= METRICS.keys()
    assert run.metrics["goodput_rps"] > 0
    whole = run.metrics["duration_s"] if kind == "prefix_caching" else None
    assert run.metrics.get("cost_time_s") == whole


def test_windows_of_a_launch_make_one_value(tmp_path: Path) -> None:
    records = [window(answers(late=20 * (n - 1)), window=n) for n in (1, 2)]
    run = grade(a_launch(tmp_path, "alba", records=records), task(windows=2))
    assert [w["ttft_median_ms"] for w in run.windows] == [20.0, 40.0]
    assert run.metrics["ttft_median_ms"] == pytest.approx((20 * 40) ** 0.5)


def test_a_missing_primary_metric_is_part_of_a_result(tmp_path: Path) -> None:
    one_token = [
        msgspec.structs.replace(
            a, at=a.at[:1], text=a.text[:1], ids=a.ids[:1], output_limit=1, claim_output=1
        )
        for a in answers()
    ]
    wanted = task(primary_metric="tpot_median_ms")
    run = grade(a_launch(tmp_path, "alba", records=[window(one_token)]), wanted)
    assert (run.cause, run.stage) == ("bench.partial", "parse_metrics")
    assert "window 1: no value for tpot_median_ms" in run.evidence.text


def test_failed_requests_are_named(tmp_path: Path) -> None:
    def cut(a: Answer) -> Answer:
        return msgspec.structs.replace(a, error="closed") if a.index in (3, 5) else a

    run = grade(a_launch(tmp_path, "alba", records=[window(answers(cut))]))
    assert (run.cause, run.metrics) == ("bench.requests_failed", {})
    assert run.evidence.text == "window 1, request 3: closed (2 requests)"
    assert run.evidence.file.endswith("window-1.judge")


# --- failures of the judge itself --------------------------------------------------------------


def test_a_window_in_which_the_judge_was_late_is_left_out(tmp_path: Path) -> None:
    late = window(answers(late=500), window=2, saturated="send lag p99 9.00 ms (limit 5)")
    run = grade(a_launch(tmp_path, "alba", records=[window(answers()), late]), task(windows=2))
    assert (run.status, run.left_out) == ("measured", (2,))
    assert run.metrics["ttft_median_ms"] == 20.0


def test_a_judge_that_was_always_late_measured_nothing(tmp_path: Path) -> None:
    late = window(answers(), saturated="send lag p99 9.00 ms (limit 5)")
    folder = a_launch(tmp_path, "alba", records=[late])
    (folder / run_folder.SERVER_ERR).write_text("NVRM: Xid (PCI:0000:01:00): 79, fallen off\n")
    run = grade(folder)
    assert (run.cause, run.left_out) == ("harness.judge_saturated", (1,))
    assert "send lag p99 9.00 ms" in run.evidence.text
    assert CAUSES[run.cause].blame == "harness"


def test_a_torn_record_is_the_judges_own_failure(tmp_path: Path) -> None:
    folder = a_launch(tmp_path, "alba")
    record = folder / "window-1.judge"
    record.write_bytes(record.read_bytes()[:-40])
    run = grade(folder)
    assert (run.cause, CAUSES[run.cause].blame) == ("harness.torn_record", "harness")
    assert "not a whole record" in run.evidence.text
    record.unlink()
    assert grade(folder).cause == "harness.torn_record"


def test_a_record_that_was_damaged_after_its_launch_is_told_from_one_that_never_was_whole(
    tmp_path: Path,
) -> None:
    folder = a_launch(tmp_path, "alba")
    run = read_run(folder)
    assert run is not None
    measured, failed = (
        Event(event="run_finished", at="", commit="c", block=1, digest="d", arm="alba", result=end)
        for end in ("measured", "failed")
    )
    assert damage(task(), run, measured, folder) == ""
    record = folder / "window-1.judge"
    record.write_bytes(record.read_bytes()[:-40])
    assert "not a whole record" in damage(task(), run, measured, folder)
    assert damage(task(), run, failed, folder) == ""


@pytest.mark.parametrize(
    "changes", [{"block": 2}, {"window": 2}, {"answers": tuple(answers()[1:])}]
)
def test_a_record_of_another_launch_is_refused(tmp_path: Path, changes) -> None:
    folder = a_launch(tmp_path, "alba")
    other = msgspec.structs.replace(window(answers()), **changes)
    a_launch(tmp_path / "x", "alba", records=[other])
    wrong = next((tmp_path / "x").rglob("*.judge"))
    wrong.replace(folder / "window-1.judge")
    assert grade(folder).cause == "harness.torn_record"


@pytest.mark.parametrize(
    ("code", "log", "cause"),
    [
        (EXIT_REFUSED, "judge: the server refuses it | HTTP 400: no", "bench.refused"),
        (EXIT_LATE, "judge: no end of window 1 within 60 s", "bench.timeout"),
        (2, "judge: load.json: no such file", "harness.judge_failed"),
        (1, "Traceback (most recent call last):\nIndexError: 3", "harness.judge_failed"),
        (75, "judge: infra.disk_full | /results: no space | log: x", "infra.disk_full"),
        (75, "judge: something else", "harness.judge_failed"),
        (-9, "", "killed"),
    ],
)
def test_how_the_judge_ended_names_the_cause(tmp_path: Path, code: int, log, cause: str) -> None:
    ended = phase("benchmark", "failed", code, f"exit code {code}")
    folder = a_launch(tmp_path, "alba", records=[], phases=(START, ended))
    (folder / run_folder.BENCH_ERR).write_text(f"{log}\n")
    run = grade(folder)
    assert run.cause == cause
    assert not log or log.splitlines()[-1][:40] in run.evidence.text


def test_words_that_a_server_makes_the_judge_quote_are_no_signature(tmp_path: Path) -> None:
    quoted = "judge: the server refuses the load's request | HTTP 400: No space left on device"
    folder = a_launch(
        tmp_path, "alba", records=[], phases=(START, phase("benchmark", "failed", EXIT_REFUSED))
    )
    (folder / run_folder.BENCH_ERR).write_text(f"OSError: No space left on device\n{quoted}\n")
    assert grade(folder).cause == "bench.refused"


def test_a_dead_server_is_the_cause_of_what_the_judge_could_not_do(tmp_path: Path) -> None:
    phases = (START, phase("benchmark"), phase("server_died", "failed", 1))
    folder = a_launch(tmp_path, "alba", phases=phases)
    (folder / run_folder.SERVER_ERR).write_text("IndexError: 4\n")
    run = grade(folder)
    assert (run.cause, run.evidence.text) == ("server.crash_under_load", "IndexError: 4")


def test_what_a_launch_printed_is_never_a_figure(tmp_path: Path) -> None:
    folder = a_launch(tmp_path, "alba")
    for name in (run_folder.BENCH_OUT, run_folder.SERVER_OUT):
        (folder / name).write_text("Median TTFT (ms): 0.01\n")
    (folder / run_folder.RESULT).write_text('{"median_ttft_ms": 0.01}')
    assert grade(folder).metrics["ttft_median_ms"] == 20.0


# --- counts -----------------------------------------------------------------------------------


def test_without_ids_and_tokenizer_chunks_are_counted(tmp_path: Path) -> None:
    text = [msgspec.structs.replace(a, ids=()) for a in answers()]
    assert grade(a_launch(tmp_path, "alba", records=[window(text)])).counted_by == "chunks"


def test_the_tokenizer_in_the_models_folder_counts_text(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {f"t{n}": n for n in range(8)} | {"[UNK]": 8}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    (tmp_path / "model").mkdir()
    made.save(str(tmp_path / "model" / "tokenizer.json"))
    text = [
        msgspec.structs.replace(a, ids=(), at=a.at[:2], text=(" t0 t1 t2", " t3 t4 t5 t6 t7"))
        for a in answers()
    ]
    folder = a_launch(tmp_path, "alba", records=[window(text)])
    run = grade(folder, task(workload={"model": str(tmp_path / "model")}))
    assert (run.counted_by, run.metrics["output_tokens"]) == ("text", 24 * 8)


# --- costs ------------------------------------------------------------------------------------


def telemetry_file(folder: Path, watts: float, seconds: int) -> None:
    begin = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    rows = [",".join(telemetry.COLUMNS)]
    for second in range(-1, seconds + 2):
        at = (begin + timedelta(seconds=second)).isoformat(timespec="milliseconds")
        rows.append(f"{at},0,1980,2619,{watts},51,{700 + second},90,")
    (folder / telemetry.FILE).write_text("\n".join(rows) + "\n")


def test_costs_are_measured_from_outside(tmp_path: Path) -> None:
    long = window(answers(), duration_ns=10_000 * MS)
    folder = a_launch(
        tmp_path,
        "alba",
        records=[long],
        phases=(phase("server_start", seconds=7.5), *PHASES[1:]),
        provenance={"cpu_s": "12.5"},
    )
    telemetry_file(folder, 300.0, 10)
    metrics = grade(folder).metrics
    assert metrics["startup_s"] == 7.5
    assert metrics["gpu_memory_peak_mib"] == 711
    assert metrics["joules_per_token"] == pytest.approx(300 * 10 / (24 * 8))
    assert metrics["cpu_s"] == 12.5


def test_energy_is_unknown_where_the_samples_do_not_reach(tmp_path: Path) -> None:
    folder = a_launch(tmp_path, "alba", records=[window(answers(), duration_ns=60_000 * MS)])
    telemetry_file(folder, 300.0, 10)
    assert "joules_per_token" not in grade(folder).metrics


@settings(max_examples=50, deadline=None)
@given(
    watts=st.lists(st.floats(1, 700), min_size=3, max_size=20),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_energy_adds_up_and_lies_between_the_extremes(tmp_path_factory, watts, cut) -> None:
    file = tmp_path_factory.mktemp("t") / telemetry.FILE
    begin = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    rows = [",".join(telemetry.COLUMNS)]
    for second, watt in enumerate(watts):
        at = (begin + timedelta(seconds=second)).isoformat(timespec="milliseconds")
        rows.append(f"{at},0,1980,2619,{watt!r},51,700,90,")
    file.write_text("\n".join(rows) + "\n")
    length = len(watts) - 1
    low, high = sorted(share * length for share in cut)
    at = [begin + timedelta(seconds=s) for s in (0, low, high, length)]
    whole = telemetry.energy(file, at[0], at[-1])
    parts = [telemetry.energy(file, a, b) for a, b in pairwise(at)]
    assert whole == pytest.approx(sum(parts), rel=1e-6)
    assert min(watts) * length * (1 - 1e-9) <= whole <= max(watts) * length * (1 + 1e-9)
    assert telemetry.energy(file, at[0], at[-1] + timedelta(seconds=1)) is None


def test_claimed_seconds_follow_from_what_a_benchmark_prints() -> None:
    plain = make.workload(requests=100)
    assert claimed_seconds(plain, {"duration_s": 7.0, "request_rate_rps": 1.0}) == 7.0
    assert claimed_seconds(plain, {"request_rate_rps": 5.0}) == 20.0
    assert claimed_seconds(plain, {"cost_time_s": 3.0}) == 3.0
    assert claimed_seconds(make.workload(requests=None), {"output_tps": 3.0}) is None
    for words in (("--num-iters", "30"), ("--num-iters=30",)):
        latency = make.workload(type="latency", requests=None, client_args=words)
        assert claimed_seconds(latency, {"latency_avg_s": 0.5}) == 15.0
    assert rounds(("--num-iters", "many")) == 1


def test_the_load_of_the_tests_is_the_one_of_the_records() -> None:
    assert LOAD.shape == window(answers()).load.shape
