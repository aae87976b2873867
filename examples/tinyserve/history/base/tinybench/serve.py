"""The serving benchmark: load a running server and measure TTFT, TPOT, ITL and E2EL."""

import argparse
import asyncio
import json
import os
import time
import warnings
from time import perf_counter

from tinybench.client import Client, RequestResult
from tinybench.datasets import arrival_delays, random_prompts
from tinybench.metrics import summarise
from tinybench.report import serving_box

ARRAYS = ("input_lens", "output_lens", "start_times", "ttfts", "itls", "generated_texts", "errors")


async def load(args: argparse.Namespace) -> tuple[list[RequestResult], float, float]:
    """Send the warm-up and the timed requests: results, duration (s) and start (s)."""
    prompts = random_prompts(
        args.num_prompts, args.random_input_len, args.random_prefix_len, args.seed
    )
    delays = arrival_delays(args.num_prompts, args.request_rate, args.seed)
    payload = {
        "model": args.model,
        "max_tokens": args.random_output_len,
        "temperature": args.temperature,
        "ignore_eos": args.ignore_eos,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    client = Client(args.base_url, args.endpoint)
    limit = asyncio.Semaphore(args.max_concurrency or max(1, args.num_prompts))

    async def one(prompt: list[int]) -> RequestResult:
        queued = perf_counter()
        async with limit:
            waited = perf_counter() - queued
            result = await client.complete(prompt, payload)
        result.queue_time = waited
        return result

    print("Starting initial single prompt test run...")
    print("Skipping endpoint ready check.")
    if args.num_warmups > 0:
        print(f"Warming up with {args.num_warmups} requests...")
        await asyncio.gather(*(one(prompts[0]) for _ in range(args.num_warmups)))
        print("Warmup run completed.")
    print("Starting main benchmark run...")
    print(f"Traffic request rate: {args.request_rate}")
    print("Burstiness factor: 1.0 (Poisson process)")
    print(f"Maximum request concurrency: {args.max_concurrency}", flush=True)

    start = perf_counter()
    tasks = []
    for prompt, delay in zip(prompts, delays, strict=True):
        if delay:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(prompt)))
    results = await asyncio.gather(*tasks)
    duration = perf_counter() - start
    client.close()
    return results, duration, start


def run(args: argparse.Namespace) -> None:
    """Run the benchmark, print the boxed result and save the JSON if asked."""
    selected = args.percentile_metrics.split(",")
    percents = [float(percent) for percent in args.metric_percentiles.split(",")]
    results, duration, start = asyncio.run(load(args))
    errors = [result.error for result in results if not result.success]
    if errors:
        print("Failed requests during benchmark run detected (capping to 10):")
        for index, error in enumerate(errors[:10]):
            print(f"Error {index}: {error}")
    if len(errors) == len(results):
        warnings.warn(
            "All requests failed. This is likely due to a misconfiguration on the benchmark "
            "arguments.",
            stacklevel=2,
        )
    summary = summarise(results, duration, start, selected, percents)
    print(serving_box(summary, args.max_concurrency, args.request_rate, selected, percents))
    if args.save_result:
        save(args, summary)


def save(args: argparse.Namespace, summary: dict) -> None:
    """Write the result as one JSON object, keys in the order of `vllm bench serve`."""
    date = time.strftime("%Y%m%d-%H%M%S")
    unlimited = args.request_rate == float("inf")
    header = {
        "date": date,
        "endpoint_type": args.backend,
        "backend": args.backend,
        "label": None,
        "model_id": args.model,
        "tokenizer_id": args.model,
        "num_prompts": args.num_prompts,
        "request_rate": "inf" if unlimited else args.request_rate,
        "burstiness": 1.0,
        "max_concurrency": args.max_concurrency,
    }
    if not args.save_detailed:
        summary = {key: value for key, value in summary.items() if key not in ARRAYS}
    concurrency = f"-concurrency{args.max_concurrency}" if args.max_concurrency else ""
    name = args.result_filename or (
        f"{args.backend}-{args.request_rate}qps{concurrency}-{args.model}-{date}.json"
    )
    os.makedirs(args.result_dir, exist_ok=True)
    with open(os.path.join(args.result_dir, name), "w", encoding="utf-8") as file:
        json.dump(header | summary, file)
