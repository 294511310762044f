"""residual/alpha: Algorithm 1 against its formulas, the choice of rates, the proved floor, claims that can fail."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest

import learnability
from learnability.discovery import installed
from learnability.networks import residual as networks
from learnability.problems.residual import UniformSigns, random_hard_instance
from learnability.seeding import generator
from learnability.studies.residual.figures import alpha as residual_alpha
from learnability.studies.residual.figures.alpha import KERNELS, NETWORK, checkpoints, chosen, floor, of_alpha
from learnability.theory import Verdict

EXPERIMENT = installed().experiments["residual/alpha"]


@cache
def smoke():
    return learnability.run("residual/alpha", scale="smoke")


def test_the_network_is_seen_at_the_checkpoints():
    table = smoke().table
    assert np.isfinite(table.select_dtypes("number").to_numpy(float)).all()
    assert set(table[table["method"] == NETWORK]["seen"]) == {1000, 3000, 10_000}
    assert {g.verdict for g in smoke().guarantees} == {Verdict.OUTSIDE}  # the parameters are not the published ones


def test_the_network_learns_what_kernels_do_not():
    """The composite signal has a risk of k alpha^2 = 0.48."""
    risks = smoke().table.query("alpha == 0.4").groupby(["method", "seen"])["risk"].mean()
    assert risks[NETWORK, 10_000] < 0.01 * 0.48
    assert all(risks[name, 50] > 0.48 for name in KERNELS)


def test_it_is_algorithm_1():
    """The formulas of Fact C.4, one fresh sample a step, with the same draws: risk after 1,000 steps."""
    d, k, m, rate, seed = 8, 2, 16, 0.1, 4
    s = dict(
        EXPERIMENT.scales["smoke"].settings[0], d=d, k=k, alpha=0.3, m=m, samples=1000, learning_rate=rate, test=300
    )
    (row,) = EXPERIMENT.run(s, seed)
    target = random_hard_instance(generator(seed, "target", d, k), d, k, alpha=0.3)
    inputs = UniformSigns(d, unit=True)
    params = networks.initial(generator(seed, "start", d, k, m), NETWORK, d, k, m)
    for x in inputs.sample(generator(seed, "online", d), 1000):
        _, step = networks.gradient(params, x[None], target(x[None]))
        params = params._replace(W=params.W - rate * step.W, V=params.V - rate * step.V)
    for name, column in (("validation", "validation_risk"), ("test", "risk")):
        X = inputs.sample(generator(seed, name, d), 300)
        risk = ((networks.forward(params, X) - target(X)) ** 2).sum(axis=1).mean()
        assert row[column] == pytest.approx(risk, rel=1e-3)
    assert row["seen"] == 1000


def test_the_linear_kernel_is_linear_regression():
    s = next(s for s in EXPERIMENT.scales["smoke"].settings if s["method"] == "linear")
    (row,) = EXPERIMENT.run({**s, "alpha": 0.0}, 1)
    assert row["risk"] < 1e-8
    assert row["seen"] == s["samples"]


def test_a_run_that_diverges_is_said_so():
    s = dict(EXPERIMENT.scales["smoke"].settings[0], learning_rate=1e4, samples=2000)
    rows = EXPERIMENT.run(s, 0)
    assert len(rows) == 1
    assert math.isnan(rows[0]["risk"])


def test_checkpoints():
    assert checkpoints(1) == [1]
    assert checkpoints(10) == [1, 3, 10]
    assert checkpoints(300) == [1, 3, 10, 30, 100, 300]
    assert checkpoints(400) == [1, 3, 10, 30, 100, 300, 400]


def test_floor():
    assert floor(6, 3, 0.5, 5) == pytest.approx(3 * 0.25 * (1 - 5 / 20))
    assert floor(6, 3, 0.5, 21) == 0


def test_exponents_are_fitted_for_each_seed():
    rows = [{"seed": s, "alpha": a, "risk": s * a**p} for s, p in ((1, 3), (2, 4), (3, 4.1)) for a in (0.1, 0.2, 0.4)]
    found = of_alpha(pd.DataFrame(rows))
    assert found.estimate == pytest.approx(11.1 / 3)
    assert found.high == pytest.approx(11.1 / 3 + 4.302652729911275 * np.std([3, 4, 4.1], ddof=1) / math.sqrt(3))


def test_samples_are_those_of_the_theorem():
    for scale in ("laptop", "paper"):
        cells = EXPERIMENT.scales[scale].settings
        machines = [s for s in cells if s["method"] in KERNELS]
        assert all(s["samples"] <= math.comb(s["d"], s["k"]) / 1000 for s in machines)
        assert all(s["samples"] < math.comb(s["d"], s["k"]) for s in cells)


# Claims


def table(network=None, kernel=None, rates=(0.1,), spread=0.01, seeds=3):
    """Risks by alpha: the network's alpha^4 and the kernels' 2 k alpha^2 unless given; before, 1 for the network."""
    d, k = 60, 4
    alphas = (0.1, 0.2, 0.4)
    network = network or {alpha: alpha**4 for alpha in alphas}
    kernel = kernel or {alpha: 2 * k * alpha**2 for alpha in alphas}
    rows = []
    for seed in range(seeds):
        factor = 1 + spread * (seed - 1)
        common = {"d": d, "k": k, "test": 10, "seed": seed}
        for alpha in alphas:
            for rate in rates:
                for seen in (1000, 10_000, 300_000):
                    risk = 1.0 if seen == 1000 else network[alpha] * factor
                    rows.append(
                        {
                            **common, "method": NETWORK, "alpha": alpha, "m": 200, "samples": 300_000,
                            "learning_rate": rate, "seen": seen, "risk": risk,
                            "validation_risk": network[alpha] * rate,
                        }
                    )  # fmt: skip
            rows += [
                {
                    **common, "method": name, "alpha": alpha, "m": 0, "samples": 400, "learning_rate": 0.0,
                    "seen": 400, "risk": kernel[alpha] * factor, "validation_risk": kernel[alpha],
                }
                for name in KERNELS
            ]  # fmt: skip
    return pd.DataFrame(rows)


def verdicts(**options):
    return {g.id.removeprefix("residual/"): g.verdict for g in residual_alpha.claims(table(**options))}


def test_claims_hold_on_the_papers_picture():
    found = verdicts()
    assert set(found.values()) == {Verdict.HOLDS}
    assert len(found) == 3 + 1 + len(KERNELS) + 1


@pytest.mark.parametrize(
    ("options", "violated"),
    [
        ({"network": {0.1: 0.05, 0.2: 1e-3, 0.4: 1e-2}}, {"alpha/below-every-kernel[alpha=0.1]"}),
        (
            {"kernel": {0.1: 4 * 0.1**2 / 2, 0.2: 1.0, 0.4: 1.0}},
            {f"alpha/thm2[{name},N=400]" for name in KERNELS} | {"alpha/slope[linear,N=400]"},
        ),
        ({"kernel": {0.1: 0.1, 0.2: 0.3, 0.4: 0.9}}, {"alpha/slope[linear,N=400]"}),
    ],
)
def test_claims_can_fail(options, violated):
    found = verdicts(**options)
    assert {id for id, verdict in found.items() if verdict == Verdict.VIOLATED} == violated


def test_samples_until_a_level():
    rows = pd.DataFrame({"seen": [1000, 10_000, 100_000], "risk": [1.0, 1e-2, 1e-3]})
    assert residual_alpha.samples_until(rows, 0.1) == pytest.approx(1000 * 10**0.5)
    assert residual_alpha.samples_until(rows, 1e-3) == pytest.approx(100_000)
    assert residual_alpha.samples_until(rows, 2.0) == 1000
    assert math.isnan(residual_alpha.samples_until(rows, 1e-4))


def test_samples_that_grow_too_fast_are_found():
    rows = table()
    network = rows["method"] == NETWORK
    for alpha, seed in itertools.product((0.1, 0.2, 0.4), range(3)):
        at = network & (rows["alpha"] == alpha) & (rows["seed"] == seed)
        rows.loc[at, "risk"] = [2.0, 1.0, (3.9 - 0.1 * seed) * alpha**4]
        rows.loc[at, "seen"] = [1, 2, round(1e8 * (0.1 / alpha) ** 5)]
    (claim,) = [g for g in residual_alpha.claims(rows) if "samples[" in g.id]
    assert claim.verdict is Verdict.VIOLATED
    assert claim.measured == pytest.approx(5, abs=0.2)


def test_the_numbers_are_those_of_the_table():
    found = {g.id: g for g in residual_alpha.claims(table())}
    assert found["residual/alpha/slope[linear,N=400]"].measured == pytest.approx(0, abs=1e-9)
    assert found["residual/alpha/thm2[rbf,N=400]"].measured == pytest.approx(2 * 0.99)
    bound = found["residual/alpha/below-every-kernel[alpha=0.2]"].bound
    assert bound == pytest.approx(4 * 0.04 * (1 - 10_000 / 487_635))


def test_seeds_that_disagree_decide_nothing():
    found = verdicts(network={0.1: 0.04, 0.2: 1e-3, 0.4: 1e-2}, spread=0.4)
    assert found["alpha/below-every-kernel[alpha=0.1]"] == Verdict.NOT_MEASURED
    few = verdicts(seeds=2)
    assert few["alpha/below-every-kernel[alpha=0.1]"] == few["alpha/slope[linear,N=400]"] == Verdict.NOT_MEASURED


def test_rates_are_chosen_by_validation_and_not_where_a_seed_diverged():
    rows = table(rates=(0.1, 0.2, 0.3))
    assert set(chosen(rows)["learning_rate"]) == {0.1}
    gone = (rows["learning_rate"] == 0.1) & (rows["seed"] == 1) & (rows["alpha"] == 0.2) & (rows["seen"] == 300_000)
    rows.loc[gone, ["risk", "validation_risk"]] = math.nan
    picked = chosen(rows).groupby(["alpha", "seen"])["learning_rate"].unique()
    assert [list(rates) for rates in picked] == [[0.1]] * 5 + [[0.2]] + [[0.1]] * 3
    assert len(chosen(rows)) == 3 * 3 * 3


def test_the_figure_names_its_curves_and_their_samples():
    kernels, network, right = EXPERIMENT.figure(table()).panels
    assert (kernels.title, network.title) == ("kernels, 400 samples", "3resnet, one pass")
    assert (network.xlabel, network.ylabel) == ("α", "risk E‖H − out‖²")
    assert (right.xlabel, right.ylabel) == ("samples", "risk / kα²")
    assert list(network.xticks.values()) == ["0.1", "0.2", "0.4"]
    assert [curve.label for curve in kernels.items if curve.direct] == list(KERNELS.values())
    assert [curve.label for curve in network.items if curve.direct] == [
        "1,000 samples", "10,000 samples", "300,000 samples"
    ]  # fmt: skip
    shares = next(curve for curve in right.items if getattr(curve, "label", "") == "α = 0.2")
    np.testing.assert_allclose(shares.y[1:], 0.2**4 / (4 * 0.2**2))
