r"""Runs that Figures 2 and 3 of Allen-Zhu & Li share: a network or kernel on H = beta F + alpha G(F), its whole grid.

A setting has

``solver``
    "sgd", a network trained by mini-batches; "regression", a method that is linear in what it trains (``last``,
    ``ntk``) solved at the same start, by kernel ridge regression; "closed", a kernel without a network.
``network``, ``method``
    As in :mod:`learnability.networks.residual`; for "closed" no network and one of :data:`CLOSED`.
``m``
    Width; 0 for "closed".
``d``, ``alpha``, ``beta``, ``samples``, ``validation``, ``test``, ``batch``, ``epochs``
    The problem (:class:`~learnability.problems.residual.PairTarget`) and its samples; batches and epochs of SGD.
``learning_rates``, ``weight_decays``
    The grid of SGD, numbers separated by spaces: all pairs are trained together from one start on the same batches.

A row is a point of the grid: a pair of SGD, or a ridge (and the width of a Gaussian, or the scale of the inputs).
Errors are :math:`E \|out - H\|^2`, without the 1/2 of the loss, NaN where a run diverged. SGD has momentum 0.9; its
learning rate is divided by 10 after half of the epochs; weight decay adds ω θ to the gradient, as PyTorch does.
Networks are trained in float32 (:mod:`learnability.training.grid`; ``last`` and ``ntk``, and everything where JAX
has an accelerator, by :mod:`learnability.training.minibatch`); kernels and regressions are in float64.

The paper reports the least *test* error of each grid. Here every grid is chosen from in two ways, see :func:`chosen`:
so, and by a validation sample that is used for nothing else. The regression of ``last`` is the exact solution. In
that of ``ntk`` every output fits H less the start's, with the tangent kernel's diagonal blocks averaged over outputs:
blocks off the diagonal are of order m^(-1/2), and with them (the exact solution of the linearisation,
:func:`learnability.kernels.coupled.fit_linearised`) errors were larger at every ridge and width tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import checks, extras
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks import residual as networks
from learnability.problems.residual import PairTarget, UniformSigns
from learnability.seeding import generator
from learnability.study import Row, Setting

if TYPE_CHECKING:
    import pandas as pd

CLOSED = {
    "gaussian": "Gaussian kernel",
    "arcsin": "arcsin kernel",
    "arcsine": "arcsine kernel, with bias",
    "recursive": "recursive kernel, depth 2",
    "conjugate": "conjugate kernel, 2 hidden layers",
    "tangent": "tangent kernel, 2 hidden layers",
    "last": "3resnet (last), infinite width",
    "ntk": "3resnet (NTK), infinite width",
}
"""Kernels in closed form; those of connected networks are at infinite width, with biases."""
GAUSSIANS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
"""gamma d of the Gaussian kernels exp(-gamma |x - z|^2) tried."""
SCALES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Factors of the inputs tried for the arcsine kernel, which saturates on long ones; in the column ``gamma``."""
TOGETHER = 200
"""Up to this width a grid is one task; above it, a task for each learning rate, so that workers share it."""
CELL = ["solver", "network", "method", "samples", "m", "beta", "seed"]
"""What tells grids apart."""

Kernel = Callable[[FloatArray, FloatArray], FloatArray]


def run(s: Setting, seed: int) -> list[Row]:
    """The whole grid of one method at one width."""
    d, N = int(s["d"]), int(s["samples"])
    target, inputs = PairTarget(d, float(s["alpha"]), float(s["beta"])), UniformSigns(d)
    X = inputs.sample(generator(seed, "sample", d, N), N)
    others = {name: inputs.sample(generator(seed, name, d), int(s[name])) for name in ("validation", "test")}
    if s["solver"] == "closed":
        rows = [
            {**row, "gamma": gamma}
            for gamma, kernel in _closed(str(s["method"]), d)
            for row in _regression(kernel, X, others, target)
        ]
    else:
        network, m = str(s["network"]), int(s["m"])
        start = networks.initial(generator(seed, "start", network, d, m), network, d, target.k, m)
        if s["solver"] == "sgd":
            return _sgd(s, start, X, others, target, generator(seed, "order", d, N))
        kernel, offset = _of_network(start, str(s["method"]))
        rows = [{**row, "gamma": 0.0} for row in _regression(kernel, X, others, target, offset)]
    return [{"learning_rate": 0.0, "weight_decay": 0.0, **row, "outcome": "fitted"} for row in rows]


# SGD ----------------------------------------------------------------------------------------------------------


def _sgd(
    s: Setting,
    start: Any,
    X: FloatArray,
    others: dict[str, FloatArray],
    target: PairTarget,
    order: np.random.Generator,
) -> list[Row]:
    method, epochs = str(s["method"]), int(s["epochs"])
    learner = networks.learner(start, method)
    grid = list(itertools.product(numbers(s["learning_rates"]), numbers(s["weight_decays"])))
    samples = {name: (learner.inputs(Z), target(Z)) for name, Z in {"train": X, **others}.items()}
    common: dict[str, Any] = {
        "learning_rate": [rate for rate, _ in grid],
        "weight_decay": [decay for _, decay in grid],
        "batch": int(s["batch"]),
        "epochs": epochs,
        "rng": order,
        "trainable": learner.trainable,
        "schedule": partial(_factor, epochs),
        "record": [epochs],
    }
    if method in ("all", "hidden") and not _accelerated():
        from learnability.training import grid as residual

        runs = residual.train(start, *samples["train"], momentum=0.9, watch=samples, **common)
    else:
        from learnability.training import minibatch
        from learnability.training.minibatch.optimisers import Sgd
        from learnability.training.minibatch.sources import examples

        sources = {name: examples(Z, Y) for name, (Z, Y) in samples.items()}
        runs = minibatch.train(
            learner.apply, learner.params, sources["train"], rule=Sgd(0.9), loss="squared", watch=sources, **common
        )
    return [
        {
            "learning_rate": one.learning_rate,
            "weight_decay": one.weight_decay,
            "ridge": 0.0,
            **{f"{name}_error": _last(one.columns[f"{name}_loss"]) for name in samples},
            "loo_error": float("nan"),
            "gamma": 0.0,
            "outcome": str(one.outcome),
        }
        for one in runs
    ]


def needs(s: Setting) -> tuple[str, ...]:
    """JAX, for what the grid engine cannot train: a last layer alone, or a linearisation."""
    return () if s["solver"] != "sgd" or s["method"] in ("all", "hidden") else ("jax",)


def _accelerated() -> bool:
    """Whether JAX works here and has something faster than this processor, which the grid engine is no match for."""
    if extras.absent("jax") or extras.broken("jax"):
        return False
    import jax

    return bool(jax.default_backend() != "cpu")


def _last(losses: FloatArray) -> float:
    return 2 * float(losses[-1]) if len(losses) and np.isfinite(losses[-1]) else float("nan")


def _factor(epochs: int, epoch: int) -> float:
    return 1.0 if epoch <= epochs / 2 else 0.1


def numbers(text: Any) -> list[float]:
    """The numbers of a setting's text."""
    return [float(word) for word in str(text).split()]


# Kernels ------------------------------------------------------------------------------------------------------


def _regression(
    kernel: Kernel,
    X: FloatArray,
    others: dict[str, FloatArray],
    target: PairTarget,
    offset: Callable[[FloatArray], Any] | None = None,
) -> list[Row]:
    """Ridge regression for all ridges, by one eigendecomposition."""
    from learnability.kernels.machine import RIDGES, gram, leave_one_out

    def wanted(Z: FloatArray) -> FloatArray:
        return target(Z) if offset is None else target(Z) - offset(Z)

    K = gram(kernel, X)
    ridges = tuple(float(np.trace(K)) / len(K) * ridge for ridge in RIDGES)
    residuals, coefficients = leave_one_out(K, wanted(X), ridges)
    crosses = {name: (kernel(Z, X), wanted(Z)) for name, Z in others.items()}
    crosses["train"] = (K, wanted(X))
    return [
        {
            "ridge": ridge,
            **{f"{name}_error": _square(cross @ c - Y) for name, (cross, Y) in crosses.items()},
            "loo_error": _square(left),
        }
        for ridge, left, c in zip(ridges, residuals, coefficients, strict=True)
    ]


def _square(differences: FloatArray) -> float:
    return float((differences**2).sum(axis=1).mean())


def _of_network(params: Any, method: str) -> tuple[Kernel, Callable[[FloatArray], Any] | None]:
    from learnability.kernels import residual_empirical as empirical

    if method == "last":
        return partial(empirical.conjugate, params), None

    def tangent(X: FloatArray, Z: FloatArray) -> FloatArray:
        K: FloatArray = np.sum(list(empirical.tangent(params, X, Z).values()), axis=0)
        return K

    return tangent, partial(networks.forward, params)


def _closed(method: str, d: int) -> Iterator[tuple[float, Kernel]]:
    """The kernels to choose from, with the parameter of each."""
    from learnability.kernels.named import kernel

    if method == "gaussian":
        for scaled in GAUSSIANS:
            yield scaled / d, kernel(method, gamma=scaled / d)
    elif method == "arcsine":
        sines = kernel(method)
        for scale in SCALES:
            yield scale, partial(_scaled, sines, scale)
    elif method == "recursive":
        yield 0.0, partial(_scaled, kernel(method, depth=2), 1 / math.sqrt(d))  # it wants unit vectors
    elif method in ("conjugate", "tangent"):
        yield 0.0, kernel(method, depth=2, weight=2.0, bias=2.0)
    else:
        yield 0.0, kernel({"last": "resnet-last", "ntk": "resnet-tangent"}.get(method, method))


def _scaled(kernel: Kernel, scale: float, X: FloatArray, Z: FloatArray) -> FloatArray:
    return kernel(scale * X, scale * Z)


# Choosing -----------------------------------------------------------------------------------------------------


def chosen(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """The row of every grid (:data:`CELL`) that is least in the column ``by``; none where all of it diverged."""
    finite = table.reset_index(drop=True).dropna(subset=[by])
    return finite.loc[finite.groupby(CELL)[by].idxmin()]


# Settings -----------------------------------------------------------------------------------------------------


def cells(
    solver: str, network: str, method: str, widths: tuple[int, ...], rates: str = "", decays: str = "", **common: Any
) -> tuple[Setting, ...]:
    """One method at several widths; a cell for each learning rate where the width is above :data:`TOGETHER`."""
    return tuple(
        {
            "solver": solver,
            "network": network,
            "method": method,
            "m": m,
            **common,
            "learning_rates": part,
            "weight_decays": decays,
        }
        for m in widths
        for part in (rates.split() if solver == "sgd" and m > TOGETHER else (rates,))
    )


def problem(
    samples: int = 1000,
    *,
    d: int = 30,
    alpha: float = 0.3,
    beta: float = 1.0,
    test: int = 4000,
    batch: int = 50,
    epochs: int = 800,
) -> dict[str, Any]:
    """Section 8.1's problem, by default with its numbers: free values, checked."""
    found = PairTarget(d, alpha, beta)
    sizes = {"samples": (samples, 2), "test": (test, 2), "batch": (batch, 1), "epochs": (epochs, 1)}
    for name, (size, least) in sizes.items():
        checks.integer(name, size, at_least=least)
    if not alpha > 0:
        raise RequestError(f"alpha must be > 0, for a line to be below, got {alpha}")
    return {
        "d": found.d,
        "alpha": alpha,
        "beta": beta,
        "samples": samples,
        "validation": test // 2,
        "test": test,
        "batch": batch,
        "epochs": epochs,
    }


def grid(learning_rates: Sequence[float], weight_decays: Sequence[float]) -> tuple[str, str]:
    """SGD's grid as a setting has it."""
    checks.several("learning_rates", learning_rates, checks.real, above=0.0)
    checks.several("weight_decays", weight_decays, checks.real, at_least=0.0)
    return _text(learning_rates), _text(weight_decays)


def _text(numbers: Sequence[float]) -> str:
    return " ".join(repr(float(number)).removesuffix(".0") for number in numbers)


WHOLE_RATES = {
    "all": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "hidden": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
}
"""{1, 2, 5} x 10^-k, the ends of which the paper does not say: at the upper end everything diverges, below the lower
one too little happens in 800 epochs."""
WHOLE_DECAYS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
RATES = {"all": (0.02, 0.05, 0.1, 0.2, 0.5), "hidden": (0.05, 0.1, 0.2, 0.5, 1.0)}
DECAYS = (0.0005, 0.001, 0.002, 0.005, 0.01)
"""The part of the grid that ``laptop`` has, around what is best for 3resnet. 3layer and 2layer are sometimes best at
the largest of these decays; at 0.02 and 0.05 they came 0.04 to 0.2 lower in cells tried, still above the line."""
KERNEL_RATES, KERNEL_DECAYS = "0.0005 0.001 0.002 0.005 0.01 0.02 0.05", "0.02 0.05 0.1 0.2 0.5 1"
"""For ``last`` and ``ntk`` by SGD: their kernels have a norm of about ten, and the best ridges are large."""


def opponents(
    trained: str,
    usual_widths: tuple[int, ...],
    usual_wide: tuple[int, ...],
    usual_by_sgd: tuple[int, ...],
    usual_rates: tuple[float, ...],
    usual_decays: tuple[float, ...],
    usual: dict[str, Any],
) -> Callable[..., tuple[Setting, ...]]:
    """Figure 2: networks at ``widths`` (3layer, whose steps cost m^2, at ``wide``), kernels exactly and by SGD."""

    def chosen_cells(
        d: int = usual["d"],
        alpha: float = usual["alpha"],
        beta: float = usual["beta"],
        samples: int = usual["samples"],
        test: int = usual["test"],
        batch: int = usual["batch"],
        epochs: int = usual["epochs"],
        widths: tuple[int, ...] = usual_widths,
        wide: tuple[int, ...] = usual_wide,
        by_sgd: tuple[int, ...] = usual_by_sgd,
        learning_rates: tuple[float, ...] = usual_rates,
        weight_decays: tuple[float, ...] = usual_decays,
    ) -> tuple[Setting, ...]:
        for name, given in (("widths", widths), ("wide", wide), ("by_sgd", by_sgd)):
            checks.several(name, given, checks.integer, empty=name == "by_sgd", at_least=1)
        common = problem(samples, d=d, alpha=alpha, beta=beta, test=test, batch=batch, epochs=epochs)
        swept = grid(learning_rates, weight_decays)
        found: list[Setting] = []
        for network in networks.NETWORKS:
            own = wide if network == "3layer" else widths
            found += cells("sgd", network, trained, own, *swept, **common)
            for method in ("last", "ntk"):
                found += cells("regression", network, method, own, **common)
                found += cells("sgd", network, method, by_sgd, KERNEL_RATES, KERNEL_DECAYS, **common)
        return (*found, *(cell for method in CLOSED for cell in cells("closed", "none", method, (0,), **common)))

    return chosen_cells


def faint(
    trained: str,
    usual_widths: tuple[int, ...],
    usual_betas: tuple[float, ...],
    usual_rates: tuple[float, ...],
    usual_decays: tuple[float, ...],
    usual_samples: tuple[int, ...],
    usual: dict[str, Any],
) -> Callable[..., tuple[Setting, ...]]:
    """Figure 3: 3resnet at ``widths`` for each of ``betas`` and of the sizes ``samples``."""

    def chosen_cells(
        d: int = usual["d"],
        alpha: float = usual["alpha"],
        betas: tuple[float, ...] = usual_betas,
        samples: tuple[int, ...] = usual_samples,
        test: int = usual["test"],
        batch: int = usual["batch"],
        epochs: int = usual["epochs"],
        widths: tuple[int, ...] = usual_widths,
        learning_rates: tuple[float, ...] = usual_rates,
        weight_decays: tuple[float, ...] = usual_decays,
    ) -> tuple[Setting, ...]:
        checks.several("betas", betas, checks.real, at_least=0.0)
        checks.several("samples", samples, checks.integer, at_least=2)
        checks.several("widths", widths, checks.integer, at_least=1)
        swept = grid(learning_rates, weight_decays)
        return tuple(
            cell
            for N in samples
            for beta in betas
            for cell in cells(
                "sgd", "3resnet", trained, widths, *swept,
                **problem(N, d=d, alpha=alpha, beta=beta, test=test, batch=batch, epochs=epochs),
            )
        )  # fmt: skip

    return chosen_cells


BETAS = (1.0, 0.5, 0.3, 0.2, 0.0)
"""Of Figure 3."""
WIDTHS = (20, 50, 100, 200, 500, 1000, 2000)
"""Of ``paper``."""
