"""How a process ended: the exception, its traceback, the last words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.failures import tracebacks
from patchbench.failures.log_lines import plain
from patchbench.failures.signatures import matches
from patchbench.failures.tracebacks import ending, last_exception, last_line, read
from patchbench.system import raw_logs
from tests.unit.conftest import ROOT


def log(folder: Path, text: str, name: str = "server.stderr") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


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
    assert len(last_exception(path).text) == raw_logs.MAX_LINE


def test_a_progress_bar_does_not_move_the_line_that_is_named(tmp_path: Path) -> None:
    path = log(tmp_path, "0%|  |\r50%|  |\r100%|  |\nready\nValueError: 3\n")
    assert last_exception(path).line == 3
    assert shown(tmp_path, "0%|  |\r50%|  |\rValueError: 3\n") == "ValueError: 3"


def test_vllms_own_crash_names_its_cause_not_its_wrapper() -> None:
    path = ROOT / "examples" / "vllm_cpu" / "logs" / "import-crash.stderr"
    found = last_exception(path)
    assert found.text.startswith("ImportError: cannot import name 'find_cached_prefix'")
    assert path.read_bytes().split(b"\n")[found.line - 1].startswith(b"ImportError")
    assert "RuntimeError: Engine core" in last_line(path).text
    assert matches([path]) == []


# --- what real engines put around an exception ----------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "    ",
        "(APIServer pid=9) ",
        "ERROR 11-22 11:58:03 [core.py:1510] ",
        "[rank0]: ",
        "(VllmWorkerProcess pid=55933) ERROR 11-25 08:17:34 multiproc_worker_utils.py:229] ",
        "(RayWorkerWrapper pid=11305, ip=10.1.0.7) ERROR 08-27 05:12:18 worker_base.py:382] ",
        "(VllmWorker rank=0 pid=63590) ERROR 06-20 12:27:37 [multiproc_executor.py:527] ",
        "[2025-03-29 18:18:34 TP0] ",
        "2024-08-01T21:29:17.880522621Z ",
        "\x1b[1;36m(EngineCore pid=3)\x1b[0;0m ERROR 11-22 11:58:03 [core.py:1510] ",
    ],
)
def test_prefixes_of_engines_and_launchers_do_not_hide_an_exception(
    tmp_path: Path, prefix: str
) -> None:
    text = "".join(
        f"{prefix}{line}\n"
        for line in ("Traceback (most recent call last):", '  File "/tree/a.py", line 1, in f',
                     "ValueError: 3")
    )  # fmt: skip
    found = read(enumerate(text.split("\n"), 1))
    assert found.exception is not None
    assert (found.exception.text, found.exception.number) == ("ValueError: 3", 3)
    assert found.frames == ("/tree/a.py",)


ROOT_CAUSE = (
    'Traceback (most recent call last):\n  File "/tree/b.py", line 1, in g\nIndexError: 4\n'
)
POINTS_ON = (
    'Traceback (most recent call last):\n  File "/tree/api.py", line 9, in h\n'
    "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace "
    "(above) for the root cause.\n"
)


def test_a_pointer_in_one_log_leads_to_the_cause_in_another(tmp_path: Path) -> None:
    err, out = log(tmp_path, POINTS_ON), log(tmp_path, ROOT_CAUSE + POINTS_ON, "server.stdout")
    found = ending([err, out, tmp_path / "gone"])
    assert found is not None and found[1] == out
    assert found[0].exception is not None
    assert found[0].exception.text == "IndexError: 4"
    assert found[0].frames == ("/tree/b.py",)


@pytest.mark.parametrize(
    "end",
    [
        "Exception: WorkerProc initialization failed due to an exception in a background process.",
        "RuntimeError: cancelled",
        "terminate called after throwing an instance of 'c10::AcceleratorError'",
    ],
)
def test_what_the_second_rank_raised_counts_and_not_how_the_others_end(
    tmp_path: Path, end: str
) -> None:
    """Seen with two ranks: one log tells of rank 1, the other how its engine or process ended."""
    rank = tmp_path / "server.stdout"
    rank.write_text("(Worker_TP1 pid=26) ERROR 11-30 13:36:54 [a.py:8] IndexError: share 1\n")
    engine = tmp_path / "server.stderr"
    engine.write_text(f"{end}\n")
    shown = tracebacks.ending([engine, rank])
    assert shown is not None and shown[0].exception is not None
    assert (shown[0].exception.text, shown[1]) == ("IndexError: share 1", rank)
    assert tracebacks.ending([engine]) is not None


def test_a_pointer_alone_is_all_there_is(tmp_path: Path) -> None:
    found = ending([log(tmp_path, "x\n"), log(tmp_path, POINTS_ON, "server.stdout")])
    assert found is not None and found[0].points_on
    assert ending([log(tmp_path, "x\n")]) is None


def test_of_a_chain_all_tracebacks_count(tmp_path: Path) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/tree/a.py", line 1, in f\nKeyError: 1\n\n'
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "/tree/b.py", line 2, in g\nOSError: 2\n'
    )
    found = read(enumerate(text.split("\n"), 1))
    assert found.frames == ("/tree/a.py", "/tree/b.py")
    assert {"KeyError: 1", "OSError: 2"} <= {line.text for line in found.lines}


def test_a_traceback_that_did_no_harm_lends_its_frames_to_nobody(tmp_path: Path) -> None:
    text = ROOT_CAUSE + "going on\n" * 40 + "ValueError: logged without its traceback\n"
    found = read(enumerate(text.split("\n"), 1))
    assert found.exception is not None and found.exception.text.startswith("ValueError")
    assert found.frames == ()
    assert "IndexError: 4" not in {line.text for line in found.lines}


def test_what_a_message_says_on_further_lines_belongs_to_it() -> None:
    text = "Traceback (most recent call last):\nValidationError: 1 error\nValue error, too long\n"
    found = read(enumerate((text + "bye\n" * 50).split("\n"), 1))
    assert "Value error, too long" in {line.text for line in found.lines}


def test_a_recursion_without_end_stays_small() -> None:
    frames = (f'  File "/tree/{n}.py", line 1, in f' for n in range(100_000))
    lines = ["Traceback (most recent call last):", *frames, "RecursionError: too deep"]
    assert len(read(enumerate(lines, 1)).frames) == tracebacks.MAX_FRAMES


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    found = read(enumerate(text.split("\n"), 1))
    assert len(found.lines) <= len(text.split("\n"))
    assert plain(plain(text)) == plain(text) or "\n" in text


@given(st.lists(st.sampled_from(["x", ROOT_CAUSE, POINTS_ON, "ValueError: 3\n", "\n"])))
def test_the_exception_that_is_named_stands_on_its_line(parts: list[str]) -> None:
    lines = "\n".join(parts).split("\n")
    found = read(enumerate(lines, 1))
    if found.exception:
        assert plain(lines[found.exception.number - 1]) == found.exception.text
    assert (found.exception is None) == (not {ROOT_CAUSE, POINTS_ON, "ValueError: 3\n"} & {*parts})


# --- where a traceback went -----------------------------------------------------------------------


def test_files_are_named_as_the_patch_names_them() -> None:
    shown = [
        "<frozen runpy>",
        "/srv/trees/alba-1/engine/api.py",
        "/srv/trees/alba-1/engine/core.py",
        "/srv/trees/alba-1/engine/api.py",
        "/venv/lib/python3.11/site-packages/torch/nn/module.py",
        "/usr/lib/python3/dist-packages/transformers/utils.py",
        "/usr/lib/python3.11/runpy.py",
    ]
    assert tracebacks.files(shown, "/srv/trees/alba-1/") == (
        "engine/api.py",
        "engine/core.py",
        "torch/nn/module.py",
        "transformers/utils.py",
        "/usr/lib/python3.11/runpy.py",
    )


def test_the_innermost_files_are_kept() -> None:
    shown = tracebacks.files((f"/t/{n}.py" for n in range(100)), "/t/")
    assert len(shown) == tracebacks.MOST
    assert shown[-1] == "99.py"


def test_a_file_is_not_taken_for_another_with_the_same_ending() -> None:
    assert tracebacks.mark(["engine/score.py"], ["core.py"]) == "not in patch"
    assert tracebacks.mark(["/opt/image/engine/core.py"], ["engine/core.py"]) == "in patch"
    assert tracebacks.mark([], ["engine/core.py"]) == "none"
    assert tracebacks.mark(["engine/core.py"], []) == "not in patch"
