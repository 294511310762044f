"""JAX as this package uses it: what the caller's shell says of it neither changes a row nor ends the process.

On the CPU JAX gets one thread, so that rows are the same whatever the number of workers and cores. More threads also
mean another division of sums in float32, and sweeps already give every core a worker of its own. XLA's flags for this
(``--xla_cpu_multi_thread_eigen=false``, ``intra_op_parallelism_threads=1``) no longer do anything; what counts is the
size of the pool that the CPU backend makes when it is first used, and that is read from the environment variable
``NPROC``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["start", "steady"]

_HARMLESS = ("--xla_force_host_platform_device_count", "--xla_gpu_cuda_data_dir", "--xla_dump")
"""Flags of XLA that change no row. Others may, and one that XLA does not know ends the process."""

_STEADY: dict[str, Any] = {
    "default_matmul_precision": None,
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "disable_jit": False,
    "debug_nans": False,
    "debug_infs": False,
    "transfer_guard": "allow",
    "default_device": None,
}
"""JAX's own defaults of what ``JAX_...`` in the environment, or the caller's ``jax.config``, may have changed."""


def start() -> None:
    """Start JAX's backends, the CPU's with one thread. Where they run already, they stay as they are."""
    flags = " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag.startswith(_HARMLESS))
    with _environment(NPROC="1", XLA_FLAGS=flags or None):
        import jax

        jax.devices()


@contextmanager
def steady(x64: bool) -> Iterator[None]:
    """Around what is computed: JAX in float64 or not, and apart from that as it is without any setting."""
    import jax

    with ExitStack() as stack:
        stack.enter_context(jax.enable_x64(x64))
        for name, value in _STEADY.items():
            stack.enter_context(getattr(jax, name)(value))
        yield


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Other environment variables for a while; None for none."""
    usual = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(usual)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
