"""Noise and costs where nothing was measured on this machine: an H200's, marked wherever they are
shown. (docs/plan.md says how they were measured.)"""

from __future__ import annotations

from patchbench.grading.launch_noise import Costs, Noise
from patchbench.load import AllAtOnce, Batch, ClosedLoop, DataSet, Load

# Names of metrics begin so, or are anything else. Relative standard deviations, on one NVIDIA H200:
# vLLM 0.20.2, a Llama of 8B shape, 64 requests at once, windows of 256 requests.
BY_METRIC: tuple[tuple[tuple[str, ...], Noise], ...] = (
    (("ttft", "prefill"), Noise(window=0.051, launch=0.014)),
    (("tpot", "itl", "decode"), Noise(window=0.0079, launch=0.002)),
    (("",), Noise(window=0.0075, launch=0.0025)),
)
START_SECONDS = 26.0  # stop and start of a server, its compiled kernels at hand
STEP_SECONDS = 0.0078  # one token of each of up to 64 requests
BATCH = 64
USUAL_WINDOW, SHORTEST_WINDOW = 4.9, 1.0  # seconds


def default_noise(metric: str) -> Noise:
    """Return the noise of a metric on an H200."""
    return next(noise for stems, noise in BY_METRIC if metric.startswith(stems))


def default_costs(load: Load | None) -> Costs:
    """Return rough costs: the time in which the requests come in, or in which an 8B model on an
    H200 gives their tokens. Without a load: those of the machine's own measurement."""
    if load is None:
        return Costs(start=START_SECONDS, window=USUAL_WINDOW)
    shape = load.shape
    prompts = load.prompts
    output = prompts.output if isinstance(prompts, DataSet) else prompts.output.high
    match shape:
        case Batch():
            seconds = shape.rounds * output * STEP_SECONDS
        case AllAtOnce() | ClosedLoop():
            at_once = BATCH if isinstance(shape, AllAtOnce) else min(BATCH, shape.concurrency)
            seconds = shape.requests / at_once * output * STEP_SECONDS
        case _:
            seconds = max(
                shape.requests / shape.rate, shape.requests / BATCH * output * STEP_SECONDS
            )
    return Costs(start=START_SECONDS, window=max(SHORTEST_WINDOW, seconds))
