"""Appendix C of Allen-Zhu & Li along a run: quantities against loops, bounds that hold of any matrices and bite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.problems.activations import Taylor
from learnability.problems.concepts import General
from learnability.studies.residual.theorems.competitor import competitor, fit, least_norm
from learnability.studies.residual.theorems.coupling import ACROSS, across_order, worst_sign_changes
from learnability.studies.residual.theorems.existence import fitting_weights
from learnability.studies.residual.theorems.monitors import Monitors, Run, gradients, limits, measured


def pair(seed, d=3, k=2, m=12, move=1.0):
    """A start, weights now, and inputs; nothing about them is as in the paper."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, m)) / math.sqrt(m)
    W, V = rng.standard_normal((m, d + 1)), rng.standard_normal((m, k + 1))
    start = ResNet3(W, V, A)
    now = start._replace(
        W=W + move * rng.standard_normal(W.shape) * 10 ** rng.uniform(-2, 1),
        V=V + move * rng.standard_normal(V.shape) * 10 ** rng.uniform(-2, 1),
    )
    return start, now, rng.standard_normal((5, d))


def general(rng, d, k, p=2):
    def unit():
        v = rng.standard_normal((k, p, d + 1))
        return v / np.linalg.norm(v, axis=2, keepdims=True)

    return General(unit(), unit(), Taylor((0.5, -1.0, 0.0, 0.25)), rng.uniform(-1, 1, (k, p)))


def test_monitors_are_their_definitions():
    start, now, X = pair(0)
    found, bounds = measured(Run(start, now, X)), limits(Run(start, now, X))
    size = np.linalg.norm(start.A, 2)
    for i, x in enumerate(X):
        lifted = np.append(x, 1.0)
        h0, h = start.W @ lifted, now.W @ lifted
        D0, D = np.diag(h0 >= 0).astype(float), np.diag(h >= 0).astype(float)
        z = np.append(start.A @ D @ h, 1.0)
        g0, g = start.V @ z, now.V @ z
        E0, E = np.diag(g0 >= 0).astype(float), np.diag(g >= 0).astype(float)
        S, T = start.A @ np.abs(D - D0), start.A @ np.abs(E - E0)
        reach, reach_V = np.linalg.norm(h - h0), np.linalg.norm(g - g0)
        wanted = Monitors(
            np.abs(D - D0).sum(),
            np.linalg.norm(start.A @ D @ h0),
            np.linalg.norm(z[:-1]),
            np.abs(E - E0).sum(),
            np.linalg.norm(start.A @ E @ g0),
            np.linalg.norm(start.A @ E @ start.V, 2),
            np.linalg.norm(start.A @ E @ g),
        )
        left = np.linalg.norm(start.A @ D0 @ h0) + np.linalg.norm(S, 2) * reach
        left_V = np.linalg.norm(start.A @ E0 @ g0) + np.linalg.norm(T, 2) * reach_V
        limit = Monitors(
            worst_sign_changes(h0, reach),
            left,
            size * reach + left,
            worst_sign_changes(g0, reach_V),
            left_V,
            np.linalg.norm(start.A @ E0 @ start.V, 2)
            + np.linalg.norm(T, 2) * np.linalg.norm(np.abs(E - E0) @ start.V, 2),
            size * reach_V + left_V,
        )
        np.testing.assert_allclose([values[i] for values in found], wanted, atol=1e-12)
        np.testing.assert_allclose([values[i] for values in bounds], limit, atol=1e-12)
    np.testing.assert_allclose(Run(start, now, X).outputs, networks.forward(now, X), atol=1e-12)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 30))
def test_the_steps_of_the_proofs_hold_of_any_matrices(seed, d, k, m):
    start, now, X = pair(seed, d, k, m)
    run, rng = Run(start, now, X), np.random.default_rng(seed)
    for values, bounds in zip(measured(run), limits(run), strict=True):
        assert (values <= bounds * (1 + 1e-9) + 1e-9).all()
    slopes = gradients(run, rng.standard_normal((len(X), k)))
    assert (slopes.limit_W * (1 + 1e-9) >= slopes.W).all()
    assert (slopes.limit_V * (1 + 1e-9) >= slopes.V).all()
    other = competitor(start, general(rng, d, k), general(rng, k, k), 0.7, sigma_w=1.3, sigma_v=2.0)
    found = fit(run, other)
    for values, bounds in (
        (found.first, found.limit_first),
        (found.left, found.limit_left),
        (found.second, found.limit_second),
        (found.error, found.limit_error),
        (found.distance, found.limit_distance),
    ):
        assert (values <= bounds * (1 + 1e-9) + 1e-9).all()


def test_the_bounds_of_the_gates_are_attained():
    """A movement along one input that turns the smallest entries, and nothing else."""
    start, _, X = pair(3, m=400)
    x = np.append(X[0], 1.0)
    h0 = start.W @ x
    turned = np.argsort(np.abs(h0))[:40]
    step = np.zeros(400)
    step[turned] = -h0[turned] * (1 + 1e-9)
    now = start._replace(W=start.W + np.outer(step, x) / (x @ x))
    run = Run(start, now, X[:1])
    assert measured(run).a[0] == 40 == limits(run).a[0]
    assert measured(Run(start, start, X)).a.sum() == limits(Run(start, start, X)).a.sum() == 0
    still = limits(Run(start, start, X))
    np.testing.assert_allclose(still.b, measured(Run(start, start, X)).c)  # nothing has moved: all is left over
    np.testing.assert_allclose(still.f, measured(Run(start, start, X)).f)


def test_gradients_are_those_of_the_network():
    start, now, X = pair(4)
    Y = np.random.default_rng(5).standard_normal((5, 2))
    found = gradients(Run(start, now, X), Y)
    for i in range(5):
        loss, gradient = networks.gradient(now, X[i : i + 1], Y[i : i + 1])
        assert found.residual[i] == pytest.approx(math.sqrt(2 * loss))
        assert found.W[i] == pytest.approx(np.linalg.norm(gradient.W))
        assert found.V[i] == pytest.approx(np.linalg.norm(gradient.V))


def test_the_fit_is_its_definition():
    start, now, X = pair(6)
    rng = np.random.default_rng(7)
    F, G = general(rng, 3, 2), general(rng, 2, 2)
    other = competitor(start, F, G, 0.3, sigma_w=0.5, sigma_v=3.0)
    root = math.sqrt(12)
    np.testing.assert_allclose(other.W, root * fitting_weights(start.W / (0.5 * root), root * start.A, F))
    np.testing.assert_allclose(other.V, 0.3 * root * fitting_weights(start.V / 3, root * start.A, G))
    found = fit(Run(start, now, X), other)
    f, g = networks.increment(now, X, other.W - (now.W - start.W), other.V - (now.V - start.V))
    H = F(X) + 0.3 * G(F(X))
    residual = H - networks.forward(now, X)
    np.testing.assert_allclose(found.error, np.linalg.norm(f + g - residual, axis=1))
    np.testing.assert_allclose(found.risk, np.linalg.norm(residual, axis=1))
    np.testing.assert_allclose(found.descent, (residual * (f + g)).sum(axis=1))
    lifted = np.hstack([X, np.ones((5, 1))])
    on0, on = lifted @ start.W.T >= 0, lifted @ now.W.T >= 0
    first = (on * (lifted @ now.W.T)) @ start.A.T
    to_W = lifted @ other.W.T
    np.testing.assert_allclose(found.first_start, np.linalg.norm((on0 * to_W) @ start.A.T - F(X), axis=1))
    np.testing.assert_allclose(found.first, np.linalg.norm((on * to_W) @ start.A.T - F(X), axis=1))
    moved = (on * (to_W - lifted @ (now.W - start.W).T)) @ start.A.T
    np.testing.assert_allclose(found.left, np.linalg.norm(moved - (F(X) - first), axis=1))
    np.testing.assert_allclose(found.distance, np.linalg.norm(first - F(X), axis=1))
    z = np.hstack([first, np.ones((5, 1))])
    for values, V in ((found.second_start, start.V), (found.second, now.V)):
        image = ((z @ V.T >= 0) * (z @ other.V.T)) @ start.A.T
        np.testing.assert_allclose(values, np.linalg.norm(image - 0.3 * G(first), axis=1))
    np.testing.assert_allclose(found.z, np.linalg.norm(z, axis=1))
    t = np.linalg.norm(networks.forward(now, X) - first, axis=1) / (np.linalg.norm(first, axis=1) + 1)
    np.testing.assert_allclose(found.share, t)
    assert (np.isinf(found.limit_distance) == (t > 0.5)).all()


def test_the_competitor_fits_wide_networks_at_the_start():
    rng = np.random.default_rng(8)
    F, G = general(rng, 3, 2), general(rng, 2, 2)
    start = networks.initial(rng, "3resnet", 3, 2, 100_000, sigma_w=0.3, sigma_v=4.0)
    found = fit(
        Run(start, start, rng.standard_normal((4, 3))), competitor(start, F, G, 0.4, sigma_w=0.3, sigma_v=4.0)
    )
    assert found.first_start.max() < 0.1
    assert found.second_start.max() < 0.1
    np.testing.assert_array_equal(found.first, found.first_start)
    wrong = fit(
        Run(start, start, rng.standard_normal((4, 3))), competitor(start, F, G, 0.4, sigma_w=0.6, sigma_v=4.0)
    )
    assert wrong.first_start.max() > 0.3


def test_least_norm_is_exact_and_least():
    start, _, X = pair(9, m=60)
    targets = np.random.default_rng(10).standard_normal((5, 2))
    run = Run(start, start, X)
    W = least_norm(run, targets)
    image = (run.on0 * (run.lifted @ W.T)) @ start.A.T
    np.testing.assert_allclose(image, targets, atol=1e-9)
    design = np.einsum("rm,nm,nd->nrmd", start.A, run.on0.astype(float), run.lifted).reshape(10, -1)
    np.testing.assert_allclose(W.ravel(), np.linalg.pinv(design) @ targets.ravel(), atol=1e-9)
    narrow, _, many = pair(11, d=1, m=2)
    run = Run(narrow, narrow, np.vstack([many, 2 * many]))
    with pytest.raises(ValueError, match="targets must be fitted by some W at this width"):
        least_norm(run, np.random.default_rng(1).standard_normal((10, 2)))


def test_the_order_of_lemma_c1_f():
    assert across_order(tau_v=0.001, sigma_v=8.0) == pytest.approx(8 ** (1 / 3) * 0.001 ** (2 / 3))
    z = np.random.default_rng(12).standard_normal(10**6)
    moment = (np.abs(z) ** 1.5).mean()
    assert (
        pytest.approx(2 * 1.5 ** (1 / 3) * (moment**2 / (2 * math.sqrt(2 * math.pi))) ** (2 / 3), rel=5e-3) == ACROSS
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, n, X: Run(s, n._replace(A=n.A + 1), X), "now.A must be start.A"),
        (lambda s, n, X: Run(s, n._replace(V=n.V[:, 1:]), X), r"now\.V must have shape \(12, 3\), got \(12, 2\)"),
        (lambda s, n, X: Run(s, n, X[:, 1:]), r"start\.W must have shape \(12, 3\), got \(12, 4\)"),
        (lambda s, n, X: gradients(Run(s, n, X), np.ones((4, 2))), r"Y must have 5 rows, got shape \(4, 2\)"),
        (lambda s, n, X: least_norm(Run(s, n, X), np.ones((4, 2))), "targets must have 5 rows"),
        (lambda s, n, X: across_order(tau_v=0.0, sigma_v=1.0), "tau_v must be > 0"),
        (
            lambda s, n, X: competitor(s, None, None, 1.0, sigma_w=1, sigma_v=1),
            "alpha must be < 1",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(*pair(13))
