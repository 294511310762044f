"""Figure 6: a random symmetric function, n = 20, from the symmetry initialisation and a random one.

What the paper leaves open and what is chosen: :mod:`learnability.studies.symmetry.runs_fig5_fig6`.
"""

from __future__ import annotations

from learnability.studies.symmetry import runs_fig5_fig6 as comparison

EXPERIMENT = comparison.experiment(
    number=6,
    title="A random symmetric function from a random and from a symmetric start",
    target="random",
    epochs={1: 450, 2: 180, 3: 250, 4: 25},
    seconds=(2, 100, 300),
)
