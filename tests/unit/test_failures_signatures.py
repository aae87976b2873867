"""What a log gives away, and the line that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.failures import signatures
from patchbench.failures.signatures import SIGNATURES, last_exception, last_line, search
from tests.unit.conftest import ROOT


def log(folder: Path, text: str, name: str = "server.stderr") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


# --- signatures of the machine --------------------------------------------------------------------


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.cause)
def test_a_signature_matches_its_own_example_and_no_other_does_before_it(
    tmp_path: Path, signature: signatures.Signature
) -> None:
    path = log(tmp_path, f"starting\n{signature.example}\nended\n")
    (cause, evidence), *_ = search([path])
    assert cause == signature.cause
    assert (evidence.text, evidence.line, evidence.file) == (signature.example, 2, str(path))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("write /var/lib/docker/tmp: no space left on device", "infra.disk_full"),
        ("fatal: Disk quota exceeded", "infra.disk_full"),
        ("Out of memory: Killed process 4711 (python)", "infra.oom"),
        ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", "infra.gpu"),
        ("RuntimeError: CUDA error: uncorrectable ECC error encountered", "infra.gpu"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "infra.network"),
        ("toomanyrequests: You have reached your pull rate limit.", "infra.network"),
    ],
)
def test_faults_of_the_machine_are_known(tmp_path: Path, line: str, cause: str) -> None:
    assert [found for found, _ in search([log(tmp_path, line)])] == [cause]
    assert signatures.first([line]) == cause


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered",
        "ImportError: cannot import name 'fast' from 'engine'",
        "INFO begin transaction xid 12",
        "MemoryError",
        "ConnectionRefusedError: [Errno 111] Connect call failed",
        "Avg prompt throughput: 7348.3 tokens/s",
    ],
)
def test_what_a_patch_can_do_is_no_fault_of_the_machine(tmp_path: Path, line: str) -> None:
    assert search([log(tmp_path, line)]) == []
    assert signatures.first([line]) is None


def test_the_tables_order_decides_not_the_logs(tmp_path: Path) -> None:
    network, disk = "dial tcp: no such host\n", "no space left on device\n"
    files = [log(tmp_path, network + disk, "a"), log(tmp_path, disk, "b"), tmp_path / "gone"]
    found = search(files)
    assert [cause for cause, _ in found] == ["infra.disk_full", "infra.network"]
    assert (found[0][1].file, found[0][1].line) == (str(files[0]), 2)


# --- the exception that ended a process -----------------------------------------------------------


def shown(folder: Path, text: str) -> str | None:
    found = last_exception(log(folder, text))
    return found.text if found else None


def test_of_several_exceptions_the_last_counts(tmp_path: Path) -> None:
    text = (
        "Traceback (most recent call last):\nKeyError: 'a'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "x.py", line 1\n'
        "engine.errors.ShapeError: 3 is not 4\nshutting down\n"
    )
    found = last_exception(log(tmp_path, text))
    assert (found.text, found.line) == ("engine.errors.ShapeError: 3 is not 4", 8)


@pytest.mark.parametrize(
    "prefix",
    [
        "(EngineCore pid=13121) ERROR 11-22 11:58:03 [core.py:1510] ",
        "(APIServer pid=9) ",
        "ERROR 11-22 11:58:03 [core.py:1510] ",
        "    ",
    ],
)
def test_log_prefixes_do_not_hide_an_exception(tmp_path: Path, prefix: str) -> None:
    assert shown(tmp_path, f"{prefix}ValueError: 3\nbye\n") == "ValueError: 3"


@pytest.mark.parametrize(
    "wrapper",
    [
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
        "proc(s): {'EngineCore': 1}",
        "RuntimeError: Engine process died unexpectedly",
    ],
)
def test_an_exception_that_points_to_another_counts_only_alone(
    tmp_path: Path, wrapper: str
) -> None:
    assert shown(tmp_path, f"ImportError: no module x\n{wrapper}\n") == "ImportError: no module x"
    assert shown(tmp_path, f"starting\n{wrapper}\n") == wrapper


@pytest.mark.parametrize(
    "line",
    [
        "raise RuntimeError('x')",
        "errors: 0",
        "Error 3: Traceback (most recent call last):",
        "no ValueError here",
        "An Exception occurred",
        "self.error = Error()",
    ],
)
def test_lines_that_only_speak_of_errors_are_no_exceptions(tmp_path: Path, line: str) -> None:
    assert shown(tmp_path, line + "\n") is None


def test_exits_and_interrupts_are_exceptions_too(tmp_path: Path) -> None:
    for text in ("SystemExit: 3", "KeyboardInterrupt", "a.b.EngineDeadException"):
        assert shown(tmp_path, text) == text


def test_a_log_without_exceptions_still_has_a_last_line(tmp_path: Path) -> None:
    path = log(tmp_path, "one\ntwo\n\n  \n")
    assert last_exception(path) is None
    assert (last_line(path).text, last_line(path).line) == ("two", 2)
    assert last_line(tmp_path / "gone") is None
    assert last_exception(tmp_path / "gone") is None
    assert last_line(log(tmp_path, "\n\n")) is None


def test_endless_lines_are_cut_and_bytes_of_any_kind_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"ValueError: \xff\xfe" + b"x" * 5000 + b"\n")
    assert len(last_exception(path).text) == signatures.MAX_LINE


def test_a_progress_bar_does_not_move_the_line_that_is_named(tmp_path: Path) -> None:
    path = log(tmp_path, "0%|  |\r50%|  |\r100%|  |\nready\nValueError: 3\n")
    assert last_exception(path).line == 3


def test_vllms_own_crash_is_named_with_the_line_that_sed_shows() -> None:
    path = ROOT / "examples" / "vllm_cpu" / "logs" / "import-crash.stderr"
    shown_by_sed = path.read_bytes().split(b"\n")
    assert shown_by_sed[last_exception(path).line - 1].startswith(b"ImportError")


def test_an_exception_behind_a_progress_bar_is_seen(tmp_path: Path) -> None:
    assert shown(tmp_path, "0%|  |\r50%|  |\rValueError: 3\n") == "ValueError: 3"


def test_vllms_own_crash_names_its_cause_not_its_wrapper() -> None:
    path = ROOT / "examples" / "vllm_cpu" / "logs" / "import-crash.stderr"
    found = last_exception(path)
    assert found.text.startswith("ImportError: cannot import name 'find_cached_prefix'")
    assert "RuntimeError: Engine core" in last_line(path).text
    assert search([path]) == []
