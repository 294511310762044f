"""The landscape of the hinge loss of Brutzkus et al.: Proposition 1, and Theorems 7 and 8 on good and bad minima.

Proposition 1 stands in :mod:`learnability.studies.separable.theorems.prop1_critical_points`.
Every function takes numbers, and measured values where there are any, and returns guarantees. The weights that
Theorems 7 and 8 construct stand in :mod:`learnability.networks.memorising` and
:mod:`learnability.networks.bad_minima`; what SGD does stands in
:mod:`learnability.studies.separable.theorems.thm2_thm6`.
"""

from __future__ import annotations

from learnability import checks
from learnability.networks.memorising import proof_width, stated_width
from learnability.studies.separable import PAPER
from learnability.studies.separable.theorems.prop1_critical_points import ROUNDING, joined
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["theorem7", "theorem7_overfitting", "theorem8"]


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
    """
    n = checks.integer("n", n, at_least=1)
    d = checks.integer("d", d, at_least=2)
    k = checks.integer("k", k, at_least=1)
    statement = checks.choice("statement", statement, ("stated", "proof", "least"))
    if statement == "proof":
        positive = checks.integer("positive", positive, at_least=0, at_most=n)
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
    """

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
    loss: float | None = None,
    gradient: float | None = None,
    change: float | None = None,
    updates: int | None = None,
    margin: float = 1.0,
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Theorem 8: ReLU networks of any width have local minima with loss at least 1/2 on every separable set.

    The paper says more than 1/2. That is so if some direction has more than half of the points on its negative side,
    as for every odd |S|; but {(x, 1), (-x, -1)} has no local minimum with loss above 1/2: a point with positive loss
    must be off in all units, with loss 1, and then the other one is on in all w_i and must have loss 0.

    Parameters
    ----------
    m : int
        Points, >= 1.
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
        Loss at least ceil(m/2) / m; loss above 1/2 (outside its hypothesis if no such direction is known); gradient
        0; change 0; updates 0.
    """
    m = checks.integer("m", m, at_least=1)
    source = f"{PAPER}, Theorem 8"
    separable = Hypothesis("y <w*, x> >= 1", margin >= 1 - ROUNDING, f"least {margin:.12g}")
    uneven = Hypothesis(
        "some direction has more than half of the points on its negative side",
        m % 2 == 1 or (loss is not None and round(loss * m) * 2 > m),
        f"|S| = {m}" + ("" if loss is None else f", {round(loss * m)} on the negative side of the best found"),
    )

    def least(form: str, where: str, points: int, what: str, *hypotheses: Hypothesis) -> Guarantee:
        identity, said = statement_id("separable/thm8-loss", form, case), joined(what, note)
        return Guarantee(identity, where, Kind.LOWER_BOUND, points / m, loss, hypotheses, said, tolerance=1e-12)

    def zero(name: str, measured: float | None, what: str) -> Guarantee:
        identity = statement_id(f"separable/thm8-{name}", case)
        return Guarantee(identity, source, Kind.EXACT, 0, measured, (separable,), joined(what, note))

    corrected, against = f"{source} (corrected to >= 1/2)", "loss at the local minimum against ceil(m/2) / m"
    return [
        least("", corrected, -(-m // 2), against, separable),
        least("printed", source, m // 2 + 1, "more than 1/2", separable, uneven),
        zero("gradient", gradient, "largest entry of the gradient at the local minimum"),
        zero("flat", change, "largest change of the loss in the ball"),
        zero("sgd", updates, "updates of SGD started at the minimum and in the ball"),
    ]
