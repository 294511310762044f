"""The runs that the two-layer benchmark times: samples, starts, orders of examples, and states along a run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.two_layer_rule import Rule
from learnability import datasets, seeding
from learnability.networks.separable import TwoLayer, initial
from learnability.problems.separable import random_separable, split
from learnability.training import two_layer
from learnability.training.orders import example_orders
from learnability.training.reference import two_layer_epoch

Array = NDArray[Any]


class Sample(NamedTuple):
    """A separable set, and what to call it."""

    name: str
    title: str
    X: Array
    y: Array


def images(quick: bool) -> Sample:
    """3,000 MNIST images of 3 and 5 where the file is there, else all 8x8 images of the two digits."""
    if datasets.has_mnist() and not quick:
        name, title, pool, m = "mnist", "MNIST, 3 against 5", datasets.mnist_pair(), 3000
    else:
        pool = datasets.digits_pair()
        name, title, m = "digits", "scikit-learn digits 8x8, 3 against 5 (stand-in for MNIST)", len(pool.y)
    drawn = split(seeding.generator(0, "two-layer benchmark", name), pool.X, pool.y, m, 0)
    return Sample(name, title, drawn.X, drawn.y)


def planted(quick: bool) -> Sample:
    """A dense set: uniform in the ball beyond a margin of a planted hyperplane."""
    m, d, margin = (200, 40, 0.01) if quick else (3000, 784, 0.01)
    rng = seeding.generator(0, "two-layer benchmark", "planted")
    X, y = random_separable(rng, d, margin).sample(rng, m)
    return Sample("planted", f"uniform in the ball, margin {margin:g}", X, y)


@dataclass(frozen=True)
class Case:
    """A network on a sample, from Equation 6's start, with its own orders of examples."""

    sample: Sample
    width: int
    layers: str
    dtype: str = "float64"
    eta: float = 0.1
    alpha: float = 0.1
    seed: int = 0

    @property
    def name(self) -> str:
        """What the cell of the table is called."""
        relu = "" if self.alpha else "-relu"
        return f"{self.sample.name}-{self.width}-{self.layers}-{self.dtype}{relu}"

    @property
    def X(self) -> Array:
        """(m, d)"""
        return self.sample.X

    @cached_property
    def inputs(self) -> Array:
        """The same in the arithmetic of the run, as competitors get it."""
        return self.X.astype(self.dtype)

    @property
    def y(self) -> Array:
        """(m,)"""
        return self.sample.y

    @property
    def rule(self) -> Rule:
        """What is done at a visit."""
        return Rule(self.eta, self.alpha, self.layers)

    @property
    def start(self) -> TwoLayer:
        """Rows of norm 1 / sqrt(2k) in random directions, output weights +-1 / sqrt(2k)."""
        d = self.X.shape[1]
        return initial(seeding.generator(self.seed, "two-layer start", d, self.width), d, self.width // 2)

    def orders_rng(self, epoch: int = 0) -> np.random.Generator:
        """The generator of the orders as it stands after ``epoch`` epochs: one double a visit."""
        rng = seeding.generator(self.seed, "two-layer orders", len(self.y))
        rng.bit_generator.advance(epoch * len(self.y))  # type: ignore[attr-defined]
        return rng

    def visits(self, epoch: int, first: int, count: int) -> Array:
        """``count`` visits of the run, from visit ``first`` of the given epoch on."""
        m = len(self.y)
        epochs = -(-(first + count) // m)
        return example_orders(self.orders_rng(epoch), m, epochs).reshape(-1)[first : first + count]

    def train(
        self, epochs: int, start: TwoLayer | None = None, epoch: int = 0, **options: Any
    ) -> two_layer.TwoLayerRun:
        """The engine for so many epochs, from a start that stands at the given epoch; nothing is recorded."""
        start = self.start if start is None else start
        options = {"record": (), "dtype": self.dtype, **options}
        options = {"rng": self.orders_rng(epoch), **self.rule._asdict(), **options}
        return two_layer.train(start, self.inputs, self.y, epochs=epochs, **options)


class Window(NamedTuple):
    """A stretch of a run: the network at its beginning, its visits, and what the reference does there."""

    start: TwoLayer
    visits: Array
    end: TwoLayer
    updated: NDArray[np.bool_]


def window(case: Case, start: TwoLayer, epoch: int, first: int, count: int) -> Window:
    """``count`` visits from visit ``first`` of an epoch on, at whose beginning the network is ``start``."""
    visits = case.visits(epoch, 0, min(first + count, len(case.y)))
    before, visits = visits[:first], visits[first:]
    if len(before):
        start = two_layer.train(
            start, case.X[before], case.y[before], **case.rule._asdict(), rng=np.random.default_rng(0), epochs=1,
            order="cyclic", record=[1],
        ).params  # fmt: skip
    end, updated = two_layer_epoch(start, case.X, case.y, visits, **case.rule._asdict())
    return Window(start, visits, end, updated)


class Whole(NamedTuple):
    """A run of the engine as it went, and networks on the way."""

    run: two_layer.TwoLayerRun
    first_updates: int
    """Of the first epoch."""
    at: int
    late: TwoLayer
    """The network after ``at`` epochs, about half of them."""
    seconds: float


def whole(case: Case, epochs: int) -> Whole:
    """The run of at most so many epochs, with the network after a power of two of them, the last by its half."""
    networks: dict[int, TwoLayer] = {}

    def keep(network: TwoLayer, epoch: int) -> dict[str, float]:
        networks[epoch] = network
        return {}

    powers = [2**k for k in range(epochs.bit_length()) if 2**k <= epochs]
    begin = time.perf_counter()
    run = case.train(epochs, record=powers, measure=keep)
    seconds = time.perf_counter() - begin
    at = max(epoch for epoch in networks if epoch <= max(1, run.epochs // 2))
    return Whole(run, int(run.columns["updates"][0]), at, networks[at], seconds)
