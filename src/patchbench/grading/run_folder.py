"""Names of the folders of blocks and of the files of a launch, below RESULTS/runs.

RESULTS/runs/COMMIT/block-N/block.json is a block's record, and block-N/ARM the folder of a launch.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.records import Block, Run
from patchbench.system.files import read_json

SERVER, BENCH, PROMPTS = "server", "benchmark", "prompts.json"
SERVER_OUT, SERVER_ERR = f"{SERVER}.stdout", f"{SERVER}.stderr"
BENCH_OUT, BENCH_ERR = f"{BENCH}.stdout", f"{BENCH}.stderr"
RESULT, ANSWERS = "result.json", "answers.json"
# The judge's: the load, the words that the baseline accepts, scores of the answers; the secret of a
# block, in the block's folder.
LOAD, DIALECT, SCORES, SECRET = "load.json", "dialect.json", "scores.json", "secret"
# The folder of a block's launch that scores answers.
SCORING = "scoring"
RUN_RECORD, BLOCK_RECORD = "run.json", "block.json"
SERVER_LOGS, BENCH_LOGS = (SERVER_ERR, SERVER_OUT), (BENCH_ERR, BENCH_OUT)
LOGS = (*SERVER_LOGS, *BENCH_LOGS)
# Flags of a phase: its probe broke; a signal held its process until its time was over.
PROBE_BROKE, SUSPENDED = "probe", "suspended"
LOG_SUFFIXES = (".stdout", ".stderr")


class WindowFiles(NamedTuple):
    """Names of the files of one window: ``bench`` of its logs, without a suffix, ``record``
    of the judge's record."""

    bench: str
    result: str
    record: str

    @property
    def logs(self) -> tuple[str, str]:
        """Names of the client's logs, stderr first."""
        return f"{self.bench}.stderr", f"{self.bench}.stdout"


def window_files(number: int) -> WindowFiles:
    """Return the names of a window's files. The first window (1) has no number in its names."""
    record = f"window-{number}.judge"
    if number == 1:
        return WindowFiles(BENCH, RESULT, record)
    return WindowFiles(f"{BENCH}-{number}", RESULT.replace(".", f"-{number}."), record)


def block_folder(results: Path, commit: str, block: int) -> Path:
    """Return the folder of a block."""
    return results / "runs" / commit / f"block-{block}"


def superseded_folder(results: Path, commit: str, block: int) -> Path:
    """Return the folder of a block's finished launches that no longer count."""
    return results / "superseded" / commit / f"block-{block}"


def results_folder(launch_folder: Path) -> Path:
    """Return the results' folder that holds the folder of a launch."""
    return launch_folder.parents[3]


def read_block(path: Path) -> Block:
    """Return a block's record, with its launches beside it: the results may have been moved since
    it was written. Raises BadInput."""
    block = read_json(path, Block)
    runs = tuple(str(path.parent / Path(folder).name) for folder in block.runs)
    return msgspec.structs.replace(block, runs=runs)


def read_run(folder: Path) -> Run | None:
    """Return the record of a launch, or None if there is no readable one."""
    try:
        return msgspec.json.decode((folder / RUN_RECORD).read_bytes(), type=Run)
    except (OSError, msgspec.MsgspecError):
        return None
