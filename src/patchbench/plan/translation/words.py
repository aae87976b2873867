"""A load in one line of English, to stand beside the command that it comes from."""

from __future__ import annotations

from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    DataSet,
    FixedRate,
    Lengths,
    Load,
    RandomPrompts,
    Shape,
    SharedPrefix,
    request_count,
)


def load_in_words(load: Load) -> str:
    """Return a load's requests, lengths in tokens, arrivals and what is special in it."""
    count = request_count(load.shape)
    parts = [_counted(f"{count:,}", "request"), _prompts(load), _arrivals(load.shape)]
    if load.repeats > 1:
        parts.append(f"each prompt {load.repeats} times")
    parts += _sampling(load)
    return ", ".join(part for part in parts if part)


def _counted(count: str, noun: str) -> str:
    return f"{count} {noun}" if count == "1" else f"{count} {noun}s"


def _lengths(lengths: Lengths) -> str:
    if lengths.low == lengths.high:
        return f"{lengths.low:,}"
    return f"{lengths.low:,} to {lengths.high:,}"


def _prompts(load: Load) -> str:
    prompts = load.prompts
    if isinstance(prompts, DataSet):
        name = prompts.path.rpartition("/")[2]
        return f"prompts of {name}"
    output = _counted(_lengths(prompts.output), "output token")
    if isinstance(prompts, RandomPrompts):
        return f"{_counted(_lengths(prompts.prompt), 'prompt token')}, {output}"
    return f"{_shared(prompts)}, {output}"


def _shared(prompts: SharedPrefix) -> str:
    kinds = "shared prefix" if prompts.prefixes == 1 else f"{prompts.prefixes} shared prefixes"
    return f"{_lengths(prompts.suffix)}+{prompts.prefix:,} prompt tokens {kinds}"


def _arrivals(shape: Shape) -> str:
    if isinstance(shape, AllAtOnce):
        return "all at once"
    if isinstance(shape, ClosedLoop):
        return f"closed loop of {shape.concurrency}"
    if isinstance(shape, Batch):
        count = "one batch" if shape.rounds == 1 else f"{shape.rounds} batches"
        return f"{count} of {shape.size}"
    kind = "evenly" if isinstance(shape, FixedRate) else "Poisson"
    most = f", at most {shape.concurrency} at a time" if shape.concurrency else ""
    return f"{kind} {shape.rate:g} per second{most}"


def _sampling(load: Load) -> list[str]:
    sampling, parts = load.sampling, []
    if sampling.temperature:
        parts.append(f"temperature {sampling.temperature:g}")
    if sampling.top_p != 1:
        parts.append(f"top-p {sampling.top_p:g}")
    if sampling.top_k:
        parts.append(f"top-k {sampling.top_k}")
    parts += [f"{name} {value}" for name, value in sampling.extra.items()]
    return parts
