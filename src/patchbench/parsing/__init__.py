"""Metrics in the output of benchmarks, in every layout that vLLM and SGLang ever printed."""
