"""The theorems as a calculator: every public function says what it takes, and refuses what makes no sense."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re

import numpy as np
import pytest

import learnability.studies
from learnability.errors import RequestError
from learnability.evidence.intervals import exponent
from learnability.explanation import _sections
from learnability.networks.parity import ParityNet
from learnability.networks.separable import TwoLayer
from learnability.problems.activations import Taylor
from learnability.studies.parity.theorems import feature_map
from learnability.studies.parity.theorems.training import Movement
from learnability.studies.residual.theorems import lower, rademacher
from learnability.theory.guarantee import Guarantee

STUDIES = {
    found.name: importlib.import_module(f"learnability.studies.{found.name}").STUDY.paper
    for found in pkgutil.iter_modules(learnability.studies.__path__)
}
PLACE = re.compile(
    r"(Lemmas?|Theorems?|Corollary|Propositions?|Claims?|Facts?|Equation|Sections?|Table|Algorithm) [A-Z]?\.?\d"
)
OURS = re.compile(r"this project|\b[Oo]urs\b|Not in the paper")
SHARED = {"statement", "numbers"}
"""Modules of what statements share: their functions belong to no place of the paper."""
SILENT = {"in_form", "norms", "measured", "rounded", "lemma12_sparsity"}
"""They take whatever their types say, and so refuse nothing."""


def theorems():
    for study in STUDIES:
        package = importlib.import_module(f"learnability.studies.{study}.theorems")
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for name in module.__all__:
                function = getattr(module, name)
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield f"{study}.{found.name}.{name}", function


FUNCTIONS = dict(theorems())


def described(function):
    """Every parameter that a docstring's section describes, with what it says."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in _sections(function.__doc__).get("Parameters", "").splitlines():
        if line[:1].strip():
            names = [name.strip().lstrip("*") for name in line.partition(" : ")[0].split(",")]
            found.update(dict.fromkeys(names, line.partition(" : ")[2]))
        else:
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def test_the_functions_of_all_studies_are_found():
    assert {name.partition(".")[0] for name in FUNCTIONS} == set(STUDIES)
    assert len(FUNCTIONS) > 140


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_returns_and_refuses_and_where_it_stands(name):
    function, (study, module, short) = FUNCTIONS[name], name.split(".")
    sections, said = _sections(function.__doc__), described(function)
    assert len(sections[""]) > 10
    assert [p for p in inspect.signature(function).parameters if not said.get(p, "").strip()] == []
    assert not set(said) - set(inspect.signature(function).parameters), "of parameters that it has not"
    assert sections.get("Returns")
    assert sections.get("Raises") or short in SILENT
    if module not in SHARED and short != "nonnegative":
        text = " ".join(function.__doc__.split())
        assert PLACE.search(text) or OURS.search(text), (
            "which lemma, theorem, equation or section, or that it is ours"
        )
    assert module in SHARED or STUDIES[study] in " ".join(inspect.getmodule(function).__doc__.split()), "which paper"


# Bad values

FOUR = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
TWO_LAYER = TwoLayer(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]]), np.array([0.5, 0.5, -0.5, -0.5]))
NETS = [ParityNet(np.ones((2, 3)), np.ones(2), np.ones(2))] * 3
LAWS = {"h": 0.01, "beta": 0.04, "margin": 0.5, "radius": 2.0}
NETWORK = {"w_norm": 2.0, "k": 3, "eta": 0.1, "v": 0.5, "R": 0.5, "alpha": 0.2}
SEQUENCE = {"d": 4, "k": 2, "eta": 0.5, "alpha": 0.5, "v": 1.0, "R": 1.0}
CONCEPT = {"alpha": 0.2, "k": 3, "p_F": 2, "C_F": 1.0, "p_G": 2, "C_G": 1.5}
RUN = {"n": 20, "k": 3, "eta": 0.1, "lam": 0.1, "t": [1.0, 2.0]}
SIZES = {"n": 101, "k": 3}


def squares(X):
    return X**2


CALLS = {
    "symmetry.lemmas_thm1.lemma1": {"mistakes": 0, "on": 0.9, "off": 0.1},
    "symmetry.lemmas_thm1.lemma2": {"mistakes": 0, "deviation": 0.0},
    "symmetry.lemmas_thm1.zigzag": {"mistakes": 0, "deviation": 0.0},
    "symmetry.lemmas_thm1.lemma3_bound": {"n": 5, "kind": "integer"},
    "symmetry.lemmas_thm1.lemma3": {"n": 5, "kind": "integer", "margin": 0.2},
    "symmetry.lemmas_thm1.lemma3_scaling": {"kind": "integer", "n": [4, 9], "margins": [0.5, 0.3], "tolerance": 0.1},
    "symmetry.generalisation.theorem1_sample_size": {"n": 5, "epsilon": 0.1, "delta": 0.1},
    "symmetry.generalisation.theorem1": {"n": 5, "epsilon": 0.1, "delta": 0.1, "m": 100, "failed": [False] * 4},
    "symmetry.generalisation.sample_compression": {"disagreements": 0, "seen": 3},
    "symmetry.generalisation.missing_mass": {"probabilities": [0.5, 0.5], "m": 3, "errors": [0.1, 0.2, 0.1]},
    "symmetry.perceptron.update_bound": {**LAWS, "batch": 2},
    "symmetry.perceptron.final_margin_bound": LAWS,
    "symmetry.perceptron.theorem2": {**LAWS, "updates": 3, "final_margin": 0.4, "batch": 2},
    "symmetry.thm2_lemma4.lemma4_step_limit": {"margin": 0.5, "radius": 2.0, "input_radius": 2.0},
    "symmetry.thm2_lemma4.movement_bound": {"t": [1.0], "h": 0.01, "radius": 2.0, "input_radius": 2.0},
    "symmetry.thm2_lemma4.norm_bound": {"t": [1.0], "h": 0.01, "radius": 2.0},
    "symmetry.thm2_lemma4.lemma4_hypotheses": {**LAWS, "input_radius": 2.0},
    "symmetry.thm2_lemma4.lemma4": {
        **LAWS, "input_radius": 2.0, "updates": [1.0, 2.0], "movement": [0.0, 1e-5], "norm": [0.0, 0.1],
        "final_margin": 0.3,
    },
    "symmetry.worst_labels.certify_worst_labels": {"V": np.eye(2), "y": [1, -1]},
    "parity.feature_map.feature_values": {"psi": squares, "n": 3},
    "parity.feature_map.correlation_norms": {"values": np.eye(8), "k": 1},
    "parity.feature_map.measure": {"psi": squares, "n": 3, "k": 1, "B": 1.0, "most": 5, "tolerance": 1e-3},
    "parity.feature_map.guarantees": {"measured": feature_map.measure(squares, 3, 1, 1.0)},
    "parity.features.feature_probability": {"k": 3, "r": 1, "alpha": 0.5, "epsilon": 0.5},
    "parity.features.best_output_weight": {"n": 9, "k": 3, "r": 1, "alpha": 0.5},
    "parity.features.lemma10": {
        "k": 3, "r": 1, "alpha": 0.5, "epsilon": 0.5, "probability": 0.1, "at_best": 0.0, "room": 0.1
    },
    "parity.features.lemma10_printed": {
        "n": 9, "k": 3, "r": 1, "alpha": 0.5, "range_error": 1.0, "cap_error": 0.0
    },
    "parity.features.lemma11": {"n": 99, "k": 3, "r": 1, "epsilon": 0.5, "probability": 0.1},
    "parity.features.representation": {"k": 5, "error": 0.0, "rank": 6, "capped_rank": 4, "capped_error": 0.5},
    "parity.correlations.lemma5": {**SIZES, "c": 2.0, "probability": 0.1},
    "parity.correlations.lemma5_parseval": {"n": 5, "total": 0.5, "active": 0.5},
    "parity.correlations.lemma6": {**SIZES, "C": 2.0, "probability": 0.1},
    "parity.correlations.lemma7": {**SIZES, "outside": 0.0, "bias": 0.0, "inside": 0.0, "tolerance": 0.0},
    "parity.correlations.lemma7_needs_good": {**SIZES, "outside": 0.5, "bias": 0.5},
    "parity.correlations.lemma8_bound": {**SIZES, "J": 40},
    "parity.correlations.lemma8": {**SIZES, "J": 40, "deviation": 0.1},
    "parity.first_step.good_share": {"k": 3},
    "parity.first_step.lemma9_share": {"k": 7, "share": 0.2},
    "parity.first_step.zero_coordinate_bound": {**SIZES, "J": 4, "u": 1.0},
    "parity.first_step.lemma9": {
        **SIZES, "alpha_low": 0.3, "alpha_high": 0.4, "inside": 0.0, "outside": 0.0, "bias": 0.0, "J": 40,
        "tolerance": 0.0,
    },
    "parity.first_step.theorem_sizes": SIZES,
    "parity.linear.linear_bound": {"N": 5, "B": 1.0, **SIZES},
    "parity.linear.features_needed": {"loss": 0.1, "B": 1.0, **SIZES},
    "parity.linear.norm_needed": {"loss": 0.1, "N": 5, **SIZES},
    "parity.linear.theorem2": {"N": 5, "B": 1.0, **SIZES, "measured": 0.5, "tolerance": 0.0},
    "parity.linear.theorem2_average": {"N": 5, "B": 1.0, **SIZES, "measured": 0.5, "tolerance": 0.0},
    "parity.regret.regret_bound": {
        "eta": 0.1, "comparator_loss": 0.5, "gradient_norms": [1.0, 2.0], "start_norm": 1.0, "comparator_norm": 1.0
    },
    "parity.regret.theorem13": {
        "eta": 0.1, "losses": [1.0, 0.5], "comparator_losses": [0.1, 0.1], "gradient_norms": [1.0, 2.0],
        "start_norm": 1.0, "comparator_norm": 1.0,
    },
    "parity.regret.nonnegative": {"name": "values", "values": [1.0], "length": 1},
    "parity.separator.width": {"k": 3, "delta": 0.1},
    "parity.separator.lemma12": {
        **SIZES, "q": 5, "delta": 0.1, "failures": 0, "draws": 40, "separator": 1.0
    },
    "parity.separator.lemma12_few": {**SIZES, "q": 5, "delta": 0.1, "failures": 0, "draws": 40},
    "parity.separator.lemma12_separator": {"k": 3, "margin": 1.0, "largest": 0.1},
    "parity.separator.lemma12_growth": {"what": "q", "exponent": exponent([1, 2, 4], [4, 2, 1]), "tolerance": 0.1},
    "parity.separator.lemma12_sparsity": {},
    "parity.statement.odd": {"k": 3, "least": 3, "n": 5},
    "parity.statement.odd_parity": {"n": 5, "k": 3, "least": 3},
    "parity.statement.with_outside": SIZES,
    "parity.theorem3.good_pairs": {"k": 3, "q": 5},
    "parity.theorem3.theorem3_step": {"k": 3, "q": 5.0, "T": 7.0},
    "parity.theorem3.theorem3_terms": {
        "n": 99.0, "k": 3, "q": 5.0, "T": 7.0, "lam": 0.01, "separator": 1.0, "sparsity": 2.0
    },
    "parity.theorem3.theorem3": {
        "n": 99, "k": 3, "q": 5, "T": 7, "eta": 0.1, "lam": 0.01, "delta": 0.1, "loss": 0.5, "separator": 1.0,
        "sparsity": 2.0, "width_constant": 1.0, "support_constant": 1.0,
    },
    "parity.theorem3.corollary4_sizes": {"k": 3, "epsilon": 0.1, "delta": 0.1, "scale": 1.0},
    "parity.theorem3.corollary4_limit": {"k": 3, "delta": 0.1, "separator": 1.0, "sparsity": 2.0},
    "parity.theorem3.smallest_sizes": {
        "k": 3, "epsilon": 0.1, "delta": 0.1, "separator": 1.0, "sparsity": 2.0, "width_constant": 1.0,
        "support_constant": 1.0,
    },
    "parity.movement.lemma14": {"n": 20, "k": 3, "largest": 0.1},
    "parity.movement.lemma14_needs_zero_start": {"n": 20, "k": 3, "largest": 0.1},
    "parity.movement.output_bound": {name: RUN[name] for name in ("t", "n", "k", "eta")},
    "parity.movement.bias_movement_bound": {name: RUN[name] for name in ("t", "n", "k", "eta")},
    "parity.movement.hidden_movement_bound": RUN,
    "parity.movement.lemma15": {
        **RUN, "output": [0.1, 0.2], "hidden_movement": [0.0, 0.1], "bias_movement": [0.0, 0.1]
    },
    "parity.training.loss_change_bound": {**RUN, "norm": 1.0, "nonzero": 3},
    "parity.training.lemma16": {**RUN, "norm": 1.0, "nonzero": 3, "change": [0.0, 0.1]},
    "parity.movement.lemma15_by_steps": {"iterates": NETS, "eta": 0.1, "lam": 0.1},
    "parity.training.lemma16_by_movement": {"moved": Movement.of(NETS), "u": [1.0, 1.0], "change": [0.0, 0.0, 0.0]},
    "separable.landscape.theorem7": {
        "n": 6, "d": 3, "k": 4, "statement": "proof", "positive": 3, "residual": 0.0, "tolerance": 1e-6
    },
    "separable.landscape.theorem7_overfitting": {"hinge": 0.0, "test_error": 1.0, "sgd_hinge": 0.0},
    "separable.landscape.theorem8": {
        "m": 5, "loss": 0.6, "gradient": 0.0, "change": 0.0, "updates": 0, "margin": 1.0
    },
    "separable.landscape.symmetric_directions": {"X": FOUR},
    "separable.prop1_critical_points.hinge_loss": {"params": TWO_LAYER, "X": FOUR, "y": [1, 1, 1, -1], "alpha": 0.1},
    "separable.prop1_critical_points.hinge_gradient": {
        "params": TWO_LAYER, "X": FOUR, "y": [1, 1, 1, -1], "alpha": 0.1, "at_zero": 0.5
    },
    "separable.prop1_critical_points.proposition1": {
        "params": TWO_LAYER, "X": FOUR, "y": [1, 1, 1, -1], "w_star": [1.0, 1.0], "alpha": 0.1, "at_zero": 0.5,
        "measured": np.ones((4, 2)),
    },
    "separable.prop1_critical_points.proposition1_critical": {"alpha": 0.1, "mismatches": 0, "points": 3},
    "separable.prop1_critical_points.midpoint_values": {"x": [1.0, 2.0], "alpha": 0.1},
    "separable.prop1_critical_points.proposition1_midpoint": {
        "excess": 0.45, "alpha": 0.1, "square": 1.0, "tolerance": 1e-9
    },
    "separable.prop1_critical_points.nonconvexity": {
        "X": FOUR, "y": [1, 1, 1, 1], "w_star": [1.0, 1.0], "k": 2, "v": 0.5, "alpha": 0.1
    },
    "separable.convergence.update_bound": {**NETWORK, "c": 0.5, "C": 2.0},
    "separable.convergence.corollary3_bound": {"w_norm": 2.0, "eta": 0.1, "alpha": 0.2},
    "separable.convergence.norm_bound": {"t": [1.0], "start": 1.0, "k": 3, "eta": 0.1, "v": 0.5, "C": 2.0},
    "separable.convergence.alignment_bound": {
        "t": [1.0], "start": 1.0, "k": 3, "eta": 0.1, "v": 0.5, "alpha": 0.2, "c": 0.5
    },
    "separable.convergence.theorem2": {**NETWORK, "input_norm": 1.0, "row_norm": 0.5, "updates": 5},
    "separable.convergence.corollary3": {"w_norm": 2.0, "eta": 0.1, "alpha": 0.2, "input_norm": 1.0, "updates": 5},
    "separable.convergence.relaxed_bound": {
        **NETWORK, "c": 0.5, "C": 2.0, "input_norm": 1.0, "row_norm": 0.5, "updates": 5
    },
    "separable.thm2_thm6.theorem6": {
        "n": 1000, "delta": 0.1, **NETWORK, "input_norm": 1.0, "error": 0.1, "further": 1
    },
    "separable.thm4_thm10.lower_bound": {**SEQUENCE, "form": "sharp"},
    "separable.thm4_thm10.sequence_updates": SEQUENCE,
    "separable.thm4_thm10.theorem4": {**SEQUENCE, "updates": 5},
    "separable.thm5_compression.compression_bound": {"n": 100, "size": 5, "delta": 0.1, "validation_error": 0.1},
    "separable.thm5_compression.consistent_bound": {"n": 100, "size": 5, "delta": 0.1, "coded": "examples"},
    "separable.thm5_compression.theorem5": {
        "n": 100, "size": 5, "delta": 0.1, "validation_error": 0.1, "error": 0.1
    },
    "separable.thm5_compression.consistent_compression": {"n": 100, "size": 5, "delta": 0.1, "error": 0.1},
    "separable.thm9.failure_probability": {"d": 4, "k": 3},
    "separable.thm9.width_threshold": {"d": 4, "delta": 0.1, "side": "failure"},
    "separable.thm9.update_limit": {"d": 4, "C": 1.0, "eta": 0.1},
    "separable.thm9.theorem9": {
        "d": 4, "k": 3, "delta": 0.1, "failures": 1, "draws": 9, "C": 1.0, "eta": 0.1, "updates": 5
    },
    "separable.thm9.thresholds": {"cells": [(4, 9, 0, 40)], "delta": 0.1},
    "residual.competitor.least_norm": {
        "rows": np.ones((1, 1, 2)), "inputs": np.ones((1, 2)), "targets": np.ones((1, 1))
    },
    "residual.coupling.coupling_orders": {
        "m": 50, "k": 3, "tau_w": 1.0, "tau_v": 0.1, "sigma_w": 0.1, "sigma_v": 2.0, "first": 1.0
    },
    "residual.coupling.across_order": {"tau_v": 0.1, "sigma_v": 2.0},
    "residual.coupling.existence_orders": CONCEPT,
    "residual.coupling.worst_sign_changes": {"g": [0.1, 0.2], "reach": 0.1},
    "residual.coupling.sign_change_share": {"delta": 0.1},
    "residual.coupling.random_share": {"delta": [0.1]},
    "residual.coupling.left_over": {"delta": 0.1},
    "residual.existence.hermite_constant": {"i": 3},
    "residual.existence.printed_constant": {"i": 3},
    "residual.existence.expectation": {"h": squares, "x1": 0.1, "nodes": 20},
    "residual.existence.claim_e3": {"i": 3},
    "residual.existence.indicator_function": {"phi": Taylor([0, 1]), "eps": 0.1},
    "residual.existence.indicator_error": {"phi": Taylor([0, 1]), "eps": 0.1},
    "residual.existence.second_moment": {"phi": Taylor([0, 1])},
    "residual.lemmas.parseval_error": {"spectrum": np.eye(8)[0], "i": 0, "S": (0, 1), "alpha": 0.5},
    "residual.lemmas.lemma_d1": {"values": np.ones(8), "i": 0, "S": (0, 1), "alpha": 0.5},
    "residual.lemmas.column_costs": {"M": np.eye(2)},
    "residual.lemmas.lemma_d2": {"M": np.eye(2)},
    "residual.lower.values_on_cube": {"function": squares, "d": 3, "background": np.zeros((1, 1))},
    "residual.lower.best_fits": {"values": np.eye(8), "k": 2, "rounding": 0.0},
    "residual.lower.target_errors": {"fits": [lower.best_fits(np.eye(8)[:, :2], 2)], "alpha": 0.5},
    "residual.lower.theorem2": {"fits": lower.best_fits(np.eye(8)[:, :2], 2), "alpha": 0.5},
    "residual.lower.theorem3": {"fits": lower.best_fits(np.eye(8)[:, :2], 2), "alpha": 0.5},
    "residual.numbers.concept_numbers": CONCEPT,
    "residual.numbers.share": {"alpha": 0.5},
    "residual.probability.chi_square_tail": {"m": 5, "t": 1.0},
    "residual.probability.matrix_norm_bound": {"n": 5, "m": 7, "t": 1.0},
    "residual.probability.sparse_norm_bound": {"n": 5, "m": 7, "s": 2, "t": 1.0},
    "residual.probability.indicator_bound": {"B": 4.0},
    "residual.probability.chaos_tail": {"m": 5, "B": 1.5, "q": 0.5},
    "residual.probability.square_tail": {"m": 5, "B": 1.5, "q": 0.5},
    "residual.probability.chaos_limit": {"m": 5, "B": 1.5},
    "residual.probability.square_limit": {"m": 5, "B": 1.5},
    "residual.rademacher.rademacher_bound": {"norm": 1.0, "N": 5},
    "residual.rademacher.sample_size": {"norm": 1.0, "complexity": 0.1},
    "residual.rademacher.best_units": {
        "rng": np.random.default_rng(0), "X": FOUR, "signs": [1, 1, -1, -1], "starts": 1, "steps": 2
    },
    "residual.rademacher.supremum": {"units": rademacher.Units(np.ones(1), np.ones(1), 0.5, 0.5), "norm": 1.0},
    "residual.table.movements": {**CONCEPT, "constant": 1.0},
    "residual.table.table1": {
        "m": 1e6, "k": 3, "tau_w": 1.0, "tau_v": 0.1, "sigma_w": 0.1, "sigma_v": 2.0, "log_power": 0.0
    },
    "residual.table.widths": {"k": 3, "tau_w": 1.0, "tau_v": 0.1, "log_power": 0.0},
    "residual.thm1.theorem1": {**CONCEPT, "B_F": 1.0, "delta": 0.1, "opt": 0.0},
    "residual.thm1.hard_complexities": {"d": 9, "k": 3, "constant": 1.0},
    "residual.thm1.corollary71": {"d": 9, "k": 3, "alpha": 0.5, "d_1": 8, "constant": 1.0, "delta": 0.1},
    "residual.thm1.kernel_samples": {"d_1": 9, "k": 3},
    "residual.thm1.gradient_orders": {"residual": 1.0, "sigma_v": 1.0, "tau_w": 1.0},
    "residual.thm1.perturbation_bound": {
        "risk": 0.1, "alpha": 0.1, "alpha_tilde": 0.1, "tau_v": 0.1, "L_G": 1.0, "B_F": 1.0, "constant": 1.0
    },
    "residual.thm1.distance_bound": {
        "error": 0.1, "alpha": 0.1, "tau_v": 0.1, "B_F": 1.0, "B_FG": 1.0, "constant": 1.0
    },
}  # fmt: skip
"""Arguments that are right, all that are numbers among them."""
OF_OBJECTS = {
    "in_form", "stated", "rounded", "norms", "measured", "competitor", "fit", "fitting_weights", "fitted",
}  # fmt: skip
"""They take networks and functions, or text: tested where these are."""
SIGNED = {
    "lemma3.margin", "theorem2.margin", "theorem2.measured", "theorem2_average.measured", "lemma4_hypotheses.margin",
    "lemma4.margin", "lemma12_separator.margin", "theorem8.margin", "proposition1.measured",
    "final_margin", "on", "off", "r", "u", "x1", "start", "comparator_loss", "losses", "comparator_losses", "c",
    "excess", "values", "spectrum", "g", "V", "X", "x", "M", "psi", "rows", "inputs", "targets", "w_star",
    "background",
}  # fmt: skip
"""May be negative, everywhere or in one function."""
ENDLESS = {"w_norm"}
"""Infinite where points are not separable."""


def wrong_for(kind, value, signed, endless, shapes):
    """What a parameter of this annotation must refuse."""
    if re.match(r"int\b", kind):
        return [value + 0.5, math.nan, "3", -10_000]
    if re.match(r"float|Number|Any", kind):
        found = ["0.5", [value], math.nan, math.inf, *([] if signed else [-10_000.0])]
        return [bad for bad in found if bad not in endless]
    if kind.startswith("ArrayLike"):
        spoilt = []
        for bad in (math.nan, *([] if signed else [-10_000])):
            spoilt.append(np.array(value, dtype=float))
            spoilt[-1].flat[-1] = bad
        return [*spoilt, "text", *([] if shapes else [3.0 * np.ones((2, 2, 2, 2))])]
    return []


def bad_values(name):
    said = described(FUNCTIONS[name])
    for parameter, about in inspect.signature(FUNCTIONS[name]).parameters.items():
        if parameter in CALLS[name]:
            kind, value = str(about.annotation), CALLS[name][parameter]
            signed = not SIGNED.isdisjoint({parameter, f"{name.rpartition('.')[2]}.{parameter}"})
            endless = [math.inf] if parameter in ENDLESS else []
            if "Measured" in said[parameter]:  # a run may end so, and a guarantee says it
                endless = [math.nan, math.inf]
            for bad in wrong_for(kind, value, signed, endless, "any shape" in said[parameter]):
                yield parameter, bad


def test_every_function_of_numbers_is_called():
    assert set(CALLS) <= set(FUNCTIONS)
    missing = {name.rpartition(".")[2] for name in set(FUNCTIONS) - set(CALLS)} - OF_OBJECTS
    assert not missing, "give each arguments that are right, in CALLS: one after the other is then made wrong"


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_value_is_refused_by_name(name):
    FUNCTIONS[name](**CALLS[name])
    for parameter, bad in bad_values(name):
        with pytest.raises(RequestError) as caught:
            FUNCTIONS[name](**{**CALLS[name], parameter: bad})
        message = str(caught.value)
        assert re.search(rf"\b{parameter}\b", message), (parameter, bad, message)
        assert "got" in message, (parameter, bad, message)
        assert "\n" not in message, (parameter, bad, message)


def test_a_choice_is_refused_with_what_there_is():
    for name, arguments in CALLS.items():
        for parameter, kind in inspect.signature(FUNCTIONS[name]).parameters.items():
            if str(kind.annotation) != "str" or parameter in ("case", "note", "name"):
                continue
            with pytest.raises(RequestError, match=rf"{parameter} must be one of .*got 'nonsense'"):
                FUNCTIONS[name](**{**arguments, parameter: "nonsense"})


# Absurd values

ABSURD = {"int": [10**9 + 1, 10**18, 10**60 + 1, 10**400, 10**5000], "float": [1e-320, 1e-300, 1e-160, 1e160, 1e300]}
LEFT = {"lemma15_by_steps", "sequence_updates", "measure", "odd", "odd_parity"}
"""Of networks, slow over exact fractions, or refused by the name of another parameter."""


def absurd_values(name):
    for parameter, about in inspect.signature(FUNCTIONS[name]).parameters.items():
        kind = re.match(r"int\b|float|Number", str(about.annotation))
        if parameter in CALLS[name] and kind:
            yield from ((parameter, value) for value in ABSURD["int" if kind[0] == "int" else "float"])


def numbers_in(found):
    if isinstance(found, Guarantee):
        return [found.bound or 0.0, found.measured or 0.0, found.tolerance]
    if isinstance(found, list | tuple):
        return [number for one in found for number in numbers_in(one)]
    return np.ravel(found).tolist() if isinstance(found, float | np.ndarray) else []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [name for name in CALLS if name.rpartition(".")[2] not in LEFT])
def test_an_absurd_value_gives_a_number_or_one_refusal(name):
    for parameter, value in absurd_values(name):
        try:
            found = FUNCTIONS[name](**{**CALLS[name], parameter: value})
        except RequestError as refused:
            message = str(refused)
            assert "must" in message, (parameter, message)
            assert "tolerance" not in message or "tolerance" in CALLS[name], (parameter, message)
            assert len(message) < 300, (parameter, message)
        else:
            assert not any(isinstance(number, float) and math.isnan(number) for number in numbers_in(found)), (
                parameter
            )


def test_absurd_values_have_the_right_answers():
    def calling(name):
        return lambda **changed: FUNCTIONS[name](**{**CALLS[name], **changed})

    call = {name.partition(".")[2]: calling(name) for name in CALLS}
    assert call["perceptron.update_bound"](margin=1e-300) == math.inf
    assert call["perceptron.update_bound"](margin=1e160) == pytest.approx(0.0, abs=1e-300)
    assert call["perceptron.update_bound"](margin=1e200, radius=1e200) == pytest.approx(2.0)  # two examples a batch
    assert call["perceptron.final_margin_bound"](radius=1e300) == 0.0
    assert call["thm2_lemma4.lemma4_step_limit"](radius=1e200) == 0.0
    assert call["thm2_lemma4.lemma4_step_limit"](margin=1e160, radius=1e200) == pytest.approx(1 / 200)
    assert call["regret.regret_bound"](comparator_norm=1e200) == math.inf
    assert call["convergence.norm_bound"](t=[0.0, 1.0], eta=1e200).tolist() == [1.0, math.inf]
    assert call["theorem3.corollary4_sizes"](epsilon=1e-300).q == math.inf
    assert call["theorem3.smallest_sizes"](separator=1e200).n == math.inf


# Answers that say nothing

NOTED = {
    "symmetry.perceptron.theorem2": {"margin": -0.1},
    "parity.features.lemma11": {"epsilon": 2.0},
    "parity.correlations.lemma5": {"c": 1.0},
    "parity.correlations.lemma6": {"C": 1.0},
    "parity.correlations.lemma8": {"J": 1},
    "parity.linear.theorem2": {"B": 1e9},
    "parity.theorem3.theorem3": {},
    "parity.movement.lemma14": {"n": 101, "k": 101},
    "separable.thm2_thm6.theorem6": {"n": 10},
    "separable.thm4_thm10.theorem4": {"alpha": 1.0},
    "separable.thm5_compression.consistent_compression": {"size": 100},
    "separable.thm5_compression.theorem5": {"size": 50},
    "residual.lemmas.lemma_d2": {},
    "residual.lower.theorem2": {},
    "residual.thm1.corollary71": {"alpha": 0.001, "delta": 1.0, "d": 40, "d_1": 40},
    "residual.thm1.theorem1": {},
}
"""Arguments at which a note or a verdict says that nothing is promised."""
DESCRIBED = {
    "symmetry.perceptron.final_margin_bound": ({"beta": 0.0}, lambda margin: margin == 0),
    "parity.correlations.lemma8_bound": ({"J": 1}, lambda difference: difference >= 1),
    "parity.first_step.zero_coordinate_bound": ({"J": 0, "n": 100}, lambda off: math.isclose(off, 1 / 20)),
    "parity.linear.linear_bound": ({"B": 1e9}, lambda loss: loss <= 0),
    "parity.theorem3.corollary4_limit": ({}, lambda factor: factor * 0.49 >= 1),
    "parity.theorem3.theorem3_terms": ({}, lambda terms: terms.total >= 1),
    "separable.thm5_compression.compression_bound": ({"size": 50}, lambda error: error >= 1),
    "separable.thm9.width_threshold": ({"d": 1}, lambda width: width < 1),
    "residual.coupling.coupling_orders": ({"tau_w": 9.0, "tau_v": 2.0}, lambda orders: min(orders.a, orders.d) >= 50),
    "residual.probability.indicator_bound": ({"B": 3.3}, lambda chance: chance >= 1),
    "residual.rademacher.rademacher_bound": ({"N": 7}, lambda mean: mean >= 0.5**0.5),
    "residual.thm1.kernel_samples": ({}, lambda examples: examples < 1),
}
"""The same of functions that return numbers, which only a docstring can say, and whether nothing is said."""
NOTHING = re.compile(r"vacuous|says? nothing(?! of)")


@pytest.mark.parametrize("name", NOTED)
def test_an_answer_that_says_nothing_says_so(name):
    found = FUNCTIONS[name](**{**CALLS[name], **NOTED[name]})
    answers = found if isinstance(found, list) else [found]
    assert any(re.search("vacuous|outside", f"{one.note} {getattr(one, 'verdict', '')}") for one in answers)


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_number_that_says_nothing_is_described(name):
    changed, empty = DESCRIBED[name]
    assert empty(FUNCTIONS[name](**{**CALLS[name], **changed}))
    assert NOTHING.search(FUNCTIONS[name].__doc__)


def test_what_says_so_was_seen_to():
    speak = {name for name, function in FUNCTIONS.items() if NOTHING.search(inspect.getsource(function))}
    assert speak - NOTED.keys() - DESCRIBED.keys() == set()
