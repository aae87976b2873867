"""From one benchmark's output to metrics, or to the cause why there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchbench.parsing.read_output import ParsedOutput, read_output
from patchbench.system import raw_logs
from tests.unit import outputs
from tests.unit.outputs import V3, Numbers, make, row


class Output:
    """What a benchmark left in a folder."""

    def __init__(self, folder: Path) -> None:
        self.stdout, self.result = folder / "benchmark.stdout", folder / "result.json"

    def read(self, text: str | bytes | None, saved: object = None, **more: object) -> ParsedOutput:
        self.result.unlink(missing_ok=True)
        self.stdout.unlink(missing_ok=True)
        if text is not None:
            self.stdout.write_bytes(text if isinstance(text, bytes) else text.encode())
        if saved is not None:
            data = saved if isinstance(saved, bytes) else json.dumps(saved).encode()
            self.result.write_bytes(data)
        asked = {"type_": "serving", "primary": "ttft_median_ms", **more}
        return read_output(asked.pop("type_"), self.stdout, self.result, **asked)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path)


V6 = make(
    "vllm 0.32",
    Numbers([50000, 40000, 2000, 4500, 210.5, 190.25, 190.25, 400.25, 480.75, 1.1, 0.0, 0.0, 5.0]),
).text
SAVED = {
    "completed": 250,
    "failed": 0,
    "median_ttft_ms": 190.2534,
    "output_throughput": 2000.1,
    "duration": 20.0,
}


def test_the_saved_numbers_win_over_the_rounded_ones(output: Output) -> None:
    found = output.read(V6, SAVED)
    assert (found.cause, found.format) == (None, "json")
    assert found.metrics["ttft_median_ms"] == 190.2534
    # A median of zero is legal beside the primary metric.
    assert found.metrics["tpot_median_ms"] == 0.0


def test_what_only_the_text_has_is_kept_beside_the_file(output: Output) -> None:
    file = {"requests_per_second": 12.5, "tokens_per_second": 4500.0}
    text = make("vllm throughput", Numbers([12.5, 4500, 2000, 50000, 40000])).text
    found = output.read(text, file, type_="throughput", primary="output_tps", requests=100)
    assert found.cause is None
    assert found.metrics["output_tps"] == 2000.0
    assert found.metrics["total_tps"] == 4500.0


def test_text_alone_is_enough(output: Output) -> None:
    found = output.read(V3.text, requests=250)
    assert (found.cause, found.format) == (None, "text")
    assert found.metrics == V3.metrics
    assert found.evidence is not None
    assert found.evidence.line == 2
    found = output.read(V3.text, b'{"completed": 25')  # a file that was cut off
    assert (found.cause, found.format) == (None, "text")


@pytest.mark.parametrize(
    "text", [None, "", "\n\n", "Killed\n", outputs.box(), "DEPRECATED: moved.\n" + outputs.box()]
)
def test_no_result_at_all_has_its_cause(output: Output, text: str | None) -> None:
    found = output.read(text)
    assert found.cause == "bench.no_metrics"
    assert found.metrics == {}
    assert found.evidence is not None


def test_one_failed_request_is_enough_to_refuse(output: Output) -> None:
    text = V6.replace(row("Failed requests:", 0), row("Failed requests:", 1))
    found = output.read(text)
    assert found.cause == "bench.requests_failed"
    assert "1 failed" in found.evidence.text
    for saved in ({"failed": 3}, {"completed": 0}):
        assert output.read(None, SAVED | saved).cause == "bench.requests_failed"


def test_fewer_completed_than_asked_for_is_refused_where_no_row_says_failed(output: Output) -> None:
    text = make("sglang 0.4.6", Numbers([5.0])).text
    assert output.read(text, requests=250).cause is None
    found = output.read(text, requests=251)
    assert found.cause == "bench.requests_failed"
    assert "250 of 251" in found.evidence.text


def test_a_result_without_the_primary_metric_is_partial(output: Output) -> None:
    old_client = outputs.box(
        row("Successful requests:", 250), row("Output token throughput (tok/s):", "9.00")
    )
    found = output.read(old_client)
    assert found.cause == "bench.partial"
    assert "ttft_median_ms" in found.evidence.text
    assert "output_tps" in found.evidence.text
    assert output.read(old_client, primary="output_tps").cause is None


@pytest.mark.parametrize("value", ["0.00", "nan", "inf", "-5.00"])
def test_a_primary_metric_that_is_no_positive_number_is_partial(output: Output, value: str) -> None:
    text = V3.text.replace(row("Median TTFT (ms):", "190.25"), row("Median TTFT (ms):", value))
    assert output.read(text).cause == "bench.partial"


def test_rounding_is_no_disagreement(output: Output) -> None:
    assert output.read(V6, {**SAVED, "median_ttft_ms": 190.2549}).cause is None
    tiny = make("vllm latency", Numbers([0.01])).text
    found = output.read(tiny, {"avg_latency": 0.0123}, type_="latency", primary="latency_avg_s")
    assert found.cause is None


def test_a_file_and_a_text_that_disagree_are_refused(output: Output) -> None:
    found = output.read(V6, {**SAVED, "median_ttft_ms": 95.0})
    assert found.cause == "bench.ambiguous"
    assert "95.0" in found.evidence.text
    assert "190.25" in found.evidence.text


def test_a_progress_bar_does_not_move_the_line_that_is_named(output: Output) -> None:
    found = output.read("0%|  |\r50%|  |\r100%|  |\nready\n" + V3.text)
    assert found.evidence is not None
    assert found.evidence.line == 4


def test_the_clients_stderr_may_say_that_the_server_was_gone(
    output: Output, tmp_path: Path
) -> None:
    zeros = outputs.box(*(row(label, 0) for label in ("Successful requests:", "Failed:")))
    stderr = tmp_path / "benchmark.stderr"
    stderr.write_text("\nConnectionRefusedError: [Errno 111] Connection refused\n")
    assert output.read(zeros).cause == "bench.requests_failed"
    found = output.read(zeros, stderr=stderr)
    assert found.cause == "bench.dead_server"
    assert (found.evidence.file, found.evidence.line) == (str(stderr), 2)


def test_compressed_files_are_read_as_the_plain_ones(output: Output) -> None:
    plain = output.read(V6, SAVED)
    for file in (output.stdout, output.result):
        raw_logs.compress(file, over=10)
        assert not file.exists()
    found = read_output("serving", output.stdout, output.result, primary="ttft_median_ms")
    assert (found.metrics, found.cause) == (plain.metrics, None)
