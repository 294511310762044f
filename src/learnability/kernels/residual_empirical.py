r"""Kernels of a given network of the residual study at finite width, in blocks that bound the memory.

For the gradient of output r with respect to a hidden matrix M with inputs v (the row vector that M multiplies):
:math:`\partial_{M_j} out_r = C_{rj} v` with :math:`C = A D_1`, or for the ResNet and its second gates D_2

.. math:: C_W = (I + B) A D_1, \quad C_V = A D_2, \quad B = A D_2 V_{:, 1..k}, \qquad
          \partial_{A_{sj}} out_r = \delta_{rs} \phi_j + B_{rs} \mathrm{relu}(h_j) ,

where phi are the last layer's features; the term with B is the bottleneck's A. So every part of the tangent kernel is
an entrywise product of matrix products of n rows: nothing has the number of parameters as a dimension. Where C is A
times gates, the sum over outputs is one product of gates, weighted by :math:`\sum_r A_{rj}^2`, and costs 1/k of the
others. The ReLU has slope 1 at 0, as in the paper. Float64. Networks of any depth: :mod:`.connected`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels import pairs
from learnability.networks.residual import (
    Layer2,
    Layer3,
    Network,
    ResNet3,
    checked,
    checked_resnet,
    features,
    forward,
    lifted,
)

__all__ = ["bottleneck", "conjugate", "tangent", "tangent_blocks"]


def bottleneck(params: ResNet3, X: ArrayLike) -> FloatArray:
    """Outputs o = A relu(W (x, 1)) of a ResNet's first block at ``X`` (n, d): (n, k)."""
    params, X = checked_resnet(params, X)
    return forward(Layer2(params.W, params.A), X)


def conjugate(params: Network, X: ArrayLike, Z: ArrayLike) -> FloatArray:
    """The kernel ``last``: inner products of the last layer's features, the same for every output; array (n, r).

    Parameters
    ----------
    params : ResNet3, Layer3 or Layer2
        A ResNet's copy of A in the bottleneck is frozen: with the shared A the network would not be linear in it.
    X, Z : array (n, d), (r, d)
    """
    X, Z = pairs.pair(X, Z, 1)
    params, X = checked(params, X)
    return pairs.inner_products(partial(features, params), X, Z, 4 * len(params.W))


def tangent(params: Network, X: ArrayLike, Z: ArrayLike) -> dict[str, FloatArray]:
    """The part of each matrix in the tangent kernel, averaged over the outputs (its diagonal blocks).

    Parameters as in :func:`conjugate`.

    Returns
    -------
    dict
        A part (n, r) for each field of ``params``. Their sum is the kernel where everything is trained.
    """
    X, Z = pairs.pair(X, Z, 4)
    params, X = checked(params, X)
    k, parts = len(params.A), {name: np.empty((len(X), len(Z))) for name in params._fields}
    for i, x, j, z, mirrored in _blocks(params, X, Z):
        output = x.phi @ z.phi.T
        if x.B is not None and z.B is not None:
            output += np.einsum("nrr->n", z.B) / k * (x.phi @ z.first.T)
            output += np.einsum("nrr->n", x.B)[:, None] / k * (x.first @ z.phi.T)
            output += (_flat(x.B) @ _flat(z.B).T) / k * (x.first @ z.first.T)
        found = {"A": output}
        size = np.sqrt((params.A**2).sum(axis=0) / k)
        for name, hidden in x.hidden.items():
            other = z.hidden[name]
            if hidden.C is not None and other.C is not None:
                found[name] = _flat(hidden.C) @ _flat(other.C).T
                found[name] /= k
            else:
                gates = hidden.gate * size
                found[name] = gates @ (gates if z is x else other.gate * size).T
            found[name] *= hidden.inputs @ other.inputs.T
        for name, block in found.items():
            parts[name][i, j] = block
            if mirrored:
                parts[name][j, i] = block.T
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
    """
    params, X = checked(params, X)
    k = len(params.A)
    X, Z = pairs.pair(X, Z, k * k)
    trained = params._fields if train is None else train
    if not isinstance(trained, tuple) or not trained or not all(name in params._fields for name in trained):
        raise RequestError(f"train must name fields of {params._fields} in a tuple, got {train!r}")
    result = np.empty((k, len(X), k, len(Z)))
    for i, x, j, z, mirrored in _blocks(params, X, Z):
        inner = {
            name: hidden.inputs @ z.hidden[name].inputs.T for name, hidden in x.hidden.items() if name in trained
        }
        output = _Output(x, z) if "A" in trained else None
        for r, s in np.ndindex(k, k):
            if z is x and s < r:
                result[r, i, s, j] = result[s, i, r, j].T
                continue
            block = np.zeros((len(x.phi), len(z.phi))) if output is None else output.block(r, s)
            for name, product in inner.items():
                hidden, other = x.hidden[name], z.hidden[name]
                if hidden.C is not None and other.C is not None:
                    block += product * (hidden.C[:, r] @ other.C[:, s].T)
                else:
                    block += product * ((hidden.gate * (params.A[r] * params.A[s])) @ other.gate.T)
            result[r, i, s, j] = block
            if mirrored:
                result[s, j, r, i] = block.T
    return result


class _Hidden(NamedTuple):
    """What the gradient of a hidden matrix is made of, at some inputs."""

    inputs: FloatArray  # (n, q)
    gate: FloatArray  # (n, m)
    C: FloatArray | None = None  # (n, k, m); A times the gates if not given


class _State(NamedTuple):
    """What all gradients at some inputs are made of."""

    phi: FloatArray  # features of the last layer (n, m)
    hidden: dict[str, _Hidden]
    first: FloatArray  # relu(h) (n, m)
    B: FloatArray | None = None  # (n, k, k), of the ResNet


def _state(params: Network, X: FloatArray) -> _State:
    A, k = params.A, len(params.A)
    x = lifted(X)
    first = x @ params.W.T
    on = (first >= 0).astype(np.float64)
    np.maximum(first, 0, out=first)
    if isinstance(params, Layer2):
        return _State(first, {"W": _Hidden(x, on)}, first)
    v = lifted(first @ A.T if isinstance(params, ResNet3) else first)
    second = v @ (params.V if isinstance(params, ResNet3) else params.U).T
    gate = (second >= 0).astype(np.float64)
    np.maximum(second, 0, out=second)
    if isinstance(params, Layer3):
        C = np.empty((len(X), k, len(params.W)))
        for r in range(k):
            C[:, r] = (gate * A[r]) @ params.U[:, :-1]
        C *= on[:, None]
        return _State(second, {"W": _Hidden(x, on, C), "U": _Hidden(v, gate)}, first)
    B = np.empty((len(X), k, k))
    for r in range(k):
        B[:, r] = (gate * A[r]) @ params.V[:, :-1]
    C = (np.eye(k) + B).reshape(-1, k) @ A
    C = C.reshape(len(X), k, -1)
    C *= on[:, None]
    second += first
    return _State(second, {"W": _Hidden(x, on, C), "V": _Hidden(v, gate)}, first, B)


def _blocks(params: Network, X: FloatArray, Z: FloatArray) -> Iterator[tuple[slice, _State, slice, _State, bool]]:
    k, m = params.A.shape
    return pairs.blocks(partial(_state, params), X, Z, ((0 if isinstance(params, Layer2) else k) + 8) * m)


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


def _flat(C: FloatArray) -> FloatArray:
    return C.reshape(len(C), -1)
