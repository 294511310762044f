"""What ResNets of three layers learn and kernels do not: F + alpha G(F)."""

from learnability.evidence.claims import Claims
from learnability.study import Study

__all__ = ["PAPER", "PROJECT", "STUDY", "claim", "project"]

STUDY = Study(
    name="residual",
    paper="Allen-Zhu & Li",
    citation="Zeyuan Allen-Zhu, Yuanzhi Li. What Can ResNet Learn Efficiently, Going Beyond Kernels? NeurIPS 2019. "
    "arXiv 1905.10337.",
)
PAPER = STUDY.paper
PROJECT = f"this project, on {PAPER}"
claim = Claims(STUDY.name, PAPER)
"""An empirical claim of this paper."""
project = Claims(STUDY.name, PROJECT)
"""A claim of ours on this paper."""
