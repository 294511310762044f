import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from learnability.networks.symmetry import embedding, represent_relu, represent_sigmoid, symmetry_init
from learnability.problems.symmetry import all_symmetric, parity
from learnability.studies.symmetry.theorems import lemmas_thm1 as lemmas
from learnability.studies.symmetry.theorems import thm2_lemma4 as theory
from learnability.studies.symmetry.theorems.worst_labels import certify_worst_labels
from learnability.theory import Guarantee, Hypothesis, Kind, Verdict
from learnability.theory.margins import hard_margin, lift, margin_of

H = Fraction(1, 10**6)


def by_id(guarantees):
    return {g.id: g for g in guarantees}


def test_lemma1_constants_and_verdicts():
    found = by_id(lemmas.lemma1(mistakes=0, on=0.84828, off=0.15172, case="n<=3"))
    assert found["symmetry/lemma1-on[n<=3,proof]"].bound == pytest.approx(0.84828, abs=1e-5)
    assert found["symmetry/lemma1-off[n<=3,proof]"].bound == pytest.approx(0.16529, abs=1e-5)
    assert found["symmetry/lemma1[n<=3]"].verdict is Verdict.HOLDS
    assert found["symmetry/lemma1-on[n<=3,paper's 0.84]"].verdict is Verdict.HOLDS
    wrong = by_id(lemmas.lemma1(mistakes=1, on=0.5, off=0.2))
    assert {g.verdict for g in wrong.values()} == {Verdict.VIOLATED}
    assert {g.verdict for g in lemmas.lemma1()} == {Verdict.NOT_MEASURED}


def test_exact_representations_fail_on_one_mistake():
    for statement in (lemmas.lemma2, lemmas.zigzag):
        assert {g.verdict for g in statement(mistakes=0, deviation=0.0)} == {Verdict.HOLDS}
        assert {g.verdict for g in statement(mistakes=1, deviation=1e-9)} == {Verdict.VIOLATED}


@pytest.mark.parametrize("n", [1, 2, 5])
def test_lemma3_constants_are_the_margins_of_explicit_weights(n):
    for f in all_symmetric(n):
        params = represent_relu(n, f.accepted)
        w = np.append(params.M, params.b)
        achieved = margin_of(w, lift(embedding(params)), f.labels)
        assert achieved >= lemmas.lemma3_bound(n, "integer") * (1 - 1e-12)
        sigmoid = represent_sigmoid(n, f.accepted)
        w = np.append(sigmoid.M, sigmoid.b)
        achieved = margin_of(w, lift(embedding(sigmoid, activation="sigmoid")), f.labels)
        assert achieved >= lemmas.lemma3_bound(n, "sigmoid") * (1 - 1e-12)


@pytest.mark.parametrize("kind", ["half_integer", "quarter"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_lemma3_constant_of_the_finer_grids(kind, n):
    """The weights of the docstring, on ReLU(k - c) for c = 0..n-1."""
    grid = symmetry_init(n, kind)
    bound = lemmas.lemma3_bound(n, kind)
    tight = 0.0
    for f in all_symmetric(n):
        a = np.array([0, *((np.asarray(f.labels) + 1) // 2)])  # a_{-1}, a_0, ..., a_n
        M = np.zeros(len(grid.B))
        for c in range(n):
            at = np.flatnonzero((grid.W[:, 0] == 1) & (-c == grid.B))[0]
            M[at] = a[c + 2] - a[1] if c == 0 else a[c + 2] - 2 * a[c + 1] + a[c]
        w = np.append(M, a[1] - 0.5)
        outputs = lift(embedding(grid)) @ w
        np.testing.assert_array_equal(outputs, np.asarray(f.labels) / 2)
        tight = max(tight, float(w @ w))
        assert margin_of(w, lift(embedding(grid)), f.labels) >= bound * (1 - 1e-12)
    assert tight <= 4 * n - 2.75


def test_lemma3_limits_are_those_of_the_parity_margins():
    n = 200
    for kind, limit in lemmas.LEMMA3_LIMITS.items():
        V = lift(embedding(symmetry_init(n, kind), activation="sigmoid" if kind == "sigmoid" else "relu"))
        assert hard_margin(V, parity(n).labels).margin * math.sqrt(n) == pytest.approx(limit, rel=0.006)


def test_lemma3_verdicts_and_scaling():
    assert lemmas.lemma3(30, "integer", margin=0.046).verdict is Verdict.HOLDS
    assert lemmas.lemma3(30, "integer", margin=0.04).verdict is Verdict.VIOLATED
    n = np.array([10.0, 100.0, 1000.0])
    assert lemmas.lemma3_scaling("integer", n, n**-0.5).measured == pytest.approx(-0.5)
    assert lemmas.lemma3_scaling("integer", n, 1 / n).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("kind", ["integer", "half_integer", "quarter"])
def test_the_worst_labels_certificate_agrees_with_exhaustion(kind):
    for n in (1, 4, 5):
        V = lift(embedding(symmetry_init(n, kind)))
        found = certify_worst_labels(V, parity(n).labels)
        assert found.certified
        margins = {f.labels: hard_margin(V, f.labels).margin for f in all_symmetric(n)}
        assert found.margin == pytest.approx(min(margins.values()))
        at_least = [f for f, margin in margins.items() if margin < found.margin * (1 + 1e-9)]
        assert sorted(at_least) == sorted([parity(n).labels, tuple(-a for a in parity(n).labels)])


def test_the_worst_labels_certificate_refuses_a_labelling_that_is_not_the_worst():
    rng = np.random.default_rng(0)
    V = rng.standard_normal((6, 6))
    margins = {y: hard_margin(V, y).margin for y in itertools.product((-1, 1), repeat=6)}
    least = min(margins.values())
    for y, margin in margins.items():
        certificate = certify_worst_labels(V, y)
        assert margin >= certificate.margin * (1 - 1e-9)
        if certificate.certified:
            assert margin == pytest.approx(least)
    assert not all(certify_worst_labels(V, y).certified for y in margins)


def test_theorem2_bounds():
    updates, margin = theory.theorem2(h=0.5, beta=2.0, margin=0.1, radius=2.0, updates=1200, final_margin=0.0333334)
    assert updates.bound == pytest.approx((2 * 2 / 0.5 + 4) / 0.01)
    assert updates.bound == pytest.approx(3 * 4 / 0.01)  # beta = R^2 h
    assert margin.bound == pytest.approx(0.1 / 3)
    assert updates.verdict is margin.verdict is Verdict.HOLDS
    updates, margin = theory.theorem2(h=0.5, beta=2.0, margin=0.1, radius=2.0, updates=1201, final_margin=0.03)
    assert updates.verdict is margin.verdict is Verdict.VIOLATED


def test_theorem2_at_beta_zero_is_attained_and_promises_no_margin():
    (updates,) = theory.theorem2(h=1, beta=0, margin=1.0, radius=1.0, updates=1, final_margin=1.0)
    assert updates.bound == 1
    assert updates.slack == 0
    assert updates.verdict is Verdict.HOLDS
    (more,) = theory.theorem2(h=1, beta=0, margin=1.0, radius=1.0, updates=2)
    assert more.verdict is Verdict.VIOLATED


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
@pytest.mark.parametrize("factor", [0, Fraction(1, 10), 1, 10])
def test_theorem2_for_batches_along_the_reference(batch, factor):
    """T <= B (2 beta / h + R^2) / gamma^2 and the margin of batch one, on random separable sets."""
    for seed in range(4):
        rng = np.random.default_rng([seed, batch])
        m, d = int(rng.integers(batch, 20)), int(rng.integers(1, 5))
        V = np.round(4 * rng.standard_normal((m, d))) / 4
        y = np.where(V @ rng.standard_normal(d) > 0, 1.0, -1.0)
        V = V[(V != 0).any(axis=1)]
        y = y[: len(V)] if len(V) == m else np.where(V @ np.ones(d) > 0, 1.0, -1.0)
        margin = hard_margin(V, y).margin
        if not margin > 1e-3:
            continue
        squared = float((V**2).sum(axis=1).max())
        beta = float(factor) * squared
        w, updates = np.zeros(d), 0
        while True:
            made = 0
            for lo in range(0, len(V), batch):
                rows = slice(lo, lo + batch)
                wrong = y[rows] * (V[rows] @ w) <= beta
                w = w + (y[rows] * wrong) @ V[rows] / batch
                made += int(wrong.sum())
            updates += made
            if not made:
                break
        found = theory.theorem2(
            h=1, beta=beta, margin=margin, radius=math.sqrt(squared), batch=batch, updates=updates,
            final_margin=margin_of(w, V, y),
        )  # fmt: skip
        assert len(found) == (2 if factor else 1)
        assert {g.verdict for g in found} == {Verdict.HOLDS}


def test_theorem2_for_batches_is_attained_by_copies():
    """B copies of one point and beta = 0: one batch updates on all of them."""
    for batch in (1, 2, 8):
        (g,) = theory.theorem2(h=0.3, beta=0, margin=2.0, radius=2.0, batch=batch, updates=batch)
        assert (g.bound, g.slack) == (batch, 0)
    with pytest.raises(ValueError, match="batch must be >= 1"):
        theory.update_bound(h=1, beta=0, margin=1.0, radius=1.0, batch=0)


def test_constants_of_lemma4_close_their_argument():
    """The numbers of the derivation: what is supposed of t <= 4 R^2 / gamma^2 follows, with room."""
    assert 2 + 1.00185**2 <= 3.0038 < 2 + 1.0019**2
    for margin, R, n in itertools.product((0.01, 0.3, 1.0), (1.0, 3.0, 100.0), (2, 30)):
        for activation, c, kept, moved in (("relu", 3.0038, 0.99815, 0.00185 * margin), ("sigmoid", 3.0, 0.95, 0.05)):
            numbers = {"radius": R, "input_radius": math.sqrt(n), "activation": activation}
            h = theory.lemma4_step_limit(margin=margin, **numbers)
            delta = theory.movement_bound([4 * R**2 / margin**2], h=h, **numbers)[0]
            assert delta <= moved * margin
            assert activation == "sigmoid" or 2 + (1 + delta / R) ** 2 <= c
            assert c / (1 - delta / margin) ** 2 <= c / kept**2 <= theory.MOST[activation] < 4
            assert theory.LEAST[activation] <= 1 / math.sqrt(c * c / kept**2)
            assert 2 * delta < theory.LEAST[activation] * margin


@pytest.mark.parametrize("margin", [0.0, -0.25])
def test_theorem2_without_a_margin_is_outside_its_hypotheses(margin):
    for g in theory.theorem2(h=0.5, beta=2.0, margin=margin, radius=2.0, updates=7, final_margin=-1.0):
        assert g.verdict is Verdict.OUTSIDE
        assert g.bound is None
        assert [h.name for h in g.hypotheses if not h.holds] == ["marg(Y) > 0"]
    updates = lemma4(margin=margin, updates=[3])["symmetry/lemma4-updates"]
    assert (updates.bound, updates.measured) == (None, 3)


def test_guarantees_hold_plain_numbers():
    assert type(Hypothesis("x", np.bool_(True)).holds) is bool
    g = Guarantee("x", "test", Kind.UPPER_BOUND, np.float32(1), np.int64(1), tolerance=np.float32(0))
    assert type(g.bound) is type(g.measured) is type(g.tolerance) is float
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="tolerance must be >= 0"):
            Guarantee("x", "test", Kind.UPPER_BOUND, 1.0, tolerance=tolerance)


def lemma4(**changes):
    limit = theory.lemma4_step_limit(margin=0.5, radius=3.0, input_radius=2.0)
    arguments = {"h": limit, "beta": 9 * limit, "margin": 0.5, "radius": 3.0, "input_radius": 2.0} | changes
    return by_id(theory.lemma4(**arguments))


def test_lemma4_bounds_along_a_run():
    h = theory.lemma4_step_limit(margin=0.5, radius=3.0, input_radius=2.0)
    assert h == pytest.approx(0.5**2.5 / (100 * 9 * 2))
    t = np.array([0, 4, 100])
    movement = np.array([0.0, 0.5, 0.9]) * theory.movement_bound(t, h=h, radius=3.0, input_radius=2.0)
    norm = np.array([0.0, 0.8, 0.2]) * theory.norm_bound(t, h=h, radius=3.0)
    found = lemma4(updates=t, movement=movement, norm=norm, final_margin=0.17)
    assert theory.movement_bound([100], h=h, radius=3.0, input_radius=2.0)[0] == pytest.approx(
        2 / 3 * math.sqrt(3.0038) * (4 + 1) * h**2 * 3 * 1000
    )
    assert found["symmetry/lemma4-movement"].measured == pytest.approx(movement[2])
    assert found["symmetry/lemma4-norm"].measured == pytest.approx(norm[1])
    assert found["symmetry/lemma4-updates"].bound == pytest.approx(3.02 * 9 / 0.25)
    assert found["symmetry/lemma4-updates"].measured == 100
    assert {g.verdict for g in found.values()} == {Verdict.HOLDS}
    assert found["symmetry/lemma4-margin"].bound == pytest.approx(0.332 * 0.5)
    beyond = lemma4(updates=t, movement=1.2 * movement, norm=1.3 * norm, final_margin=0.16)
    assert beyond["symmetry/lemma4-margin"].verdict is Verdict.VIOLATED
    assert beyond["symmetry/lemma4-movement"].verdict is Verdict.VIOLATED
    assert beyond["symmetry/lemma4-norm"].verdict is Verdict.VIOLATED


def test_lemma4_updates_of_an_unfinished_run():
    assert lemma4(updates=[0, 5], ended=False)["symmetry/lemma4-updates"].verdict is Verdict.NOT_MEASURED
    assert lemma4(updates=[0, 109], ended=False)["symmetry/lemma4-updates"].verdict is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"h": 1.0, "beta": 9.0}, "h <= gamma^(5/2) / (100 R^2 R_X)"),
        ({"input_radius": 1.0}, "R_X > 1"),
        ({"beta": 0.0}, "beta = R^2 h"),
        ({"starts_at_zero": False}, "M = 0 and b = 0 at the start"),
        ({"margin": 1.5}, "gamma <= 1"),
        ({"margin": 0.0}, "marg(Y) > 0"),
        ({"margin": -0.5}, "marg(Y) > 0"),
    ],
)
def test_lemma4_outside_its_hypotheses_is_never_a_confirmation(changes, name):
    found = lemma4(updates=[10], movement=[0.0], norm=[0.0], **changes)
    assert {g.verdict for g in found.values()} == {Verdict.OUTSIDE}
    failed = {h.name for h in found["symmetry/lemma4-norm"].hypotheses if not h.holds}
    assert name in failed


def test_lemma4_for_sigmoids():
    numbers = {"margin": 0.1, "radius": math.sqrt(13), "input_radius": math.sqrt(10), "activation": "sigmoid"}
    h = theory.lemma4_step_limit(**numbers)
    assert h == pytest.approx(0.1**2 / (17 * 13 * math.sqrt(11)))
    found = by_id(theory.lemma4(h=h, beta=13 * h, updates=[0, 900], final_margin=0.05, **numbers))
    assert found["symmetry/lemma4-updates"].bound == pytest.approx(3.33 * 13 / 0.01)
    assert found["symmetry/lemma4-margin"].verdict is Verdict.HOLDS
    large = by_id(theory.lemma4(h=1.01 * h, beta=13.13 * h, updates=[0, 900], **numbers))
    assert large["symmetry/lemma4-updates"].verdict is Verdict.OUTSIDE
    with pytest.raises(ValueError, match="activation must be one of"):
        theory.lemma4_step_limit(margin=1, radius=1, input_radius=1, activation="tanh")


def test_lemma4_takes_exact_steps():
    assert lemma4(h=H / 100, beta=9 * H / 100)["symmetry/lemma4-norm"].verdict is Verdict.NOT_MEASURED


def test_theorem1_sample_size_and_verdicts():
    m = lemmas.theorem1_sample_size(10, 0.1, 0.05)
    assert m == math.ceil((11 * math.log(2) + math.log(20)) / 0.1)
    # the union bound that it comes from
    assert 2**11 * 0.9**m <= 0.05
    case = {"epsilon": 0.1, "delta": 0.05}
    failed = np.arange(100) < 12
    assert lemmas.theorem1(10, m=m, failed=failed & False, **case).verdict is Verdict.HOLDS
    assert lemmas.theorem1(10, m=m, failed=failed, **case).verdict is Verdict.VIOLATED
    assert lemmas.theorem1(10, m=m - 1, failed=failed & False, **case).verdict is Verdict.OUTSIDE
    assert lemmas.theorem1(10, m=m, **case).verdict is Verdict.NOT_MEASURED


def test_theorem1_is_not_measured_by_a_few_samples():
    case = {"epsilon": 0.1, "delta": 0.1, "m": 200}
    few = lemmas.theorem1(10, failed=[False] * 35, **case)  # upper limit 1 - .025^(1/35) = .1001
    assert few.verdict is Verdict.NOT_MEASURED
    assert "over 35 samples: too wide to tell; about 36 samples like these would decide" in few.note
    assert lemmas.theorem1(10, failed=[False] * 36, **case).verdict is Verdict.HOLDS
    assert lemmas.theorem1(10, failed=[True, True] + [False] * 4, **case).verdict is Verdict.NOT_MEASURED
    assert lemmas.theorem1(10, failed=[True, True, True] + [False] * 3, **case).verdict is Verdict.VIOLATED


def test_missing_mass_is_an_expectation():
    p = np.array([0.5, 0.3, 0.2])
    m = 4
    exact = sum(
        np.prod(p[list(sample)]) * p[[k for k in range(3) if k not in sample]].sum()
        for sample in itertools.product(range(3), repeat=m)
    )
    above = exact * 1.01
    g = lemmas.missing_mass(p, m, errors=[above] * 3)
    assert g.bound == pytest.approx(exact)
    assert g.verdict is Verdict.VIOLATED
    assert lemmas.missing_mass(p, m, errors=[0, above, 2 * above]).verdict is Verdict.NOT_MEASURED
    assert lemmas.missing_mass(p, m, errors=[exact / 2] * 3).verdict is Verdict.HOLDS


def test_sample_compression_counts_disagreements():
    assert lemmas.sample_compression(disagreements=0, seen=7).verdict is Verdict.HOLDS
    assert lemmas.sample_compression(disagreements=1).verdict is Verdict.VIOLATED


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.update_bound(h=0, beta=1, margin=1, radius=1), "h must be > 0"),
        (lambda: theory.update_bound(h=1, beta=-1, margin=1, radius=1), "beta must be >= 0"),
        (lambda: theory.final_margin_bound(h=1, beta=1, margin=0, radius=1), "margin must be > 0"),
        (lambda: theory.lemma4_step_limit(margin=1, radius=0, input_radius=1), "radius must be > 0"),
        (lambda: lemma4(updates=[1, 2], norm=[1.0]), "norm must have length 2"),
        (lambda: lemmas.lemma3_bound(0, "integer"), "n must be >= 1"),
        (lambda: lemmas.lemma3_bound(3, "third"), "kind must be one of"),
        (lambda: lemmas.lemma3_scaling("integer", [1.0], [1.0]), "at least two"),
        (lambda: lemmas.theorem1_sample_size(3, 1.0, 0.1), "epsilon must be < 1"),
        (lambda: lemmas.theorem1_sample_size(3, 0.1, 0), "delta must be > 0"),
        (lambda: lemmas.theorem1(3, epsilon=0.1, delta=0.1, m=0), "m must be >= 1"),
        (lambda: lemmas.missing_mass([0.5, 0.6], 3), "probabilities must sum to 1"),
        (lambda: certify_worst_labels([[1.0, 0.0]], [1]), "at least 2 points"),
        (lambda: certify_worst_labels([[1.0, 0.0], [2.0, 0.0]], [1, -1]), "linearly independent"),
        (lambda: certify_worst_labels([[1.0], [2.0]], [1, -1]), "linearly independent"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
