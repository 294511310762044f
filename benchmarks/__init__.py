"""Benchmarks: run from the repository's root, for instance ``python -m benchmarks.online``."""
