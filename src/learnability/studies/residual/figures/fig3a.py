r"""Figure 3(a) of Allen-Zhu & Li: 3resnet, all layers trained, with the base signal weaker and weaker.

The target is H = beta F + 0.3 G(F); the paper finds that G is learnt where alpha is about beta or smaller, and that
learning it is practically impossible where alpha is about beta or larger. N, which the paper does not say here,
decides what is seen: its axis goes down to an error of 1e-4, which takes 1,000 examples. Beside it stands N = 500,
Figure 2(a)'s, which is too small for any beta < 1. See :mod:`learnability.studies.residual.runs` for what is run, and
:mod:`learnability.studies.residual.claims_fig2_fig3` for how grids are chosen from and claims judged: "learns" where
beta > alpha, "fails" where beta < alpha, on two sides of k alpha^2 / 2; beta = alpha is the boundary, shown and not
judged.

``laptop`` is the published problem with all its epochs, at widths 50 to 500, with a part of the grid: 25 of its 72
points, and a decay between two of them. ``paper`` has the whole grid and widths 20 to 2,000; its time is reckoned
from times per step.

Found at ``laptop``: with N = 1,000 as in the paper. beta = 1 and 0.5 are learnt to 0.003 and less at width 500, beta
= 0.2 and 0 stay at 1.9 to 2.5; beta = alpha is learnt from width 100 on. With N = 500 beta = 1 is learnt (0.06), and
0.5 by one seed of three at width 50, by none at larger ones.
"""

from __future__ import annotations

from learnability.studies.residual.claims_fig2_fig3 import experiment
from learnability.studies.residual.runs import BETAS, RATES, WHOLE_DECAYS, WHOLE_RATES, WIDTHS, faint, problem
from learnability.study import Scale

SIZES = (1000, 500)
DECAYS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01)
"""Of ``laptop``."""

EXPERIMENT = experiment(
    name="fig3a",
    where="Figure 3(a)",
    title="Two-level target with a weaker base signal, all layers trained: 3resnet fails where beta < alpha",
    trained="all",
    by_beta=True,
    scales={
        "smoke": Scale(
            faint("all", (10, 20), (1.0, 0.2), (0.05, 0.1), (0.002,), (100, 60), problem(d=8, test=200, epochs=40)),
            seeds=2,
            seconds=5,
        ),
        "laptop": Scale(
            faint("all", WIDTHS[1:5], BETAS, RATES["all"], DECAYS, SIZES, problem()), seeds=3, seconds=1_950
        ),
        "paper": Scale(
            faint("all", WIDTHS, BETAS, WHOLE_RATES["all"], WHOLE_DECAYS, SIZES, problem(test=10_000)),
            seeds=3,
            seconds=12_600,
        ),
    },
)
