"""Figure 5: parity, n = 20, from the symmetry initialisation and from a random one.

What the paper leaves open and what is chosen: :mod:`learnability.studies.symmetry.runs_fig5_fig6`.
"""

from __future__ import annotations

from learnability.studies.symmetry import runs_fig5_fig6 as comparison

EXPERIMENT = comparison.experiment(
    number=5,
    title="Parity is hard from a random start and easy from a symmetric one",
    target="parity",
    epochs={"a": 12_000, "b": 400, "c": 1_200, "d": 35},
    seconds=(2, 160, 480),
)
