"""Runs of the fused form: one after the other over the same epoch, each with arrays of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.errors import RequestError
from learnability.training.grid.blocks import zeros
from learnability.training.minibatch.fused import loops, rules
from learnability.training.minibatch.fused.loops import How, Inputs, Net, Work
from learnability.training.minibatch.fused.models import Layer, flat
from learnability.training.minibatch.fused.parts import Parts, of_visits
from learnability.training.minibatch.model import Model
from learnability.training.minibatch.sources import Source, drawn, generator_of
from learnability.training.minibatch.watched import Watched
from learnability.training.state import State
from learnability.training.vector.tiles import BLOCK, kernel

__all__ = ["MEMORY", "Group", "Plan"]

MEMORY = 1e9
"""Bytes that the parts of a source may take after a frozen layer. Where they would take more, or are more than an
epoch has examples, each batch is sent through the layer."""
EVALUATION_BATCH = 128
"""Examples evaluated at once: it bounds the buffers, and changes results by rounding only."""
LOSSES = {"hinge": loops.HINGE, "squared": loops.SQUARED, "logistic": loops.LOGISTIC}
TRAINABLE = ("W", "b", "u", "c")
KEPT = ("trained", "first", "second")
"""Of a state's arrays: what is trained, and what the optimiser remembers."""


class Plan:
    """A call that the fused form does.

    Parameters
    ----------
    model : Model
    layer : Layer
        What the model is.
    units, n : int
        Of its hidden layer and of its inputs.
    batch : int
        Of a step, at most.
    order : array or None
        Of the layer's inputs.
    sources : mapping of int to Parts
        What the call's sources are made of, by their identity.
    """

    form = "fused"

    def __init__(
        self, model: Model, layer: Layer, units: int, n: int, batch: int, order: Any, sources: Mapping[int, Parts]
    ) -> None:
        self.model, self.layer, self.units, self.n, self.batch = model, layer, units, n, batch
        self.order, self.sources = order, sources
        self.kind, self.rule, self.dtype, self.stacked = model.kind, model.rule, model.dtype, model.stacked

    def leaves(self, tree: Any) -> list[Any]:
        """The arrays of some parameters."""
        found: list[Any] = []
        _mapped(found.append, tree)
        return found

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Around everything that is computed."""
        return np.errstate(over="ignore", invalid="ignore")

    def store(self, source: Source) -> Parts:
        """What of a source stays for all epochs."""
        return self.sources[id(source)]

    def group(self, *arguments: Any) -> Group:
        """Runs from their start: trained and frozen parameters, generators, rates and decays."""
        return Group(self, *arguments)


class _Run:
    """The arrays of one run, in blocks; a frozen layer may be shared."""

    def __init__(self, plan: Plan, parts: dict[str, Any], trained: Sequence[str], frozen: _Run | None) -> None:
        p, dtype = math.ceil(plan.units / BLOCK) * BLOCK, plan.dtype
        none = zeros((p // BLOCK, 0, BLOCK), dtype)

        def layer(name: str) -> NDArray[Any]:
            return _in_blocks(parts[name], plan.order, dtype)

        def vector(name: str) -> NDArray[Any]:
            out = zeros((p,), dtype)
            out[: plan.units] = parts[name]
            return out

        own = plan.layer.code in (loops.GATED, loops.LINEARISED) or "W" in trained
        of_frozen = {loops.GATED: ("G", ""), loops.LINEARISED: ("start W", "start b"), loops.COSINE: ("W", "phase")}
        weights, shift = of_frozen.get(plan.layer.code, ("" if own else "W", ""))
        b = vector("b") if "b" in parts else zeros((p,), dtype)
        F: NDArray[Any] = frozen.net.F if frozen else layer(weights) if weights else none
        moving = b if plan.layer.code == loops.RELU else zeros((p,), dtype)
        self.net: Net = Net(
            W=layer("W") if own else none, b=b, u=vector("u"), c=np.full(1, parts["c"], dtype),
            F=F, shift=vector(shift) if shift else moving,
            out=vector("start u") if "start u" in parts else zeros((p,), dtype),
            through=zeros((0, 0, p), dtype),
        )  # fmt: skip
        kept = rules.kept(rules.code(plan.rule) or 0)
        self.memory = [
            self.net._replace(
                **{name: zeros(np.shape(getattr(self.net, name)), dtype) for name in trained if i < kept}
            )
            for i in range(2)
        ]  # where nothing is remembered the network's own arrays stand in, which no rule then reads
        self.through: dict[int, NDArray[Any]] = {} if frozen is None else frozen.through


class Group:
    """Runs that are trained in one call. They are trained one after the other.

    Parameters
    ----------
    plan : Plan
    trained, frozen : dict
        Fields of the parameters.
    generators, rates, decays
        Of the runs.
    """

    def __init__(
        self,
        plan: Plan,
        trained: dict[str, Any],
        frozen: dict[str, Any],
        generators: Sequence[np.random.Generator],
        rates: NDArray[np.float64],
        decays: NDArray[np.float64],
    ) -> None:
        self.plan, self.generators, self.rates, self.decays = plan, generators, rates, decays
        self.runs = np.arange(len(rates))
        self.alive = np.ones(len(rates), dtype=bool)
        self.seen = np.full((2, len(rates)), np.nan)
        """Mean loss and error of the last epoch."""
        self.norms: NDArray[np.float64] | None = None
        self.trained = tuple(name for name in TRAINABLE if name in trained)
        self.frozen = frozen
        self.steps = np.zeros(len(rates), np.int64)
        trains = ("W" in trained, "b" in trained, "u" in trained, "c" in trained)
        loss, rule = LOSSES[str(plan.model.loss)], rules.code(plan.rule) or 0
        self.how = How(kernel(plan.dtype), plan.layer.code, loss, rule, plan.units, trains)
        self.all: list[_Run] = []
        for run in range(len(rates)):
            params = {**trained, **frozen}
            if plan.stacked:
                params = _of_run(params, run)
            shared = self.all[0] if self.all and not plan.stacked else None
            self.all.append(_Run(plan, flat(params), self.trained, shared))
        self.work: Work | None = None
        self.tables: dict[int, Inputs] = {}

    def epoch(self, source: Source, store: Parts, batch: int, factor: float) -> NDArray[np.bool_]:
        """One epoch of steps; of which runs the last step changed nothing."""
        still = np.zeros(len(self.runs), dtype=bool)
        self._table(store)
        places = np.flatnonzero(self.alive).tolist()
        for place in places:
            if place == places[0] or len(self.generators) > 1:
                visits = drawn(source, generator_of(self.generators, place))
                inputs, rows, y = self._examples(store, visits)
            run = self.all[place]
            net, work = self._net(run, store, inputs), self._work(inputs)
            rate, decay, seen = factor * self.rates[place], self.decays[place], np.zeros(2)
            hyper = rules.constants(self.plan.rule, rate, decay, self.plan.dtype)
            first, second = run.memory
            step = int(self.steps[place]) + 1
            loops.epoch(self.how, inputs, rows, y, batch, net, first, second, work, hyper, step, seen)
            self.steps[place] += math.ceil(source.size / batch)
            self.seen[:, place] = seen / source.size
            still[place] = self._rests(place)
        self.norms = None
        return still

    def _rests(self, place: int) -> bool:
        """Whether a step changes nothing where the gradient is 0."""
        run = self.all[place]
        decays = self.decays[place] > 0
        moves = self.how.rule in (rules.MOMENTUM, rules.ADAM)
        return not any(
            (decays and getattr(run.net, name).any()) or (moves and getattr(run.memory[0], name).any())
            for name in self.trained
        )

    def evaluate(self, watched: Watched, epoch: int, batch: int) -> NDArray[np.float64]:
        """Mean loss and error on what is watched, (2, runs)."""
        inputs, rows, y = self._examples(watched.store, watched.visits(epoch))
        found = np.full((2, len(self.runs)), np.nan)
        for place in np.flatnonzero(self.alive).tolist():
            run, seen = self.all[place], np.zeros(2)
            net, work = self._net(run, watched.store, inputs), self._work(inputs)
            loops.evaluate(self.how, inputs, rows, y, min(batch, EVALUATION_BATCH), net, work, seen)
            found[:, place] = seen / watched.source.size
        return found

    def _examples(self, store: Parts, visits: Any) -> tuple[Inputs, NDArray[Any], NDArray[Any]]:
        if not store.in_one:
            return of_visits(visits, self.plan.n, self.plan.order, self.plan.dtype)
        self._table(store)
        return self.tables[id(store)], *store.rows(visits, self.plan.dtype)

    def _table(self, store: Parts) -> None:
        """Make the table of a source, if it has one for all epochs."""
        if store.in_one and id(store) not in self.tables:
            self.tables[id(store)] = store.inputs(self.plan.order, self.plan.dtype)

    def _work(self, inputs: Inputs) -> Work:
        d, dtype = inputs.table.shape[1], self.plan.dtype
        batch, chunks = max(self.plan.batch, EVALUATION_BATCH), inputs.parts * math.ceil(d / inputs.chunk)
        blocks = math.ceil(self.plan.units / BLOCK)
        most = batch * inputs.chunk if inputs.sparse else 0
        x = (0 if inputs.sparse else chunks, batch, inputs.chunk)
        old = self.work
        if old is None:
            a = zeros((blocks, batch, BLOCK), dtype)
            same = self.plan.layer.code in (loops.RELU, loops.COSINE)
            old = Work(
                a, a if same else zeros(a.shape, dtype), zeros(a.shape, dtype), zeros((0, 0, 0), dtype),
                zeros((batch, BLOCK), dtype), zeros((batch,), dtype), zeros((0, BLOCK), dtype),
                np.zeros(0, np.int64), np.zeros(0, np.uint16), zeros((0,), dtype),
            )  # fmt: skip
        if len(old.g) < max(inputs.chunk, 2):
            old = old._replace(g=zeros((max(inputs.chunk, 2), BLOCK), dtype), starts=np.zeros(inputs.chunk + 1, int))
        if old.x.shape != x and not inputs.sparse:
            old = old._replace(x=zeros(x, dtype))
        if len(old.values) < most:
            old = old._replace(rows=np.zeros(most, np.uint16), values=zeros((most,), dtype))
        self.work = old
        return old

    def _net(self, run: _Run, store: Parts, inputs: Inputs) -> Net:
        """The network, with what its frozen layer makes of a source's parts where that is kept."""
        F, N = run.net.F, len(inputs.table)
        shape = (N, inputs.parts, len(F) * BLOCK)
        wanted = F.shape[1] > 0 and store.in_one > 0 and store.source.size >= N
        layers = len(self.runs) if self.plan.stacked else 1
        if not wanted or math.prod(shape) * layers * np.dtype(self.plan.dtype).itemsize > MEMORY:
            return run.net
        if id(store) not in run.through:
            through = run.through[id(store)] = np.empty(shape, self.plan.dtype)
            one = inputs._replace(parts=1)
            batch = EVALUATION_BATCH
            loops.images_through(self.how, one, np.arange(N)[:, None], F, batch, self._work(one), through)
        return run.net._replace(through=run.through[id(store)])

    def norm(self) -> NDArray[np.float64]:
        """Norms of the trained parameters, (runs,)."""
        if self.norms is None:
            self.norms = np.sqrt([sum(_square(getattr(run.net, name)) for name in self.trained) for run in self.all])
        return self.norms

    def params(self, place: int) -> Any:
        """The parameters of a run."""
        own = {name: self._plain(name, getattr(self.all[place].net, name)) for name in self.trained}
        frozen = _cast(_of_run(self.frozen, place) if self.plan.stacked else self.frozen, self.plan.dtype)
        return self.plan.kind(**frozen, **own)

    def unknown(self) -> Any:
        """The parameters of a run of which no more is known."""
        return self.plan.kind(**{name: _unknown(part) for name, part in _fields(self.params(0)).items()})

    def _plain(self, name: str, part: NDArray[Any]) -> NDArray[Any]:
        """A copy of a layer or vector, out of its blocks."""
        if name == "c":
            return np.array(part[0])
        if name != "W":
            return part[: self.plan.units].copy()
        rows = part.swapaxes(1, 2).reshape(-1, part.shape[1])[: self.plan.units]
        out = np.empty(rows.shape, rows.dtype)
        out[:, slice(None) if self.plan.order is None else self.plan.order] = rows
        return out

    def end(self, places: NDArray[np.bool_]) -> None:
        """These runs have ended."""
        self.alive = self.alive & ~places

    def close_up(self) -> None:
        """Runs that have ended take no time."""

    def keep(self, place: int) -> dict[str, NDArray[Any]]:
        """All that a run goes on from."""
        run = self.all[place]
        arrays = {
            f"{what} {name}": self._plain(name, getattr(net, name))
            for what, net in zip(KEPT, (run.net, *run.memory), strict=True)
            for name in self.trained
            if net is run.net or getattr(net, name) is not getattr(run.net, name)
        }
        return {**arrays, "seen": self.seen[:, place].copy(), "norm": np.array(self.norm()[place])}

    def restore(self, states: Mapping[int, State]) -> None:
        """Put a new group's runs where their states left them."""
        self.alive = np.isin(self.runs, list(states))
        for place, state in states.items():
            run = self.all[place]
            for key, own in self.keep(place).items():
                kept = state.arrays.get(key)
                if kept is None or (kept.shape, kept.dtype) != (own.shape, own.dtype):
                    raise RequestError(f"resume must hold {key} of shape {own.shape}, got {kept!r}")
                what, _, name = key.partition(" ")
                if name:
                    net = (run.net, *run.memory)[KEPT.index(what)]
                    getattr(net, name)[...] = self._blocked(name, kept)
            self.seen[:, place] = state.arrays["seen"]
            self.steps[place] = state.updates
        self.norms = None

    def _blocked(self, name: str, part: NDArray[Any]) -> NDArray[Any]:
        if name == "W":
            return _in_blocks(part, self.plan.order, self.plan.dtype)
        out = np.zeros(1 if name == "c" else math.ceil(self.plan.units / BLOCK) * BLOCK, self.plan.dtype)
        out[: 1 if name == "c" else self.plan.units] = part
        return out


def _in_blocks(part: Any, order: NDArray[Any] | None, dtype: str) -> NDArray[Any]:
    """(blocks, inputs, BLOCK) of a layer (units, inputs)."""
    rows = np.asarray(part, dtype=dtype)
    rows = rows if order is None else rows[:, order]
    blocks = math.ceil(len(rows) / BLOCK)
    out = zeros((blocks, rows.shape[1], BLOCK), dtype)
    for j in range(blocks):
        own = rows[BLOCK * j : BLOCK * (j + 1)]
        out[j, :, : len(own)] = own.T
    return out


def _square(part: NDArray[Any]) -> float:
    return float(np.square(part, dtype=np.float64).sum())


def _fields(part: Any) -> dict[str, Any]:
    return dict(part) if isinstance(part, Mapping) else part._asdict()


def _mapped(function: Any, part: Any) -> Any:
    """A function of every array in fields and in a network inside."""
    if isinstance(part, Mapping):
        return {name: _mapped(function, inner) for name, inner in part.items()}
    return type(part)(*(_mapped(function, inner) for inner in part)) if isinstance(part, tuple) else function(part)


def _of_run(parts: dict[str, Any], run: int) -> dict[str, Any]:
    return _mapped(lambda part: np.asarray(part)[run], parts)  # type: ignore[no-any-return]


def _cast(parts: dict[str, Any], dtype: str) -> dict[str, Any]:
    def own(part: Any) -> NDArray[Any]:
        array = np.asarray(part)
        return array.astype(dtype) if array.dtype.kind == "f" else array.copy()

    return _mapped(own, parts)  # type: ignore[no-any-return]


def _unknown(part: Any) -> Any:
    return _mapped(lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else array, part)
