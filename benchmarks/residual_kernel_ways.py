"""One way to compute conjugate and tangent kernels, in a process of its own: the workers of ``residual_kernels``.

``python residual_kernel_ways.py WAY IN.npz OUT.npz`` loads arrays, says so on stdout, and then for each line of
stdin, the name of a kernel, computes it and says how long that took and the most memory that the process has had. At
the end of stdin it writes the kernels. It needs NumPy and what the way needs, neither this package nor the
benchmarks: so that neural-tangents, which asks for an old JAX, can run in an interpreter of its own.

All in float64, one thread. The arrays are X (n, d) with, for infinite width, ``depth``, ``weight`` and ``bias``, or a
ResNet's W (m, d + 1), V (m, k + 1), A (k, m). The kernels: ``last``, inner products of the last layer's features, and
``ntk``, of the gradients of an output, averaged over the outputs.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Callable  # noqa: UP035 (an older Python may run this file)

import numpy as np

Arrays = dict[str, Any]
Calls = dict[str, Callable[[], Any]]
BLOCK = 200
"""Examples that neural-tangents is given at a time: its Jacobians are then a fifth of 1,000 examples'."""

# Infinite width -----------------------------------------------------------------------------------------------


def closed(given: Arrays) -> Calls:
    """The kernels of this library."""
    from learnability.kernels.closed_form import conjugate, tangent

    X, how = given["X"], {name: given[name].item() for name in ("depth", "weight", "bias")}
    return {"last": lambda: conjugate(X, X, **how), "ntk": lambda: tangent(X, X, **how)}


def closed_jax(given: Arrays) -> Calls:
    """The same formulas as JAX's users write them, under jit."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    depth, weight, bias = (given[name].item() for name in ("depth", "weight", "bias"))

    def kernels(X: Any) -> tuple[Any, Any]:
        K = weight * X @ X.T + bias
        theta = K
        for _ in range(depth):
            norms = jnp.sqrt(jnp.diag(K))
            scale = norms[:, None] * norms
            rho = jnp.clip(K / scale, -1, 1)
            angle = jnp.pi - jnp.arccos(rho)
            last = scale * (jnp.sqrt(1 - rho**2) + rho * angle) / (2 * jnp.pi)
            K = weight * last + bias
            theta = K + weight / 2 * theta * angle / jnp.pi
        return last, theta

    X = jnp.asarray(given["X"])
    last, ntk = jax.jit(lambda X: kernels(X)[0]), jax.jit(lambda X: kernels(X)[1])
    return {"last": lambda: last(X), "ntk": lambda: ntk(X)}


def closed_neural_tangents(given: Arrays) -> Calls:
    """``neural_tangents.stax``: Dense and Relu layers with this weight and bias."""
    jax, nt = _neural_tangents()
    depth, weight, bias = (given[name].item() for name in ("depth", "weight", "bias"))
    X = given["X"] * np.sqrt(given["X"].shape[1])  # stax divides the inputs by the square root of their number

    def dense(width: int) -> Any:
        return nt.stax.Dense(width, W_std=weight**0.5, b_std=bias**0.5)

    layers = [layer for _ in range(depth) for layer in (dense(512), nt.stax.Relu())]
    *_, kernel = nt.stax.serial(*layers, dense(1))
    last, ntk = (jax.jit(lambda X, of=of: kernel(X, None, of)) for of in ("nngp", "ntk"))
    return {"last": lambda: (last(X) - bias) / weight, "ntk": lambda: ntk(X)}


# Finite width -------------------------------------------------------------------------------------------------


def finite(given: Arrays) -> Calls:
    """The kernels of this library."""
    from learnability.kernels.residual_empirical import conjugate, tangent
    from learnability.networks.residual import ResNet3

    X, params = given["X"], ResNet3(given["W"], given["V"], given["A"])
    return {
        "last": lambda: conjugate(params, X, X),
        "ntk": lambda: sum(tangent(params, X, X).values()),
    }


def finite_torch(given: Arrays) -> Calls:
    """PyTorch: ``torch.func.grad`` under ``vmap``, the Jacobian of one output at a time."""
    import torch

    torch.set_num_threads(1)
    X = torch.tensor(given["X"])
    params = {name: torch.tensor(given[name]) for name in "WVA"}

    def features(params: Any, x: Any) -> Any:
        first = torch.relu(x @ params["W"][:, :-1].T + params["W"][:, -1])
        out = first @ params["A"].T
        return first + torch.relu(out @ params["V"][:, :-1].T + params["V"][:, -1])

    def output(params: Any, x: Any, r: int) -> Any:
        first = torch.relu(x @ params["W"][:, :-1].T + params["W"][:, -1])
        out = first @ params["A"].T
        return (first + torch.relu(out @ params["V"][:, :-1].T + params["V"][:, -1])) @ params["A"][r]

    def last() -> Any:
        found = features(params, X)
        return (found @ found.T).numpy()

    def ntk() -> Any:
        K, k = torch.zeros(len(X), len(X), dtype=X.dtype), len(given["A"])
        for r in range(k):
            rows = torch.func.vmap(torch.func.grad(output), in_dims=(None, 0, None))(params, X, r)
            for part in rows.values():
                J = part.flatten(start_dim=1)
                K.addmm_(J, J.T, alpha=1 / k)
        return K.numpy()

    return {"last": last, "ntk": ntk}


def finite_structured(given: Arrays) -> Calls:
    """neural-tangents' structured derivatives, its fastest here."""
    return _finite_neural_tangents(given, 3)


def finite_contraction(given: Arrays) -> Calls:
    """neural-tangents' Jacobian contraction, its default."""
    return _finite_neural_tangents(given, 1)


def _finite_neural_tangents(given: Arrays, implementation: int) -> Calls:
    jax, nt = _neural_tangents()
    X, W, V, A = (given[name] for name in "XWVA")
    # Biases apart: no structure is found in a slice of a matrix.
    params = tuple(map(jax.numpy.asarray, (W[:, :-1].T, W[:, -1], V[:, :-1].T, V[:, -1], A.T)))

    def features(params: Any, x: Any) -> Any:
        w, b, v, c, a = params
        first = jax.nn.relu(x @ w + b)
        return first + jax.nn.relu(first @ a @ v + c)

    def outputs(params: Any, x: Any) -> Any:
        w, b, v, c, a = params
        first = jax.nn.relu(x @ w + b)
        out = first @ a
        return out + jax.nn.relu(out @ v + c) @ a

    options = {"trace_axes": (-1,)}
    last = nt.empirical_nngp_fn(features, **options)  # a mean over features
    ntk = nt.empirical_ntk_fn(outputs, **options, vmap_axes=0, implementation=implementation)
    last, ntk = (nt.batch(of, batch_size=min(BLOCK, len(X)), device_count=0) for of in (last, ntk))
    return {"last": lambda: last(X, None, params) * len(W), "ntk": lambda: ntk(X, None, params)}


def _neural_tangents() -> tuple[Any, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import neural_tangents

    return jax, neural_tangents


# The worker ---------------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[Arrays], Calls]] = {
    way.__name__: way
    for way in (
        closed, closed_jax, closed_neural_tangents, finite, finite_torch, finite_structured, finite_contraction
    )
}  # fmt: skip


def peak() -> float:
    """The most memory that this process has had, in MB; ``ru_maxrss``, where needed, outlives exec on Linux."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1.024e-3
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def main(way: str, source: str, target: str) -> None:
    with np.load(source) as file:
        given = dict(file)
    calls, found = WAYS[way](given), {}
    _say(mb=peak())
    for line in sys.stdin:
        name = line.strip()
        begin = time.perf_counter()
        found[name] = np.asarray(calls[name]())
        _say(seconds=time.perf_counter() - begin, mb=peak())
    np.savez(target, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
