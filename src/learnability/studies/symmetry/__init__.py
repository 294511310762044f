"""On symmetry and initialization: one hidden layer, batch-one SGD, symmetric Boolean functions.

Inputs x are in {0, 1}^n and |x| is their number of ones. A symmetric function depends on |x| alone: f(x) = a_|x|
with labels a_0, ..., a_n of -1 and +1, 2^(n+1) functions, parity among them; f_A is +1 exactly on the weights in A.
The network is f(x) = M . act(W x + B) + b with M = 0 and b = 0 at the start. In the symmetry initialisation all
entries of a row of W are equal, so that the hidden layer maps the cube to n + 1 points v, one for each weight. SGD
takes one example at a time: with step h and confidence beta it updates where y f(x) <= beta. The margin gamma =
marg(Y) of labelled points is the largest that a hyperplane separates them with.
"""

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
