"""Figure 5: parity, n = 20, from the symmetry initialisation and from a random one.

What the paper leaves open and what is chosen: :mod:`learnability.experiments.comparison`.
"""

from __future__ import annotations

from learnability.experiments import comparison

EXPERIMENT = comparison.experiment(
    number=5,
    title="Parity is hard from a random start and easy from a symmetric one",
    target="parity",
    epochs={"a": 12_000, "b": 400, "c": 1_200, "d": 35},
    seconds={"smoke": 2, "laptop": 160, "paper": 480},
)
