"""Make a benchmark command's load: what the judge sends in its place.

What differs from the command in every load: greedy sampling unless the command says otherwise
(nearly greedy for offline scripts that draw), answers of full length (an end-of-sequence token does
not end them, so that all arms do the same work), prompts of the judge's own secret in place of the
seed, one warm-up request at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    DataSetFile,
    Goodput,
    Load,
    Poisson,
    RandomPrompts,
    Sampling,
    Shape,
)
from patchbench.plan.perf_command import Command
from patchbench.plan.translation.benchmarks import BENCHMARKS, Benchmark, Builder
from patchbench.plan.translation.options import MissingData, NotExpressible, Options, split
from patchbench.plan.translation.prompts import (
    ONE_SIDED,
    Source,
    fixed,
    from_data_set,
    random_prompts,
    repeated_prefixes,
    repeats,
    shared_groups,
)
from patchbench.records import Exclusion
from patchbench.subject import OptionFamily, Subject, Words

GOODPUT = {"ttft": "ttft_ms", "tpot": "tpot_ms", "e2el": "e2e_ms"}
# Fields of a request that a load sets by itself.
OWN_FIELDS = ("model", "prompt", "max_tokens", "stream", "stream_options", "n", "best_of", "echo")


class Translation(NamedTuple):
    """A command's load and the words for the server, or the reason why there is no load.
    ``by_default`` are the options that the load may depend on and the command leaves out; ``marks``
    are notes on what stands in for what the command means."""

    load: Load | None
    server_args: Words = ()
    exclusion: Exclusion | None = None
    by_default: Words = ()
    marks: Words = ()


class _Made(NamedTuple):
    """The parts of a load that a benchmark's options decide."""

    shape: Shape
    prompts: Any
    warmup: int
    repeats: int = 1
    sampling: Sampling = Sampling(ignore_eos=True)
    goodput: Goodput = Goodput()


def table_of(command: Command, subject: Subject) -> Benchmark | None:
    """Return the table of a command's options, or None if there is none."""
    if command.type is None:
        return None
    return BENCHMARKS.get((subject.clients[command.type].options_of, command.type))


def translate(
    command: Command,
    subject: Subject,
    *,
    model: str,
    data_sets: Mapping[str, DataSetFile],
    defaults: Mapping[str, str | None] | None = None,
    place: str = "the task's command",
) -> Translation:
    """Return the load of a command for a model, and its options for the server.

    ``defaults`` are values of the parent's own parser for options that the command leaves out
    (None: the parser has no such option); ``place`` is where the command stands, for the evidence
    of an exclusion.
    """
    table = table_of(command, subject)
    if table is None or command.type is None:
        evidence = f"no table of options for a {command.type} benchmark of {subject.name}"
        return _excluded("load_not_expressible", evidence)
    client = subject.clients[command.type]
    known = {**client.defaults, **(defaults or {})}
    try:
        # What an offline command has beside its benchmark's options are the engine's.
        asked = subject.facts is not None and command.type != "serving"
        given, server = split(command.flags, table, subject.server.flags, others=asked)
        options = Options(given, table, known)
        source = Source(subject.vocabulary, data_sets)
        made = BUILDERS[table.builder](options, source, client.options_of)
    except NotExpressible as error:
        return _excluded("load_not_expressible", f"{error} ({place})")
    except MissingData as error:
        return _excluded("data_set_missing", f"{error} ({place})")
    load = Load(
        model=served_name(model),
        shape=made.shape,
        prompts=made.prompts,
        sampling=made.sampling,
        repeats=made.repeats,
        warmup=made.warmup,
        goodput=made.goodput,
    )
    left_out = tuple(name for name in table.options if name not in given)
    return Translation(load, server, by_default=left_out, marks=_stand_ins(load, data_sets))


def _stand_ins(load: Load, data_sets: Mapping[str, DataSetFile]) -> Words:
    """Return a note if the load's prompts have the lengths that stand in for a data set."""
    drawn = load.prompts.prompt if isinstance(load.prompts, RandomPrompts) else None
    return tuple(
        f"stand_in: random prompts of given lengths in place of {name}"
        for name, data in data_sets.items()
        if data.stand_in is not None and data.stand_in.prompt is drawn
    )


def _excluded(reason: str, evidence: str) -> Translation:
    return Translation(None, exclusion=Exclusion(reason=reason, evidence=evidence))


def served_name(model: str) -> str:
    """Return the name under which a server offers a model: the last part of its path."""
    return model.rstrip("/").rpartition("/")[2]


# --- one function per kind of benchmark ------------------------------------------------------


def _serving(options: Options, source: Source, family: OptionFamily) -> _Made:
    prompts, requests = _prompts(options, source, family)
    warmup = "--warmup-requests" if family == "sglang" else "--num-warmups"
    return _Made(
        shape=_arrivals(options, requests),
        prompts=prompts,
        warmup=max(1, options.count(warmup, 0)),
        sampling=_sampling(options),
        goodput=_goodput(options),
    )


def _queue(options: Options, source: Source, family: OptionFamily) -> _Made:
    """Make an offline throughput benchmark. vLLM's takes random prompts if no file is given."""
    if family == "vllm" and not options.given("--dataset", "--dataset-path", "--dataset-name"):
        prompts, requests = _random(options, source, family), options.count("--num-prompts")
    else:
        prompts, requests = _prompts(options, source, family)
    return _Made(
        shape=AllAtOnce(requests=requests),
        prompts=prompts,
        warmup=max(1, options.count("--num-warmups", 0)),
        sampling=_sampling(options),
    )


def _batches(options: Options, source: Source, _: OptionFamily) -> _Made:
    size = options.count("--batch-size")
    return _Made(
        shape=Batch(size=size, rounds=options.count("--num-iters")),
        prompts=_lengths(options, source),
        warmup=max(1, size * options.count("--num-iters-warmup", 0)),
        sampling=_sampling(options),
    )


def _one_batch(options: Options, source: Source, _: OptionFamily) -> _Made:
    """Make SGLang's benchmark of one batch, which runs it once beside an untimed one."""
    size = options.count("--batch-size")
    return _Made(shape=Batch(size=size, rounds=1), prompts=_lengths(options, source), warmup=size)


def _lengths(options: Options, source: Source) -> RandomPrompts:
    return RandomPrompts(
        prompt=fixed(options.count("--input-len")),
        output=fixed(options.count("--output-len")),
        vocabulary=source.vocabulary,
    )


def _repeats(options: Options, source: Source, _: OptionFamily) -> _Made:
    """Make a prefix caching benchmark. Its script sends all prompts untimed first; here the first
    of each prompt's requests fills the cache, within the window."""
    prompts, number, each = repeats(options, source)
    return _Made(shape=AllAtOnce(requests=number * each), prompts=prompts, warmup=1, repeats=each)


BUILDERS: dict[Builder, Callable[[Options, Source, OptionFamily], _Made]] = {
    "serving": _serving,
    "queue": _queue,
    "batches": _batches,
    "one_batch": _one_batch,
    "repeats": _repeats,
}


# --- parts that several have in common -------------------------------------------------------


def _prompts(options: Options, source: Source, family: OptionFamily) -> tuple[Any, int]:
    """Return the prompts of the data set that a command means, and the number of requests."""
    name = options.text("--dataset-name") or "random"
    if options.given("--dataset"):
        name = "sharegpt"
    if name == "generated-shared-prefix":
        return shared_groups(options, source)
    requests = options.count("--num-prompts")
    if name in ("random", "random-ids"):
        return _random(options, source, family), requests
    if name == "prefix_repetition":
        return repeated_prefixes(options, source), requests
    if name.startswith("random-"):
        raise options.refuse("--dataset-name", "the judge sends text alone")
    return from_data_set(options, name, source), requests


def _random(options: Options, source: Source, family: OptionFamily) -> Any:
    one_sided = family == "sglang" or options.default("--random-range-ratio") == ONE_SIDED
    return random_prompts(options, source, one_sided=one_sided)


def _arrivals(options: Options, requests: int) -> Shape:
    """Return when requests are due: at a rate, in a closed loop, or all at once."""
    rate = options.number("--request-rate")
    concurrency = options.optional_count("--max-concurrency")
    if rate is not None and not math.isinf(rate):
        if rate <= 0:
            raise options.refuse("--request-rate", "requests need a rate above 0")
        return Poisson(requests=requests, rate=rate, concurrency=concurrency or 0)
    if concurrency is not None:
        return ClosedLoop(requests=requests, concurrency=concurrency)
    return AllAtOnce(requests=requests)


def _sampling(options: Options) -> Sampling:
    names = ("--min-p", "--repetition-penalty", "--frequency-penalty", "--presence-penalty")
    extra: dict[str, Any] = {
        name.strip("-").replace("-", "_"): options.number(name)
        for name in names
        if options.given(name)
    }
    for name in ("--extra-body", "--extra-request-body"):
        if options.given(name):
            extra |= options.fields(name)
            if own := [key for key in extra if key in OWN_FIELDS]:
                raise options.refuse(name, f"the judge sets {own[0]} by itself")
    temperature, top_p = options.number("--temperature"), options.number("--top-p")
    return Sampling(
        temperature=temperature or 0.0,
        top_p=1.0 if top_p is None else top_p,
        top_k=options.optional_count("--top-k", 0) or 0,
        ignore_eos=True,
        extra=extra,
    )


def _goodput(options: Options) -> Goodput:
    limits: dict[str, float] = {}
    for text in options.values("--goodput"):
        name, _, value = text.partition(":")
        try:
            limits[GOODPUT[name]] = float(value)
        except (KeyError, ValueError):
            raise options.refuse(
                "--goodput", f"{text} is no limit of {', '.join(GOODPUT)}"
            ) from None
    return Goodput(**limits)
