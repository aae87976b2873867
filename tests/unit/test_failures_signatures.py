"""What a log gives away, and the line that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchbench.failures import signatures
from patchbench.failures.causes import CAUSES
from patchbench.failures.signatures import (
    CHECKS,
    Origin,
    Signature,
    claim,
    holds,
    in_lines,
    machine_fault,
    matches,
    table,
)
from patchbench.records import Evidence
from tests.unit.conftest import ROOT

ANYWHERE = Origin(writer="any")


def log(folder: Path, text: str, name: str = "server.stderr") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def found(folder: Path, text: str, origin: Origin = ANYWHERE) -> list[str]:
    return [match.cause for match in matches([log(folder, text)], origin)]


def search(files: list[Path]) -> list[tuple[str, Evidence]]:
    return [(m.cause, m.evidence) for m in matches(files) if m.signature.of_machine]


def at_home(row: Signature) -> Origin:
    """A launch for which the row holds."""
    versions = {row.engine: row.since} if row.since else {}
    return Origin(versions=versions, runtime=row.runtime, writer="any")


# --- the table itself -----------------------------------------------------------------------------


ROWS = pytest.mark.parametrize("row", table(), ids=lambda row: f"{row.cause}-{row.text[:30]}")


@ROWS
def test_a_rows_example_is_its_own_and_no_earlier_rows(row: Signature) -> None:
    origin = at_home(row)
    rows = [other for other in table() if holds(other, origin)]
    assert claim(row.example, rows, origin, at_end=True) == row


@ROWS
def test_a_row_is_well_formed(row: Signature) -> None:
    assert row.cause in CAUSES
    assert row.text == row.text.lower() and len(row.text) >= 6
    assert row.source and row.example
    assert not row.pattern or re.compile(row.pattern)
    assert not row.check or row.check in CHECKS
    assert not row.sandboxed or (row.sandboxed in CAUSES and row.sandboxed.startswith("sandbox."))
    assert not (row.since or row.until) or row.engine


SAMPLE = re.compile(r"(?:tests/fixtures/failures/|\.\./shared/data/)\S+$")
SAMPLED = [(row, named[0]) for row in table() if (named := SAMPLE.search(row.source))]


@pytest.mark.parametrize(("row", "sample"), SAMPLED, ids=[row.text[:30] for row, _ in SAMPLED])
def test_an_example_from_our_own_samples_stands_there(row: Signature, sample: str) -> None:
    path = ROOT / sample
    if not path.is_file() and sample.startswith(".."):
        pytest.skip(f"no {sample} on this machine")
    # Long lines are cut in the table; a result file of the predecessor quotes its log.
    words = row.example.split(": ", 1)[-1][:40].replace("/models/tiny", "/models/noweights")
    text = path.read_text(encoding="utf-8", errors="replace").replace('\\"', '"')
    assert words in text


def test_faults_of_the_machine_come_first() -> None:
    blames = [CAUSES[row.cause].blame for row in table()]
    last = max(at for at, blame in enumerate(blames) if blame == "infra")
    others = {row.cause for row in table()[:last] if CAUSES[row.cause].blame != "infra"}
    # What comes between is more specific than the machine's row that it stands before.
    assert others == {
        "harness.shared_memory", "sandbox.pids", "task.known_bug", "task.no_program"
    }  # fmt: skip


# --- what the issue names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("write /var/lib/docker/tmp: no space left on device", "infra.disk_full"),
        ("fatal: Disk quota exceeded", "infra.quota"),
        ("Out of memory: Killed process 4711 (python)", "infra.oom"),
        ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", "infra.gpu"),
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", "infra.gpu"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "infra.network"),
        ("toomanyrequests: You have reached your pull rate limit.", "infra.rate_limit"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "infra.network"),
    ],
)
def test_faults_of_the_machine_are_known(tmp_path: Path, line: str, cause: str) -> None:
    assert found(tmp_path, line) == [cause]
    assert machine_fault([line], "any") == cause


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered",
        "ImportError: cannot import name 'fast' from 'vllm.engine'",
        "ModuleNotFoundError: No module named 'vllm.v1.fast'",
        "INFO begin transaction xid 12",
        "ConnectionRefusedError: [Errno 111] Connect call failed",
        "Avg prompt throughput: 7348.3 tokens/s",
        # Of a patch that asks for too much: not that the machine had too little.
        "DefaultCPUAllocator: can't allocate memory: ... Error code 12 (Cannot allocate memory)",
    ],
)
def test_what_a_patch_can_do_is_no_fault_of_the_machine(tmp_path: Path, line: str) -> None:
    assert search([log(tmp_path, line)]) == []
    assert machine_fault([line]) is None


def test_a_line_that_only_speaks_of_an_error_is_none(tmp_path: Path) -> None:
    """vLLM warns of an error that may come, and logs the prompts that it is sent."""
    text = (
        "(APIServer pid=1) INFO 11-22 14:43:58 [logger.py:39] Received request: prompt: "
        "'fatal: no space left on device'\n"
        "INFO:     127.0.0.1:1 - ModuleNotFoundError: No module named 'cachetools'\n"
        "(APIServer pid=9) WARNING 11-22 14:43:58 [x.py:1] No module named 'cachetools', "
        "going on without\n"
    )
    assert found(tmp_path, text) == []


def test_an_exception_that_did_no_harm_explains_nothing(tmp_path: Path) -> None:
    """Only what stands at the log's end speaks of the end."""
    harmless = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'triton'\n"
    assert found(tmp_path, harmless) == ["image.missing_package"]
    later = harmless + "running\n" * 30 + "Traceback (most recent call last):\nKeyError: 'a'\n"
    assert found(tmp_path, later) == []


def test_the_tables_order_decides_not_the_logs(tmp_path: Path) -> None:
    network, disk = "dial tcp: no such host\n", "x: no space left on device\n"
    files = [log(tmp_path, network + disk, "a"), log(tmp_path, disk, "b"), tmp_path / "gone"]
    shown = search(files)
    assert [cause for cause, _ in shown] == ["infra.disk_full", "infra.network"]
    assert (shown[0][1].file, shown[0][1].line) == (str(files[0]), 2)


def test_the_evidence_is_the_line_without_its_loggers_prefix(tmp_path: Path) -> None:
    said = "(EngineCore pid=7) ERROR 11-22 11:58:03 [core.py:1510] OSError: [Errno 28] No space "
    path = log(tmp_path, f"starting\n0%|  |\r50%|  |\n{said}left on device\n")
    (match,) = matches([path])
    assert match.evidence.text == "OSError: [Errno 28] No space left on device"
    assert (match.evidence.line, match.evidence.file) == (3, str(path))


def test_lines_that_are_no_file_are_origin_alike(tmp_path: Path) -> None:
    lines = ["starting", "dial tcp: lookup x: no such host", "write /x: no space left on device"]
    assert [(cause, line.number) for cause, line in in_lines(lines, ANYWHERE)] == [
        ("infra.disk_full", 3),
        ("infra.network", 2),
    ]


# --- where a row holds ----------------------------------------------------------------------------


PORT = "OSError: [Errno 98] Address already in use\n"


@pytest.mark.parametrize(
    ("versions", "cause"),
    [
        ({}, "infra.port_taken"),
        ({"vllm": "0.6.2"}, "infra.port_taken"),
        ({"vllm": "0.6.3"}, "task.known_bug"),
        ({"vllm": "0.6.4.post1"}, "task.known_bug"),
        ({"vllm": "0.6.5"}, "infra.port_taken"),
        ({"vllm": "unknown"}, "infra.port_taken"),
        ({"numpy": "2.2"}, "infra.port_taken"),
    ],
)
def test_a_bug_of_certain_versions_is_no_fault_of_the_machine(
    tmp_path: Path, versions: dict[str, str], cause: str
) -> None:
    assert found(tmp_path, PORT, Origin(versions=versions))[:1] == [cause]


def test_what_another_engine_prints_is_not_origin_for(tmp_path: Path) -> None:
    text = "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.\n"
    assert found(tmp_path, text, Origin(versions={"sglang": "0.4.3"})) == ["server.kv_cache"]
    assert found(tmp_path, text, Origin(versions={"vllm": "0.8.0"})) == []


def test_what_the_engine_says_is_not_origin_of_a_process(tmp_path: Path) -> None:
    """A client without its server prints what docker-py prints without its daemon."""
    text = "requests.exceptions.ConnectionError: ('Connection aborted.', "
    text += "ConnectionRefusedError(111, 'Connection refused'))\n"
    assert found(tmp_path, text, Origin()) == []
    assert machine_fault([text]) is None
    assert machine_fault([text], "any") == "infra.engine"


def test_limits_of_processes_show_only_in_a_sandbox(tmp_path: Path) -> None:
    text = "RuntimeError: can't start new thread\n"
    assert found(tmp_path, text, Origin(runtime="docker")) == ["sandbox.pids"]
    assert found(tmp_path, text, Origin(runtime="process")) == []


def test_rows_say_what_a_line_means_inside_a_sandbox() -> None:
    inside = {row.cause: row.sandboxed for row in table() if row.sandboxed}
    assert inside == {
        "infra.disk_full": "sandbox.disk",
        "infra.read_only": "sandbox.read_only",
        "infra.oom": "sandbox.memory",
        "infra.network": "sandbox.network",
        "infra.permission": "sandbox.read_only",
    }


@pytest.mark.parametrize(
    ("line", "packages", "cause"),
    [
        ("ModuleNotFoundError: No module named 'pyairports'", (), "image.missing_package"),
        ("ModuleNotFoundError: No module named 'outlines.fsm'", (), "image.dependency"),
        ("ModuleNotFoundError: No module named 'vllm'", (), None),
        ("ModuleNotFoundError: No module named 'sglang.srt.fast'", (), None),
        ("ModuleNotFoundError: No module named 'tinyserve.index'", ("tinyserve",), None),
        ("ModuleNotFoundError: No module named 'vllm.x'", ("tinyserve",), "image.dependency"),
        ("ImportError: cannot import name 'A' from 'transformers' (x.py)", (), "image.dependency"),
        ("ImportError: cannot import name 'A' from 'vllm.config' (x.py)", (), None),
    ],
)
def test_the_subjects_own_packages_are_not_the_images(
    tmp_path: Path, line: str, packages: tuple[str, ...], cause: str | None
) -> None:
    assert found(tmp_path, line, Origin(packages=packages)) == ([cause] if cause else [])


def test_versions_are_compared_by_their_numbers() -> None:
    assert signatures.version("0.6.4.post1") == (0, 6, 4)
    assert signatures.version("0.10.0rc2") > signatures.version("0.9.2")
    assert signatures.version("unknown") == ()


def test_a_log_of_a_gigabytes_shape_is_searched_quickly(tmp_path: Path) -> None:
    """Pieces without any row's text are passed over whole: 100 MB take seconds, not minutes."""
    import time

    path = log(tmp_path, "INFO 01-11 15:51:18 llm_engine.py:275] # GPU blocks: 229, ok\n" * 200_000)
    started = time.process_time()
    assert matches([path]) == []
    assert time.process_time() - started < 10
