"""SGD on over-parameterised leaky-ReLU networks, on linearly separable data.

Inputs have norm at most 1 and labels y of -1 or +1, and some w* has y <w*, x> >= 1 on every example: 1 / |w*| is a
margin of a hyperplane through the origin. The network has 2k hidden units and no biases, N(x) = v sum_i sigma(<w_i,
x>) - v sum_i sigma(<u_i, x>), sigma(z) = max(alpha z, z) with 0 < alpha < 1, or 0 for the ReLU. SGD takes one
example at a time on the hinge loss max(1 - y N(x), 0) with step eta: a visit with y N(x) < 1 is a non-zero update,
others change nothing. The first layer is trained from rows of norm at most R, where nothing else is said.
"""

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
