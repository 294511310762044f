"""Section 8.2's Rademacher bound: the supremum in closed form, by angles, and against any network."""

from __future__ import annotations

import math

import numpy as np
import pytest

from learnability.networks import vertices
from learnability.networks.vertices import VertexNet
from learnability.studies.residual.theorems.rademacher import (
    Units,
    best_units,
    rademacher_bound,
    sample_size,
    supremum,
)


def test_the_bounds_are_the_formulas():
    assert rademacher_bound(3.0, 16) == pytest.approx(1.5)
    assert rademacher_bound(3.0, 16, form="sharper") == pytest.approx(0.75)
    for form in ("printed", "sharper"):
        N = sample_size(9.7 * math.sqrt(40), 0.3, form=form)
        assert rademacher_bound(9.7 * math.sqrt(40), math.ceil(N), form=form) <= 0.3
        assert rademacher_bound(9.7 * math.sqrt(40), math.floor(N) - 1, form=form) > 0.3
    assert sample_size(9.7 * math.sqrt(40), 0.3) / 40 == pytest.approx(4182, abs=1)
    assert supremum(Units(np.ones(1), np.ones(1), 3.0, 4.0), 2.0) == pytest.approx(2 * math.sqrt(12.5))


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_the_best_unit_in_the_plane(seed):
    rng = np.random.default_rng(seed)
    X, xi = rng.standard_normal((15, 2)), rng.choice([-1.0, 1.0], 15)
    angles = np.linspace(0, 2 * math.pi, 20_001)
    values = xi @ np.maximum(X @ np.array([np.cos(angles), np.sin(angles)]), 0) / 15
    found = best_units(rng, X, xi, starts=30)
    assert found.s_plus == pytest.approx(max(values.max(), 0), rel=1e-3)
    assert found.s_minus == pytest.approx(max(-values.min(), 0), rel=1e-3)
    for unit, value, sign in ((found.plus, found.s_plus, 1), (found.minus, found.s_minus, -1)):
        assert sign * (xi @ np.maximum(X @ unit, 0)) / 15 == pytest.approx(value)
        assert np.linalg.norm(unit) == pytest.approx(1)


def test_no_network_is_above_the_supremum():
    """In the plane, where the supremum is known: random networks, and the best one for the signs."""
    rng = np.random.default_rng(7)
    X, xi = rng.standard_normal((15, 2)), rng.choice([-1.0, 1.0], 15)
    units = best_units(rng, X, xi, starts=30)
    a = vertices.output_weights(6)
    for _ in range(200):
        net = VertexNet(rng.standard_normal((6, 2)) * 10 ** rng.uniform(-1, 1, (6, 1)), a)
        assert xi @ vertices.forward(net, X) / 15 <= supremum(units, vertices.norm(net)) * (1 + 1e-9)


def test_never_below_the_mean_direction():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, xi = rng.standard_normal((30, 8)), rng.choice([-1.0, 1.0], 30)
        found = best_units(rng, X, xi, starts=0, steps=0)
        assert supremum(found, 1.0) >= np.linalg.norm(xi @ X) / 60 * (1 - 1e-12)
        better = best_units(rng, X, xi)
        assert supremum(better, 1.0) >= supremum(found, 1.0) - 1e-12


def test_signs_that_cancel():
    X = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = best_units(np.random.default_rng(0), X, [1.0, -1.0])
    assert (found.s_plus, found.s_minus) == (0, 0)
    assert supremum(found, 5.0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rademacher_bound(-1.0, 4), "norm must be >= 0"),
        (lambda: rademacher_bound(1.0, 0), "N must be >= 1"),
        (lambda: rademacher_bound(1.0, 4, form="best"), "form must be one of 'printed', 'sharper'"),
        (lambda: sample_size(1.0, 0.0), "complexity must be > 0"),
        (lambda: best_units(np.random.default_rng(0), np.ones((3, 2)), [1.0, -1.0]), "signs must have length 3"),
        (lambda: best_units(np.random.default_rng(0), np.ones((2, 2)), [1.0, 0.5]), "signs must hold labels"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
