"""The forms ``direct`` and ``cached``, plain float64, and which of them is faster; their loops: ``plain_loops``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden, activate, hidden
from learnability.training import drive
from learnability.training.online import plain_loops as kernels
from learnability.training.online.loops import padded, spaced
from learnability.training.online.problem import TRACKED, Engine, Problem, Test, block, error_of, outputs_of

__all__ = ["Plain"]

Array = NDArray[np.float64]
_CACHE_BYTES = 2**26
_NARROW = 96  # neurons
_LOOK_UP, _VISIT = 16, 600  # as neurons that are added up
_FIRST_CACHE = 24 * 2**10  # bytes of it that are left for weights


class Plain(Engine):
    """Both layers or the last, in plain float64."""

    def __init__(self, problem: Problem, form: str) -> None:
        self.problem, self.form = problem, form
        params = problem.params
        n, L = params.W.shape[1], len(params.B)
        M = padded(params.M[None, :])[0]
        WT = spaced(n + 1, len(M))
        WT[:n, :L], WT[n, :L] = params.W.T, params.B
        if problem.activation == "sigmoid":  # padding neurons put out logistic(0) = 1/2, at M = 0, so they learn
            WT[n, L:] = -1e3
        self.network = kernels.Network(WT, M, np.array([float(params.b)]))
        indptr, columns, values = problem.sparse_rows()
        reach = float(np.sqrt(np.add.reduceat(values * values, indptr[:-1]).max()))
        self.sample = kernels.Sample(problem.y, indptr, columns, values, reach)
        self.rule = kernels.Rule(
            problem.unit, problem.beta, problem.batch, problem.both, problem.activation == "sigmoid", problem.large
        )
        self.cache = self._no_cache()
        self.start = hidden(params, problem.X[:TRACKED], problem.activation)
        # the present stretch: its end, the epochs and updates that it has made so far
        self.stretch = np.zeros(3, np.int64)

    @property
    def until(self) -> int:
        """The end of the present stretch."""
        return int(self.stretch[0])

    def decide(self, epoch: int) -> None:
        """Choose between the two forms, from the share of visits that updated in the last stretch."""
        m = len(self.problem.X)
        # growing stretches, at ends that do not depend on where the run stops: 4, 8, 16, .., 128, 192, ..
        once = self.form != "auto" or not self._fits
        length = drive.NEVER - epoch if once else max(4, min(epoch, max(64, epoch // 8)))
        share = self.stretch[2] / (self.stretch[1] * m) if self.stretch[1] else 0.5
        cache = self._use_cache(length, share)
        self.stretch[:] = epoch + length, 0, 0
        filled = len(self.cache.Z) > 0
        if cache and not filled:
            Z = self._lifted @ self.WT
            self.cache = kernels.Cache(Z, np.zeros_like(Z), self._lifted @ self._lifted.T)
        elif not cache and filled:
            self.WT[...] = self._weights()
            self.cache = self._no_cache()

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run the loop of the present form."""
        if len(self.cache.Z):
            done = kernels.cached(self.network, self.cache, self.sample, self.rule, order, epochs)
        else:
            done = kernels.direct(self.network, self.sample, self.rule, order, epochs)
        self.stretch[1:] += done[:2]
        return done  # type: ignore[no-any-return]

    @property
    def _fits(self) -> bool:
        m = len(self.problem.X)
        return max(m * len(self.network.M), m * m) * 16 <= _CACHE_BYTES

    def _use_cache(self, epochs: int, share: float) -> bool:
        m, L = len(self.problem.X), len(self.network.M)
        if self.form != "auto":
            return self.form == "cached"
        if not self._fits or epochs < 8:  # building and folding the cache costs two forward passes an example
            return False
        # Rows of L neurons that pass by, a visit. direct: those of the input's non-zero entries, and once more if the
        # visit updates; cached: those of the updates since the example's last visit, about share * m.
        entries = len(self.sample.columns) / m
        direct, cached = entries * (1 + share), share * m
        if L < _NARROW and not self.rule.sigmoid:
            # What a row costs beside its neurons is felt: a look-up in the Gram matrix, and the cache's own cost a
            # visit. Weights that hardly fit the first cache are slow to store.
            if self.network.WT.nbytes > _FIRST_CACHE:
                direct += entries * share
            cached = cached * (1 + _LOOK_UP / L) + _VISIT / L
        return cached < direct

    @property
    def WT(self) -> Array:
        """The first layer (n+1, L), without what waits in the cache."""
        return self.network.WT[:, : len(self.network.M)]

    @cached_property
    def _lifted(self) -> Array:
        """The inputs (x, 1), which only the cache needs."""
        X = self.problem.X
        return np.hstack([X, np.ones((len(X), 1))])

    def _no_cache(self) -> kernels.Cache:
        none = np.empty((0, len(self.network.M)))
        return kernels.Cache(none, none, np.empty((0, 0)))

    def _weights(self) -> Array:
        """The first layer, with what waits in the cache."""
        return self.WT + self._lifted.T @ self.cache.A if len(self.cache.Z) else self.WT

    def keep(self) -> dict[str, NDArray[Any]]:
        """The weights, what the cache holds, the stretch."""
        _, M, b = self.network
        return {"WT": self.WT, "M": M, "b": b, "Z": self.cache.Z, "A": self.cache.A, "stretch": self.stretch}

    def take(self, arrays: Mapping[str, Array]) -> None:
        """Go on, with a cache where there was one."""
        if len(arrays["Z"]):
            self.cache = kernels.Cache(arrays["Z"].copy(), arrays["A"].copy(), self._lifted @ self._lifted.T)
        super().take(arrays)

    def measure(self, test: Test) -> dict[str, float]:
        """From a forward pass over the sample."""
        p = self.problem
        network, _ = self.final()
        W, B, M, b = network
        V = activate(p.X[:TRACKED] @ W.T + B, p.activation)
        whole = len(p.X) <= min(TRACKED, block(network))
        outputs = V @ M + b if whole else outputs_of(network, p.X, p.activation)
        moved = V - self.start
        movement = float(np.sqrt((moved * moved).sum(axis=1)).max())
        error = float("nan") if test is None else error_of(network, test[0].X, test[1], p.activation)
        norm = float(np.hypot(np.linalg.norm(M), b))
        return p.summary(outputs, 1.0, norm, movement, error)

    def final(self) -> tuple[OneHidden, None]:
        """The network, with what waits in the cache."""
        L, WT = len(self.problem.params.B), self._weights()
        return OneHidden(
            WT[:-1, :L].T.copy(), WT[-1, :L].copy(), self.network.M[:L].copy(), float(self.network.b[0])
        ), None
