r"""Figure 2(a) of Allen-Zhu & Li: N = 500, all layers trained, against every kernel.

Three-layer ResNets learn both levels of H = F + 0.3 G(F) from 500 examples; the paper finds no other method below
k alpha^2 = 1.35. See :mod:`learnability.experiments.resnets` for what is run, and
:mod:`learnability.experiments.placings` for how grids are chosen from and claims judged. Added here: the validation
sample, exact solutions of the kernel methods, kernels in closed form.

``laptop`` is the published problem with all its epochs, at widths to 1,000, with a part of the grid: 25 of 56 points
(3layer to width 200; ``last`` and ``ntk`` by SGD, a check of their exact solutions, at 50). ``paper`` has the whole
grid and widths to 2,000; its time is reckoned from ``laptop``'s. No successive halving: a grid is trained at once.

FOUND
"""

from __future__ import annotations

from learnability.experiments.placings import experiment
from learnability.experiments.resnets import (
    DECAYS,
    RATES,
    WHOLE_DECAYS,
    WHOLE_RATES,
    WIDTHS,
    opponents,
    problem,
)

EXPERIMENT = experiment(
    name="fig2a",
    where="Figure 2(a)",
    title="Two-level target, N = 500, all layers trained: 3resnet below the line, kernels above",
    trained="all",
    settings={
        "smoke": opponents(
            "all", (10, 20), (10,), (10,), "0.05 0.1", "0.002 0.005", **problem(100, d=8, test=200, epochs=40)
        ),
        "laptop": opponents("all", WIDTHS[:6], WIDTHS[:4], WIDTHS[1:2], RATES["all"], DECAYS, **problem(500)),
        "paper": opponents(
            "all", WIDTHS, WIDTHS, WIDTHS[:4], WHOLE_RATES["all"], WHOLE_DECAYS, **problem(500, test=10_000)
        ),
    },
    seeds={"smoke": 2, "laptop": 3, "paper": 1},
    seconds={"smoke": 15, "laptop": 250, "paper": 30_000},
)
