"""The load of a workload: the requests that the judge sends, the same for every arm and engine.

Rates are requests per second, lengths tokens, limits seconds unless a name says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from patchbench.config import Count, Section, Vocabulary

Tokens = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Rate = Annotated[float, msgspec.Meta(gt=0)]


# --- shapes: when requests are due -----------------------------------------------------------


class AllAtOnce(Section, frozen=True, kw_only=True, tag="all_at_once"):
    """Every request is due when the window begins (an offline throughput task)."""

    requests: Count


class ClosedLoop(Section, frozen=True, kw_only=True, tag="closed_loop"):
    """``concurrency`` requests are under way; the next is due as soon as one ends."""

    requests: Count
    concurrency: Count


class Batch(Section, frozen=True, kw_only=True, tag="batch"):
    """``size`` requests are due together, ``rounds`` times, each after the last one ended (an
    offline latency task)."""

    size: Count
    rounds: Count


class FixedRate(Section, frozen=True, kw_only=True, tag="fixed_rate"):
    """Requests are due at equal distances. ``concurrency`` (0: no limit) delays sending, not the
    due time."""

    requests: Count
    rate: Rate
    concurrency: int = 0


class Poisson(Section, frozen=True, kw_only=True, tag="poisson"):
    """Requests are due at exponential distances, scaled so that all windows offer exactly
    ``rate``. ``concurrency`` (0: no limit) delays sending, not the due time."""

    requests: Count
    rate: Rate
    concurrency: int = 0


Shape = AllAtOnce | ClosedLoop | Batch | FixedRate | Poisson


# --- prompts ---------------------------------------------------------------------------------


class Lengths(Section, frozen=True, kw_only=True):
    """Lengths in tokens, drawn evenly from ``low`` to ``high``, both included. ``inner`` are the
    lengths that part them into equally likely ranges, each drawn evenly."""

    low: Annotated[Tokens, msgspec.Meta(description="the least, in tokens")]
    high: Annotated[Tokens, msgspec.Meta(description="the most")]
    inner: Annotated[
        tuple[Tokens, ...],
        msgspec.Meta(description="lengths between them that part equally likely ranges"),
    ] = ()

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if list(self.ends) != sorted(self.ends):
            raise ValueError(f"lengths fall: {self.ends}")

    @property
    def ends(self) -> tuple[int, ...]:
        """The ends of the equally likely ranges, the least and the most among them."""
        return (self.low, *self.inner, self.high)


class RandomPrompts(Section, frozen=True, kw_only=True, tag="random"):
    """Prompts without meaning. As text, ``prompt`` counts words, not tokens."""

    prompt: Lengths
    output: Lengths
    vocabulary: Vocabulary = Vocabulary()


class SharedPrefix(Section, frozen=True, kw_only=True, tag="shared_prefix"):
    """Prompts that begin with one of ``prefixes`` common beginnings."""

    prefixes: Count
    prefix: Tokens
    suffix: Lengths
    output: Lengths
    vocabulary: Vocabulary = Vocabulary()


class Fit(Section, frozen=True, kw_only=True):
    """Lengths of the entries that are taken from a file, in tokens, ends included; ``total`` is the
    most of prompt and answer together."""

    prompt: Lengths = Lengths(low=1, high=1_000_000)
    output: Lengths = Lengths(low=1, high=1_000_000)
    total: Tokens = 1_000_000


class DataSet(Section, frozen=True, kw_only=True, tag="data_set"):
    """Prompts of a file: ShareGPT's JSON, or JSON lines with ``prompt`` (text or token ids) and
    perhaps ``output_tokens``. ``output`` is every answer's length if ``same_output``, else that of
    entries without a length: those of ShareGPT have the length of the answer there, if the judge
    has a tokenizer. ``fit`` chooses entries whose lengths are known."""

    path: str
    sha256: str
    format: Literal["sharegpt", "lines"] = "lines"
    output: Tokens = 128
    same_output: bool = False
    max_prompt_chars: int = 1_000_000
    fit: Fit = Fit()


Prompts = RandomPrompts | SharedPrefix | DataSet


class StandIn(Section, frozen=True, kw_only=True):
    """Lengths of random prompts that stand in for a data set."""

    prompt: Lengths
    output: Lengths


class DataSetFile(Section, frozen=True, kw_only=True):
    """A data set that commands mean: its file, or what stands in for it."""

    file: Annotated[str, msgspec.Meta(description="where it lies")] = ""
    sha256: Annotated[
        str,
        msgspec.Meta(
            pattern="^([0-9a-f]{64})?$",
            title="a SHA-256 of 64 hex digits",
            description="its SHA-256; another file is refused",
        ),
    ] = ""
    format: Annotated[
        Literal["sharegpt", "lines"],
        msgspec.Meta(
            description="`sharegpt`: conversations; `lines`: JSON lines with `prompt` and perhaps "
            "`output_tokens`"
        ),
    ] = "sharegpt"
    get: Annotated[str, msgspec.Meta(description="where to get it; said if it is not there")] = ""
    licence: Annotated[str, msgspec.Meta(description="its licence, for the reader")] = ""
    stand_in: Annotated[
        StandIn | None,
        msgspec.Meta(
            description="random prompts of such lengths in place of the file; marked wherever the "
            "task is shown"
        ),
    ] = None


# --- the whole -------------------------------------------------------------------------------


# A temperature at which an engine does all work of drawing tokens (at 0 it skips filters and the
# draw), while answers stay near first choices and can be checked. vLLM raises smaller ones to it.
NEARLY_GREEDY = 0.01


class Sampling(Section, frozen=True, kw_only=True):
    """Sampling parameters of the task. ``extra`` are fields that this struct doesn't name."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    ignore_eos: bool = False
    min_tokens: int = 0
    extra: dict[str, Any] = {}  # noqa: RUF012 (msgspec copies it)


class Goodput(Section, frozen=True, kw_only=True):
    """Limits that a request must keep to count for the goodput, milliseconds; None: no limit."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None


class Load(Section, frozen=True, kw_only=True):
    """One load. ``model`` is its name in the server's API; ``form`` is how prompts are written;
    each prompt is sent ``repeats`` times within a window; ``warmup`` requests precede a launch's
    first window and are not recorded. Limits are seconds."""

    model: str
    shape: Shape
    prompts: Prompts
    form: Literal["ids", "text"] = "ids"
    path: str = "/v1/completions"
    sampling: Sampling = Sampling()
    repeats: Count = 1
    warmup: int = 0
    windows: Count = 1
    goodput: Goodput = Goodput()
    request_limit: float = 600.0
    window_limit: float = 1800.0


def request_count(shape: Shape) -> int:
    """Return the number of requests of one window."""
    return shape.size * shape.rounds if isinstance(shape, Batch) else shape.requests


def most_in_flight(shape: Shape) -> int:
    """Return the most requests that may be under way at the same time."""
    if isinstance(shape, ClosedLoop):
        return min(shape.concurrency, shape.requests)
    if isinstance(shape, Batch):
        return shape.size
    if isinstance(shape, AllAtOnce):
        return shape.requests
    return shape.concurrency or shape.requests
