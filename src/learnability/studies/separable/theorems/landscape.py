"""The landscape of the hinge loss of Brutzkus et al.: Proposition 1, and Theorems 7 and 8 on good and bad minima.

Proposition 1 stands in :mod:`learnability.studies.separable.theorems.prop1_critical_points`.
Every function takes numbers, and measured values where there are any, and returns guarantees. The weights that
Theorems 7 and 8 construct stand in :mod:`learnability.networks.memorising` and
:mod:`learnability.networks.bad_minima`; what SGD does stands in
:mod:`learnability.studies.separable.theorems.thm2_thm6`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.memorising import proof_width, stated_width
from learnability.studies.separable import PAPER
from learnability.studies.separable.theorems.prop1_critical_points import ROUNDING
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["symmetric_directions", "theorem7", "theorem7_overfitting", "theorem8"]


def theorem7(
    *,
    n: int,
    d: int,
    k: int,
    statement: str = "stated",
    positive: int | None = None,
    residual: float | None = None,
    tolerance: float = 1e-6,
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Theorem 7: for almost every X some weights have N(x_i) = y_i, from a certain width on.

    Whatever the labels: so there are global minima with any error on other points, and that SGD finds a good one is
    no matter of the loss alone.

    Parameters
    ----------
    n, d : int
        Points, >= 1, and dimensions, >= 2: the rank of X where that is smaller than the number of columns.
    k : int
        Units of each sign.
    statement : {"stated", "proof", "least"}
        The width: the stated k >= 2 ceil(n / (2d-2)); the one that the paper's proof takes, k >= 2 (ceil(n_+ /
        (d-1)) + ceil(n_- / (d-1))); or k >= ceil(n / d), which is enough (ours:
        :func:`learnability.networks.gadgets.pencil`) and at most the stated one, so that Theorem 7 is true as stated.
    positive : int, optional
        n_+, needed for ``"proof"``.
    residual : float, optional
        Measured: max |N(x_i) - y_i| of constructed weights.
    tolerance : float
        Room for rounding in float64; the construction is exact in exact arithmetic.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Hypotheses
    ----------
    Points in general position, which almost every X is, and a width k from n and d on: stated is k >= 2 ceil(n /
    (2d-2)), the proof takes about twice as much, and k >= ceil(n / d) is enough.

    Errata
    ------
    The proof as given needs about twice the stated width. The statement is true all the same, and already at k =
    ceil(n / d).
    """
    checks.measurements(residual=residual)
    n = checks.size("n", n, at_least=1)
    d = checks.size("d", d, at_least=2)
    k = checks.size("k", k, at_least=1)
    statement = checks.choice("statement", statement, ("stated", "proof", "least"))
    if statement == "proof":
        positive = checks.size("positive", positive, at_least=0, at_most=n)
        least, text = proof_width(positive, n - positive, d), "k >= 2 (ceil(n_+ / (d-1)) + ceil(n_- / (d-1)))"
        source = f"{PAPER}, Theorem 7, proof"
    elif statement == "stated":
        least, text, source = stated_width(n, d), "k >= 2 ceil(n / (2d-2))", f"{PAPER}, Theorem 7"
    else:
        least, text, source = -(-n // d), "k >= ceil(n / d)", f"this project, on {PAPER}, Theorem 7"
    return Guarantee(
        statement_id("separable/thm7", statement, case),
        source,
        Kind.EXACT,
        0,
        residual,
        (Hypothesis(text, k >= least, f"{k} against {least} (n = {n}, d = {d})"),),
        note=joined("max |N(x_i) - y_i|", note),
        tolerance=checks.real("tolerance", tolerance, at_least=0.0),
    )


def theorem7_overfitting(
    *,
    hinge: float | None = None,
    test_error: float | None = None,
    sgd_hinge: float | None = None,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """What Theorem 7 is for: a global minimum that errs on every test point, beside the minimum that SGD finds.

    Parameters
    ----------
    hinge, test_error : float, optional
        Measured: hinge loss on the training points, and 0-1 error on the test points, of weights that memorise the
        training labels and the flipped test labels together.
    sgd_hinge : float, optional
        Measured: hinge loss of SGD's network after training.
    case, note : str
        As in :func:`theorem7`.

    Returns
    -------
    list of Guarantee
        Hinge loss 0 and test error 1 of the bad minimum, hinge loss 0 of SGD's.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    """
    checks.measurements(hinge=hinge, test_error=test_error, sgd_hinge=sgd_hinge)

    def part(name: str, where: str, bound: float, measured: float | None, what: str) -> Guarantee:
        identity, source = statement_id(f"separable/thm7-{name}", case), f"{PAPER}, {where}"
        return Guarantee(identity, source, Kind.EXACT, bound, measured, note=joined(what, note))

    remark, flipped = "Theorem 7 (remark after it)", "weights that also memorise flipped test labels"
    return [
        part("global-minimum", remark, 0, hinge, f"hinge loss on the training points of {flipped}"),
        part("test-error", remark, 1, test_error, "test error of that global minimum"),
        part("sgd-minimum", "Theorem 2", 0, sgd_hinge, "hinge loss on the same training points where SGD ends"),
    ]


def theorem8(
    *,
    m: int,
    symmetric: bool = False,
    loss: float | None = None,
    gradient: float | None = None,
    change: float | None = None,
    updates: int | None = None,
    margin: float = 1.0,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 8: ReLU networks of any width have local minima with loss above 1/2 on every separable set but some.

    On every one but symmetric ones: the construction needs a direction with more than half of the points on its
    negative side, and there is one unless the points' directions lie symmetrically about the origin, as many
    along x as along -x for every x: if #{<w, x> < 0} = |S| / 2 for almost every w, then the function w -> sum_S
    sign(<w, x>) is zero, and where w crosses the hyperplane orthogonal to one direction it jumps by twice the
    difference of the two numbers. On such a set the loss is 1/2, and {(x, 1), (-x, -1)} has no local minimum with
    a larger one: a point with positive loss must be off in all units, with loss 1, and then the other one is on
    in all w_i and must have loss 0.

    Parameters
    ----------
    m : int
        Points, >= 1.
    symmetric : bool
        Whether their directions lie symmetrically about the origin (:func:`symmetric_directions`); then m is even.
    loss : float, optional
        Measured: L_S at the constructed weights, a multiple of 1/m.
    gradient : float, optional
        Measured: largest entry of the gradient there.
    change : float, optional
        Measured: largest |L_S(W') - L_S(W)| over points W' of the ball that is to be flat.
    updates : int, optional
        Measured: non-zero updates, of SGD started at W and in the ball.
    margin : float
        min y <w*, x> of the w* used, >= 1 by hypothesis.
    case, note : str
        As in :func:`theorem7`.

    Returns
    -------
    list of Guarantee
        Loss at least (floor(m/2) + 1) / m, of a symmetric set exactly 1/2; gradient 0; change 0; updates 0.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Errata
    ------
    The theorem says on every separable set. Sets that lie symmetrically about the origin are the exception: there the
    construction's loss is 1/2 and no more.
    """
    checks.counts(updates=updates)
    checks.measurements(loss=loss, gradient=gradient, change=change)
    m = checks.size("m", m, at_least=1)
    if symmetric and m % 2:
        raise RequestError(f"m must be even where the set is symmetric, got {m}")
    source = f"{PAPER}, Theorem 8"
    margin = checks.real("margin", margin)
    separable = Hypothesis("y <w*, x> >= 1", margin >= 1 - ROUNDING, f"least {margin:.12g}")

    def zero(name: str, measured: float | None, what: str) -> Guarantee:
        identity = statement_id(f"separable/thm8-{name}", case)
        return Guarantee(identity, source, Kind.EXACT, 0, measured, (separable,), joined(what, note))

    points, kind = (m // 2, Kind.EXACT) if symmetric else (m // 2 + 1, Kind.LOWER_BOUND)
    said = joined("exactly 1/2: the set is symmetric" if symmetric else "more than half of the points", note)
    least = Guarantee(
        statement_id("separable/thm8-loss", case), f"{source} (corrected for symmetric sets)", kind, points / m, loss,
        (separable,), said, tolerance=1e-12,
    )  # fmt: skip
    return [
        least,
        zero("gradient", gradient, "largest entry of the gradient at the local minimum"),
        zero("flat", change, "largest change of the loss in the ball"),
        zero("sgd", updates, "updates of SGD started at the minimum and in the ball"),
    ]


def symmetric_directions(X: ArrayLike) -> bool:
    """Whether as many points (m, d) lie along x as along -x, for every x; directions agree to nine digits.

    The exception to Theorem 8 (this project).

    Parameters
    ----------
    X : array (m, d)
        Points, one a row; those at the origin are left out.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If X is no matrix of finite numbers.
    """
    X = checks.matrix("X", X)
    norms = np.linalg.norm(X, axis=1)
    units = np.round(X[norms > 0] / norms[norms > 0, None], 9) + 0.0
    along = Counter(map(tuple, units.tolist()))
    opposite = Counter(map(tuple, (0.0 - units).tolist()))
    return along == opposite
