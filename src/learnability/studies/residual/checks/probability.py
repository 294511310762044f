"""Appendix B of Allen-Zhu & Li: Propositions B.1 and B.2 and Lemma B.3, by exact tails and by drawn matrices."""

from __future__ import annotations

import math

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.claims import judged
from learnability.evidence.intervals import mean
from learnability.seeding import generator
from learnability.studies.residual import PAPER
from learnability.studies.residual.theorems.probability import (
    chaos_tail,
    chi_square_tail,
    indicator_bound,
    matrix_norm_bound,
    sparse_norm_bound,
    square_tail,
)
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest

__all__ = ["CHECKS"]

UNITS = {"smoke": (1, 10, 1000), "laptop": (1, 2, 3, 10, 100, 1000, 10_000)}
SUMS = {"smoke": (1, 30), "laptop": (1, 3, 30, 300)}
SHAPES = {"smoke": ((1, 50, 5), (10, 10, 2)), "laptop": ((1, 50, 5), (10, 10, 2), (15, 200, 20))}
"""(n, m, s)."""
DRAWS = {"smoke": 50, "laptop": 300}


def chi_square(scale: str) -> list[Guarantee]:
    """Proposition B.1 at all t where float64 can compare, m from 1."""
    source = f"{PAPER}, Proposition B.1"
    cases = [
        Guarantee(f"[m={m},t={t:g}]", source, Kind.UPPER_BOUND, 1.0, chi_square_tail(m, t) / math.exp(-t))
        for m in UNITS[scale]
        for t in (1.0, 2.0, 5.0, 20.0, 100.0, 500.0)
    ]
    return [tightest("residual/prop-b1", cases, "exact tail over exp(-t)")]


def norms(scale: str) -> list[Guarantee]:
    """Proposition B.2 in the mean; the sparse norm by a search from below."""
    found: dict[str, list[Guarantee]] = {"norm": [], "sparse": []}
    source = f"{PAPER}, Proposition B.2 (constants: Davidson & Szarek)"
    for n, m, s in SHAPES[scale]:
        rng = generator(0, "prop B.2", n, m)
        drawn = [rng.standard_normal((n, m)) for _ in range(DRAWS[scale])]
        whole = [math.sqrt(np.linalg.eigvalsh(M @ M.T)[-1]) for M in drawn]
        sparse = [_sparse_norm(M, s) for M in drawn]
        bounds = (matrix_norm_bound(n, m), sparse_norm_bound(n, m, s))
        for cases, bound, sizes in zip(found.values(), bounds, (whole, sparse), strict=True):
            case = Guarantee(f"[n={n},m={m},s={s}]", source, Kind.UPPER_BOUND, bound)
            cases.append(judged(case, mean(sizes, comparisons=len(SHAPES[scale]), unit="matrices")))
    notes = {
        "norm": "mean norm against sqrt(n) + sqrt(m)",
        "sparse": "mean of the largest s-sparse norm found against sqrt(n) + sqrt(s) + sqrt(2 log C(m, s))",
    }
    return [tightest(f"residual/prop-b2[{name}]", cases, notes[name]) for name, cases in found.items()]


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
    """Lemma B.3 where 1[n >= 0] h is constant or a fair gate; B from where its bound is below 1."""
    found = []
    for name, tail in (("product", chaos_tail), ("square", square_tail)):
        cases = [
            Guarantee(
                f"[m={m},B={B:g},q={q:g}]", f"{PAPER}, Lemma B.3", Kind.UPPER_BOUND, 1.0,
                tail(m, B, q) / indicator_bound(B),
                (Hypothesis("not vacuous: 4 exp(-B^2/8) < 1", indicator_bound(B) < 1, f"B = {B:g}"),),
            )
            for m in SUMS[scale]
            for q in (1.0, 0.5)
            for B in (3.5, 5.0, 8.0, 12.0)
        ]  # fmt: skip
        found.append(tightest(f"residual/lemma-b3[{name}]", cases, "tail by quadrature over 4 exp(-B^2/8), L = 1"))
    return found


CHECKS = (
    Check("prop-b1", f"{PAPER}, Proposition B.1", chi_square),
    Check("prop-b2", f"{PAPER}, Proposition B.2", norms),
    Check("lemma-b3", f"{PAPER}, Lemma B.3", indicators),
)
