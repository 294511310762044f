"""residual/fig1 and residual/fig4b: their runs, the search, the Pareto front, and claims that can fail."""

from __future__ import annotations

import itertools
import json
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import learnability
from learnability.discovery import installed
from learnability.networks import vertices
from learnability.problems.residual import UniformSigns, degree_six
from learnability.studies.residual import runs_monomial as monomial
from learnability.theory import Verdict

NAMES = ("fig1", "fig4b")


def of(name):
    return installed().experiments[f"residual/{name}"]


@cache
def smoke():
    return learnability.run("residual/fig1", scale="smoke").table


class TestRuns:
    def test_rows_are_of_the_start_and_the_recorded_epochs(self):
        table = smoke()
        trained = table[table["method"] == "sgd"]
        assert set(trained["epoch"]) == set(range(0, 41, 2))
        start = trained[trained["epoch"] == 0]
        np.testing.assert_allclose(start["norm"], math.sqrt(8), rtol=0.2)
        np.testing.assert_allclose(start["train_error"], 1, atol=0.5)
        ends = trained[trained["epoch"] == 40]
        assert ends["test_deviation"].between(1e-4, 0.2).all()
        assert trained.loc[trained["epoch"] < 40, "test_deviation"].isna().all()
        assert ends["train_error"].min() < 0.1
        # the larger weight decay ends nearer to 0, at both learning rates
        norms = ends.groupby(["weight_decay", "learning_rate"])["norm"].mean()
        assert (norms[1e-3] < norms[1e-5]).all()

    def test_a_run_is_what_its_columns_say(self):
        """The errors without the 1/2, of SGD's own network, on the test sample; the norm of W alone."""
        setting = next(s for s in of("fig1").scales["smoke"].settings if s["method"] == "sgd")
        row = of("fig1").run({**setting, "epochs": 0}, 3)[0]
        network = monomial.start(monomial.generator(3, "start", 8, 64), 64, 8)
        inputs, target = UniformSigns(8, unit=True), degree_six(8)
        for column, X in (
            ("train_error", inputs.sample(monomial.generator(3, "sample", 8, 200), 200)),
            ("test_error", inputs.sample(monomial.generator(3, "test", 8), 500)),
        ):
            squares = (vertices.forward(network, X) - target(X)) ** 2
            assert row[column] == pytest.approx(squares.mean(), rel=1e-5)
        assert row["test_deviation"] == pytest.approx(squares.std(ddof=1) / math.sqrt(500))
        assert row["norm"] == pytest.approx(np.linalg.norm(network.W), rel=1e-6)

    def test_hand_built_rows_are_exact(self):
        explicit, recipe = (
            of("fig1").run({"method": method, "d": 40, "m": 400, "weight_decay": decay}, 0)
            for method, decay in (("vertex", 0.0), ("recipe", 5e-5))
        )
        assert [row["test_error"] for row in explicit] == pytest.approx([0.12, 0.037, 0.011, 0], abs=1e-12)
        for row in (*explicit, *recipe):
            assert row["train_error"] == row["test_error"]
            assert row["norm"] >= vertices.least_norm(row["test_error"], 40) * (1 - 1e-9)
        assert recipe[0]["test_error"] < 0.011
        assert recipe[0]["norm"] / math.sqrt(40) == pytest.approx(13.8, abs=0.2)

    def test_a_run_that_diverges_keeps_its_finite_rows(self):
        setting = next(s for s in of("fig1").scales["smoke"].settings if s["method"] == "sgd")
        rows = of("fig1").run({**setting, "learning_rate": 1e4}, 0)
        assert rows[0]["epoch"] == 0
        assert {row["outcome"] for row in rows} == {"diverged"}
        assert all(math.isnan(row["test_deviation"]) for row in rows)
        assert np.isfinite([row[c] for row in rows for c in ("train_error", "test_error", "norm")]).all()

    def test_the_rate_is_divided_after_half_of_the_epochs(self):
        assert [monomial._factor(800, epoch) for epoch in (1, 400, 401, 800)] == [1, 1, 0.1, 0.1]


@pytest.mark.parametrize("name", NAMES)
def test_laptop_is_a_part_of_the_published_search(name):
    cells = {scale: of(name).scales[scale].settings for scale in ("laptop", "paper")}
    d, samples, batch = {"fig1": (40, 5000, 50), "fig4b": (100, 50_000, 100)}[name]
    for found in cells.values():
        trained = [s for s in found if s["method"] == "sgd"]
        assert {(s["d"], s["samples"], s["batch"], s["epochs"]) for s in trained} == {(d, samples, batch, 800)}
        assert {s["weight_decay"] for s in found if s["method"] == "recipe"} == set(monomial.RECIPE)
    whole = {json.dumps(dict(s), sort_keys=True) for s in cells["paper"]}
    assert {json.dumps(dict(s), sort_keys=True) for s in cells["laptop"]} <= whole
    widths = {s["m"] for s in cells["paper"]}
    assert min(widths) == 200
    assert max(widths) == {"fig1": 100_000, "fig4b": 50_000}[name]


# The front


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(pairs):
    found = monomial.front(*zip(*pairs, strict=True))
    best = {(e, n) for e, n in pairs if not any((a <= e and b <= n) and (a, b) != (e, n) for a, b in pairs)}
    assert [tuple(map(int, pair)) for pair in found] == sorted(best)


# Claims


def table(sgd=((0.3, 0.75, 60.0),), epochs=800, deviation=0.01, m=200, seeds=3):
    """The hand-built networks at d = 40, and cells whose runs end at (training error, test error, norm)."""
    rows = []
    for s in monomial.hand_built(40, ()):
        rows += [{**s, "seed": 0, **row} for row in monomial.run(s, 0)]
    for (place, (train, test, norm)), seed in itertools.product(enumerate(sgd), range(seeds)):
        common = {"method": "sgd", "d": 40, "m": m, "samples": 5000, "test": 10_000, "batch": 50, "epochs": epochs}
        for epoch, (a, b, c) in enumerate([(1.0, 1.0, math.sqrt(40)), (train, test, norm)]):
            rows.append(
                {
                    **common, "seed": seed, "learning_rate": 1.0, "weight_decay": 1e-5 * place,
                    "epoch": epoch * epochs, "train_error": a, "test_error": b, "norm": c,
                    "test_deviation": deviation if epoch else math.nan, "outcome": "budget_reached",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


SEARCH = monomial.Search.of(
    [
        {
            "method": "sgd",
            "d": 40,
            "m": 200,
            "samples": 5000,
            "batch": 50,
            "epochs": 800,
            "learning_rate": 1.0,
            "weight_decay": decay,
        }
        for decay in (0.0, 1e-5, 5e-5)
    ]
)


def verdicts(**options):
    found = monomial.claims(table(**options), name="fig1", where="Figure 1", floor=0.69, search=SEARCH)
    return {g.id.removeprefix("residual/fig1/"): g.verdict for g in found}


HOLDS, VIOLATED = Verdict.HOLDS, Verdict.VIOLATED


class TestClaims:
    def test_hold_on_the_papers_picture(self):
        found = verdicts(sgd=((0.1, 0.75, 200.0), (0.005, 1.1, 300.0)))
        assert set(found.values()) == {HOLDS}
        assert len(found) == 10

    @pytest.mark.parametrize("seeds", [1, 3])
    def test_one_run_is_enough_against_them(self, seeds):
        found = verdicts(sgd=((0.1, 0.5, 60.0), (0.1, 0.8, 200.0)), seeds=seeds)
        assert {id for id, verdict in found.items() if verdict == VIOLATED} == {"test-error", "norm[error=0.12]"}

    def test_two_runs_are_too_few_for_them(self):
        found = verdicts(sgd=((0.1, 0.75, 200.0),), seeds=2)
        assert found["test-error"] == found["norm[error=0.12]"] == Verdict.NOT_MEASURED

    def test_a_training_error_that_nobody_reaches_is_as_far_as_it_is(self):
        claims = monomial.claims(
            table(sgd=((0.24, 0.8, 200.0),)), name="fig1", where="Figure 1", floor=0.69, search=SEARCH
        )
        (found,) = [g for g in claims if "norm[error=0.12]" in g.id]
        assert found.verdict == HOLDS
        assert found.measured == pytest.approx(200 / (9.7 * math.sqrt(40)))  # the norm is further off than the error
        assert "training error 0.24, norm 200" in found.note

    def test_what_was_run_is_told_from_the_search(self):
        sgd = ((0.1, 0.75, 200.0),) * 3  # decays 0, 1e-5 and 2e-5
        assert SEARCH.part(table(sgd=sgd[:2]).query("method == 'sgd'")) == "2 of the 3 cells of the published search"
        assert SEARCH.part(table(sgd=sgd).query("method == 'sgd'")) == "3 cells, 2 of the 3 of the published search"
        other = table(sgd=sgd, epochs=400).query("method == 'sgd'")
        assert SEARCH.part(other) == "3 cells, 0 of the 3 of the published search"

    @pytest.mark.parametrize(
        ("error", "deviation", "verdict"),
        [(0.2, 0.001, VIOLATED), (0.2, 0.03, Verdict.NOT_MEASURED), (0.3, 0.001, HOLDS)],
    )
    def test_the_limit_by_the_interval_of_a_test_sample(self, error, deviation, verdict):
        """Norm 41.3 is half of the least exact norm: no error below 1/4."""
        half = 16 * math.sqrt(40 / 6)
        ends = ((0.5, 0.8, 70.0), (0.2, error, half))
        assert verdicts(sgd=ends, deviation=deviation)["limit[SGD]"] == verdict

    def test_a_hand_built_network_below_the_limit_is_an_alarm(self):
        rows = table()
        rows.loc[rows["method"] == "vertex", "norm"] *= 0.99
        found = monomial.claims(rows, name="fig1", where="", floor=0.69, search=SEARCH)
        assert next(g for g in found if g.id == "residual/fig1/limit[hand-built]").verdict == VIOLATED
        assert next(g for g in found if g.id == "residual/fig1/limit[SGD]").verdict == HOLDS


def test_the_figure_has_the_limit_what_was_built_and_what_was_found():
    plot = of("fig1").figure(table(sgd=((0.3, 0.75, 60.0), (0.1, 0.9, 80.0))))
    (panel,) = plot.panels
    assert "2 cells, 1 of the 810 of the published search" in plot.note
    assert list(panel.xticks.values()) == ["0.0039", "0.016", "0.062", "0.25", "1"]
    by_label = {item.label: item for item in panel.items if getattr(item, "label", "")}
    assert len(by_label) == 6
    best = by_label["best found by SGD in train error"]
    np.testing.assert_allclose(best.x, [0.1, 0.3, 1.0])
    np.testing.assert_allclose(best.y, [80, 60, math.sqrt(40)])
    limit = panel.items[0]
    np.testing.assert_allclose(vertices.least_error(limit.y, 40), limit.x, atol=1e-9)
