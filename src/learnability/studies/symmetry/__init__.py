"""On symmetry and initialization: one hidden layer, batch-one SGD, symmetric Boolean functions."""

from learnability.evidence.claims import Claims
from learnability.study import Study

__all__ = ["PAPER", "STUDY", "claim"]

STUDY = Study(
    name="symmetry",
    paper="Nachum & Yehudayoff",
    citation="Ido Nachum, Amir Yehudayoff. On Symmetry and Initialization for Neural Networks. arXiv 1907.00560, "
    "2019 (ICLR 2020 submission).",
)
PAPER = STUDY.paper
claim = Claims(STUDY.name, PAPER)
"""An empirical claim of this paper."""
