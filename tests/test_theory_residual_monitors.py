"""Appendix C of Allen-Zhu & Li along a run: quantities against loops, the shortest W*, the orders of Lemma C.1."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.problems.activations import Taylor
from learnability.problems.concepts import General
from learnability.studies.residual.theorems.competitor import competitor, fit, least_norm
from learnability.studies.residual.theorems.coupling import ACROSS, across_order, left_over
from learnability.studies.residual.theorems.existence import fitting_weights
from learnability.studies.residual.theorems.monitors import Monitors, Run, measured


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
    found = measured(Run(start, now, X))
    for i, x in enumerate(X):
        lifted = np.append(x, 1.0)
        h0, h = start.W @ lifted, now.W @ lifted
        D0, D = np.diag(h0 >= 0).astype(float), np.diag(h >= 0).astype(float)
        z = np.append(start.A @ D @ h, 1.0)
        g0, g = start.V @ z, now.V @ z
        E0, E = np.diag(g0 >= 0).astype(float), np.diag(g >= 0).astype(float)
        wanted = Monitors(
            np.abs(D - D0).sum(),
            np.linalg.norm(start.A @ D @ h0),
            np.linalg.norm(z[:-1]),
            np.abs(E - E0).sum(),
            np.linalg.norm(start.A @ E @ g0),
            np.linalg.norm(start.A @ E @ start.V, 2),
            np.linalg.norm(start.A @ E @ g),
        )
        np.testing.assert_allclose([values[i] for values in found], wanted, atol=1e-12)
    np.testing.assert_allclose(Run(start, now, X).outputs, networks.forward(now, X), atol=1e-12)
    still = measured(Run(start, start, X))
    assert still.a.sum() == still.d.sum() == 0
    np.testing.assert_allclose(still.b, still.c)  # nothing has moved: all is left over


def test_what_gates_can_leave_over():
    """A movement that costs delta, taken in the order of gain over cost, against the formula; small deltas."""
    rng, m = np.random.default_rng(0), 10**6
    a, g = rng.standard_normal(m), np.abs(rng.standard_normal(m))
    gained = a > 0
    order = np.argsort((g / a)[gained])  # cost g^2 over gain a g
    for delta in (0.05, 0.3, 0.6):
        turned = order[: np.searchsorted(np.cumsum(g[gained][order] ** 2) / m, delta**2)]
        assert left_over(delta) == pytest.approx((a * g)[gained][turned].sum() / m, rel=0.02)
    small = 0.5 * 3 ** (2 / 3) * (2 / math.pi) ** (1 / 3)
    assert left_over(1e-4) / 1e-4 ** (4 / 3) == pytest.approx(small, rel=1e-4)
    assert left_over(0.0) == 0


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
    on = lifted @ now.W.T >= 0
    first = (on * (lifted @ now.W.T)) @ start.A.T
    to_W = lifted @ other.W.T
    np.testing.assert_allclose(found.first, np.linalg.norm((on * to_W) @ start.A.T - F(X), axis=1))
    moved = (on * (to_W - lifted @ (now.W - start.W).T)) @ start.A.T
    np.testing.assert_allclose(found.left, np.linalg.norm(moved - (F(X) - first), axis=1))
    np.testing.assert_allclose(found.distance, np.linalg.norm(first - F(X), axis=1))
    z = np.hstack([first, np.ones((5, 1))])
    image = ((z @ now.V.T >= 0) * (z @ other.V.T)) @ start.A.T
    np.testing.assert_allclose(found.second, np.linalg.norm(image - 0.3 * G(first), axis=1))


def test_the_competitor_fits_wide_networks_at_the_start():
    rng = np.random.default_rng(8)
    F, G = general(rng, 3, 2), general(rng, 2, 2)
    start = networks.initial(rng, "3resnet", 3, 2, 100_000, sigma_w=0.3, sigma_v=4.0)
    found = fit(
        Run(start, start, rng.standard_normal((4, 3))), competitor(start, F, G, 0.4, sigma_w=0.3, sigma_v=4.0)
    )
    assert found.first.max() < 0.1
    assert found.second.max() < 0.1
    wrong = fit(
        Run(start, start, rng.standard_normal((4, 3))), competitor(start, F, G, 0.4, sigma_w=0.6, sigma_v=4.0)
    )
    assert wrong.first.max() > 0.3


def test_least_norm_is_exact_and_least():
    start, _, X = pair(9, m=60)
    targets, rows, lifted = np.random.default_rng(10).standard_normal((5, 2)), *gated(start, X)
    W = least_norm(rows, lifted, targets)
    np.testing.assert_allclose(np.einsum("nrm,md,nd->nr", rows, W, lifted), targets, atol=1e-9)
    design = np.einsum("nrm,nd->nrmd", rows, lifted).reshape(10, -1)
    np.testing.assert_allclose(W.ravel(), np.linalg.pinv(design) @ targets.ravel(), atol=1e-9)
    narrow, _, many = pair(11, d=1, m=2)
    with pytest.raises(ValueError, match="targets must be fitted by some W at this width"):
        least_norm(*gated(narrow, np.vstack([many, 2 * many])), np.random.default_rng(1).standard_normal((10, 2)))


def gated(start, X):
    """A D_{W^(0)} at the inputs, and (x, 1)."""
    lifted = networks.lifted(X)
    return (lifted @ start.W.T >= 0)[:, None, :] * start.A, lifted


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
        (lambda s, n, X: least_norm(*gated(s, X), np.ones((4, 2))), "targets must have 5 rows"),
        (lambda s, n, X: least_norm(s.A, X, np.ones((5, 2))), r"rows must have shape \(5, k, m\) beside inputs"),
        (lambda s, n, X: left_over(0.8), "delta must be <= 0.7"),
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
