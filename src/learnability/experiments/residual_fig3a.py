r"""Figure 3(a) of Allen-Zhu & Li: 3resnet, all layers trained, with the base signal weaker and weaker.

The target is H = beta F + 0.3 G(F); the paper finds that learning fails where alpha is about beta or larger. N,
which the paper does not say here, is 500 as in Figure 2(a). See :mod:`learnability.experiments.resnets` for what is
run, and :mod:`learnability.experiments.placings` for how grids are chosen from and claims judged. A claim is made at
beta = 1 and at every beta <= alpha; what happens between them (0.5) is shown.

``laptop`` is the published problem and all its epochs, with a grid of 15 points and widths 50 to 200; ``paper`` has
56 points and widths to 2,000 (its time is reckoned from ``laptop``'s).

Found at ``laptop``: as in the paper. beta = 1 is far below the line at width 200; beta <= alpha stays near 2.
beta = 0.5 is below the line for two seeds of three at width 50, and near 2 at 100 and 200.
"""

from __future__ import annotations

from learnability.experiments import Setting
from learnability.experiments.placings import experiment
from learnability.experiments.resnets import DECAYS, RATES, WHOLE_DECAYS, WHOLE_RATES, cells, problem

BETAS = (1.0, 0.5, 0.3, 0.2, 0.0)
WIDTHS = (20, 50, 100, 200, 500, 1000, 2000)


def _settings(widths: tuple[int, ...], rates: str, decays: str, test: int) -> tuple[Setting, ...]:
    return tuple(
        cell
        for beta in BETAS
        for cell in cells("sgd", "3resnet", "all", widths, rates, decays, **problem(500, test=test, beta=beta))
    )


EXPERIMENT = experiment(
    name="fig3a",
    where="Figure 3(a)",
    title="Two-level target with a weaker base signal, all layers trained: 3resnet fails from beta = alpha on",
    trained="all",
    by_beta=True,
    settings={
        "smoke": tuple(
            cell
            for beta in (1.0, 0.2)
            for cell in cells(
                "sgd", "3resnet", "all", (10, 20), "0.05 0.1", "0.002",
                **problem(100, d=8, test=200, epochs=40, beta=beta),
            )
        ),
        "laptop": _settings((50, 100, 200), RATES, DECAYS, 4000),
        "paper": _settings(WIDTHS, WHOLE_RATES, WHOLE_DECAYS, 10_000),
    },
    seeds={"smoke": 2, "laptop": 3, "paper": 1},
    seconds={"smoke": 5, "laptop": 305, "paper": 10_000},
)  # fmt: skip
