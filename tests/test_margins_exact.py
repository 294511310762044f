"""The hard margin's two bounds against exact rational arithmetic."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.theory.margins import hard_margin
from learnability.theory.margins.directed import dots, length


def solve(A, b):
    """Solve A x = b in fractions; None if A is singular."""
    rows = [[*row, right] for row, right in zip(A, b, strict=True)]
    for i in range(len(rows)):
        pivot = next((r for r in range(i, len(rows)) if rows[r][i]), None)
        if pivot is None:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for r in range(len(rows)):
            if r != i and rows[r][i]:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[-1] for row in rows]


def squared_distance(points):
    """The squared distance of the origin from the convex hull: the least over faces, each by its affine hull."""
    found = []
    for size in range(1, len(points[0]) + 2):
        for face in itertools.combinations(points, size):
            gram = [[sum(a * b for a, b in zip(p, q, strict=True)) for q in face] for p in face]
            system = [*([*row, Fraction(1)] for row in gram), [Fraction(1)] * size + [Fraction(0)]]
            solution = solve(system, [Fraction(0)] * size + [Fraction(1)])
            if solution is not None and min(solution[:-1]) >= 0:
                found.append(sum(u * v * g for u, row in zip(solution, gram) for v, g in zip(solution, row)))
    return min(found)


def bracketed(V, y):
    V, y = np.asarray(V, float), np.asarray(y, float)
    result = hard_margin(V, y)
    exact = squared_distance([[Fraction(float(label * x)) for x in v] for v, label in zip(V, y, strict=True)])
    assert Fraction(result.margin) ** 2 <= exact <= Fraction(result.upper) ** 2
    if result.separable:  # and it is the margin of this w
        products = [
            sum(Fraction(float(label * x)) * Fraction(c) for x, c in zip(v, result.w.tolist(), strict=True))
            for v, label in zip(V, y, strict=True)
        ]
        square = sum(Fraction(c) ** 2 for c in result.w.tolist())
        assert min(products) > 0
        assert Fraction(result.margin) ** 2 * square <= min(products) ** 2
    return result, exact


def test_points_far_from_the_origin_beside_their_margin():
    V = [[-1000002.0, -1000005.0], [999998.0, 1000001.0], [-1000002.0, -999996.0]]
    result, exact = bracketed(V, [1, 1, 1])
    assert math.sqrt(exact) == pytest.approx(4.2426343e-6, rel=1e-7)
    assert 0 < result.gap < 1e-4 * result.upper


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from(["plain", "rows", "columns", "far", "whole"]),
)
def test_the_exact_margin_lies_between_both_bounds(seed, m, d, kind):
    rng = np.random.default_rng(seed)
    V = rng.integers(-9, 10, (m, d)).astype(float)
    if kind != "whole":
        V += rng.standard_normal((m, d))
    y = rng.choice([-1.0, 1.0], m) if seed % 2 else np.where(V @ rng.standard_normal(d) >= 0, 1.0, -1.0)
    if kind == "rows":
        V *= 10.0 ** rng.uniform(-8, 8, (m, 1))
    if kind == "columns":
        V *= 10.0 ** rng.uniform(-8, 8, d)
    if kind == "far":
        V = y[:, None] * V + rng.choice([-1, 1], (m, 1)) * 10.0 ** rng.uniform(6, 8)
    bracketed(V, y)


def test_products_are_rounded_once_and_lengths_do_not_overflow():
    rows = np.array([[1e16, 1.0, -1e16], [0.1, 0.2, -0.3], [1 + 2.0**-52, 1 - 2.0**-52, -1.0]])
    w = np.array([1.0, 1e-3, 1.0])
    exact = [float(sum(Fraction(a) * Fraction(b) for a, b in zip(row, w))) for row in rows.tolist()]
    assert dots(rows, w).tolist() == exact
    assert dots(rows, w)[0] == 1e-3
    assert length(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert length(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert length(np.zeros(3)) == 0.0
