"""Mini-batch training of any model in JAX: compiled epochs, many runs at once, optimisers by optax.

The model is a pure function ``apply(params, X)``; which fields of its parameters are trained is named, so that one
function serves all layers, hidden layers only, the last layer only, random features and a linearisation. An epoch is
one compiled ``scan`` over its batches. The last, smaller batch of an epoch is a step like the others, its loss the
mean over its own examples (as Keras and PyTorch do by default).

Runs that differ in learning rate, weight decay, start or order of examples can be trained together (vmapped). They
then share the data, and what is frozen and equal in all of them is computed once. A run whose loss or weights stop
being finite ends there; once half of those trained together have ended, the rest goes on without them. Whether
together is faster than one after the other depends on the model: it is for small networks, whose steps are mostly
overhead, and for frozen features; it is not for wide layers that fill the processor by themselves.

Oracle: :mod:`learnability.training.minibatch.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.training.minibatch import compiled
from learnability.training.minibatch.compiled import LOSSES, Layout, Model
from learnability.training.minibatch.one_thread import start_with_one_thread
from learnability.training.minibatch.optimisers import Rule
from learnability.training.minibatch.sources import Source
from learnability.training.record import MinibatchRun, Outcome, record_epochs

__all__ = ["LOSSES", "MinibatchRun", "train"]

start_with_one_thread()

EVALUATION_BATCH = 1000
"""Examples evaluated at once: it bounds the memory, and changes results by rounding only."""


def train(
    apply: Callable[[Any, Any], Any],
    params: Any,
    source: Source,
    *,
    rule: Rule,
    learning_rate: ArrayLike,
    weight_decay: ArrayLike = 0.0,
    batch: int,
    epochs: int,
    rng: np.random.Generator | Sequence[np.random.Generator],
    loss: str = "hinge",
    trainable: Sequence[str] | None = None,
    stacked: bool = False,
    schedule: Callable[[int], float] | None = None,
    watch: Mapping[str, Source] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    dtype: str = "float32",
) -> list[MinibatchRun]:
    """Train a model on mini-batches, once, or with several hyper-parameters and starts at the same time.

    Parameters
    ----------
    apply : callable (params, X) -> (b,) or (b, r) outputs
        Pure and traceable by JAX; a function of a module, so that calls share its compilation.
    params : NamedTuple or dict of pytrees of arrays
        Where training starts.
    source : Source
        What to train on, see :mod:`learnability.training.minibatch.sources`.
    rule : callable (learning_rate, weight_decay) -> optax.GradientTransformation
        See :mod:`learnability.training.minibatch.optimisers`.
    learning_rate, weight_decay : float or (R,) arrays
        > 0 and >= 0. Arrays make R runs; a number is the same for all.
    batch : int
        Batch size, >= 1.
    epochs : int
        Budget, >= 0.
    rng : numpy.random.Generator, or a sequence of R of them
        Draws the visits of the epochs, one call of ``source.draw`` an epoch. One generator: all runs see the same
        batches. A sequence: each run its own. What is watched draws from children spawned from the (first)
        generator, and so changes nothing here.
    loss : {"hinge", "squared", "logistic"}
        max(0, 1 - y f), (f - y)^2 / 2 or log(1 + exp(-y f)); the sum over outputs, the mean over the batch.
    trainable : sequence of str, optional
        Fields of ``params`` that are trained; all of them if not given.
    stacked : bool
        Whether every array in ``params`` has a leading axis of R starts, one a run.
    schedule : callable (epoch) -> float, optional
        Factor of the learning rate in each epoch (1 is the first), for instance
        ``lambda epoch: 1.0 if epoch <= 400 else 0.1``.
    watch : mapping of str to Source, optional
        Loss and error on these are recorded, for instance ``{"test": examples(X_test, y_test)}``; each record draws
        an epoch of them.
    record : sequence of int, optional
        Epochs to record at; about 60 evenly spaced in the logarithm if not given. A run's last is always recorded.
    dtype : {"float32", "float64"}
        Of parameters, inputs and all arithmetic.

    Returns
    -------
    list of MinibatchRun
        One for each run, in order (a list of one where nothing makes several).

    Raises
    ------
    ValueError
        If an argument is out of range, ``trainable`` names no field, lengths disagree, or outputs and labels have
        different shapes.
    """
    checks.choice("loss", loss, tuple(LOSSES))
    checks.choice("dtype", dtype, ("float32", "float64"))
    batch = checks.integer("batch", batch, at_least=1)
    epochs = checks.integer("epochs", epochs, at_least=0)
    at = {int(epoch) for epoch in record_epochs(record, epochs)}
    trained, frozen = _divide(params, trainable)
    generators = [checks.generator("rng", one) for one in (rng if isinstance(rng, Sequence) else [rng])]
    rates, decays = _hyper("learning_rate", learning_rate), _hyper("weight_decay", weight_decay)
    if not (rates > 0).all():
        raise ValueError(f"learning_rate must be > 0, got {rates.min():g}")
    count = _count(rates, decays, generators, params if stacked else None)
    rates, decays = np.broadcast_to(rates, count), np.broadcast_to(decays, count)
    model = Model(apply, loss, rule, dict if isinstance(params, Mapping) else type(params), dtype)
    watched = dict(watch or {})
    children = dict(zip(watched, generators[0].spawn(len(watched)), strict=True))

    with jax.enable_x64(dtype == "float64"):
        group = _Group(model, trained, frozen, stacked, generators, rates, decays)
        store = _on_device(source)
        stores = {name: _on_device(other) for name, other in watched.items()}
        of_watched = [f"{name}_{what}" for name in watched for what in ("loss", "error")]
        names = ["epoch", "running_loss", "running_error", *of_watched, "norm"]
        logs: list[dict[str, list[float]]] = [{name: [] for name in names} for _ in range(count)]
        found: dict[int, MinibatchRun] = {}

        def note(epoch: int, seen: NDArray[Any], norms: NDArray[Any], places: NDArray[np.bool_]) -> None:
            columns: dict[str, Any] = {
                "epoch": [epoch] * len(places),
                "running_loss": seen[0],
                "running_error": seen[1],
            }
            for name, other in watched.items():
                means = group.evaluate(other, stores[name], children[name])
                columns[f"{name}_loss"], columns[f"{name}_error"] = means
            columns["norm"] = norms
            for place in np.flatnonzero(places):
                for name, column in columns.items():
                    logs[group.runs[place]][name].append(column[place])

        def end(epoch: int, places: NDArray[np.bool_], outcomes: Sequence[Outcome]) -> None:
            for place in np.flatnonzero(places).tolist():
                run = group.runs[place]
                found[run] = MinibatchRun(
                    {name: np.array(column) for name, column in logs[run].items()}, outcomes[place], epoch,
                    epoch * -(-source.size // batch), group.params(place), None, float(rates[run]), float(decays[run]),
                )  # fmt: skip
            group.end(places)

        if 0 in at:
            note(0, np.full((2, count), np.nan), group.norms(), group.alive)
        if epochs == 0:
            end(0, group.alive, [Outcome.BUDGET_REACHED] * count)
        for epoch in range(1, epochs + 1):
            factor = 1.0 if schedule is None else checks.real("schedule", schedule(epoch), above=0.0)
            seen, norms, still = group.epoch(source, store, batch, factor)
            finite = np.isfinite(seen[0]) & np.isfinite(norms)
            converged = group.alive & finite & still & (seen[0] == 0) & source.repeats
            shown = group.alive & finite if epoch in at else converged
            if shown.any():
                note(epoch, seen, norms, shown)
            outcomes = [
                Outcome.DIVERGED if not ok else Outcome.CONVERGED if ready else Outcome.BUDGET_REACHED
                for ok, ready in zip(finite, converged, strict=True)
            ]
            end(epoch, group.alive & (~finite | converged | (epoch == epochs)), outcomes)
            if not group.alive.any():
                break
    return [found[run] for run in range(count)]


class _Group:
    """Runs trained together: their arrays on the device, with a leading axis unless there is only one."""

    def __init__(
        self,
        model: Model,
        trained: dict[str, Any],
        frozen: dict[str, Any],
        stacked: bool,
        generators: list[np.random.Generator],
        rates: NDArray[np.float64],
        decays: NDArray[np.float64],
    ) -> None:
        self.model, self.generators, self.rates, self.decays = model, generators, rates, decays
        self.runs = np.arange(len(rates))  # which run is where
        self.alive = np.ones(len(rates), dtype=bool)
        many = len(rates) > 1
        self.layout = Layout(many, frozen=many and stacked, visits=many and len(generators) > 1)
        if stacked and not many:
            trained, frozen = jax.tree.map(lambda part: np.asarray(part)[0], (trained, frozen))
        if many and not stacked:
            trained = jax.tree.map(lambda part: np.stack([part] * len(rates)), trained)
        # Copies: what is donated to a step is overwritten, and must not be the caller's.
        self.trained = jax.tree.map(lambda part: jnp.array(part, dtype=model.dtype), trained)
        self.frozen = jax.tree.map(lambda part: _floats(part, model.dtype), frozen)
        self.memory = compiled.start(model, self.layout)(self.trained, *self._hyper(1.0))

    def _hyper(self, factor: float) -> list[Any]:
        of_runs = (factor * self.rates[self.runs], self.decays[self.runs])
        return [jnp.asarray(values if self.layout.many else values[0], dtype=self.model.dtype) for values in of_runs]

    def epoch(self, source: Source, store: Any, batch: int, factor: float) -> tuple[NDArray[Any], ...]:
        """One epoch of steps; mean loss and error (2, runs), norms (runs,), whether the last step changed nothing."""
        if self.layout.visits:
            own = [_visits(source, self.generators[run]) for run in self.runs]
            visits = jax.tree.map(lambda *parts: np.stack(parts), *own)
        else:
            one = self.generators[0] if len(self.generators) == 1 else self.generators[self.runs[0]]
            visits = _visits(source, one)
        run = compiled.epoch(self.model, source.gather, batch, self.layout)
        self.trained, self.memory, *seen, norms, still = run(
            self.trained, self.memory, self.frozen, store, visits, *self._hyper(factor)
        )
        return _means(seen, source.size), np.atleast_1d(norms).astype(np.float64), np.atleast_1d(still)

    def evaluate(self, source: Source, store: Any, rng: np.random.Generator) -> NDArray[Any]:
        """Mean loss and error on a source, (2, runs)."""
        run = compiled.evaluation(self.model, source.gather, EVALUATION_BATCH, self.layout)
        return _means(run(self.trained, self.frozen, store, _visits(source, rng)), source.size)

    def norms(self) -> NDArray[Any]:
        """Norms of the trained parameters, (runs,)."""
        return np.atleast_1d(compiled.norm(self.layout)(self.trained)).astype(np.float64)

    def params(self, place: int) -> Any:
        """The parameters of a run, in NumPy."""
        own, same = (lambda part: np.array(part[place])), np.array
        trained = jax.tree.map(own if self.layout.many else same, self.trained)
        frozen = jax.tree.map(own if self.layout.frozen else same, self.frozen)
        return self.model.kind(**frozen, **trained)

    def end(self, places: NDArray[np.bool_]) -> None:
        """These runs have ended. They are computed on until half have, for every new number compiles anew."""
        self.alive = self.alive & ~places
        left = np.flatnonzero(self.alive)
        if 0 < len(left) <= len(self.alive) / 2:
            select = left if len(left) > 1 else left[0]
            self.trained, self.memory = jax.tree.map(lambda part: part[select], (self.trained, self.memory))
            if self.layout.frozen:
                self.frozen = jax.tree.map(lambda part: part[select], self.frozen)
            if len(left) == 1:
                self.layout = Layout()
            self.runs, self.alive = self.runs[left], self.alive[left]


def _means(sums: Any, size: int) -> NDArray[np.float64]:
    """Means over examples from the sums of batches, in float64: a row for each quantity, a column for each run."""
    return np.stack([np.atleast_2d(part).astype(np.float64).sum(axis=-1) / size for part in sums])


def _floats(part: Any, dtype: str) -> Any:
    """An array on the device; real numbers in the given type, integers and truth values as they are."""
    array = np.asarray(part)
    return jnp.array(array, dtype=dtype if array.dtype.kind == "f" else None)


def _on_device(source: Source) -> Any:
    return jax.tree.map(jnp.asarray, source.store)


def _visits(source: Source, rng: np.random.Generator) -> Any:
    visits = source.draw(rng)
    for part in jax.tree.leaves(visits):
        if np.ndim(part) == 0 or len(part) != source.size:
            raise ValueError(f"source.draw must return arrays of {source.size} rows, got shape {np.shape(part)}")
    return visits


def _divide(params: Any, trainable: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields to be trained, and the others."""
    if isinstance(params, Mapping):
        fields = dict(params)
    elif hasattr(params, "_asdict"):
        fields = params._asdict()
    else:
        raise ValueError(f"params must be a NamedTuple or a mapping, got {type(params).__name__}")
    names = tuple(fields) if trainable is None else tuple(trainable)
    if isinstance(trainable, str) or not names or not set(names) <= set(fields):
        raise ValueError(f"trainable must name fields of params ({', '.join(fields)}), got {trainable!r}")
    for name, value in fields.items():
        if not all(np.isfinite(np.asarray(part)).all() for part in jax.tree.leaves(value)):
            raise ValueError(f"params.{name} must be finite")
    return {name: fields[name] for name in names}, {name: fields[name] for name in fields if name not in names}


def _hyper(name: str, value: ArrayLike) -> NDArray[np.float64]:
    values = checks.vector(name, np.atleast_1d(np.asarray(value)))
    if not len(values) or (values < 0).any():
        raise ValueError(f"{name} must hold numbers >= 0, got {value!r}")
    return values


def _count(rates: NDArray[np.float64], decays: NDArray[np.float64], generators: Sequence[Any], stacked: Any) -> int:
    """How many runs the arguments make, if they agree."""
    lengths = {"learning_rate": len(rates), "weight_decay": len(decays), "rng": len(generators)}
    if stacked is not None:
        axes = {np.shape(part)[:1] for part in jax.tree.leaves(stacked)}
        if len(axes) != 1 or axes == {()}:
            raise ValueError("stacked params must be arrays with a leading axis of the same length, one entry a run")
        lengths["params"] = axes.pop()[0]
    counts = {length for length in lengths.values() if length != 1}
    if len(counts) > 1 or 0 in counts:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(
            f"learning_rate, weight_decay, rng and stacked params must have one length (or 1), got {said}"
        )
    return counts.pop() if counts else 1
