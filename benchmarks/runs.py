"""The runs that the benchmarks time: the paper's problem, our decisions visit by visit, windows along a run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.competitors import engine_form
from learnability import seeding
from learnability.networks.one_hidden import OneHidden
from learnability.networks.symmetry import symmetry_init
from learnability.problems.symmetry import UniformCube, random_symmetric
from learnability.training import online
from learnability.training.online.trajectory import Trajectory
from learnability.training.orders import example_orders

Array = NDArray[Any]


@dataclass(frozen=True)
class PaperRun:
    """Fig. 2's setting: half-integer start, n uniform inputs, a random symmetric target, h = n^-6, beta = n^3 h."""

    n: int
    epochs: int
    start: OneHidden
    X: Array
    y: Array
    h: Fraction
    beta: Fraction
    seed: int

    @classmethod
    def at(cls, n: int, epochs: int, seed: int = 0) -> PaperRun:
        """The run of that size and length; the seed draws the sample, the target and the orders."""
        rng = seeding.generator(seed, "benchmark", n)
        X = UniformCube(n).sample(rng, n)
        y = random_symmetric(n, rng)(X)
        h = Fraction(1, n**6)
        return cls(n, epochs, symmetry_init(n), X, y, h, n**3 * h, seed)

    def orders_rng(self, epoch: int = 0) -> np.random.Generator:
        """The generator of the orders as it stands after ``epoch`` epochs: one double a visit."""
        rng = seeding.generator(self.seed, "benchmark orders", self.n)
        rng.bit_generator.advance(epoch * len(self.y))  # type: ignore[attr-defined]
        return rng

    def order(self, epoch: int, epochs: int) -> Array:
        """The visits of ``epochs`` epochs from the given one on."""
        return example_orders(self.orders_rng(epoch), len(self.y), epochs).reshape(-1)

    def train(self, epochs: int | None = None, **options: Any) -> Trajectory:
        """The engine on this run from its start."""
        options = {"start": self.start, "rng": self.orders_rng(), **options}
        epochs = self.epochs if epochs is None else epochs
        return online.train(options.pop("start"), self.X, self.y, h=self.h, beta=self.beta, epochs=epochs, **options)

    def decisions(self, epochs: int) -> NDArray[np.bool_]:
        """Whether each visit of the first epochs updates, according to the engine."""
        order = self.order(0, epochs)
        return engine_form("auto", len(order))(self.start, self.X, self.y, order, self.h, self.beta).updated


@dataclass(frozen=True)
class Window:
    """A stretch of a run: where it begins, and our parameters there in plain float64."""

    epoch: int
    params: OneHidden


def windows(run: PaperRun, length: int, count: int) -> list[Window]:
    """Windows at the middles of ``count`` equal parts of the run's first ``length`` epochs."""
    epochs = [(2 * part + 1) * length // (2 * count) for part in range(count)]
    return [Window(epoch, run.train(epoch).params) for epoch in epochs]
