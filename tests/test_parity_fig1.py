"""parity/fig1: its runs, its settings, its picture, and claims that can fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from learnability import datasets, plotting
from learnability.discovery import installed
from learnability.plotting import HeatMap
from learnability.studies.parity import runs_strips as strips
from learnability.studies.parity.figures import fig1 as parity_fig1
from learnability.studies.parity.figures.fig1 import LABELS, LINEAR
from learnability.theory import Verdict

EXPERIMENT = installed().experiments["parity/fig1"]


def cell(**values):
    """The first smoke cell with these values."""
    return next(s for s in EXPERIMENT.scales["smoke"].settings if values.items() <= s.items())


@pytest.mark.parametrize("model", strips.KERNELS)
def test_a_kernel_machine_learns_one_digit_and_not_three(model):
    one, three = (EXPERIMENT.run(cell(model=model, k=k), 0) for k in (1, 3))
    assert len(one) == len(three) == 1  # a row where the networks end
    assert one[0]["epoch"] == 2
    assert one[0]["ridge"] > 0
    assert one[0]["test_accuracy"] > 0.9
    assert 0.35 < three[0]["test_accuracy"] < 0.65


def test_a_network_has_a_row_for_each_epoch():
    rows = EXPERIMENT.run(cell(model="relu", k=3), 0)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {row["outcome"] for row in rows} == {"budget_reached"}


def test_the_figure_has_strips_and_curves(monkeypatch):
    seen = table(data="digits")
    *pictures, one, three = parity_fig1.figure(seen).panels
    assert [type(panel.items[0]) for panel in pictures] == [HeatMap, HeatMap]
    assert {item.text for panel in pictures for item in panel.items[1:]} == {"even", "odd"}
    for panel in (one, three):
        assert len(panel.items) == 1 + 2 * len(LABELS) + len(strips.KERNELS)
        labels = {item.label for item in panel.items}
        assert set(LABELS.values()) <= labels
        assert any("200 strips" in label for label in labels)
    assert "stand-in" in parity_fig1.figure(seen).title

    def gone(which):
        raise ValueError("MNIST is not there")

    monkeypatch.setattr(datasets, "digit_images", gone)
    strips.images.cache_clear()
    without = parity_fig1.figure(seen)
    assert [len(panel.items) for panel in without.panels[:2]] == [1, 1]
    plotting.drawn(without)
    strips.images.cache_clear()


def test_labels_in_the_figure_are_right():
    pool = strips.images("digits")
    train, test = strips.streams("digits", 3, 7, 5)
    assert (train.size, test.size, train.highest) == (7, 5, 16)
    assert train.images is pool.x_train
    assert test.images is pool.x_test


def test_settings_are_the_papers():
    cells = EXPERIMENT.scales["paper"].settings
    assert EXPERIMENT.scales["laptop"].settings == cells
    assert EXPERIMENT.scales["paper"].seeds >= EXPERIMENT.scales["laptop"].seeds >= 3
    networks = [s for s in cells if s["learning_rate"]]
    assert {(s["units"], s["batch"], s["epochs"]) for s in cells} == {(512, 128, 20)}
    for k in (1, 3):
        for rate in (1.0, 0.001):
            assert {s["model"] for s in networks if s["k"] == k and s["learning_rate"] == rate} == set(LABELS)
    sizes = {"mnist": (60_000, 10_000), "digits": (20_000, 5_000)}[str(cells[0]["data"])]
    assert {(s["strips"], s["test_strips"]) for s in networks} == {sizes}
    assert {s["data"] for s in EXPERIMENT.scales["smoke"].settings} == {"digits"}


def test_mnist_is_asked_for_before_any_task(monkeypatch, tmp_path):
    strips.ready([{"data": "digits", "units": 16}])
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path))
    monkeypatch.setattr("learnability.datasets.mnist_file.cache_folder", lambda: tmp_path)
    assert strips.available() == "digits"
    strips.images.cache_clear()
    with pytest.raises(ValueError, match="MNIST is not there"):
        strips.ready([{"data": "mnist", "units": 512}])


# Claims


def table(changes=None, data="mnist", spread=0.002):
    """Final accuracies like the paper's, except for the changes."""
    final = {(1, model, 1.0): 0.97 for model in LABELS} | {(3, model, 1.0): 0.51 for model in LABELS}
    final |= {(1, "relu", 1.0): 0.985, (3, "relu", 1.0): 0.79}
    final |= {(k, model, 0.001): 0.5 for k in (1, 3) for model in LABELS}
    final |= {(k, model, 0.0): 0.52 for k in (1, 3) for model in strips.KERNELS}
    final |= changes or {}
    rows = []
    for (k, model, rate), accuracy in final.items():
        for seed in range(3):
            for epoch, value in ((1, 0.3), (20, accuracy + spread * (seed - 1))):
                rows.append(
                    {
                        "data": data, "k": k, "model": model, "learning_rate": rate, "seed": seed, "epoch": epoch,
                        "epochs": 20, "strips": 200, "test_accuracy": value,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def verdicts(*arguments, **options):
    return {g.id.removeprefix("parity/fig1/"): g.verdict for g in parity_fig1.claims(table(*arguments, **options))}


def test_claims_hold_on_the_papers_picture():
    found = verdicts()
    assert set(found.values()) == {Verdict.HOLDS}
    assert {f"chance[k=3,{model}]" for model in LINEAR} <= set(found)
    assert {f"similar[k=1,{model}]" for model in LINEAR} <= set(found)
    assert set(verdicts(data="digits").values()) == {Verdict.OUTSIDE}


@pytest.mark.parametrize(
    ("changes", "violated"),
    [
        ({(3, "relu", 1.0): 0.73}, {"almost-80[k=3,relu]"}),
        ({(3, "relu", 1.0): 0.87}, {"almost-80[k=3,relu]"}),
        ({(3, "gated", 1.0): 0.56}, {"chance[k=3,gated]"}),
        ({(3, "gated", 1.0): 0.62}, {"chance[k=3,gated]", "gap[k=3]"}),
        ({(1, "linearised", 1.0): 0.92}, {"similar[k=1,linearised]"}),
        ({(1, "gaussian_features", 1.0): 0.995}, {"advantage[k=1]"}),
        ({(3, "relu", 0.001): 0.6}, {"chance-at-other-rate[k=3]"}),
        ({(3, "rbf_kernel", 0.0): 0.65}, {"gap-kernel[k=3,rbf_kernel]"}),
    ],
)
def test_claims_can_fail(changes, violated):
    found = verdicts(changes)
    assert {id for id, verdict in found.items() if verdict == Verdict.VIOLATED} == violated
    assert {verdict for id, verdict in found.items() if id not in violated} == {Verdict.HOLDS}


def test_too_few_or_too_wide_seeds_decide_nothing():
    wide = verdicts({(3, "gated", 1.0): 0.54}, spread=0.02)
    assert wide["chance[k=3,gated]"] == Verdict.NOT_MEASURED
    assert verdicts({(3, "relu", 1.0): 0.75}, spread=0.02)["almost-80[k=3,relu]"] == Verdict.NOT_MEASURED
    seen = table()
    for fewer in (1, 2):
        found = parity_fig1.claims(seen[seen["seed"] < fewer])
        assert {g.verdict for g in found} == {Verdict.NOT_MEASURED}


def test_a_run_that_diverges_is_said_so():
    setting = dict(next(s for s in EXPERIMENT.scales["smoke"].settings if s["model"] == "relu"))
    with np.errstate(all="ignore"):
        rows = EXPERIMENT.run({**setting, "learning_rate": 1e38}, 0)
    assert rows[-1]["outcome"] == "diverged"
