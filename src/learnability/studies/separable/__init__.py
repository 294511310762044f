"""SGD on over-parameterised leaky-ReLU networks, on linearly separable data."""

from learnability.evidence.claims import Claims
from learnability.study import Study

__all__ = ["PAPER", "STUDY", "claim"]

STUDY = Study(
    name="separable",
    paper="Brutzkus et al.",
    citation="Alon Brutzkus, Amir Globerson, Eran Malach, Shai Shalev-Shwartz. SGD Learns Over-parameterized "
    "Networks that Provably Generalize on Linearly Separable Data. ICLR 2018. arXiv 1710.10174.",
)
PAPER = STUDY.paper
claim = Claims(STUDY.name, PAPER)
"""An empirical claim of this paper."""
