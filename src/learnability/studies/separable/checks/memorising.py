"""Theorem 7 of Brutzkus et al.: weights that fit any labels, and what such a global minimum is worth on a test set.

On points in general position with random labels, with and without a constant coordinate; on scikit-learn's digits 3
and 5; and in exact arithmetic modulo a prime, for the width that this project proves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.evidence.intervals import mean
from learnability.networks.gadgets import pencil
from learnability.networks.memorising import memorise, proof_width, stated_width
from learnability.networks.separable import forward, initial
from learnability.problems.separable import random_separable
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.checks.landscape import DRAWS, digits
from learnability.studies.separable.theorems import landscape as theory
from learnability.studies.separable.theorems import prop1_critical_points as prop1
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.training.two_layer import train

__all__ = ["CHECKS"]

PRIME = 2**31 - 1
LEARNT = 0.1
"""Test error at which SGD counts as having learnt."""


def theorem7(scale: str) -> list[Guarantee]:
    """The constructions on random points with any labels, at each width; then a bad global minimum beside SGD's."""
    cases: dict[str, list[Guarantee]] = {}

    def add(name: str, X: FloatArray, rng: np.random.Generator, statement: str, construction: str, i: int) -> None:
        y = rng.choice([-1.0, 1.0], len(X))
        alpha = float(rng.choice([0.0, 0.1, 0.5, 0.9]))
        rank, positive = int(np.linalg.matrix_rank(X)), int((y > 0).sum())
        d = X.shape[1] if rank == min(X.shape) else rank
        widths = {
            "stated": stated_width(len(X), d),
            "proof": proof_width(positive, len(X) - positive, d),
            "least": -(-len(X) // d),
        }
        try:
            made = memorise(X, y, alpha=alpha, rng=rng, construction=construction, width=widths[statement])
            residual = float(np.abs(forward(made.params, X, alpha=alpha) - y).max())
            k, note = made.k, made.construction
        except ValueError as error:  # counts against the statement
            residual, k, note = 1.0, widths[statement], str(error)
        sizes: dict[str, Any] = {"n": len(X), "d": d, "k": k, "statement": statement, "positive": positive}
        case, note = f"n={len(X)},d={d},alpha={alpha:g},{i}", note if residual > 1e-6 else ""
        cases.setdefault(f"{statement},{name}", []).append(
            theory.theorem7(**sizes, residual=residual, case=case, note=note)
        )

    for i in range(DRAWS[scale]):
        rng = generator(0, "thm7", i)
        d, n = int(rng.integers(2, 15)), int(rng.integers(1, 71))
        X = rng.standard_normal((n, d))
        if n > d:
            add("mixed gadgets", X, rng, "proof", "mixed", i)
            add("gadgets of one class", X, rng, "proof", "same_sign", i)
            add("hyperplanes", X, rng, "stated", "hyperplanes", i)
        add("any construction", X, rng, "least", "auto", i)
        biased = np.column_stack([X[:, 1:], np.full(n, float(rng.uniform(0.1, 2)))])
        if n > d:
            add("constant coordinate", biased, rng, "stated", "constant", i)
        add("constant coordinate", biased, rng, "least", "auto", i)
    images = digits().X
    for i in range(4):
        add("digits 3 and 5", images, generator(0, "thm7 digits", i), "stated", "hyperplanes", i)
    found = [
        tightest(statement_id("separable/thm7", *name.split(",", 1)), gs, "random labels, alpha in {0, .1, .5, .9}")
        for name, gs in cases.items()
    ]
    return [*found, _exact(scale), *_overfitting(scale)]


def _exact(scale: str) -> Guarantee:
    """Rank n of the matrix of :func:`learnability.networks.gadgets.hyperplanes` at k = ceil(n / d), modulo a prime.

    Integer points, so that the rank is a proof for these points: any real values on them can be met. Half of them
    with a constant coordinate.
    """
    deficient, largest = 0, 0
    for i in range(DRAWS[scale]):
        rng = generator(0, "thm7 rank", i)
        d = int(rng.integers(2, 15))
        n = int(rng.integers(d + 1, 71))
        points = rng.integers(-(10**8), 10**8 + 1, (n, d))
        if i % 2:
            points[:, 0] = 1
        k = -(-n // d)
        sides = points @ pencil(points.astype(np.float64), k, rng).T > 0
        M = np.concatenate([sides[:, :, None] * points[:, None, :], points[:, None, :]], axis=1).reshape(n, -1)
        deficient += rank_modulo(M) < n
        largest = max(largest, n)
    note = (
        f"sets of integer points, of {DRAWS[scale]} with n <= {largest}, whose gradients at k = ceil(n / d) "
        f"have not rank n modulo {PRIME} (rank n there proves rank n)"
    )
    source = f"this project, on {PAPER}, Theorem 7"
    return Guarantee("separable/thm7-rank[least]", source, Kind.EXACT, 0, deficient, note=note)


def rank_modulo(M: NDArray[np.int64], prime: int = PRIME) -> int:
    """Rank of an integer matrix modulo a prime below 2^31: at most its rank over the rationals."""
    M, rank = M % prime, 0
    for column in range(M.shape[1]):
        pivots = np.flatnonzero(M[rank:, column])
        if not len(pivots):
            continue
        pivot = rank + int(pivots[0])
        M[[rank, pivot]] = M[[pivot, rank]]
        M[rank] = M[rank] * pow(int(M[rank, column]), -1, prime) % prime
        below = M[rank + 1 :]
        below -= below[:, column, None] * M[rank] % prime
        below %= prime
        rank += 1
        if rank == len(M):
            break
    return rank


def _overfitting(scale: str) -> list[Guarantee]:
    """The same training points, two global minima of one architecture: one by construction, one by SGD."""
    found: dict[str, list[Guarantee]] = {}
    learnt = []
    for name, runs in (("ball d=10", {"smoke": 3, "laptop": 20}[scale]), ("digits 3 and 5", 4)):
        errors = []
        for i in range(runs):
            rng = generator(0, "overfitting", name, i)
            if name.startswith("ball"):
                X, y = random_separable(rng, 10, 0.2).sample(rng, 260)
                m = 200
            else:
                X, y = digits().X, digits().y
                order = rng.permutation(len(y))
                X, y, m = X[order], y[order], 275
            alpha, k = 0.1, stated_width(len(y), int(np.linalg.matrix_rank(X)))
            start = initial(rng, X.shape[1], k)  # the minimum made below has its output weights
            wanted = np.concatenate([y[:m], -y[m:]])
            made = memorise(X, wanted, alpha=alpha, rng=rng, width=k, v=float(start.v[0]), exact_hinge=True).params
            run = train(start, X[:m], y[:m], eta=0.1, alpha=alpha, rng=rng, epochs=20_000, record=[20_000])
            for g in theory.theorem7_overfitting(
                hinge=prop1.hinge_loss(made, X[:m], y[:m], alpha=alpha),
                test_error=float((y[m:] * forward(made, X[m:], alpha=alpha) <= 0).mean()),
                sgd_hinge=prop1.hinge_loss(run.params, X[:m], y[:m], alpha=alpha),
                case=f"k={k},run {i}",
            ):
                found.setdefault(statement_id(g.id.partition("[")[0], name), []).append(g)
            errors.append(float((y[m:] * forward(run.params, X[m:], alpha=alpha) <= 0).mean()))
        note = f"test error where SGD ends, on the same data; largest {max(errors):.3g}"
        identity, where = f"thm7-sgd-test-error[{name}]", "Section 6.1 (observation)"
        learnt.append(claim(identity, where, LEARNT, mean(errors, unit="runs"), "at_most", note))
    return [tightest(identity, gs) for identity, gs in found.items()] + learnt


CHECKS = (Check("thm7", f"{PAPER}, Theorem 7", theorem7),)
