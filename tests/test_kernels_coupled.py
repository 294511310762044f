"""The linearisation of a network, solved exactly, against least squares in its parameters."""

from __future__ import annotations

import numpy as np
import pytest

from learnability.kernels import coupled
from learnability.kernels.coupled import fit_linearised
from learnability.networks.residual import NETWORKS, apply, forward, initial


def data(n=9, seed=1):
    g = np.random.default_rng(seed)
    X = g.choice([-1.0, 1.0], (n, 4))
    return X, np.stack([X[:, 0] * X[:, 1], X[:, 2] * X[:, 3]], axis=1) + 0.1 * g.standard_normal((n, 2))


def network(name, m=6):
    return initial(np.random.default_rng(0), name, 4, 2, m, sigma_w=0.7)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("train", [None, ("W",)])
def test_it_is_least_squares_in_the_parameters(name, train, monkeypatch):
    jax = pytest.importorskip("jax")
    params, (X, Y), Z = network(name), data(), data(5, 2)[0]
    with jax.enable_x64(True):
        found = jax.jit(jax.jacobian(apply))(params, np.vstack([X, Z]))
        kept = [np.asarray(getattr(found, field)) for field in (train or params._fields)]
    J = np.concatenate([part.reshape(14, 2, -1) for part in kept], axis=2)
    left, right = J[:9].reshape(18, -1), J[9:].reshape(10, -1)
    move = np.linalg.solve(left.T @ left + 0.3 * np.eye(left.shape[1]), left.T @ (Y - forward(params, X)).ravel())
    wanted = forward(params, Z) + (right @ move).reshape(5, 2)
    for block in (coupled.BLOCK, 1):
        monkeypatch.setattr(coupled, "BLOCK", block)
        fitted = fit_linearised(params, X, Y, 0.3, train=train)
        np.testing.assert_allclose(fitted.predict(Z), wanted, rtol=1e-8, atol=1e-10)
    assert (fitted.ridge, fitted.errors, fitted.chosen_on) == (0.3, (), 0)


def test_leaving_an_example_out_leaves_it_out(monkeypatch):
    params, (X, Y) = network("3resnet"), data()
    fitted = fit_linearised(params, X, Y, ridges=(0.01, 0.1, 1.0))
    for ridge, error in zip(fitted.ridges, fitted.errors, strict=True):
        wrong = []
        for i in range(len(X)):
            others = np.arange(len(X)) != i
            wrong.append(fit_linearised(params, X[others], Y[others], ridge).predict(X[i : i + 1])[0] - Y[i])
        assert error == pytest.approx((np.array(wrong) ** 2).sum(axis=1).mean(), rel=1e-8)
    assert fitted.ridge == fitted.ridges[int(np.argmin(fitted.errors))]
    assert fitted.chosen_on == 9
    monkeypatch.setattr(coupled, "EXACT", 13)  # six examples of two outputs
    few = fit_linearised(params, X, Y, ridges=(0.01, 0.1, 1.0))
    assert few.chosen_on == 6
    assert few.errors == pytest.approx(fit_linearised(params, X[:6], Y[:6], ridges=(0.01, 0.1, 1.0)).errors)
    assert few.coefficients.shape == (2, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": None}, "params must be a ResNet3"),
        ({"Y": np.ones((9, 3))}, "Y must have 2 columns"),
        ({"Y": np.ones((8, 2))}, r"Y must have 9 rows, got shape \(8, 2\)"),
        ({"ridge": 0.0}, "ridge must be > 0"),
        ({"ridges": ()}, "ridges must hold at least one"),
        ({"train": ("U",)}, "train must name fields"),
    ],
)
def test_refuses(change, message):
    X, Y = data()
    with pytest.raises(ValueError, match=message):
        fit_linearised(**{"params": network("3resnet"), "X": X, "Y": Y, **change})
