"""The residual study's checks: Theorems 2 and 3, Lemma C.1, Appendix E and the kernels, at the smoke scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from learnability.seeding import generator
from learnability.studies.residual.checks import coupling as residual_coupling
from learnability.studies.residual.checks import existence as residual_existence
from learnability.studies.residual.checks import kernels as residual_kernels
from learnability.studies.residual.checks import lower as residual_lower
from learnability.studies.residual.theorems import lemmas
from learnability.studies.residual.theorems.coupling import worst_sign_changes
from learnability.studies.residual.theorems.lower import BestFits
from learnability.theory import Guarantee, Hypothesis, Kind, Verdict

MODULES = (residual_coupling, residual_existence, residual_kernels, residual_lower)
NAMES = [check.name for module in MODULES for check in module.CHECKS]


@pytest.fixture(scope="module")
def found():
    """Every check once."""
    return {check.name: check.run("smoke") for module in MODULES for check in module.CHECKS}


@pytest.mark.parametrize("name", NAMES)
def test_verdicts(found, name):
    assert found[name]
    for g in found[name]:
        assert g.verdict is Verdict.HOLDS, g


def test_checks_are_deterministic(found):
    assert residual_lower.lemmas("smoke") == found["lemma-d"]
    assert residual_coupling.coupling("smoke") == found["lemma-c1"]


def test_every_kernel_is_checked(found):
    ids = {g.id for g in found["thm2"]}
    assert {f"residual/thm2-base[{name}]" for name in residual_lower.KERNELS} < ids
    assert len(residual_lower.KERNELS) >= 8


def test_a_kernel_that_learns_nothing_or_too_much_is_seen(monkeypatch):
    """Values on the cube in another order do not fit x_i; a span with the sets themselves fits the rest."""
    d, k, N = residual_lower.LEARNT["smoke"]
    good = residual_lower._fits(residual_lower.KERNELS["Gaussian"], d, k, N, pairs=True)
    assert residual_lower._learns_the_base("x", good).verdict is Verdict.HOLDS
    honest, rng = residual_lower.values_on_cube, generator(0, "permuted")
    monkeypatch.setattr(residual_lower, "values_on_cube", lambda *given: rng.permutation(honest(*given)))
    bad = residual_lower._fits(residual_lower.KERNELS["Gaussian"], d, k, N, pairs=True)
    assert residual_lower._learns_the_base("x", bad).verdict is Verdict.VIOLATED
    assert residual_lower._learns_the_base("x", bad, learnt=False).verdict is Verdict.HOLDS
    assert residual_lower._learns_the_base("x", good, learnt=False).verdict is Verdict.VIOLATED
    everything = replace(good, singles=np.ones(d), sets=np.full(good.targets, 0.6), cross=0 * good.cross)
    assert residual_lower._learns_the_base("x", everything).verdict is Verdict.VIOLATED


@pytest.mark.parametrize("name", residual_lower.KERNELS)
def test_the_kernels_are_kernels(name):
    X = generator(0, "kernels").choice([-1.0, 1.0], (6, 5)) / 5**0.5
    K = residual_lower.KERNELS[name](X, X)
    np.testing.assert_allclose(K, K.T, atol=1e-12)
    assert np.linalg.eigvalsh(K).min() > -1e-10


def test_the_sharper_counts_are_attained(found):
    attained = next(g for g in found["thm3"] if "attained" in g.id)
    count = next(g for g in found["thm3"] if g.id.startswith("residual/thm3-count[made to succeed"))
    assert attained.measured == attained.bound == count.measured == 128
    assert count.bound == 16 * 130 // 15
    columns = next(g for g in found["lemma-d"] if g.id == "residual/lemma-d2")
    assert columns.measured == pytest.approx(1)
    average = next(g for g in found["thm3"] if g.id.startswith("residual/thm3-average[attained"))
    assert average.measured == pytest.approx(0.09 * (1 - 120 / 252))


def test_coefficients_and_columns_that_are_off_are_seen(monkeypatch):
    """Some coefficients one per cent too small, or costs one per cent too large."""
    honest, costs = lemmas.boolean.fourier_spectrum, lemmas.column_costs
    monkeypatch.setattr(lemmas.boolean, "fourier_spectrum", lambda values: 0.99 * honest(values))
    turned = {g.id for g in residual_lower.lemmas("smoke") if g.verdict is Verdict.VIOLATED}
    assert turned == {"residual/lemma-d1[lambda_S]"}
    monkeypatch.setattr(lemmas.boolean, "fourier_spectrum", lambda values: 1.01 * honest(values))
    monkeypatch.setattr(lemmas, "column_costs", lambda M: 1.01 * costs(M))
    turned = {g.id for g in residual_lower.lemmas("smoke") if g.verdict is Verdict.VIOLATED}
    assert turned == {"residual/lemma-d1[rest of level k]", "residual/lemma-d2"}


def test_a_closed_form_that_is_three_percent_off_is_seen(monkeypatch):
    assert residual_kernels._three_layers("smoke").verdict is Verdict.HOLDS
    honest = residual_kernels.closed_form.arc_cosine1
    monkeypatch.setattr(residual_kernels.closed_form, "arc_cosine1", lambda inner: 1.03 * honest(inner))
    assert residual_kernels._three_layers("smoke").verdict is Verdict.VIOLATED


def test_errors_that_are_one_percent_too_small_are_seen(monkeypatch):
    honest = BestFits.errors
    monkeypatch.setattr(BestFits, "errors", lambda self, alpha: 0.99 * honest(self, alpha))
    monkeypatch.setattr(residual_lower, "KERNELS", {residual_lower.INSIDE: residual_lower.KERNELS["NTK, 2 layers"]})
    monkeypatch.setattr(residual_lower, "_repeated", lambda scale: residual_lower._made_to_succeed()[2])
    turned = {g.id.partition("[")[0] for g in residual_lower.kernels("smoke") if g.verdict is Verdict.VIOLATED}
    assert turned == {"residual/thm2-average", "residual/thm2-outputs", "residual/thm3-average"}


@pytest.mark.parametrize("movement", residual_coupling.MOVEMENTS)
def test_movements_keep_within_tau(movement):
    rng = generator(1, movement)
    A, g, x = rng.standard_normal((3, 50)) / 50**0.5, rng.standard_normal(50), rng.standard_normal(4)
    step = residual_coupling._move(A, g, x, 0.7, movement)
    assert np.linalg.norm(step) <= 0.7 * np.linalg.norm(x) * (1 + 1e-12)
    turned = int(((g + step >= 0) != (g >= 0)).sum())
    most = worst_sign_changes(g, 0.7 * float(np.linalg.norm(x)))
    assert turned <= most
    if movement == "most gates":
        assert turned >= most - 1
    if movement == "most left over":
        on = g >= 0
        left = np.linalg.norm(A @ ((g + step >= 0) * g))
        assert left > np.linalg.norm(A @ (on * g))
    if movement == "largest output":
        assert np.linalg.norm(A @ np.maximum(g + step, 0)) > np.linalg.norm(A @ np.maximum(g, 0))


def test_without_movement_nothing_moves():
    sizes, x = residual_coupling.Sizes(200, 0.5, 1e-12, 2.0, 1e-12), np.eye(1, residual_coupling.D)
    start = sizes.start(generator(0, "still"))
    for movement in residual_coupling.MOVEMENTS:
        now = residual_coupling.moved(start, x, sizes, movement)
        np.testing.assert_allclose(now.W, start.W, atol=1e-11)
        np.testing.assert_allclose(now.V, start.V, atol=1e-11)


def test_a_start_of_another_size_is_caught(monkeypatch):
    """Ten per cent of sigma_w turn (a), ten of sigma_v turn (d); twice both turn all that turn gates."""
    real = residual_coupling.networks.initial

    def violated(W, V):
        def scaled(*given, **named):
            start = real(*given, **named)
            return start._replace(W=W * start.W, V=V * start.V)

        monkeypatch.setattr(residual_coupling.networks, "initial", scaled)
        monkeypatch.setitem(residual_coupling.ROOM, "smoke", 0.05)
        found = residual_coupling.coupling("smoke")
        return {g.id.removeprefix("residual/lemma-c1[") for g in found if g.verdict is Verdict.VIOLATED}

    assert "a,constant]" in violated(1.1, 1.0)
    assert "d,constant]" in violated(1.0, 1.1)
    assert {f"{letter},constant]" for letter in "abde"} <= violated(2.0, 2.0)


def test_a_share_that_is_not_the_worst_is_caught(monkeypatch):
    monkeypatch.setattr(residual_coupling, "worst_sign_changes", lambda g, delta: int(len(g) * delta**0.7))
    found = {g.id: g.verdict for g in residual_coupling._changes()}
    assert found["residual/prop-b4[worst share]"] is Verdict.VIOLATED
    assert found["residual/prop-b4[random share]"] is Verdict.HOLDS
    monkeypatch.setattr(residual_coupling, "random_share", lambda delta: 1.01 * np.arctan(delta) / np.pi)
    assert residual_coupling._changes()[1].verdict is Verdict.VIOLATED


def test_weights_that_are_one_percent_too_large_are_seen(monkeypatch):
    honest = residual_existence.fitting_weights
    monkeypatch.setattr(residual_existence, "fitting_weights", lambda *given: 1.01 * honest(*given))
    verdicts = {g.id: g.verdict for g in residual_existence.weights("smoke")}
    assert verdicts["residual/lemma-e1[Frobenius norm]"] is Verdict.VIOLATED
    assert verdicts["residual/lemma-e1[largest row]"] is Verdict.VIOLATED


def test_training_points_are_distinct_but_in_the_case_that_says_so(found):
    for N in (2, 12, 100):
        for pairs in (False, True):
            assert len(np.unique(residual_lower._points(10, N, pairs=pairs), axis=0)) == N
    X = residual_lower._points(10, 12, pairs=True)
    np.testing.assert_array_equal(X[:6], -X[6:])
    assert len(np.unique(residual_lower._points(16, 12, repeated=True), axis=0)) == 10
    assert sum("repeated points" in g.id for g in found["thm2"]) == 1


def test_notes_name_the_sizes_that_counted(found):
    """Theorem 2's share needs N <= C(d, k) / 1000; the sharper averages do not."""
    inside, beyond = (
        next(g for g in found["thm2"] if g.id.startswith(name))
        for name in ("residual/thm2[", "residual/thm2-average[")
    )
    assert "(d, k, N) = (18, 9, 48);" in inside.note
    assert "(8, 4, 69)" in beyond.note


def test_merged_notes_leave_out_what_is_outside():
    good = Guarantee("a[D=3]", "s", Kind.UPPER_BOUND, 1.0, 0.0)
    outside = replace(good, id="a[D=200]", hypotheses=(Hypothesis("few", False),))
    (merged,) = residual_lower._merge({"a": [("3", good), ("200", outside)]}, "D =")
    assert merged.verdict is Verdict.HOLDS
    assert "200" not in merged.note
    (merged,) = residual_lower._merge({"a": [("200", outside)]}, "D =")
    assert merged.verdict is Verdict.OUTSIDE


def test_the_cut_of_the_span_does_not_decide(found):
    beyond = [g for g in found["thm2-outputs"] if g.id.startswith("residual/thm2-beyond")]
    assert len(beyond) == 2
    for g in beyond:
        assert "and 1 in dimension 105, without and with" in g.note
        assert "at N = 140, twice as many, it is" in g.note


def test_what_one_cut_hides_the_other_shows(monkeypatch):
    """Directions left out would let sets fail: the larger span decides."""
    real = residual_lower.best_fits

    def with_all(values, k, *, rounding):
        return real(np.eye(len(values)) if rounding == 0 else values, k, rounding=rounding)

    monkeypatch.setattr(residual_lower, "best_fits", with_all)
    assert {g.verdict for g in residual_lower._beyond("smoke")} == {Verdict.VIOLATED}
