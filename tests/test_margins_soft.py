import numpy as np

from learnability.theory.margins.points import Points
from learnability.theory.margins.soft import few_errors


def errors(V, y):
    w = few_errors(Points(V, y))
    return int((y * (V @ w) <= 0).sum())


def test_what_is_separable_is_separated_although_the_mean_does_not():
    rng = np.random.default_rng(0)
    V = (
        rng.standard_normal((300, 8))
        * 10.0 ** rng.uniform(-1, 1, (300, 1))
        @ (rng.standard_normal((8, 8)) + np.eye(8)[0] * 5)
    )
    y = np.where(V @ rng.standard_normal(8) >= 0, 1.0, -1.0)
    assert (y * (V @ (y @ V)) <= 0).sum() > 5
    assert errors(V, y) == 0


def test_far_outliers_stop_counting():
    rng = np.random.default_rng(1)
    V = rng.standard_normal((400, 5))
    y = np.where(V[:, 0] >= 0, 1.0, -1.0)
    V[:40] *= 30.0
    y[:40] *= -1
    assert errors(V, y) <= 42
    few = few_errors(Points(V, y))
    assert few[0] / np.linalg.norm(few) > 0.9


def test_units_of_the_coordinates_do_not_matter():
    rng = np.random.default_rng(2)
    V = rng.standard_normal((200, 4))
    y = np.where(V @ np.ones(4) + rng.standard_normal(200) > 0, 1.0, -1.0)
    assert abs(errors(V, y) - errors(V * np.array([1e-5, 1.0, 1e4, 3.0]), y)) <= 1
    assert errors(V, y) < 60


def test_a_coordinate_that_is_always_zero_is_left_alone():
    V = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, -1.0], [1.0, 0.0, -3.0]])
    w = few_errors(Points(V, np.array([1.0, 1.0, -1.0])))
    assert w[1] == 0.0
    assert np.isfinite(w).all()
