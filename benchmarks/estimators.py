"""The estimators beside scikit-learn's and xRFM, scores and times: ``python -m benchmarks.estimators``.

What each of the four papers is about, and text-book sets, which none is about. Ours are used as they come, without a
search: :class:`SymmetricClassifier` (SGD, and ``solver="exact"``), :class:`LeakyReluClassifier`,
:class:`SparseParityClassifier`, :class:`KernelClassifier` and :class:`KernelMachine` (tangent kernel with biases, the
ridge by leave-one-out), :class:`ResNetRegressor`. The others choose from a grid by three-fold cross-validation on the
training sample (xRFM by a fifth of it that it holds out), and have standardised inputs, as our kernel machines have:

- ``Perceptron``; ``LinearSVC``, C = 0.01 .. 10 (regression: ``RidgeCV``);
- ``SVC`` with the Gaussian kernel, C = 1, 10, 100 and gamma = 0.1, 1, 10 over the number of inputs (``KernelRidge``);
- ``MLPClassifier`` (``MLPRegressor``), 100 or 400 units, 200 epochs at most;
- ``RBFSampler``, 1,000 components and the same gammas, and ridge regression by leave-one-out;
- ``xRFM`` where it is installed (``python -m pip install xrfm``, on PyTorch).

A score is the accuracy, or R^2 of all outputs together, on fresh examples (of text-book sets on a quarter held out):
the mean over the seeds, each with its own sample, target and draws, and half of its 95 % interval (Student). A time
is processor time, on one thread, the median over the seeds of one fit with the chosen parameters; what the search
takes is not in it. Tasks come first where the best of ours is farthest below the best of the others.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from benchmarks import common
from benchmarks.two_layer_report import table
from learnability import seeding
from learnability.estimators import (
    KernelClassifier,
    KernelMachine,
    LeakyReluClassifier,
    ResNetRegressor,
    SparseParityClassifier,
    SymmetricClassifier,
)
from learnability.problems.parity import random_mixture
from learnability.problems.residual import PairTarget, UniformSigns
from learnability.problems.separable import random_separable
from learnability.problems.symmetry import UniformCube, parity, random_symmetric

MINUTES = {"full": 30, "short": 1}
Array = NDArray[Any]


class Sample(NamedTuple):
    """What is learnt from, and what it is judged by."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


class Task(NamedTuple):
    """A problem, drawn anew for each seed; ``small``: for a smoke test."""

    title: str
    draw: Callable[[int, bool], Sample]
    regression: bool = False
    meant: str = ""
    """The learner of ours that it is for."""


# Tasks --------------------------------------------------------------------------------------------------------


def symmetric(n: int, m: int, random: bool, seed: int, small: bool) -> Sample:
    """A function of the sum of n bits."""
    rng = seeding.generator(seed, "benchmark estimators", "symmetric", n, m)
    m = 60 if small else m
    f = random_symmetric(n, rng) if random else parity(n)
    X, Z = UniformCube(n).sample(rng, m), UniformCube(n).sample(rng, 2000)
    return Sample(X, f(X), Z, f(Z))


def sparse(n: int, k: int, m: int, part: int, seed: int, small: bool) -> Sample:
    """A parity of k of n signs on the mixture, judged on a part of it."""
    rng = seeding.generator(seed, "benchmark estimators", "sparse", n, k)
    mixture = random_mixture(rng, n, k)
    return Sample(*mixture.sample(rng, 200 if small else m), *mixture.sample(rng, 2000, part=part))


def two_levels(d: int, m: int, seed: int, small: bool) -> Sample:
    """H = F + 0.3 G(F) on d signs."""
    rng, target = seeding.generator(seed, "benchmark estimators", "levels", d, m), PairTarget(d, 0.3)
    X, Z = UniformSigns(d).sample(rng, 200 if small else m), UniformSigns(d).sample(rng, 2000)
    return Sample(X, target(X), Z, target(Z))


def separable(d: int, margin: float, m: int, seed: int, small: bool) -> Sample:
    """Two classes that a hyperplane keeps apart."""
    rng = seeding.generator(seed, "benchmark estimators", "separable", d)
    ball = random_separable(rng, d, margin)
    return Sample(*ball.sample(rng, 60 if small else m), *ball.sample(rng, 2000))


def textbook(name: str, seed: int, small: bool) -> Sample:
    """A set that scikit-learn ships."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    keep = np.random.default_rng(seed).permutation(len(X))[: 90 if small else len(X)]
    train, test = train_test_split(
        keep, test_size=0.25, random_state=seed, stratify=None if name == "diabetes" else y[keep]
    )
    return Sample(X[train], y[train], X[test], y[test])


TASKS = (
    Task("parity of 20 bits, 500 examples", partial(symmetric, 20, 500, False), meant="symmetric, exact"),
    Task("random function of the sum of 30 bits, 500", partial(symmetric, 30, 500, True), meant="symmetric, exact"),
    Task("parity of 3 of 50 signs, 5,000, on uniform inputs", partial(sparse, 50, 3, 5000, 1), meant="sparse parity"),
    Task("parity of 3 of 50 signs, 1,000, on uniform inputs", partial(sparse, 50, 3, 1000, 1), meant="sparse parity"),
    Task("two levels, 30 signs, 500", partial(two_levels, 30, 500), True, "ResNet"),
    Task("two levels, 30 signs, 2,000", partial(two_levels, 30, 2000), True, "ResNet"),
    Task("separable, 50 inputs, margin 0.1, 300", partial(separable, 50, 0.1, 300), meant="leaky ReLU"),
    Task("iris", partial(textbook, "iris")),
    Task("wine", partial(textbook, "wine")),
    Task("breast cancer", partial(textbook, "breast_cancer")),
    Task("digits", partial(textbook, "digits")),
    Task("diabetes", partial(textbook, "diabetes"), True),
)


# Ways ---------------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """An estimator, from a seed."""

    make: Callable[[int], Any]
    ours: bool = False
    scaled: bool = True
    """Whether it has standardised inputs."""
    grid: Callable[[int], Mapping[str, Any]] | None = None
    """Parameters to choose from, for n inputs."""

    def fit(self, sample: Sample, seed: int, small: bool) -> tuple[Any, float]:
        """The fitted estimator and the seconds of its fit, with the best parameters if there is a grid."""
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        steps = [("scale", StandardScaler())] if self.scaled else []
        line = Pipeline([*steps, ("way", self.make(seed))])
        if self.grid is not None:
            grid = self.grid(sample.X.shape[1]).items()
            chosen = {f"way__{name}": values[:1] if small else values for name, values in grid}
            line.set_params(**GridSearchCV(line, chosen, cv=3, refit=False).fit(sample.X, sample.y).best_params_)
        begin = time.process_time()
        line.fit(sample.X, sample.y)
        return line, time.process_time() - begin


class Xrfm(BaseEstimator):
    """xRFM with the methods of scikit-learn's estimators."""

    def __init__(self, regression: bool = False, seed: int = 0) -> None:
        self.regression = regression
        self.seed = seed

    def fit(self, X: Array, y: Array) -> Xrfm:
        """Fit, and judge on a fifth that is held out."""
        import torch
        from sklearn.model_selection import train_test_split
        from xrfm import xRFM

        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        if self.regression:
            targets = y.reshape(len(y), -1).astype(np.float32)
        else:
            self.classes, codes = np.unique(y, return_inverse=True)
            targets = codes.astype(np.int64)
        parts = train_test_split(X.astype(np.float32), targets, test_size=0.2, random_state=self.seed)
        X_fit, X_held, y_fit, y_held = parts
        self.model = xRFM(
            device="cpu",
            tuning_metric="mse" if self.regression else "accuracy",
            random_state=self.seed,
            verbose=False,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.fit(X_fit, y_fit, X_held, y_held)
        self.fitted_ = True  # by which scikit-learn's pipelines know
        return self

    def predict(self, X: Array) -> Array:
        """Targets or labels."""
        found = np.asarray(self.model.predict(X.astype(np.float32)))
        return found if self.regression else self.classes[found.reshape(-1).astype(int)]


def ways(regression: bool) -> dict[str, Way]:
    """All ways by name, ours first."""
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import Perceptron, RidgeClassifierCV, RidgeCV
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC, LinearSVC

    alphas = tuple(10.0**e for e in range(-4, 4))

    def gammas(n: int) -> list[float]:
        return [1 / n, 0.1 / n, 10 / n]

    def layers(n: int) -> dict[str, Any]:
        return {"hidden_layer_sizes": [(100,), (400,)]}

    def features(seed: int) -> Any:
        readout = RidgeCV(alphas) if regression else RidgeClassifierCV(alphas)
        return make_pipeline(RBFSampler(n_components=1000, random_state=seed), readout)

    found: dict[str, Way]
    if regression:
        found = {
            "ResNet": Way(lambda seed: ResNetRegressor(random_state=seed), True, False),
            "tangent kernel": Way(lambda seed: KernelMachine("tangent", {"bias": 1.0}), True),
            "linear": Way(lambda seed: RidgeCV(alphas)),
            "Gaussian kernel": Way(
                lambda seed: KernelRidge(kernel="rbf"),
                grid=lambda n: {"alpha": [0.1, 1e-3, 10.0], "gamma": gammas(n)},
            ),
            "MLP": Way(lambda seed: MLPRegressor(max_iter=200, random_state=seed), grid=layers),
        }
    else:
        found = {
            "symmetric, SGD": Way(lambda seed: SymmetricClassifier(random_state=seed), True, False),
            "symmetric, exact": Way(lambda seed: SymmetricClassifier(solver="exact"), True, False),
            "leaky ReLU": Way(lambda seed: LeakyReluClassifier(random_state=seed), True, False),
            "sparse parity": Way(lambda seed: SparseParityClassifier(random_state=seed), True, False),
            "tangent kernel": Way(lambda seed: KernelClassifier("tangent", {"bias": 1.0}), True),
            "Perceptron": Way(lambda seed: Perceptron(random_state=seed)),
            "LinearSVC": Way(lambda seed: LinearSVC(random_state=seed), grid=lambda n: {"C": [1.0, 0.01, 0.1, 10.0]}),
            "SVC": Way(lambda seed: SVC(), grid=lambda n: {"C": [1.0, 10.0, 100.0], "gamma": gammas(n)}),
            "MLP": Way(lambda seed: MLPClassifier(max_iter=200, random_state=seed), grid=layers),
        }
    found["RBFSampler + ridge"] = Way(features, grid=lambda n: {"rbfsampler__gamma": gammas(n)})
    if common.is_installed("xrfm"):
        found["xRFM"] = Way(lambda seed: Xrfm(regression, seed))
    return found


# Measuring ----------------------------------------------------------------------------------------------------


class Effort(NamedTuple):
    """Tasks, seeds, and whether samples are small and grids have one point."""

    tasks: tuple[Task, ...]
    seeds: int
    small: bool = False


FULL = Effort(TASKS, 3)
SHORT = Effort(tuple(TASKS[i] for i in (0, 3, 4, 6, 7, 8)), 2)
QUICK = Effort(tuple(TASKS[i] for i in (0, 3, 4, 7)), 1, True)


def score(task: Task, found: Any, sample: Sample) -> float:
    """Accuracy, or R^2 of all outputs together."""
    predicted = found.predict(sample.X_test)
    if not task.regression:
        return float(np.mean(predicted == sample.y_test))
    wanted = sample.y_test
    left = ((np.asarray(predicted).reshape(wanted.shape) - wanted) ** 2).sum()
    return 1 - float(left / ((wanted - wanted.mean(axis=0)) ** 2).sum())


def measure(task: Task, effort: Effort) -> dict[str, Any]:
    """Scores and seconds of every way on a task."""
    rows: dict[str, Any] = {}
    for name, way in ways(task.regression).items():
        scores, seconds, failed = [], [], ""
        if way.ours:  # what is compiled is compiled here
            with warnings.catch_warnings(), contextlib.suppress(ValueError):
                warnings.simplefilter("ignore")
                way.fit(task.draw(effort.seeds, True), 0, True)
        for seed in range(effort.seeds):
            sample = task.draw(seed, effort.small)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found, taken = way.fit(sample, seed, effort.small)
                    scores.append(score(task, found, sample))
                    seconds.append(taken)
                except Exception as error:  # one way that fails is a row that says so
                    failed = f"{type(error).__name__}: {error}".splitlines()[0]
        row: dict[str, Any] = {"ours": way.ours, "scores": scores, "seconds": seconds, "failed": failed}
        if scores:
            row["score"] = float(np.mean(scores))
            row["half_width"] = half_width(scores)
            row["median_seconds"] = float(np.median(seconds))
        rows[name] = row
    return {"task": task.title, "regression": task.regression, "meant": task.meant, "ways": rows}


def half_width(scores: list[float]) -> float | None:
    """Half of the 95 % interval of the mean (Student); none of fewer than three."""
    if len(scores) < 3:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / np.sqrt(len(scores)))


def lead(case: dict[str, Any]) -> float:
    """By how much the best of ours is above the best of the others."""
    best = {side: max((row["score"] for row in case["ways"].values() if row["ours"] == side and "score" in row),
                      default=-np.inf) for side in (True, False)}  # fmt: skip
    return float(best[True] - best[False])


def tables(cases: list[dict[str, Any]]) -> str:
    """Scores and times as Markdown, a pair of tables for each kind of task, the worst for us first."""
    parts = []
    for regression in (False, True):
        chosen = sorted((case for case in cases if case["regression"] == regression), key=lead)
        if not chosen:
            continue
        names = list(chosen[0]["ways"])
        what = "R²" if regression else "Accuracy"
        for title, cell in ((f"{what}, mean ± half of its 95 % interval", _scored), ("Seconds of a fit", _timed)):
            rows = [[case["task"], *(cell(case["ways"][name], case) for name in names)] for case in chosen]
            parts += [f"{title}:", table(["", *names], rows)]
    return "\n\n".join(parts)


def _scored(row: dict[str, Any], case: dict[str, Any]) -> str:
    if "score" not in row:
        return "failed"
    best = max(other["score"] for other in case["ways"].values() if "score" in other)
    shown = f"{row['score']:.3f}" + ("" if row["half_width"] is None else f" ± {row['half_width']:.3f}")
    return f"**{shown}**" if row["score"] == best else shown


def _timed(row: dict[str, Any], case: dict[str, Any]) -> str:
    return f"{row['median_seconds']:.2g}" if "score" in row else "–"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("estimators", __doc__, "small samples, no search", "six tasks, two seeds")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    report: dict[str, Any] = {
        "machine": common.machine(),
        "load_average": {"start": psutil.getloadavg()},
        "cases": [],
    }
    if not common.is_installed("xrfm"):
        print("xRFM left out: xrfm is not installed (python -m pip install xrfm)\n")
    for task in effort.tasks:
        report["cases"].append(measure(task, effort))
        if sys.stderr.isatty():
            print(task.title, file=sys.stderr)
        common.write(report, options.json)
    report["load_average"]["end"] = psutil.getloadavg()
    print(tables(report["cases"]))
    for case in report["cases"]:
        for name, row in case["ways"].items():
            if row["failed"]:
                print(f"\n{name} on {case['task']}: {row['failed']}")
    print(f"\n{effort.seeds} seeds; {common.described(report['machine'])}")
    print(common.load(report["load_average"]["start"], report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main()
