"""What all estimators share: a version in their pickles, seeds, and one-vs-rest around a learner of signs."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from learnability import checks
from learnability._version import __version__
from learnability.checks import FloatArray
from learnability.errors import RequestError

__all__ = [
    "Estimator",
    "OtherVersionWarning",
    "SignClassifier",
    "check_seed",
    "classes_of",
    "labelled",
    "measured",
    "seed_of",
    "unfinished",
]

_VERSION = "_learnability_version"
Labels = NDArray[Any]


class OtherVersionWarning(InconsistentVersionWarning):  # type: ignore[misc]
    """A pickled estimator comes from another version of Learnability."""

    def __str__(self) -> str:
        return (
            f"Trying to unpickle estimator {self.estimator_name} from Learnability {self.original_sklearn_version} "
            f"with Learnability {self.current_sklearn_version}. This might lead to breaking code or invalid results. "
            "Fit it again, or use it at your own risk."
        )


class Estimator(BaseEstimator):  # type: ignore[misc]
    """An estimator whose pickle says which version of Learnability wrote it."""

    _lasting: tuple[str, ...] = ()
    """Parameters that the start is made with, or that the state of a run is in units of."""

    def _check_lasting(self) -> None:
        """Refuse to go on from a fit with other values of these."""
        for name, value in getattr(self, "_begun", {}).items():
            if name in self._lasting and getattr(self, name) != value:
                raise RequestError(
                    f"{name} must stay {value!r} where a fit goes on from the last, got {getattr(self, name)!r}"
                )

    def _begin(self) -> None:
        self._begun = {name: getattr(self, name) for name in self._lasting}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = dict(state)
        written = kept.pop(_VERSION, "an older version")
        if written != __version__:
            warnings.warn(
                OtherVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=written,
                ),
                stacklevel=2,
            )
        super().__setstate__(kept)


def check_seed(random_state: Any) -> None:
    """Refuse a ``random_state`` that is none of an integer >= 0, numpy.random.Generator or RandomState, None."""
    if random_state is not None and not isinstance(random_state, np.random.Generator | np.random.RandomState):
        checks.integer("random_state", random_state, at_least=0)


def seed_of(random_state: Any) -> int:
    """A seed >= 0 of a ``random_state``, checked: an integer is its own; a generator and None draw one."""
    check_seed(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**31 - 1))
    return int(random_state)


def labelled(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, *, reset: bool = True
) -> tuple[FloatArray, Labels]:
    """Inputs in float64 and their labels, checked as scikit-learn does; ``reset``: they set the features."""
    inputs, labels = validate_data(estimator, X, y, dtype=np.float64, reset=reset)
    check_classification_targets(labels)
    return inputs, labels


def measured(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, *, reset: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Inputs and targets in float64, checked as scikit-learn does; the targets are numbers, not text of them."""
    inputs, targets = validate_data(estimator, X, y, dtype=np.float64, multi_output=True, reset=reset)
    return inputs, checks.array("y", targets)


def classes_of(name: str, y: Labels) -> Labels:
    """The classes of some labels, at least two."""
    classes: Labels = unique_labels(y)
    if len(classes) < 2:
        raise RequestError(f"{name} must hold at least two classes, got one class: {classes.tolist()[0]!r}")
    return classes


def unfinished(name: str, epochs: int, why: str) -> None:
    """Warn, as scikit-learn does, that the budget ended a run."""
    warnings.warn(
        f"{name} still made updates in the last of max_iter={epochs} epochs: {why}", ConvergenceWarning, stacklevel=4
    )


class SignClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """A classifier made of machines that tell one class (+1) from the others (-1).

    With two classes there is one machine, for the second of ``classes_`` against the first; with more there is one
    for each class against the rest, and the largest decision wins.
    """

    machines_: tuple[Any, ...]
    classes_: Labels

    # What a learner says: inputs as its theory has them, a machine from signs, and the machine's outputs.

    def _inputs(self, X: FloatArray, *, first: bool) -> FloatArray:
        """The inputs as the machines take them; ``first``: these decide how."""
        raise NotImplementedError

    def _machine(self, X: FloatArray, y: FloatArray, index: int, count: int, before: Any) -> Any:
        """The machine ``index`` of ``count``, for labels -1 and +1; ``before``: the one that it goes on from."""
        raise NotImplementedError

    def _decide(self, machine: Any, X: FloatArray) -> FloatArray:
        """A machine's outputs (m,), comparable between machines."""
        raise NotImplementedError

    def _summarise(self, X: FloatArray, V: FloatArray, y: Labels, *, cold: bool) -> None:
        """Fitted attributes that are said of all machines together, from the inputs as given and as the machines take
        them; ``cold``: these examples alone made the machines.
        """

    def _goes_on(self) -> bool:
        """Whether a fit starts where the last one ended."""
        return bool(getattr(self, "warm_start", False)) and hasattr(self, "machines_")

    def _fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        goes_on = self._goes_on()
        inputs, labels = labelled(self, X, y, reset=not goes_on)
        classes = classes_of("y", labels)
        if goes_on and not np.array_equal(classes, self.classes_):
            raise RequestError(
                f"y must hold the same classes for a warm start, {self.classes_.tolist()}, got {classes.tolist()}"
            )
        return self._learn(inputs, labels, classes, self.machines_ if goes_on else None)

    def _learn(self, X: FloatArray, y: Labels, classes: Labels, before: tuple[Any, ...] | None) -> Self:
        if before is not None:
            self._check_lasting()
        else:
            self._seed = seed_of(getattr(self, "random_state", None))
        V = self._inputs(X, first=before is None)
        chosen = classes[1:] if len(classes) == 2 else classes
        machines = tuple(
            self._machine(V, np.where(y == label, 1.0, -1.0), i, len(chosen), None if before is None else before[i])
            for i, label in enumerate(chosen)
        )
        self.classes_, self.machines_ = classes, machines
        self._begin()
        self._summarise(X, V, y, cold=before is None)
        return self

    def _partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None) -> Self:
        first = not hasattr(self, "machines_")
        if first and classes is None:
            raise RequestError("classes must name all classes in the first call of partial_fit, got None")
        if classes is not None and np.ndim(classes) != 1:
            raise RequestError(f"classes must be a sequence of labels, got {classes!r}")
        inputs, labels = labelled(self, X, y, reset=first)
        known = classes_of("classes", np.asarray(classes)) if first else self.classes_
        if classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise RequestError(f"classes must be those of the first call, {known.tolist()}, got {classes!r}")
        other = np.setdiff1d(labels, known)
        if len(other):
            raise RequestError(f"y must hold classes of the first call, {known.tolist()}, got {other.tolist()[0]!r}")
        return self._learn(inputs, labels, known, None if first else self.machines_)

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Decisions at X (m, n): (m,) for two classes, positive for the second; (m, classes) for more."""
        check_is_fitted(self, "machines_")
        V = self._inputs(validate_data(self, X, dtype=np.float64, reset=False), first=False)
        columns = [self._decide(machine, V) for machine in self.machines_]
        return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)

    def predict(self, X: ArrayLike) -> Labels:
        """Labels (m,) at X (m, n)."""
        decisions = self.decision_function(X)
        places = (decisions > 0).astype(int) if decisions.ndim == 1 else decisions.argmax(axis=1)
        found: Labels = self.classes_[places]
        return found
