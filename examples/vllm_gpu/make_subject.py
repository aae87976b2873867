#!/usr/bin/env python3
"""Make the subject of the vLLM example on a GPU from an unpacked wheel: repository, patches, tasks.

    python make_subject.py --site SITE --out DIR

SITE is a folder that vLLM's wheel was unpacked into. What is written: ../vllm_common/subject.py.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vllm_common"))

from edits import TASKS  # noqa: E402
from subject import Subject, main  # noqa: E402

RELEASE = "0.20.2"
SUBJECT = Subject(
    name="vllm-gpu",
    release=RELEASE,
    dist_info=f"vllm-{RELEASE}.dist-info",
    model="llama-8b",
    tasks=TASKS,
    sources=(HERE / "edits.py",),
    # Neither Python nor read by it when a model is served: headers for a compiler, a page's
    # pictures.
    left_out=(
        "vllm/third_party/deep_gemm/include/",
        "vllm/entrypoints/serve/instrumentator/static/",
    ),
)

if __name__ == "__main__":
    sys.exit(main(SUBJECT, "Make the subject of the vLLM example on a GPU."))
