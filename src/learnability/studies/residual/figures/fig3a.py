r"""Figure 3(a) of Allen-Zhu & Li: 3resnet, all layers trained, with the base signal weaker and weaker.

The target is H = beta F + 0.3 G(F); the paper finds that learning fails where alpha is about beta or larger. N, which
the paper does not say here, is 500 as in Figure 2(a). See :mod:`learnability.studies.residual.runs` for what is run,
and :mod:`learnability.studies.residual.claims_fig2_fig3` for how grids are chosen from and claims judged. A claim is
made at beta = 1 and at every beta <= alpha; what happens between them (0.5) is shown.

``laptop`` is the published problem with all its epochs, at widths 50 to 500, with a part of the grid: 25 of 72
points. ``paper`` has the whole grid and widths 20 to 2,000; its time is reckoned from times per step.

Found at ``laptop``: as in the paper. beta = 1 is below the line from width 200 on in every seed; beta <= alpha stays
between 2.0 and 2.6. beta = 0.5 is learnt by one seed of three at width 50, and by none at 100 to 500.
"""

from __future__ import annotations

from learnability.studies.residual.claims_fig2_fig3 import experiment
from learnability.studies.residual.runs import BETAS, DECAYS, RATES, WHOLE_DECAYS, WHOLE_RATES, WIDTHS, faint, problem
from learnability.study import Scale

EXPERIMENT = experiment(
    name="fig3a",
    where="Figure 3(a)",
    title="Two-level target with a weaker base signal, all layers trained: 3resnet fails from beta = alpha on",
    trained="all",
    by_beta=True,
    scales={
        "smoke": Scale(
            faint("all", (10, 20), (1.0, 0.2), (0.05, 0.1), (0.002,), problem(100, d=8, test=200, epochs=40)),
            seeds=2,
            seconds=5,
        ),
        "laptop": Scale(faint("all", WIDTHS[1:5], BETAS, RATES["all"], DECAYS, problem(500)), seeds=3, seconds=363),
        "paper": Scale(
            faint("all", WIDTHS, BETAS, WHOLE_RATES["all"], WHOLE_DECAYS, problem(500, test=10_000)),
            seeds=3,
            seconds=4_200,
        ),
    },
)
