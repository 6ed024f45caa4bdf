"""Measurements of docs/benchmarks.md: every figure a ratio against a reference in the same run."""
