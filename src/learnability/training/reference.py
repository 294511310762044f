"""The oracle: batch-one (or mini-batch) SGD on a one-hidden-layer network, as readable as the paper.

Every faster engine must make the same updates and reach the same weights. The code runs on whatever numbers its
arrays hold. With float64 it is ordinary floating-point SGD. With ``fractions.Fraction`` or ``mpmath.mpf`` entries
(object arrays) it is the paper's algorithm in exact or high-precision arithmetic, and so also decides ties and
resolves movements that float64 cannot see: that is what the symmetry runs at h = n^-6 are tested against.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.networks.one_hidden import OneHidden
from learnability.networks.separable import TwoLayer
from learnability.training.orders import example_orders

__all__ = ["Epoch", "TwoLayerEpoch", "sgd", "sgd_epoch", "two_layer_epoch"]


class Epoch(NamedTuple):
    """Network after an epoch, and for each visit in order whether it triggered an update."""

    params: OneHidden
    updated: NDArray[np.bool_]


def sgd_epoch(
    params: OneHidden,
    X: NDArray[Any],
    y: NDArray[Any],
    order: NDArray[Any],
    *,
    h: Any,
    beta: Any,
    layers: str = "both",
    batch: int = 1,
    activation: str = "relu",
) -> Epoch:
    r"""One pass over the examples in the given order.

    An example with :math:`y f(x) \le \beta` triggers an update (a tie counts as a mistake). With the old values on
    the right everywhere (Nachum & Yehudayoff, equations 2-5), :math:`v = act(Wx+B)` and :math:`H = act'(Wx+B)`,

    .. math:: W \mathrel{+}= h y (M \circ H) x^T,\quad B \mathrel{+}= h y (M \circ H),\quad
              M \mathrel{+}= h y v,\quad b \mathrel{+}= h y.

    A mini-batch decides and differentiates all its examples at the same weights and moves by the sum of their
    steps divided by ``batch`` (also the last batch of an epoch, which may hold fewer: every example weighs the
    same). Equation (1) of the paper is a line-break fragment and implemented nowhere.
    """
    W, B, M, b = params
    updated = np.zeros(len(order), dtype=bool)
    for start in range(0, len(order), batch):
        dW: Any = 0
        dB: Any = 0
        dM: Any = 0
        db: Any = 0
        for visit in range(start, min(start + batch, len(order))):
            x, label = X[order[visit]], y[order[visit]]
            z = W @ x + B
            v, H = act_and_slope(z, activation)
            if label * (M @ v + b) > beta:
                continue
            updated[visit] = True
            step = h * label / batch
            dM = dM + step * v
            db = db + step
            if layers == "both":
                g = step * (M * H)
                dW = dW + np.outer(g, x)
                dB = dB + g
        W, B, M, b = W + dW, B + dB, M + dM, b + db
    return Epoch(OneHidden(W, B, M, b), updated)


def act_and_slope(z: NDArray[Any], activation: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Activation and its derivative; the derivative of ReLU at 0 is 0, the sigmoid is logistic(5 z)."""
    if activation == "relu":
        active = np.array(z > 0, dtype=bool)
        return np.where(active, z, 0 * z), np.where(active, 1, 0)
    v = 1.0 / (1.0 + np.exp(-5.0 * z))
    return v, 5.0 * v * (1.0 - v)


def sgd(
    params: OneHidden,
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    h: Any,
    beta: Any,
    rng: np.random.Generator,
    epochs: int,
    layers: str = "both",
    batch: int = 1,
    activation: str = "relu",
) -> list[Epoch]:
    """Epochs until one makes no update, or until ``epochs`` are run; the order is reshuffled before each."""
    history: list[Epoch] = []
    for _ in range(epochs):
        order = example_orders(rng, len(y), 1)[0]
        history.append(
            sgd_epoch(params, X, y, order, h=h, beta=beta, layers=layers, batch=batch, activation=activation)
        )
        params = history[-1].params
        if not history[-1].updated.any():
            break
    return history


class TwoLayerEpoch(NamedTuple):
    """Network after the visits, and for each visit in order whether it changed the network."""

    params: TwoLayer
    updated: NDArray[np.bool_]


def two_layer_epoch(
    params: TwoLayer, X: NDArray[Any], y: NDArray[Any], order: NDArray[Any], *, eta: Any, alpha: Any, layers: str
) -> TwoLayerEpoch:
    r"""Batch-one SGD on the hinge loss max(1 - y v . sigma(W x), 0), over the examples in the given order.

    Brutzkus et al. (ICLR 2018), Equations 3 and 10. A visit with :math:`y N(x) < 1` moves, by the old values on the
    right, :math:`W \mathrel{+}= \eta y (v \circ \sigma'(W x)) x^T` and, if ``layers`` is ``"both"``,
    :math:`v \mathrel{+}= \eta y \sigma(W x)`. At 0 the slope is 1 for the leaky ReLU (the paper's p_t) and 0 for the
    ReLU (``alpha`` = 0; the paper's Lemma 12 counts such a unit as dead). A visit whose gradient vanishes, as it may
    for the ReLU, is no update.
    """
    W, v = params
    updated = np.zeros(len(order), dtype=bool)
    for visit, i in enumerate(order):
        x, label = X[i], y[i]
        z = W @ x
        on = np.array(z >= 0 if alpha > 0 else z > 0, dtype=bool)
        slope = np.where(on, 1, alpha)
        activity = slope * z
        if not label * (v @ activity) < 1:
            continue
        step = eta * label
        dW, dv = np.outer(step * (v * slope), x), step * activity
        if not (np.any(dW != 0) or (layers == "both" and np.any(dv != 0))):
            continue
        W = W + dW
        if layers == "both":
            v = v + dv
        updated[visit] = True
    return TwoLayerEpoch(TwoLayer(W, v), updated)
