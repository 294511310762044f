"""JAX with one thread on the CPU, so that rows are the same whatever the number of workers and cores.

More threads also mean another division of sums in float32, and sweeps already give every core a worker of its own.
XLA's flags for this (``--xla_cpu_multi_thread_eigen=false``, ``intra_op_parallelism_threads=1``) no longer do
anything; what counts is the size of the pool that the CPU backend makes when it is first used, and that is read from
the environment variable ``NPROC``.
"""

from __future__ import annotations

import os

import jax

__all__ = ["start_with_one_thread"]


def start_with_one_thread() -> None:
    """Start JAX's backends, the CPU's with one thread. Where they run already, they stay as they are."""
    usual = os.environ.get("NPROC")
    os.environ["NPROC"] = "1"
    try:
        jax.devices()
    finally:
        if usual is None:
            del os.environ["NPROC"]
        else:
            os.environ["NPROC"] = usual
