"""Latency: artifacts measured in turn, each in a process of its own, one running at a time."""

from vggexport.workflows.benchmarking.options import BenchmarkOptions
from vggexport.workflows.benchmarking.run import benchmark

__all__ = ["BenchmarkOptions", "benchmark"]
