r"""Mini-batch SGD of the residual study's networks, by an engine of their own: whole grids, at the processor's pace.

What :func:`learnability.training.minibatch.train` does for any model, done for 2layer, 3layer and 3resnet
(:mod:`learnability.networks.residual`) with the squared loss and SGD with momentum. A general compiler makes a chain
of operations out of a step, each of which passes over the whole layer; here a block of units goes through product,
ReLU, gate and update in registers and the first cache (:mod:`learnability.training.vector.tiles`). The same starts,
batches and hyper-parameters give the same weights; ``benchmarks/residual_grid.py`` has the times.

Runs of a grid share start and batches and are trained one beside the other, an epoch each, in groups as large as the
memory allows. A run that diverges ends there and costs nothing more.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.residual import Layer2, Layer3, Network, ResNet3, size
from learnability.training.grid import loops as steps
from learnability.training.grid.blocks import columns, in_blocks, out_of_blocks, zeros
from learnability.training.record import MinibatchRun, Outcome, record_epochs
from learnability.training.vector.tiles import BLOCK, kernel

__all__ = ["MEMORY", "memory", "train"]

MEMORY = 4.0 * 2**30
"""Default memory limit in bytes."""


def memory(network: str, d: int, k: int, m: int, *, runs: int = 1, batch: int = 50, dtype: str = "float32") -> float:
    """Bytes of the arrays that :func:`train` works on for ``runs`` runs at once.

    Weights, velocities and transposed copies of every run, and the activations of one batch. Beside them stand the
    samples, the start in float64 while it is copied, and the final weights of all runs.

    Parameters
    ----------
    network : {"3resnet", "3layer", "2layer"}
    d, k, m : int
        Inputs, outputs, width; >= 1.
    runs, batch : int
        >= 1.
    dtype : {"float32", "float64"}
    """
    runs = checks.integer("runs", runs, at_least=1)
    batch = checks.integer("batch", batch, at_least=1)
    padded = -(-checks.integer("m", m, at_least=1) // BLOCK) * BLOCK
    own = 2 * size(network, d, k, padded) + padded * 2 * columns(k)
    shared = padded * (3 * batch + k) + 2 * padded
    return float((runs * own + shared) * (8 if dtype == "float64" else 4))


def train(
    params: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    learning_rate: ArrayLike,
    weight_decay: ArrayLike = 0.0,
    momentum: float = 0.9,
    batch: int,
    epochs: int,
    rng: np.random.Generator,
    trainable: Sequence[str] | None = None,
    biases: bool = True,
    schedule: Callable[[int], float] | None = None,
    watch: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    record: Sequence[int] | NDArray[np.int64] | None = None,
    dtype: str = "float32",
    limit: float = MEMORY,
) -> list[MinibatchRun]:
    r"""Train a network on mini-batches, with one or several learning rates and weight decays.

    With gradient g of :math:`\frac{1}{2b} \sum \|out - y\|^2` over a batch of b: v <- mu v + (g + omega theta),
    theta <- theta - eta v, as in PyTorch. An epoch's last batch may be smaller; it is a step like the others.

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
        Where training starts.
    X : (N, d) array
        Finite; a row an example.
    Y : (N, k) array
        Finite targets.
    learning_rate, weight_decay : float or (R,) arrays
        eta > 0 and omega >= 0. Arrays make R runs; a number is the same for all.
    momentum : float
        mu, in [0, 1).
    batch, epochs : int
        >= 1 and >= 0.
    rng : numpy.random.Generator
        Draws a permutation of the examples for every epoch until all runs have ended, the same for all runs.
    trainable : sequence of str, optional
        Fields of ``params`` that are trained; all of them if not given.
    biases : bool
        If not, the input 1 that meets the last column of W is 0, and W must have 0 there; for ``Layer2`` only.
    schedule : callable (epoch) -> float, optional
        Factor of the learning rate in each epoch (1 is the first).
    watch : mapping of str to (X, Y), optional
        Their mean loss is recorded.
    record : sequence of int, optional
        Epochs to record at; about 60 evenly spaced in the logarithm if not given. The last is always recorded; of a
        run that diverged nothing is from that epoch on.
    dtype : {"float32", "float64"}
        Of all arithmetic.
    limit : float
        Bytes, see :func:`memory`: runs are trained in groups that keep to it.

    Returns
    -------
    list of MinibatchRun
        One for each run, in order. Columns are ``epoch``, ``running_loss`` (mean over the epoch, each batch before its step;
        NaN at epoch 0), ``<name>_loss`` of what is watched, after the epoch, and ``norm`` of the trained parameters,
        all together. The outcome is ``diverged`` where a loss or weight stopped being finite, else
        ``budget_reached``.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes disagree, or one run alone would exceed ``limit`` (with the largest
        width that would not).
    """
    X, Y = checks.matrix("X", X), checks.matrix("Y", Y)
    kind, arrays = _checked(params, X, Y)
    trained = _fields(arrays, trainable)
    rates, decays = _grid(learning_rate, weight_decay)
    momentum = checks.real("momentum", momentum, at_least=0.0)
    if momentum >= 1:
        raise ValueError(f"momentum must be < 1, got {momentum!r}")
    batch = checks.integer("batch", batch, at_least=1)
    epochs = checks.integer("epochs", epochs, at_least=0)
    rng = checks.generator("rng", rng)
    checks.choice("dtype", dtype, ("float32", "float64"))
    if not biases and (kind is not Layer2 or np.any(arrays["W"][:, -1])):
        raise ValueError("biases may be switched off for a Layer2 whose W has 0 in its last column only")
    at = {int(epoch) for epoch in record_epochs(record, epochs)}
    if schedule is not None and not callable(schedule):
        raise ValueError(f"schedule must be a function of the epoch, got {schedule!r}")
    if watch is not None and not isinstance(watch, Mapping):
        raise ValueError(f"watch must map names to pairs (X, Y), got {watch!r}")
    watched = {
        name: (checks.matrix(f"watch[{name!r}]", Z), checks.matrix(f"watch[{name!r}]", of_Z))
        for name, (Z, of_Z) in (watch or {}).items()
    }
    for Z, of_Z in watched.values():
        _checked(params, Z, of_Z)
    batch = min(batch, len(X))
    together = _together(kind, arrays, len(rates), batch, dtype, limit)

    found: list[MinibatchRun] = []
    for start in range(0, len(rates), together):
        part = slice(start, start + together)
        group = _Group(kind, arrays, trained, rates[part], decays[part], momentum, batch, dtype)
        one = 1.0 if biases else 0.0
        sample = _lifted(X, one, dtype), Y.astype(dtype)
        others = {name: (_lifted(Z, one, dtype), of_Z) for name, (Z, of_Z) in watched.items()}
        last = start + together >= len(rates)
        found += group.train(sample, others, rng if last else copy.deepcopy(rng), epochs, at, schedule)
    return found


class _Group:
    """Runs trained side by side: their arrays in blocks, with a leading axis of runs."""

    def __init__(
        self,
        kind: type[Any],
        arrays: dict[str, FloatArray],
        trained: tuple[str, ...],
        rates: FloatArray,
        decays: FloatArray,
        momentum: float,
        batch: int,
        dtype: str,
    ) -> None:
        self.kind, self.trained, self.dtype, self.batch = kind, trained, np.dtype(dtype), batch
        self.rates, self.decays, self.momentum = rates, decays, momentum
        self.kernel = kernel(dtype)
        self.k, self.m = arrays["A"].shape
        self.runs = np.arange(len(rates))  # that are still alive
        blocks = {name: in_blocks(name, part) for name, part in arrays.items()}
        self.state = {name: self._copies(part) for name, part in blocks.items()}
        self.velocity = {
            name: zeros(part.shape if name in trained else (1,) * 4, self.dtype) for name, part in self.state.items()
        }
        K, n = columns(self.k), len(blocks["A"])
        self.turned = {"A": self._turned("A", K)}
        if kind is ResNet3:
            self.turned["V"] = self._turned("V", K)
        layer, outputs = (n, batch, BLOCK), (batch, K)
        rows = max(BLOCK, self.k + 1, blocks["W"].shape[1])
        self.scratch = {
            name: zeros(shape, self.dtype)
            for name, shape in {
                "h": layer, "h2": layer, "q": layer if kind is Layer3 else (batch, BLOCK), "p": (batch, BLOCK),
                "T": (BLOCK, BLOCK), "ones": (batch, BLOCK), "o": outputs, "out": outputs, "back": outputs,
                "g": (rows, BLOCK), "gA": (n, self.k, BLOCK) if kind is ResNet3 else (1, 1, 1),
            }.items()
        }  # fmt: skip
        self.scratch["ones"][:] = 1

    def _copies(self, part: FloatArray) -> NDArray[Any]:
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
        schedule: Callable[[int], float] | None,
    ) -> list[MinibatchRun]:
        X, Y = sample
        names = ["epoch", "running_loss", *(f"{name}_loss" for name in watched), "norm"]
        logs: list[dict[str, list[float]]] = [{name: [] for name in names} for _ in self.rates]
        ended = dict.fromkeys(self.runs.tolist(), (Outcome.BUDGET_REACHED, epochs))
        losses = np.full(len(self.rates), np.nan)

        def note(epoch: int) -> None:
            for run in self.runs.tolist():
                seen = {f"{name}_loss": self._loss(run, *other) for name, other in watched.items()}
                for name, value in {
                    "epoch": epoch,
                    "running_loss": losses[run],
                    **seen,
                    "norm": self._norm(run),
                }.items():
                    logs[run][name].append(value)

        def drop(epoch: int, gone: NDArray[np.bool_]) -> None:
            ended.update(dict.fromkeys(self.runs[gone].tolist(), (Outcome.DIVERGED, epoch)))
            self.runs = self.runs[~gone]

        if 0 in at:
            note(0)
        for epoch in range(1, epochs + 1):
            factor = 1.0 if schedule is None else checks.real("schedule", schedule(epoch), above=0.0)
            order = rng.permutation(len(X))
            self._epoch(X[order], Y[order], factor, losses)
            losses /= len(X)
            gone = ~np.isfinite(losses[self.runs])
            if epoch == epochs or (epoch in at and not gone.all()):
                gone |= ~np.isfinite([self._norm(run) for run in self.runs.tolist()])
            drop(epoch, gone)
            if epoch in at:
                note(epoch)
            if not len(self.runs):
                break
        return [
            MinibatchRun(
                {name: np.array(column) for name, column in logs[run].items()}, outcome, last,
                last * -(-len(X) // self.batch), self._params(run), None, float(self.rates[run]), float(self.decays[run]),
            )
            for run, (outcome, last) in sorted(ended.items())
        ]  # fmt: skip

    def _epoch(self, X: NDArray[Any], Y: NDArray[Any], factor: float, losses: FloatArray) -> None:
        of, v, t, s = self.state, self.velocity, self.turned, self.scratch
        rates, decays = (np.asarray(part, self.dtype) for part in (factor * self.rates, self.decays))
        common = (self.kernel, self.runs, rates, decays, self.dtype.type(self.momentum), X, Y, self.batch, self.k)
        trains = tuple(name in self.trained for name in self.kind._fields)
        if self.kind is ResNet3:
            steps.epoch_3resnet(
                *common, trains, of["W"], of["V"], of["A"], t["A"], t["V"], v["W"], v["V"], v["A"],
                s["h"], s["h2"], s["q"], s["o"], s["out"], s["back"], s["g"], s["gA"], losses,
            )  # fmt: skip
        elif self.kind is Layer3:
            steps.epoch_3layer(
                *common, trains, of["W"], of["U"], of["A"], t["A"], v["W"], v["U"], v["A"],
                s["h"], s["h2"], s["q"], s["p"], s["T"], s["ones"], s["out"], s["g"], losses,
            )  # fmt: skip
        else:
            steps.epoch_2layer(
                *common, trains, of["W"], of["A"], t["A"], v["W"], v["A"], s["h"], s["q"], s["out"], s["g"], losses
            )

    def _outputs(self, run: int, X: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Outputs of a run at X, batch by batch."""
        of, AT, s, k = self.state, self.turned["A"][run], self.scratch, self.k
        for start in range(0, len(X), self.batch):
            x = X[start : start + self.batch]
            if self.kind is ResNet3:
                steps.outputs_3resnet(
                    self.kernel, x, len(x), k, of["W"][run], of["V"][run], AT, s["h"], s["h2"], s["o"], s["out"]
                )
            elif self.kind is Layer3:
                steps.outputs_3layer(
                    self.kernel, x, len(x), k, of["W"][run], of["U"][run], AT, s["h"], s["h2"], s["ones"], s["out"]
                )
            else:
                steps.outputs_2layer(self.kernel, x, len(x), k, of["W"][run], AT, s["h"], s["out"])
            yield s["out"][: len(x), :k].astype(np.float64)

    def _loss(self, run: int, X: NDArray[Any], Y: FloatArray) -> float:
        outputs = np.concatenate(list(self._outputs(run, X)))
        with np.errstate(over="ignore"):  # of a run that is about to diverge
            return float(((outputs - Y) ** 2).sum() / (2 * len(X)))

    def _norm(self, run: int) -> float:
        squares = (np.linalg.norm(self.state[name][run].astype(np.float64)) for name in self.trained)
        return math.hypot(*squares)

    def _params(self, run: int) -> Any:
        shapes = {name: out_of_blocks(name, part[run], self.m, self.k) for name, part in self.state.items()}
        return self.kind(**shapes)


# Arguments ----------------------------------------------------------------------------------------------------


def _checked(params: Any, X: FloatArray, Y: FloatArray) -> tuple[type[Any], dict[str, FloatArray]]:
    from learnability.networks.residual import forward

    forward(params, X[:1])  # says what is wrong with params, and with X beside them
    arrays = {name: np.asarray(part, dtype=np.float64) for name, part in params._asdict().items()}
    if Y.shape != (len(X), len(arrays["A"])):
        raise ValueError(f"Y must have shape {(len(X), len(arrays['A']))}, a row for each of X, got {Y.shape}")
    return type(params), arrays


def _fields(arrays: Mapping[str, Any], trainable: Sequence[str] | None) -> tuple[str, ...]:
    if trainable is not None and not isinstance(trainable, Sequence):
        raise ValueError(f"trainable must be a sequence of names, got {trainable!r}")
    names = tuple(arrays) if trainable is None else tuple(trainable)
    if isinstance(trainable, str) or not names or not set(names) <= set(arrays):
        raise ValueError(f"trainable must name fields of params ({', '.join(arrays)}), got {trainable!r}")
    return names


def _grid(learning_rate: ArrayLike, weight_decay: ArrayLike) -> tuple[FloatArray, FloatArray]:
    rates = checks.vector("learning_rate", np.atleast_1d(np.asarray(learning_rate)))
    decays = checks.vector("weight_decay", np.atleast_1d(np.asarray(weight_decay)))
    if not len(rates) or (rates <= 0).any():
        raise ValueError(f"learning_rate must hold numbers > 0, got {learning_rate!r}")
    if not len(decays) or (decays < 0).any():
        raise ValueError(f"weight_decay must hold numbers >= 0, got {weight_decay!r}")
    if len(rates) != len(decays) and 1 not in (len(rates), len(decays)):
        raise ValueError(
            f"learning_rate and weight_decay must have one length (or 1), got {len(rates)} and {len(decays)}"
        )
    count = max(len(rates), len(decays))
    return np.broadcast_to(rates, count).copy(), np.broadcast_to(decays, count).copy()


def _together(
    kind: type[Any], arrays: Mapping[str, FloatArray], runs: int, batch: int, dtype: str, limit: float
) -> int:
    """How many runs fit into the memory at once."""
    limit = checks.real("limit", limit, above=0.0)
    network = {ResNet3: "3resnet", Layer3: "3layer", Layer2: "2layer"}[kind]
    k, m = arrays["A"].shape
    d = arrays["W"].shape[1] - 1

    def need(m: int, runs: int) -> float:
        return memory(network, d, k, m, runs=runs, batch=batch, dtype=dtype)

    if need(m, 1) > limit:
        most = m // BLOCK * BLOCK
        while most > 0 and need(most, 1) > limit:
            most -= max(BLOCK, most // 64 // BLOCK * BLOCK)
        raise ValueError(
            f"a {network} of width m = {m:,} takes {need(m, 1):.3g} bytes, more than limit = {limit:.3g}; the "
            f"largest width that fits is about {max(most, 0):,}"
        )
    own = need(m, 2) - need(m, 1)
    return max(1, min(runs, int((limit - need(m, 1)) // own) + 1))


def _lifted(X: FloatArray, one: float, dtype: str) -> NDArray[Any]:
    return np.hstack([X, np.full((len(X), 1), one)]).astype(dtype)
