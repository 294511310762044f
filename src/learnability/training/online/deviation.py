r"""A network seen from its start, in units of the step: what float64 weights cannot hold.

At h = n^-6 one update moves a first-layer weight of size 1 by 1e-18 to 1e-15, below float64's spacing; stored
plainly, the first layer of a network with n = 60 never moves (and "both layers" is "last layer only" by rounding).
With u the step (h, or h / batch for mini-batches) the deviations are stored apart,

.. math:: W = W_0 + u^2 \Omega,\quad B = B_0 + u^2 \omega,\quad M = u\,(\mu_0 + u^2 \mu_1),\quad b = u\,c,

for a start with M = 0, b = 0 and ReLU. Where W_0 and B_0 are multiples of 1/4 (every symmetry initialisation) mu_0
is a sum of multiples of 1/4 and so exact, and the output in units of u splits into an exact part and a small one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability import checks
from learnability.networks.one_hidden import OneHidden

__all__ = ["Deviation", "Outputs", "Points"]

Array = NDArray[np.float64]
_BLOCK_ENTRIES = 12_000  # of a block's (inputs, neurons) arrays: 96 kB each, which stay in the cache


class Outputs(NamedTuple):
    """Outputs in units of the step, and how far each embedded point has moved."""

    values: Array
    """f(x) / u, (m,): the exact part plus the rest; its sign is right also where the exact part is 0."""
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
        u2 = self.unit * self.unit
        size = max(1, _BLOCK_ENTRIES // len(self.mu0))
        for lo in range(0, len(X), size):
            x = X[lo : lo + size]
            z0 = x @ self.start.W.T + self.start.B
            zeta = x @ self.Omega.T + self.omega
            on = (z0 + u2 * zeta > 0) | ((z0 == 0) & (zeta > 0))
            leading = np.where(on, z0, 0.0)
            moving = np.where(on, zeta, 0.0)
            rest = moving @ self.mu0 + leading @ self.mu1 + u2 * (moving @ self.mu1)
            values[lo : lo + size] = (leading @ self.mu0 + self.count) + u2 * rest
            # ReLU(z) - ReLU(z0): u2 zeta where the neuron stays on, otherwise the part of it that is above zero
            moved = np.where(on & (z0 >= 0), u2 * zeta, np.where(on, z0 + u2 * zeta, np.minimum(-z0, 0.0)))
            movement[lo : lo + size] = np.sqrt((moved * moved).sum(axis=1))
        return Outputs(values, movement)

    def outputs_by_weight(self) -> tuple[Array, Array]:
        r"""Exact part of f / u at Hamming weights 0..n, and a bound on the rest for *every* such input.

        Needs a start with constant rows. Where the bound is below the exact part, the weight alone decides the sign
        of the output, for every x in {0,1}^n of that weight. On the cube \|zeta_j\| is at most max(sum of the
        positive entries of row j of Omega, minus the sum of the negative ones) + \|omega_j\|; where that lets a
        neuron with z0 != 0 change sign the bound is infinite.

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
        flips = ((z0 != 0) & (u2 * reach >= np.abs(z0))).any(axis=1)
        return values, np.where(flips, np.inf, u2 * rest * (1 + 1e-9))

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
        values = np.empty(len(points.X))
        for k, x, rows in points.groups:
            if np.isinf(rest[k]):
                values[rows] = self.evaluate(x).values
                continue
            z0 = k * self.start.W[:, 0] + self.start.B
            on, kink = np.where(z0 > 0, mu, 0.0), z0 == 0
            linear = x @ (on @ self.Omega) + (on @ self.omega + self.mu1 @ z0.clip(min=0))
            kinked = (x @ self.Omega[kink].T + self.omega[kink]).clip(min=0) @ mu[kink]
            values[rows] = exact[k] + u2 * (linear + kinked)
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
            raise ValueError("cube_error needs a start whose rows are constant (a symmetry initialisation)")
        values, rest = self.outputs_by_weight()
        wrong = (labels * values <= 0).astype(float)
        open_weights = np.flatnonzero((np.abs(values) <= rest) & (probabilities > 0))
        if open_weights.size:
            if n > 20:
                raise ValueError(
                    f"cube_error must enumerate the inputs of weight {open_weights[0]}, whose sign the weight alone "
                    f"does not decide; that is done for n <= 20, got n = {n}"
                )
            codes = np.arange(2**n, dtype=np.uint32)
            weight = np.bitwise_count(codes)
            for k in open_weights:
                bits = (codes[weight == k][:, None] >> np.arange(n, dtype=np.uint32)) & 1
                wrong[k] = np.mean(labels[k] * self.outputs(bits.astype(np.float64)) <= 0)
        return float(wrong @ probabilities)
