r"""Mini-batch SGD of the residual study's networks, by an engine of their own: whole grids, at the processor's pace.

What :func:`learnability.training.minibatch.train` does for any model, done for 2layer, 3layer and 3resnet
(:mod:`learnability.networks.residual`) with the squared loss and SGD with momentum. A general compiler makes a chain
of operations out of a step, each of which passes over the whole layer; here a block of units goes through product,
ReLU, gate and update in registers and the first cache (:mod:`learnability.training.vector.tiles`). The same starts,
batches and hyper-parameters give the same weights; ``benchmarks/residual_grid.py`` has the times.

Runs of a grid share start and batches and are trained one beside the other, an epoch each, in groups as large as the
memory allows. A run that diverges ends there and costs nothing more.

A sum is one chain of fused multiply-adds up to 1,024 terms, and beyond them several
(:data:`learnability.training.vector.tiles.CHAIN`), whatever the machine's vectors, the workers and the other runs. It
was one chain at any length before. Up to 1,024 units, inputs and examples in a batch nothing changed, to the last bit
(a test has the chain), and no figure is on record at a larger width: so figures kept their revisions. Rows of their
``paper`` scale that were stored before at m > 1,024 differ by rounding in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.networks.residual import Layer2, Layer3, Network, ResNet3
from learnability.training.grid.group import Group
from learnability.training.grid.held import MEMORY, memory, together
from learnability.training.record import Measurement, MinibatchRun, record_epochs
from learnability.training.several import Journal, states_of
from learnability.training.state import State, digests, set_position

__all__ = ["MEMORY", "memory", "train"]


def train(
    params: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    learning_rate: ArrayLike,
    weight_decay: ArrayLike = 0.0,
    momentum: float = 0.9,
    batch: int,
    epochs: int,
    rng: np.random.Generator,
    trainable: Sequence[str] | None = None,
    biases: bool = True,
    schedule: Callable[[int], float] | None = None,
    watch: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    dtype: str = "float32",
    limit: float = MEMORY,
    measure: Measurement | None = None,
    resume: State | Sequence[State | None] | None = None,
) -> list[MinibatchRun]:
    r"""Train a network on mini-batches, with one or several learning rates and weight decays.

    With gradient g of :math:`\frac{1}{2b} \sum \|out - y\|^2` over a batch of b: v <- mu v + (g + omega theta),
    theta <- theta - eta v, as in PyTorch. An epoch's last batch may be smaller; it is a step like the others.

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
        Where training starts.
    X : (N, d) array
        Finite; a row an example.
    Y : (N, k) array
        Finite targets.
    learning_rate, weight_decay : float or (R,) arrays
        eta > 0 and omega >= 0. Arrays make R runs; a number is the same for all.
    momentum : float
        mu, in [0, 1).
    batch, epochs : int
        >= 1 and >= 0; epochs are counted from the very start.
    rng : numpy.random.Generator
        Draws a permutation of the examples for every epoch until all runs have ended, the same for all runs.
    trainable : sequence of str, optional
        Fields of ``params`` that are trained; all of them if not given.
    biases : bool
        If not, the input 1 that meets the last column of W is 0, and W must have 0 there; for ``Layer2`` only.
    schedule : callable (epoch) -> float, optional
        Factor of the learning rate in each epoch (1 is the first).
    watch : mapping of str to (X, Y), optional
        Their mean loss is recorded.
    record : sequence of int, optional
        Epochs to record at; about 60 evenly spaced in the logarithm if not given. The last is recorded too, and
        nothing if the sequence is empty; of a run that diverged nothing is from that epoch on.
    dtype : {"float32", "float64"}
        Of all arithmetic.
    limit : float
        Bytes, see :func:`memory`: runs are trained in groups that keep to it.
    measure : callable (network, epoch) -> mapping of str to bool, int, float or str, optional
        Your own columns at the recorded epochs, of each run: called with a copy of its network (in ``dtype``) and, by
        name, whichever of ``run`` (its place in the list), ``updates``, ``learning_rate`` and ``weight_decay`` it has
        for parameters. It is tried once at the start.
    resume : State, or a sequence of R of them, optional
        Where the runs of an earlier call that trained the same stood, ``[run.state for run in runs]``. This call
        does the rest: epochs count from the very start, those later than the state's are recorded (the state's own
        if there are none), and ``rng`` is put where the state left it. All is bit for bit as if the runs had never
        stopped, whatever ``limit`` is. A run that had diverged stays so; there is None for it, no more is known of
        it than when, and its parameters are NaN.

    Returns
    -------
    list of MinibatchRun
        One for each run, in order. Columns are ``epoch``, ``running_loss`` (mean over the epoch, each batch before
        its step; NaN at epoch 0), ``<name>_loss`` of what is watched, after the epoch, ``norm`` of the trained
        parameters, all together, and what ``measure`` returned. The outcome is ``diverged`` where after an epoch a
        loss or weight is not finite, else ``budget_reached``. The state shares its arrays with ``params``.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes disagree, one run alone would exceed ``limit`` (with the largest
        width that would not), ``measure`` does not return plain values by the same names, or ``resume`` is of other
        runs or has more than ``epochs`` behind it.
    """
    X, Y = checks.matrix("X", X), checks.matrix("Y", Y)
    kind, arrays = _checked(params, X, Y)
    trained = _fields(arrays, trainable)
    rates, decays = _grid(learning_rate, weight_decay)
    momentum = checks.real("momentum", momentum, at_least=0.0)
    if momentum >= 1:
        raise RequestError(f"momentum must be < 1, got {momentum!r}")
    batch = checks.integer("batch", batch, at_least=1)
    epochs = checks.integer("epochs", epochs, at_least=0)
    rng = checks.generator("rng", rng)
    checks.choice("dtype", dtype, ("float32", "float64"))
    if not biases and (kind is not Layer2 or np.any(arrays["W"][:, -1])):
        raise RequestError("biases may be switched off for a Layer2 whose W has 0 in its last column only")
    at = {int(epoch) for epoch in record_epochs(record, epochs)}
    if schedule is not None and not callable(schedule):
        raise RequestError(f"schedule must be a function of the epoch, got {schedule!r}")
    if watch is not None and not isinstance(watch, Mapping):
        raise RequestError(f"watch must map names to pairs (X, Y), got {watch!r}")
    watched = {
        name: (checks.matrix(f"watch[{name!r}]", Z), checks.matrix(f"watch[{name!r}]", of_Z))
        for name, (Z, of_Z) in (watch or {}).items()
    }
    for Z, of_Z in watched.values():
        _checked(params, Z, of_Z)
    batch = min(batch, len(X))
    (k, m), d = arrays["A"].shape, X.shape[1]
    at_once = together(
        {ResNet3: "3resnet", Layer3: "3layer", Layer2: "2layer"}[kind], d, k, m, len(rates), limit, batch=batch,
        dtype=dtype, trainable=trained, examples=len(X), watched=sum(len(Z) for Z, _ in watched.values()),
    )  # fmt: skip
    fixed = digests(
        params={"kind": kind.__name__, **arrays}, X=X, Y=Y, learning_rate=rates, weight_decay=decays,
        momentum=momentum, batch=batch, trainable=sorted(trained), biases=biases, dtype=dtype,
    )  # fmt: skip

    def factor(epoch: int) -> float:
        return 1.0 if schedule is None else checks.real("schedule", schedule(epoch), above=0.0)

    @cache
    def told(epoch: int) -> dict[str, str]:
        return {**fixed, **digests(schedule=np.array([factor(done) for done in range(1, epoch + 1)]))}

    states = states_of(resume, len(rates), "grid", told, epochs)
    going = [run for run in range(len(rates)) if states is None or states[run] is not None]
    start = None if states is None else states[going[0]]
    if start is not None:
        set_position(rng, start.generators["rng"])
        at = {epoch for epoch in at if epoch > start.epoch} or ({start.epoch} if at else set())
    names = ["epoch", "running_loss", *(f"{name}_loss" for name in watched), "norm"]
    journal = Journal(names, measure, -(-len(X) // batch), rates, decays)
    journal.try_out(going[0], 0 if start is None else start.epoch, lambda: _network(kind, arrays, dtype, start))
    one = 1.0 if biases else 0.0
    sample = _lifted(X, one, dtype), Y.astype(dtype, order="C")
    others = {name: (_lifted(Z, one, dtype), np.ascontiguousarray(of_Z)) for name, (Z, of_Z) in watched.items()}
    furthest = (-1, rng.bit_generator.state)
    for first in range(0, len(going), at_once):
        part = {run: None if states is None else states[run] for run in going[first : first + at_once]}
        own = copy.deepcopy(rng)
        # no name for the group, which would keep it while the next is made
        last = Group(kind, arrays, trained, part, rates, decays, momentum, batch, dtype).train(
            sample, others, own, epochs, at, factor, journal
        )
        furthest = max(furthest, (last, own.bit_generator.state), key=lambda reached: reached[0])
    rng.bit_generator.state = furthest[1]  # as far as in one group, which draws until all have ended
    return journal.runs(
        "grid", told, states, lambda: kind(*(np.full(part.shape, np.nan, dtype) for part in arrays.values()))
    )


def _network(kind: type[Any], arrays: Mapping[str, FloatArray], dtype: str, state: State | None) -> Any:
    """The network that training starts from, or goes on from."""
    now = {} if state is None else {name: part for name, part in state.arrays.items() if name in arrays}
    return kind(**{name: np.array(part, dtype) for name, part in {**arrays, **now}.items()})


def _checked(params: Any, X: FloatArray, Y: FloatArray) -> tuple[type[Any], dict[str, FloatArray]]:
    from learnability.networks.residual import forward

    forward(params, X[:1])  # says what is wrong with params, and with X beside them
    arrays = {name: np.asarray(part, dtype=np.float64) for name, part in params._asdict().items()}
    if Y.shape != (len(X), len(arrays["A"])):
        raise RequestError(f"Y must have shape {(len(X), len(arrays['A']))}, a row for each of X, got {Y.shape}")
    return type(params), arrays


def _fields(arrays: Mapping[str, Any], trainable: Sequence[str] | None) -> tuple[str, ...]:
    if trainable is not None and not isinstance(trainable, Sequence):
        raise RequestError(f"trainable must be a sequence of names, got {trainable!r}")
    names = tuple(arrays) if trainable is None else tuple(trainable)
    if isinstance(trainable, str) or not names or not set(names) <= set(arrays):
        raise RequestError(f"trainable must name fields of params ({', '.join(arrays)}), got {trainable!r}")
    return names


def _grid(learning_rate: ArrayLike, weight_decay: ArrayLike) -> tuple[FloatArray, FloatArray]:
    rates = checks.vector("learning_rate", np.atleast_1d(np.asarray(learning_rate)))
    decays = checks.vector("weight_decay", np.atleast_1d(np.asarray(weight_decay)))
    if not len(rates) or (rates <= 0).any():
        raise RequestError(f"learning_rate must hold numbers > 0, got {learning_rate!r}")
    if not len(decays) or (decays < 0).any():
        raise RequestError(f"weight_decay must hold numbers >= 0, got {weight_decay!r}")
    if len(rates) != len(decays) and 1 not in (len(rates), len(decays)):
        raise RequestError(
            f"learning_rate and weight_decay must have one length (or 1), got {len(rates)} and {len(decays)}"
        )
    count = max(len(rates), len(decays))
    return np.broadcast_to(rates, count).copy(), np.broadcast_to(decays, count).copy()


def _lifted(X: FloatArray, one: float, dtype: str) -> NDArray[Any]:
    # row by row: the loops read memory by address, and columns of a data frame come one after the other
    return np.hstack([X, np.full((len(X), 1), one)]).astype(dtype, order="C")
