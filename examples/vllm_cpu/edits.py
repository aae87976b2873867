"""Scripted edits of vLLM 0.32.0: what is taken out, and what each agent puts in its place.

Every edit is a function from a file's text to its new text. It finds its place through the syntax
tree (class, function, name) and writes code of this project there, so no vLLM source stands in
this file. A place that is not found is an `EditError`: another vLLM version than the one this was
written for.
"""

import ast
import re
import textwrap

import waits
from source import EditError
from task import Task

CACHE_MANAGER = "vllm/v1/core/kv_cache_manager.py"
INPUT_BATCH = "vllm/v1/worker/gpu_input_batch.py"
FILTERS = "vllm/v1/sample/ops/topk_topp_sampler.py"


# Finding and replacing -------------------------------------------------------------------------


def find_function(text: str, name: str, owner: str | None = None) -> ast.FunctionDef:
    """Return the function `name`, at the top level or in the class `owner`."""
    scope: ast.AST = ast.parse(text)
    if owner is not None:
        classes = [node for node in scope.body if isinstance(node, ast.ClassDef)]
        scope = next((node for node in classes if node.name == owner), ast.Module(body=[]))
    for node in scope.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise EditError(f"no function {name}" + (f" in class {owner}" if owner else ""))


def offset(text: str, line: int, column: int) -> int:
    """Turn an ast position (1-based line, column in UTF-8 bytes) into an index into `text`."""
    lines = text.splitlines(keepends=True)
    before = lines[line - 1].encode()[:column].decode()
    return sum(map(len, lines[: line - 1])) + len(before)


def replace_span(text: str, first: ast.AST, last: ast.AST, new: str) -> str:
    """Replace the source from the start of `first` to the end of `last`."""
    start = offset(text, first.lineno, first.col_offset)
    end = offset(text, last.end_lineno, last.end_col_offset)
    return text[:start] + new + text[end:]


def without_docstring(function: ast.FunctionDef) -> list[ast.stmt]:
    body = function.body
    return body[1:] if ast.get_docstring(function, clean=False) is not None else body


def indented(code: str, column: int) -> str:
    """Indent `code` by `column`, the first line excepted: it stands where the old one stood."""
    return textwrap.indent(textwrap.dedent(code).strip(), " " * column).lstrip()


def replace_body(text: str, function: ast.FunctionDef, code: str) -> str:
    """Replace what follows the docstring, comments above the first statement included."""
    body = without_docstring(function)
    above = function.body[0] if body is not function.body else None
    column = body[0].col_offset
    end = offset(text, body[-1].end_lineno, body[-1].end_col_offset)
    if above is None:
        start = offset(text, body[0].lineno, 0)
    else:
        start = offset(text, above.end_lineno, above.end_col_offset) + 1
    return text[:start] + " " * column + indented(code, column) + text[end:]


def insert_before(text: str, statement: ast.stmt, code: str) -> str:
    start = offset(text, statement.lineno, statement.col_offset)
    column = statement.col_offset
    return text[:start] + indented(code, column) + "\n" + " " * column + text[start:]


# The optimisations, taken out -------------------------------------------------------------------


def no_prefix_lookup(text: str) -> str:
    """Let every request miss the prefix cache: no block's hash is ever looked up."""
    function = find_function(text, "get_computed_blocks", "KVCacheManager")
    return replace_body(
        text,
        function,
        """
        # Computed blocks are not shared between requests: each prompt is prefilled in full.
        return self.empty_kv_cache_blocks, 0, 0
        """,
    )


def always_filter(text: str) -> str:
    """Pass top-k and top-p to the sampler for every batch, used or not."""
    function = find_function(text, "_make_sampling_metadata", "InputBatch")
    changes: list[tuple[ast.AST, str]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.keyword) and node.arg in ("top_p", "top_k"):
            # `x = None if unused else TENSOR` becomes `x = TENSOR`
            if not isinstance(node.value, ast.IfExp):
                raise EditError(f"{node.arg} is not chosen by a conditional expression")
            changes.append((node.value, ast.get_source_segment(text, node.value.orelse)))
        elif isinstance(node, ast.If) and names_in(node.test) & {"no_top_p", "no_top_k"}:
            # `if used: COPY` becomes `COPY`
            changes.append((node, ast.get_source_segment(text, node.body[0])))
    if len(changes) != 4:
        raise EditError(f"{len(changes)} of 4 uses of top_p and top_k found")
    # from the end to the start, so that earlier positions stay valid
    for node, new in sorted(changes, key=lambda change: -change[0].lineno):
        text = replace_span(text, node, node, new)
    return text


def names_in(node: ast.AST) -> set[str]:
    return {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}


# The agents' patches ----------------------------------------------------------------------------


def brio_prefix_walk(text: str) -> str:
    """Look the prompt's blocks up one by one in the block pool, until the first miss."""
    function = find_function(text, "get_computed_blocks", "KVCacheManager")
    return replace_body(
        text,
        function,
        """
        reusable = self.prefix_cache_lookup_enabled(request) and self.num_kv_cache_groups == 1
        if not reusable:
            return self.empty_kv_cache_blocks, 0, 0
        # The last prompt token is always computed: its logits give the first new token.
        block_size = self.coordinator.block_size
        limit = min((request.num_tokens - 1) // block_size, len(request.block_hashes))
        hits = []
        while len(hits) < limit:
            cached = self.block_pool.get_cached_block(request.block_hashes[len(hits)], [0])
            if cached is None:
                break
            hits.append(cached[0])
        return self.create_kv_cache_blocks((hits,)), len(hits) * block_size, 0
        """,
    )


def brio_skip_neutral_filters(text: str) -> str:
    """Drop, in the sampler itself, filters that would keep every token."""
    function = find_function(text, "apply_top_k_top_p")
    return insert_before(
        text,
        without_docstring(function)[0],
        """
        if logits.device.type == "cpu":
            # Looking at one number per request is nothing beside sorting the vocabulary.
            if p is not None and bool((p >= 1.0).all()):
                p = None
            if k is not None and bool((k >= logits.shape[-1]).all()):
                k = None
        """,
    )


def corso_missing_name(text: str) -> str:
    """Import a helper that corso believes to exist: the engine does not start."""
    tree = ast.parse(text)
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "vllm.v1.core.kv_cache_utils"
    ]
    if not imports:
        raise EditError("no import from vllm.v1.core.kv_cache_utils")
    text = replace_body(
        text,
        find_function(text, "get_computed_blocks", "KVCacheManager"),
        """
        hits = find_cached_prefix(self.block_pool, request.block_hashes)
        num_hit_tokens = len(hits) * self.coordinator.block_size
        return self.create_kv_cache_blocks((hits,)), num_hit_tokens, 0
        """,
    )
    return insert_before(
        text, imports[0], "from vllm.v1.core.kv_cache_utils import find_cached_prefix"
    )


def corso_rename(text: str) -> str:
    """Rename a local variable of the sort: nothing else changes."""
    function = find_function(text, "apply_top_k_top_p_pytorch")
    old = "logits_sort"
    source = ast.get_source_segment(text, function)
    if not re.search(rf"\b{old}\b", source):
        raise EditError(f"no local variable {old} in {function.name}")
    return replace_span(text, function, function, re.sub(rf"\b{old}\b", "sorted_logits", source))


# The tasks --------------------------------------------------------------------------------------


# Both commands: float32 and no compilation start quickest and give the same answers everywhere.
ENGINE = "--dtype float32 --enforce-eager"

TASKS = (
    Task(
        branch="prefix-cache-lookup",
        title="Look prompts up in the prefix cache by block hash",
        before="Compute every prompt in full",
        removal={CACHE_MANAGER: no_prefix_lookup},
        agents={
            "brio": {CACHE_MANAGER: brio_prefix_walk},
            "corso": {CACHE_MANAGER: corso_missing_name},
        },
        perf_command=(
            f"vllm bench serve --model tiny {ENGINE} --max-model-len 2048 --max-num-seqs 8"
            " --dataset-name random --random-prefix-len 1024 --random-input-len 32"
            " --random-output-len 8 --num-prompts 60 --max-concurrency 1 --num-warmups 5"
            " --temperature 0 --ignore-eos --seed 0"
        ),
        primary_metric="ttft_median_ms",
    ),
    Task(
        branch="skip-unused-filters",
        title="Leave top-k and top-p out of batches that do not use them",
        before="Apply top-k and top-p to every batch",
        removal={INPUT_BATCH: always_filter},
        agents={
            "brio": {FILTERS: brio_skip_neutral_filters},
            "corso": {FILTERS: corso_rename},
        },
        perf_command=(
            f"vllm bench latency --model tiny {ENGINE} --max-model-len 512 --input-len 64"
            " --output-len 32 --batch-size 16 --num-iters-warmup 3 --num-iters 10"
        ),
        primary_metric="latency_avg_s",
    ),
    waits.task(
        f"vllm bench serve --model tiny {ENGINE} --no-async-scheduling --max-model-len 512"
        " --max-num-seqs 8 --dataset-name random --random-input-len 32 --random-output-len 64"
        " --num-prompts 64 --max-concurrency 8 --num-warmups 8 --temperature 0 --ignore-eos"
        " --seed 0"
    ),
)
