"""Cells that compute for so many steps and tell how long that took them: what ``benchmarks/sweeps.py`` runs."""

import time

from learnability.evidence import claim
from learnability.plotting import Panel, Plot, over_seeds
from learnability.study import Experiment, Scale

MODULUS = 2**61 - 1


def computed(steps):
    """Seconds that so many steps of whole numbers take; sleeping would hide what the main process costs."""
    begin, state = time.perf_counter(), 1
    for _ in range(steps):
        state = state * 437799614237992725 % MODULUS
    return time.perf_counter() - begin


def run(setting, seed):
    """A cell: its own seconds."""
    own = computed(setting["steps"])
    return [{"own": own}]


def figure(table):
    """Own seconds of every tenth of the cells."""
    tenths = table.assign(tenth=table["cell"] * 10 // (table["cell"].max() + 1))
    means = tenths.groupby(["tenth", "seed"])["own"].mean().reset_index()
    return Plot([Panel([over_seeds(means, "tenth", "own")], xlabel="tenth of the cells", ylabel="seconds")])


def claims(table):
    """That there was something to do."""
    return [claim("own", 0.0, float(table["own"].mean()), "at_least")]


def settings(cells=1000, steps=0):
    """Cells 0, 1, ..."""
    return [{"cell": cell, "steps": steps} for cell in range(cells)]


EXPERIMENT = Experiment(
    title="Cells that compute", run=run, figure=figure, claims=claims, scales=Scale(settings, seeds=10, seconds=500)
)
