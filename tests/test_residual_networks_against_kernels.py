"""Figures 2 and 3: every task against its formulas, the choice from grids, claims that can fail."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from learnability.discovery import installed
from learnability.kernels import residual_empirical as empirical
from learnability.kernels.closed_form import rbf
from learnability.kernels.inner_product import arcsine
from learnability.kernels.machine import fit
from learnability.networks import residual as networks
from learnability.problems.residual import PairTarget, UniformSigns
from learnability.seeding import generator
from learnability.studies.residual import claims_fig2_fig3 as claims
from learnability.studies.residual import runs
from learnability.theory import Verdict

EXPERIMENT = installed().experiments["residual/fig2a"]
PROBLEM = runs.problem(60, d=8, test=100, epochs=3)
TARGET = PairTarget(8, 0.3, 1.0)


def sample(name, size, seed=3):
    names = ("sample", 8, size) if name == "sample" else (name, 8)
    X = UniformSigns(8).sample(generator(seed, *names), size)
    return X, TARGET(X)


def start(network, m, seed=3):
    return networks.initial(generator(seed, "start", network, 8, m), network, 8, 4, m)


def error(outputs, Y):
    return float(((outputs - Y) ** 2).sum(axis=1).mean())


def test_parts_a_and_b_differ_in_what_is_trained_and_in_the_sample():
    for figure in ("2", "3"):
        for scale in ("laptop", "paper"):
            a, b = (
                [
                    s
                    for s in installed().experiments[f"residual/fig{figure}{part}"].scales[scale].settings
                    if s["solver"] == "sgd"
                ]
                for part in "ab"
            )
            a_sizes = {500} if figure == "2" else {500, 1000}  # Figure 3(a): the paper does not say which
            for cells, sizes, trained in ((a, a_sizes, "all"), (b, {1000}, "hidden")):
                found = {(s["method"], s["samples"]) for s in cells if s["method"] not in ("last", "ntk")}
                assert found == {(trained, size) for size in sizes}
            assert {s["d"] for s in a + b} == {30}
            assert {s["epochs"] for s in a + b} == {800}


@pytest.mark.parametrize("trained", ["all", "hidden"])
def test_sgd_is_the_papers(trained):
    """Momentum 0.9, weight decay in the gradient, the rate divided by 10 halfway: by the gradient's formula."""
    (s,) = runs.cells("sgd", "3resnet", trained, (6,), "0.02 0.05", "0.01", **PROBLEM | {"epochs": 2})
    rows = runs.run(s, 3)
    assert [(row["learning_rate"], row["weight_decay"]) for row in rows] == [(0.02, 0.01), (0.05, 0.01)]
    X, Y = sample("sample", 60)
    order = generator(3, "order", 8, 60)
    order.spawn(3)
    orders = [order.permutation(60) for _ in range(2)]
    for row in rows:
        params = start("3resnet", 6)
        velocity = [np.zeros_like(part) for part in params]
        for visits, rate in zip(orders, (row["learning_rate"], row["learning_rate"] / 10), strict=True):
            for batch in (visits[:50], visits[50:]):
                _, gradient = networks.gradient(params, X[batch], Y[batch])
                velocity = [
                    0.9 * v + g + 0.01 * part for v, g, part in zip(velocity, gradient, params, strict=True)
                ]  # fmt: skip
                moved = [part - rate * v for part, v in zip(params, velocity, strict=True)]
                params = networks.ResNet3(*moved[:2], moved[2] if trained == "all" else params.A)
        for name, size in (("sample", 60), ("validation", 50), ("test", 100)):
            column = "train_error" if name == "sample" else f"{name}_error"
            Z, wanted = sample(name, size)
            assert row[column] == pytest.approx(error(networks.forward(params, Z), wanted), rel=1e-4)


@pytest.mark.parametrize("method", ["last", "ntk"])
def test_regression_is_the_machines(method):
    (s,) = runs.cells("regression", "3resnet", method, (7,), **PROBLEM)
    rows = runs.run(s, 3)
    params = start("3resnet", 7)
    if method == "last":
        kernel, offset = partial(empirical.conjugate, params), lambda X: 0.0
    else:
        kernel = lambda X, Z: sum(empirical.tangent(params, X, Z).values())  # noqa: E731
        offset = partial(networks.forward, params)
    (X, Y), (Z, wanted) = sample("sample", 60), sample("test", 100)
    row = rows[5]
    machine = fit(kernel, X, Y - offset(X), row["ridge"])
    assert row["test_error"] == pytest.approx(error(machine.predict(Z) + offset(Z), wanted), rel=1e-6)
    keep = np.arange(1, 60)
    left = [fit(kernel, X[keep - (keep <= i)], (Y - offset(X))[keep - (keep <= i)], row["ridge"]) for i in range(60)]
    one_out = [error(m.predict(X[i : i + 1]) + offset(X[i : i + 1]), Y[i : i + 1]) for i, m in enumerate(left)]
    assert row["loo_error"] == pytest.approx(np.mean(one_out), rel=1e-6)


def test_closed_kernels():
    for method in runs.CLOSED:
        (s,) = runs.cells("closed", "none", method, (0,), **PROBLEM)
        rows = runs.run(s, 3)
        tried = {"gaussian": len(runs.GAUSSIANS), "arcsine": len(runs.SCALES)}.get(method, 1)
        assert len(rows) == 10 * tried
    (s,) = runs.cells("closed", "none", "gaussian", (0,), **PROBLEM)
    row = runs.run(s, 3)[25]
    (X, Y), (Z, wanted) = sample("sample", 60), sample("test", 100)
    machine = fit(partial(rbf, gamma=row["gamma"]), X, Y, row["ridge"])
    assert row["test_error"] == pytest.approx(error(machine.predict(Z), wanted), rel=1e-6)
    (s,) = runs.cells("closed", "none", "arcsine", (0,), **PROBLEM)
    row = runs.run(s, 3)[14]
    scale = row["gamma"]
    assert scale == runs.SCALES[1]
    machine = fit(arcsine, scale * X, Y, row["ridge"])
    assert row["test_error"] == pytest.approx(error(machine.predict(scale * Z), wanted), rel=1e-6)


def test_a_run_that_diverges_is_said_so():
    (s,) = runs.cells("sgd", "3resnet", "all", (6,), "1e6 0.01", "0", **PROBLEM)
    bad, good = runs.run(s, 0)
    assert bad["outcome"] == "diverged"
    assert math.isnan(bad["test_error"])
    assert good["test_error"] > 0


def test_wide_grids_are_trained_in_parts():
    found = runs.cells("sgd", "3layer", "all", (200, 500), "0.1 0.2", "0.01", **PROBLEM)
    assert [(s["m"], s["learning_rates"]) for s in found] == [(200, "0.1 0.2"), (500, "0.1"), (500, "0.2")]
    assert len(runs.cells("regression", "3layer", "ntk", (500,), **PROBLEM)) == 1


def made(errors):
    """A table of Figure 2 with the given test errors of (solver, network, method), three seeds, two widths."""
    rows = []
    for (solver, network, method), level in errors.items():
        for seed in range(3):
            for m in (0,) if solver == "closed" else (20, 50):
                for point in (0, 1):
                    rows.append(
                        {
                            "solver": solver, "network": network, "method": method, "m": m, "beta": 1.0, "seed": seed,
                            "d": 30, "alpha": 0.3, "samples": 500, "epochs": 800, "learning_rates": "0.1",
                            "weight_decays": "0.01", "learning_rate": 0.1, "weight_decay": 0.01,
                            "test_error": (level + 0.01 * seed) * (1.0, 0.9)[point],
                            "validation_error": (1.0, 2.0)[point],
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def levels(**changed):
    errors = {("sgd", network, "all"): 2.0 for network in claims.NETWORKS}
    errors[("sgd", "3resnet", "all")] = 0.1
    errors |= {("regression", network, method): 9.0 for network in claims.NETWORKS for method in ("last", "ntk")}
    errors |= {("closed", "none", method): 6.0 for method in runs.CLOSED}
    return errors | {tuple(key.split("_")): value for key, value in changed.items()}


def verdicts(table):
    found = EXPERIMENT.claims(table)
    assert len({g.id for g in found}) == len(found) == 6
    return {g.id.split("fig2a/")[1]: g for g in found}


def test_claims_of_figure_2():
    found = verdicts(made(levels()))
    assert {g.verdict for g in found.values()} == {Verdict.HOLDS}
    assert found["learns[3resnet,all]"].bound == pytest.approx(1.35)
    half = 0.01 / math.sqrt(3)  # over Student's quantile
    measured = found["learns[3resnet,all]"].measured  # the validation sample's choice
    assert measured == pytest.approx(0.11 + 4.302653 * half)
    measured = found["not-below[2layer,all]"].measured  # the test sample's, of two widths
    assert measured == pytest.approx(0.9 * (2.01 - 6.205347 * half))
    assert "chosen on the test sample, as in the paper: m=20 1.81, m=50 1.81" in found["not-below[2layer,all]"].note


@pytest.mark.parametrize(
    ("change", "ids"),
    [
        ({"sgd_3resnet_all": 1.5}, {"learns[3resnet,all]"}),
        ({"sgd_2layer_all": 1.4}, {"not-below[2layer,all]"}),
        ({"regression_3layer_ntk": 1.2}, {"not-below[kernels of networks]", "behind[kernels]"}),
        ({"closed_none_gaussian": 1.2}, {"not-below[kernels in closed form]", "behind[kernels]"}),
        ({"closed_none_gaussian": 1.9}, {"behind[kernels]"}),
    ],
)
def test_claims_can_fail(change, ids):
    found = verdicts(made(levels(**change)))
    assert {name for name, g in found.items() if g.verdict is Verdict.VIOLATED} == ids


def test_notes_say_which_kernels_are_best():
    found = verdicts(made(levels(closed_none_arcsine=5.0)))
    assert "chosen on the validation sample: arcsine 5.01, " in found["not-below[kernels in closed form]"].note
    assert "2layer at its largest width; nearest arcsine; " in found["behind[kernels]"].note.replace(
        "3layer", "2layer"
    )


def test_all_diverged_is_not_measured():
    table = made(levels())
    gone = (table["solver"] == "sgd") & (table["network"] != "2layer")
    table.loc[gone, ["test_error", "validation_error"]] = math.nan
    found = verdicts(table)
    assert {name for name, g in found.items() if g.measured is None} == {
        "learns[3resnet,all]",
        "not-below[3layer,all]",
    }
    assert found["behind[kernels]"].verdict is Verdict.HOLDS  # of the networks that are left


def test_claims_of_figure_3():
    at = {
        1000: {1.0: 0.01, 0.5: 0.01, 0.3: 0.01, 0.2: 2.2, 0.0: 1.35},
        500: {1.0: 0.01, 0.5: 2.2, 0.3: 2.2, 0.2: 2.2, 0.0: 2.0},
    }

    def judged(errors):
        table = pd.concat(
            made({("sgd", "3resnet", "all"): error}).assign(beta=beta, samples=N)
            for N, of in errors.items()
            for beta, error in of.items()
        )
        claimed = installed().experiments["residual/fig3a"].claims(table)
        return {g.id.split("fig3a/")[1]: g for g in claimed}

    found = judged(at)
    assert [*found] == [
        *(
            "learns[beta=1,N=1000]",
            "learns[beta=0.5,N=1000]",
            "not-below[beta=0.2,N=1000]",
            "not-below[beta=0,N=1000]",
        ),
        *(
            "learns[beta=1,N=500]",
            "too-few[beta=0.5,N=500]",
            "not-below[beta=0.2,N=500]",
            "not-below[beta=0,N=500]",
        ),
    ]
    assert {g.verdict for g in found.values()} == {Verdict.HOLDS}
    assert {round(g.bound, 12) for g in found.values()} == {0.675}  # learning and failing are two sides of one number
    assert found["too-few[beta=0.5,N=500]"].source == "this project, on Allen-Zhu & Li, Figure 3(a)"
    assert (
        "on the boundary, beta = alpha, where nothing is claimed: chosen" in found["not-below[beta=0.2,N=1000]"].note
    )
    assert "boundary" not in found["not-below[beta=0,N=1000]"].note
    for N, beta in ((1000, 0.5), (1000, 0.2), (500, 0.5), (500, 1.0)):
        wrong = {1000: dict(at[1000]), 500: dict(at[500])}
        wrong[N][beta] = 0.5 if at[N][beta] > 1 else 0.8
        violated = [id for id, g in judged(wrong).items() if g.verdict is Verdict.VIOLATED]
        assert len(violated) == 1
        assert violated[0].endswith(f"[beta={beta:g},N={N}]")
    one = {g.id for g in installed().experiments["residual/fig3b"].claims(
        pd.concat(made({("sgd", "3resnet", "all"): 0.1}).assign(beta=beta) for beta in (1.0, 0.5, 0.3)))}  # fmt: skip
    assert one == {"residual/fig3b/learns[beta=1]", "residual/fig3b/learns[beta=0.5]"}


def test_one_width_below_the_line_is_enough_against_not_below():
    table = made(levels())
    narrow = (table["network"] == "2layer") & (table["method"] == "all") & (table["m"] == 20)
    table.loc[narrow, "test_error"] /= 2
    assert {name for name, g in verdicts(table).items() if g.verdict is Verdict.VIOLATED} == {"not-below[2layer,all]"}


def test_seeds_that_disagree_and_two_seeds_decide_nothing():
    table = made(levels())
    apart = table.assign(test_error=table["test_error"] * (1 + 2 * (table["seed"] == 1)))
    for doctored in (apart.assign(test_error=1.35 * apart["test_error"] / 2), table[table["seed"] < 2]):
        assert verdicts(doctored)["not-below[2layer,all]"].verdict is Verdict.NOT_MEASURED


def test_the_figure_of_widths_shows_all():
    plot = EXPERIMENT.figure(made(levels()))
    networks, kernels = plot.panels
    named = {item.label: item for item in networks.items if getattr(item, "label", "")}
    assert set(named) == {"3resnet", "3layer", "2layer", "output 0: 16.35"}
    line, words = networks.items[:2]
    assert line.y == pytest.approx(1.35)
    assert words.text == "F, nothing of G: kα² = 1.35"
    assert list(networks.xticks) == list(named["3resnet"].x) == [20, 50]
    np.testing.assert_allclose(named["3resnet"].y, 0.11)
    np.testing.assert_allclose(named["3resnet"].high, 0.12)
    assert sum(getattr(item, "hollow", False) for item in networks.items) == 3
    assert kernels.legend  # in the panel, of what has no place of its own
    assert set(runs.CLOSED.values()) | {"NTK, 3resnet", "last layer, 2layer"} < {
        getattr(item, "label", "") for item in kernels.items
    }
    solved = [item for item in kernels.items if getattr(item, "linestyle", "") == "--" and len(item.x)]
    assert [list(item.x) for item in solved] == [[20, 50]] * 3
    assert "(rates 0.1, decays 0.01)" in plot.note


def test_the_figure_of_betas_has_a_panel_for_each_size_and_a_curve_for_each_beta():
    table = pd.concat([made({("sgd", "3resnet", "all"): 0.1}).assign(beta=beta) for beta in (1.0, 0.3, 0.0)])
    figure = installed().experiments["residual/fig3a"].figure
    (panel,) = figure(table).panels
    labels = [item.label for item in panel.items if getattr(item, "label", "")]
    assert labels == ["β = 1", "β = 0.3 = α", "β = 0"]
    fine, coarse = figure(pd.concat([table, table.assign(samples=1000, test_error=1e-4)])).panels
    assert ("N = 1,000" in fine.title, "N = 500" in coarse.title) == (True, True)
    assert fine.ylim == coarse.ylim
    assert fine.ylim[0] < 1e-4
