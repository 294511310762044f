"""What ResNets of three layers learn and kernels do not: F + alpha G(F)."""

from learnability.evidence.claims import Claims
from learnability.study import Study

__all__ = ["PAPER", "STUDY", "claim"]

STUDY = Study(
    name="residual",
    paper="Allen-Zhu & Li",
    citation="Zeyuan Allen-Zhu, Yuanzhi Li. What Can ResNet Learn Efficiently, Going Beyond Kernels? NeurIPS 2019. "
    "arXiv 1905.10337.",
)
PAPER = STUDY.paper
claim = Claims(STUDY.name, PAPER)
"""An empirical claim of this paper."""
