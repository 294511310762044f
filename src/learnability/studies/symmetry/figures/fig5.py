"""Figure 5: parity, n = 20, from the symmetry initialisation and from a random one.

What the paper leaves open and what is chosen: :mod:`learnability.studies.symmetry.runs_fig5_fig6`.
"""

from __future__ import annotations

from learnability.studies.symmetry import runs_fig5_fig6 as comparison

EXPERIMENT = comparison.experiment(
    number=5,
    title="Parity is hard from a random start and easy from a symmetric one",
    target="parity",
    epochs={1: 12_000, 2: 400, 3: 1_200, 4: 35},
    seconds=(2, 160, 480),
)
