r"""Theorem 3 and Corollary 4 of Daniely & Malach: what the whole run promises, with the constants of the proof.

.. math:: L_{D_A}(g^{(t)}) \le O\left(k^{10}/q + k^8/\sqrt q + q k/\sqrt n + k^2 \sqrt q / T\right)
          \text{ for some } t \le T

The theorem hides the constants, the proof shows most of them. What is left is Lemma 12's separator u* on the
features of the first step: :math:`\|u^*\|_2 \le B k^5 / \sqrt q` and
:math:`\|u^*\|_0 \le \tilde B q / k^{2.5}`. A run that has its own separator in hand gives its own B and B~, and then
the sum below needs no hypothesis on n, k and q at all: it is a bound for that run.

Where the proof is read differently here: with 2q neurons the gradient with respect to u has norm at most
:math:`6 \sqrt{2q}` (printed: :math:`6 \sqrt q`), so 12 stands for :math:`6 \sqrt 2` and 72 for 36; the part
:math:`2 \lambda u` of that gradient is kept; and t runs over 1..T, the iterates that the steps start from, where the
proof sums over 2..T+1 and the theorem says t <= T.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from learnability import checks
from learnability.studies.parity.theorems.first_step import good_share
from learnability.studies.parity.theorems.statement import odd, stated
from learnability.theory.extended import monomial
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "POWERS",
    "SEPARATOR",
    "SPARSITY",
    "Law",
    "Sizes",
    "Terms",
    "corollary4_limit",
    "corollary4_sizes",
    "good_pairs",
    "smallest_sizes",
    "theorem3",
    "theorem3_step",
    "theorem3_terms",
]


SEPARATOR = 0.8
"""B that is enough at k = 7 for the separator of least norm on good neurons; at k = 3 it takes about 3.3 and at k = 5
about 0.7. ``learnability verify parity/lemma12 parity/theorem3`` measure it."""
SPARSITY = 60.0
"""B~ of the same separator at k = 7. Its norm is least as all good neurons share it, and their number is twice a
binomial one (:func:`good_pairs`): 46.6 q / k^2.5 in expectation. Room was left for four standard deviations at q =
1,024, which make it 59.0; at the q of Lemma 12 four of them make it 46.8."""

FORMS = ("safe", "printed")
POWERS = {"safe": 1.0, "printed": 0.5}
"""Of epsilon in Theorem 3's bound at the sizes of Corollary 4."""


class Law(NamedTuple):
    """Of a number of neurons."""

    mean: float
    deviation: float
    """Standard deviation."""


def good_pairs(k: int, q: int) -> Law:
    """How many of q pairs of twins are good: binomial, with Lemma 9's share of good neurons.

    Parameters
    ----------
    k : int
        Size of A, in 1..9999.
    q : int
        Pairs of neurons, >= 1.

    Returns
    -------
    Law
        Mean and standard deviation, in pairs.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    p, q = float(good_share(k)), checks.size("q", q, at_least=1)
    return Law(q * p, math.sqrt(q * p * (1 - p)))


class Terms(NamedTuple):
    """The bound of Theorem 3, term by term."""

    separator: float
    """The regulariser of the separator itself, of order k^10 / q."""
    drift: float
    """Lemma 16: the hidden layer moves under the separator; k^8 / q and k^6 / sqrt q."""
    regret: float
    """||u*||^2 / (2 eta T), of order k^8 / sqrt q."""
    start: float
    """The output layer's start, of order q k / sqrt n."""
    steps: float
    """The squared gradients, of order k^2 sqrt q / T."""

    @property
    def total(self) -> float:
        """The bound: from 1 on, the loss of the zero function, it says nothing."""
        return math.fsum(self)


class Sizes(NamedTuple):
    """A dimension, half of a width and a number of steps: floats, since they soon exceed what an array can index."""

    n: float
    q: float
    T: float


def theorem3_step(*, k: int, q: float, T: float) -> float:
    r"""The step size after the first step, :math:`\eta = k^2 / (T \sqrt q)`: k^2 / sqrt q in all, whatever T is.

    Theorem 3, as its proof in Section 5.2 chooses it.

    Parameters
    ----------
    k : int
        Size of A, odd, >= 1.
    q, T : float
        Pairs of neurons, and steps after the first one, both >= 1.

    Returns
    -------
    float
        A step size.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, q, T = odd(k, least=1), checks.real("q", q, at_least=1.0), checks.real("T", T, at_least=1.0)
    return monomial((k, 2), (T, -1), (q, -0.5))


def theorem3_terms(
    *,
    n: float,
    k: int,
    q: float,
    T: float,
    lam: float | None = None,
    separator: float = SEPARATOR,
    sparsity: float = SPARSITY,
    form: str = "safe",
) -> Terms:
    r"""The terms of Theorem 3's bound, with :math:`\eta = k^2 / (T \sqrt q)`.

    As printed in the proof, with :math:`B' = 4 B \sqrt{\tilde B}`, which its text leaves open (it is what Lemma 16
    needs for :math:`\lambda n / k \le 1` and :math:`k \le \sqrt n`):

    .. math:: \frac{B^2 k^{10}}{2q}, \quad B' \left(\frac{6 k^8}{q} + \frac{k^6}{\sqrt q}\right), \quad
              \frac{B^2 k^8}{2 \sqrt q}, \quad \frac{6 \sqrt 2 q k}{\sqrt n}, \quad \frac{36 k^2 \sqrt q}{T}

    Safe, with :math:`G = 6 + 2 \lambda (6 k^2 / \sqrt q + k / \sqrt n)`, an entry's share of the gradient:

    .. math:: \frac{\lambda B^2 k^{10}}{q}, \quad
              2 B \sqrt{\tilde B} k^{3.75} \left(\frac{6 k^4}{q}
              + \frac{k^2}{\sqrt q} \left(\frac{k}{\sqrt n} + \frac{\lambda n}{k}\right)\right), \quad
              \frac{B^2 k^8}{2 \sqrt q}, \quad \frac{2 G q k}{\sqrt n}, \quad \frac{2 G^2 k^2 \sqrt q}{T}

    Parameters
    ----------
    n, q, T : float
        Dimension >= k, half of the width >= 1, number of steps >= 1. Floats may come: the sizes that make the bound
        small are astronomical.
    k : int
        Odd, >= 1.
    lam : float, optional
        The regulariser's weight after the first step, >= 0; the largest that is allowed, k / n, where none is given.
    separator, sparsity : float
        B >= 0 and B~ >= 0 of Lemma 12. The paper gives none; the defaults :data:`SEPARATOR` and :data:`SPARSITY` were
        measured.
    form : {"safe", "printed"}

    Returns
    -------
    Terms
        Their ``total`` is the bound; 1 or more says nothing.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k = odd(k, least=1)
    n = checks.real("n", n, at_least=float(k))
    q, T = checks.real("q", q, at_least=1.0), checks.real("T", T, at_least=1.0)
    lam = k / n if lam is None else checks.real("lam", lam, at_least=0.0)
    separator = checks.real("separator", separator, at_least=0.0)
    sparsity = checks.real("sparsity", sparsity, at_least=0.0)
    root, regret = math.sqrt(q), monomial((separator, 2), (k, 8), (4 * q, -0.5))
    spread = separator * math.sqrt(sparsity)
    if checks.choice("form", form, FORMS) == "printed":
        return Terms(
            monomial((separator, 2), (k, 10), (2 * q, -1)),
            24 * monomial((spread, 1), (k, 8), (q, -1)) + 4 * monomial((spread, 1), (k, 6), (root, -1)),
            regret,
            6 * math.sqrt(2) * q * k / math.sqrt(n),
            36 * monomial((k, 2), (root, 1), (T, -1)),
        )
    entry = 6 + 12 * monomial((lam, 1), (k, 2), (root, -1)) + 2 * lam * (k / math.sqrt(n))
    return Terms(
        monomial((lam, 1), (separator, 2), (k, 10), (q, -1)),
        12 * monomial((spread, 1), (k, 7.75), (q, -1))
        + 2 * monomial((spread, 1), (k, 6.75), (root, -1), (n, -0.5))
        + 2 * monomial((spread, 1), (k, 4.75), (root, -1), (lam, 1), (n, 1)),
        regret,
        2 * entry * q * k / math.sqrt(n),
        2 * monomial((entry, 2), (k, 2), (root, 1), (T, -1)) if entry < math.inf else math.inf,
    )


def theorem3(
    *,
    n: float,
    k: int,
    q: float,
    T: float,
    eta: float,
    lam: float = 0.0,
    delta: float = 0.1,
    loss: float | None = None,
    separator: float = SEPARATOR,
    sparsity: float = SPARSITY,
    width_constant: float = 1.0,
    support_constant: float = 1.0,
    form: str = "safe",
    zero_start: bool = True,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 3: gradient descent from the safe start learns the parity: some t <= T has a small loss on D_A.

    With probability at least 1 - delta over the start the least loss over t <= T is at most the sum of
    :func:`theorem3_terms`: of orders k^10 / q, k^8 / sqrt(q), q k / sqrt(n) and k^2 sqrt(q) / T.

    Parameters
    ----------
    n, k, q, T, lam, separator, sparsity, form
        As in :func:`theorem3_terms`.
    eta : float
        The step size that was used after the first step; the theorem's is :func:`theorem3_step`.
    delta : float
        Confidence over the draw of the initial network, in (0, 1).
    loss : float, optional
        Measured: the least of the losses on D_A after 1..T steps, >= 0.
    width_constant, support_constant : float
        C in q >= C k^7 log(k / delta) and c in k <= c n^(1/10), > 0. The paper leaves them open; 1 is this project's.
    zero_start : bool
        Whether the network was 0 at the start (the safe form of the initialisation).
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        Outside its hypotheses also where the bound is 1 or more: the zero function has loss 1.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Hypotheses
    ----------
    q, the number of pairs of units, is large enough for Lemma 12's separator; k is small against n, so that the
    first step sees little besides A; the step after the first is k^2 / (T sqrt(q)), so small that the hidden layer
    keeps the features. Constants that the paper leaves open are 1 here and say so.

    Errata
    ------
    The proof has 6 sqrt(q) for the gradient of 2q units, which is 6 sqrt(2q), and drops the regulariser's part:
    constants only. The updates that the paper displays leave out the biases, whose movement Lemmas 9, 11 and 15
    bound: they are trained here, without decay. The start as printed (twins with -w, -b and -u) is not 0, and
    then the first step is not the correlation with the label; with w and b copied and u negated it is: that start
    is meant here by "safe".
    """
    terms = theorem3_terms(n=n, k=k, q=q, T=T, lam=lam, separator=separator, sparsity=sparsity, form=form)
    bound = terms.total
    delta = checks.real("delta", delta, above=0.0, below=1)
    eta = checks.real("eta", eta, above=0.0)
    if loss is not None:
        loss = checks.real("loss", loss, at_least=0.0)
    wanted = theorem3_step(k=k, q=q, T=T)
    most = checks.real("support_constant", support_constant, above=0.0) * n**0.1
    least = checks.real("width_constant", width_constant, above=0.0) * k**7 * math.log(k / delta)
    hypotheses = (
        Hypothesis("the network is 0 at the start", zero_start),
        Hypothesis("k >= 7", k >= 7, f"k = {k}"),
        Hypothesis("k <= c n^(1/10)", k <= most, f"{k} against {most:.4g}, c = {support_constant:g}"),
        Hypothesis("q >= C k^7 log(k/delta)", q >= least, f"{q} against {least:.4g}, C = {width_constant:g}"),
        Hypothesis(
            "eta = k^2 / (T sqrt q)", math.isclose(eta, wanted, rel_tol=1e-9), f"{eta:.6g} against {wanted:.6g}"
        ),
        Hypothesis("lambda <= k/n", lam <= k / n * (1 + 1e-9), f"{lam:.6g} against {k / n:.6g}"),
        Hypothesis("the bound is below 1", bound < 1, f"{bound:.4g}"),
    )
    parts = ", ".join(f"{name} {value:.3g}" for name, value in zip(Terms._fields, terms, strict=True))
    vacuous = "vacuous: the zero function has loss 1" if bound >= 1 else ""
    text = f"B = {separator:.3g}, B~ = {sparsity:.3g}: {parts}"
    where = "Theorem 3" if form == "printed" else "Theorem 3 (constants: this project)"
    return stated(
        "theorem3", (form, case), where, Kind.UPPER_BOUND, bound, loss, vacuous, text, note, hypotheses=hypotheses
    )


def corollary4_sizes(k: int, *, epsilon: float, delta: float, form: str = "safe", scale: float = 1.0) -> Sizes:
    r"""The orders of Corollary 4, each times ``scale``.

    Printed: :math:`q = \epsilon^{-1} k^{16} \ell`, :math:`T = \epsilon^{-2} k^{10} \ell`,
    :math:`n = \epsilon^{-4} k^{34} \ell` with :math:`\ell = \log(k / \delta)`. With them
    :math:`k^8 / \sqrt q = \sqrt{\epsilon / \ell}`, which is not O(epsilon), and :math:`q k / \sqrt n` is
    :math:`\epsilon \sqrt \ell`. Safe: :math:`q = \epsilon^{-2} k^{16} \ell`,
    :math:`T = \epsilon^{-2} k^{10} \sqrt \ell`, :math:`n = \epsilon^{-6} k^{34} \ell^2`.

    Parameters
    ----------
    k : int
        Odd, >= 3.
    epsilon, delta : float
        Loss and confidence, in (0, 1/2).
    form : {"safe", "printed"}
    scale : float
        Stands for the constants that the corollary hides, > 0.

    Returns
    -------
    Sizes

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, epsilon, ell = _corollary(k, epsilon, delta)
    scale = checks.real("scale", scale, above=0.0)
    if checks.choice("form", form, FORMS) == "printed":
        powers: tuple[tuple[float, float, float], ...] = ((-4, 34, 1), (-1, 16, 1), (-2, 10, 1))
    else:
        powers = ((-6, 34, 2), (-2, 16, 1), (-2, 10, 0.5))
    return Sizes(*(monomial((scale, 1), (epsilon, a), (k, b), (ell, c)) for a, b, c in powers))


def corollary4_limit(
    k: int, *, delta: float, form: str = "safe", separator: float = SEPARATOR, sparsity: float = SPARSITY
) -> float:
    r"""The limit of Theorem 3's safe bound over epsilon (printed: its root) at the sizes of Corollary 4.

    With :math:`\lambda = k / n` the drift's :math:`\lambda n / k` is 1, and with :math:`\ell = \log(k / \delta)`

    .. math:: R = \frac{B^2 / 2 + 2 B \sqrt{\tilde B} k^{-2.25}}{\sqrt \ell}

    is what drift and regret give over the root of epsilon at the printed sizes, where the rest is of lower order. At
    the safe sizes it is over epsilon, and start and steps add 12 and 72.

    Parameters
    ----------
    k, delta, form
        As in :func:`corollary4_sizes`.
    separator, sparsity
        As in :func:`theorem3_terms`.

    Returns
    -------
    float
        Times epsilon (printed: its root) it is the bound of a loss, which says nothing from 1 on.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, _, ell = _corollary(k, 0.1, delta)
    separator = checks.real("separator", separator, at_least=0.0)
    spread = separator * math.sqrt(checks.real("sparsity", sparsity, at_least=0.0))
    moved: float = (separator * separator / 2 + 2 * monomial((spread, 1), (k, -2.25))) / math.sqrt(ell)
    return moved if checks.choice("form", form, FORMS) == "printed" else 84 + moved


def smallest_sizes(
    k: int,
    *,
    epsilon: float,
    delta: float,
    separator: float = SEPARATOR,
    sparsity: float = SPARSITY,
    width_constant: float = 1.0,
    support_constant: float = 1.0,
) -> Sizes:
    r"""Sizes at which the safe bound is at most epsilon and Theorem 3's hypotheses on n and q hold.

    The terms in q get half of epsilon (an equation quadratic in :math:`1 / \sqrt q`), those of the start and of the
    steps a quarter each; lambda is at most k / n. What comes out shows how far the theorem is from any machine.

    Parameters
    ----------
    k : int
        Odd, >= 7 for the theorem (smaller k are computed, too).
    epsilon, delta
        As in :func:`corollary4_sizes`.
    separator, sparsity, width_constant, support_constant
        As in :func:`theorem3`.

    Returns
    -------
    Sizes

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    k, epsilon, ell = _corollary(k, epsilon, delta)
    separator = checks.real("separator", separator, at_least=0.0)
    spread = separator * math.sqrt(checks.real("sparsity", sparsity, at_least=0.0))
    least_q = monomial((checks.real("width_constant", width_constant, above=0.0), 1), (k, 7), (ell, 1))
    least_n = monomial((k, 10), (checks.real("support_constant", support_constant, above=0.0), -10))
    # lambda <= k/n <= 1/k^9 and k/sqrt n <= 1: 1/q and 1/sqrt q get these factors at most
    squared = monomial((separator, 2), (k, 10)) + 12 * monomial((spread, 1), (k, 7.75))
    simple = 4 * monomial((spread, 1), (k, 5.75)) + monomial((separator, 2), (k, 8)) / 2
    root = (simple + math.hypot(simple, math.sqrt(2 * epsilon) * math.sqrt(squared))) / epsilon
    q = max(1.0, least_q, root * root)
    if q == math.inf:
        return Sizes(math.inf, math.inf, math.inf)
    share = min(1.0, k / least_n) if least_n > 0 else 1.0  # at most 1 here, and 0 only below float64
    entry = 6 + 2 * share * (6 * monomial((k, 2), (q, -0.5)) + 1)
    n = max(monomial((k, 2)), least_n, monomial((8 * entry, 2), (q, 2), (k, 2), (epsilon, -2)))
    T = max(1.0, 8 * monomial((entry, 2), (k, 2), (q, 0.5), (epsilon, -1)))
    return Sizes(n, q, T)


def _corollary(k: int, epsilon: float, delta: float) -> tuple[int, float, float]:
    """k, epsilon and log(k / delta)."""
    epsilon = checks.real("epsilon", epsilon, above=0.0, below=0.5)
    delta = checks.real("delta", delta, above=0.0, below=0.5)
    return odd(k, least=1), epsilon, math.log(k) - math.log(delta)
