"""`python -m tinybench serve|latency|throughput`."""

import argparse


def main() -> None:
    # Each sub-command imports its own module late: `serve` must start fast, without the engine.
    parser = argparse.ArgumentParser(prog="tinybench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_serve_arguments(commands.add_parser("serve", help="load a running server over HTTP"))
    add_latency_arguments(commands.add_parser("latency", help="time one batch, in-process"))
    add_throughput_arguments(commands.add_parser("throughput", help="drain a queue, in-process"))
    args = parser.parse_args()
    if args.command == "serve":
        from tinybench.serve import run
    else:
        from tinybench.offline import run
    run(args)


def add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--backend", default="openai", choices=["openai"])
    add("--base-url", default="http://127.0.0.1:8000")
    add("--endpoint", default="/v1/completions")
    add("--model", required=True)
    add("--dataset-name", default="random", choices=["random"])
    add("--random-input-len", type=int, default=64, help="tokens after the shared prefix")
    add("--random-output-len", type=int, default=32)
    add("--random-prefix-len", type=int, default=0, help="tokens shared by all prompts")
    add("--num-prompts", type=int, default=16)
    add("--max-concurrency", type=int)
    add("--request-rate", type=float, default=float("inf"), help="requests/s (Poisson)")
    add("--seed", type=int, default=0)
    add("--ignore-eos", action="store_true")
    add("--temperature", type=float, default=0.0)
    add("--num-warmups", type=int, default=0, help="requests before the timed ones")
    add("--save-result", action="store_true")
    add("--save-detailed", action="store_true", help="keep the per-request arrays in the JSON")
    add("--result-dir", default=".")
    add("--result-filename")
    add("--percentile-metrics", default="ttft,tpot,itl")
    add("--metric-percentiles", default="99")
    add("--disable-tqdm", action="store_true", help="accepted; there is no progress bar")


def add_latency_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_engine_arguments(parser)
    add("--batch-size", type=int, default=1)
    add("--num-iters-warmup", type=int, default=10)
    add("--num-iters", type=int, default=30)


def add_throughput_arguments(parser: argparse.ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--num-prompts", type=int, default=16)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True)
    add("--input-len", type=int, default=32)
    add("--output-len", type=int, default=32)
    add("--max-num-seqs", type=int, default=8)
    add("--seed", type=int, default=0)
    add("--output-json", help="write the result to this file")
    add("--check-prompts", help='JSON {"prompts": [text], "max_tokens": N} to answer first')
    add("--check-output", help='where to write {"answers": [text]}')


if __name__ == "__main__":
    main()
