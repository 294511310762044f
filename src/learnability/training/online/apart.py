"""The form ``deviation``: what it stores, runs and measures; its loop is in ``apart_loops``."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden
from learnability.training.online import apart_loops as kernels
from learnability.training.online.deviation import Deviation, Points
from learnability.training.online.loops import padded, spaced
from learnability.training.online.problem import TRACKED, Engine, Problem, Test, lattice_of, sizes_of
from learnability.training.vector.rows import aligned

__all__ = ["Apart"]

Array = NDArray[np.float64]


class Apart(Engine):
    """Both layers, apart from their start."""

    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem = problem
        X = problem.X
        z0, low, z0_error, bits = _at_start(problem, points)
        before = problem.before
        # A neuron that is off on the whole sample at the start never gets a gradient, so it never moves: left out.
        live = (z0 > 0).any(axis=0)
        if before is not None:  # what other examples have moved may be on
            live |= (before.mu0 != 0) | (before.mu1 != 0) | (before.omega != 0) | before.Omega.any(axis=1)
        self.live = np.flatnonzero(live)
        z0, size = padded(z0[:, self.live]), np.abs(z0[:, self.live])
        low = low if low is None else padded(low[:, self.live])
        v0 = z0.clip(min=0)
        (K, L), n = z0.shape, X.shape[1]
        least = padded(np.where(size > 0, size, np.inf).min(axis=0, initial=np.inf)[None, :])[0]
        least[len(self.live) :] = np.inf
        gram = v0 @ v0.T + 1.0
        rows, kinks = np.nonzero((z0 == 0) & (np.abs(z0).max(axis=0) > 0))
        # a sum over neurons of products of two entries, each off by z0_error, and of 1
        largest = 1.0 + float(((np.abs(z0) + z0_error) ** 2).max(axis=0).sum())
        gram_error = 0.0
        if low is not None:
            gram_error = 2 * z0_error * float(size.sum(axis=1).max() + L * z0_error)
            gram_error += (L + 10) * float(np.finfo(float).eps) * largest
        self.classes = kernels.Classes(
            of=cls,
            z0=z0,
            z0_low=np.empty((0, L)) if low is None else low,
            gram=gram,
            size=np.stack([v0.sum(axis=1), v0.max(axis=1)], axis=1),
            kinks=kinks,
            kink_ptr=np.searchsorted(rows, np.arange(K + 1)),
            z0_max=np.abs(z0).max(axis=0),
            z0_min=least if low is None else 0.75 * least,
        )
        entry_max = np.maximum(np.abs(X).max(axis=0), 1.0)
        self.sample = kernels.Sample(problem.y, *problem.sparse_rows(), entry_max, 1.0 + np.abs(X) @ entry_max)
        self.scale = kernels.Scale(
            unit2=problem.unit * problem.unit,
            threshold=problem.threshold,
            residue=problem.residue,
            gram_error=gram_error,
            gram_max=float(gram.max()),
            exact=2.0**53 / (4.0**bits * largest),  # multiples of 4^-bits that add up to less than 2^53 of them
            large=problem.large,
        )
        book = np.zeros(kernels.BOOK)
        book[kernels.FAST], book[kernels.SINCE] = 1.0, kernels.REFRESH
        mu0, mu0_low, mu1 = aligned(3, L)
        self.moving = kernels.Moving(spaced(n + 1, L), mu0, mu0_low, mu1, np.zeros(K), book)
        self.points = Points(X)
        if before is not None:
            self._go_on(before, v0, np.abs(entry_max).max(), low is not None)

    def _go_on(self, before: Deviation, v0: Array, largest: float, rough: bool) -> None:
        """Start from deviations that other examples have made."""
        now, some = self.moving, slice(0, len(self.live))
        now.Omega[:-1, some], now.Omega[-1, some] = before.Omega[self.live].T, before.omega[self.live]
        now.mu0[some], now.mu1[some] = before.mu0[self.live], before.mu1[self.live]
        now.P[:] = v0 @ now.mu0 + before.count
        book = now.book
        book[kernels.COUNT], book[kernels.TOTAL] = before.count, before.updates
        if rough:  # what earlier roundings have left is not known: as much as all updates may have
            eps, path = float(np.finfo(float).eps), float((np.abs(before.Omega) * largest).sum(axis=1).max(initial=0))
            book[kernels.P_ERROR] = before.updates * eps * float((v0 @ np.abs(now.mu0)).max() + abs(before.count))
            book[kernels.ZETA_PATH], book[kernels.MU1_PATH] = path, float(np.abs(now.mu1).max(initial=0))

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run the loop."""
        return kernels.deviation(  # type: ignore[no-any-return]
            self.moving, self.classes, self.sample, self.scale, order, epochs, self.problem.batch
        )

    def keep(self) -> dict[str, Array]:
        """All that moves."""
        return {**self.moving._asdict(), "Omega": self.moving.Omega[:, : len(self.moving.mu0)]}

    def measure(self, test: Test) -> dict[str, float]:
        """From the deviations."""
        _, deviation = self.final()
        tracked = deviation.evaluate(self.problem.X[:TRACKED])
        values = tracked.values if len(self.problem.y) <= TRACKED else deviation.outputs(self.points)
        error = float("nan") if test is None else deviation.error(*test)
        return self.problem.summary(values, deviation.unit, deviation.norm, float(tracked.movement.max()), error)

    def final(self) -> tuple[OneHidden, Deviation]:
        """The network and its deviations."""
        p = self.problem
        Omega, mu0, mu1 = (np.zeros(shape) for shape in (p.params.W.shape, len(p.params.B), len(p.params.B)))
        omega = np.zeros_like(mu0)
        live = slice(0, len(self.live))
        now = self.moving
        Omega[self.live], omega[self.live] = now.Omega[:-1, live].T, now.Omega[-1, live]
        mu0[self.live], mu1[self.live] = now.mu0[live], now.mu1[live]
        count, made = float(now.book[kernels.COUNT]), int(now.book[kernels.TOTAL])
        deviation = Deviation(p.params, p.unit, Omega, omega, mu0, mu1, count, made)
        return deviation.network(), deviation

    @property
    def ties(self) -> tuple[int, int]:
        """Counted by the loop."""
        return int(self.moving.book[kernels.TIES]), int(self.moving.book[kernels.UNRESOLVED])


def _at_start(problem: Problem, points: Array) -> tuple[Array, Array | None, float, int]:
    """Pre-activations at the start, of the right sign; what they leave of the exact numbers, if anything; their
    error; and the power of 1/2 in whose multiples they come.
    """
    W, B = problem.params.W, problem.params.B
    z0 = points @ W.T + B
    entries = sizes_of(problem.params, points)
    bits = lattice_of(problem, entries)
    if bits is not None:
        return z0, None, 0.0, bits
    errors = (points.shape[1] + 3) * float(np.finfo(float).eps) * entries
    low = kernels.remainders(points, W, B, z0)
    for k, j in np.argwhere((np.abs(z0) <= 4 * errors) & (errors > 0)):
        terms = zip(W[j].tolist(), points[k].tolist(), strict=True)
        exact = sum((Fraction(w) * Fraction(x) for w, x in terms), Fraction(B[j]))
        z0[k, j] = float(exact)
        low[k, j] = float(exact - Fraction(z0[k, j]))
    return z0, low, float(errors.max()), 0
