"""What certify says from arrays: margins, certificates, budgets, guarantees, and that each of them can fail."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

import learnability
from learnability import certification
from learnability.certification import runs, sentences, statements
from learnability.certification.options import chosen_widths
from learnability.datasets import digits_pair
from learnability.networks.separable import forward, initial
from learnability.problems.separable import random_separable
from learnability.seeding import generator
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.studies.separable.theorems import thm5_compression as thm5
from learnability.theory.guarantee import Verdict
from learnability.training.orders import visits
from learnability.training.reference import two_layer_epoch

KEYS = {
    "examples", "features", "separable", "margin", "w_norm", "duality_gap", "certificate", "guarantees", "runs",
    "figures",
}  # fmt: skip
RUN_KEYS = {"width", "seed", "updates", "examples_used", "train_error", "test_error"}


def varying(X):
    """Without the constant features, which are left out where examples are read."""
    return X[:, X.min(axis=0) < X.max(axis=0)]


def planted(m=200, d=6, margin=0.15, seed=0):
    rng = np.random.default_rng(seed)
    return random_separable(rng, d, margin).sample(rng, m)


def noisy(m=80, d=3, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, d))
    return X, X[:, 0] + 0.5 * rng.normal(size=m) > 0


@pytest.fixture(scope="module")
def digits():
    data = digits_pair()
    return learnability.certify(data.X, data.y, repeats=2)


@pytest.fixture(scope="module")
def inseparable():
    return learnability.certify(*noisy(), width=[2, 10], repeats=2, budget=0.2)


def by_id(result, start):
    return [g for g in result.guarantees if g.id.startswith(start)]


def test_the_contract(digits):
    said = digits.to_json()
    json.dumps(said, allow_nan=False)
    assert set(said) >= KEYS
    assert (said["examples"], said["features"], said["separable"], said["certificate"]) == (365, 54, True, None)
    assert said["figures"] == []
    assert {(run["width"], run["seed"]) for run in said["runs"]} == {(w, s) for w in (10, 100, 1000) for s in (0, 1)}
    for run in said["runs"]:
        assert set(run) >= RUN_KEYS
        assert (run["outcome"], run["train_error"], run["unused_error"]) == ("converged", 0.0, 0.0)
        assert 0 <= run["test_error"] < 0.1
        assert 0 < run["examples_used"] <= run["updates"]


def test_the_answer_is_three_sentences(digits, inseparable):
    first, second, third = sentences.answer(digits)
    numbers = f"margin {digits.margin:.4g}, |w*| = {digits.w_norm:.4g}"
    assert first == f"data is separable: {numbers} (365 examples, 54 features)"
    updates = [run.updates for run in digits.runs]
    (bound,) = {f"{g.bound:,.0f}" for g in by_id(digits, "separable/thm2")}
    assert second == f"updates: SGD needed {min(updates)} to {max(updates)}; Theorem 2 allows {bound} at any width"
    own = f"the test sample itself says: error <= {statements.at_most(digits.holdout_bound)} with probability 0.95; "
    assert third.startswith(
        f"error: 0.0220 on 91 test examples; {own}at most {statements.at_most(digits.error_bound)} is promised ("
    )
    first, second, third = sentences.answer(inseparable)
    removed = inseparable.found.whole.subset.removed
    assert first.startswith("data is not separable (80 examples, 3 features); ")
    assert f"without {len(removed)} of them it is" in first
    left = int((~inseparable.found.kept).sum())
    assert second.startswith(f"updates without {left} of the training examples: SGD needed ")
    assert third.endswith(": the test sample says more, no better than always naming the larger class")


def test_the_answer_says_what_is_promised_for_the_error_and_what_that_is_worth():
    result = learnability.certify(*planted(), width=[2], repeats=1, scale="norm", seed=1)
    (g,) = by_id(result, "separable/compression-consistent")
    *_, third = sentences.answer(result)
    assert g.verdict is Verdict.HOLDS
    assert f"; at most {statements.at_most(g.bound)} is promised ({g.id}) jointly: the test sample says more" in third
    assert third.endswith("no better than always naming the larger class") == ("larger class" in g.note)
    untested = learnability.certify(*planted(), width=[2], repeats=1, scale="norm", test=0)
    *_, third = sentences.answer(untested)
    assert third.startswith("error: not measured, for there is no test sample; at most 0.")
    assert "with probability 0.95" in third


def test_the_answer_says_why_a_relu_is_promised_nothing_and_what_the_budget_stopped():
    relu = learnability.certify(*planted(), width=[2], repeats=1, slope=0.0, test=0.0, scale="standard")
    *_, second, third = sentences.answer(relu)
    assert second.endswith("Theorem 2 promises nothing (fails: 0 < alpha < 1)")
    assert third.startswith("error: not measured, for there is no test sample; nothing is promised: ")
    stopped = learnability.certify(*planted(margin=0.001), width=[10], repeats=1, budget=1e-4)
    *_, second, _ = sentences.answer(stopped)
    assert second.startswith("updates: the budget stopped 1 of 1 runs, after up to ")


def test_margin_is_that_of_the_scaled_inputs(digits):
    X, train = varying(digits_pair().X), digits.found.train
    low, high = X[train].min(axis=0), X[train].max(axis=0)
    Z = (X - (low + high) / 2) / np.where(high > low, (high - low) / 2, 1.0)
    Z = np.column_stack([Z / np.linalg.norm(Z[train], axis=1).max(), np.ones(len(Z))]) / math.sqrt(2)
    w = digits.found.whole.margin.w
    products = digits_pair().y * (Z @ w)
    assert products.min() == pytest.approx(1, rel=1e-9)
    assert digits.w_norm == pytest.approx(np.linalg.norm(w), rel=1e-9) == pytest.approx(1 / digits.margin)
    assert 0 <= digits.duality_gap < 1e-9 * digits.margin
    assert digits.found.sample.w_norm < digits.w_norm  # fewer examples have a larger margin


def test_bounds_of_a_separable_set(digits):
    assert not [g for g in digits.guarantees if g.verdict is Verdict.VIOLATED]
    most = max(run.updates for run in digits.runs)
    (whole,) = by_id(digits, "separable/cor3")
    assert whole.bound == theory.corollary3_bound(w_norm=digits.w_norm, eta=1.0, alpha=0.5)
    assert (whole.measured, whole.verdict) == (most, Verdict.HOLDS)
    second = by_id(digits, "separable/thm2")
    assert [g.id for g in second] == [f"separable/thm2[2k={w}]" for w in (10, 100, 1000)]
    for g, width in zip(second, (10, 100, 1000)):
        assert g.bound == pytest.approx(
            theory.corollary3_bound(w_norm=digits.found.sample.w_norm, eta=1.0, alpha=0.5), rel=1e-12
        )
        assert g.measured == max(run.updates for run in digits.runs if run.width == width)
        assert g.verdict is Verdict.HOLDS
    assert not by_id(digits, "separable/thm4")  # about other data
    sequence = digits.to_json()["training"]["sequence_updates"]
    d = math.floor(digits.found.sample.w_norm**2)
    assert sequence == thm4.sequence_updates(d=d, k=1, eta=1.0, alpha=0.5) <= second[0].bound
    assert not any("sequence" in line for line in sentences.sentences(digits))
    (six,) = by_id(digits, "separable/thm6")
    assert six.verdict is Verdict.OUTSIDE  # n < 2 M
    for start in ("separable/thm5", "separable/compression-consistent"):
        for g in by_id(digits, start):
            assert g.verdict is Verdict.HOLDS
            assert (0 < g.bound < 1) == ("consistent" in start)
    assumed = [h for h in six.hypotheses if h.detail.startswith("assumed")]
    assert [h.name for h in assumed] == [name for name, _ in statements.ASSUMPTIONS]


def test_the_error_bound_that_is_shown_is_the_nearest_to_failing(digits):
    (g,) = by_id(digits, "separable/thm5[examples,2k=10]")
    slacks = [
        thm5.theorem5(
            n=len(digits.found.y),
            size=run.size,
            delta=0.05 / 42,
            validation_error=run.unused_error,
            coded="examples",
            error=run.test_error,
        ).slack
        for run in digits.runs
        if run.width == 10
    ]
    assert g.slack == min(slacks)


def test_a_run_that_the_budget_stopped_proves_no_error_bound(digits):
    runs = [dataclasses.replace(run, complete=False) for run in digits.runs]
    inputs, options = certification.prepare(digits_pair(), digits.options), digits.options
    for g in statements.promises(inputs, digits.found, runs, options):
        if g.id.startswith(("separable/thm5", "separable/compression")):
            assert g.verdict is Verdict.OUTSIDE


def test_delta_is_shared_by_the_runs_asked_for(digits):
    """Their number may not depend on the sample, as that of the runs that the budget allowed does."""
    inputs = certification.prepare(digits_pair(), digits.options)
    few = [run for run in digits.runs if run.seed == 0]
    for g in statements.promises(inputs, digits.found, few, digits.options):
        if g.id.startswith("separable/compression"):
            size = next(run.size for run in few if f"2k={run.width}]" in g.id)
            n = len(digits.found.y)
            delta = digits.options.delta / (7 * 3 * digits.options.repeats)
            expected = thm5.consistent_compression(n=n, size=size, delta=delta, coded="examples", consistent=True)
            assert g.bound == expected.bound


def test_the_least_of_several_error_bounds_may_be_named_since_they_hold_jointly(monkeypatch):
    """Had each line a delta of its own, the least of three widths would hold with 0.85 only."""
    charged = []
    limit = statements.holdout_bound
    for module, name in ((thm5, "theorem5"), (thm5, "consistent_compression"), (theory, "theorem6")):
        state = getattr(module, name)

        def noted(state=state, name=name, **given):
            charged.append((name, given["delta"]))
            return state(**given)

        monkeypatch.setattr(module, name, noted)
    result = learnability.certify(*planted(m=60), scale="norm", repeats=2, seed=1)
    whole = sum(delta * (2 if name == "theorem6" else 1) for name, delta in charged)  # Theorem 6: of all its runs
    assert len(result.runs) == 6
    assert {delta for _, delta in charged} == {0.05 / 42}
    assert limit(0.0, 15, result.options) == pytest.approx(1 - (0.05 / 42) ** (1 / 15))
    assert whole + 6 * 0.05 / 42 <= 0.05


def test_an_example_that_was_used_and_sets_the_scale_counts_once():
    """So that c <= n: of 45 examples never 47 are used."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    result = learnability.certify(X, np.sign(X @ [1.0, -2.0, 0.5] + 0.1), repeats=1, width=[2, 10], test=0.0)
    found = result.found
    assert found.setters.sum() > 2
    for run in result.runs:
        assert max(run.examples_used, found.setters.sum()) <= run.size <= len(found.y)
    assert any(run.size < run.examples_used + found.setters.sum() for run in result.runs)


def test_json_can_be_checked_by_hand(digits):
    said, pair = digits.to_json(), digits_pair()
    constants = said["scaling_constants"]
    Z = (varying(pair.X) - constants["centre"]) / constants["divisor"] / constants["radius"]
    Z = np.column_stack([Z, np.ones(len(Z))]) / math.sqrt(2)
    assert (pair.y * (Z @ said["w"])).min() == pytest.approx(1, rel=1e-9)
    rows = [m["row"] - 1 for m in said["multipliers"]]
    weights = np.array([m["weight"] for m in said["multipliers"]])
    assert weights.sum() == pytest.approx(1)
    distance = np.linalg.norm((weights * pair.y[rows]) @ Z[rows])
    assert distance == pytest.approx(said["margin"], rel=1e-8)
    assert {g["vacuous"] for g in said["guarantees"]} == {True, False}


def test_masked_entries_are_refused():
    X = np.ma.array(np.eye(4), mask=np.eye(4))
    with pytest.raises(ValueError, match=r"missing values in '1' \(1, the first in row 1\)"):
        learnability.certify(X, [0, 1, 0, 1])


def test_a_bound_that_is_too_low_is_violated(digits):
    """No verdict is a foregone conclusion: of the numbers the same functions would say otherwise."""
    found, options = digits.found, digits.options
    many = [dataclasses.replace(run, updates=10**9) for run in digits.runs]
    inputs = certification.prepare(digits_pair(), options)
    verdicts = {g.id: g.verdict for g in statements.promises(inputs, found, many, options)}
    assert verdicts["separable/thm2[2k=10]"] is verdicts["separable/cor3[all examples]"] is Verdict.VIOLATED
    wrong = [dataclasses.replace(run, test_error=1.0, examples_used=3, size=3) for run in digits.runs]
    verdicts = {g.id: g.verdict for g in statements.promises(inputs, found, wrong, options)}
    assert verdicts["separable/compression-consistent[examples,2k=10]"] is Verdict.VIOLATED
    beyond = [dataclasses.replace(digits.runs[0], updates=10**9, outcome="budget_reached"), *digits.runs[1:]]
    verdicts = {g.id: g.verdict for g in statements.promises(inputs, found, beyond, options)}
    assert verdicts["separable/thm2[2k=10]"] is Verdict.VIOLATED  # whatever the other runs did
    stopped = [dataclasses.replace(run, outcome="budget_reached", zero_loss=False) for run in digits.runs]
    verdicts = {g.id: g.verdict for g in statements.promises(inputs, found, stopped, options)}
    assert verdicts["separable/thm2[2k=10]"] is Verdict.NOT_MEASURED
    assert verdicts["separable/thm6[w* of the sample]"] is Verdict.OUTSIDE


def test_room_for_chance_is_clopper_and_pearsons():
    from scipy.stats import binom

    low = statements._lowest_error(7, 91)
    assert binom.sf(6, 91, low) == pytest.approx(statements.LEVEL, rel=1e-6)  # P(7 or more)
    assert statements._lowest_error(0, 91) == 0.0


def test_runs_are_the_references_on_the_drawn_orders():
    X, y = planted(60, 4, 0.2)
    result = learnability.certify(X, y, width=[4], repeats=1, seed=5, scale="norm")
    run, found = result.runs[0], result.found
    params = initial(generator(5, "certify", "start", 4), 5, 2)
    rng = generator(5, "certify", "order")
    used = np.zeros(len(found.y), dtype=bool)
    updates = 0
    for _ in range(run.epochs):
        order = visits(rng, len(found.y), 1, "shuffle")[0]
        params, updated = two_layer_epoch(params, found.X, found.y, order, eta=1.0, alpha=0.5, layers="first")
        updates += int(updated.sum())
        used[order[updated]] = True
    assert (run.updates, run.examples_used) == (updates, used.sum())
    wrong = found.y_test * forward(params, found.X_test, alpha=0.5) <= 0
    assert run.test_error == wrong.mean()


def test_stretches_of_a_run_make_one_run(monkeypatch):
    X, y = planted(60, 4, 0.05)
    whole = learnability.certify(X, y, width=[2, 10], repeats=1)
    calls = []
    train = runs.train

    def short(*args, epochs, record, **options):
        calls.append(epochs)
        return train(*args, epochs=min(epochs, 3), record=[min(epochs, 3)], **options)

    monkeypatch.setattr(runs, "train", short)
    parts = learnability.certify(X, y, width=[2, 10], repeats=1)
    assert len(calls) > 4
    assert parts.runs == whole.runs


def test_split_is_random_and_complete():
    X, y = planted(101)
    found = learnability.certify(X, y, width=[2], repeats=1, test=0.3).found
    assert (len(found.y), len(found.y_test)) == (71, 30)
    rows = np.vstack([found.X, found.X_test])
    assert len(np.unique(rows.round(12), axis=0)) == 101
    assert not (found.train == np.arange(71)).all()
    other = learnability.certify(X, y, width=[2], repeats=1, test=0.3, seed=1).found
    assert not (found.train == other.train).all()


def test_without_a_test_sample_nothing_is_said_of_the_error():
    result = learnability.certify(*planted(), width=[2], repeats=1, test=0)
    assert result.runs[0].test_error is None
    assert result.found.sample is result.found.whole
    assert all(g.measured is None for g in by_id(result, "separable/thm5"))
    json.dumps(result.to_json(), allow_nan=False)
    assert result.figure()


def test_duplicates_with_different_labels():
    X, y = planted(40)
    X, y = np.vstack([X, X[3]]), np.append(y, -y[3])
    result = learnability.certify(X, y, width=[2], repeats=1, budget=0.1)
    said = result.to_json()
    assert (said["separable"], said["margin"], said["w_norm"]) == (False, 0.0, None)
    found = said["certificate"]
    assert (found["kind"], found["rows"], found["weights"]) == ("duplicates", [4, 41], [0.5, 0.5])
    assert set(found["labels"]) == {-1.0, 1.0}
    assert found["residual"] == 0.0
    assert said["removal"]["removed"] == said["removal"]["at_least"] == 1
    assert said["removal"]["rows"][0] in (4, 41)
    assert said["removal"]["smallest"]


def test_a_certificate_that_anyone_can_check(inseparable):
    X, y = noisy()
    said = inseparable.to_json()
    found = said["certificate"]
    assert found["kind"] == "combination"
    options = inseparable.options
    labels = np.where(y, 1.0, -1.0)
    V = certification.prepare(certification.findings.DataSet(X, labels, "", (False, True)), options).V
    index = np.array(found["rows"]) - 1
    weights = np.array(found["weights"])
    assert weights.min() > 0
    assert weights.sum() == pytest.approx(1)
    assert np.linalg.norm((weights * labels[index]) @ V[index]) == pytest.approx(found["residual"], abs=1e-15)
    assert found["residual"] < 1e-14
    assert found["labels"] == [bool(v) for v in y[index]]
    removed = np.array(said["removal"]["rows"]) - 1
    rest = np.delete(np.arange(len(y)), removed)
    w = inseparable.found.whole.rest.w
    assert (labels[rest] * (V[rest] @ w)).min() > 0
    assert 1 <= said["removal"]["at_least"] <= len(removed)


def test_what_still_holds_where_the_sample_is_not_separable(inseparable):
    found = inseparable.found
    part = [run for run in inseparable.runs if run.data == "separable part"]
    whole = [run for run in inseparable.runs if run.data == "all"]
    assert len(part) == len(whole)
    assert all(run.epochs <= runs.BRIEF and run.outcome == "budget_reached" for run in whole)
    for run in part:
        assert (run.outcome, run.train_error) == ("converged", 0.0)
        assert run.unused_error > 0  # on the examples left out
        assert run.examples_used <= found.kept.sum()
    (cor3,) = by_id(inseparable, "separable/cor3")
    assert (cor3.verdict, cor3.bound) == (Verdict.OUTSIDE, None)
    for g in by_id(inseparable, "separable/thm2"):
        assert "separable part" in g.id
        assert g.verdict is Verdict.HOLDS
    for g in by_id(inseparable, "separable/compression-consistent[examples,2k=2,separable part]"):
        assert g.verdict is Verdict.OUTSIDE
    bounded = by_id(inseparable, "separable/thm5[examples,2k=2,separable part]")
    assert "L_V" in bounded[0].note
    bounds = [
        thm5.compression_bound(
            n=len(found.y), size=run.size, delta=0.05 / 28,
            validation_error=run.unused_error, known_in_advance=False,
        )
        for run in part
        if run.width == 2
    ]  # fmt: skip
    assert bounded[0].bound in bounds
    assert inseparable.figure()


def test_left_out_examples_change_nothing_but_the_order():
    """Zero rows in their places: what the reference makes of the others in the same order of positions."""
    X, y = planted(30, 4, 0.4)
    y[:3] *= -1
    result = learnability.certify(X, y, width=[4], repeats=1, budget=0.5)
    found, run = result.found, result.runs[-1]
    assert (~found.kept).any()
    assert np.abs(found.X[~found.kept]).sum(axis=1).min() > 0  # they are back
    params = initial(generator(0, "certify", "start", 4), 5, 2)
    rng = generator(0, "certify", "order")
    updates = 0
    for _ in range(run.epochs):
        order = visits(rng, len(found.y), 1, "shuffle")[0]
        order = order[found.kept[order]]
        params, updated = two_layer_epoch(params, found.X, found.y, order, eta=1.0, alpha=0.5, layers="first")
        updates += int(updated.sum())
    assert run.updates == updates
    assert run.outcome == "converged"


def test_budget_is_kept_and_stated():
    X, y = planted(300, 10, 0.02)
    tight = learnability.certify(X, y, width=[2, 10, 1000], repeats=3, budget=0.004)
    assert {run.width for run in tight.runs} == {2, 10}
    assert any("2k = 1000 left out" in note for note in tight.notes)
    assert learnability.certify(X, y, width=[2, 10, 1000], repeats=3, budget=0.004).to_json() == tight.to_json()
    for g in by_id(tight, "separable/thm2"):
        ended = all(r.outcome == "converged" for r in tight.runs if g.id == f"separable/thm2[2k={r.width}]")
        assert g.verdict is (Verdict.HOLDS if ended else Verdict.NOT_MEASURED)
    assert any(run.outcome == "budget_reached" for run in tight.runs)
    least = learnability.certify(X, y, width=[10], repeats=3, budget=1e-9)
    assert [(run.width, run.epochs) for run in least.runs] == [(10, 1)]  # one epoch in any case


def test_relu_is_outside_the_theorems():
    result = learnability.certify(*planted(), width=[10], repeats=1, slope=0)
    assert by_id(result, "separable/thm2")[0].verdict is Verdict.OUTSIDE
    assert not by_id(result, "separable/thm4")
    json.dumps(result.to_json(), allow_nan=False)
    assert result.figure()


def test_inputs_in_the_unit_ball_may_stay_as_they_are():
    X, y = planted()
    result = learnability.certify(X, y, width=[2], repeats=1, scale="none", bias=False)
    assert result.w_norm < 1 / 0.15
    assert len(result.to_json()["assumptions"]) == 1
    with pytest.raises(ValueError, match="norm <= 1"):
        learnability.certify(2 * X, y, scale="none")
    affine = learnability.certify(X, y, width=[2], repeats=1, scale="none")
    assert affine.found.X.shape[1] == X.shape[1] + 1


def test_without_a_bias_zero_and_opposite_points_are_named():
    X, y = planted(30)
    result = learnability.certify(
        np.vstack([X, -X[2]]), np.append(y, y[2]), width=[2], repeats=1, bias=False, scale="norm"
    )
    assert (result.certificate.kind, result.to_json()["certificate"]["rows"]) == ("opposites", [3, 31])
    result = learnability.certify(
        np.vstack([X, 0 * X[2]]), np.append(y, 1), width=[2], repeats=1, bias=False, scale="norm"
    )
    assert (result.certificate.kind, result.to_json()["certificate"]["rows"]) == ("zero", [31])


def test_widths():
    assert chosen_widths(None) == (10, 100, 1000)
    assert chosen_widths(100) == (10, 100, 1000)
    assert chosen_widths(50) == (4, 50, 500)
    assert chosen_widths([50]) == (50,)
    assert chosen_widths(2) == (2, 20)
    assert chosen_widths(20_000) == (2000, 20_000)
    assert chosen_widths([4, 2]) == (4, 2)
    assert certification.Options(widths=(4, 2, 4)).widths == (2, 4)


BAD = {
    "one label": ({"y": [1, 1, 1, 1]}, "exactly two values in the label column 'y', got 1"),
    "three labels": (
        {"y": [1, 2, 3, 1]},
        "exactly two values in the label column 'y', got 3: .*certify_each",
    ),
    "missing label": ({"y": [1, np.nan, 0, 1]}, "got none in column 'y', row 2"),
    "label objects": ({"y": [object(), None, 1, 1]}, "numbers, text or truth values as labels"),
    "too few labels": ({"y": [1, 0]}, "y must have length 4"),
    "nan": ({"X": [[np.nan], [1], [2], [3]]}, r"missing values in '1' \(1, the first in row 1\)"),
    "text": ({"X": [["a"], ["b"], ["c"], ["d"]]}, "must hold numbers in every column"),
    "odd width": ({"width": 3}, "width must be even"),
    "no width": ({"width": []}, "width must name"),
    "wide": ({"width": 20_002}, "width must be <= 20000"),
    "width": ({"width": "10"}, "width must be an integer"),
    "slope": ({"slope": 1}, "slope must be < 1"),
    "step": ({"step": 0}, "step must be > 0"),
    "delta": ({"delta": 1}, "delta must be < 1"),
    "scale": ({"scale": "unit"}, "scale must be one of"),
    "bias": ({"bias": 1}, "bias must be True or False"),
    "test": ({"test": -0.1}, "test must be >= 0"),
    "repeats": ({"repeats": 0}, "repeats must be >= 1"),
    "seed": ({"seed": -1}, "seed must be >= 0"),
    "budget": ({"budget": 0}, "budget must be > 0"),
    "unknown": ({"widths": (2,)}, "no option 'widths'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_leave_nothing_behind(case, tmp_path):
    changed, message = BAD[case]
    given = {"X": [[0.0, 1], [1, 1], [2, 0], [3, 1]], "y": [0, 0, 1, 1]} | changed
    with pytest.raises(ValueError, match=message):
        learnability.certify(**given, out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_files_are_written_where_asked(tmp_path):
    X, y = planted()
    seen = []
    result = learnability.certify(X, y, width=[2], repeats=2, out=tmp_path, on_progress=seen.append)
    (place,) = (tmp_path / "certify/data").iterdir()
    assert place.name.startswith("range-")
    assert result.files == [place / "figure.png", place / "figure.pdf"]
    assert {p.name for p in place.iterdir()} == {
        "figure.png", "figure.pdf", "certify.json", "verdicts.json", "verdicts.md", "manifest.json",
    }  # fmt: skip
    assert json.loads((place / "certify.json").read_text()) == result.to_json()
    assert [(p.label, p.done, p.total) for p in seen if not p.label.endswith(" steps")] == [
        ("margin of all 200 examples", 0, 3), ("margin of 150 training examples", 1, 3),
        ("SGD with 2k = 2, run 1 of up to 2", 2, 4), ("SGD with 2k = 2, run 2 of up to 2", 3, 4), ("", 4, 4),
    ]  # fmt: skip
    learnability.certify(X, y, width=[2], repeats=2, out=tmp_path)  # the same again
    learnability.certify(X, y, width=[2], repeats=2, out=tmp_path, slope=0.3)
    learnability.certify(X[1:], y[1:], width=[2], repeats=2, out=tmp_path)
    assert len(list((tmp_path / "certify/data").iterdir())) == 3
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_figure_shows_runs_and_bounds(digits):
    figure = digits.figure()
    left, right = figure.axes
    drawn = {line.get_label(): line for line in left.get_lines()}
    (bound,) = (line for label, line in drawn.items() if label.startswith("Theorem 2"))
    assert bound.get_ydata()[0] == by_id(digits, "separable/thm2")[0].bound
    means = [np.mean([r.updates for r in digits.runs if r.width == w]) for w in (10, 100, 1000)]
    np.testing.assert_allclose(drawn["SGD"].get_ydata(), means)
    assert any(line.get_label().startswith("Theorem 5") for line in right.get_lines())
    fewer = dataclasses.replace(digits, runs=[r for r in digits.runs if (r.width, r.seed) != (1000, 1)])
    (line,) = (line for line in fewer.figure().axes[0].get_lines() if line.get_label() == "SGD")
    (alone,) = (r.updates for r in fewer.runs if r.width == 1000)
    assert line.get_ydata()[-1] == alone  # a seed without a run at that width has no share in it
    assert left.get_xscale() == left.get_yscale() == right.get_xscale() == "log"
