"""What ResNets of three layers learn and kernels do not: F + alpha G(F).

The target H(x) = F(x) + alpha G(F(x)) is a simple base signal and a small composite one in k outputs, both sums of
p_F or p_G smooth functions of one projection each, whose complexities C_s and C_eps are sums over their Taylor
coefficients. The network is out(x) = out_1 + A relu((V0 + V) (out_1, 1)) with the bottleneck out_1 = A relu((W0 +
W) (x, 1)) in k units. A (entries of variance 1/m, m the width), W0 (sigma_w^2) and V0 (sigma_v^2 / m) stay as they
were drawn; W and V are trained from 0 by SGD on fresh samples and are meant to stay within tau_w and tau_v. D_W and
D_V,W say which units are on. On the hard instance x is in {-1, +1}^d and output i of the target of a set S of k
coordinates is x_i + alpha times the product chi_S of the coordinates in S.
"""

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
