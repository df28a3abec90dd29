"""Scripts that measure: run them from the root of a checkout, as ``python -m benchmarks.NAME``."""
