"""The checks of the separable study, and that they fail where a statement would be false."""

import itertools
import math
import re

import numpy as np
import pytest

from learnability.networks.separable import TwoLayer, forward
from learnability.seeding import generator
from learnability.studies.separable.checks import bounds as separable_bounds
from learnability.studies.separable.checks import compression as separable_compression
from learnability.studies.separable.checks import landscape as separable_landscape
from learnability.studies.separable.checks import relu as separable_relu
from learnability.studies.separable.checks import sequence as separable_sequence
from learnability.studies.separable.theorems import thm4_thm10 as thm4
from learnability.studies.separable.theorems import thm5_compression as compression
from learnability.theory import Verdict
from learnability.training.record import Outcome
from learnability.training.reference import two_layer_epoch

MODULES = (separable_bounds, separable_compression, separable_relu, separable_sequence)
CHECKS = [check for module in MODULES for check in module.CHECKS]


@pytest.fixture(scope="module")
def results():
    """Every check at the smoke scale, run once."""
    return {check.name: check.run("smoke") for check in CHECKS}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_checks_hold_at_smoke_scale(name, results):
    for g in results[name]:
        assert g.verdict is Verdict.HOLDS, g


@pytest.mark.parametrize(
    "check", [separable_bounds.both_layers, separable_compression.frequencies, separable_relu.updates]
)
def test_checks_are_deterministic(check, results):
    again = check("smoke")
    assert any(again == found for found in results.values())


def verdicts(found):
    return {g.id.partition("[")[0]: g.verdict for g in found}


# The checks can fail


def test_one_update_too_many_is_caught(monkeypatch):
    real = separable_bounds.train

    def busy(*arguments, **named):
        run = real(*arguments, **named)
        object.__setattr__(run, "updates", run.updates + 1)
        return run

    monkeypatch.setattr(separable_bounds, "train", busy)
    found = verdicts(separable_bounds.theorem2("smoke"))
    assert found["separable/cor3"] is found["separable/thm2"] is Verdict.VIOLATED
    assert verdicts(separable_bounds.both_layers("smoke")[:1]) == {"separable/thm2-relaxed": Verdict.VIOLATED}


def test_updates_that_grow_with_the_width_and_unfinished_runs_are_caught(monkeypatch):
    real = separable_bounds.train

    def wide(start, *arguments, **named):
        run = real(start, *arguments, **named)
        object.__setattr__(run, "updates", math.ceil(run.updates * len(start.v) ** 0.1))
        object.__setattr__(run, "outcome", Outcome.BUDGET_REACHED)
        return run

    monkeypatch.setattr(separable_bounds, "train", wide)
    found = verdicts(separable_bounds.theorem2("smoke"))
    assert found["separable/thm2-width"] is found["separable/thm2-end"] is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("factor", "broken"), [(1.05, {"separable/thm2-norm"}), (0.95, {"separable/thm2-alignment"}), (1.0, set())]
)
def test_other_steps_than_the_proofs_are_caught(monkeypatch, factor, broken):
    def scaled(params, X, y, order, *, eta, **named):
        return two_layer_epoch(params, X, y, order, eta=factor * eta, **named)

    monkeypatch.setattr(separable_bounds, "two_layer_epoch", scaled)
    found = [g for g in separable_bounds.mechanics("smoke") if "first" in g.id]
    assert {g.id.partition("[")[0] for g in found if g.verdict is Verdict.VIOLATED} == broken


@pytest.mark.parametrize("layers", ["first", "both"])
def test_the_monitors_use_the_weights_that_make_the_update(monkeypatch, layers):
    pairs = []

    def watched(params, *arguments, **named):
        after = two_layer_epoch(params, *arguments, **named)
        if after.updated[0]:
            pairs.append((params, after.params))
        return after

    monkeypatch.setattr(separable_bounds, "two_layer_epoch", watched)
    sample, eta, alpha, k, v = separable_bounds._sample(0.3, 0), 0.1, 0.5, 2, 0.5
    norm, alignment = separable_bounds._monitored(sample, 2 * k, eta, alpha, layers, 30, "x")

    def update(g):
        return pairs[int(g.note.partition("by update ")[2].partition(" of")[0]) - 1]

    before, after = update(norm)
    C = max(1.0, np.abs(before.v).max() / v)
    assert norm.measured == pytest.approx(np.sum(after.W**2) - np.sum(before.W**2))
    assert norm.bound == pytest.approx(2 * k * (eta * C * v) ** 2 + 2 * eta)
    before, after = update(alignment)
    c = min(1.0, np.abs(before.v).min() / v)
    moved = (after.W - before.W) @ sample.w
    assert alignment.measured == pytest.approx(moved[:k].sum() - moved[k:].sum())
    assert alignment.bound == pytest.approx(2 * k * eta * c * v * alpha)
    assert len(pairs) >= 30 or layers == "both"
    assert (C > 1) == (layers == "both")


def test_a_wrong_lower_bound_and_a_wrong_count_are_caught(monkeypatch):
    exact = thm4.sequence_updates
    monkeypatch.setattr(thm4, "sequence_updates", lambda **p: exact(**p) - 1)
    monkeypatch.setitem(separable_sequence.RANDOM, "smoke", 20)
    found = separable_sequence.theorem4("smoke")
    assert verdicts(found)["separable/thm10-count"] is Verdict.VIOLATED
    assert verdicts(found)["separable/thm10-exact"] is Verdict.VIOLATED
    assert {g.verdict for g in found if "sharp" in g.id} == {Verdict.VIOLATED}
    by = {g.id: g.verdict for g in separable_sequence.networks("smoke")}
    assert by["separable/thm4-network[reference]"] is by["separable/thm4-network[engine]"] is Verdict.VIOLATED


def test_a_small_step_is_not_a_large_one(monkeypatch):
    real = separable_sequence.train
    monkeypatch.setattr(
        separable_sequence, "train", lambda *a, **named: real(*a, **named | {"eta": min(named["eta"], 0.5)})
    )
    by = {g.id: g for g in separable_sequence._large_steps()}
    assert by["separable/thm4-large-step[updates]"].verdict is Verdict.VIOLATED


def test_an_example_left_out_of_the_compression_is_caught(monkeypatch):
    real = separable_compression.kept
    monkeypatch.setattr(separable_compression, "kept", lambda seen, used: real(seen, used[1:]))
    found = {g.id: g.verdict for g in separable_compression.scheme("smoke")}
    assert found["separable/thm5-scheme[examples]"] is Verdict.VIOLATED
    assert found["separable/thm5-scheme[engine]"] is Verdict.VIOLATED
    assert found["separable/thm5-scheme[updates]"] is Verdict.HOLDS


def test_another_order_does_not_give_the_same_network(monkeypatch):
    """What the independence of the order is needed for: the places of the used examples in it must be known."""
    real = separable_compression.kept

    def elsewhere(seen, used):
        return np.sort(real(seen, used))

    monkeypatch.setattr(separable_compression, "kept", elsewhere)
    found = {g.id: g.verdict for g in separable_compression.scheme("smoke")}
    assert found["separable/thm5-scheme[examples]"] is Verdict.VIOLATED


def test_a_count_that_is_halved_is_caught(monkeypatch):
    monkeypatch.setitem(separable_compression.VISITS, "smoke", ())
    real = separable_compression.thm5.consistent_compression

    def halved(*, size, **named):
        return real(size=size // 2, **named)

    monkeypatch.setattr(separable_compression.thm5, "consistent_compression", halved)
    (found,) = separable_compression.frequencies("smoke")
    assert found.measured > 0.9  # the lower limit of the share
    assert found.verdict is Verdict.VIOLATED


def test_a_bound_that_is_never_below_1_confirms_nothing(results):
    for g in results["thm5"]:
        assert "vacuous" not in g.note
    promise = compression.theorem5(n=1000, size=400, delta=0.1, error=0.0)
    result = separable_compression._Result({"separable/thm5[updates]": promise}, 0.0, 0.0)
    found = separable_compression._frequency("separable/thm5[updates]", "x", "", 36 * [result])
    assert [h.name for h in found.hypotheses if not h.holds] == ["the bound is below 1"]
    assert "vacuous (1 or more) in 36 of 36" in found.note


def test_the_error_on_rare_inputs_is_the_share_that_was_not_drawn():
    result = separable_compression._rare(3)
    rng = generator(3, "thm5", "rare sample")
    drawn = np.unique(rng.integers(separable_compression.ATOMS, size=separable_compression.PART))
    assert result.error == 1 - len(drawn) / separable_compression.ATOMS
    (promise,) = result.promises.values()
    assert f"c = {len(drawn)} examples" in promise.note


def test_an_error_that_does_not_fall_is_caught(monkeypatch):
    monkeypatch.setitem(separable_compression.SIZES, "smoke", (125, 250, 500))
    real = separable_compression._error
    monkeypatch.setattr(separable_compression, "_error", lambda *a: 1 - real(*a))
    (found,) = separable_compression.rate("smoke")
    assert found.verdict is Verdict.VIOLATED


@pytest.mark.parametrize(
    "weaker", [lambda L, c: L + 8 * c, lambda L, c: math.sqrt(4 * L * c) + 8 * c, lambda L, c: L - 8 * c]
)
def test_theorem5_without_one_of_its_terms_is_caught(monkeypatch, weaker):
    """After one step the last term alone is below what L_V deviates by."""

    def bound(*, n, size, delta, validation_error, known_in_advance):
        return max(weaker(validation_error, size * math.log(n / delta) / n), 0.0)

    monkeypatch.setattr(compression, "compression_bound", bound)
    found = [separable_compression._stopped(1, draw) for draw in range(separable_compression.DRAWS["smoke"])]
    name = "separable/thm5[updates]"
    assert separable_compression._frequency(name, "x", "", found).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("seed", range(4))
def test_the_error_on_the_circle_is_exact(seed):
    rng = generator(seed, "circle")
    units = int(rng.integers(1, 5))
    params = TwoLayer(rng.standard_normal((2 * units, 2)), np.repeat([1.0, -1.0], units))
    direction, noise, alpha = rng.uniform(0, 7), 0.3 * rng.random(), 0.3
    angles = (np.arange(400_000) + 0.5) / 400_000 * 2 * np.pi
    outputs = forward(params, np.column_stack([np.cos(angles), np.sin(angles)]), alpha=alpha)
    apart = np.mean(outputs * np.cos(angles - direction) <= 0)
    assert separable_compression.circle_error(params, alpha, direction, noise) == pytest.approx(
        noise + (1 - 2 * noise) * apart, abs=2e-5
    )


def test_the_error_on_the_circle_of_known_networks():
    like = TwoLayer(np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([1.0, -1.0]))  # the sign of x_2
    for turned, share in ((0.0, 0.0), (math.pi / 4, 0.25), (math.pi, 1.0)):
        found = separable_compression.circle_error(like, 0.5, math.pi / 2 + turned, 0.2)
        assert found == pytest.approx(0.2 + 0.6 * share, abs=1e-12)


def test_runs_that_did_not_end_say_nothing_of_a_global_minimum(monkeypatch):
    monkeypatch.setitem(separable_compression.VISITS, "smoke", ())
    monkeypatch.setitem(separable_compression.SIZES, "smoke", (125, 250))
    real = separable_compression.train
    monkeypatch.setattr(separable_compression, "train", lambda *a, **named: real(*a, **named | {"epochs": 1}))
    (consistent,) = separable_compression.frequencies("smoke")
    assert consistent.verdict is Verdict.OUTSIDE
    (falls,) = separable_compression.rate("smoke")
    assert falls.verdict is Verdict.NOT_MEASURED


@pytest.mark.parametrize("eta", [0.07, 1.0, 8.0])
def test_the_coordinates_alone_give_the_reference_run(eta):
    d, k = 6, 2
    W = generator(3, "test", eta).uniform(-2, 2, (2 * k, d))
    ends = separable_relu.by_coordinates(W, eta)
    before = W.copy()
    params, counts = TwoLayer(W, np.repeat([1.0, -1.0], k)), np.zeros(d, int)
    while True:
        params, updated = two_layer_epoch(
            params, np.eye(d), np.ones(d), np.arange(d), eta=eta, alpha=0.0, layers="first"
        )
        counts += updated
        if not updated.any():
            break
    assert np.array_equal(ends.W, params.W)
    assert np.array_equal(ends.updates, counts)
    outputs = params.v @ np.maximum(params.W, 0)
    assert ends.outputs == pytest.approx(outputs)
    assert np.array_equal(W, before)


def test_another_distribution_of_starts_is_caught(monkeypatch):
    real = separable_relu._start
    monkeypatch.setattr(separable_relu, "_start", lambda *a: real(*a) + 0.3)
    found = verdicts(separable_relu.probability("smoke"))
    assert found["separable/thm9"] is Verdict.VIOLATED
    monkeypatch.setattr(separable_relu, "_start", lambda *a: real(*a) - 0.5)
    found = {g.id: g.verdict for g in separable_relu.probability("smoke")}
    assert found["separable/thm9-success[d=8..8,delta=0.1]"] is Verdict.VIOLATED
    assert found["separable/thm9-dead[d=8..8]"] is Verdict.HOLDS


def test_a_run_that_ends_otherwise_than_its_dead_examples_say_is_caught(monkeypatch):
    real = separable_relu.train  # with a slope below zero no example is dead
    monkeypatch.setattr(separable_relu, "train", lambda *a, **named: real(*a, **named | {"alpha": 0.1}))
    found = {g.id: g.verdict for g in separable_relu.probability("smoke")}
    assert found["separable/thm9-dead[d=8..8]"] is Verdict.VIOLATED
    assert found["separable/thm9[d=8..8]"] is Verdict.VIOLATED


def test_larger_starts_than_said_are_caught(monkeypatch):
    real = separable_relu._start
    monkeypatch.setattr(separable_relu, "_start", lambda draw, d, k, C: real(draw, d, k, 9 * C))
    found = {g.id: g.verdict for g in separable_relu.updates("smoke")}
    assert found["separable/thm9-updates[one example]"] is Verdict.VIOLATED
    assert found["separable/thm9-updates[corrected]"] is Verdict.VIOLATED
    assert found["separable/thm9-updates[large step]"] is Verdict.VIOLATED


def test_a_closed_form_or_a_threshold_that_is_off_by_one_is_caught(monkeypatch):
    theorem = separable_relu.thm9
    real = theorem.failure_probability
    for shift, side in ((1, "failure"), (-1, "success")):
        monkeypatch.setattr(theorem, "failure_probability", lambda d, k, shift=shift: real(d, k + shift))
        found = {g.id: g.verdict for g in separable_relu._closed_form()}
        assert found[f"separable/thm9-{side}[closed form]"] is Verdict.VIOLATED


def test_a_failure_probability_that_is_off_by_one_per_cent_is_caught(monkeypatch):
    """The thresholds are nearly attained: success for small delta, failure to delta j^2 / d."""
    real = separable_relu.thm9.failure_probability
    for factor in (1.01, 0.99):
        monkeypatch.setattr(separable_relu.thm9, "failure_probability", lambda d, k, f=factor: f * real(d, k))
        found = {g.id: g.verdict for g in separable_relu._closed_form()}
        assert found["separable/thm9-failure[closed form]"] is Verdict.VIOLATED
        assert factor < 1 or found["separable/thm9-success[closed form]"] is Verdict.VIOLATED


def test_how_near_the_usual_runs_come_is_said():
    """Not only the run of one update that decides."""
    for g in separable_bounds.theorem2("smoke")[:5]:
        assert re.search(r"updates / bound from \S+ to 0\.4\d at margins below 0\.9", g.note)


def test_a_wrong_gradient_of_sgd_is_seen_by_proposition_1(monkeypatch):
    real = separable_landscape.two_layer_epoch

    def short(*given, **named):
        done = real(*given, **named)
        return done._replace(params=done.params._replace(W=given[0].W + 0.5 * (done.params.W - given[0].W)))

    monkeypatch.setattr(separable_landscape, "two_layer_epoch", short)
    found = {g.id: g.verdict for g in separable_landscape.proposition1("smoke")}
    assert found["separable/prop1-block[random sets]"] is Verdict.VIOLATED


def test_the_order_of_theorem_6_is_a_claim_of_ours():
    (g,) = separable_compression.rate("smoke")
    assert g.source.startswith("this project")
    assert g.note.startswith("ours")


def test_dead_units_that_move_are_caught(monkeypatch):
    """With a slope below zero no example is dead, and Theorem 9's failures do not happen."""
    real = separable_relu.train
    monkeypatch.setattr(separable_relu, "train", lambda *a, **named: real(*a, **named | {"alpha": 0.1}))
    found = {g.id: g.verdict for g in separable_relu.engine("smoke")}
    assert set(found.values()) == {Verdict.VIOLATED}


def test_the_grid_of_theorem4_is_in_the_thousands():
    for scale, least in (("smoke", 2000), ("laptop", 10_000)):
        grid = [tuple(p.items()) for p in separable_sequence._grid(scale)]
        assert len(set(grid)) > least * 0.9
    assert sum(1 for _ in itertools.islice(separable_sequence._grid("laptop"), 10)) == 10
