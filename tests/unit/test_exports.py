"""Exports: each file is what the peer's format asks for, by its documentation, and by its own
schema if PATCHBENCH_PEER_SCHEMAS names a folder with llm-d.json and bencher.json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pyarrow.parquet as pq
import pytest
import yaml

from patchbench.cli import export
from patchbench.cli.main import main
from patchbench.exporting import bencher, hub, llm_d, results, swebench
from patchbench.exporting.results import Results
from patchbench.load import AllAtOnce, Lengths, Load, Poisson, RandomPrompts, SharedPrefix
from patchbench.patches.sources.base import PatchPlace, PatchQuery
from patchbench.patches.sources.predictions import Predictions
from patchbench.report import about
from patchbench.report.tables import collect
from patchbench.report.tables.columns import OutcomeRow, TaskRow
from tests.unit import synthetic

A, B, C, D = synthetic.A, synthetic.B, synthetic.C, synthetic.D


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the synthetic campaign, with its tables."""
    place = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        found = synthetic.plan(place)
        synthetic.fill(found)
        for name, table in collect.tables(found).items():
            collect.write(table, place / "results/tables" / f"{name}.parquet")
        about.write(about.of(found), place / "results")
    return place / "results"


@pytest.fixture(scope="module")
def found(folder: Path) -> Results:
    return results.read(folder)


def peer_schema(name: str) -> Any:
    """A peer's own schema; None if no folder of schemas is named."""
    place = os.environ.get("PATCHBENCH_PEER_SCHEMAS")
    return json.loads((Path(place) / f"{name}.json").read_text()) if place else None


# --- SWE-bench -------------------------------------------------------------------------------


def test_swebench_report_is_closed_and_names_what_decides(found: Results) -> None:
    reports = dict(swebench.files(found))
    assert list(reports) == ["alba.synthetic.json", "brio.synthetic.json"]
    for report in reports.values():
        assert report["schema_version"] == 2
        for kind in swebench.IDS:
            assert report[f"{kind}_ids"] == sorted(set(report[f"{kind}_ids"]))
            assert report[f"{kind}_instances"] == len(report[f"{kind}_ids"])
        ids = {kind: set(report[f"{kind}_ids"]) for kind in swebench.IDS}
        # As its harness makes them: every instance is submitted or incomplete, and so on down.
        assert report["total_instances"] == len(ids["submitted"] | ids["incomplete"]) == 3
        assert ids["submitted"] == ids["completed"] | ids["empty_patch"] | ids["error"]
        assert ids["completed"] == ids["resolved"] | ids["unresolved"]
        failures = ids["infra_failure"] | ids["ambiguous_failure"]
        assert failures <= ids["unresolved"] | ids["error"]
        assert failures == report["failure_reasons"].keys()
    alba, brio = reports.values()
    assert alba["resolved_ids"] == [f"small-{A}"]
    assert alba["unresolved_ids"] == [f"small-{B}"]
    assert brio["incomplete_ids"] == [f"small-{B}", f"small-{C}"]


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"status": "failed", "cause": "infra.disk_full", "blame": "infra"}, "infra_failure"),
        ({"status": "failed", "cause": "unknown", "blame": "unknown"}, "ambiguous_failure"),
        ({"status": "failed", "cause": "patch.empty", "blame": "agent"}, "empty_patch"),
        ({"status": "measured", "verdict": "suspicious"}, "unresolved"),
    ],
)
def test_swebench_blame_has_a_list_of_its_own(row: dict[str, Any], kinds: str) -> None:
    assert kinds in swebench.kinds(OutcomeRow(commit=A, arm="alba", **row))


def test_instance_is_found_again_by_the_reader_of_predictions(tmp_path: Path) -> None:
    name = swebench.instance_id(TaskRow(commit=A, status="planned", subject="small"))
    line = {"instance_id": name, "model_name_or_path": "m", "model_patch": "diff"}
    (tmp_path / "p.jsonl").write_text(json.dumps(line) + "\n")
    place = PatchPlace(kind="predictions", path=str(tmp_path / "p.jsonl"))
    assert Predictions(place).hits(PatchQuery(A, "small", B))


# --- Bencher ---------------------------------------------------------------------------------

NUMBER = {"type": "number"}
# Bencher's reference of its metric format: a value is required, the limits are not.
BMF = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"maxLength": 64},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": dict.fromkeys(("value", "lower_value", "upper_value"), NUMBER),
            "additionalProperties": False,
        },
    },
}


def test_bencher_has_speedups_with_their_intervals(found: Results) -> None:
    metrics = bencher.metrics(found)
    for schema in filter(None, (BMF, peer_schema("bencher"))):
        jsonschema.validate(metrics, schema)
    name = next(name for name in metrics if name.startswith(f"small/{A[:8]}/alba"))
    speedup = metrics[name]["speedup"]
    assert speedup["lower_value"] < speedup["value"] < speedup["upper_value"]
    assert speedup["value"] == pytest.approx(1.4, rel=0.01)
    base = next(of for name, of in metrics.items() if "/baseline" in name)
    assert base == {"ttft_median_ms": {"value": 100.0}}


# --- llm-d -----------------------------------------------------------------------------------


def statistics(*units: str) -> dict[str, Any]:
    kinds = {"type": "object", "required": ["units", "mean"]}
    return kinds | {"properties": {"units": {"enum": list(units)}, "mean": NUMBER}}


def only(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False} | {
        "properties": properties
    }


# What docs/benchmark_report.md of llm-d-benchmark and its schema say of the parts that we write.
LENGTH = only(["distribution", "value"], distribution={}, value=NUMBER, min={}, max={})
LLM_D = only(
    ["run", "results"],
    version={"const": "0.2.1"},
    run=only(["uid"], uid={"type": "string"}, eid={}, time={}, description={}, keywords={}),
    results=only(
        ["request_performance"],
        request_performance=only(
            ["aggregate"],
            aggregate=only(
                [],
                requests=only(["total"], total={"type": "integer"}, failures={"type": "integer"}),
                latency={
                    "additionalProperties": statistics("ms", "ms/token"),
                    "propertyNames": {"enum": [field for field, _ in llm_d.LATENCIES.values()]},
                },
                throughput={"additionalProperties": statistics("tokens/s", "queries/s")},
            ),
        ),
        observability={},
    ),
    scenario=only(
        [],
        load=only(
            ["metadata", "standardized", "native"],
            metadata={},
            native={},
            standardized={
                "required": ["tool", "tool_version", "source", "input_seq_len"],
                "properties": {"input_seq_len": LENGTH, "output_seq_len": LENGTH},
            },
        ),
        stack={"items": {"required": ["metadata", "standardized", "native"]}},
    ),
)
LOAD = Load(
    model="m",
    shape=Poisson(requests=8, rate=2.0),
    prompts=SharedPrefix(
        prefixes=2, prefix=10, suffix=Lengths(low=1, high=3), output=Lengths(low=4, high=4)
    ),
)


def check(report: Any) -> None:
    for schema in filter(None, (LLM_D, peer_schema("llm-d"))):
        jsonschema.validate(report, schema)


def test_llm_d_has_a_report_of_each_measured_launch(found: Results) -> None:
    reports = dict(llm_d.files(found))
    launches = {(r.commit, r.arm, r.block) for r in found.runs if r.status == "measured"}
    assert len(reports) == len(launches)
    for report in reports.values():
        check(report)
    one = reports[f"{A[:12]}/alba/block-1.json"]
    assert one["run"]["keywords"] == ["synthetic", "alba", "faster"]


def test_llm_d_report_tells_latencies_rates_engine_and_load(found: Results) -> None:
    task = found.record(A)
    assert task is not None and task.workload is not None
    workload = msgspec.structs.replace(task.workload, load=LOAD)
    task = msgspec.structs.replace(task, workload=workload)
    values = {"completed": 7.0, "failed": 1.0, "output_tps": 50.0, "request_rate_rps": 2.0}
    values |= {"ttft_mean_ms": 9.0, "ttft_median_ms": 8.0, "ttft_p99_ms": 20.0, "itl_p99_ms": 3.0}
    launch = msgspec.structs.replace(
        found.runs[0], started="2026-01-01T00:00:00+00:00", ended="2026-01-01T00:00:02.5+00:00",
        gpu_model="H200", gpu_memory_mib=900.0,
    )  # fmt: skip
    report = llm_d.report("c", launch, values, task, "same")
    check(report)
    assert report["run"]["time"]["duration"] == "PT2.5S"
    aggregate = report["results"]["request_performance"]["aggregate"]
    assert aggregate["requests"] == {"total": 8, "failures": 1}
    # A percentile without a mean has no place there.
    assert aggregate["latency"] == {
        "time_to_first_token": {"units": "ms", "mean": 9.0, "p50": 8.0, "p99": 20.0}
    }
    load = report["scenario"]["load"]["standardized"]
    assert load["input_seq_len"] == {"distribution": "uniform", "value": 12, "min": 11, "max": 13}
    assert load["output_seq_len"] == {"distribution": "fixed", "value": 4}
    assert (load["rate_qps"], load["concurrency"]) == (2.0, 8)


def test_lengths_of_prompts_that_are_not_ordered_are_those_counted() -> None:
    random = RandomPrompts(prompt=Lengths(low=1, high=9, inner=(4,)), output=Lengths(low=1, high=1))
    load = Load(model="m", shape=AllAtOnce(requests=2), prompts=random)
    assert (llm_d.input_length(load, {}) or {})["distribution"] == "other"


# --- hub -------------------------------------------------------------------------------------


def test_hub_card_names_files_that_are_there_and_nothing_of_the_machine(
    found: Results, tmp_path: Path
) -> None:
    hub.write_folder(found, tmp_path, "cc-by-4.0")
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "cc-by-4.0" and head["size_categories"] == ["n<1K"]
    assert [config for config in head["configs"] if config.get("default")]
    for config in head["configs"]:
        (file,) = config["data_files"]
        table = pq.read_table(tmp_path / file["path"])
        assert not set(hub.PRIVATE) & set(table.schema.names)
        assert str(found.folder) not in str(table.to_pylist())
    assert "| `answers_gap` | double | nats per token |" in card


def test_hub_card_is_read_by_the_hubs_own_reader(found: Results, tmp_path: Path) -> None:
    reader = pytest.importorskip("huggingface_hub")
    hub.write_folder(found, tmp_path)
    data = reader.DatasetCard.load(tmp_path / "README.md").data
    assert data.pretty_name == "synthetic" and data.license is None
    assert {config["config_name"] for config in data.configs} >= {"outcomes", "runs"}


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", export.FORMATS)
def test_command_writes_each_format(
    folder: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["export", "--to", kind, "--results", str(folder), "--out", str(tmp_path / kind)])
    assert f"in {tmp_path / kind}" in capsys.readouterr().out
    assert list((tmp_path / kind).rglob("*.*"))


def test_folder_without_tables_is_refused(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", "--to", "bencher", "--results", str(tmp_path)])
    assert ended.value.code == 2
    assert "no results folder" in capsys.readouterr().err
