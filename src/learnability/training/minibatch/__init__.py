"""Mini-batch training of any model: compiled epochs, many runs at once, the optimisers that are usual.

The model is a pure function ``apply(params, X)``; which fields of its parameters are trained is named, so that one
function serves all layers, hidden layers only, the last layer only, random features and a linearisation. The last,
smaller batch of an epoch is a step like the others, its loss the mean over its own examples (as Keras and PyTorch do
by default).

There are two forms. Networks of one hidden layer, the models of :mod:`learnability.networks.strips`, are trained by
loops of their own (:mod:`learnability.training.minibatch.fused`), about twice as fast as JAX on sparse inputs and
many times where the layer is frozen. Any other forward function is traced by JAX, an epoch one compiled ``scan``.

Runs that differ in learning rate, weight decay, start or order of examples can be trained in one call. They share the
data, and what is frozen and equal in all of them is computed once. JAX trains them together (vmapped): a run whose
loss or weights stop being finite ends there; once half of those trained together have ended, the rest goes on without
them. Whether together is faster than one after the other depends on the model: it is for small networks, whose steps
are mostly overhead, and for frozen features; it is not for wide layers that fill the processor by themselves.

Oracle: :mod:`learnability.training.minibatch.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks, extras
from learnability.errors import RequestError
from learnability.training.minibatch import fused
from learnability.training.minibatch.journal import Journal
from learnability.training.minibatch.model import Model
from learnability.training.minibatch.optimisers import Rule
from learnability.training.minibatch.sources import Source, generator_of
from learnability.training.minibatch.watched import Watched
from learnability.training.record import Measurement, MinibatchRun, Outcome, record_epochs
from learnability.training.several import states_of
from learnability.training.state import State, digests, set_position

__all__ = ["FORMS", "LOSSES", "MinibatchRun", "train"]

FORMS = ("auto", "fused", "jax")
LOSSES = ("hinge", "squared", "logistic")
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
    loss: str | Callable[[Any, Any], Any] = "hinge",
    trainable: Sequence[str] | None = None,
    stacked: bool = False,
    schedule: Callable[[int], float] | None = None,
    watch: Mapping[str, Source] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    dtype: str = "float32",
    form: str = "auto",
    measure: Measurement | None = None,
    resume: State | Sequence[State | None] | None = None,
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
        Budget, >= 0, counted from the very start.
    rng : numpy.random.Generator, or a sequence of R of them
        Draws the visits of the epochs, one call of ``source.draw`` an epoch until all runs have ended. One generator:
        all runs see the same batches. A sequence: each run its own, until it has ended. What is watched draws from
        children spawned from the (first) generator, and so changes nothing here.
    loss : {"hinge", "squared", "logistic"}, or callable (f, y) -> losses
        max(0, 1 - y f), (f - y)^2 / 2 or log(1 + exp(-y f)), or a function of outputs and labels of one shape,
        elementwise and traceable by JAX; the sum over outputs, the mean over the batch.
    trainable : sequence of str, optional
        Fields of ``params`` that are trained; all of them if not given.
    stacked : bool
        Whether every array in ``params`` has a leading axis of R starts, one a run.
    schedule : callable (epoch) -> float, optional
        Factor of the learning rate in each epoch (1 is the first), for instance
        ``lambda epoch: 1.0 if epoch <= 400 else 0.1``.
    watch : mapping of str to Source, optional
        Loss and error on these are recorded, for instance ``{"test": examples(X_test, y_test)}``. What does not
        repeat is drawn afresh for every epoch, recorded or not.
    record : sequence of int, optional
        Epochs to record at; about 60 evenly spaced in the logarithm if not given. A run's last is recorded too, and
        nothing if the sequence is empty.
    dtype : {"float32", "float64"}
        Of parameters, inputs and all arithmetic.
    form : {"auto", "fused", "jax"}
        ``fused`` is compiled by LLVM for one model, :mod:`learnability.training.minibatch.fused` says which calls it
        can do; ``jax`` does all. ``auto`` takes ``fused`` where it can. They round differently.
    measure : callable (network, epoch) -> mapping of str to bool, int, float or str, optional
        Your own columns at the recorded epochs, of each run: called with a copy of its parameters and, by name,
        whichever of ``run`` (its place in the list), ``updates``, ``learning_rate`` and ``weight_decay`` it has for
        parameters. It is tried once at the start.
    resume : State, or a sequence of R of them, optional
        Where the runs of an earlier call that trained the same stood, ``[run.state for run in runs]``. This call
        does the rest: epochs count from the very start, those later than the state's are recorded (the state's own
        if there are none), and ``rng`` is put where the state left it. All is bit for bit as if the runs had never
        stopped. A run that had converged stays so. So does one that had diverged, for which there is None: no more
        is known of it than when, and its parameters are NaN.

    Returns
    -------
    list of MinibatchRun
        One for each run, in order (a list of one where nothing makes several).

    Raises
    ------
    ValueError
        If an argument is out of range, ``trainable`` names no field, lengths disagree, outputs and labels have
        different shapes, ``form`` is ``"fused"`` for a call that it cannot do, ``measure`` does not return plain
        values by the same names, or ``resume`` is of other runs or has more than ``epochs`` behind it.
    MissingExtra
        If the call needs JAX, which is the extra ``jax``, and it is not installed.
    """
    if not callable(loss):
        checks.choice("loss", loss, LOSSES)
    checks.choice("dtype", dtype, ("float32", "float64"))
    checks.choice("form", form, FORMS)
    batch = checks.integer("batch", batch, at_least=1)
    epochs = checks.integer("epochs", epochs, at_least=0)
    at = {int(epoch) for epoch in record_epochs(record, epochs)}
    trained, frozen = _divide(params, trainable)
    others = dict(watch or {})
    kind = dict if isinstance(params, Mapping) else type(params)
    model = Model(apply, loss, rule, kind, dtype, stacked)
    plan = _plan(form, model, {**trained, **frozen}, sorted(trained), [source, *others.values()], batch)
    for name, value in {**trained, **frozen}.items():
        if not all(np.isfinite(np.asarray(part)).all() for part in plan.leaves(value)):
            raise RequestError(f"params.{name} must be finite")
    generators = [checks.generator("rng", one) for one in (rng if isinstance(rng, Sequence) else [rng])]
    rates, decays = _hyper("learning_rate", learning_rate), _hyper("weight_decay", weight_decay)
    if not (rates > 0).all():
        raise RequestError(f"learning_rate must be > 0, got {rates.min():g}")
    count = _count(rates, decays, generators, plan.leaves({**trained, **frozen}) if stacked else None)
    rates, decays = np.broadcast_to(rates, count), np.broadcast_to(decays, count)
    fixed = digests(
        apply=apply, params={"kind": kind.__name__, **trained, **frozen}, rule=rule,
        source=[source.size, source.draw, source.gather, source.store, source.repeats],
        learning_rate=rates, weight_decay=decays, batch=batch, rng=len(generators), trainable=sorted(trained),
        loss=loss, stacked=stacked, dtype=dtype,
    )  # fmt: skip

    def factor(epoch: int) -> float:
        return 1.0 if schedule is None else checks.real("schedule", schedule(epoch), above=0.0)

    @cache
    def told(epoch: int) -> dict[str, str]:
        return {**fixed, **digests(schedule=np.array([factor(done) for done in range(1, epoch + 1)]))}

    states = states_of(resume, count, "minibatch", told, epochs, plan.form)
    known = [state for state in states or () if state is not None]
    going = [state for state in known if state.outcome is Outcome.BUDGET_REACHED]
    for state in sorted(known, key=lambda state: state.epoch):
        set_position(generator_of(generators, int(state.arrays["run"])), state.generators["rng"])
    children = generators[0].spawn(len(others))

    with plan.arithmetic():
        watched = [
            Watched(name, one, plan.store(one), child)
            for (name, one), child in zip(others.items(), children, strict=True)
        ]
        journal = Journal(watched, EVALUATION_BATCH, measure, -(-source.size // batch), rates, decays)
        starts = [[state] for state in known if state not in going] + ([going] if going or not known else [])
        for these in starts:
            together = plan.group(trained, frozen, generators, rates, decays)
            epoch, outcome = 0, Outcome.BUDGET_REACHED
            if these:
                together.restore({int(state.arrays["run"]): state for state in these})
                epoch, outcome = these[0].epoch, these[0].outcome
                for one in watched:
                    one.restore(these[0])
            if these is starts[0]:
                journal.try_first(together, epoch)
            over = epoch == epochs or outcome is Outcome.CONVERGED
            if (over and at) or (not these and 0 in at):
                journal.note(together, epoch, together.alive)
            if over:
                journal.close(together, epoch, together.alive, [outcome] * count)
        together.close_up()
        store = plan.store(source)
        while epoch < epochs and together.alive.any():
            epoch += 1
            still = together.epoch(source, store, batch, factor(epoch))
            finite = np.isfinite(together.seen[0]) & np.isfinite(together.norm())
            converged = together.alive & finite & still & (together.seen[0] == 0) & source.repeats
            shown = together.alive & finite if epoch in at else converged
            if at and shown.any():
                journal.note(together, epoch, shown)
            outcomes = [
                Outcome.DIVERGED if not ok else Outcome.CONVERGED if ready else Outcome.BUDGET_REACHED
                for ok, ready in zip(finite, converged, strict=True)
            ]
            journal.close(together, epoch, together.alive & (~finite | converged | (epoch == epochs)), outcomes)
        return journal.runs("minibatch", told, states, together.unknown, plan.form)


def _plan(
    form: str, model: Model, fields: dict[str, Any], trained: list[str], sources: list[Source], batch: int
) -> Any:
    """The form that does a call, see :class:`learnability.training.minibatch.group.Plan`."""
    why_not = ""
    if form != "jax":
        found = fused.plan(model, fields, trained, sources, batch)
        if not isinstance(found, str):
            return found
        why_not = found
    if form == "fused":
        raise RequestError(f"form must be 'auto' or 'jax' for this call, got 'fused': {why_not}")
    extras.need("jax", "the mini-batch trainer's JAX form")
    from learnability.training.minibatch.group import Plan

    return Plan(model)


def _divide(params: Any, trainable: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields to be trained, and the others."""
    if isinstance(params, Mapping):
        fields = dict(params)
    elif hasattr(params, "_asdict"):
        fields = params._asdict()
    else:
        raise RequestError(f"params must be a NamedTuple or a mapping, got {type(params).__name__}")
    names = tuple(fields) if trainable is None else tuple(trainable)
    if isinstance(trainable, str) or not names or not set(names) <= set(fields):
        raise RequestError(f"trainable must name fields of params ({', '.join(fields)}), got {trainable!r}")
    return {name: fields[name] for name in names}, {name: fields[name] for name in fields if name not in names}


def _hyper(name: str, value: ArrayLike) -> NDArray[np.float64]:
    values = checks.vector(name, np.atleast_1d(np.asarray(value)))
    if not len(values) or (values < 0).any():
        raise RequestError(f"{name} must hold numbers >= 0, got {value!r}")
    return values


def _count(rates: NDArray[np.float64], decays: NDArray[np.float64], generators: Sequence[Any], stacked: Any) -> int:
    """How many runs the arguments make, if they agree."""
    lengths = {"learning_rate": len(rates), "weight_decay": len(decays), "rng": len(generators)}
    if stacked is not None:
        axes = {np.shape(part)[:1] for part in stacked}
        if len(axes) != 1 or axes == {()}:
            raise RequestError(
                "stacked params must be arrays with a leading axis of the same length, one entry a run"
            )
        lengths["params"] = axes.pop()[0]
    counts = {length for length in lengths.values() if length != 1}
    if len(counts) > 1 or 0 in counts:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise RequestError(
            f"learning_rate, weight_decay, rng and stacked params must have one length (or 1), got {said}"
        )
    return counts.pop() if counts else 1
