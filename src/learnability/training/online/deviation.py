r"""A network seen from its start, in units of the step: what float64 weights cannot hold.

At h = n^-6 one update moves a first-layer weight of size 1 by 1e-18 to 1e-15, below float64's spacing; stored
plainly, the first layer of a network with n = 60 never moves (and "both layers" is "last layer only" by rounding).
With u the step (h, or h / batch for mini-batches) the deviations are stored apart,

.. math:: W = W_0 + u^2 \Omega,\quad B = B_0 + u^2 \omega,\quad M = u\,(\mu_0 + u^2 \mu_1),\quad b = u\,c,

for a start with M = 0, b = 0 and ReLU. Where W_0 and B_0 are multiples of 1/4 (every symmetry initialisation) mu_0
is a sum of multiples of 1/4 and so exact, and the output in units of u splits into an exact part and a small one.

The exact part ties often, and now and then the small one, of order u^2, ties too: its sum in float64 is then rounding
or, where u^4 decides, 0. So every sum comes with a bound of its rounding, and an output within that bound is
formed anew in whole numbers: the sign of an output is that of the numbers stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.one_hidden import OneHidden

__all__ = ["Deviation", "Outputs", "Points", "lattice_bits"]

Array = NDArray[np.float64]
_BLOCK_ENTRIES = 12_000  # of a block's (inputs, neurons) arrays: 96 kB each, which stay in the cache


class Outputs(NamedTuple):
    """Outputs in units of the step, and how far each embedded point has moved."""

    values: Array
    """f(x) / u, (m,): the exact part plus the rest; of the sign of the numbers stored, also where both cancel."""
    movement: Array
    """Euclidean distance of ReLU(W x + B) from ReLU(W_0 x + B_0), (m,), without cancellation."""


class Points:
    """Inputs (m, n), grouped by Hamming weight where they are binary."""

    def __init__(self, X: Array) -> None:
        self.X = X
        self.groups: list[tuple[int, Array, NDArray[np.intp]]] = []
        """(weight, its inputs, their rows in X); empty where the inputs are not binary."""
        if ((X == 0) | (X == 1)).all():
            weights = X.sum(axis=1).astype(np.int64)
            order = np.argsort(weights, kind="stable")
            cuts = np.flatnonzero(np.diff(weights[order])) + 1
            self.groups = [(int(weights[rows[0]]), X[rows], rows) for rows in np.split(order, cuts)]


@dataclass(frozen=True)
class Deviation:
    """Start and deviations, as in the module's first lines."""

    start: OneHidden
    unit: float
    Omega: Array
    """(L, n)."""
    omega: Array
    """(L,)."""
    mu0: Array
    """(L,)."""
    mu1: Array
    """(L,)."""
    count: float
    updates: int = 0
    """Examples that made it so."""

    def network(self) -> OneHidden:
        """The network in plain float64: rounds the deviations away where they are below its spacing."""
        u2 = self.unit * self.unit
        return OneHidden(
            self.start.W + u2 * self.Omega,
            self.start.B + u2 * self.omega,
            self.unit * (self.mu0 + u2 * self.mu1),
            self.unit * self.count,
        )

    @property
    def norm(self) -> float:
        """Norm of (M, b) in units of the step."""
        mu = self.mu0 + self.unit**2 * self.mu1
        return float(np.sqrt(mu @ mu + self.count**2))

    def evaluate(self, X: Array) -> Outputs:
        """Outputs and movements at inputs X (m, n)."""
        values, movement = np.empty(len(X)), np.empty(len(X))
        u2, room = self.unit * self.unit, self._rounding
        exact = self._on_lattice(X)
        exactly, far = cache(self._in_whole_numbers), room * self._terms(np.abs(X).max(axis=0, initial=0.0), exact)
        size = max(1, _BLOCK_ENTRIES // len(self.mu0))
        for lo in range(0, len(X), size):
            x = X[lo : lo + size]
            z0 = x @ self.start.W.T + self.start.B
            zeta = x @ self.Omega.T + self.omega
            on = (z0 + u2 * zeta > 0) | ((z0 == 0) & (zeta > 0))
            leading = np.where(on, z0, 0.0)
            moving = np.where(on, zeta, 0.0)
            rest = moving @ self.mu0 + leading @ self.mu1 + u2 * (moving @ self.mu1)
            found = values[lo : lo + size]
            found[:] = (leading @ self.mu0 + self.count) + u2 * rest
            # ReLU(z) - ReLU(z0): u2 zeta where the neuron stays on, otherwise the part of it that is above zero
            moved = np.where(on & (z0 >= 0), u2 * zeta, np.where(on, z0 + u2 * zeta, np.minimum(-z0, 0.0)))
            movement[lo : lo + size] = np.sqrt((moved * moved).sum(axis=1))
            for i in np.flatnonzero(np.abs(found) <= far).tolist():
                if abs(found[i]) <= room * (terms := self._terms(np.abs(x[i]), exact, z0[i])) and terms > 0:
                    found[i] = exactly()(x[i])
        return Outputs(values, movement)

    def _terms(self, x: Array, exact: bool, z0: Array | None = None) -> float:
        """Sizes of what rounds in the output at any input of entries |x|, or at the one with ``z0``: their sum."""
        u2, size = self.unit * self.unit, np.abs(self.start.W) @ x + np.abs(self.start.B)
        moved = u2 * (np.abs(self.Omega) @ x + np.abs(self.omega))
        first = 0.0 if exact else size
        terms = (first + moved) * np.abs(self.mu0) + u2 * (size + moved) * np.abs(self.mu1)
        if z0 is not None:  # neurons that are off for certain add nothing
            terms = terms[z0 + moved + self._rounding * first >= 0]
        return float(terms.sum()) + (0.0 if exact else abs(self.count))

    @property
    def _rounding(self) -> float:
        """A bound of the relative rounding of sums over an input's entries, then over neurons, of products."""
        return (sum(self.Omega.shape) + 10) * 2 * float(np.finfo(float).eps)

    def _on_lattice(self, X: Array) -> bool:
        """Whether the leading parts of the outputs at these inputs are sums without rounding."""
        W, B = self.start.W, self.start.B
        if lattice_bits(X[:1]) is None:  # most that are off it show it here
            return False
        bits = [lattice_bits(*arrays) for arrays in ((X,), (W, B), (self.mu0, np.array([self.count])))]
        if None in bits:
            return False
        largest = (np.abs(W).sum(axis=1) * float(np.abs(X).max(initial=1.0)) + np.abs(B)) @ np.abs(self.mu0)
        return bool(largest + abs(self.count) < 2.0 ** (53 - sum(q for q in bits if q is not None)))

    def _in_whole_numbers(self) -> Callable[[Array], float]:
        """f(x) / u as a function of one input, rounded once at the end, and never to 0."""
        u2 = Fraction(self.unit) ** 2
        p, q = u2.numerator, u2.denominator
        scale, W, B, Omega, omega = _whole(self.start.W, self.start.B, self.Omega, self.omega)
        other, mu0, mu1, count = _whole(self.mu0, self.mu1, np.array([self.count]))
        W, B, M = q * W + p * Omega, q * B + p * omega, q * mu0 + p * mu1

        def output(x: Array) -> float:
            entry, whole = _whole(x)
            one = q * scale * entry  # what stands for 1 in z
            found = Fraction(int(M @ np.maximum(W @ whole + entry * B, 0) + q * one * count[0]), q * one * other)
            return float(found) or math.copysign(5e-324, found) if found else 0.0

        return output

    def outputs_by_weight(self) -> tuple[Array, Array]:
        r"""Exact part of f / u at Hamming weights 0..n, and a bound on the rest for *every* such input.

        Needs a start with constant rows. Where the bound is below the exact part, the weight alone decides the sign
        of the output, for every x in {0,1}^n of that weight. On the cube \|zeta_j\| is at most max(sum of the
        positive entries of row j of Omega, minus the sum of the negative ones) + \|omega_j\|; where that lets a
        neuron with z0 != 0 change sign the bound is infinite. Where the start is on no lattice, what rounds in the
        exact part counts among the rest.

        Returns
        -------
        values : (n+1,) array
        rest : (n+1,) array
        """
        n = self.Omega.shape[1]
        z0 = np.arange(n + 1)[:, None] * self.start.W[:, 0] + self.start.B
        above, below = self.Omega.clip(min=0).sum(axis=1), -self.Omega.clip(max=0).sum(axis=1)
        reach = np.maximum(above, below) + np.abs(self.omega)
        u2 = self.unit * self.unit
        values = z0.clip(min=0) @ self.mu0 + self.count
        rest = (z0 >= 0) @ (np.abs(self.mu0) * reach + u2 * np.abs(self.mu1) * reach)
        rest += z0.clip(min=0) @ np.abs(self.mu1)
        rest *= u2 * (1 + 1e-9)
        if not self._on_lattice(np.ones((1, n))):
            size = self._rounding * (np.arange(n + 1)[:, None] * np.abs(self.start.W[:, 0]) + np.abs(self.start.B))
            rest += size @ np.abs(self.mu0) + self._rounding * abs(self.count)
            reach = reach + size.max(axis=0) / u2
        flips = ((z0 != 0) & (u2 * reach >= np.abs(z0))).any(axis=1)
        return values, np.where(flips, np.inf, rest)

    def outputs(self, points: Array | Points) -> Array:
        """f(x) / u at inputs (m, n), in O(n) an input where the start sees the Hamming weight only.

        At a weight where no neuron with z0 != 0 can have changed sign, the neurons that are on are known and the
        rest of the output is linear in x, but for the few neurons at z0 = 0. Pass :class:`Points` for inputs that
        are evaluated often.
        """
        points = points if isinstance(points, Points) else Points(points)
        if not points.groups or not self.symmetric_start:
            return self.evaluate(points.X).values
        u2 = self.unit * self.unit
        mu = self.mu0 + u2 * self.mu1
        exact, rest = self.outputs_by_weight()
        exactly = cache(self._in_whole_numbers)
        room = 1.0 if not self._on_lattice(np.ones((1, self.Omega.shape[1]))) else self._rounding
        values = np.empty(len(points.X))
        for k, x, rows in points.groups:
            if np.isinf(rest[k]):
                values[rows] = self.evaluate(x).values
                continue
            z0 = k * self.start.W[:, 0] + self.start.B
            on, kink = np.where(z0 > 0, mu, 0.0), z0 == 0
            linear = x @ (on @ self.Omega) + (on @ self.omega + self.mu1 @ z0.clip(min=0))
            kinked = (x @ self.Omega[kink].T + self.omega[kink]).clip(min=0) @ mu[kink]
            found = exact[k] + u2 * (linear + kinked)
            for i in np.flatnonzero((np.abs(found) <= room * rest[k]) & (rest[k] > 0)):
                found[i] = exactly()(x[i])
            values[rows] = found
        return values

    def error(self, points: Array | Points, y: Array) -> float:
        """0-1 error at labelled inputs; output 0 is an error."""
        return float(np.mean(y * self.outputs(points) <= 0))

    @property
    def symmetric_start(self) -> bool:
        """Whether every row of W_0 is constant, so that the start sees the Hamming weight only."""
        return bool((self.start.W[:, :1] == self.start.W).all())

    def cube_error(self, labels: Array, probabilities: Array) -> float:
        """Exact 0-1 error under a distribution over Hamming weights, uniform within each weight.

        Parameters
        ----------
        labels : (n+1,) array of -1, +1
            Target's label at each weight.
        probabilities : (n+1,) array
            Probability of each weight, summing to 1.

        Raises
        ------
        ValueError
            If the start is not symmetric, or if the weight alone does not decide the sign (see
            ``outputs_by_weight``) and n > 20: then its inputs would have to be enumerated.
        """
        n = self.Omega.shape[1]
        labels = checks.labels("labels", labels, length=n + 1)
        probabilities = checks.distribution("probabilities", probabilities, length=n + 1)
        if not self.symmetric_start:
            raise RequestError("cube_error needs a start whose rows are constant (a symmetry initialisation)")
        values, rest = self.outputs_by_weight()
        wrong = (labels * values <= 0).astype(float)
        open_weights = np.flatnonzero((np.abs(values) <= rest) & (probabilities > 0))
        if open_weights.size:
            if n > 20:
                raise RequestError(
                    f"cube_error must enumerate the inputs of weight {open_weights[0]}, whose sign the weight alone "
                    f"does not decide; that is done for n <= 20, got n = {n}"
                )
            codes = np.arange(2**n, dtype=np.uint32)
            weight = np.bitwise_count(codes)
            for k in open_weights:
                bits = (codes[weight == k][:, None] >> np.arange(n, dtype=np.uint32)) & 1
                wrong[k] = np.mean(labels[k] * self.outputs(bits.astype(np.float64)) <= 0)
        return float(wrong @ probabilities)


def lattice_bits(*arrays: Array) -> int | None:
    """Smallest q of a few such that all entries are multiples of 2^-q, their sums exact; None if there is none."""
    for q in (0, 1, 2, 4, 8, 16):
        if all(_are_multiples(part, q) for array in arrays for part in _parts(array)):
            return q
    return None


def _are_multiples(array: Array, q: int) -> bool:
    scaled = array * 2.0**q
    return bool((np.abs(array) < 2.0 ** (40 - q)).all() and (scaled == np.round(scaled)).all())


def _parts(array: Array) -> Iterator[Array]:
    """A large array in parts, so that nothing of its size is made beside it."""
    flat = array.reshape(-1)
    return (flat[lo : lo + 2**16] for lo in range(0, len(flat), 2**16))


def _whole(*arrays: Array) -> Any:
    """A scale that makes all entries whole, then the arrays times it, as integers of any size."""
    scale = max(value.as_integer_ratio()[1] for array in arrays for value in array.ravel().tolist())
    found = []
    for array in arrays:
        entries = np.empty(array.size, dtype=object)
        entries[:] = [int(Fraction(value) * scale) for value in array.ravel().tolist()]
        found.append(entries.reshape(array.shape))
    return scale, *found
