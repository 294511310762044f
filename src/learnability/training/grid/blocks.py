"""Arrays of the hand-compiled engine: units in blocks (see :mod:`learnability.training.grid.loops`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability.training.vector.tiles import BLOCK, NARROW

__all__ = ["columns", "in_blocks", "out_of_blocks", "zeros"]


def columns(k: int) -> int:
    """Columns of the outputs: k and the constant, and what makes that vectors; short ones for few outputs."""
    half = BLOCK // 2
    return NARROW if k < NARROW else -(-(k + 1) // half) * half


def zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that start on a cache line: a vector that lies across two lines costs twice."""
    bytes_ = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(bytes_ + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    aligned: NDArray[Any] = raw[skip : skip + bytes_].view(dtype).reshape(shape)
    return aligned


def in_blocks(name: str, part: NDArray[Any]) -> NDArray[Any]:
    """(blocks, inputs, BLOCK) of a layer (units, inputs), or of A (k, units); unused lanes are 0."""
    rows = part.T if name == "A" else part
    units = -(-len(rows) // BLOCK) * BLOCK
    if name == "U":  # its inputs are units too, and the bias comes after them
        rows = np.hstack([rows[:, :-1], np.zeros((len(rows), units - len(rows)), part.dtype), rows[:, -1:]])
    padded = np.zeros((units, rows.shape[1]), part.dtype)
    padded[: len(rows)] = rows
    return padded.reshape(-1, BLOCK, rows.shape[1]).swapaxes(1, 2)


def out_of_blocks(name: str, part: NDArray[Any], m: int, k: int) -> NDArray[Any]:
    """A copy of the layer, from its blocks."""
    rows = part.swapaxes(1, 2).reshape(-1, part.shape[1])[:m]
    if name == "A":
        return np.array(rows.T, order="C")
    if name == "U":
        return np.hstack([rows[:, :m], rows[:, -1:]])
    return np.array(rows)
