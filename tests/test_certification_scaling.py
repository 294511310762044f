"""The training sample sets the scale: what that makes provable, and that nothing else enters."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import learnability
from learnability import certification
from learnability.certification import Options
from learnability.certification.runs import PART
from learnability.datasets import DataSet, digits_pair
from learnability.networks.separable import forward, initial
from learnability.problems.separable import into_unit_ball, random_separable, with_bias
from learnability.seeding import generator
from learnability.theory.guarantee import Verdict
from learnability.training.orders import visits
from learnability.training.reference import two_layer_epoch


def planted(m=120, d=4, margin=0.15, seed=0):
    rng = np.random.default_rng(seed)
    return random_separable(rng, d, margin).sample(rng, m)


def by_id(result, start):
    return [g for g in result.guarantees if g.id.startswith(start)]


@pytest.mark.parametrize("scale", ["range", "norm"])
def test_no_split_puts_an_error_bound_outside_its_hypotheses(scale):
    """Of six splits each had examples to be tested on that set the ranges."""
    pair = digits_pair()
    for seed in range(6):
        result = learnability.certify(pair.X, pair.y, width=[10], repeats=1, scale=scale, seed=seed)
        setters = result.to_json()["training"]["set_the_scale"]
        extremes = np.linalg.norm(pair.X, axis=1) if scale == "norm" else pair.X.sum(axis=1)
        assert scale == "range" or setters == [result.found.train[extremes[result.found.train].argmax()] + 1]
        assert set(setters) <= set((result.found.train + 1).tolist())
        (sharper,), (five,) = by_id(result, "separable/compression"), by_id(result, "separable/thm5")
        assert sharper.verdict is Verdict.HOLDS
        assert {h.name for h in five.hypotheses if not h.holds} <= {"n >= 2 c"}  # that is up to the data
        assert result.error_bound == sharper.bound < 1


@pytest.mark.parametrize("scale", ["range", "norm"])
def test_the_setters_alone_give_the_same_map(scale):
    pair = digits_pair()
    for seed in range(4):
        inputs = certification.prepare(pair, Options(scale=scale, seed=seed))
        assert 1 <= len(inputs.setters) <= (1 if scale == "norm" else 2 * 64 + 1)
        scaled, scaling = into_unit_ball(pair.X[inputs.setters], scale)
        np.testing.assert_array_equal(with_bias(scaled), inputs.V[inputs.setters])
        np.testing.assert_array_equal(with_bias(scaling(pair.X)), inputs.V)


@pytest.mark.parametrize("scale", ["range", "norm", "none"])
def test_the_compression_set_alone_gives_the_same_network(scale):
    """From W_0, the order of visits, the positions and those examples as they were in the file: nothing else."""
    X, y = planted(80)
    result = learnability.certify(X, y, width=[4], repeats=1, seed=3, scale=scale)
    found, run = result.found, result.runs[0]
    start, n = initial(generator(3, "certify", "start", 4), 5, 2), len(found.y)

    rng, params, used = generator(3, "certify", "order"), start, np.zeros(n, dtype=bool)
    for _ in range(run.epochs):
        order = visits(rng, n, 1, "shuffle")[0]
        params, updated = two_layer_epoch(params, found.X, found.y, order, eta=1.0, alpha=0.5, layers="first")
        used[order[updated]] = True
    inside = used | found.setters
    assert inside.sum() == run.size < n

    index = np.flatnonzero(inside)
    kept, labels = X[found.train[index]], y[found.train[index]]
    if scale != "none":
        kept, scaling = into_unit_ball(kept, scale)
    place = np.full(n, -1)
    place[index] = np.arange(len(index))
    rng, again = generator(3, "certify", "order"), start
    for _ in range(run.epochs):
        order = place[visits(rng, n, 1, "shuffle")[0]]
        order = order[order >= 0]
        again, _ = two_layer_epoch(again, with_bias(kept), labels, order, eta=1.0, alpha=0.5, layers="first")
    np.testing.assert_array_equal(again.W, params.W)
    tests = np.setdiff1d(np.arange(80), found.train)
    mapped = X[tests] if scale == "none" else scaling(X[tests])
    wrong = y[tests] * forward(again, with_bias(mapped), alpha=0.5) <= 0
    assert wrong.mean() == run.test_error


def test_test_examples_may_leave_the_ball():
    X, y = planted()
    X[5] *= 30
    inside = set()
    for seed in range(8):
        inputs = certification.prepare(DataSet(X, y, "", (-1, 1)), Options(seed=seed))
        assert inputs.norm == pytest.approx(
            1 if 5 in inputs.train else np.linalg.norm(inputs.V[inputs.train], axis=1).max()
        )
        assert inputs.norm <= 1 + 1e-12
        assert (np.linalg.norm(inputs.V, axis=1).max() > 1 + 1e-12) == (inputs.V[5] @ inputs.V[5] > 1 + 1e-12)
        inside.add(5 in inputs.train)
        if 5 not in inputs.train:
            assert np.linalg.norm(inputs.V[5]) > 3
            result = learnability.certify(X, y, seed=seed, width=[2], repeats=1)
            (third,) = by_id(result, "separable/cor3")
            assert third.verdict is Verdict.HOLDS
            assert result.found.sample.w_norm <= result.w_norm  # w* of all serves the sample too
    assert inside == {True, False}


def test_whether_the_data_are_separable_does_not_depend_on_the_split():
    """A feature that is constant on the training sample may be the one that separates."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(-3, 4, size=(40, 1)), np.zeros(40)]).astype(float)
    y = np.where(X[:, 0] > 0, 1.0, -1.0)
    X[0], y[0] = (0.0, 7.0), 1.0  # at 0, where the others are negative: told apart by the second feature alone
    X[1], y[1] = (0.0, 0.0), -1.0
    seen = set()
    for seed in range(8):
        result = learnability.certify(X, y, width=[2], repeats=1, seed=seed)
        assert result.separable
        seen.add(0 in result.found.train)
        assert result.found.rows[0] == 1
    assert seen == {True, False}


def test_moments_are_set_by_all_training_examples():
    result = learnability.certify(*planted(), width=[2], repeats=1, scale="standard")
    n = len(result.found.y)
    assert (result.found.setters.sum(), result.runs[0].size) == (n, n) == (90, 90)
    assert "90 of which set the scale and count as used" in result.scaling
    for g in (*by_id(result, "separable/thm5"), *by_id(result, "separable/compression")):
        assert g.verdict is Verdict.OUTSIDE
        assert {h.name for h in g.hypotheses if not h.holds} <= {"n >= 2 c", "c < n"}
    assert result.error_bound is None


def test_a_setter_that_is_left_out_of_the_runs_is_charged_for():
    """Which of the compression set are visited must be told too."""
    X, y = planted(60, margin=0.4)
    far = np.vstack([X, 1.2 / np.linalg.norm(X[0]) * X[:1]])  # sets the norm, and is on the wrong side
    y = np.append(y, -y[0])
    result = learnability.certify(far, y, width=[2], repeats=1, scale="norm", test=0, bias=False)
    assert result.to_json()["removal"]["rows"] == [61] == result.to_json()["training"]["set_the_scale"]
    (run,) = (run for run in result.runs if run.data == PART)
    assert (run.setters_left_out, run.size) == (1, run.examples_used + 2)
    assert run.unused_error == 0  # the only one that is wrong is not among the unused
    (sharper,) = by_id(result, f"separable/compression-consistent[examples,2k=2,{PART}")
    assert [h.name for h in sharper.hypotheses if not h.holds] == ["no example that sets the scale is left out"]


def table(**more):
    X, y = planted(40)
    return DataSet(X, y, "table.csv", ("a", "b"), **more)


def test_norms_are_not_asked_of_integers_of_which_only_differences_are_known():
    data = table(offsets={"big id": 2**60, "x\x1b": -(2**70)})
    for scale in ("norm", "none"):
        with pytest.raises(
            ValueError, match=r"scale must be 'range' or 'standard' \(--scale range\) for .*'big id', 'x"
        ) as e:
            certification.prepare(data, Options(scale=scale))
        assert "\x1b" not in str(e.value)
    inputs = certification.prepare(data, Options())
    np.testing.assert_array_equal(inputs.V, certification.prepare(table(), Options()).V)
    assert inputs.constants["offsets"] == {"big id": 2**60, "x\x1b": -(2**70)}


def test_rows_are_those_of_the_file():
    X, y = planted(40)
    X, y = np.vstack([X, X[3]]), np.append(y, -y[3])
    data = DataSet(X, y, "table.csv", ("no", "yes"), rows=np.arange(41) * 10 + 7)
    said = learnability.api.certify_data(data, width=[2], repeats=1, budget=0.1)
    assert said.certificate.rows.tolist() == said.to_json()["certificate"]["rows"] == [37, 407]
    assert "rows 37 and 407 are the same point with different labels" in " ".join(repr(said).split())
    assert set(said.to_json()["removal"]["rows"]) <= {37, 407}
    assert {m["row"] for m in said.to_json()["multipliers"]} == {37, 407}
    assert all(row % 10 == 7 for row in said.to_json()["training"]["left_out"])
    (one,) = said.to_json()["removal"]["disjoint_certificates"]
    assert [entry["row"] for entry in one] == [37, 407]


@pytest.mark.parametrize("scale", ["range", "standard", "norm"])
def test_constant_features_show_the_pair(scale):
    result = learnability.certify(np.full((6, 2), 3.5), [0, 0, 1, 0, 1, 1], width=[2], repeats=1, scale=scale)
    assert (result.certificate.kind, result.certificate.rows.tolist()) == ("duplicates", [1, 3])
    assert sorted(result.certificate.labels) == [0, 1]
    assert "rows 1 and 3 are the same point with different labels, " in " ".join(repr(result).split())
    assert result.figure()


def test_without_a_bias_constant_features_are_the_origin():
    result = learnability.certify(np.full((6, 2), 3.5), [0, 0, 1, 0, 1, 1], width=[2], repeats=1, bias=False)
    assert not result.separable
    assert result.update_bound is None
    assert (result.updates, result.error_bound) == (None, None)


def test_the_pair_is_found_among_wide_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 400))
    X[8] = X[2]
    y = np.tile([0, 1], 6)
    y[8], y[2] = 1, 0
    result = learnability.certify(X, y, width=[2], repeats=1)
    assert (result.certificate.kind, result.certificate.rows.tolist()) == ("duplicates", [3, 9])


def test_points_that_only_rounding_makes_equal_are_not_called_the_same():
    X = np.array([[1.0], [1.0 + 2**-52], [1e17], [-1e17]])
    result = learnability.certify(X, [0, 1, 1, 0], width=[2], repeats=1, test=0)
    assert result.certificate is None or result.certificate.kind == "combination"


def test_few_examples():
    result = learnability.certify([[1.0], [2.0]], ["a", "b"], width=[2], repeats=1)
    assert result.separable
    assert (len(result.found.y), result.holdout_bound) == (2, None)
    assert "there is no test sample" in repr(result)
    three = learnability.certify([[1.0], [2.0], [4.0]], [0, 1, 1], width=[2], repeats=1, test=0.9)
    assert (len(three.found.y), len(three.found.y_test)) == (1, 2)
    assert any("holds one class only" in note for note in three.notes)
    assert three.figure()
    for X, y, got in (([[1.0]], [0], "got 1: 0"), (np.eye(3), ["a"] * 3, "got 1: 'a'")):
        with pytest.raises(ValueError, match=f"must hold exactly two values in the label column 'y', {got}"):
            learnability.certify(X, y)


def test_the_margin_is_that_of_the_inputs_as_the_training_sample_scales_them():
    X, y = planted()
    result = learnability.certify(X, y, width=[2], repeats=1, seed=4)
    constants = result.to_json()["scaling_constants"]
    Z = (X - constants["centre"]) / constants["divisor"] / constants["radius"]
    Z = np.column_stack([Z, np.ones(len(Z))]) / math.sqrt(2)
    w = np.array(result.to_json()["w"])
    assert (y * (Z @ w)).min() == pytest.approx(1, rel=1e-9)
    assert 1 / np.linalg.norm(w) == pytest.approx(result.margin)


def test_options_that_change_nothing_but_the_seed_change_the_scale():
    X, y = planted()
    one, two = (certification.prepare(DataSet(X, y, "", (-1, 1)), Options(seed=s)) for s in (0, 1))
    assert not np.array_equal(one.V, two.V)
    whole = certification.prepare(DataSet(X, y, "", (-1, 1)), dataclasses.replace(Options(), test=0.0))
    assert len(whole.test) == 0
    np.testing.assert_array_equal(whole.V, with_bias(into_unit_ball(X, "range")[0]))
