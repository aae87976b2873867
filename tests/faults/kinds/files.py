"""Files that are damaged or gone when the run is made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.engine.patches import inserted
from tests.faults import cut
from tests.faults.case import Case
from tests.faults.kind import Kind, Step
from tests.faults.moments import AMID

GARBAGE = b'\x00\xff{"half": [1, \n'
# More than a raw file may hold before it is compressed.
MANY_LINES = "for number in range(4000): print('a line of no use', number, number * number)"


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    """Return zeros in place of a file's bytes, as a power cut leaves a file that was not written
    out."""
    path.write_bytes(bytes(path.stat().st_size))


def _torn(path: Path) -> None:
    with path.open("ab") as out:
        out.write(GARBAGE.strip())


def _damage(pattern: str, how: Callable[[Path], None], *, of_launch: bool = False) -> Step:
    """Kill the run, damage one file that fits, start the run again."""

    def strike(case: Case) -> None:
        path = case.record(pattern)
        case.kill()
        if of_launch:
            case.destroyed.add(str(path.relative_to(case.project.results).parent))
        how(path)
        case.remember()  # a file that the fault destroyed is not a lost result
        case.note = f"{path.relative_to(case.project.results)}"
        case.damaged = path
        case.start()

    return strike


def _told_or_healed(case: Case) -> bool:
    """Return True if the run survived or named the file."""
    assert case.process is not None and case.damaged is not None
    return case.process.returncode == 0 or case.damaged.name in case.output


def _as_told(case: Case) -> None:
    """Follow the message: delete the file."""
    assert case.process is not None and case.damaged is not None
    if case.process.returncode:
        case.damaged.unlink(missing_ok=True)


def _file(name: str, what: str, pattern: str, how: Callable[[Path], None], *among: str) -> Kind:
    return Kind(
        name, what, _damage(pattern, how, of_launch=pattern.endswith(("run.json", ".judge"))),
        _told_or_healed, repair=_as_told, moments=among or AMID, runtime="process",
        options=("--retries", "0"),
    )  # fmt: skip


def _noisy(case: Case) -> None:
    add_to_server(case, MANY_LINES)


def add_to_server(case: Case, code: str, where: str = "") -> None:
    """Have alba's patch of the serving task run code when the server is made, or at another
    line of the engine."""
    start = "    def __init__(self, config: EngineConfig) -> None:\n"
    folder = case.project.folder
    repo = folder / ".patchbench/repos/tinyserve.git"
    patch = inserted(repo, folder / "patching", where or start, code, cut.SERVING_PARENT)
    (folder / "examples/tinyserve/agents/alba" / f"{cut.SERVING[:8]}.diff").write_text(patch)


def _lose_the_end(case: Case) -> None:
    """Cut the last line of a journal in two: its event never happened."""
    path = case.record("journal/*/*.jsonl")
    case.kill()
    case.remember()
    commit, block = path.parent.name, path.stem
    case.destroyed |= {f"runs/{commit}/{block}/{arm}" for arm in cut.ARMS}
    path.write_bytes(path.read_bytes()[:-20])
    case.start()


def _state_garbage(case: Case) -> None:
    case.wait(lambda: (case.project.results / "plan.json").is_file())
    case.kill()
    case.remember()
    for name in ("run.json", "plan.json", "cohorts.json", "faults.jsonl", "disk.jsonl"):
        path = case.project.results / name
        if path.is_file():
            _garbage(path)
    case.damaged = case.project.results / "cohorts.json"
    case.start()


def _metadata_garbage(case: Case) -> None:
    case.kill()
    case.remember()
    for path in (case.project.folder / ".snakemake").resolve().rglob("*"):
        if path.is_file():
            case.random.choice((_half, _zeros, _empty))(path)
    case.start()


def _notes_gone(case: Case) -> None:
    case.kill()
    case.remember()
    for path in (case.project.folder / ".snakemake").resolve().iterdir():
        shutil.rmtree(path)
    case.start()


def _work_gone(case: Case) -> None:
    case.kill()
    case.remember()
    shutil.rmtree(case.project.folder / ".patchbench")
    case.start()


def _moved(case: Case) -> None:
    """Move the results, and point the configuration to them."""
    case.kill()
    case.remember()
    folder = case.project.folder
    place = (folder / "results").resolve()
    new = place.with_name(f"{place.name}-moved")
    case.undo.append(lambda: shutil.rmtree(new, ignore_errors=True))
    place.rename(new)
    (folder / "results").unlink()
    (folder / "elsewhere").symlink_to(new)
    case.project.results = folder / "elsewhere"
    case.change(results="elsewhere")
    case.start()


def _secret_gone(case: Case) -> None:
    """Lose a block's secret in the middle of the block."""
    path = case.record("runs/*/block-*/secret")
    case.kill()
    case.remember()
    path.unlink(missing_ok=True)
    # Launches of one block have the same prompts, drawn from its secret.
    folder = path.parent.relative_to(case.project.results)
    case.destroyed |= {f"{folder}/{arm}" for arm in cut.ARMS}
    case.start()


def _journals_gone(case: Case) -> None:
    case.record("runs/*/block-*/block.json")
    case.kill()
    case.remember()
    shutil.rmtree(case.project.results / "journal")
    case.start()


def _odd_cohorts(case: Case) -> None:
    case.wait(lambda: (case.project.results / "cohorts.json").is_file())
    case.kill()
    case.remember()
    path = case.project.results / "cohorts.json"
    path.write_text(path.read_text().replace("1", "-1"))
    case.damaged = path
    case.start()


def _project_moved(case: Case) -> None:
    """Move the whole project."""
    case.kill()
    case.remember()
    old = case.project.folder
    new = old.with_name(f"{old.name}-moved")
    old.rename(new)
    case.undo.append(lambda: shutil.rmtree(new, ignore_errors=True))
    case.project.folder, case.project.results = new, new / "results"
    for name in ("PYTHONPATH", "PATCHBENCH_LOCKS"):
        case.project.env[name] = case.project.env[name].replace(str(old), str(new))
    case.start()


KINDS = (
    _file("json-task", "a task's record is garbage", "tasks/*.json", _garbage),
    _file("json-patch", "a patch's record is cut in half", "patches/*/*/validation.json", _half),
    _file("diff-half", "a checked patch is cut in half", "patches/*/*/applied.diff", _half,
          "build"),
    _file("json-image", "an image's record is empty", "images/*/[abh]*.json", _empty),
    _file("json-run", "a launch's record is cut in half", "runs/*/*/*/run.json", _half),
    _file("json-block", "a block's record is garbage", "runs/*/block-*/block.json", _garbage,
          "grading"),
    _file("json-metrics", "a commit's metrics are cut in half", "metrics/*.json", _half, "grading"),
    _file("parquet-half", "a table is cut in half", "tables/*.parquet", _half, "grading"),
    _file("journal-torn", "half a line of garbage at a journal's end", "journal/*/*.jsonl", _torn),
    Kind("journal-cut", "a journal's last line is cut off", _lose_the_end, moments=AMID,
         runtime="process"),
    Kind("zstd-half", "a compressed log is cut in half",
         _damage("runs/*/*/*/*.zst", _half), _told_or_healed, prepare=_noisy, repair=_as_told,
         moments=("grading",), runtime="process"),
    Kind("state-garbage", "plan, cohorts, logs of faults and disk are garbage", _state_garbage,
         _told_or_healed, repair=_as_told, moments=AMID, runtime="process"),
    Kind("snakemake-garbage", "all of Snakemake's notes are cut, empty or zeros", _metadata_garbage,
         moments=AMID, runtime="process"),
    Kind("snakemake-gone", "Snakemake's notes are gone", _notes_gone, moments=AMID,
         runtime="process"),
    Kind("work-gone", "repositories, trees and archives are gone", _work_gone, moments=AMID,
         runtime="process"),
    Kind("results-moved", "the results folder is moved and renamed", _moved, moments=AMID),
    _file("judge-half", "a judge's record is cut in half", "runs/*/*/*/window-1.judge", _half,
          "between"),
    _file("scores-garbage", "scores of answers are garbage", "runs/*/*/*/scores.json", _garbage,
          "grading"),
    Kind("secret-gone", "the secret of a block that goes on is gone", _secret_gone,
         "secret is lost", moments=("launch",), runtime="process"),
    Kind("journals-gone", "all journals are gone after the blocks", _journals_gone,
         moments=("between",), runtime="process"),
    Kind("cohorts-odd", "a cohort with a number below 0", _odd_cohorts, _told_or_healed,
         repair=_as_told, moments=AMID, runtime="process"),
    Kind("project-moved", "the whole project is moved", _project_moved, moments=AMID,
         runtime="process"),
)  # fmt: skip
