"""Prompts and lengths of a load, from the options of a benchmark command."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from patchbench.config import Vocabulary
from patchbench.load import (
    DataSet,
    DataSetFile,
    Fit,
    Lengths,
    Prompts,
    RandomPrompts,
    SharedPrefix,
)
from patchbench.plan.translation.benchmarks import OWN_PROMPT, SHARED_GROUPS
from patchbench.plan.translation.options import MissingData, NotExpressible, Options

# vLLM's clients until April 2025, and SGLang's, draw lengths from ratio x length to length, later
# ones evenly around it; each has the ratio that means one length as its default.
ONE_SIDED = "1.0"
# The option that gives all answers of a data set one length, by the name of the data set.
OUTPUT_OF = {"sharegpt": "--sharegpt-output-len", "custom": "--custom-output-len",
             "hf": "--hf-output-len"}  # fmt: skip
MOST = 1_000_000  # tokens of one prompt
SHORTEST = 4  # tokens of a prompt or an answer of ShareGPT


class Source(NamedTuple):
    """What prompts are drawn from beside the options: token ids, and data sets by name."""

    vocabulary: Vocabulary
    data_sets: Mapping[str, DataSetFile]


def fixed(length: int) -> Lengths:
    """Return one length for all."""
    return Lengths(low=length, high=length)


def spread(length: int, ratio: float, *, one_sided: bool) -> Lengths:
    """Return the lengths that a range ratio draws from, at least one token. Raises NotExpressible
    for a ratio outside of 0 to 1."""
    if not 0 <= ratio <= 1:
        raise NotExpressible(f"--random-range-ratio {ratio:g}: lengths need a ratio from 0 to 1")
    low, high = (
        (length * ratio, length) if one_sided else (length * (1 - ratio), length * (1 + ratio))
    )
    return Lengths(low=max(1, math.floor(low + 1e-9)), high=max(1, math.floor(high + 1e-9)))


def with_prefix(prefix: int, own: Lengths, output: Lengths, source: Source) -> Prompts:
    """Return random prompts that begin with one common prefix of so many tokens, if any."""
    if prefix == 0:
        return RandomPrompts(prompt=own, output=output, vocabulary=source.vocabulary)
    return SharedPrefix(
        prefixes=1, prefix=prefix, suffix=own, output=output, vocabulary=source.vocabulary
    )


def random_prompts(options: Options, source: Source, *, one_sided: bool) -> Prompts:
    """Return the prompts of the data set `random`."""
    length = _first_count(options, "--input-len", "--random-input-len")
    answer = _first_count(options, "--output-len", "--random-output-len")
    prefix = _first_count(options, "--prefix-len", "--random-prefix-len", least=0)
    text = options.text("--random-range-ratio") or ""
    if text.startswith("{"):
        ratios = options.fields("--random-range-ratio")
        of_prompt, of_answer = (ratios.get(of, 0) for of in ("input", "output"))
        if not all(isinstance(ratio, int | float) for ratio in (of_prompt, of_answer)):
            raise options.refuse("--random-range-ratio", "no ratios of input and output")
    else:
        of_prompt = of_answer = options.number("--random-range-ratio") or 0.0
    return with_prefix(
        prefix,
        spread(length, of_prompt, one_sided=one_sided),
        spread(answer, of_answer, one_sided=one_sided),
        source,
    )


def _first_count(options: Options, *names: str, least: int = 1) -> int:
    """Return the count of the first option that the command gives, else of the last one."""
    name = next((name for name in names if options.given(name)), names[-1])
    return options.count(name, least)


def repeated_prefixes(options: Options, source: Source) -> Prompts:
    """Return the prompts of vLLM's data set `prefix_repetition`."""
    kind = "--prefix-repetition-"
    return SharedPrefix(
        prefixes=options.count(f"{kind}num-prefixes"),
        prefix=options.count(f"{kind}prefix-len"),
        suffix=fixed(options.count(f"{kind}suffix-len")),
        output=fixed(options.count(f"{kind}output-len")),
        vocabulary=source.vocabulary,
    )


def shared_groups(options: Options, source: Source) -> tuple[Prompts, int]:
    """Return the prompts of SGLang's data set `generated-shared-prefix`, and their number."""
    groups, each, prefix, suffix, output = (
        options.count(f"--gen{name}" if options.given(f"--gen{name}") else f"--gsp{name}")
        for name in SHARED_GROUPS
    )
    prompts = SharedPrefix(
        prefixes=groups,
        prefix=prefix,
        suffix=fixed(suffix),
        output=fixed(output),
        vocabulary=source.vocabulary,
    )
    return prompts, groups * each


def from_data_set(options: Options, name: str, source: Source) -> Prompts:
    """Return the prompts of a data set that the configuration names: those of its file, or random
    ones of its stand-in's lengths.

    Raises MissingData if the configuration names none, NotExpressible for an option that says
    nothing about prompts of a file.
    """
    for option in ("--input-len", "--random-input-len", "--prefix-len"):
        if options.given(option):
            raise options.refuse(option, f"prompts of {name} have lengths of their own")
    key = name if name not in ("hf", "custom") else options.text("--dataset-path") or name
    data = source.data_sets.get(key)
    if data is None:
        raise MissingData(f"the command means {key}, which the configuration does not name")
    by_name = OUTPUT_OF.get(name, "--output-len")
    option = "--output-len" if options.given("--output-len") else by_name
    output = options.optional_count(option)
    if data.stand_in is not None:
        answers = data.stand_in.output if output is None else fixed(output)
        return RandomPrompts(
            prompt=data.stand_in.prompt, output=answers, vocabulary=source.vocabulary
        )
    made = DataSet(path=data.file, sha256=data.sha256, format=data.format)
    if output is not None:
        made = msgspec.structs.replace(made, output=output, same_output=True)
    if data.format == "sharegpt":
        # The limits of vLLM's and SGLang's samplers.
        answers = Lengths(low=SHORTEST if output is None else 1, high=MOST)
        fit = Fit(prompt=Lengths(low=SHORTEST, high=1024), output=answers, total=2048)
        made = msgspec.structs.replace(made, fit=fit)
    return made


def repeats(options: Options, source: Source) -> tuple[Prompts, int, int]:
    """Return the prompts of the prefix caching benchmark, their number, and how often each is
    sent. Without a range of lengths the script repeats one prompt of its own."""
    number, repeated = options.count("--num-prompts"), options.count("--repeat-count")
    output = fixed(options.count("--output-len"))
    if options.text("--dataset-path"):
        return from_data_set(options, "sharegpt", source), number, repeated
    if not options.given("--input-length-range"):
        return with_prefix(0, fixed(OWN_PROMPT), output, source), 1, number * repeated
    text = options.text("--input-length-range") or ""
    low, _, high = text.partition(":")
    prefix = options.count("--prefix-len", 0)
    if not (low.isdecimal() and high.isdecimal() and prefix < int(low) <= int(high) <= MOST):
        raise options.refuse("--input-length-range", "no range of lengths above the prefix")
    own = Lengths(low=int(low) - prefix, high=int(high) - prefix)
    return with_prefix(prefix, own, output, source), number, repeated
