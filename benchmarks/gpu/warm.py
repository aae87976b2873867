#!/usr/bin/env python3
"""Let the unpatched release compile its Triton kernels and look at its model once.

    python warm.py --model DIR

What it leaves in TRITON_CACHE_DIR and VLLM_CACHE_ROOT is the seed of every container's caches: it
spares each launch about 10 s of compiling, some of it in the middle of a measurement. A kernel's
place in the cache is a digest of its source, what it calls and the compiler, so a patched kernel
finds nothing there and is compiled anew. Needs a GPU and vLLM on PYTHONPATH.
"""

import argparse
import os
import time

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

# As in the tasks: what a kernel is compiled for follows from these.
ENGINE = {
    "load_format": "dummy",
    "dtype": "bfloat16",
    "max_model_len": 1024,
    "max_num_seqs": 64,
    "enable_prefix_caching": False,
    "gpu_memory_utilization": 0.5,
    "compilation_config": {
        "mode": 0,
        "cudagraph_mode": "FULL_DECODE_ONLY",
        "cudagraph_capture_sizes": [8, 64],
    },
}
# Triton compiles one variant for multiples of 16, one for 1 and one for the rest.
BATCHES = (64, 63, 32, 9, 8, 5, 1)
PROMPT_LENGTHS = (1, 17, 128)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile the release's kernels once.")
    parser.add_argument("--model", required=True, help="the model's folder")
    model = parser.parse_args().model
    started = time.monotonic()

    from vllm import LLM, SamplingParams

    imported = time.monotonic()
    llm = LLM(model=model, **ENGINE)
    ready = time.monotonic()
    kinds = (
        SamplingParams(temperature=0.8, top_k=50, top_p=0.9, max_tokens=3, ignore_eos=True),
        SamplingParams(temperature=1.0, max_tokens=3, ignore_eos=True),
        SamplingParams(temperature=0.0, max_tokens=3, ignore_eos=True),
    )
    for batch in BATCHES:
        lengths = [PROMPT_LENGTHS[row % len(PROMPT_LENGTHS)] for row in range(batch)]
        prompts = [{"prompt_token_ids": [300 + row] * n} for row, n in enumerate(lengths)]
        for kind in kinds:
            llm.generate(prompts, kind, use_tqdm=False)
    print(
        f"warm: import {imported - started:.1f} s, start {ready - imported:.1f} s, "
        f"requests {time.monotonic() - ready:.1f} s"
    )


if __name__ == "__main__":
    main()
