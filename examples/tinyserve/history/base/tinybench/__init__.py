"""tinybench: serving, latency and throughput benchmarks, with the output of `vllm bench`."""
