"""The offline benchmarks, which run the engine in-process: latency and throughput."""

import argparse
import json
from dataclasses import replace
from time import perf_counter

from tinybench.datasets import random_prompts
from tinybench.metrics import mean, percentile

LATENCY_PERCENTS = (10, 25, 50, 75, 90, 99)


def run(args: argparse.Namespace) -> None:
    """Run the sub-command `args.command`."""
    from tinyserve.config import EngineConfig, SamplingParams
    from tinyserve.engine import Engine

    concurrency = args.max_num_seqs
    if args.command == "latency":
        concurrency = max(concurrency, args.batch_size)
    engine = Engine(EngineConfig(model=args.model, max_num_seqs=concurrency))
    if args.check_prompts:
        with open(args.check_prompts, encoding="utf-8") as file:
            check = json.load(file)
        prompts = [engine.tokenizer.encode(prompt) for prompt in check["prompts"]]
        answers = engine.generate(prompts, SamplingParams(max_tokens=check["max_tokens"]))
        texts = [engine.tokenizer.decode(answer) for answer in answers]
        save(args.check_output, {"answers": texts})
    params = SamplingParams(max_tokens=args.output_len, ignore_eos=True)
    result = (latency if args.command == "latency" else throughput)(args, engine, params)
    save(args.output_json, result)


def latency(args: argparse.Namespace, engine, params) -> dict:
    """Seconds for one batch from submission to its last token, over several iterations."""
    prompts = random_prompts(args.batch_size, args.input_len, 0, args.seed)

    def once() -> float:
        start = perf_counter()
        engine.generate(prompts, params)
        return perf_counter() - start

    print("Warming up...", flush=True)
    for _ in range(args.num_iters_warmup):
        once()
    latencies = [once() for _ in range(args.num_iters)]
    percentiles = {str(percent): percentile(latencies, percent) for percent in LATENCY_PERCENTS}
    print(f"Avg latency: {mean(latencies)} seconds")
    for percent, value in percentiles.items():
        print(f"{percent}% percentile latency: {value} seconds")
    return {
        "model_id": args.model,
        "avg_latency": mean(latencies),
        "latencies": latencies,
        "percentiles": percentiles,
    }


def throughput(args: argparse.Namespace, engine, params) -> dict:
    """Requests and tokens per second for a queue of prompts that are all there at the start."""
    prompts = random_prompts(args.num_prompts, args.input_len, 0, args.seed)
    engine.generate(prompts[:1], replace(params, max_tokens=2))  # touch the weights, untimed
    start = perf_counter()
    outputs = engine.generate(prompts, params)
    elapsed = perf_counter() - start
    prompt_tokens = sum(map(len, prompts))
    output_tokens = sum(map(len, outputs))
    total_tokens = prompt_tokens + output_tokens
    print(
        f"Throughput: {len(prompts) / elapsed:.2f} requests/s, "
        f"{total_tokens / elapsed:.2f} total tokens/s, "
        f"{output_tokens / elapsed:.2f} output tokens/s"
    )
    print(f"Total num prompt tokens:  {prompt_tokens}")
    print(f"Total num output tokens:  {output_tokens}")
    return {
        "model_id": args.model,
        "elapsed_time": elapsed,
        "num_requests": len(prompts),
        "total_num_tokens": total_tokens,
        "requests_per_second": len(prompts) / elapsed,
        "tokens_per_second": total_tokens / elapsed,
    }


def save(path: str | None, result: dict) -> None:
    """Write `result` as JSON, if a path was given."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=4)
