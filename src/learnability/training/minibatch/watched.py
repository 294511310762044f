"""What is watched beside training: of a record nothing depends on which records came before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.training.minibatch.sources import Source, drawn
from learnability.training.state import State, position, set_position

__all__ = ["Watched"]


class Watched:
    """A source with a generator of its own.

    Of a source that repeats, every record sees the same visits, the generator's first; of another, epoch e the e-th
    (and the start the first). So a record sees the same whatever else is recorded.
    """

    def __init__(self, name: str, source: Source, store: Any, rng: np.random.Generator) -> None:
        self.name, self.source, self.store, self.rng = name, source, store, rng
        self.key = f"watch {name}"
        self.start = position(rng)
        self._stand(self.start, 0)

    def _stand(self, before: dict[str, Any], behind: int) -> None:
        self.before, self.behind = before, behind  # where the last visits began, and how many came before them
        self.after: Any = None  # where they ended

    def visits(self, epoch: int) -> Any:
        """What a record of this epoch visits."""
        behind = 0 if self.source.repeats else max(epoch, 1) - 1
        while self.behind < behind:
            if self.after is None:
                self._draw()
            self._stand(self.after, self.behind + 1)
        return self._draw()

    def _draw(self) -> Any:
        set_position(self.rng, self.before)
        visits = drawn(self.source, self.rng)
        self.after = position(self.rng)
        return visits

    def keep(self) -> tuple[dict[str, Any], NDArray[np.int64]]:
        """Where the last record's visits began, and how many came before."""
        return self.before, np.array(self.behind)

    def restore(self, state: State) -> None:
        """Stand where the last record of a state began; at the start where it did not watch this."""
        if self.key in state.generators:
            self._stand(dict(state.generators[self.key]), int(state.arrays[self.key]))
        else:
            self._stand(self.start, 0)
