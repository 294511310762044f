"""What is recorded of groups of runs, and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learnability.training import several
from learnability.training.minibatch.sources import generator_of
from learnability.training.minibatch.watched import Watched
from learnability.training.record import Measurement, Outcome
from learnability.training.state import position

if TYPE_CHECKING:
    from learnability.training.minibatch import fused
    from learnability.training.minibatch.group import Group as JaxGroup

    Group = fused.Group | JaxGroup

__all__ = ["Journal"]


class Journal(several.Journal):
    """Rows of every run and how it ended.

    Parameters
    ----------
    watched : sequence of Watched
    batch : int
        Examples evaluated at once.
    measure, steps, rates, decays
        As in :class:`learnability.training.several.Journal`.
    """

    def __init__(self, watched: Sequence[Watched], batch: int, measure: Measurement | None, *of_runs: Any) -> None:
        of_watched = [f"{one.name}_{what}" for one in watched for what in ("loss", "error")]
        super().__init__(["epoch", "running_loss", "running_error", *of_watched, "norm"], measure, *of_runs)
        self.watched, self.batch = watched, batch

    def try_first(self, group: Group, epoch: int) -> None:
        """The user's measurement of the first run of a group, before any work."""
        place = int(np.flatnonzero(group.alive)[0])
        self.try_out(int(group.runs[place]), epoch, partial(group.params, place))

    def note(self, group: Group, epoch: int, places: NDArray[np.bool_]) -> None:
        """A row of each of these runs."""
        means = [mean for one in self.watched for mean in group.evaluate(one, epoch, self.batch)]
        columns = [np.full(len(places), epoch), *group.seen, *means, group.norm()]
        for place in np.flatnonzero(places).tolist():
            self.row(int(group.runs[place]), [column[place] for column in columns], partial(group.params, place))

    def close(self, group: Group, epoch: int, places: NDArray[np.bool_], outcomes: Sequence[Outcome]) -> None:
        """These runs have ended."""
        for place in np.flatnonzero(places).tolist():
            run, arrays, generators = int(group.runs[place]), {}, {}
            if outcomes[place] is not Outcome.DIVERGED:
                arrays = group.keep(place)
                generators = {"rng": position(generator_of(group.generators, run))}
                for one in self.watched:
                    generators[one.key], arrays[one.key] = one.keep()
            self.end(run, outcomes[place], epoch, group.params(place), arrays, generators)
        group.end(places)
