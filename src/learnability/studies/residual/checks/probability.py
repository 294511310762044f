"""Appendix B of Allen-Zhu & Li: Propositions B.1 and B.2 and Lemma B.3, by exact tails and by drawn matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.claims import judged
from learnability.evidence.intervals import mean
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT
from learnability.studies.residual.theorems.probability import (
    chaos_limit,
    chaos_tail,
    chi_square_tail,
    indicator_bound,
    matrix_norm_bound,
    sparse_norm_bound,
    square_limit,
    square_tail,
)
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest

__all__ = ["CHECKS"]

UNITS = {"smoke": (1, 10, 10**6), "laptop": (1, 2, 3, 10, 100, 1000, 10_000, 10**6)}
SUMS = {
    "smoke": ((1, (1.0, 0.5)), (1000, (1.0,))),
    "laptop": (*((m, (1.0, 0.5)) for m in (1, 3, 30, 300)), (10**4, (1.0,))),
}
"""m, and probabilities of an active unit, where the slowest rate is looked for."""
MANY = 10**4, 3.5
"""m and B at which the tail is that of a Gaussian, to within 0.4 %; from 3.33 on the printed bound is below 1."""
SHAPES = {"smoke": ((1, 50, 5), (1000, 50, 1)), "laptop": ((1, 50, 5), (10, 10, 2), (15, 200, 20), (2000, 50, 1))}
"""(n, m, s)."""
DRAWS = {"smoke": 50, "laptop": 300}


def chi_square(scale: str) -> list[Guarantee]:
    """Proposition B.1 at all t where float64 can compare, m from 1; half of it is true too, and no less.

    Statement
    ---------
    Proposition B.1: the squared length of m standard Gaussian numbers exceeds m by 2 sqrt(m t) + 2 t or more with
    probability at most exp(-t). One side only: for both it is 2 exp(-t).
    """
    source = f"{PAPER}, Proposition B.1 (half of it: this project)"
    cases = [
        Guarantee(f"[m={m},t={t:g}]", source, Kind.UPPER_BOUND, 0.5, chi_square_tail(m, t) / math.exp(-t))
        for m in UNITS[scale]
        for t in (1e-6, 0.1, 1.0, 5.0, 20.0, 100.0, 500.0)
    ]
    return [tightest("residual/prop-b1", cases, "exact tail over exp(-t), of which 1 / 2 is left as t -> 0, m -> oo")]


def norms(scale: str) -> list[Guarantee]:
    """Proposition B.2 in the mean; the sparse norm by a search from below.

    Statement
    ---------
    Proposition B.2: the spectral norm of an n x m matrix of standard Gaussian numbers is at most of the order
    sqrt(n) + sqrt(m), and on s-sparse vectors of the order sqrt(n) + sqrt(s log m). With constants sqrt(n) +
    sqrt(m) bounds the mean.
    """
    found: dict[str, list[Guarantee]] = {"norm": [], "sparse": []}
    source = f"{PAPER}, Proposition B.2 (constants: Davidson & Szarek)"
    for n, m, s in SHAPES[scale]:
        rng = generator(0, "prop B.2", n, m)
        whole, sparse = [], []
        for _ in range(DRAWS[scale]):
            M = rng.standard_normal((n, m))
            whole.append(math.sqrt(np.linalg.eigvalsh(M @ M.T if n < m else M.T @ M)[-1]))
            sparse.append(_sparse_norm(M, s))
        bounds = (matrix_norm_bound(n, m), sparse_norm_bound(n, m, s))
        for cases, bound, sizes in zip(found.values(), bounds, (whole, sparse), strict=True):
            case = Guarantee(f"[n={n},m={m},s={s}]", source, Kind.UPPER_BOUND, bound)
            cases.append(judged(case, mean(sizes, comparisons=len(SHAPES[scale]), unit="matrices")))
    notes = {
        "norm": "mean norm against sqrt(n) + sqrt(m)",
        "sparse": "mean of the largest s-sparse norm found against sqrt(n) + sqrt(s) + sqrt(2 log C(m, s))",
    }
    near = {name: min((g.slack or 0.0) / (g.bound or 1.0) for g in cases) for name, cases in found.items()}
    return [
        tightest(
            f"residual/prop-b2[{name}]", cases,
            f"{notes[name]}; drawn by NumPy alone: what is {100 * near[name]:.2g} % larger would be above it",
        )
        for name, cases in found.items()
    ]  # fmt: skip


def _sparse_norm(M: FloatArray, s: int) -> float:
    """A large |M v| over unit s-sparse v: the s largest correlations with the image, a few times over."""
    v = np.zeros(M.shape[1])
    v[np.argmax(np.linalg.norm(M, axis=0))] = 1.0
    best = 0.0
    for _ in range(4):
        scores = np.abs(M.T @ (M @ v))
        chosen = np.argpartition(scores, -s)[-s:]
        _, sizes, right = np.linalg.svd(M[:, chosen], full_matrices=False)
        best = max(best, float(sizes[0]))
        v = np.zeros(M.shape[1])
        v[chosen] = right[0]
    return best


def indicators(scale: str) -> list[Guarantee]:
    """Lemma B.3 where 1[n >= 0] h is constant or a fair gate: its tails, and the rate at which they fall.

    It prints 4 exp(-B^2 / 8), L = 1. For many units the sums are Gaussian with variance m and 2 m, which leaves the
    rates 1/2 and 1/4 of B^2; no m and B tried has a slower one.

    Statement
    ---------
    Lemma B.3: for independent standard Gaussian a_1, a_2 and gates that are on or off, the sum over m units of a_1
    a_2 times a gated number of size at most L exceeds B L (sqrt(m) + B) with probability at most 4 exp(-B^2 / 8), B
    >= 1; so does the same sum of a_1^2, less its mean.
    """
    m, B = MANY
    tails: dict[str, tuple[Callable[..., float], Callable[[int, float], float], str]] = {
        "product": (chaos_tail, chaos_limit, "1/2"),
        "square": (square_tail, square_limit, "1/4"),
    }
    found = []
    for name, (tail, limit, rate) in tails.items():
        slowest, at, active = min(
            (-math.log(size) / B**2, (m, B), q)
            for m, shares in SUMS[scale]
            for q, B in itertools.product(shares, (3.5, 5.0, 8.0, 12.0))
            if (size := tail(m, B, q)) > 0
        )
        note = (
            f"exact tail by quadrature over that of a Gaussian, m = {m}, B = {B:g}: the rate {rate} of B^2 is "
            f"attained as m and B grow, for the printed 1/8; slowest of all tried {slowest:.3g}, at (m, B) = {at}, "
            f"q = {active:g}; over the printed bound {tail(m, B, 1.0) / indicator_bound(B):.2g}"
        )
        ratio, source = tail(m, B, 1.0) / limit(m, B), f"{PROJECT}, Lemma B.3"
        found.append(
            Guarantee(f"residual/lemma-b3[{name}]", source, Kind.EXACT, 1.0, ratio, note=note, tolerance=0.005)
        )
    return found


CHECKS = (
    Check("prop-b1", f"{PAPER}, Proposition B.1", chi_square),
    Check("prop-b2", f"{PAPER}, Proposition B.2", norms),
    Check("lemma-b3", f"{PAPER}, Lemma B.3", indicators),
)
