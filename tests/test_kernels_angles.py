"""Kernels with an arccosine keep their digits where two inputs are equal, nearly so, or opposite: against mpmath."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.kernels import angles, residual
from learnability.kernels.closed_form import conjugate, tangent
from learnability.kernels.inner_product import arcsin, arcsine


def inputs(seed, n, distance, size=1.0):
    """Some inputs, the same ones, longer, opposite, and all of these moved by about ``distance``."""
    rng = np.random.default_rng(seed)
    X = size * rng.standard_normal((3, n))
    same = np.concatenate([X, 3 * X, -X, -0.5 * X])
    return X, np.concatenate([same, same + distance * size * rng.standard_normal(same.shape)])


def matrix(rows):
    return [[mpmath.mpf(float(entry)) for entry in row] for row in rows]


def inner(x, z):
    return mpmath.fsum(a * b for a, b in zip(x, z, strict=True))


def cosine(a, b, c):
    """c over the root of a b, within [-1, 1]."""
    return min(max(c / mpmath.sqrt(a * b), mpmath.mpf(-1)), mpmath.mpf(1))


def kappas(rho):
    theta = mpmath.acos(rho)
    return (mpmath.pi - theta) / mpmath.pi, (mpmath.sin(theta) + (mpmath.pi - theta) * rho) / mpmath.pi


def layers(xx, zz, xz, depth, weight, bias, trained):
    """Conjugate and tangent kernel of one pair, as the module's docstring has them."""
    K = [weight * part + bias for part in (xx, zz, xz)]
    theta = weight * xz + trained
    for _ in range(depth):
        kappa0, kappa1 = kappas(cosine(*K))
        last = mpmath.sqrt(K[0] * K[1]) * kappa1 / 2
        theta = weight * last + trained + weight * theta * kappa0 / 2
        K = [weight * K[0] / 2 + bias, weight * K[1] / 2 + bias, weight * last + bias]
    return last, theta


def each_pair(X, Z, kernel):
    """A kernel of squared norms and inner product, in many digits."""
    with mpmath.workdps(60):
        X, Z = matrix(X), matrix(Z)
        return np.array([[kernel(inner(x, x), inner(z, z), inner(x, z)) for z in Z] for x in X], dtype=object)


def close(found, expected, scale=1.0):
    """Entry by entry, to a few roundings of the entry or of ``scale``."""
    np.testing.assert_allclose(found, expected.astype(np.float64), rtol=4e-14, atol=4e-15 * scale)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 40), distance=st.sampled_from([0.0, 1e-14, 1e-9, 1e-6, 1e-3, 1.0]),
    depth=st.integers(1, 4), bias=st.sampled_from([0.0, 0.1, 3.0]), weight=st.sampled_from([2.0, 0.3]),
)  # fmt: skip
def test_networks_of_infinite_width(seed, n, distance, depth, bias, weight):
    X, Z = inputs(seed, n, distance)
    exact = each_pair(X, Z, lambda *of: layers(*of, depth, mpmath.mpf(weight), mpmath.mpf(bias), mpmath.mpf(bias)))
    options = {"depth": depth, "weight": weight, "bias": bias}
    for found, expected in zip((conjugate(X, Z, **options), tangent(X, Z, **options)), np.moveaxis(exact, 2, 0)):
        close(found, expected, float(abs(expected).max()))


@pytest.mark.parametrize("depth", [1, 10, 100])
@pytest.mark.parametrize("bias", [0.0, 0.1])
def test_the_diagonal_is_right_whatever_the_depth(depth, bias):
    """Each layer doubled an error of 1e-8 before: of an input with itself kappa_0 is 1."""
    X = np.random.default_rng(0).standard_normal((50, 30)) / math.sqrt(30)
    exact = each_pair(X[:2], X[:2], lambda *of: layers(*of, depth, mpmath.mpf(2), mpmath.mpf(bias), 0)[1])
    found = tangent(X, X, depth=depth, weight=2.0, bias=bias, trained_bias=0.0)
    np.testing.assert_allclose(
        found[:2, :2].diagonal(), exact.diagonal().astype(np.float64), rtol=1e-15 * (depth + 5)
    )


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 40), distance=st.sampled_from([0.0, 1e-14, 1e-9, 1e-6, 1e-3, 1.0]),
    size=st.sampled_from([1e-5, 1.0, 1e5]),
)  # fmt: skip
def test_arcsines(seed, n, distance, size):
    X, Z = inputs(seed, n, distance, size)
    exact = each_pair(X, Z, lambda xx, zz, xz: 2 / mpmath.pi * mpmath.asin(cosine(xx, zz, xz)))
    close(arcsin(X, Z), exact)
    exact = each_pair(
        X, Z, lambda xx, zz, xz: 2 / mpmath.pi * mpmath.asin(cosine(3 + 2 * xx, 3 + 2 * zz, 2 * xz + 2))
    )
    close(arcsine(X, Z), exact)


@settings(max_examples=10)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 30), distance=st.sampled_from([0.0, 1e-14, 1e-9, 1e-6, 1e-3, 1.0]),
    k=st.integers(1, 20),
)  # fmt: skip
def test_kernels_of_the_resnet(seed, n, distance, k):
    X, Z = inputs(seed, n, distance)
    m = 200

    def first(xx, zz, xz):
        """Its kappas, and the covariance Sigma."""
        kappa0, kappa1 = kappas(cosine(1 + xx, 1 + zz, 1 + xz))
        return kappa0, mpmath.sqrt((1 + xx) * (1 + zz)) * kappa1 / 2

    W = each_pair(X, Z, lambda xx, zz, xz: (1 + xz) * first(xx, zz, xz)[0] / 2)
    close(residual.limit(X, Z).W, W, float(abs(W).max()))

    def V(xx, zz, xz):
        size = k / mpmath.mpf(m)
        between = 1 + size * first(xx, zz, xz)[1]
        return between * kappas(cosine(1 + size * (1 + xx) / 2, 1 + size * (1 + zz) / 2, between))[0] / 2

    exact = each_pair(X, Z, V)
    close(residual.average(X, Z, m=m, k=k).V, exact, float(abs(exact).max()))
    given = each_pair(X, Z, lambda xx, zz, xz: (1 + xz) * kappas(cosine(1 + xx, 1 + zz, 1 + xz))[0] / 2)
    found = residual.given_bottleneck(np.ones((3, 1)), np.ones((len(Z), 1)), X, Z, m=m).V
    close(found, given, float(abs(given).max()))


def test_an_angle_has_its_digits_at_both_ends():
    u = np.array([[0.6, 0.8]])
    for small in (1e-3, 1e-8, 1e-15):
        turned = np.array(
            [[0.6 * math.cos(small) - 0.8 * math.sin(small), 0.8 * math.cos(small) + 0.6 * math.sin(small)]]
        )
        found = angles.angles(u, np.concatenate([turned, -turned]))
        np.testing.assert_allclose(found.theta[0], [small, math.pi - small], rtol=0, atol=4e-16)
        np.testing.assert_allclose(found.gap[0, 0], 2 * math.sin(small / 2) ** 2, rtol=0, atol=4e-16 * small + 1e-31)
    zero = angles.angles(u, np.zeros((1, 2)))
    assert (zero.theta[0, 0], zero.gap[0, 0]) == (math.pi / 2, 1.0)
