"""The judge against servers of all generations, honest and cheating, over the loopback.

Times are held only against the fake servers' own stamps, with wide margins.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from patchbench.errors import BadInput
from patchbench.judge import findings as causes
from patchbench.judge.answers import check_answers
from patchbench.judge.audit import audit_window
from patchbench.judge.connection import Address
from patchbench.judge.connections import Connections
from patchbench.judge.ends import EXIT_REFUSED, Late, Refused
from patchbench.judge.measure import dialect_of
from patchbench.judge.metrics import is_complete, window_metrics
from patchbench.judge.pairs import compare_windows
from patchbench.judge.prompts import window_prompts
from patchbench.judge.record import Dialect, Window, read_window, write_window
from patchbench.judge.scores import LaunchScores, Scores
from patchbench.judge.scoring import sample, score_window
from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    FixedRate,
    Load,
    Poisson,
    Sampling,
)
from tests.judge_servers.model import WordTokenizer
from tests.judge_servers.server import Behaviour, Server, serving
from tests.unit.judge_make import SECRET, launch_on, make_load, measured

ENGINES = ("vllm-2023", "vllm-2024", "vllm", "sglang")
TOKENIZER = WordTokenizer()
LOAD = make_load(ClosedLoop(requests=24, concurrency=6))


# --- dialects --------------------------------------------------------------------------------

DIALECTS = {
    "vllm-2023": (("stream_options", "return_token_ids"), False, False, "echo"),
    "vllm-2024": (("stream_options",), False, True, "prompt_logprobs"),
    "vllm": (("stream_options", "return_token_ids"), True, True, "prompt_logprobs"),
    "sglang": (("stream_options", "return_token_ids"), False, True, "generate"),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_dialects(engine: str) -> None:
    fields, ids, usage, scoring = DIALECTS[engine]
    with serving(Behaviour(engine=engine)) as server:
        dialect = dialect_of(Address.of(server.url), LOAD, SECRET, 1)
    assert dialect == Dialect(
        fields=fields,
        ids_stream=ids,
        usage_chunk=usage,
        scoring=scoring,  # type: ignore[arg-type]
    )


def test_a_server_that_takes_text_alone() -> None:
    with serving(Behaviour(text_only=True)) as server:
        address = Address.of(server.url)
        with pytest.raises(Refused, match=r"HTTP 422.*str type expected.*form \(ids\)"):
            dialect_of(address, LOAD, SECRET, 1)
        dialect = dialect_of(address, make_load(form="text"), SECRET, 1, tokenizer=TOKENIZER)
    assert not dialect.ids_prompt and dialect.scoring == "none"


def test_no_server() -> None:
    with serving(Behaviour()) as server:
        address = Address.of(server.url)
    with pytest.raises(Refused, match="not_connected"):
        dialect_of(address, LOAD, SECRET, 1)
    with pytest.raises(BadInput, match="http://HOST:PORT"):
        Address.of("https://example.org")


def test_a_dialect_of_the_baseline_binds_the_arm() -> None:
    """An arm that stops naming ids is measured with the baseline's words all the same."""
    baseline = Dialect(fields=("stream_options", "return_token_ids"), ids_stream=True)
    with serving(Behaviour(engine="vllm-2024")) as server:
        record = measured(server, LOAD, baseline)
    assert all(a.error.startswith("http_400") for a in record.answers)


# --- honest windows --------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_every_generation_is_read_rightly(engine: str) -> None:
    with serving(Behaviour(engine=engine)) as server:
        record = measured(server, LOAD)
        served = server.served[-24:]
    assert [a.index for a in record.answers] == list(range(24))
    assert all(is_complete(a) and a.finish == "length" for a in record.answers)
    assert audit_window(record, TOKENIZER) == []
    got = window_metrics(record, TOKENIZER)
    assert got["output_tokens"] == 24 * 16
    by_prompt = {tuple(s.body["prompt"]): s for s in served}
    prompts = window_prompts(LOAD, SECRET, 1, 1)
    for answer in record.answers:
        sent = by_prompt[prompts[answer.index].content]  # type: ignore[index]
        assert answer.text and len(answer.at) == len(sent.chunks)
        assert sent.concurrent <= 6
        assert (sent.body["temperature"], sent.body["ignore_eos"]) == (0.0, True)
        spread = (answer.at[-1] - answer.at[0]) - (sent.chunks[-1][0] - sent.chunks[0][0])
        assert abs(spread) < 1_000_000_000


def test_nothing_tells_the_server_who_asks() -> None:
    with serving(Behaviour()) as server:
        measured(server, LOAD)
    words = json.dumps(server.requests).lower()
    assert not any(word in words for word in ("patchbench", "judge", "bench", "seed"))


def test_text_prompts() -> None:
    load = make_load(form="text")
    with serving(Behaviour(engine="vllm-2023", text_only=True)) as server:
        record = measured(server, load)
    assert all(is_complete(a) and a.prompt_tokens is None for a in record.answers)
    assert "total_tps" not in window_metrics(record, TOKENIZER)


def test_all_at_once_is_due_at_once() -> None:
    with serving(Behaviour()) as server:
        record = measured(server, make_load(AllAtOnce(requests=30)))
        assert max(s.concurrent for s in server.served) > 15
    assert {a.due_ns for a in record.answers} == {0}


def test_batches_wait_for_each_other() -> None:
    with serving(Behaviour()) as server:
        record = measured(server, make_load(Batch(size=5, rounds=3)))
        assert max(s.concurrent for s in server.served) <= 5
    for start in (5, 10):
        before = record.answers[start - 5 : start]
        assert {a.due_ns for a in record.answers[start : start + 5]} == {
            max(a.end_ns for a in before)
        }
    assert window_metrics(record)["latency_avg_s"] > 0


def test_closed_loops_keep_their_concurrency() -> None:
    with serving(Behaviour()) as server:
        record = measured(server, make_load(ClosedLoop(requests=20, concurrency=3)))
        assert max(s.concurrent for s in server.served) == 3
    ends = {0} | {a.end_ns for a in record.answers}
    assert all(a.due_ns in ends for a in record.answers)


@pytest.mark.parametrize(
    "shape", [FixedRate(requests=20, rate=100.0), Poisson(requests=20, rate=100.0)]
)
def test_open_loops_send_when_due(shape: FixedRate | Poisson) -> None:
    with serving(Behaviour(step=0.01)) as server:
        record = measured(server, make_load(shape))
    assert all(0 <= a.sent_ns - a.due_ns < 5_000_000_000 for a in record.answers)
    assert record.answers[-1].due_ns > 50_000_000
    assert record.watches[0].sends == 20


def test_a_limit_on_concurrency_counts_for_latency_not_for_lag() -> None:
    shape = FixedRate(requests=12, rate=1000.0, concurrency=1)
    with serving(Behaviour(step=0.01)) as server:
        record = measured(server, make_load(shape))
        assert max(s.concurrent for s in server.served) == 1
    last = max(record.answers, key=lambda a: a.sent_ns)
    waited = last.sent_ns - last.due_ns
    assert waited > 8 * 160_000_000
    assert record.watches[0].send_lag_max < waited / 1e6 / 2


def test_several_processes_send_the_same_requests() -> None:
    load = make_load(ClosedLoop(requests=21, concurrency=5))
    with serving(Behaviour()) as server:
        one = measured(server, load)
        three = measured(server, load, one.dialect, processes=3)
    assert [a.prompt_digest for a in three.answers] == [a.prompt_digest for a in one.answers]
    assert all(is_complete(a) for a in three.answers)
    assert len(three.watches) == 3
    assert max(s.concurrent for s in server.served[-21:]) <= 5


def test_priority_is_given_back() -> None:
    before = os.sched_getscheduler(0)
    with serving(Behaviour()) as server:
        record = measured(server, make_load(), real_time=True)
    assert os.sched_getscheduler(0) == before
    assert all(is_complete(a) for a in record.answers)
    assert record.watches[0].real_time in (True, False)  # as the machine allows


def test_connections_are_used_again_and_a_closed_one_is_no_failure() -> None:
    load = make_load(ClosedLoop(requests=20, concurrency=2))
    with serving(Behaviour()) as server:
        measured(server, load)
        assert server.connections < 10
    with serving(Behaviour(idle_close=True)) as server:
        record = measured(server, load)
    assert all(is_complete(a) for a in record.answers)


# --- servers that fail -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cheat", "error"),
    [
        ("error", "http_500"),
        ("drop", "connection_lost"),
        ("no_end", "no_end"),
        ("not_http", "bad_http"),
        ("hang", "timeout"),
    ],
)
def test_failures_stand_in_the_answers(cheat: str, error: str) -> None:
    load = make_load(ClosedLoop(requests=4, concurrency=2), request_limit=0.5)
    with serving(Behaviour(cheat=cheat)) as server:
        record = measured(server, load, Dialect())
    assert {a.error.partition(":")[0] for a in record.answers} == {error}
    (finding,) = audit_window(record)
    assert finding.cause == causes.FAILED


def test_a_window_has_an_end_and_none_follows() -> None:
    load = make_load(ClosedLoop(requests=6, concurrency=2), window_limit=0.5)
    with serving(Behaviour(cheat="hang")) as server:
        windows = launch_on(server, load, Dialect()).windows([1, 2])
        record = next(windows)
        with pytest.raises(Late, match=r"no end of window 1 within 0\.5 s"):
            next(windows)
    assert [a.error for a in record.answers].count("timeout") == 2
    assert [a.error for a in record.answers].count("not_sent") == 4


def test_a_server_that_hangs_at_once_is_late() -> None:
    for load in (make_load(request_limit=0.3), make_load(window_limit=0.3, warmup=2)):
        dialect = Dialect() if load.warmup else None
        with serving(Behaviour(cheat="hang")) as server, pytest.raises(Late, match=r"0\.3 s"):
            measured(server, load, dialect)


def test_a_flood_is_cut_off() -> None:
    async def flood() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            for _ in range(1000):
                writer.write(b"data: {}\n\n" * 1000)
                await asyncio.sleep(0)
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        connections = Connections(Address("127.0.0.1", port))
        reply = await connections.send(b"POST / HTTP/1.1\r\n\r\n", 100_000, 30)
        listener.close()
        assert sum(len(data) for _, data in reply.pieces) < 400_000
        return reply.error

    assert asyncio.run(flood()) == "too_long"


# --- servers that cheat ----------------------------------------------------------------------

WAVE = make_load(ClosedLoop(requests=24, concurrency=24))
STEP = 0.02  # seconds per token: far above what a busy machine delays
BOTH = ("vllm", "vllm-2024", "sglang")
CHEATS = [
    *((e, "doubled_usage", causes.FALSE_CLAIM) for e in BOTH),
    *((e, "early_stop", causes.LESS_WORK) for e in ENGINES),
    *((e, "early_stop_claimed", causes.LESS_WORK) for e in ENGINES),
    *((e, "too_long", causes.WRONG_LENGTH) for e in ENGINES),
    *((e, "late_burst", causes.NOT_STREAMED) for e in ENGINES),
    *((e, "burst_of_chunks", causes.NOT_STREAMED) for e in ENGINES),
    ("vllm", "false_ids", causes.FALSE_CLAIM),
]


@pytest.fixture(scope="module")
def baselines() -> dict[str, Window]:
    records = {}
    for engine in ENGINES:
        with serving(Behaviour(engine=engine, step=STEP)) as server:
            records[engine] = measured(server, WAVE)
    return records


@pytest.mark.parametrize(("engine", "cheat", "cause"), CHEATS)
def test_cheats_are_found(
    baselines: dict[str, Window], engine: str, cheat: str, cause: str
) -> None:
    baseline = baselines[engine]
    with serving(Behaviour(engine=engine, cheat=cheat, step=STEP)) as server:
        record = measured(server, WAVE, baseline.dialect)
    findings = audit_window(record, TOKENIZER) + compare_windows(record, baseline, TOKENIZER)
    faults = {f.cause: f for f in findings if f.severity == "fault"}
    assert cause in faults
    assert faults[cause].request in range(24)


@pytest.mark.parametrize("engine", ENGINES)
def test_cheats_that_gain_nothing_are_noted(baselines: dict[str, Window], engine: str) -> None:
    """Doubled usage without recounts, empty first chunks and bundles change no metric upwards."""
    for cheat, cause in (("empty_first", causes.EMPTY_CHUNKS), ("bundled", causes.BUNDLED)):
        with serving(Behaviour(engine=engine, cheat=cheat, step=STEP)) as server:
            record = measured(server, WAVE, baselines[engine].dialect)
            stamps = server.served[-24:]
        findings = audit_window(record, TOKENIZER)
        findings += compare_windows(record, baselines[engine], TOKENIZER)
        assert {f.cause for f in findings if f.severity == "note"} == {cause}
        assert window_metrics(record, TOKENIZER)["output_tokens"] == 24 * 16
        assert all(len(s.chunks) > 1 for s in stamps)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_honest_second_launch_is_not_flagged(baselines: dict[str, Window], engine: str) -> None:
    with serving(Behaviour(engine=engine, step=STEP, noise=9)) as server:
        record = measured(server, WAVE, baselines[engine].dialect)
    findings = audit_window(record, TOKENIZER)
    findings += compare_windows(record, baselines[engine], TOKENIZER)
    assert [f for f in findings if f.severity == "fault"] == []


def test_free_lengths() -> None:
    load = make_load(ClosedLoop(requests=8, concurrency=4), sampling=Sampling())
    with serving(Behaviour(eos=5)) as server:
        record = measured(server, load)
    assert {a.finish for a in record.answers} == {"stop"}
    assert window_metrics(record)["output_tokens"] == 8 * 5
    assert audit_window(record) == []


# --- answers under load ----------------------------------------------------------------------


def scored(server: Server, record: Window, load: Load) -> Scores:
    prompts = window_prompts(load, SECRET, 1, 1)
    indices = sample(SECRET, 1, 1, len(prompts), 24)
    form = record.dialect.scoring
    address = Address.of(server.url)
    return asyncio.run(score_window(address, record, prompts, indices, form, TOKENIZER))


@pytest.mark.parametrize("engine", ENGINES)
def test_wrong_answers_under_load_are_told_from_honest_noise(engine: str) -> None:
    launches = []
    for noise in range(3):
        with serving(Behaviour(engine=engine, noise=noise)) as server:
            launches.append(measured(server, LOAD))
    with serving(Behaviour(engine=engine, cheat="wrong_under_load")) as server:
        wrong = measured(server, LOAD, launches[0].dialect)
    assert audit_window(wrong, TOKENIZER) == []
    with serving(Behaviour(engine=engine)) as server:
        *base, honest = [scored(server, record, LOAD) for record in launches]
        bad = scored(server, wrong, LOAD)
    assert len(bad.scores) == 24 and not bad.unscored
    assert check_answers(honest, base, greedy=True).status == "like_baseline"
    check = check_answers(bad, base, greedy=True)
    assert check.status == "wrong_output" and check.worst in range(24)


def test_scores_are_the_models() -> None:
    with serving(Behaviour()) as server:
        got = scored(server, measured(server, LOAD), LOAD)
    gaps = {round(g, 4) for s in got.scores for g in s.gaps}
    assert gaps == {0.0, 0.05}


def test_samples_are_secret_and_the_same_for_all_arms() -> None:
    assert sample(SECRET, 1, 1, 100, 48) == sample(SECRET, 1, 1, 100, 48)
    assert sample(SECRET, 1, 1, 100, 48) != sample(SECRET, 1, 2, 100, 48)
    assert sample(SECRET, 1, 1, 10, 48) == list(range(10))


def test_answers_without_ids_need_a_tokenizer() -> None:
    with serving(Behaviour(engine="vllm-2024")) as server:
        record = measured(server, LOAD)
        prompts = window_prompts(LOAD, SECRET, 1, 1)
        got = asyncio.run(
            score_window(Address.of(server.url), record, prompts, [1, 2], "prompt_logprobs")
        )
    assert not got.scores and set(got.unscored) == {1, 2}


# --- command line ----------------------------------------------------------------------------


def run(*arguments: str, secret: bytes = SECRET) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "patchbench.judge", *arguments],
        input=secret.decode("latin-1"),
        encoding="latin-1",
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_command_line(tmp_path: Path) -> None:
    load = make_load(ClosedLoop(requests=24, concurrency=4), windows=2, warmup=3)
    path, out = tmp_path / "load.json", tmp_path / "window-{window}.judge"
    path.write_bytes(msgspec.json.encode(load))
    with serving(Behaviour()) as server:
        done = run(
            "--load", str(path), "--base-url", server.url, "--out", str(out),
            "--write-dialect", str(tmp_path / "dialect.json"), "--tokenizer", str(path),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "goes on without a tokenizer" in done.stderr
        assert done.stdout.count("24 requests, 0 failed") == 2
        one, two = (read_window(tmp_path / f"window-{n}.judge") for n in (1, 2))
        assert {a.prompt_digest for a in one.answers}.isdisjoint(
            a.prompt_digest for a in two.answers
        )
        records = [str(tmp_path / f"window-{n}.judge") for n in (1, 2)]
        scores = tmp_path / "scores.json"
        scoring = ("--score", records[0], records[1], "--base-url", server.url)
        done = run(*scoring, "--out", str(scores), "--answers", "20")
        assert done.returncode == 0, done.stderr
        of_windows = msgspec.json.decode(scores.read_bytes(), type=LaunchScores).scores
        assert [(s.window, len(s.scores)) for s in of_windows] == [(1, 20), (2, 20)]
        none = tmp_path / "none.json"
        none.write_bytes(msgspec.json.encode(Dialect(scoring="none")))
        done = run(*scoring, "--out", str(scores), "--dialect", str(none))
        assert "0 answers scored by none" in done.stdout  # the dialect given, not the records'
        done = run(*scoring, "--out", "x", secret=b"\x01" * 32)
        assert done.returncode == 2 and "isn't the one of this record" in done.stderr
    shown = json.loads(run("--show", records[0]).stdout)
    assert shown["metrics"]["completed"] == 24 and shown["findings"] == []


def test_a_server_that_refuses_the_load_has_a_status_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    path.write_bytes(msgspec.json.encode(LOAD))
    with serving(Behaviour(text_only=True)) as server:
        done = run("--load", str(path), "--base-url", server.url, "--out", str(tmp_path / "w"))
    assert (done.returncode, (tmp_path / "w").exists()) == (EXIT_REFUSED, False)
    assert "the server refuses the load's request | HTTP 422: " in done.stderr


def test_command_line_refusals(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    path.write_bytes(msgspec.json.encode(make_load(windows=2)))
    given = ("--load", str(path), "--base-url", "http://127.0.0.1:1")
    for arguments, secret, words in (
        ((*given, "--out", "a"), SECRET, "{window}"),
        ((*given, "--out", "a", "--windows", "1"), b"short", "bytes, not 32"),
        ((*given, "--out", "a", "--windows", "0"), SECRET, "counted from 1"),
        (("--show", str(path)), SECRET, "not a whole record"),
    ):
        done = run(*arguments, secret=secret)
        assert done.returncode == 2 and words in done.stderr


def test_records_of_runs_can_be_read_again(tmp_path: Path, baselines: dict[str, Window]) -> None:
    for engine, record in baselines.items():
        path = tmp_path / engine
        write_window(path, record)
        assert read_window(path) == record
        assert window_metrics(read_window(path)) == window_metrics(record)
