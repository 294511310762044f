"""Ways to train 3resnet for a grid of learning rates and weight decays: what ``residual_grid`` compares.

All take a :class:`Grid` and return the weights of every run with the seconds that it took. Starts, data and batches
are the grid's, so that all find the same weights but for rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import is_installed
from learnability import seeding
from learnability.networks import residual
from learnability.networks.residual import ResNet3
from learnability.problems.residual import PairTarget, UniformSigns, degree_six
from learnability.studies.residual import runs_monomial
from learnability.training import grid as dedicated
from learnability.training import minibatch
from learnability.training.minibatch.optimisers import Sgd
from learnability.training.minibatch.sources import examples

Array = NDArray[Any]
MOMENTUM = 0.9


@dataclass(frozen=True)
class Grid:
    """One start, one sample, one order of examples; a run for each pair of rate and decay."""

    start: ResNet3
    X: Array
    Y: Array
    batch: int
    epochs: int
    rates: Array
    decays: Array

    @classmethod
    def at(cls, m: int, epochs: int, rates: Array, decays: Array, *, d: int = 30, N: int = 500) -> Grid:
        """Section 8.1's problem at width m, a run for all pairs of rates and decays."""
        target = PairTarget(d, 0.3, 1.0)
        X = UniformSigns(d).sample(seeding.generator(0, "benchmark sample"), N)
        start = residual.initial(seeding.generator(0, "benchmark start", m), "3resnet", d, target.k, m)
        pairs = np.array([(rate, decay) for rate in rates for decay in decays])
        return cls(start, X, target(X), 50, epochs, pairs[:, 0], pairs[:, 1])

    @property
    def steps(self) -> int:
        """Steps of each run."""
        return self.epochs * -(-len(self.X) // self.batch)

    def rng(self) -> np.random.Generator:
        """The generator of the orders, at its beginning."""
        return seeding.generator(0, "benchmark orders")

    def batches(self) -> list[Array]:
        """The rows of every step, as :func:`learnability.training.minibatch.sources.examples` draws them."""
        rng = self.rng()
        orders = [rng.permutation(len(self.X)) for _ in range(self.epochs)]
        return [order[first : first + self.batch] for order in orders for first in range(0, len(self.X), self.batch)]


class Result(NamedTuple):
    """Weights of all runs, each array with a leading axis, and seconds."""

    params: ResNet3
    seconds: float


Loop = Callable[[Grid], Result]


def _stacked(runs: list[Any]) -> ResNet3:
    return ResNet3(*(np.stack(parts) for parts in zip(*runs, strict=True)))


# This library -------------------------------------------------------------------------------------------------


def _train(grid: Grid, rates: Any, decays: Any) -> list[Any]:
    """JAX's trainer."""
    learner = residual.learner(grid.start, "all")
    return minibatch.train(
        learner.apply, learner.params, examples(grid.X, grid.Y), rule=Sgd(MOMENTUM), learning_rate=rates,
        weight_decay=decays, batch=grid.batch, epochs=grid.epochs, rng=grid.rng(), loss="squared",
        trainable=learner.trainable, record=[grid.epochs],
    )  # fmt: skip


def _finished(begin: float, runs: list[Any]) -> Result:
    found = _stacked([run.params for run in runs])
    return Result(found, time.perf_counter() - begin)


def engine(grid: Grid) -> Result:
    """The engine made for these networks."""
    begin = time.perf_counter()
    return _finished(
        begin,
        dedicated.train(
            grid.start, grid.X, grid.Y, learning_rate=grid.rates, weight_decay=grid.decays, momentum=MOMENTUM,
            batch=grid.batch, epochs=grid.epochs, rng=grid.rng(), record=[grid.epochs],
        ),
    )  # fmt: skip


def minibatch_together(grid: Grid) -> Result:
    """Our trainer of any model, all runs together."""
    return _finished(time.perf_counter(), _train(grid, grid.rates, grid.decays))


def minibatch_runs(grid: Grid) -> Result:
    """Our trainer of any model, run by run."""
    begin = time.perf_counter()
    return _finished(begin, [run for pair in zip(grid.rates, grid.decays) for run in _train(grid, *pair)])


def monomial(m: int, N: int) -> Callable[[int], float]:
    """A cell of Figure 1 at width m: a function of the epochs that trains as the figure does, and takes seconds."""
    d = 40
    inputs, target = UniformSigns(d, unit=True), degree_six(d)
    X, X_test = (inputs.sample(seeding.generator(0, "benchmark", name), n) for name, n in (("X", N), ("test", 2 * N)))
    Y, Y_test = (target(part)[:, None] for part in (X, X_test))
    W, a = runs_monomial.start(seeding.generator(0, "benchmark start", m), m, d)
    start = residual.Layer2(np.hstack([W, np.zeros((m, 1))]), a[None, :])

    def cell(epochs: int) -> float:
        begin = time.perf_counter()
        dedicated.train(
            start, X, Y, learning_rate=1.0, weight_decay=1e-5, momentum=MOMENTUM, batch=50, epochs=epochs,
            rng=seeding.generator(0, "benchmark orders"), trainable=("W",), biases=False,
            watch={"train": (X, Y), "test": (X_test, Y_test)}, record=range(0, epochs + 1, 40),
        )  # fmt: skip
        return time.perf_counter() - begin

    return cell


# Others -------------------------------------------------------------------------------------------------------


def torch_runs(grid: Grid) -> Result:
    """PyTorch as its users write it: modules, autograd, ``torch.optim.SGD``, run by run."""
    import torch

    torch.set_num_threads(1)

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, start: ResNet3) -> None:
            super().__init__()
            k, m = start.A.shape
            self.W = torch.nn.Linear(start.W.shape[1] - 1, m)
            self.V = torch.nn.Linear(k, m)
            self.A = torch.nn.Linear(m, k, bias=False)
            with torch.no_grad():
                for layer, part in ((self.W, start.W), (self.V, start.V)):
                    layer.weight.copy_(torch.tensor(part[:, :-1]))
                    layer.bias.copy_(torch.tensor(part[:, -1]))
                self.A.weight.copy_(torch.tensor(start.A))

        def forward(self, X: Any) -> Any:
            first = self.A(torch.relu(self.W(X)))
            return first + self.A(torch.relu(self.V(first)))

    X, Y = (torch.tensor(part, dtype=torch.float32) for part in (grid.X, grid.Y))
    batches = [torch.tensor(rows) for rows in grid.batches()]
    runs = []
    begin = time.perf_counter()
    for rate, decay in zip(grid.rates.tolist(), grid.decays.tolist()):
        network = Network(grid.start)
        optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=decay)
        for rows in batches:
            loss = ((network(X[rows]) - Y[rows]) ** 2).sum(dim=1).mean() / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        runs.append(network)
    seconds = time.perf_counter() - begin
    with torch.no_grad():
        return Result(
            _stacked(
                [
                    (
                        torch.hstack([one.W.weight, one.W.bias[:, None]]).numpy(),
                        torch.hstack([one.V.weight, one.V.bias[:, None]]).numpy(),
                        one.A.weight.numpy(),
                    )
                    for one in runs
                ]
            ),
            seconds,
        )


def torch_batched(grid: Grid) -> Result:
    """PyTorch with a leading axis for the runs: batched products, autograd, SGD by hand, in place."""
    import torch

    torch.set_num_threads(1)
    R = len(grid.rates)

    def many(part: Array) -> Any:
        return torch.tensor(np.ascontiguousarray(part), dtype=torch.float32).repeat(R, 1, 1).requires_grad_()

    W, V, A = grid.start
    params = [many(part) for part in (W[:, :-1].T, W[None, :, -1], V[:, :-1].T, V[None, :, -1], A.T)]
    moments = [torch.zeros_like(part) for part in params]
    rates, decays = (torch.tensor(part, dtype=torch.float32)[:, None, None] for part in (-grid.rates, grid.decays))
    X, Y = (torch.tensor(part, dtype=torch.float32) for part in (grid.X, grid.Y))
    batches = [torch.tensor(rows) for rows in grid.batches()]
    begin = time.perf_counter()
    for rows in batches:
        w, b, v, c, a = params
        first = torch.relu(torch.baddbmm(b, X[rows].expand(R, -1, -1), w)) @ a
        outputs = first + torch.relu(torch.baddbmm(c, first, v)) @ a
        loss = ((outputs - Y[rows]) ** 2).sum() / (2 * len(rows))  # over runs too: each gets its own gradient
        gradients = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for part, moment, gradient in zip(params, moments, gradients, strict=True):
                moment.mul_(MOMENTUM).add_(gradient).addcmul_(part, decays)
                part.addcmul_(moment, rates)
    seconds = time.perf_counter() - begin
    w, b, v, c, a = (part.detach().numpy().swapaxes(1, 2) for part in params)
    return Result(ResNet3(np.concatenate([w, b], axis=2), np.concatenate([v, c], axis=2), a), seconds)


def _jax_loss(params: Any, X: Any, Y: Any) -> Any:
    W, b, V, c, A = params
    first = jax.nn.relu(X @ W + b) @ A
    outputs = first + jax.nn.relu(first @ V + c) @ A
    return ((outputs - Y) ** 2).sum() / (2 * len(X))


def _jax_step(params: Any, moments: Any, rate: Any, decay: Any, X: Any, Y: Any) -> Any:
    g = jax.grad(_jax_loss)(params, X, Y)
    moments = jax.tree.map(lambda v, g, part: MOMENTUM * v + g + decay * part, moments, g, params)
    return jax.tree.map(lambda part, v: part - rate * v, params, moments), moments


_jax_steps = jax.jit(jax.vmap(_jax_step, in_axes=(0, 0, 0, 0, None, None)), donate_argnums=(0, 1))


def jax_batched(grid: Grid) -> Result:
    """JAX: ``jit`` of ``vmap`` of a step, called for one batch at a time, state donated."""
    R = len(grid.rates)
    W, V, A = grid.start
    params = tuple(
        jnp.array(np.broadcast_to(part, (R, *part.shape)), dtype="float32")
        for part in (W[:, :-1].T, W[:, -1], V[:, :-1].T, V[:, -1], A.T)
    )
    moments = jax.tree.map(jnp.zeros_like, params)
    rates, decays, X, Y = (jnp.array(part, "float32") for part in (grid.rates, grid.decays, grid.X, grid.Y))
    batches = [jnp.array(rows) for rows in grid.batches()]
    jax.block_until_ready((params, moments, rates, decays, X, Y, batches))
    begin = time.perf_counter()
    for rows in batches:
        params, moments = _jax_steps(params, moments, rates, decays, X[rows], Y[rows])
    jax.block_until_ready(params)
    seconds = time.perf_counter() - begin
    W, b, V, c, A = (np.asarray(part) for part in params)
    w, v, a = (part.swapaxes(1, 2) for part in (W, V, A))
    return Result(ResNet3(np.concatenate([w, b[:, :, None]], 2), np.concatenate([v, c[:, :, None]], 2), a), seconds)


def numpy_runs(grid: Grid, dtype: str = "float32") -> Result:
    """NumPy: the gradient by hand, run by run."""
    X = np.hstack([grid.X, np.ones((len(grid.X), 1))]).astype(dtype)
    Y = grid.Y.astype(dtype)
    batches, runs = grid.batches(), []
    begin = time.perf_counter()
    for rate, decay in zip(grid.rates.tolist(), grid.decays.tolist()):
        params = [part.astype(dtype) for part in grid.start]
        moments = [np.zeros_like(part) for part in params]
        for rows in batches:
            for part, moment, g in zip(params, moments, _by_hand(*params, X[rows], Y[rows]), strict=True):
                moment *= MOMENTUM
                moment += g
                moment += decay * part
                part -= rate * moment
        runs.append(params)
    return Result(_stacked(runs), time.perf_counter() - begin)


def _by_hand(W: Array, V: Array, A: Array, X: Array, Y: Array) -> tuple[Array, Array, Array]:
    hidden = np.maximum(X @ W.T, 0)
    first = np.ones((len(X), V.shape[1]), X.dtype)  # with the constant input of V
    first[:, :-1] = hidden @ A.T
    second = np.maximum(first @ V.T, 0)
    back = (first[:, :-1] + second @ A.T - Y) / len(X)
    back_V = (back @ A) * (second > 0)
    back_first = back + back_V @ V[:, :-1]
    back_W = (back_first @ A) * (hidden > 0)
    return back_W.T @ X, back_V.T @ first, back.T @ second + back_first.T @ hidden


class Competitor(NamedTuple):
    """A loop and the module that it needs."""

    label: str
    loop: Loop
    needs: str = "numpy"

    @property
    def installed(self) -> bool:
        """Whether the module can be found."""
        return is_installed(self.needs)


LOOPS = {
    "engine": Competitor("this library", engine),
    "minibatch": Competitor("its JAX trainer, together", minibatch_together),
    "minibatch_runs": Competitor("its JAX trainer, run by run", minibatch_runs),
    "torch_runs": Competitor("PyTorch, run by run", torch_runs, "torch"),
    "torch_batched": Competitor("PyTorch, batched", torch_batched, "torch"),
    "jax": Competitor("JAX, jit of vmap", jax_batched),
    "numpy": Competitor("NumPy, run by run", numpy_runs),
}
