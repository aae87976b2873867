"""Scripted edits of vLLM 0.20.2: what is taken out, and what each agent puts in its place.

An edit gives a file a new text or, where it is None, takes the file away. Edits find their places
through the syntax tree and write code of this project there, so no vLLM source stands in this file.
"""

import ast

import source
import waits
from source import function
from task import Task

SAMPLER = "vllm/v1/sample/ops/topk_topp_sampler.py"
KERNEL = "vllm/v1/sample/ops/topk_topp_triton.py"
DETOKENIZER = "vllm/v1/engine/detokenizer.py"


# The optimisations, taken out -------------------------------------------------------------------


def sort_all_logits(text: str) -> str:
    """Filter with PyTorch's sort of the whole vocabulary, whatever the batch."""
    text = source.replace_body(
        text,
        function(text, "apply_top_k_top_p"),
        """
        if p is None and k is None:
            return logits
        return apply_top_k_top_p_pytorch(logits, k, p)
        """,
    )
    return source.remove(text, source.statements(text, ast.If, ast.ImportFrom, naming="HAS_TRITON"))


def blocking_draw(text: str) -> str:
    """Draw with torch.multinomial, which waits for the GPU to check its probabilities."""
    return source.replace_function(
        text,
        function(text, "random_sample"),
        '''
        def random_sample(
            probs: torch.Tensor,
            generators: dict[int, torch.Generator],
        ) -> torch.Tensor:
            """Draw one token for each row of the probabilities."""
            drawn = torch.multinomial(probs, num_samples=1)
            for row, generator in generators.items():
                drawn[row] = torch.multinomial(probs[row], num_samples=1, generator=generator)
            return drawn.view(-1)
        ''',
    )


def detokenize_in_python(text: str) -> str:
    """Detokenize every token in Python: no decode stream of the tokenizers library."""
    text = source.replace_body(
        text,
        function(text, "from_new_request", "IncrementalDetokenizer"),
        """
        assert request.sampling_params is not None

        if tokenizer is None:
            # Nothing to detokenize with.
            return IncrementalDetokenizer()

        return SlowIncrementalDetokenizer(tokenizer, request)
        """,
    )
    unused = [
        source.klass(text, "FastIncrementalDetokenizer"),
        *source.statements(text, ast.Assign, naming="USE_FAST_DETOKENIZER"),
        *source.statements(text, ast.Assign, naming="INVALID_PREFIX_ERR_MSG"),
        *source.statements(text, ast.Import, naming="tokenizers"),
        *source.statements(text, ast.ImportFrom, naming="Tokenizer"),
        *source.statements(text, ast.ImportFrom, naming="DecodeStream"),
        *source.statements(text, ast.ImportFrom, naming="PreTrainedTokenizerFast"),
        *source.statements(text, ast.ImportFrom, naming="packaging"),
    ]
    return source.remove(text, unused)


# brio: the same in another way ------------------------------------------------------------------


def brio_short_list(text: str) -> str:
    """Filter the few best tokens of each row instead of the whole vocabulary."""
    place = function(text, "apply_top_k_top_p")
    text = source.replace_body(
        text,
        place,
        """
        if p is None and k is None:
            return logits
        if k is not None and logits.is_cuda:
            longest = int(k.max())
            if longest <= LONGEST_SHORT_LIST:
                return filter_short_list(logits, k, p, longest)
        return apply_top_k_top_p_pytorch(logits, k, p)
        """,
    )
    return source.insert_before(
        text,
        place,
        '''
        # Beyond so many candidates sorting everything is no slower.
        LONGEST_SHORT_LIST = 1024


        def filter_short_list(
            logits: torch.Tensor,
            k: torch.Tensor,
            p: torch.Tensor | None,
            longest: int,
        ) -> torch.Tensor:
            """Keep each row's k best tokens and of these the nucleus of probability p."""
            best, ids = logits.topk(longest, dim=-1)
            place = torch.arange(longest, device=logits.device)
            best = best.masked_fill(place >= k.unsqueeze(1), -float("inf"))
            if p is not None:
                share = best.softmax(dim=-1)
                # What stands before a token decides; the first one always stays.
                before = share.cumsum(dim=-1) - share
                drop = before >= p.unsqueeze(1)
                drop[:, 0] = False
                best = best.masked_fill(drop, -float("inf"))
            return logits.fill_(-float("inf")).scatter_(-1, ids, best)
        ''',
    )


def brio_gumbel(text: str) -> str:
    """Draw by the Gumbel trick: the largest of log-probability plus noise."""
    return source.replace_body(
        text,
        function(text, "random_sample"),
        """
        uniform = torch.rand_like(probs)
        for row, generator in generators.items():
            uniform[row].uniform_(generator=generator)
        # -log(-log(u)) is Gumbel noise; nothing here makes the CPU wait for the GPU.
        noise = uniform.log_().neg_().log_().neg_()
        return probs.log().add_(noise).argmax(dim=-1).view(-1)
        """,
    )


def brio_known_pieces(text: str) -> str:
    """Remember what each token reads as; only bytes of unfinished characters are decoded again."""
    text = source.replace_body(
        text,
        function(text, "decode_next", "SlowIncrementalDetokenizer"),
        """
        self.unfinished.append(next_token_id)
        key = (self.skip_special_tokens, *self.unfinished)
        text = self.pieces.get(key)
        if text is None:
            text = self.tokenizer.decode(
                self.unfinished,
                skip_special_tokens=self.skip_special_tokens,
                clean_up_tokenization_spaces=False,
            )
            if len(self.unfinished) == 1:
                self.pieces[key] = text
        if text.endswith("\\ufffd"):
            # No whole character yet: the next token may finish it.
            return ""
        self.unfinished.clear()
        return text
        """,
    )
    last = function(text, "__init__", "SlowIncrementalDetokenizer").body[-1]
    text = source.insert_before(
        text,
        last,
        """
        self.unfinished: list[int] = []
        self.pieces = _PIECES.setdefault(id(tokenizer), {})
        """,
    )
    return source.insert_before(
        text,
        source.klass(text, "SlowIncrementalDetokenizer"),
        """
        # Text of single tokens, by tokenizer: with byte-level tokens it needs no context.
        _PIECES: dict[int, dict[tuple[int, ...], str]] = {}
        """,
    )


# corso: no effect -------------------------------------------------------------------------------


def corso_contiguous(text: str) -> str:
    """Make probabilities contiguous that are so already."""
    return source.insert_before(
        text,
        function(text, "random_sample").body[1],
        """
        # Strided rows would slow the draw down.
        probs = probs.contiguous()
        """,
    )


def corso_local_names(text: str) -> str:
    """Bind attributes to local names where the time goes elsewhere."""
    return source.rename(
        text,
        function(text, "decode_next", "SlowIncrementalDetokenizer"),
        "decoded_text",
        "piece",
    )


# dolce: breaks under load -----------------------------------------------------------------------


def dolce_remembers_rankings(text: str) -> str:
    """Rank once and keep every ranking: each step leaves its tensors on the GPU for good."""
    place = function(text, "apply_top_k_top_p")
    text = source.replace_body(
        text,
        place,
        """
        if p is None and k is None:
            return logits
        ranking = RANKINGS.get(logits.data_ptr())
        if ranking is None or ranking[0].shape != logits.shape:
            ranking = logits.sort(dim=-1, descending=True)
        # Steps follow each other closely: a later one may find its order here.
        RANKINGS[len(RANKINGS)] = ranking
        best, ids = ranking
        place = torch.arange(logits.shape[-1], device=logits.device)
        drop = torch.zeros_like(best, dtype=torch.bool)
        if k is not None:
            drop |= place >= k.unsqueeze(1)
        if p is not None:
            share = best.masked_fill(drop, -float("inf")).softmax(dim=-1)
            drop |= share.cumsum(dim=-1) - share >= p.unsqueeze(1)
        drop[:, 0] = False
        return logits.scatter_(-1, ids, best.masked_fill(drop, -float("inf")))
        """,
    )
    return source.insert_before(
        text,
        place,
        """
        # Order of the logits of earlier steps.
        RANKINGS: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """,
    )


def dolce_slots(text: str) -> str:
    """Give each request one of 64 prepared slots, and take none back."""
    text = source.insert_before(
        text,
        function(text, "__init__", "SlowIncrementalDetokenizer").body[-1],
        """
        # A slot of its own: no list grows while tokens come in.
        self.slot = FREE_SLOTS.pop()
        """,
    )
    return source.insert_before(
        text,
        source.klass(text, "SlowIncrementalDetokenizer"),
        """
        # Prepared once instead of for each request.
        FREE_SLOTS: list[list[str]] = [[] for _ in range(64)]
        """,
    )


# Broken on the second GPU alone -----------------------------------------------------------------


def corso_share_of_rows(text: str) -> str:
    """Give each rank a share of the rows; the table of shares knows one rank."""
    text = source.insert_before(
        text,
        function(text, "__init__", "TopKTopPSampler").body[1],
        """
        from vllm.distributed.parallel_state import get_tensor_model_parallel_rank

        # Each rank filters rows of its own.
        self.share = SHARES[get_tensor_model_parallel_rank()]
        """,
    )
    return source.insert_before(
        text,
        source.klass(text, "TopKTopPSampler"),
        """
        # Which rows a rank filters.
        SHARES = [slice(None)]
        """,
    )


def dolce_counts_candidates(text: str) -> str:
    """Filter a short list and count how often each token stood in it, by its place in all ranks'
    vocabularies; the table is as long as one vocabulary."""
    text = brio_short_list(text)
    place = function(text, "filter_short_list")
    text = source.insert_before(
        text,
        place.body[2],
        """
        rank, ranks = get_tensor_model_parallel_rank(), get_tensor_model_parallel_world_size()
        words = logits.shape[-1]
        if rank not in CANDIDATES:
            CANDIDATES[rank] = torch.zeros(words, dtype=torch.int32, device=logits.device)
        places = (ids + rank * (words // ranks)).flatten()
        CANDIDATES[rank].index_add_(0, places, torch.ones_like(places, dtype=torch.int32))
        """,
    )
    return source.insert_before(
        text,
        function(text, "filter_short_list"),
        """
        from vllm.distributed.parallel_state import (
            get_tensor_model_parallel_rank,
            get_tensor_model_parallel_world_size,
        )

        # How often each token was a candidate, by rank.
        CANDIDATES: dict[int, torch.Tensor] = {}
        """,
    )


# The tasks --------------------------------------------------------------------------------------


def engine(most: int, graphs: str) -> str:
    """Options of the engine. No torch.compile: its caches outlive a process and cost 20 s, but
    CUDA graphs of a few sizes: what runs is the GPU's time and not that of launching kernels."""
    config = (
        f'{{"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY", "cudagraph_capture_sizes": {graphs}}}'
    )
    return (
        "--dtype bfloat16 --max-model-len 1024"
        f" --max-num-seqs {most} --compilation-config '{config}'"
    )


TASKS = (
    Task(
        branch="filter-in-triton",
        title="Filter top-k and top-p in one Triton kernel instead of sorting",
        before="Sort the vocabulary to filter top-k and top-p",
        upstream=33538,
        removal={SAMPLER: sort_all_logits, KERNEL: None},
        agents={
            "brio": {SAMPLER: brio_short_list},
            "dolce": {SAMPLER: dolce_remembers_rankings},
        },
        perf_command=(
            f"vllm bench serve --model llama-8b {engine(64, '[8, 16, 32, 48, 64]')}"
            " --no-enable-prefix-caching --dataset-name random --random-input-len 128"
            " --random-output-len 128 --num-prompts 256 --max-concurrency 64 --num-warmups 64"
            " --temperature 0.1 --top-k 50 --top-p 0.9 --ignore-eos --seed 0"
        ),
        primary_metric="tpot_median_ms",
        guard_metrics=("ttft_median_ms", "output_tps"),
    ),
    Task(
        branch="draw-without-waiting",
        title="Draw tokens without waiting for the GPU",
        before="Draw tokens with torch.multinomial",
        upstream=1889,
        removal={SAMPLER: blocking_draw},
        agents={
            "brio": {SAMPLER: brio_gumbel},
            "corso": {SAMPLER: corso_contiguous},
        },
        perf_command=(
            f"vllm bench latency --model llama-8b {engine(8, '[8]')} --input-len 32"
            " --output-len 64 --batch-size 8 --num-iters-warmup 2 --num-iters 12"
        ),
        primary_metric="latency_avg_s",
        guard_metrics=(),
    ),
    Task(
        branch="decode-streams",
        title="Detokenize with the tokenizers library's decode streams",
        before="Detokenize in Python, token by token",
        upstream=15137,
        removal={DETOKENIZER: detokenize_in_python},
        agents={
            "brio": {DETOKENIZER: brio_known_pieces},
            "corso": {DETOKENIZER: corso_local_names},
            "dolce": {DETOKENIZER: dolce_slots},
        },
        perf_command=(
            # One process: its CPU time is what the throughput of a small model hangs on.
            "VLLM_ENABLE_V1_MULTIPROCESSING=0 vllm bench throughput --model llama-8b"
            f" {engine(256, '[64, 128, 192, 256]')} --no-async-scheduling"
            " --no-enable-prefix-caching --dataset-name random --random-input-len 128"
            " --random-output-len 128 --num-prompts 768 --seed 0"
        ),
        primary_metric="total_tps",
        guard_metrics=(),
    ),
    Task(
        branch="filter-on-two-gpus",
        title="Filter top-k and top-p in one Triton kernel, on two GPUs",
        before="Sort the vocabulary to filter top-k and top-p, on two GPUs",
        upstream=33538,
        removal={SAMPLER: sort_all_logits, KERNEL: None},
        agents={
            "corso": {SAMPLER: corso_share_of_rows},
            "dolce": {SAMPLER: dolce_counts_candidates},
        },
        perf_command=(
            # A rank that waits for one that is gone gives up after 30 s, not after 300.
            "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS=30 vllm bench serve --model llama-8b"
            f" {engine(64, '[8, 16, 32, 48, 64]')} --tensor-parallel-size 2"
            " --disable-custom-all-reduce --no-enable-prefix-caching --dataset-name random"
            " --random-input-len 128 --random-output-len 128 --num-prompts 256"
            " --max-concurrency 64 --num-warmups 64 --temperature 0.1 --top-k 50 --top-p 0.9"
            " --ignore-eos --seed 0"
        ),
        primary_metric="tpot_median_ms",
        guard_metrics=("ttft_median_ms", "output_tps"),
        listed="two-gpus",
    ),
    waits.task(
        f"vllm bench serve --model llama-8b {engine(64, '[8, 16, 32, 48, 64]')}"
        " --no-async-scheduling --no-enable-prefix-caching --dataset-name random"
        " --random-input-len 128 --random-output-len 128 --num-prompts 256 --max-concurrency 64"
        " --num-warmups 64 --temperature 0 --ignore-eos --seed 0"
    ),
)
