"""Theorem 2: its forms by formula and against each other, and feature maps measured over whole cubes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.discovery import installed
from learnability.kernels.features import coordinates, parities, random_layer
from learnability.problems.boolean import mask_of, signs, subset_masks
from learnability.studies.parity.theorems import linear as theory
from learnability.studies.parity.theorems.feature_map import correlation_norms, feature_values, guarantees, measure
from learnability.studies.parity.theorems.linear import FORMS, features_needed, linear_bound, norm_needed
from learnability.theory import Verdict
from learnability.theory.linear_class import best_hinge


class TestForms:
    def test_by_their_formulas(self):
        at = {"N": 10, "B": 1.3, "n": 48, "k": 3}
        C = math.comb(48, 3)
        expected = {
            "corrected": 0.5 - math.sqrt(10) * 1.3 / (8 * math.sqrt(2)),
            "printed": 0.5 - math.sqrt(10 * 1.3) / (8 * math.sqrt(2)),
            "sharper": 0.5 - math.sqrt(10) * 1.3 / (math.sqrt(2) * C**0.25),
            "direct": 0.5 - 1.3 / 2 * math.sqrt(10 / C),
        }
        for form, bound in expected.items():
            assert linear_bound(**at, form=form) == pytest.approx(bound, rel=1e-12)
            assert linear_bound(**at, form=form, part="uniform") == pytest.approx(2 * bound, rel=1e-12)

    @given(k=st.sampled_from([1, 3, 5, 7]), more=st.integers(0, 100), N=st.integers(1, 10**6), size=st.floats(-4, 8))
    def test_direct_implies_the_others_where_they_are_promised(self, k, more, N, size):
        at = {"N": N, "B": 10.0**size, "n": 16 * k + more, "k": k}
        direct = max(0.0, linear_bound(**at))
        for form in FORMS:
            assert direct >= linear_bound(**at, form=form) - 1e-12

    def test_large_dimensions_are_no_matter(self):
        bound = linear_bound(N=10**12, B=1e6, n=1000, k=49)
        assert bound == pytest.approx(0.5, abs=1e-20)
        assert linear_bound(N=1, B=1e300, n=1000, k=1) < -1e290
        assert linear_bound(N=10**300, B=1e300, n=1000, k=1) == -math.inf
        assert linear_bound(N=5, B=0.0, n=10, k=3) == 0.5

    @given(
        form=st.sampled_from(FORMS),
        part=st.sampled_from(theory.PARTS),
        loss=st.floats(0, 0.45),
        B=st.floats(0.01, 100),
        cell=st.sampled_from([(12, 3), (48, 3), (80, 5)]),
    )
    def test_features_needed_is_where_the_bound_passes_the_loss(self, form, part, loss, B, cell):
        at = {"B": B, "n": cell[0], "k": cell[1], "form": form, "part": part}
        needed = features_needed(loss=loss, **at)
        assert linear_bound(N=max(1, needed), **at) <= loss + 1e-9
        if needed > 1:
            assert linear_bound(N=needed - 1, **at) > loss - 1e-9

    @pytest.mark.parametrize("form", FORMS)
    def test_norm_needed_is_where_the_bound_is_the_loss(self, form):
        at = {"N": 40, "n": 48, "k": 3, "form": form}
        assert linear_bound(B=norm_needed(loss=0.3, **at), **at) == pytest.approx(0.3, rel=1e-12)
        assert norm_needed(loss=0.5, **at) == 0.0
        assert features_needed(loss=0.5, B=1.0, n=48, k=3, form=form) == 0

    def test_features_needed_is_exact_beyond_floats(self):
        assert features_needed(loss=0.25, B=1, n=1000, k=49) == math.ceil(Fraction(math.comb(1000, 49), 4))
        assert features_needed(loss=0, B=1, n=9, k=3, part="uniform") == 84
        assert features_needed(loss=0, B=1, n=9, k=3, part="uniform", form="sharper") == math.ceil(math.sqrt(84 / 4))
        assert features_needed(loss=0, B=2, n=48, k=3, form="corrected") == 8
        assert features_needed(loss=0, B=2, n=48, k=3, form="printed") == 16

    def test_verdicts(self):
        found = theory.theorem2(N=10, B=0.5, n=48, k=3, measured=0.498)
        assert [g.verdict for g in found] == [Verdict.HOLDS] * 4
        assert found[-1].bound == linear_bound(N=10, B=0.5, n=48, k=3)
        below = theory.theorem2(N=10, B=0.5, n=48, k=3, measured=0.1)
        assert [g.verdict for g in below] == [Verdict.VIOLATED] * 4
        outside = theory.theorem2(N=10, B=0.5, n=47, k=3, measured=0.1, forms=("corrected", "direct"))
        assert [g.verdict for g in outside] == [Verdict.OUTSIDE, Verdict.VIOLATED]
        average = theory.theorem2_average(N=10, B=0.5, n=48, k=3, measured=0.97, forms=("direct",))
        assert average[0].verdict is Verdict.VIOLATED  # 1 - 0.5 sqrt(10 / 17296) = 0.988

    def test_vacuous_bounds_say_so(self):
        notes = [g.note for g in theory.theorem2(N=10**6, B=1.0, n=48, k=3)]
        assert all(note.startswith("vacuous") for note in notes)
        assert "vacuous" not in theory.theorem2(N=1, B=0.1, n=48, k=3)[0].note

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"k": 4}, "k must be odd, got 4"),
            ({"k": 11}, "k must be <= 10"),
            ({"N": 0}, "N must be >= 1"),
            ({"B": -1.0}, "B must be >= 0"),
            ({"form": "best"}, "form must be one of"),
            ({"part": "both"}, "part must be one of"),
        ],
    )
    def test_arguments(self, change, message):
        with pytest.raises(ValueError, match=message):
            linear_bound(**{"N": 3, "B": 1.0, "n": 10, "k": 3, **change})

    def test_arguments_of_the_inverses(self):
        with pytest.raises(ValueError, match="loss must be >= 0"):
            features_needed(loss=-0.1, B=1, n=10, k=3)
        with pytest.raises(ValueError, match="B must be > 0"):
            features_needed(loss=0.1, B=0, n=10, k=3)


class TestFeatureMaps:
    def test_correlations_are_expectations(self):
        n, k = 6, 3
        values = feature_values(random_layer(np.random.default_rng(0), n, 4, "tanh", bias=1.0), n)
        norms = correlation_norms(values, k)
        S = signs(n)
        for A in itertools.combinations(range(n), k):
            place = list(subset_masks(n, k)).index(mask_of(A))
            expected = np.linalg.norm((S[:, A].prod(axis=1)[:, None] * values).mean(axis=0))
            assert norms[place] == pytest.approx(expected, rel=1e-10, abs=1e-14)
        assert (norms**2).sum() <= 4

    @pytest.mark.parametrize("B", [0.2, 0.8])
    def test_parities_attain_the_direct_bound_on_average(self, B):
        n, k = 6, 3
        found = measure(parities(n, itertools.combinations(range(n), k)), n, k, B)
        assert found.every
        assert found.uniform == pytest.approx(np.full(20, 1 - B), abs=2e-6)
        assert linear_bound(N=20, B=B, n=n, k=k, part="uniform") == pytest.approx(1 - B, rel=1e-12)
        assert found.closed_form == pytest.approx(np.full(20, 1 - B), rel=1e-12)
        # f_A is the label on D_A^(2) too, where its own feature serves as well and others of no use
        assert found.mixture == pytest.approx(np.full(20, 1 - B), abs=2e-6)

    def test_coordinates_learn_only_the_other_half(self):
        found = measure(coordinates(7), 7, 3, 50.0)
        assert found.uniform_lower == pytest.approx(np.ones(35), abs=1e-6)
        assert not found.norms.any()
        assert (found.mixture <= 0.5 + 1e-6).all()
        assert (found.mixture_lower >= 0.5 - 1e-6).all()

    def test_losses_are_those_of_the_labelled_cube(self):
        n, k, B = 5, 3, 2.0
        psi = random_layer(np.random.default_rng(1), n, 6, "relu", bias=0.5, limit="clip")
        found = measure(psi, n, k, B)
        S = signs(n)
        A = (0, 2, 3)
        at = list(found.supports).index(mask_of(A))
        y = S[:, A].prod(axis=1)
        assert found.uniform[at] == pytest.approx(best_hinge(psi(S / math.sqrt(n)), y, norm=B).value, abs=2e-6)
        equal = np.abs(S[:, A].sum(axis=1)) == 3
        p = 0.5 / 32 + 0.5 * equal / equal.sum()
        assert found.mixture[at] == pytest.approx(best_hinge(psi(S / math.sqrt(n)), y, p, norm=B).value, abs=2e-6)

    def test_all_guarantees_hold_for_random_features(self):
        psi = random_layer(np.random.default_rng(2), 7, 12, "tanh", scale=2.0, bias=1.0)
        found = guarantees(measure(psi, 7, 3, 0.7))
        assert len(found) == 2 * len(FORMS) + 1
        assert {g.verdict for g in found} == {Verdict.HOLDS, Verdict.OUTSIDE}
        assert [g.verdict for g in found if "direct" in g.id or "each" in g.id] == [Verdict.HOLDS] * 3

    def test_the_average_over_all_supports_is_bounded_whatever_the_sample(self):
        psi = parities(7, itertools.islice(itertools.combinations(range(7), 3), 12))
        found = measure(psi, 7, 3, 1.0, most=10, rng=np.random.default_rng(3))
        assert not found.every
        assert len(set(found.supports.tolist())) == 10
        whole = measure(psi, 7, 3, 1.0)
        assert found.average_lower == pytest.approx(whole.uniform.mean(), abs=2e-6)  # parities attain the closed form
        assert "sample of 10 A" in guarantees(found)[0].note
        average = next(g for g in guarantees(found) if g.id.startswith("parity/theorem2-average"))
        assert "the others by their closed form" in average.note
        assert average.measured == found.average_lower
        assert len(found.norms) == 35
        with pytest.raises(ValueError, match="rng must be"):
            measure(psi, 7, 3, 1.0, most=10)

    def test_a_loss_below_the_bound_would_be_seen(self):
        from dataclasses import replace

        found = measure(coordinates(6), 6, 3, 0.5)
        forged = replace(found, uniform=found.uniform - 0.6, uniform_lower=found.uniform_lower - 0.6)
        verdicts = {g.id.partition("[")[0]: g.verdict for g in guarantees(forged, forms=("direct",))}
        assert verdicts["parity/theorem2-average"] is Verdict.VIOLATED
        assert verdicts["parity/theorem2-each"] is Verdict.VIOLATED
        assert verdicts["parity/theorem2"] is Verdict.HOLDS

    @pytest.mark.parametrize(
        ("psi", "message"),
        [
            (lambda X: 1.5 * np.ones((len(X), 2)), r"psi must have values in \[-1, 1\], got one of size 1.5"),
            (lambda X: np.full((len(X), 2), np.nan), r"psi\(X\) must be finite"),
            (lambda X: np.ones(len(X)), r"psi\(X\) must have shape"),
            (lambda X: np.ones((3, 2)), r"psi must return shape \(64, 2\)"),
        ],
    )
    def test_feature_maps_that_are_none(self, psi, message):
        with pytest.raises(ValueError, match=message):
            measure(psi, 6, 3, 1.0)

    def test_arguments(self):
        with pytest.raises(ValueError, match="k must be odd"):
            measure(coordinates(6), 6, 2, 1.0)
        with pytest.raises(ValueError, match="n must be <= 16"):
            measure(coordinates(17), 17, 3, 1.0)
        with pytest.raises(ValueError, match="2\\^n rows"):
            correlation_norms(np.ones((5, 1)), 1)


def test_the_check_confirms_and_violates_nothing():
    found = installed().statements["parity/theorem2"].run("smoke")
    ids = [g.id for g in found]
    assert len(ids) == len(set(ids))
    assert {g.verdict for g in found} == {Verdict.HOLDS}
    attained = [g for g in found if "attained" in g.id]
    assert attained
    assert all(abs(g.slack) <= 1e-5 for g in attained)
    inside = [g for g in found if "corrected" in g.id or "printed" in g.id]
    assert inside  # k <= n/16 is met somewhere
    assert not any("vacuous: no loss" in g.note for g in found)


def test_the_law_of_the_sum_is_that_of_the_cube():
    from learnability.problems.parity import ParityMixture
    from learnability.studies.parity.checks.linear import sum_law, sum_of_parities

    n, k = 7, 3
    y, uniform, mixture = sum_law(n, k)
    points = ParityMixture(n, (1, 2, 5)).enumerate()
    negative = (points.X < 0).sum(axis=1)
    for label, at, p, q in zip(y, np.tile(np.arange(n + 1), 2), uniform, mixture, strict=True):
        here = (points.y == label) & (negative == at)
        assert points.p1[here].sum() == pytest.approx(p, abs=1e-15)
        assert 0.5 * (points.p1 + points.p2)[here].sum() == pytest.approx(q, abs=1e-15)
    S = signs(n)
    total = sum(S[:, A].prod(axis=1) for A in itertools.combinations(range(n), k))
    assert total.tolist() == [sum_of_parities(n, k)[t] for t in (S < 0).sum(axis=1)]


def test_what_is_not_solved_is_not_measured():
    """A best loss with a wide gap decides nothing."""
    solved = measure(lambda X: X, 6, 3, 0.5)
    assert all(g.measured is not None for g in guarantees(solved))
    loose = dataclasses.replace(solved, uniform_lower=solved.uniform_lower - 0.1)
    assert all(g.measured is None for g in guarantees(loose) if "-each" not in g.id)


def test_one_support_is_enough_for_a_bound_of_the_average():
    alone = measure(
        random_layer(np.random.default_rng(0), 6, 5, "tanh"), 6, 3, 1.0, most=1, rng=np.random.default_rng(1)
    )
    whole = measure(random_layer(np.random.default_rng(0), 6, 5, "tanh"), 6, 3, 1.0)
    assert alone.average_lower <= whole.uniform.mean() + 1e-6
    assert {g.verdict for g in guarantees(alone)} == {Verdict.HOLDS, Verdict.OUTSIDE}
