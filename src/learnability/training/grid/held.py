"""What :func:`learnability.training.grid.train` holds, in bytes, counted before it is allocated."""

from __future__ import annotations

from collections.abc import Sequence

from learnability import checks
from learnability.errors import RequestError
from learnability.memory import allowed, called
from learnability.networks.residual import NETWORKS
from learnability.training.grid.blocks import columns
from learnability.training.vector.tiles import BLOCK

__all__ = ["MEMORY", "memory", "together"]

MEMORY = 4.0 * 2**30
"""Default memory limit in bytes."""


def memory(
    network: str,
    d: int,
    k: int,
    m: int,
    *,
    runs: int = 1,
    batch: int = 50,
    dtype: str = "float32",
    trainable: Sequence[str] | None = None,
    examples: int = 0,
    watched: int = 0,
    results: int | None = None,
) -> float:
    """Most bytes that :func:`train` holds at a time, beside what it is given, for ``runs`` runs at once.

    Weights, velocities and transposed copies of every run, the activations of one batch, the sample twice (once in an
    epoch's order) and what is watched; the final weights and velocities of all runs, and what passes while a norm is
    taken or a network copied. Objects other than arrays, a few kilobytes a run, are not counted.

    Parameters
    ----------
    network : {"3resnet", "3layer", "2layer"}
    d, k, m : int
        Inputs, outputs, width; >= 1.
    runs, batch : int
        >= 1.
    dtype : {"float32", "float64"}
    trainable : sequence of str, optional
        As :func:`train` has it: only what is trained has velocities.
    examples, watched : int
        Of the sample, and of all that is watched; >= 0.
    results : int, optional
        Runs of the whole call, whose ends are kept; ``runs`` if not given.
    """
    network = checks.choice("network", network, NETWORKS)
    d, k, m, runs, batch = (
        checks.integer(name, n, at_least=1)
        for name, n in (("d", d), ("k", k), ("m", m), ("runs", runs), ("batch", batch))
    )
    examples, watched = (
        checks.integer(name, n, at_least=0) for name, n in (("examples", examples), ("watched", watched))
    )
    results = runs if results is None else checks.integer("results", results, at_least=runs)
    bytes_ = 8 if checks.choice("dtype", dtype, ("float32", "float64")) == "float64" else 4
    padded = -(-m // BLOCK) * BLOCK
    own = _fields(network, d, k, padded)
    trained = tuple(own) if trainable is None else tuple(trainable)
    K, resnet = columns(k), network == "3resnet"
    run = sum(own.values()) + sum(own[name] for name in trained) + padded * K * (1 + resnet)
    layers = {"3resnet": 2, "3layer": 3, "2layer": 1}[network]
    batches = layers * padded + 3 * BLOCK + 3 * K + max(K, BLOCK)
    scratch = batch * batches + BLOCK * (BLOCK + max(BLOCK, k + 1, d + 1)) + resnet * padded * k
    sample = 2 * examples * (d + 1 + k) + watched * (d + 1)
    held = bytes_ * (runs * run + scratch + sample) + 8 * examples  # their order
    plain = _fields(network, d, k, m)
    end = bytes_ * (sum(plain.values()) + sum(plain[name] for name in trained))
    largest = max(own.values())
    recording = 8 * max(largest, watched * k) + end * (results - runs)
    return float(held + max(recording, bytes_ * largest + end * results))


def _fields(network: str, d: int, k: int, m: int) -> dict[str, int]:
    """Numbers in each field of a network."""
    second = {"3resnet": {"V": m * (k + 1)}, "3layer": {"U": m * (m + 1)}, "2layer": {}}[network]
    return {"W": m * (d + 1), **second, "A": k * m}


def together(network: str, d: int, k: int, m: int, runs: int, limit: float, **how: object) -> int:
    """How many of the runs fit at once into ``limit``, or into what is available if that is less.

    Raises
    ------
    ValueError
        If not even one does, with the largest width at which one would.
    """
    usual = checks.real("limit", limit, above=0.0)

    def need(m: int, some: int) -> float:
        return memory(network, d, k, m, runs=some, results=runs, **how)  # type: ignore[arg-type]

    limit = allowed(usual, need(m, runs))
    if need(m, 1) > limit:
        most = m // BLOCK * BLOCK
        while most > 0 and need(most, 1) > limit:
            most -= max(BLOCK, most // 64 // BLOCK * BLOCK)
        raise RequestError(
            f"a {network} of width m = {m:,} takes {need(m, 1):.3g} bytes, more than "
            f"{called(usual, limit, 'limit')}; the largest width that fits is about {max(most, 0):,}"
        )
    low, high = 1, runs  # need grows with the runs
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if need(m, middle) <= limit else (low, middle - 1)
    return low
