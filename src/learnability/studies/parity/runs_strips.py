"""Runs of the MNIST-parity experiment: one model on strips of k digits, a row for each epoch.

A setting has

``data`` ("mnist" or "digits")
    The images; part of the setting so that stored results of different data never mix.
``k``
    Digits in a strip.
``model``
    One of :data:`learnability.networks.strips.MODELS`, trained on fresh strips every epoch; or a kernel machine of
    :data:`KERNELS`, fitted once by least squares to ``strips`` strips. They are the first strips that the networks
    see where these are no more than the images (MNIST).
``learning_rate``
    Of Adadelta (0 for a kernel machine).
``units``, ``batch``, ``epochs``, ``strips``, ``test_strips``
    Hidden units; batch size; epochs; strips in an epoch (or for the kernel machine), and to test after it.

The images on a strip and their order have a generator of their own, so that all models of a seed see the same
strips; the networks of a seed whose first layers are ReLU units start from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from learnability import datasets
from learnability.checks import FloatArray
from learnability.problems.strips import Strips, gather
from learnability.seeding import generator
from learnability.study import Row, Setting

TITLES = {"mnist": "MNIST", "digits": "scikit-learn digits 8x8 (stand-in for MNIST)"}
KERNELS: Mapping[str, str] = {"rbf_kernel": "RBF", "ntk_kernel": "NTK"}
"""Kernel machines and what their kernels are called: exp(-8 |x - z|^2 / n), the limit of the Gaussian features; and
the exact tangent kernel of a ReLU network of one hidden layer of infinite width with trained biases."""
UNITS = 512
"""Hidden units of the paper's models."""
RHO, EPSILON = 0.95, 1e-7
"""Adadelta's constants in the authors' experiment (Keras' defaults)."""


@lru_cache(maxsize=2)
def images(data: str) -> datasets.DigitImages:
    """The images, kept: reading MNIST takes half a second."""
    return datasets.digit_images(data)


def available() -> str:
    """The data of the figure: "mnist" if its file is there, else the stand-in "digits"."""
    return "mnist" if datasets.mnist_path() is not None else "digits"


def ready(settings: Sequence[Setting]) -> None:
    """Refuse to start (ValueError) if the settings need MNIST and its file cannot be read; warn if it is absent."""
    if any(s["data"] == "mnist" for s in settings):
        images("mnist")
    elif any(s["data"] == "digits" for s in settings) and datasets.mnist_path() is None:
        datasets.announce_stand_in()


def streams(data: str, k: int, strips: int, test_strips: int) -> tuple[Strips, Strips]:
    """Strips to train on and to test on, from the training images and from the test images."""
    pool = images(data)
    return (
        Strips(pool.x_train, pool.y_train, k, pool.highest, strips),
        Strips(pool.x_test, pool.y_test, k, pool.highest, test_strips),
    )


def run(s: Setting, seed: int) -> list[Row]:
    """One model on one seed's strips."""
    data, k, model = str(s["data"]), int(s["k"]), str(s["model"])
    train, test = streams(data, k, int(s["strips"]), int(s["test_strips"]))
    order = generator(seed, "strips", data, k)
    if model in KERNELS:
        return _fit(_kernel(model, train.n), train, test, order, int(s["epochs"]))
    return _train(s, train, test, order, generator(seed, "start", data, k))


def _train(
    s: Setting, train: Strips, test: Strips, order: np.random.Generator, start: np.random.Generator
) -> list[Row]:
    from learnability.networks.strips import MODELS
    from learnability.training import minibatch
    from learnability.training.minibatch.optimisers import Adadelta
    from learnability.training.minibatch.sources import Source

    model, epochs = MODELS[str(s["model"])], int(s["epochs"])
    source, watched = (Source(one.size, one.draw, gather, one.store) for one in (train, test))
    (found,) = minibatch.train(
        model.apply,
        model.start(start, train.n, int(s["units"])),
        source,
        rule=Adadelta(RHO, EPSILON),
        learning_rate=float(s["learning_rate"]),
        batch=int(s["batch"]),
        epochs=epochs,
        rng=order,
        trainable=model.trainable,
        watch={"test": watched},
        record=range(1, epochs + 1),
    )
    if len(found) == 0:  # it diverged in its first epoch
        return [_row(found.epochs, float("nan"), float("nan"), float("nan"), found.outcome)]
    return [
        _row(int(row["epoch"]), 1 - row["running_error"], 1 - row["test_error"], row["test_loss"], found.outcome)
        for row in found.rows()
    ]


def _row(epoch: int, train: float, test: float, loss: float, outcome: str) -> Row:
    return {
        "epoch": epoch,
        "train_accuracy": train,
        "test_accuracy": test,
        "test_loss": loss,
        "outcome": str(outcome),
        "ridge": 0.0,
    }


def _kernel(name: str, n: int) -> Callable[[FloatArray, FloatArray], FloatArray]:
    from learnability.kernels.closed_form import rbf, tangent

    if name == "rbf_kernel":
        return partial(rbf, gamma=8 / n)
    return partial(tangent, weight=2.0, trained_bias=1.0)


def _fit(kernel: Any, train: Strips, test: Strips, order: np.random.Generator, epochs: int) -> list[Row]:
    """One row, at the last epoch: the machine's accuracy where the networks end."""
    from learnability.kernels.machine import fit

    X, y = train.compose(train.draw(order))
    machine = fit(kernel, X, y)
    seen = y - machine.ridge * machine.coefficients  # (K + ridge) c = y: its predictions K c, without K once more
    X_test, y_test = test.compose(test.draw(order))
    f = machine.predict(X_test)
    row = _row(
        epochs,
        float(np.mean(y * seen > 0)),
        float(np.mean(y_test * f > 0)),
        float(np.maximum(0, 1 - y_test * f).mean()),
        "fitted",
    )
    return [{**row, "ridge": machine.ridge}]
