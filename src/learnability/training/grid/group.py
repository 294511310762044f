"""Runs of the hand-compiled engine that are trained side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.networks.residual import Layer2, Layer3, ResNet3
from learnability.training.grid import loops as steps
from learnability.training.grid.blocks import columns, in_blocks, out_of_blocks, zeros
from learnability.training.record import Outcome
from learnability.training.several import Journal
from learnability.training.state import State, position
from learnability.training.vector.tiles import BLOCK, kernel

__all__ = ["Group"]


class Group:
    """Runs trained side by side: their arrays in blocks, with a leading axis of runs."""

    def __init__(
        self,
        kind: type[Any],
        arrays: dict[str, FloatArray],
        trained: tuple[str, ...],
        states: Mapping[int, State | None],
        rates: FloatArray,
        decays: FloatArray,
        momentum: float,
        batch: int,
        dtype: str,
    ) -> None:
        self.kind, self.trained, self.dtype, self.batch = kind, trained, np.dtype(dtype), batch
        self.names = list(states)  # by which the call knows the runs
        self.rates, self.decays, self.momentum = rates[self.names], decays[self.names], momentum
        self.kernel = kernel(dtype)
        self.k, self.m = arrays["A"].shape
        self.runs = np.arange(len(states))  # that are still alive
        self.begin, self.losses = 0, np.full(len(states), np.nan)
        self.state = {name: self._copies(in_blocks(name, part.astype(dtype))) for name, part in arrays.items()}
        self.velocity = {
            name: zeros(part.shape if name in trained else (1,) * 4, self.dtype) for name, part in self.state.items()
        }
        for run, state in enumerate(states.values()):
            if state is not None:
                self._restore(run, state)
        K, n, inputs = columns(self.k), self.state["A"].shape[1], self.state["W"].shape[2]
        self.turned = steps.Turned(
            self._turned("A", K), self._turned("V", K) if kind is ResNet3 else zeros((1,) * 4, self.dtype)
        )
        layer, outputs, block = (n, batch, BLOCK), (batch, K), (batch, BLOCK)
        rows = max(BLOCK, self.k + 1, inputs)
        self.scratch = steps.Scratch(
            **{
                name: zeros(shape, self.dtype)
                for name, shape in {
                    "h": layer, "h2": (1, 1, 1) if kind is Layer2 else layer,
                    "q": layer if kind is Layer3 else (1, *block), "p": block, "T": (BLOCK, BLOCK), "ones": block,
                    "o": outputs, "out": outputs, "back": outputs, "g": (rows, BLOCK),
                    "gA": (n, self.k, BLOCK) if kind is ResNet3 else (1, 1, 1), "part": (batch, max(K, BLOCK)),
                }.items()
            }
        )  # fmt: skip
        self.scratch.ones[:] = 1
        self.step = steps.Step(
            self.kernel, batch, self.k, self.dtype.type(momentum), kind(*(name in trained for name in kind._fields))
        )

    def _restore(self, run: int, state: State) -> None:
        self.begin, self.losses[run] = state.epoch, state.arrays["loss"]
        for name in self.trained:
            for arrays, part in ((self.state, name), (self.velocity, f"velocity_{name}")):
                arrays[name][run] = in_blocks(name, state.arrays[part])

    def _copies(self, part: NDArray[Any]) -> NDArray[Any]:
        many = zeros((len(self.rates), *part.shape), self.dtype)
        many[:] = part
        return many

    def _turned(self, name: str, K: int) -> NDArray[Any]:
        part = self.state[name][:, :, : self.k]
        turned = zeros((*part.shape[:2], BLOCK, K), self.dtype)
        turned[..., : self.k] = part.swapaxes(2, 3)
        return turned

    def train(
        self,
        sample: tuple[NDArray[Any], NDArray[Any]],
        watched: dict[str, tuple[NDArray[Any], FloatArray]],
        rng: np.random.Generator,
        epochs: int,
        at: set[int],
        factor: Callable[[int], float],
        journal: Journal,
    ) -> int:
        """Train until the budget is spent or all have diverged; the last epoch."""
        (X, Y), epoch = sample, self.begin
        shuffled = np.empty_like(X), np.empty_like(Y)

        def note() -> None:
            for run in self.runs.tolist():
                seen = [self._loss(run, *other) for other in watched.values()]
                values = [epoch, self.losses[run], *seen, self._norm(run)]
                journal.row(self.names[run], values, partial(self._params, run))

        if epoch in at:
            note()
        while epoch < epochs and len(self.runs):
            epoch += 1
            order = rng.permutation(len(X))
            for part, own in zip(sample, shuffled, strict=True):
                part.take(order, axis=0, out=own, mode="clip")  # which writes into it at once
            self._epoch(*shuffled, factor(epoch))
            self.losses /= len(X)
            finite = np.array([self._finite(run) for run in self.runs.tolist()])
            for run in self.runs[~finite].tolist():
                journal.end(self.names[run], Outcome.DIVERGED, epoch, self._params(run), {}, {})
            self.runs = self.runs[finite]
            if epoch in at:
                note()
        for run in self.runs.tolist():
            params, arrays = self._params(run), {"loss": np.array(self.losses[run])}
            for name in self.trained:
                arrays[name] = getattr(params, name)
                arrays[f"velocity_{name}"] = out_of_blocks(name, self.velocity[name][run], self.m, self.k)
            journal.end(self.names[run], Outcome.BUDGET_REACHED, epoch, params, arrays, {"rng": position(rng)})
        return epoch

    def _epoch(self, X: NDArray[Any], Y: NDArray[Any], factor: float) -> None:
        rates, decays = (np.asarray(part, self.dtype) for part in (factor * self.rates, self.decays))
        runs = steps.Runs(self.runs, rates, decays, self.losses)
        epoch = {ResNet3: steps.epoch_3resnet, Layer3: steps.epoch_3layer, Layer2: steps.epoch_2layer}[self.kind]
        theta, velocity = self.kind(**self.state), self.kind(**self.velocity)
        epoch(self.step, runs, X, Y, theta, velocity, self.turned, self.scratch)

    def _outputs(self, run: int, X: NDArray[Any]) -> FloatArray:
        """Outputs of a run at X, batch by batch."""
        found = np.empty((len(X), self.k))
        outputs = {ResNet3: steps.outputs_3resnet, Layer3: steps.outputs_3layer, Layer2: steps.outputs_2layer}
        outputs[self.kind](self.step, X, self.kind(**self.state), self.turned, self.scratch, run, found)
        return found

    def _loss(self, run: int, X: NDArray[Any], Y: FloatArray) -> float:
        outputs = self._outputs(run, X)
        with np.errstate(over="ignore"):  # of a run that is about to diverge
            outputs -= Y
            return float(np.square(outputs, out=outputs).sum() / (2 * len(X)))

    def _norm(self, run: int) -> float:
        squares = (np.linalg.norm(self.state[name][run].astype(np.float64)) for name in self.trained)
        return math.hypot(*squares)

    def _finite(self, run: int) -> bool:
        """Whether the run's loss and weights are finite."""
        if not np.isfinite(self.losses[run]):
            return False
        flat = (self.state[name][run].reshape(-1) for name in self.trained)
        # A sum of squares that is finite in the engine's type says so at once; one that is not may have overflowed.
        with np.errstate(over="ignore", invalid="ignore"):
            return all(np.isfinite(part @ part) for part in flat) or math.isfinite(self._norm(run))

    def _params(self, run: int) -> Any:
        shapes = {name: out_of_blocks(name, part[run], self.m, self.k) for name, part in self.state.items()}
        return self.kind(**shapes)
