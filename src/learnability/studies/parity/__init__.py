"""Sparse parities on a mixture: gradient descent learns them, no linear method does.

Inputs x are in {-1/sqrt(n), 1/sqrt(n)}^n; the target f_A is the product of the signs of k coordinates A, k odd.
D^(1) is uniform; under D^(2) the coordinates in A are all equal, and the rest is uniform; D_A is their even
mixture. The network is g(x) = sum_i u_i relu6(<w_i, x> + b_i) with 2q units in q pairs of twins, trained by
gradient descent on the hinge loss max(1 - f_A(x) g(x), 0) with the regulariser lambda (|u|^2 + sum |w_i|^2). The
first step has eta = 1 and lambda = 1/2, so that it replaces the weights by minus the gradient.
"""

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
