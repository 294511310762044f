r"""Figure 2(b) of Allen-Zhu & Li: N = 1,000, hidden layers trained, against every kernel.

Three-layer ResNets learn both levels of H = F + 0.3 G(F) from 1,000 examples; the paper finds no other method below k
alpha^2 = 1.35. See :mod:`learnability.studies.residual.runs` for what is run, and
:mod:`learnability.studies.residual.claims_fig2_fig3` for how grids are chosen from and claims judged. Added here: the
validation sample, exact solutions of the kernel methods, kernels in closed form.

``laptop`` is the published problem with all its epochs, at widths to 500, six seeds, with a part of the grid: 25 of
72 points (3layer to width 200; ``last`` and ``ntk`` solved, by SGD too in ``residual/fig2a``). ``paper`` has the
whole grid and widths to 2,000; its time is reckoned from times per step. No successive halving: a
grid is trained at once.
"""

from __future__ import annotations

from learnability.studies.residual.claims_fig2_fig3 import experiment
from learnability.studies.residual.runs import DECAYS, RATES, WHOLE_DECAYS, WHOLE_RATES, WIDTHS, opponents, problem
from learnability.study import Scale

EXPERIMENT = experiment(
    name="fig2b",
    where="Figure 2(b)",
    title="Two-level target, N = 1,000, hidden layers trained: 3resnet below the line, kernels above",
    trained="hidden",
    scales={
        "smoke": Scale(
            opponents(
                "hidden",
                (10, 20),
                (10,),
                (10,),
                (0.05, 0.1),
                (0.002, 0.005),
                problem(100, d=8, test=200, epochs=40),
            ),
            seeds=2,
            seconds=15,
        ),
        "laptop": Scale(
            opponents("hidden", WIDTHS[:5], WIDTHS[:4], (), RATES["hidden"], DECAYS, problem(1000)),
            seeds=6,
            seconds=2_060,
        ),
        "paper": Scale(
            opponents(
                "hidden",
                WIDTHS,
                WIDTHS,
                WIDTHS[:4],
                WHOLE_RATES["hidden"],
                WHOLE_DECAYS,
                problem(1000, test=10_000),
            ),
            seeds=6,
            seconds=120_000,
        ),
    },
)
