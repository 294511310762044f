"""parity/fig1: its smoke run, its settings, and claims that can fail."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import learnability
from learnability import datasets
from learnability.studies.parity import runs_strips as strips
from learnability.studies.parity.figures import fig1 as parity_fig1
from learnability.studies.parity.figures.fig1 import LABELS, LINEAR
from learnability.study import SCALES, experiments
from learnability.theory import Verdict

EXPERIMENT = experiments()["parity/fig1"]


@cache
def smoke():
    return learnability.run("parity/fig1", scale="smoke")


def test_every_task_ran_and_gave_rows():
    result, cells = smoke(), EXPERIMENT.scales["smoke"].settings
    assert result.failures == []
    assert result.tasks["run"] == len(cells) * result.seeds
    assert result.table.groupby([*cells[0], "seed"]).ngroups == len(cells) * result.seeds
    assert np.isfinite(result.table.select_dtypes("number").to_numpy(float)).all()
    trained = result.table[result.table["model"].isin(LABELS)]
    assert set(trained["epoch"]) == {1, 2}
    machines = result.table[~result.table["model"].isin(LABELS)]
    assert set(machines["epoch"]) == {2}
    assert (machines["ridge"] > 0).all()
    assert set(machines["model"]) == set(strips.KERNELS)


def test_something_is_learnt_of_one_digit_and_nothing_of_three():
    ends = smoke().table.query("epoch == 2 and learning_rate != 0.001")
    accuracy = ends.groupby(["k", "model"])["test_accuracy"].mean()
    assert accuracy[1, "rbf_kernel"] > 0.9
    assert accuracy[1, "ntk_kernel"] > 0.9
    assert 0.35 < accuracy[3].min() <= accuracy[3].max() < 0.65


def test_guarantees_have_unique_ids_and_nothing_is_violated():
    guarantees = smoke().guarantees
    ids = [g.id for g in guarantees]
    assert len(ids) == len(set(ids))
    assert all(i.startswith("parity/fig1/") for i in ids)
    json.dumps([g.to_json() for g in guarantees], allow_nan=False)
    assert {g.verdict for g in guarantees} == {Verdict.OUTSIDE}


def test_a_task_gives_the_same_plain_rows_twice():
    for model in ("relu", "ntk_kernel"):
        setting = next(s for s in EXPERIMENT.scales["smoke"].settings if s["model"] == model)
        once, again, other = (EXPERIMENT.run(setting, seed) for seed in (1, 1, 2))
        assert once == again != other
        for row in once:
            assert all(type(value) in (bool, int, float, str) for value in row.values())
            assert not row.keys() & (setting.keys() | {"seed"})


def test_figure_has_labelled_axes(monkeypatch):
    figure = smoke().figure
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    pictures, panels = figure.axes[:2], figure.axes[2:]
    assert [len(ax.images) for ax in pictures] == [1, 1]
    assert {text.get_text() for ax in pictures for text in ax.texts} == {"even", "odd"}
    for ax, k in zip(panels, (1, 3), strict=True):
        assert ax.get_xlabel() == "epoch"
        assert ax.get_title() == f"k = {k}"
        assert len(ax.lines) == 1 + 2 * len(LABELS) + len(strips.KERNELS)
    assert "stand-in" in figure.get_suptitle()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("200 strips" in text for text in legend)
    assert set(LABELS.values()) <= set(legend)

    def gone(which):
        raise ValueError("MNIST is not there")

    monkeypatch.setattr(datasets, "digit_images", gone)
    strips.images.cache_clear()
    without = parity_fig1.figure(smoke().table)
    assert [len(ax.images) for ax in without.axes[:2]] == [0, 0]
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
    for scale in SCALES:
        found = EXPERIMENT.scales[scale].settings
        assert len({json.dumps(dict(s), sort_keys=True) for s in found}) == len(found)
        assert all(s.keys() == found[0].keys() for s in found)
    assert {s["data"] for s in EXPERIMENT.scales["smoke"].settings} == {"digits"}


def test_mnist_is_asked_for_before_any_task(monkeypatch, tmp_path):
    strips.ready([{"data": "digits", "units": 16}])
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path)
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
                        "test_accuracy": value,
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
    one = table()
    found = parity_fig1.claims(one[one["seed"] == 0])
    assert {g.verdict for g in found} == {Verdict.NOT_MEASURED}


def test_a_run_that_diverges_is_said_so():
    setting = dict(next(s for s in EXPERIMENT.scales["smoke"].settings if s["model"] == "relu"))
    with np.errstate(all="ignore"):
        rows = EXPERIMENT.run({**setting, "learning_rate": 1e38}, 0)
    assert rows[-1]["outcome"] == "diverged"
