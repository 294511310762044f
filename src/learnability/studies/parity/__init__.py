"""Sparse parities on a mixture: gradient descent learns them, no linear method does."""

from learnability.evidence.claims import Claims
from learnability.study import Study

__all__ = ["PAPER", "STUDY", "claim"]

STUDY = Study(
    name="parity",
    paper="Daniely & Malach",
    citation="Amit Daniely, Eran Malach. Learning Parities with Neural Networks. NeurIPS 2020. arXiv 2002.07400.",
)
PAPER = STUDY.paper
claim = Claims(STUDY.name, PAPER)
"""An empirical claim of this paper."""
