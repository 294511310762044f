"""What is recorded of the runs of a call, how they ended, and their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from learnability.training.minibatch.group import Group, generator_of
from learnability.training.minibatch.watched import Watched
from learnability.training.record import Measure, Measurement, MinibatchRun, Outcome
from learnability.training.several import OFFERED
from learnability.training.state import State, position

__all__ = ["Journal"]


class _End(NamedTuple):
    outcome: Outcome
    epoch: int
    params: Any
    arrays: dict[str, NDArray[Any]]
    generators: Mapping[str, Mapping[str, Any]]


class Journal:
    """Rows of every run and how it ended.

    Parameters
    ----------
    watched : sequence of Watched
    batch : int
        Examples evaluated at once.
    measure : callable or None
        The user's.
    steps : int
        Updates in an epoch.
    """

    def __init__(self, watched: Sequence[Watched], batch: int, measure: Measurement | None, steps: int) -> None:
        of_watched = [f"{one.name}_{what}" for one in watched for what in ("loss", "error")]
        self.names = ["epoch", "running_loss", "running_error", *of_watched, "norm"]
        self.watched, self.batch, self.steps = watched, batch, steps
        self.measure = Measure(measure, self.names, OFFERED)
        self.rows: dict[int, list[dict[str, Any]]] = {}
        self.ends: dict[int, _End] = {}
        self.tried: dict[tuple[int, int], dict[str, Any]] = {}

    def try_out(self, group: Group, epoch: int) -> None:
        """The user's measurement of the first run, before any work."""
        place = int(np.flatnonzero(group.alive)[0])
        self.tried = {(int(group.runs[place]), epoch): self._measured(group, place, epoch)}

    def _measured(self, group: Group, place: int, epoch: int) -> dict[str, Any]:
        run = int(group.runs[place])
        if self.measure.function is None or (run, epoch) in self.tried:
            return self.tried.get((run, epoch), {})
        return self.measure(
            group.params(place), epoch, updates=epoch * self.steps, run=run,
            learning_rate=float(group.rates[run]), weight_decay=float(group.decays[run]),
        )  # fmt: skip

    def note(self, group: Group, epoch: int, places: NDArray[np.bool_]) -> None:
        """A row of each of these runs."""
        means = [mean for one in self.watched for mean in group.evaluate(one, epoch, self.batch)]
        columns = [np.full(len(places), epoch), *group.seen, *means, group.norm()]
        for place in np.flatnonzero(places).tolist():
            row = dict(zip(self.names, (column[place] for column in columns), strict=True))
            row |= self._measured(group, place, epoch)
            self.rows.setdefault(int(group.runs[place]), []).append(row)

    def end(self, group: Group, epoch: int, places: NDArray[np.bool_], outcomes: Sequence[Outcome]) -> None:
        """These runs have ended."""
        for place in np.flatnonzero(places).tolist():
            run, arrays, generators = int(group.runs[place]), {}, {}
            if outcomes[place] is not Outcome.DIVERGED:
                arrays = group.keep(place)
                generators = {"rng": position(generator_of(group.generators, run))}
                for one in self.watched:
                    generators[one.key], arrays[one.key] = one.keep()
            self.ends[run] = _End(outcomes[place], epoch, group.params(place), arrays, generators)
        group.end(places)

    def runs(
        self, group: Group, told: Callable[[int], Mapping[str, str]], diverged: NDArray[np.int64]
    ) -> list[MinibatchRun]:
        """The runs of the call; ``diverged`` says when those did that do not go on."""
        new = {run: end.epoch for run, end in self.ends.items() if end.outcome is Outcome.DIVERGED}
        diverged = np.array([new.get(run, epoch) for run, epoch in enumerate(diverged.tolist())], dtype=np.int64)
        unknown = jax.tree.map(_nan, next(iter(self.ends.values())).params)
        found = []
        for run, lost in enumerate(diverged.tolist()):
            end = self.ends.get(run, _End(Outcome.DIVERGED, lost, unknown, {}, {}))
            rows, updates, state = self.rows.get(run, []), end.epoch * self.steps, None
            if end.outcome is not Outcome.DIVERGED:
                arrays = {**end.arrays, "run": np.array(run), "diverged": diverged}
                state = State(
                    "minibatch", "", told(end.epoch), end.epoch, updates, end.outcome, arrays, end.generators
                )
            names = [*self.names, *(self.measure.names or ())]
            columns = {name: np.array([row[name] for row in rows]) for name in names}
            rate, decay = float(group.rates[run]), float(group.decays[run])
            found.append(MinibatchRun(columns, end.outcome, end.epoch, updates, end.params, state, rate, decay))
        return found


def _nan(part: NDArray[Any]) -> NDArray[Any]:
    return np.full_like(part, np.nan) if part.dtype.kind == "f" else part
