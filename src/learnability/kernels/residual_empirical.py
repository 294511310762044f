r"""Kernels of a given network of the residual study at finite width, in blocks that bound the memory.

For the gradient of output r with respect to a hidden matrix M with inputs v (the row vector that M multiplies):
:math:`\partial_{M_j} out_r = C_{rj} v` with :math:`C = A D_1`, or for the ResNet and its second gates D_2

.. math:: C_W = (I + B) A D_1, \quad C_V = A D_2, \quad B = A D_2 V_{:, 1..k}, \qquad
          \partial_{A_{sj}} out_r = \delta_{rs} \phi_j + B_{rs} \mathrm{relu}(h_j) ,

where phi are the last layer's features; the term with B is the bottleneck's A. So every part of the tangent kernel is
an entrywise product of matrix products of n rows: nothing has the number of parameters as a dimension. The ReLU has
slope 1 at 0, as in the paper. Float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.networks.residual import Layer2, Layer3, Network, ResNet3, features, forward

__all__ = ["bottleneck", "conjugate", "tangent", "tangent_blocks"]

MEMORY = 2 * 2**30
"""Bytes that a result may take."""
WORKSPACE = 2**28
"""Bytes of activations held at a time, for both arguments together."""


def bottleneck(params: ResNet3, X: ArrayLike) -> FloatArray:
    """Outputs o = A relu(W (x, 1)) of a ResNet's first block at ``X`` (n, d): (n, k)."""
    return forward(Layer2(params.W, params.A), X)


def conjugate(params: Network, X: ArrayLike, Z: ArrayLike) -> FloatArray:
    """The kernel ``last``: inner products of the last layer's features, the same for every output; array (n, r).

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
        A ResNet's copy of A in the bottleneck is frozen: with the shared A the network would not be linear in it.
    X, Z : array (n, d), (r, d)

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, or the result would exceed 2 GiB (with the largest n that fits).
    """
    X, Z = _pair(X, Z)
    _affordable(8, len(X), len(Z))
    result, m = np.empty((len(X), len(Z))), len(params.W)
    for i in _rows(len(X), 4 * m):
        left = features(params, X[i])
        for j in _rows(len(Z), 4 * m):
            result[i, j] = left @ features(params, Z[j]).T
    return result


def tangent(params: Network, X: ArrayLike, Z: ArrayLike) -> dict[str, FloatArray]:
    """The part of each matrix in the tangent kernel, averaged over the outputs (its diagonal blocks).

    Parameters as in :func:`conjugate`.

    Returns
    -------
    dict
        A part (n, r) for each field of ``params``. Their sum is the kernel where everything is trained.
    """
    X, Z = _pair(X, Z)
    _affordable(8 * len(params), len(X), len(Z))
    k, parts = len(params.A), {name: np.empty((len(X), len(Z))) for name in params._fields}
    floats = _floats(params)
    for i in _rows(len(X), floats):
        x = _state(params, X[i])
        for j in _rows(len(Z), floats):
            z = _state(params, Z[j])
            output = x.phi @ z.phi.T
            if x.B is not None and z.B is not None:
                output += np.einsum("nrr->n", z.B) / k * (x.phi @ z.first.T)
                output += np.einsum("nrr->n", x.B)[:, None] / k * (x.first @ z.phi.T)
                output += np.einsum("nrs,prs->np", x.B, z.B) / k * (x.first @ z.first.T)
            parts["A"][i, j] = output
            for name, (v, C) in x.hidden.items():
                v_z, C_z = z.hidden[name]
                parts[name][i, j] = (v @ v_z.T) * np.tensordot(C, C_z, axes=((0, 2), (0, 2))) / k
    return parts


def tangent_blocks(
    params: Network, X: ArrayLike, Z: ArrayLike, *, train: tuple[str, ...] | None = None
) -> FloatArray:
    """The whole tangent kernel, output against output.

    Parameters
    ----------
    params, X, Z
        As in :func:`conjugate`.
    train : tuple of str, optional
        Fields of ``params`` that are trained; all by default.

    Returns
    -------
    array (k, n, k, r)
        Entry [r, i, s, j] for out_r(x_i) and out_s(z_j). Reshaped to (k n, k r) it is the matrix of kernel
        regression with all outputs coupled.

    Raises
    ------
    ValueError
        As in :func:`conjugate`, or if ``train`` names no field or another.
    """
    X, Z = _pair(X, Z)
    trained = params._fields if train is None else tuple(train)
    if not trained or set(trained) - set(params._fields):
        raise ValueError(f"train must name fields of {params._fields}, got {train!r}")
    k = len(params.A)
    _affordable(8 * k * k, len(X), len(Z))
    result = np.empty((k, len(X), k, len(Z)))
    floats = _floats(params)
    for i in _rows(len(X), floats):
        x = _state(params, X[i])
        for j in _rows(len(Z), floats):
            z = _state(params, Z[j])
            inner = {name: v @ z.hidden[name][0].T for name, (v, _) in x.hidden.items() if name in trained}
            output = _Output(x, z) if "A" in trained else None
            for r, s in np.ndindex(k, k):
                block = np.zeros((len(x.phi), len(z.phi))) if output is None else output.block(r, s)
                for name, product in inner.items():
                    block += product * (x.hidden[name][1][r] @ z.hidden[name][1][s].T)
                result[r, i, s, j] = block
    return result


class _State(NamedTuple):
    """What the gradients at some inputs are made of."""

    phi: FloatArray  # features of the last layer (n, m)
    hidden: dict[str, tuple[FloatArray, FloatArray]]  # inputs (n, q) and C (k, n, m) of each hidden matrix
    first: FloatArray  # relu(h) (n, m)
    B: FloatArray | None  # (n, k, k), of the ResNet


def _state(params: Network, X: FloatArray) -> _State:
    A = params.A
    x = _lifted(X)
    h = x @ params.W.T
    first, on = np.maximum(h, 0), h >= 0
    if isinstance(params, Layer2):
        return _State(first, {"W": (x, A[:, None, :] * on)}, first, None)
    if isinstance(params, Layer3):
        v = _lifted(first)
        h_2 = v @ params.U.T
        C = A[:, None, :] * (h_2 >= 0)
        return _State(np.maximum(h_2, 0), {"W": (x, (C @ params.U[:, :-1]) * on), "U": (v, C)}, first, None)
    o = _lifted(first @ A.T)
    h_2 = o @ params.V.T
    C = A[:, None, :] * (h_2 >= 0)
    B = np.moveaxis(C @ params.V[:, :-1], 0, 1)  # (n, k, k)
    through = np.moveaxis((np.eye(len(A)) + B) @ A, 1, 0)
    return _State(first + np.maximum(h_2, 0), {"W": (x, through * on), "V": (o, C)}, first, B)


class _Output:
    """The part of A at two sets of inputs."""

    def __init__(self, x: _State, z: _State) -> None:
        self.x, self.z = x, z
        self.features = x.phi @ z.phi.T
        if x.B is not None:
            self.mixed, self.swapped, self.first = x.phi @ z.first.T, x.first @ z.phi.T, x.first @ z.first.T

    def block(self, r: int, s: int) -> FloatArray:
        """Output r at the first inputs, output s at the second."""
        found = (r == s) * self.features
        if self.x.B is not None and self.z.B is not None:
            found += (self.x.B[:, r] @ self.z.B[:, s].T) * self.first
            found += self.z.B[:, s, r] * self.mixed
            found += self.x.B[:, r, s, None] * self.swapped
        return found


def _pair(X: ArrayLike, Z: ArrayLike) -> tuple[FloatArray, FloatArray]:
    X = checks.matrix("X", X)
    return X, checks.matrix("Z", Z, columns=X.shape[1])


def _lifted(X: FloatArray) -> FloatArray:
    return np.hstack([X, np.ones((len(X), 1))])


def _floats(params: Network) -> int:
    """Floats that the state at one input takes, its temporaries counted in."""
    return (3 * len(params.A) + 4) * len(params.W)


def _rows(n: int, floats: int) -> Iterator[slice]:
    """Blocks of rows, of so many floats each, that fill half of the workspace."""
    step = max(1, WORKSPACE // (16 * floats))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _affordable(each: int, n: int, r: int) -> None:
    if each * n * r > MEMORY:
        raise ValueError(
            f"X must have at most {MEMORY // (each * r)} rows for {r} rows of Z: the result would take "
            f"{each * n * r / 2**30:.1f} GiB of 2, got {n}"
        )
