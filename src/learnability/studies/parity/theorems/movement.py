r"""How far gradient descent moves the weights after the first step: Lemmas 14 and 15 of Daniely & Malach.

t counts steps, the first one included: after it t = 1. All of it is for :math:`\eta_1 = 1, \lambda_1 = 1/2` and then
constant :math:`\eta, \lambda \in [0, 1/2]`, from a start at which the network is 0 (the safe form of the
initialisation): only then is the first step the correlation with the label, on which Lemma 14 rests. ``case`` is put
into a guarantee's id in brackets, ``note`` into its note.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.parity import CAP, ParityNet
from learnability.studies.parity.theorems.regret import FORMS, ROUNDING, nonnegative
from learnability.studies.parity.theorems.statement import in_form, odd_parity, stated
from learnability.theory.extended import room
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind

__all__ = [
    "bias_movement_bound",
    "hidden_movement_bound",
    "lemma14",
    "lemma14_needs_zero_start",
    "lemma15",
    "lemma15_by_steps",
    "output_bound",
]


def lemma14(
    n: int, k: int, *, largest: float | None = None, zero_start: bool = True, case: str = "", note: str = ""
) -> Guarantee:
    r"""Lemma 14: after the first step every output weight is at most :math:`k / \sqrt n` in absolute value.

    For a start at 0, :math:`u^{(1)} = E[y \sigma(z)]`; y has mean 0 given the coordinates outside A, and the k
    coordinates in A move z by at most :math:`k / \sqrt n`. The mean is 0 on each part of the mixture alone, as k is
    odd: with an even k, y = 1 on the second.

    Parameters
    ----------
    n, k : int
        Dimension and size of A, k odd, 1 <= k <= n.
    largest : float, optional
        Measured: the largest absolute output weight after the step.
    zero_start : bool
        Whether the network was 0 at the start. As printed, the initialisation's network is not.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The start as printed (twins with -w, -b and -u) is not a network that is 0, and from it the lemma fails; with w
    and b copied and u negated it is true.
    """
    n, k = odd_parity(n, k, least=1)
    if largest is not None:
        largest = checks.real("largest", largest, at_least=0.0)
    bound, needed = k / math.sqrt(n), [_zero_start(zero_start)]
    empty = f"vacuous: no mean of a feature is above {CAP:g}" if bound >= CAP else ""
    room = ROUNDING * bound
    return stated(
        "lemma14", [case], "Lemma 14", Kind.UPPER_BOUND, bound, largest, empty, note, hypotheses=needed,
        tolerance=room,
    )  # fmt: skip


def lemma14_needs_zero_start(
    n: int, k: int, *, largest: float | None = None, case: str = "", note: str = ""
) -> Guarantee:
    """That Lemma 14 is about a start at 0: from the start as printed some output weight is larger.

    Parameters
    ----------
    n, k
        As in :func:`lemma14`.
    largest : float, optional
        Measured: the largest absolute output weight after the step from the printed start, or less.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    checks.measurements(largest=largest)
    n, k = odd_parity(n, k, least=1)
    where, text = "Lemma 14 (from the start as printed it fails: this project)", "largest output weight"
    bound = k / math.sqrt(n)
    return stated("lemma14-needs-zero-start", [case], where, Kind.LOWER_BOUND, bound, largest, text, note)


@np.errstate(over="ignore")
def output_bound(t: ArrayLike, *, n: int, k: int, eta: float, form: str = "printed") -> FloatArray:
    r"""Lemma 15: :math:`|u_i^{(t)}| \le 6 \eta t + k / \sqrt n`; sharp: t - 1 for t, the number of steps since.

    Parameters
    ----------
    t : array (r,)
        Numbers of steps, integers >= 1, the first one counted.
    n, k : int
        Dimension and size of A, k odd, 1 <= k <= n: Lemma 14, whose bound starts the induction, needs it.
    eta : float
        Step size after the first step, >= 0; the lemma is for eta <= 1/2.
    form : {"printed", "sharp"}

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    t, n, k, eta = _schedule(t, n, k, eta)
    steps = t if checks.choice("form", form, FORMS) == "printed" else t - 1
    return 6 * eta * steps + k / math.sqrt(n)


@np.errstate(over="ignore")
def bias_movement_bound(t: ArrayLike, *, n: int, k: int, eta: float, form: str = "printed") -> FloatArray:
    r"""Lemma 15: :math:`|b_i^{(t)} - b_i^{(1)}| \le 6 \eta^2 t^2 + \eta t k / \sqrt n`.

    A step moves a bias by at most eta times the output weight; summing :func:`output_bound` in its sharp form gives
    :math:`3 \eta^2 (t-1)(t-2) + \eta (t-1) k / \sqrt n` (``"sharp"``).

    Parameters
    ----------
    t, n, k, eta, form
        As in :func:`output_bound`.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    t, n, k, eta = _schedule(t, n, k, eta)
    if checks.choice("form", form, FORMS) == "printed":
        return 6 * (eta * t) ** 2 + eta * t * (k / math.sqrt(n))
    return 3 * (eta * (t - 1)) * (eta * (t - 2)) + eta * (t - 1) * (k / math.sqrt(n))


@np.errstate(over="ignore")
def hidden_movement_bound(
    t: ArrayLike, *, n: int, k: int, eta: float, lam: float, form: str = "printed"
) -> FloatArray:
    r"""Lemma 15: :math:`\|w_i^{(t)} - w_i^{(1)}\| \le 6 \eta^2 t^2 + \eta t k / \sqrt n + 2 \eta \lambda t n / k`.

    The paper prints the last two terms run together. That they are these: :math:`w^{(t)} - w^{(1)}` is
    :math:`(1 - 2 \eta \lambda)` times its predecessor, plus a vector of norm at most eta times the output weight,
    minus :math:`2 \eta \lambda w^{(1)}`, and :math:`\|w^{(1)}\| \le |u^{(0)}| \le n / k`. Sharp: as in
    :func:`bias_movement_bound`, and t - 1 for t in the last term.

    Parameters
    ----------
    t, n, k, eta, form
        As in :func:`output_bound`.
    lam : float
        The regulariser's weight, >= 0; the lemma is for lambda <= 1/2.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    t, n, k, eta = _schedule(t, n, k, eta)
    lam = checks.real("lam", lam, at_least=0.0)
    steps = t if form == "printed" else t - 1
    return bias_movement_bound(t, n=n, k=k, eta=eta, form=form) + 2 * eta * steps * lam * (n / k)


def lemma15(
    *,
    n: int,
    k: int,
    eta: float,
    lam: float,
    t: ArrayLike,
    output: ArrayLike,
    hidden_movement: ArrayLike,
    bias_movement: ArrayLike,
    zero_start: bool = True,
    form: str = "printed",
    case: str = "",
    note: str = "",
) -> list[Guarantee]:
    """Lemma 15: after the first step no weight moves far.

    After t steps output weights are at most 6 eta t + k / sqrt(n) (:func:`output_bound`), and hidden weights and
    biases within orders eta^2 t^2 of where the first step left them (:func:`hidden_movement_bound`,
    :func:`bias_movement_bound`). Each reports the record with the least slack relative to its bound.

    Parameters
    ----------
    n, k, eta, lam, t, form
        As in :func:`hidden_movement_bound`; t at the records.
    output : array (r,)
        Largest absolute output weight at each record.
    hidden_movement, bias_movement : array (r,)
        Largest distance of a row of W, and of a bias, from its value after the first step.
    zero_start : bool
        As in :func:`lemma14`.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        Of the output weights, the hidden weights and the biases.

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.

    Errata
    ------
    The paper runs two terms of the hidden weights' bound together; reconstructed as 6 eta^2 t^2 + eta t k / sqrt(n)
    + 2 eta lambda t n / k.
    """
    t, n, k, eta = _schedule(t, n, k, eta)
    lam = checks.real("lam", lam, at_least=0.0)
    parts = {
        "output": (output, output_bound(t, n=n, k=k, eta=eta, form=form)),
        "hidden_movement": (hidden_movement, hidden_movement_bound(t, n=n, k=k, eta=eta, lam=lam, form=form)),
        "bias_movement": (bias_movement, bias_movement_bound(t, n=n, k=k, eta=eta, form=form)),
    }
    needed, where = later_steps(zero_start, eta, lam), in_form("Lemma 15", form)
    found = []
    for name, (values, bounds) in parts.items():
        bound, seen, at, room = nearest(name, values, bounds, t)
        part = f"lemma15-{name.removesuffix('_movement')}", (form, case), where
        found.append(stated(*part, Kind.UPPER_BOUND, bound, seen, at, note, hypotheses=needed, tolerance=room))
    return found


def lemma15_by_steps(
    iterates: Sequence[ParityNet], *, eta: float, lam: float, case: str = "", note: str = ""
) -> list[Guarantee]:
    r"""The step behind Lemma 15, at every unit that is active on some input.

    .. math:: |u' - (1 - 2 \eta \lambda) u| \le \eta \max_x \sigma(z), \quad
              \|w' - (1 - 2 \eta \lambda) w\| \le \eta |u|, \quad |b' - b| \le \eta |u|

    The largest feature is min(6, :math:`\|w\|_1 / \sqrt n + b`). A step on one example attains all three: the
    second and third at every active unit, the first where the example is the unit's largest.

    Parameters
    ----------
    iterates : sequence of ParityNet
        The network after steps 1, 2, ...: two at least.
    eta, lam
        As in :func:`lemma15`.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    list of Guarantee
        Of the output weights, the hidden weights and the biases.

    Raises
    ------
    ValueError
        If a step size is negative, or there are fewer than two networks.
    """
    if len(iterates) < 2:
        raise RequestError(f"iterates must hold at least two networks, got {len(iterates)}")
    eta, lam = checks.real("eta", eta, at_least=0.0), checks.real("lam", lam, at_least=0.0)
    kept = 1 - 2 * eta * lam
    parts: dict[str, list[tuple[FloatArray, FloatArray]]] = {"output": [], "hidden": [], "bias": []}
    for old, new in itertools.pairwise(iterates):
        feature = np.clip(np.abs(old.W).sum(axis=1) / math.sqrt(old.W.shape[1]) + old.b, 0, CAP)
        live, weight = feature > 0, eta * np.abs(old.u)
        parts["output"].append((np.abs(new.u - kept * old.u)[live], eta * feature[live]))
        parts["hidden"].append((np.linalg.norm(new.W - kept * old.W, axis=1)[live], weight[live]))
        parts["bias"].append((np.abs(new.b - old.b)[live], weight[live]))
    needed, where = later_steps(True, eta, lam), "proof of Lemma 15 (a step, with a run's own weights: this project)"
    found = []
    for name, steps in parts.items():
        times = np.repeat(np.arange(2.0, len(steps) + 2), [len(values) for values, _ in steps])
        values, bounds = (np.concatenate(part) for part in zip(*steps, strict=True))
        bound, seen, at, room = nearest(name, values, bounds, times)
        place = f"lemma15-{name}", ("by steps", case), where
        found.append(stated(*place, Kind.UPPER_BOUND, bound, seen, at, note, hypotheses=needed, tolerance=room))
    return found


def nearest(name: str, values: ArrayLike, bounds: FloatArray, t: FloatArray) -> tuple[float, float, str, float]:
    """Bound, value, step and room of the record with the least slack relative to its bound, then the largest bound.

    At t = 1 a sharp bound is 0, and so is the movement.
    """
    measured = nonnegative(name, values, length=len(t))
    with np.errstate(over="ignore"):
        worst = np.lexsort((bounds, measured / (bounds + ROUNDING)))[-1]
    bound, at = float(bounds[worst]), f"at t = {int(t[worst])} of {int(t.max())}"
    return bound, float(measured[worst]), at, ROUNDING + room(ROUNDING, bound)


def _zero_start(holds: bool) -> Hypothesis:
    return Hypothesis("the network is 0 at the start", holds)


def later_steps(zero_start: bool, eta: float, lam: float) -> tuple[Hypothesis, ...]:
    """The hypotheses of Lemmas 15 and 16."""
    return (
        _zero_start(zero_start),
        Hypothesis("eta <= 1/2", eta <= 0.5, f"eta = {eta:.6g}"),
        Hypothesis("lambda <= 1/2", lam <= 0.5, f"lambda = {lam:.6g}"),
    )


def _schedule(t: ArrayLike, n: int, k: int, eta: float) -> tuple[FloatArray, int, int, float]:
    n, k = odd_parity(n, k, least=1)
    times = checks.vector("t", t)
    if (wrong := times[(times < 1) | (times % 1 != 0)]).size or not len(times):
        raise RequestError(f"t must hold whole numbers of steps >= 1, got {wrong[0] if len(times) else 'none'}")
    return times, n, k, checks.real("eta", eta, at_least=0.0)
