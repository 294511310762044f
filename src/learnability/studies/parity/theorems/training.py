r"""What the moving hidden layer costs a fixed output layer: Lemma 16 of Daniely & Malach, and what leads to it.

Theorem 3 is proved in two halves. The first step makes features
(:mod:`learnability.studies.parity.theorems.first_step` and :mod:`learnability.studies.parity.theorems.features`);
from then on both layers move so little (Lemmas 14 and 15: :mod:`learnability.studies.parity.theorems.movement`) that
the output layer's descent is online convex optimisation (Theorem 13:
:mod:`learnability.studies.parity.theorems.regret`) on nearly fixed features. The names of this second half are all
here; :mod:`learnability.studies.parity.theorems.theorem3` says what the two give together.

t counts steps, the first one included, with constant :math:`\eta, \lambda \in [0, 1/2]` after it, from a start at
which the network is 0. ``case`` is put into a guarantee's id in brackets, ``note`` into its note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.parity import ParityNet
from learnability.studies.parity.theorems.movement import (
    bias_movement_bound,
    hidden_movement_bound,
    later_steps,
    lemma14,
    lemma14_needs_zero_start,
    lemma15,
    lemma15_by_steps,
    nearest,
    output_bound,
)
from learnability.studies.parity.theorems.regret import FORMS, regret_bound, theorem13
from learnability.studies.parity.theorems.statement import in_form, stated
from learnability.theory.guarantee import Guarantee, Kind

__all__ = [
    "FORMS",
    "Movement",
    "bias_movement_bound",
    "hidden_movement_bound",
    "lemma14",
    "lemma14_needs_zero_start",
    "lemma15",
    "lemma15_by_steps",
    "lemma16",
    "lemma16_by_movement",
    "loss_change_bound",
    "output_bound",
    "regret_bound",
    "theorem13",
]


@np.errstate(over="ignore")
def loss_change_bound(
    t: ArrayLike, *, n: int, k: int, eta: float, lam: float, norm: float, nonzero: int, form: str = "printed"
) -> FloatArray:
    r"""Lemma 16: what a fixed output layer's loss can change on any input while the hidden layer moves.

    .. math:: 2 \|u^*\|_2 \sqrt{\|u^*\|_0} \left(6 \eta^2 t^2 + \eta t k / \sqrt n + \eta \lambda t n / k\right)

    The hinge and ReLU6 have slope at most 1, so it is at most :math:`\|u^*\|_1` times the sum of Lemma 15's bounds
    for hidden weights and biases; the sharp form takes these in their sharp forms.

    Parameters
    ----------
    t, n, k, eta, lam, form
        As in :func:`hidden_movement_bound`.
    norm : float
        :math:`\|u^*\|_2 \ge 0`.
    nonzero : int
        :math:`\|u^*\|_0 \ge 0`.

    Returns
    -------
    array (r,)

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    norm = checks.real("norm", norm, at_least=0.0)
    nonzero = checks.size("nonzero", nonzero, at_least=0)
    moved = hidden_movement_bound(t, n=n, k=k, eta=eta, lam=lam, form=form)
    return norm * math.sqrt(nonzero) * (moved + bias_movement_bound(t, n=n, k=k, eta=eta, form=form))


def lemma16(
    *,
    n: int,
    k: int,
    eta: float,
    lam: float,
    t: ArrayLike,
    norm: float,
    nonzero: int,
    change: ArrayLike,
    zero_start: bool = True,
    form: str = "printed",
    case: str = "",
    note: str = "",
) -> Guarantee:
    """Lemma 16: while the hidden layer moves, a fixed output layer's loss changes little on every input.

    After t steps by at most :func:`loss_change_bound`; shown is the record with the least slack relative to it.

    Parameters
    ----------
    n, k, eta, lam, t, norm, nonzero, form
        As in :func:`loss_change_bound`.
    change : array (r,)
        At each record the largest change, over inputs, of u*'s hinge loss since the first step.
    zero_start : bool
        As in :func:`lemma14`.
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
    What it takes from Lemma 15 for the hidden weights is printed there with two terms run together: reconstructed.
    """
    bounds = loss_change_bound(t, n=n, k=k, eta=eta, lam=lam, norm=norm, nonzero=nonzero, form=form)
    bound, seen, at, room = nearest("change", change, bounds, checks.vector("t", t))
    needed, where = later_steps(zero_start, eta, lam), in_form("Lemma 16", form)
    return stated(
        "lemma16", (form, case), where, Kind.UPPER_BOUND, bound, seen, at, note, hypotheses=needed, tolerance=room
    )


class Movement(NamedTuple):
    """How far the hidden layer of a run is from its place after the first step: arrays (steps, units)."""

    hidden: FloatArray
    """Distance of w."""
    bias: FloatArray
    """That of b."""

    @classmethod
    def of(cls, iterates: Iterable[ParityNet]) -> Movement:
        """From the network after each step."""
        nets = list(iterates)
        first = nets[0]
        return cls(
            np.array([np.linalg.norm(net.W - first.W, axis=1) for net in nets]),
            np.array([np.abs(net.b - first.b) for net in nets]),
        )


def lemma16_by_movement(
    moved: Movement, u: ArrayLike, change: ArrayLike, *, case: str = "", note: str = ""
) -> Guarantee:
    """The step behind Lemma 16: u*'s loss changes by at most the sum of |u*_i| (|w_i - w_i^(1)| + |b_i - b_i^(1)|).

    Parameters
    ----------
    moved : Movement
    u : array (units,)
        The output layer u*.
    change : array (steps,)
        As in :func:`lemma16`.
    case, note : str
        Put into the id in brackets, and into the note.

    Returns
    -------
    Guarantee
        The bound, beside what was measured.

    Raises
    ------
    ValueError
        If shapes disagree, or a change is negative.
    """
    t = np.arange(1, len(moved.hidden) + 1, dtype=float)
    bounds = (moved.hidden + moved.bias) @ np.abs(checks.vector("u", u, length=moved.hidden.shape[1]))
    bound, seen, at, room = nearest("change", change, bounds, t)
    place = "lemma16", ("by movement", case), "proof of Lemma 16 (with a run's movement: this project)"
    return stated(*place, Kind.UPPER_BOUND, bound, seen, at, note, tolerance=room)
