"""Kernels of the residual study: empirical ones against automatic differentiation, closed forms against draws."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from learnability.kernels import inner_product, pairs, residual
from learnability.kernels import residual_empirical as empirical
from learnability.networks.residual import METHODS, NETWORKS, Layer2, apply, features, forward, initial


def network(name, seed=0, d=4, k=2, m=7, **scales):
    return initial(np.random.default_rng(seed), name, d, k, m, **scales)


def inputs(seed=1, n=5, r=3, d=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((r, d))


# Finite width


@pytest.mark.parametrize("name", NETWORKS)
def test_the_tangent_kernel_is_the_product_of_jacobians(name, monkeypatch):
    jax = pytest.importorskip("jax")
    params, (X, Z) = network(name, sigma_w=1.0, sigma_v=1.5), inputs()
    with jax.enable_x64(True):
        both = jax.jit(jax.jacobian(apply))(params, np.vstack([X, Z]))
        left, right = ([np.asarray(part)[rows] for part in both] for rows in (slice(5), slice(5, None)))
    each = {
        field: np.tensordot(a, b, axes=((2, 3), (2, 3))).transpose(1, 0, 3, 2)  # (k, n, k, r)
        for field, a, b in zip(params._fields, left, right)
    }
    for workspace in (pairs.WORKSPACE, 16 * 10 * 7 * 2):  # all at once, and rows one by one
        monkeypatch.setattr(pairs, "WORKSPACE", workspace)
        np.testing.assert_allclose(empirical.tangent_blocks(params, X, Z), sum(each.values()), rtol=1e-9, atol=1e-12)
        parts = empirical.tangent(params, X, Z)
        assert set(parts) == set(params._fields)
        for field, wanted in each.items():
            found = empirical.tangent_blocks(params, X, Z, train=(field,))
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(parts[field], np.einsum("rirj->ij", wanted) / 2, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            empirical.conjugate(params, X, Z), features(params, X) @ features(params, Z).T, rtol=1e-12
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_inputs_are_done_by_halves(name, monkeypatch):
    """The half that is mirrored is what it would be if it were not."""
    params, (X, _) = network(name, sigma_w=1.0, sigma_v=1.5), inputs()
    wider = np.vstack([X, X[:1]])  # one more row: nothing is mirrored
    whole, parts = empirical.tangent_blocks(params, X, wider)[..., :5], empirical.tangent(params, X, wider)
    for workspace in (pairs.WORKSPACE, 2500, 1):
        monkeypatch.setattr(pairs, "WORKSPACE", workspace)
        np.testing.assert_allclose(empirical.tangent_blocks(params, X, X.copy()), whole, rtol=1e-9, atol=1e-13)
        for field, part in empirical.tangent(params, X, X).items():
            np.testing.assert_allclose(part, parts[field][:, :5], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_keep_within_the_workspace(name, monkeypatch):
    import tracemalloc

    params, (X, Z) = network(name, k=3, m=100), inputs(n=300, r=300)
    monkeypatch.setattr(pairs, "WORKSPACE", 400_000)
    for other in (Z, X):
        empirical.tangent(params, X[:2], other[:2])
        tracemalloc.start()
        empirical.tangent(params, X, other)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 300**2 * len(params) + 400_000 + 300_000  # parts, workspace, and products of its blocks


def test_hidden_is_everything_but_the_output():
    params, (X, Z) = network("3resnet"), inputs()
    both = empirical.tangent_blocks(params, X, Z, train=("V", "W"))
    one = [empirical.tangent_blocks(params, X, Z, train=(name,)) for name in "VW"]
    np.testing.assert_allclose(both, one[0] + one[1], atol=1e-14)
    assert "hidden" in METHODS


def test_the_coupled_kernel_is_a_kernel():
    params, (X, _) = network("3resnet", sigma_w=1.0), inputs()
    K = empirical.tangent_blocks(params, X, X).reshape(10, 10)
    np.testing.assert_allclose(K, K.T, atol=1e-12)
    assert np.linalg.eigvalsh(K).min() > -1e-12


def test_the_bottleneck():
    params, (X, _) = network("3resnet"), inputs()
    np.testing.assert_allclose(empirical.bottleneck(params, X), forward(Layer2(params.W, params.A), X))


def test_kernels_that_would_not_fit(monkeypatch):
    params, (X, Z) = network("3resnet"), inputs()
    monkeypatch.setattr(pairs, "MEMORY", 8 * 4 * 3 * 2)
    with pytest.raises(ValueError, match="X must have at most 2 rows for 3 rows of Z"):
        empirical.tangent_blocks(params, X, Z)
    monkeypatch.setattr(pairs, "MEMORY", 8 * 3 * 4)
    with pytest.raises(ValueError, match="at most 4 rows"):
        empirical.conjugate(params, X, Z)
    with pytest.raises(ValueError, match="at most 1 rows"):
        empirical.tangent(params, X, Z)
    assert empirical.conjugate(params, X[:4], Z).shape == (4, 3)


def test_bad_input_of_the_empirical_kernels():
    params, (X, Z) = network("3resnet"), inputs()
    with pytest.raises(ValueError, match="train must name fields"):
        empirical.tangent_blocks(params, X, Z, train=("A", "U"))
    for train in ((), None.__class__, 3, "A", ([],)):
        with pytest.raises(ValueError, match="train must name fields"):
            empirical.tangent_blocks(params, X, Z, train=train)
    for call in (empirical.conjugate, empirical.tangent, empirical.tangent_blocks):
        with pytest.raises(ValueError, match="params must be a ResNet3, a Layer3 or a Layer2, got NoneType"):
            call(None, X, Z)
        with pytest.raises(ValueError, match=r"params\.V must have shape"):
            call(params._replace(V=np.ones((2, 2))), X, Z)
    with pytest.raises(ValueError, match="params must be a ResNet3, got Layer2"):
        empirical.bottleneck(network("2layer"), X)
    with pytest.raises(ValueError, match="Z must have 4 columns"):
        empirical.conjugate(params, X, Z[:, 1:])


# Infinite width, in closed form


def formulas(x, z):
    """Sigma, <x~, z~>, kappa_0 at one pair, from the definition."""
    x, z = np.append(x, 1), np.append(z, 1)
    a, b, inner = np.linalg.norm(x), np.linalg.norm(z), x @ z
    rho = min(1.0, inner / a / b)
    gate = 1 - math.acos(rho) / math.pi
    return 0.5 * a * b * (math.sqrt(1 - rho**2) / math.pi + rho * gate), inner, gate, a, b


def test_the_limit_is_the_formula():
    X, Z = inputs()
    found = residual.limit(X, Z)
    for i, x in enumerate(X):
        for j, z in enumerate(Z):
            sigma, inner, gate, a, b = formulas(x, z)
            last = sigma + 0.5 + (a + b) / (2 * math.pi)
            assert found.last[i, j] == pytest.approx(last)
            assert found.ntk[i, j] == pytest.approx(last + 0.5 + 0.5 * inner * gate)
            assert found.hidden[i, j] == pytest.approx(0.5 + 0.5 * inner * gate)


def test_numbers_of_section_8():
    """The pair of the specification: 30 signs that agree in all places but some, limits 15.17, .5, 9.98, 25.66."""
    x = np.ones((1, 30))
    z = x.copy()
    z[0, :3] = -1
    found = residual.limit(x, z)
    assert [round(float(part[0, 0]), 2) for part in (found.last, found.V, found.W, found.ntk)] == [
        15.17,
        0.5,
        9.98,
        25.66,
    ]
    finite = {m: residual.average(x, z, m=m, k=15) for m in (200, 2000, 20_000)}
    for m, last, V in ((200, 16.50, 0.850), (2000, 15.32, 0.516), (20_000, 15.19, 0.495)):
        assert finite[m].last[0, 0] == pytest.approx(last, abs=0.01)
        assert finite[m].V[0, 0] == pytest.approx(V, abs=0.001)


def test_average_is_given_bottleneck_at_the_mean():
    X, Z = inputs()
    m, k = 500, 3
    average = residual.average(X, Z, m=m, k=k, sigma_w=0.2, sigma_v=1.3)
    for i in range(len(X)):
        for j in range(len(Z)):
            xx, zz, xz = (formulas(a, b)[0] for a, b in ((X[i], X[i]), (Z[j], Z[j]), (X[i], Z[j])))
            root = np.linalg.cholesky(k * 0.2**2 * np.array([[xx, xz], [xz, zz]]))
            O, P = (np.pad(row, (0, 1))[None] for row in root)  # two vectors with exactly these inner products
            given = residual.given_bottleneck(X[[i]], Z[[j]], O, P, m=m, sigma_w=0.2, sigma_v=1.3)
            for name in ("last", "A", "V", "W"):
                assert getattr(given, name)[0, 0] == pytest.approx(getattr(average, name)[i, j], rel=1e-9)


def test_average_goes_to_the_limit():
    X, Z = inputs()
    near, limit = residual.average(X, Z, m=10**10, k=4), residual.limit(X, Z)
    for name in ("last", "A", "V", "W"):
        np.testing.assert_allclose(getattr(near, name), getattr(limit, name), atol=1e-4)


def test_given_bottleneck_is_the_formula():
    x, z, o, p = np.array([1.0, -2.0]), np.array([0.5, 3.0]), np.array([0.3, 0.4, -1.0]), np.array([2.0, 0.1, 0.7])
    m, k, sigma_w, sigma_v = 50, 3, 0.3, 1.7
    sigma, inner, gate, x_norm, z_norm = formulas(x, z)
    second, between, gate_o, a, b = formulas(o, p)  # of (o, 1) and (p, 1)
    mixed = math.sqrt(m) * sigma_w * sigma_v / (2 * math.pi)
    first = m * sigma_w**2 * sigma
    last = first + sigma_v**2 * second + mixed * (x_norm * b + z_norm * a)
    B, B_z = (sigma_v * sigma_w * n / (2 * math.pi * math.sqrt(m) * c) for n, c in ((x_norm, a), (z_norm, b)))
    c = k * sigma_v**2 / (2 * m) * gate_o
    found = residual.given_bottleneck(x[None], z[None], o[None], p[None], m=m, sigma_w=sigma_w, sigma_v=sigma_v)
    assert found.last[0, 0] == pytest.approx(last)
    assert found.V[0, 0] == pytest.approx(0.5 * between * gate_o)
    assert found.W[0, 0] == pytest.approx(0.5 * inner * gate * (1 + B + B_z + c))
    # <phi(x), relu(h(z))> lacks what phi(z) has in relu(V o~) at z.
    A = last + B_z * (first + mixed * z_norm * a) + B * (first + mixed * x_norm * b) + c * first
    assert found.A[0, 0] == pytest.approx(A)


@pytest.mark.parametrize(("sigma_w", "sigma_v", "m"), [(None, 1.0, 400), (0.5, 2.0, 400), (None, 3.0, 100)])
def test_given_bottleneck_against_networks(sigma_w, sigma_v, m):
    X, Z = inputs(n=1, r=2, d=6)
    Z = 3 * Z
    ratios = []
    for seed in range(400):
        params = network("3resnet", seed, d=6, k=5, m=m, sigma_w=sigma_w, sigma_v=sigma_v)
        O, P = empirical.bottleneck(params, X), empirical.bottleneck(params, Z)
        given = residual.given_bottleneck(X, Z, O, P, m=m, sigma_w=sigma_w, sigma_v=sigma_v)
        parts = empirical.tangent(params, X, Z)
        last = empirical.conjugate(params, X, Z)
        ratios.append([last / given.last, *(parts[name] / getattr(given, name) for name in "AVW")])
    ratios = np.array(ratios)
    error = ratios.std(axis=0) / 20
    assert (np.abs(ratios.mean(axis=0) - 1) < 4 * error + 4 / m).all(), (ratios.mean(axis=0), error)
    assert error.max() < 0.03


def test_bad_input_of_the_closed_forms():
    X, Z = inputs()
    with pytest.raises(ValueError, match=r"O must have \d+ rows, got shape \(2, "):
        residual.given_bottleneck(X, Z, np.ones((2, 2)), np.ones((3, 2)), m=10)
    with pytest.raises(ValueError, match="sigma_w must be > 0"):
        residual.average(X, Z, m=10, k=2, sigma_w=0.0)
    with pytest.raises(ValueError, match="Z must have 4 columns"):
        residual.limit(X, Z[:, 1:])
    with pytest.raises(ValueError, match="P must have 2 columns"):
        residual.given_bottleneck(X, Z, np.ones((5, 2)), np.ones((3, 3)), m=10)
    for call in (residual.limit, partial(residual.average, m=3, k=2)):
        with pytest.raises(ValueError, match="X, Z must keep the kernel within float64"):
            call(1e200 * X, 1e200 * Z)
    with pytest.raises(ValueError, match="m must be <= "):
        residual.average(X, Z, m=10**400, k=2)
    with pytest.raises(ValueError, match=r"sigma_v must be <= 1e\+50"):
        residual.average(X, Z, m=10, k=2, sigma_v=1e300)


def test_closed_forms_that_would_not_fit(monkeypatch):
    X = np.random.default_rng(3).standard_normal((50, 4))
    for arrays, call in ((10, residual.limit), (20, partial(residual.average, m=30, k=2))):
        monkeypatch.setattr(pairs, "MEMORY", 8 * arrays * 20 * 50)
        with pytest.raises(ValueError, match=r"at most 20 rows for 50 rows of Z \(31 rows of each would fit\)"):
            call(X, X)
        assert call(X[:20], X).ntk.shape == (20, 50)


# Functions of inner products


def test_arcsine_is_the_mean_of_error_functions():
    X, Z = inputs()
    K = inner_product.arcsine(X, Z)
    W = np.random.default_rng(2).standard_normal((200_000, 5))
    erf = np.vectorize(math.erf)
    lifted = [np.hstack([rows[:2], np.ones((2, 1))]) for rows in (X, Z)]
    drawn = erf(lifted[0] @ W[:20_000].T) @ erf(lifted[1] @ W[:20_000].T).T / 20_000
    np.testing.assert_allclose(K[:2, :2], drawn, atol=0.03)
    x = X[:1]
    assert inner_product.arcsine(x, x)[0, 0] == pytest.approx(
        2 / math.pi * math.asin(2 * (1 + x @ x.T)[0, 0] / (3 + 2 * (x @ x.T)[0, 0]))
    )


def test_polynomial_and_recursive():
    X, Z = inputs()
    inner = X @ Z.T
    np.testing.assert_allclose(inner_product.polynomial(X, Z, degree=3, offset=0.5), (inner + 0.5) ** 3)
    short, other = X / 10, Z / 10
    t = short @ other.T
    np.testing.assert_allclose(inner_product.recursive(short, other), 1 / (2 - t))
    np.testing.assert_allclose(inner_product.recursive(short, other, depth=2), 1 / (2 - 1 / (2 - t)))
    unit = X[:1] / np.linalg.norm(X[0])
    assert inner_product.recursive(unit, unit, depth=50)[0, 0] == pytest.approx(1, abs=1e-12)
    with pytest.raises(ValueError, match="X must have rows of norm <= 1"):
        inner_product.recursive(10 * X, other)
    with pytest.raises(ValueError, match="offset must be >= 0"):
        inner_product.polynomial(X, Z, degree=2, offset=-1)


@pytest.mark.parametrize("workspace", [2**28, 8 * 4 * 7 * 12])  # all rows at once, and few at a time
def test_inner_products_ask_for_the_features_of_equal_inputs_once(workspace, monkeypatch):
    monkeypatch.setattr(pairs, "WORKSPACE", workspace)
    X, Z = np.random.default_rng(5).standard_normal((2, 20, 3))
    W = np.random.default_rng(6).standard_normal((3, 7))
    asked = []

    def of(rows):
        asked.append(len(rows))
        return rows @ W

    found = pairs.inner_products(of, X, X.copy(), 4 * 7, 2.0)
    np.testing.assert_allclose(found, X @ W @ (X @ W).T / 2, rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    assert asked == [20] if workspace == 2**28 else sum(asked) < 20 * 5
    np.testing.assert_allclose(pairs.inner_products(of, X, Z[:9], 4 * 7), X @ W @ (Z[:9] @ W).T, rtol=1e-12)
