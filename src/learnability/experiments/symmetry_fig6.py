"""Figure 6: a random symmetric function, n = 20, from the symmetry initialisation and a random one.

What the paper leaves open and what is chosen: :mod:`learnability.experiments.comparison`.
"""

from __future__ import annotations

from learnability.experiments import comparison

EXPERIMENT = comparison.experiment(
    number=6,
    title="A random symmetric function from a random and from a symmetric start",
    target="random",
    epochs={"a": 450, "b": 180, "c": 250, "d": 25},
    seconds={"smoke": 2, "laptop": 100, "paper": 300},
)
