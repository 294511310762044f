"""What a run of the online engine leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from learnability.training.online.deviation import Deviation
from learnability.training.record import Run

__all__ = ["COLUMNS", "Trajectory"]

COLUMNS = (
    "epoch",
    "updates",
    "train_error",
    "test_error",
    "train_loss",
    "margin",
    "movement",
    "norm",
)


@dataclass(frozen=True, repr=False)
class Trajectory(Run):
    """Record of one run of :func:`learnability.training.online.train`.

    Parameters
    ----------
    columns : dict of str to (r,) arrays
        One entry per recorded epoch: ``epoch`` (0 is the start), ``updates`` (so far), ``train_error`` and
        ``test_error`` (0-1, output 0 counts as an error; ``test_error`` is NaN without a test sample),
        ``train_loss`` (mean of max(0, beta - y f(x)) over the sample), ``margin`` (smallest y f(x) over the
        sample divided by the norm of (M, b); NaN while that norm is 0), ``movement`` (largest distance between an
        embedded point, act(W x + B), and its start, over the first 512 examples), ``norm`` (of (M, b)).
    outcome : Outcome
        How the run ended.
    params : OneHidden
        The final network in plain float64.
    deviation : Deviation or None
        Where the run kept deviations apart (see :mod:`learnability.training.online.deviation`): the exact final
        state, which resolves what ``params`` rounds away.
    epochs : int
        Epochs run, the last one (without updates) included where it converged.
    updates : int
        Examples that changed the network.
    ties : int
        Decisions in which y f(x) met beta exactly at leading order and the next order decided (0 for runs without
        exact arithmetic).
    unresolved : int
        Decisions that tied at the next order too, or that hung on a neuron standing at its kink after moving, both to
        within rounding (relative 1e-14, and 2^-52 for each update before): only a further order or more digits could
        settle them. With 0 no decision was that close, on a lattice or off it, and the tests find no such run that
        differs from exact arithmetic (``tests/test_online_exact.py``). Counted by the ``deviation`` form. The
        ``frozen`` form leaves none: what is within rounding it decides in whole numbers. ``direct`` and ``cached``
        are plain float64 and do not count.
    """

    deviation: Deviation | None
    ties: int = 0
    unresolved: int = 0
