"""What the estimators say is what the theorems and engines say, and what they learn is what they are for."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import training_oracle as oracle
from learnability.certification import Options, certify, prepare
from learnability.datasets.records import DataSet
from learnability.estimators import (
    CosineFeatures,
    GatedFeatures,
    LeakyReluClassifier,
    ReluFeatures,
    ResNetRegressor,
    SparseParityClassifier,
    SymmetricClassifier,
)
from learnability.kernels.named import kernel
from learnability.networks.parity import hidden, initial
from learnability.networks.symmetry import embedding, symmetry_init
from learnability.problems.parity import random_mixture
from learnability.problems.residual import PairTarget, UniformSigns
from learnability.problems.separable import into_unit_ball, random_separable, with_bias
from learnability.problems.symmetry import UniformCube, parity, random_symmetric
from learnability.studies.separable.theorems import thm2_thm6, thm5_compression
from learnability.studies.symmetry.theorems import lemmas_thm1, thm2_lemma4
from learnability.theory.guarantee import Verdict
from learnability.theory.margins import hard_margin, lift, margin_of
from learnability.training.orders import example_orders
from learnability.training.population import sampled_gradient
from learnability.training.reference import sgd_epoch


def bits(n, m, seed=0):
    return UniformCube(n).sample(np.random.default_rng(seed), m)


# The symmetric learner


class TestSymmetric:
    @pytest.mark.parametrize("solver", ["sgd", "frozen", "exact"])
    @pytest.mark.parametrize("init", ["half_integer", "integer", "quarter", "sigmoid"])
    def test_parity_is_learnt_from_every_weight(self, solver, init):
        X, Z = np.vstack([bits(8, 150), np.zeros((1, 8)), np.ones((1, 8))]), bits(8, 300, 1)
        learner = SymmetricClassifier(init, solver=solver, random_state=0, max_iter=10**5).fit(X, parity(8)(X))
        assert learner.converged_
        assert learner.margin_ > 0
        assert learner.score(Z, parity(8)(Z)) == 1.0

    def test_the_step_is_lemma_4s(self):
        n = 9
        h, beta, within = SymmetricClassifier()._step(n)
        margin = hard_margin(lift(embedding(symmetry_init(n))), parity(n).labels).margin
        squared = float((lift(embedding(symmetry_init(n))) ** 2).sum(axis=1).max())
        found = thm2_lemma4.lemma4_hypotheses(
            h=h, beta=beta, margin=margin, radius=math.sqrt(squared), input_radius=math.sqrt(n)
        )
        assert all(hypothesis.holds for hypothesis in found)
        assert within
        assert not SymmetricClassifier(h=Fraction(1, n**3))._step(n).within
        assert not SymmetricClassifier(beta=0)._step(n).within

    @pytest.mark.parametrize("solver", ["sgd", "frozen"])
    def test_updates_and_margin_keep_to_lemma_4(self, solver):
        n = 8
        X = bits(n, 60)
        y = random_symmetric(n, np.random.default_rng(2))(X)
        learner = SymmetricClassifier(solver=solver, random_state=0, max_iter=10**6).fit(X, y)
        seen = lift(embedding(symmetry_init(n), np.unique(X.sum(axis=1))))
        labels = [y[X.sum(axis=1) == k][0] for k in np.unique(X.sum(axis=1))]
        largest = hard_margin(seen, labels).margin
        squared = float((lift(embedding(symmetry_init(n))) ** 2).sum(axis=1).max())
        assert learner.n_updates_ <= thm2_lemma4.MOST["relu"] * squared / largest**2
        assert thm2_lemma4.LEAST["relu"] * largest <= learner.margin_ <= largest * (1 + 1e-9)

    def test_the_exact_solver_has_the_largest_margin(self):
        X = bits(10, 80)
        y = random_symmetric(10, np.random.default_rng(3))(X)
        learner = SymmetricClassifier(solver="exact").fit(X, y)
        network = learner.machines_[0].network
        points = lift(embedding(symmetry_init(10), X.sum(axis=1)))
        proved = hard_margin(points, y)
        assert learner.margin_ == pytest.approx(proved.margin, rel=1e-9)
        assert margin_of(np.append(network.M, network.b), points, y) == pytest.approx(proved.upper, rel=1e-9)

    def test_the_frozen_engine_tends_to_the_exact_solver_as_its_confidence_grows(self):
        n = 6
        X = bits(n, 60)
        y = random_symmetric(n, np.random.default_rng(1))(X)
        exact = SymmetricClassifier(solver="exact").fit(X, y)
        w = np.append(exact.machines_[0].network.M, exact.machines_[0].network.b)
        frozen = SymmetricClassifier(solver="frozen", h=1, warm_start=True, random_state=0, max_iter=10**6)
        cosines = []
        for stage in range(1, 201):
            frozen.set_params(beta=1000 * stage).fit(X, y)
            moved = frozen.machines_[0].network
            v = np.append(moved.mu0, moved.count)
            cosines.append(v @ w / np.linalg.norm(v) / np.linalg.norm(w))
        assert 1 - cosines[-1] < 1e-6 < 1 - cosines[0]
        assert frozen.margin_ == pytest.approx(exact.margin_, rel=1e-3)
        fixed = SymmetricClassifier(solver="frozen", h=1, beta=1e5, random_state=0, max_iter=10**6).fit(X, y)
        assert fixed.margin_ < 0.97 * exact.margin_  # a large confidence by itself is not enough

    def test_the_error_bound_is_theorem_1s(self):
        n, m = 8, 200
        X = bits(n, m)
        learner = SymmetricClassifier(random_state=0, delta=0.1, max_iter=10**5).fit(X, parity(n)(X))
        bound = learner.generalization_bound_
        assert lemmas_thm1.theorem1_sample_size(n, bound * (1 + 1e-12), 0.1) <= m
        assert lemmas_thm1.theorem1_sample_size(n, bound * 0.99, 0.1) > m
        three = SymmetricClassifier(solver="exact", delta=0.1).fit(X, X.sum(axis=1) % 3)
        assert three.generalization_bound_ == pytest.approx(3 * ((n + 1) * math.log(2) + math.log(3 / 0.1)) / m)

    @pytest.mark.parametrize(
        ("change", "inputs"),
        [({"h": 0.01}, None), ({"beta": 0}, None), ({"max_iter": 1}, None), ({}, "real"), ({}, "few")],
    )
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_nothing_is_promised_outside_the_theorem(self, change, inputs):
        X = bits(6, 7 if inputs == "few" else 120)
        y = parity(6)(X)
        if inputs == "real":
            X = X + 0.01 * np.random.default_rng(0).standard_normal(X.shape)
        assert SymmetricClassifier(random_state=0, **change).fit(X, y).generalization_bound_ is None

    def test_what_stands_for_a_bit(self):
        X = bits(7, 90)
        y = parity(7)(X)
        common = {"solver": "exact"}
        wanted = SymmetricClassifier(**common).fit(X, y).decision_function(X)
        for inputs, bounds in ((2 * X - 1, None), (3 * X + 5, (5, 8)), (3 * X + 5, None)):
            found = SymmetricClassifier(**common, bounds=bounds).fit(inputs, y)
            np.testing.assert_allclose(found.decision_function(inputs), wanted, rtol=1e-9)
        assert SymmetricClassifier(**common).fit(2 * X - 1, y).generalization_bound_ is not None

    def test_examples_that_contradict_each_other(self):
        X, y = np.repeat(np.eye(4), 3, axis=0), np.tile([1, 1, -1], 4)
        with pytest.warns(
            ConvergenceWarning, match="SymmetricClassifier still made updates in the last of max_iter=20"
        ):
            sgd = SymmetricClassifier(max_iter=20, random_state=0).fit(X, y)
        assert not sgd.converged_
        assert sgd.margin_ <= 0
        exact = SymmetricClassifier(solver="exact").fit(X, y)
        assert (exact.predict(X) == 1).all()  # the label of most
        even = SymmetricClassifier(solver="exact").fit(X[:4], [1, -1, 1, -1])
        assert (even.decision_function(X) == 0).all()  # as many of both: nothing is known

    def test_parts_of_a_stream_are_one_run_in_exact_arithmetic(self):
        n, rng = 6, np.random.default_rng(5)
        f = random_symmetric(n, rng)
        learner = SymmetricClassifier(random_state=3)
        h, beta, _ = learner._step(n)
        now = oracle.network(Fraction, symmetry_init(n))
        orders, updates = None, 0
        for m in (5, 1, 7, 4):
            X = UniformCube(n).sample(rng, m)
            learner.partial_fit(X, f(X), classes=[-1.0, 1.0])
            orders = orders or np.random.default_rng()
            if updates == 0:
                orders = clone_of_orders(learner, m)
            exact = sgd_epoch(now, *oracle.sample(X, f(X)), example_orders(orders, m, 1)[0], h=h, beta=beta)
            now, updates = exact.params, updates + int(exact.updated.sum())
            assert learner.n_updates_ == updates
            machine = learner.machines_[0].network
            _, _, mu, count = oracle.deviations(oracle.network(Fraction, symmetry_init(n)), now, h)
            oracle.close(machine.mu0 + machine.unit**2 * machine.mu1, mu)
            assert machine.count == count[0]
        assert learner.n_iter_ == 4

    def test_epochs_one_by_one_are_one_fit(self):
        X = bits(8, 40)
        y = random_symmetric(8, np.random.default_rng(6))(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            whole = SymmetricClassifier(random_state=1, max_iter=25).fit(X, y)
            parts = SymmetricClassifier(random_state=1)
            for _ in range(25):
                parts.partial_fit(X, y, classes=[-1.0, 1.0])
            warm = SymmetricClassifier(random_state=1, max_iter=5, warm_start=True)
            for _ in range(5):
                warm.fit(X, y)
        for other in (parts, warm):
            np.testing.assert_array_equal(other.decision_function(X), whole.decision_function(X))
            assert (other.n_updates_, other.n_iter_) == (whole.n_updates_, whole.n_iter_)
            assert other.generalization_bound_ is None

    def test_the_exact_solver_has_no_parts(self):
        assert not hasattr(SymmetricClassifier(solver="exact"), "partial_fit")
        assert hasattr(SymmetricClassifier(), "partial_fit")


def clone_of_orders(learner, m):
    """The generator of a learner's orders, put back to before its first epoch of m examples."""
    from learnability.seeding import generator

    rng = generator(learner._seed, "symmetric", "order", 0)
    after = generator(learner._seed, "symmetric", "order", 0)
    after.random(m)
    assert learner.machines_[0].rng.bit_generator.state == after.bit_generator.state
    return rng


# The leaky-ReLU learner


class TestLeakyRelu:
    def data(self, m=300, margin=0.15, d=6):
        rng = np.random.default_rng(0)
        return random_separable(rng, d, margin).sample(rng, m)

    @pytest.mark.parametrize("scale", ["range", "norm", "standard", "none"])
    @pytest.mark.parametrize("bias", [True, False])
    def test_it_is_the_run_that_certify_makes(self, scale, bias):
        X, y = self.data()
        learner = LeakyReluClassifier(20, scale=scale, bias=bias, random_state=4).fit(X, y)
        options = Options(widths=(20,), test=0.0, repeats=1, seed=4, scale=scale, bias=bias)
        told = certify(prepare(DataSet(X, y, (-1, 1), "test"), options), options)
        assert learner.n_updates_ == told.runs[0].updates > 0
        assert learner.n_iter_ == told.runs[0].epochs
        if told.separable:
            assert learner.margin_ == told.margin
            assert learner.update_bound_ == told.update_bound
            assert learner.certificate_ is None
        else:
            assert (learner.margin_, learner.update_bound_) == (0, None)
            np.testing.assert_array_equal(learner.certificate_.index, told.certificate.index)
        size = told.runs[0].size
        five = thm5_compression.theorem5(n=300, size=size, delta=0.05 / 3, validation_error=0.0, coded="examples")
        assert any(g.id == five.id and g.bound == five.bound for g in learner.guarantees_)

    def test_the_attributes_are_the_theorems(self):
        X, y = self.data(3000)
        learner = LeakyReluClassifier(50, slope=0.3, step=2.0, delta=0.1, random_state=0).fit(X, y)
        V = with_bias(into_unit_ball(X, "range")[0])
        margin = hard_margin(V, y)
        assert learner.margin_ == margin.margin
        assert learner.update_bound_ == thm2_thm6.corollary3_bound(w_norm=1 / margin.margin, eta=2.0, alpha=0.3)
        assert learner.n_updates_ <= learner.update_bound_
        assert learner.converged_
        ids = [g.id for g in learner.guarantees_]
        assert ids == ["separable/thm2", "separable/thm5", "separable/compression-consistent", "separable/thm6"]
        assert learner.guarantees_[0].verdict is Verdict.HOLDS
        assert learner.generalization_bound_ == min(g.bound for g in learner.guarantees_[1:])
        assert "delta" in learner.guarantees_[1].note or learner.guarantees_[1].note
        Z, of_Z = self.data(4000)
        assert 1 - learner.score(Z, of_Z) <= learner.generalization_bound_

    def test_both_layers_have_the_relaxed_bound(self):
        X, y = self.data()
        learner = LeakyReluClassifier(20, layers="both", step=0.1, random_state=0).fit(X, y)
        assert [g.id for g in learner.guarantees_] == [
            "separable/thm2-relaxed",
            "separable/thm5",
            "separable/compression-consistent",
        ]
        assert learner.n_updates_ <= learner.update_bound_

    def test_more_classes_add_up(self):
        rng = np.random.default_rng(1)
        centres = np.array([[0.0, 3], [3, 0], [-3, -3]])
        y = rng.integers(0, 3, 600)
        X = centres[y] + 0.3 * rng.standard_normal((600, 2))
        learner = LeakyReluClassifier(10, random_state=0).fit(X, y)
        assert len(learner.machines_) == 3
        assert learner.n_updates_ == sum(machine.updates for machine in learner.machines_)
        assert learner.update_bound_ == sum(machine.guarantees[0].bound for machine in learner.machines_)
        assert learner.margin_ == min(machine.margin.margin for machine in learner.machines_)
        one = LeakyReluClassifier(10, random_state=0, delta=0.05 / 3).fit(X, y == 0)  # each has its share of delta
        bounds = [g.bound for g in learner.machines_[0].guarantees[1:]]
        assert one.machines_[0].margin.margin == learner.machines_[0].margin.margin
        assert [g.bound for g in one.machines_[0].guarantees[1:]][-1] == bounds[-1]

    def test_no_hyperplane(self):
        X, y = self.data()
        X, y = np.vstack([X, X[:1]]), np.append(y, -y[0])
        with pytest.warns(ConvergenceWarning, match="no hyperplane separates the examples"):
            learner = LeakyReluClassifier(10, max_iter=5, random_state=0).fit(X, np.where(y > 0, "yes", "no"))
        found = learner.certificate_
        assert found.kind == "duplicates"
        assert sorted(found.index.tolist()) == [0, 300]
        assert set(found.labels) == {"yes", "no"}
        assert (learner.margin_, learner.update_bound_) == (0, None)
        assert learner.guarantees_[0].verdict is Verdict.OUTSIDE

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_nothing_is_promised_where_nothing_was_asked_or_is_known(self):
        X, y = self.data()
        bare = LeakyReluClassifier(10, guarantee=False, random_state=0).fit(X, y)
        assert (bare.margin_, bare.certificate_, bare.update_bound_, bare.generalization_bound_) == (None,) * 4
        relu = LeakyReluClassifier(10, slope=0, random_state=0).fit(X, y)
        assert relu.update_bound_ is None
        assert relu.margin_ > 0
        warm = LeakyReluClassifier(10, warm_start=True, random_state=0).fit(X, y).fit(X, y)
        assert warm.update_bound_ is None
        assert warm.margin_ > 0

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("layers", ["first", "both"])
    def test_epochs_one_by_one_are_one_fit(self, layers):
        X, y = self.data(margin=0.02)
        common = {"width": 10, "layers": layers, "step": 0.1, "random_state": 1}
        whole = LeakyReluClassifier(max_iter=6, **common).fit(X, y)
        parts = LeakyReluClassifier(**common)
        for _ in range(6):
            parts.partial_fit(X, y, classes=[-1.0, 1.0])
        warm = LeakyReluClassifier(max_iter=2, warm_start=True, **common)
        for _ in range(3):
            warm.fit(X, y)
        for other in (parts, warm):
            assert (other.n_updates_, other.n_iter_) == (whole.n_updates_, whole.n_iter_)
            np.testing.assert_allclose(other.decision_function(X), whole.decision_function(X), rtol=1e-9)

    def test_parts_of_a_stream_keep_the_scale_of_the_first(self):
        X, y = self.data()
        learner = LeakyReluClassifier(10, random_state=1)
        for lo in range(0, 300, 60):
            learner.partial_fit(X[lo : lo + 60], y[lo : lo + 60], classes=[-1.0, 1.0])
        np.testing.assert_array_equal(learner.scaling_.centre, into_unit_ball(X[:60], "range")[1].centre)
        assert learner.score(X, y) > 0.95


# The parity learner


class TestSparseParity:
    def test_the_step_is_the_papers(self):
        mixture = random_mixture(np.random.default_rng(0), 12, 3)
        X, y = mixture.sample(np.random.default_rng(1), 400)
        learner = SparseParityClassifier(pairs=20, random_state=2).fit(X, y)
        machine = learner.machines_[0]
        loss, slope = sampled_gradient(machine.start, X, y)
        assert loss == pytest.approx(1.0)  # the start is 0, and every hinge active
        np.testing.assert_allclose(machine.network.W, -slope.W, rtol=1e-12)
        np.testing.assert_allclose(machine.network.b, machine.start.b - slope.b, rtol=1e-12)
        values = hidden(machine.network, X) @ machine.network.u + machine.intercept
        np.testing.assert_allclose(learner.decision_function(X), values, rtol=1e-9)
        assert initial(np.random.default_rng(0), 12, 3, 20).W.shape == machine.start.W.shape

    @pytest.mark.parametrize("labels", ["two", "three"])
    def test_parities_on_the_mixture_are_found(self, labels):
        rng = np.random.default_rng(3)
        mixture = random_mixture(rng, 30, 3)
        X, y = mixture.sample(rng, 6000)
        Z, of_Z = mixture.sample(rng, 2000, part=1)
        if labels == "three":  # the bit outside of the parity splits one of the classes
            other = next(j for j in range(30) if j not in mixture.support)
            y, of_Z = (np.where(a > 0, 2, (B[:, other] > 0).astype(int)) for a, B in ((y, X), (of_Z, Z)))
        learner = SparseParityClassifier(random_state=0).fit(X, y)
        assert learner.score(Z, of_Z) > 0.9
        if labels == "two":
            assert sorted(np.argsort(learner.feature_importances_)[-3:].tolist()) == list(mixture.support)
            assert learner.feature_importances_.sum() == pytest.approx(1)

    def test_a_warm_start_averages_the_step(self):
        rng = np.random.default_rng(4)
        X, y = random_mixture(rng, 10, 3).sample(rng, 300)
        parts = SparseParityClassifier(pairs=10, random_state=0, warm_start=True).fit(X[:100], y[:100])
        parts.fit(X[100:], y[100:])
        whole = SparseParityClassifier(pairs=10, random_state=0).fit(X, y)
        assert parts.machines_[0].seen == 300
        np.testing.assert_allclose(parts.machines_[0].network.W, whole.machines_[0].network.W, rtol=1e-9, atol=1e-15)

    def test_signs_by_any_name(self):
        rng = np.random.default_rng(5)
        X, y = random_mixture(rng, 9, 3).sample(rng, 200)
        wanted = SparseParityClassifier(pairs=8, random_state=0).fit(X, y).decision_function(X)
        for inputs in (np.sign(X), (np.sign(X) + 1) / 2):
            found = SparseParityClassifier(pairs=8, random_state=0).fit(inputs, y)
            np.testing.assert_allclose(found.decision_function(inputs), wanted, rtol=1e-7, atol=1e-9)


# The ResNet and the features


class TestResNet:
    def test_both_levels_are_learnt(self):
        rng, target = np.random.default_rng(0), PairTarget(10, 0.3)
        X, Z = UniformSigns(10).sample(rng, 300), UniformSigns(10).sample(rng, 1000)
        learner = ResNetRegressor(width=50, max_iter=400, random_state=0).fit(X, target(X))
        error = float(((learner.predict(Z) - target(Z)) ** 2).sum(axis=1).mean())
        assert error < 0.5 * target.base_error()
        assert learner.n_iter_ == 400

    def test_units_of_inputs_and_targets_do_not_matter(self):
        rng = np.random.default_rng(1)
        X = rng.choice([-1.0, 1.0], (40, 4))
        y = X[:, 0] * X[:, 1]
        common = {"width": 10, "max_iter": 20, "random_state": 0, "dtype": "float64"}
        plain = ResNetRegressor(**common).fit(X, y)
        other = ResNetRegressor(**common).fit((X + 1) / 2, 1e200 * y + 1e201)
        np.testing.assert_allclose(other.predict((X + 1) / 2) / 1e200 - 10, plain.predict(X), atol=1e-9)
        constant = ResNetRegressor(**common).fit(X, np.full(40, 3.0))
        np.testing.assert_allclose(constant.predict(X), 3.0, atol=1.5)

    def test_hidden_layers_alone(self):
        X = np.random.default_rng(2).choice([-1.0, 1.0], (30, 3))
        hidden_only = ResNetRegressor(8, layers="hidden", max_iter=5, random_state=0).fit(X, X)
        at_start = ResNetRegressor(8, layers="hidden", max_iter=1, learning_rate=1e-12, random_state=0).fit(X, X)
        np.testing.assert_allclose(hidden_only.network_.A, at_start.network_.A, rtol=1e-6)
        assert not np.allclose(hidden_only.network_.W, at_start.network_.W)

    def test_a_warm_start_goes_on(self):
        X = np.random.default_rng(3).choice([-1.0, 1.0], (30, 3))
        learner = ResNetRegressor(8, max_iter=5, random_state=0, warm_start=True).fit(X, X)
        first = learner.loss_
        again = clone(learner).fit(X, X)
        learner.fit(X, X)
        assert learner.n_iter_ == 10
        assert learner.loss_ < first == again.loss_


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        (ReluFeatures(40_000, weight=1.5, bias=0.5), kernel("conjugate", weight=1.5, bias=0.5)),
        (CosineFeatures(40_000, gamma=0.7), kernel("gaussian", gamma=0.7)),
    ],
)
def test_features_come_near_their_kernel(features, wanted):
    X = np.random.default_rng(0).standard_normal((5, 3))
    F = features.set_params(random_state=1).fit_transform(X)
    K = wanted(X)
    np.testing.assert_allclose(F @ F.T, K, atol=0.03 * K.max())


def test_gates_come_near_their_kernel():
    from learnability.kernels.closed_form import arc_cosine0

    X = np.random.default_rng(0).standard_normal((5, 3))
    F = GatedFeatures(40_000, bias=0.5, random_state=1).fit_transform(X)
    lifted = np.column_stack([X, np.full(5, 0.5)])
    inner = lifted @ lifted.T
    size = np.sqrt(np.diagonal(inner))
    K = arc_cosine0(np.clip(inner / np.multiply.outer(size, size), -1, 1)) * inner / 2
    np.testing.assert_allclose(F @ F.T, K, atol=0.03 * K.max())
