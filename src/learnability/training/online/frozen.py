"""The form ``frozen``: the last layer only, from the Gram matrix of the distinct embedded points."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.compiling import njit
from learnability.networks.one_hidden import OneHidden, hidden
from learnability.training.drive import BUDGET, CONVERGED, DIVERGED, LARGE
from learnability.training.online.deviation import Deviation
from learnability.training.online.exact import Exact
from learnability.training.online.loops import AHEAD, EPS, FAR, HUGE
from learnability.training.online.problem import MOST_UPDATES, Engine, Problem, Test, error_of, lattice_of, sizes_of
from learnability.training.vector.ahead import prefetch

__all__ = ["Frozen"]

Array = NDArray[np.float64]

# What the loop keeps beside outputs and counts: a bound of the rounding in the outputs; their largest size at the end
# of the last epoch; updates so far; and within an epoch the visit to come and the updates made.
OFF, SIZE, MADE, VISIT, IN_EPOCH = range(5)
BOOK = 5
ASK = -1


class Sample(NamedTuple):
    """The distinct points and the examples."""

    gram: Array
    """(K, K) of the lifted points."""
    of: NDArray[np.int32]
    """(m,) the point of each example."""
    y: Array


class Moving(NamedTuple):
    """What a run moves."""

    out: Array
    """(K,) outputs in units of the step."""
    signed: Array
    """(K,) signed number of updates of each point."""
    book: Array
    """(BOOK,) see above."""


class Rule(NamedTuple):
    """Numbers of a run."""

    threshold: float
    """The largest float64 <= beta / step."""
    gram_error: float
    """Of an entry of the Gram matrix, and the largest."""
    gram_max: float
    exact: float
    """Updates up to which outputs are exact."""
    batch: int
    large: float


@njit
def last_layer(moving, sample, rule, answers, order, epochs):  # type: ignore[no-untyped-def]
    """Output layer only, in units of the step: outputs move by rows of the Gram matrix of distinct points.

    Beyond the exact updates each moves an output away from its exact value by no more than the error of the Gram
    matrix and the rounding of one sum. A decision within what has so gathered is asked for: the loop returns ``ASK``
    before the batch that begins at ``book[VISIT]``, and called again finds in ``answers`` (batch,) 1 for an update
    and -1 for none.
    """
    out, signed, book = moving
    gram, cls, y = sample
    batch = rule.batch
    m = order.shape[1]
    K = len(out)
    threshold = rule.threshold
    width = book[OFF] + EPS * (book[OFF] + threshold) if book[OFF] > 0.0 else 0.0
    low, high = threshold - width, threshold + width
    total = 0
    room, begin, before = rule.exact - book[MADE], int(book[VISIT]), -int(book[IN_EPOCH])
    pending = np.empty(batch, np.int32)
    asked = answers[0] != 0
    far = len(y) > FAR
    for e in range(epochs):
        for start in range(begin, m, batch):
            n_pending = 0
            for visit in range(start, min(start + batch, m)):
                i = order[e, visit]
                if far and visit + 4 * AHEAD < m:  # a visit is short: it must be asked for early
                    prefetch(y, order[e, visit + 4 * AHEAD])
                    prefetch(cls, order[e, visit + 4 * AHEAD])
                s = y[i] * out[cls[i]]
                if s > high:
                    continue
                if s > low:
                    if not asked:
                        book[MADE] += total - max(before, 0)
                        book[VISIT], book[IN_EPOCH] = start, total - before
                        return e, total, ASK
                    if answers[visit - start] < 0:
                        continue
                pending[n_pending] = i
                n_pending += 1
            if asked:
                answers[:] = 0
                asked = False
            if n_pending == 0:
                continue
            for q in range(n_pending):
                i = pending[q]
                label = y[i]
                row = gram[cls[i]]
                for k in range(K):
                    out[k] += label * row[k]
                signed[cls[i]] += label
            total += n_pending
            if total > room:
                size = book[SIZE] + (total - before) * rule.gram_max
                book[OFF] += n_pending * (rule.gram_error + EPS * size)
                width = book[OFF] + EPS * (book[OFF] + threshold)
                low, high = threshold - width, threshold + width
        most = np.abs(out).max()
        book[SIZE], book[VISIT], book[IN_EPOCH] = most, 0.0, 0.0
        book[MADE] += total - max(before, 0)
        if total == before:
            return e + 1, total, CONVERGED
        begin, before = 0, total
        if not most < HUGE:
            return e + 1, total, DIVERGED
        if most > rule.large:
            return e + 1, total, LARGE
    return epochs, total, BUDGET


class Frozen(Engine):
    """The last layer."""

    def __init__(self, problem: Problem, points: Array, cls: NDArray[np.int32]) -> None:
        self.problem = problem
        params = problem.params
        relu = problem.activation == "relu"
        self.V = hidden(params, points, problem.activation)
        gram = self.V @ self.V.T + 1.0
        self.sample = Sample(gram, cls, problem.y)
        before = problem.before
        out = (self.V @ params.M + params.b) / problem.unit
        if before is not None:
            out = self.V @ before.mu0 + before.count
        self.moving = Moving(out, np.zeros(len(points)), np.zeros(BOOK))
        self.moving.book[MADE] = 0.0 if before is None else before.updates
        self.answers = np.zeros(problem.batch, np.int8)
        zero = params.b == 0 and not params.M.any()
        sizes = sizes_of(params, points)
        gram_error, exact = 0.0, float(MOST_UPDATES)
        if not (relu and zero) or lattice_of(problem, sizes) is None:
            L, eps = len(params.M), float(np.finfo(float).eps)
            error = (points.shape[1] + 3) * eps * float(sizes.max()) if relu else 0.0
            # sums over neurons of products of two entries, each off by ``error``, and of 1
            gram_error = 2 * error * float(self.V.sum(axis=1).max() + L * error)
            gram_error += (L + 10) * eps * (1.0 + float(((self.V + error) ** 2).sum(axis=1).max()))
            exact = 0.0
            M, b, unit = (params.M, params.b, problem.unit) if before is None else (before.mu0, before.count, 1.0)
            size = np.abs(M).sum() * error
            size += (L + 10) * eps * float((self.V @ np.abs(M)).max() + abs(b))
            self.moving.book[[OFF, SIZE]] = 2 * size / unit, np.abs(out).max()
        below = np.nextafter(problem.threshold, -np.inf) if problem.residue < 0 else problem.threshold
        self.rule = Rule(float(below), gram_error, float(gram.max()), exact, problem.batch, problem.large)
        moved = None if before is None else np.append(before.mu0, before.count)
        self.exactly = cache(lambda: Exact(params, points, None if relu else self.V, *problem.rational, moved))

    def run(self, order: NDArray[np.int32], epochs: int) -> tuple[int, int, int]:
        """Run the loop, and answer in whole numbers what it asks."""
        p = self.problem
        ran = total = 0
        while True:
            more, made, status = last_layer(
                self.moving, self.sample, self.rule, self.answers, order[ran:], epochs - ran
            )
            ran, total = ran + more, total + made
            if status != ASK:
                return ran, total, status
            start = int(self.moving.book[VISIT])
            for at, i in enumerate(order[ran, start : start + p.batch].tolist()):
                above = self.exactly().above(int(self.sample.of[i]), p.y[i], self.moving.signed)
                self.answers[at] = -1 if above else 1

    def keep(self) -> dict[str, Array]:
        """Outputs, counts and the book."""
        return {"out": self.moving.out, "count": self.moving.signed, "book": self.moving.book}

    def measure(self, test: Test) -> dict[str, float]:
        """From the outputs that are kept."""
        p = self.problem
        network, deviation = self.final()
        if test is None:
            error = float("nan")
        elif deviation is not None:
            error = deviation.error(*test)
        else:
            error = error_of(network, test[0].X, test[1], p.activation)
        norm = deviation.norm if deviation else float(np.hypot(np.linalg.norm(network.M), network.b)) / p.unit
        return p.summary(self.moving.out[self.sample.of], p.unit, norm, 0.0, error)

    def final(self) -> tuple[OneHidden, Deviation | None]:
        """The last layer, from the counts."""
        p = self.problem
        mu, count = self.moving.signed @ self.V, float(self.moving.signed.sum())
        if p.before is not None:
            mu, count = p.before.mu0 + mu, p.before.count + count
        if p.activation == "relu" and p.params.b == 0 and not p.params.M.any():
            zeros, made = np.zeros_like(p.params.W), int(self.moving.book[MADE])
            deviation = Deviation(p.params, p.unit, zeros, zeros[:, 0], mu, np.zeros_like(mu), count, made)
            return deviation.network(), deviation
        return p.params._replace(M=p.params.M + p.unit * mu, b=p.params.b + p.unit * count), None
