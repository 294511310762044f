"""Runs that are trained together by JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from learnability import xla
from learnability.errors import RequestError
from learnability.training.minibatch import compiled
from learnability.training.minibatch.compiled import Layout
from learnability.training.minibatch.model import Model
from learnability.training.minibatch.sources import Source, drawn, generator_of
from learnability.training.minibatch.watched import Watched
from learnability.training.state import State

__all__ = ["Group", "Plan"]

xla.start()


class Plan:
    """A call that the JAX form does: any.

    Parameters
    ----------
    model : Model
    """

    form = "jax"

    def __init__(self, model: Model) -> None:
        self.model = model

    def leaves(self, tree: Any) -> list[Any]:
        """The arrays of some parameters."""
        return jax.tree.leaves(tree)

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Around everything that is computed."""
        return xla.steady(self.model.dtype == "float64")

    def store(self, source: Source) -> Any:
        """What of a source stays for all epochs, on the device."""
        return jax.tree.map(jnp.asarray, source.store)

    def group(self, *arguments: Any) -> Group:
        """Runs from their start: trained and frozen parameters, generators, rates and decays."""
        return Group(self.model, *arguments)


class Group:
    """Runs trained together: their arrays on the device, with a leading axis unless there is only one.

    A vmapped program rounds differently from that of one run, and perhaps from that of another number of runs. So a
    state says which runs it stood among, and goes on among as many: those that have ended only keep the place.
    """

    def __init__(
        self,
        model: Model,
        trained: dict[str, Any],
        frozen: dict[str, Any],
        generators: Sequence[np.random.Generator],
        rates: NDArray[np.float64],
        decays: NDArray[np.float64],
    ) -> None:
        stacked = model.stacked
        self.model, self.generators, self.rates, self.decays = model, generators, rates, decays
        self.runs = np.arange(len(rates))  # which run is where
        self.alive = np.ones(len(rates), dtype=bool)
        self.seen = np.full((2, len(rates)), np.nan)
        """Mean loss and error of the last epoch."""
        self.norms: NDArray[np.float64] | None = None
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

    def epoch(self, source: Source, store: Any, batch: int, factor: float) -> NDArray[np.bool_]:
        """One epoch of steps; of which runs the last step changed nothing."""
        if self.layout.visits:
            own = {run: drawn(source, generator_of(self.generators, run)) for run in self.runs[self.alive]}
            first = next(iter(own.values()))
            visits = jax.tree.map(lambda *parts: np.stack(parts), *(own.get(run, first) for run in self.runs))
        else:
            visits = drawn(source, generator_of(self.generators, self.runs[0]))
        run = compiled.epoch(self.model, source.gather, batch, self.layout)
        self.trained, self.memory, *seen, norms, still = run(
            self.trained, self.memory, self.frozen, store, visits, *self._hyper(factor)
        )
        self.seen, self.norms = _means(seen, source.size), np.atleast_1d(norms).astype(np.float64)
        return np.atleast_1d(still)

    def evaluate(self, watched: Watched, epoch: int, batch: int) -> NDArray[np.float64]:
        """Mean loss and error on what is watched, (2, runs)."""
        run = compiled.evaluation(self.model, watched.source.gather, batch, self.layout)
        return _means(run(self.trained, self.frozen, watched.store, watched.visits(epoch)), watched.source.size)

    def norm(self) -> NDArray[np.float64]:
        """Norms of the trained parameters, (runs,)."""
        if self.norms is None:
            self.norms = np.atleast_1d(compiled.norm(self.layout)(self.trained)).astype(np.float64)
        return self.norms

    def params(self, place: int) -> Any:
        """The parameters of a run, in NumPy."""
        trained = jax.tree.map(lambda part: _own(part, place, self.layout.many), self.trained)
        frozen = jax.tree.map(lambda part: _own(part, place, self.layout.frozen), self.frozen)
        return self.model.kind(**frozen, **trained)

    def unknown(self) -> Any:
        """The parameters of a run of which no more is known."""
        return jax.tree.map(_unknown, self.params(0))

    def end(self, places: NDArray[np.bool_]) -> None:
        """These runs have ended. They are computed on until half have, for every new number compiles anew."""
        self.alive = self.alive & ~places
        self.close_up()

    def close_up(self) -> None:
        """Go on without the runs that have ended, if they are half of all."""
        left = np.flatnonzero(self.alive)
        if 0 < len(left) <= len(self.alive) / 2:
            self._select(left)

    def _select(self, left: NDArray[np.int64]) -> None:
        select = left if len(left) > 1 else left[0]
        self.trained, self.memory = jax.tree.map(lambda part: part[select], (self.trained, self.memory))
        if self.layout.frozen:
            self.frozen = jax.tree.map(lambda part: part[select], self.frozen)
        if len(left) == 1:
            self.layout = Layout()
        self.runs, self.alive, self.seen = self.runs[left], self.alive[left], self.seen[:, left]
        self.norms = None if self.norms is None else self.norms[left]

    def keep(self, place: int) -> dict[str, NDArray[Any]]:
        """All that a run goes on from."""
        leaves = {
            f"{name}_{i}": _own(leaf, place, self.layout.many)
            for name, tree in (("trained", self.trained), ("memory", self.memory))
            for i, leaf in enumerate(jax.tree.leaves(tree))
        }
        last = {"seen": self.seen[:, place].copy(), "norm": np.array(self.norm()[place])}
        return {**leaves, **last, "group": self.runs.copy()}

    def restore(self, states: Mapping[int, State]) -> None:
        """Put a new group's runs where their states left them, among those that they stood among."""
        runs = next(iter(states.values())).arrays["group"]
        if len(runs) < len(self.runs):
            self._select(runs)
        self.alive = np.isin(self.runs, list(states))
        self.norms = np.full(len(runs), np.nan)
        places = {int(np.flatnonzero(self.runs == run)[0]): state for run, state in states.items()}
        for place, state in places.items():
            self.seen[:, place], self.norms[place] = state.arrays["seen"], state.arrays["norm"]
        self.trained, self.memory = (
            self._put(name, tree, places) for name, tree in (("trained", self.trained), ("memory", self.memory))
        )

    def _put(self, name: str, tree: Any, places: Mapping[int, State]) -> Any:
        leaves, form = jax.tree.flatten(tree)
        found = []
        for i, leaf in enumerate(leaves):
            array = np.array(leaf)
            for place, state in places.items():
                kept, own = state.arrays.get(f"{name}_{i}"), array[place] if self.layout.many else array
                if kept is None or (kept.shape, kept.dtype) != (own.shape, own.dtype):
                    raise RequestError(f"resume must hold {name} values of shape {own.shape}, got {kept!r}")
                array[place if self.layout.many else ...] = kept
            found.append(jnp.array(array))
        return jax.tree.unflatten(form, found)


def _own(part: Any, place: int, many: bool) -> NDArray[Any]:
    return np.array(part[place] if many else part)


def _means(sums: Any, size: int) -> NDArray[np.float64]:
    """Means over examples from the sums of batches, in float64: a row for each quantity, a column for each run."""
    return np.stack([np.atleast_2d(part).astype(np.float64).sum(axis=-1) / size for part in sums])


def _unknown(part: NDArray[Any]) -> NDArray[Any]:
    return np.full_like(part, np.nan) if part.dtype.kind == "f" else part


def _floats(part: Any, dtype: str) -> Any:
    """An array on the device; real numbers in the given type, integers and truth values as they are."""
    array = np.asarray(part)
    return jnp.array(array, dtype=dtype if array.dtype.kind == "f" else None)
