"""What a certification says, as numbers, words and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learnability import shown
from learnability.certification.figure import draw
from learnability.certification.findings import Findings, Inputs, Margins
from learnability.certification.options import Options
from learnability.certification.runs import SgdRun
from learnability.certification.statements import (
    about_error,
    applies,
    assumptions,
    bounded,
    holdout_bound,
    is_vacuous,
    sequence_updates,
)
from learnability.checks import FloatArray
from learnability.theory import Guarantee
from learnability.theory.margins import HardMargin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Certificate", "Certification", "certificate", "certificate_of"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Why no hyperplane separates the examples: the weighted sum of y x over a few of them vanishes."""

    kind: str
    """"duplicates" (two examples at one point with different labels), "opposites" (x and -x with one label), "zero"
    (an example at the origin) or "combination"."""
    index: NDArray[np.intp]
    """(s,): which examples, from 0."""
    rows: NDArray[np.intp]
    """(s,): their numbers in the file, from 1."""
    labels: tuple[object, ...]
    """Their labels, as in the data."""
    weights: NDArray[np.float64]
    """(s,): > 0 with sum 1."""
    residual: float
    """The norm of the weighted sum, 0 up to rounding; the norms of training examples are at most 1."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; rows are counted from 1."""
        return {
            "kind": self.kind,
            "rows": self.rows.tolist(),
            "labels": [plain(label) for label in self.labels],
            "weights": self.weights.tolist(),
            "residual": self.residual,
        }


def certificate(found: Findings, inputs: Inputs) -> Certificate | None:
    """The certificate of the whole, or ``None`` where it is separable."""
    margins, data = found.whole, inputs.data
    if margins.subset is None:
        return None
    named = [data.classes[int(label > 0)] for label in data.y[np.flatnonzero(margins.margin.multipliers)]]
    return certificate_of(margins.margin, data.X, inputs.V, named, found.rows)


def certificate_of(
    margin: HardMargin, X: NDArray[Any], V: FloatArray, labels: Sequence[object], rows: NDArray[np.intp]
) -> Certificate:
    """The certificate that a margin of 0 comes with.

    Parameters
    ----------
    margin : HardMargin
        Of the inputs V; its multipliers are the weights.
    X, V : array (m, n), (m, d)
        The inputs as they are in the data, and as the theorems have them.
    labels : sequence
        Of the examples with a weight.
    rows : array (m,)
        Numbers of all examples.
    """
    index = np.flatnonzero(margin.multipliers)
    kind = "combination"
    if len(index) == 1:
        kind = "zero"
    elif len(index) == 2 and (np.asarray(X[index[0]]) == X[index[1]]).all():
        kind = "duplicates"  # in the data: what coincides once it is scaled and rounded is a combination
    elif len(index) == 2 and (V[index[0]] == -V[index[1]]).all():
        kind = "opposites"
    return Certificate(kind, index, rows[index], tuple(labels), margin.multipliers[index], margin.upper)


@dataclass(frozen=True, eq=False, repr=False)
class Certification:
    """What the theorems promise for some labelled examples, next to what SGD does on them.

    What its page says are attributes: ``separable``, ``margin`` and ``w_norm``, ``certificate``; ``updates`` and
    ``update_bound``; ``test_error``, ``error_bound`` and ``holdout_bound``. Its ``repr`` is the answer on one screen.
    It can be pickled, and is equal to another that says the same.

    Parameters
    ----------
    source : str
        Where the examples come from.
    classes : (object, object)
        What the labels -1 and +1 stand for.
    examples, features : int
        How many; features without the constant coordinate of the bias.
    counts : (int, int)
        Examples of each class.
    notes : tuple of str
        What was done to the data on the way, what was left out.
    scaling : str
        How the inputs came into the unit ball.
    constants : dict or None
        The numbers of the scaling, x -> (x - offset - centre) / divisor / radius, then (x, 1) / sqrt(2) with
        ``bias``: so that ``w`` and ``multipliers`` can be checked by hand. Offsets are by name, where there are any.
    options : Options
    found : Findings
        Margins, separable part and split.
    certificate : Certificate or None
        Why the examples are not separable, if so.
    guarantees : list of Guarantee
        Every bound beside what was measured.
    runs : list of SgdRun
    files : list of Path
        The figure's files, where they were asked for.
    folder : Path or None
        Where everything was written, if it was.
    """

    source: str
    classes: tuple[object, object]
    examples: int
    features: int
    counts: tuple[int, int]
    notes: tuple[str, ...]
    scaling: str
    constants: dict[str, Any] | None
    options: Options
    found: Findings
    certificate: Certificate | None
    guarantees: list[Guarantee]
    runs: list[SgdRun]
    files: list[Path] = field(default_factory=list)
    folder: Path | None = None

    def __repr__(self) -> str:
        from learnability.certification.screen import screen

        return screen(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certification) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def separable(self) -> bool:
        """Whether a hyperplane (with an offset, unless that was not wanted) separates all examples."""
        return self.certificate is None

    @property
    def margin(self) -> float:
        """The hard margin of all scaled examples, the most that a hyperplane keeps from each; 0 if not separable."""
        return self.found.whole.margin.margin

    @property
    def w_norm(self) -> float | None:
        """|w*| = 1 / margin; ``None`` if the examples are not separable."""
        return None if self.certificate is not None else self.found.whole.w_norm

    @property
    def duality_gap(self) -> float:
        """The margin is known to within it."""
        return self.found.whole.margin.gap

    @property
    def update_bound(self) -> float | None:
        """The least proved bound on the updates of the runs; ``None`` if there is none."""
        bounds = [g.bound for g in self.guarantees if g.bound is not None and not about_error(g) and applies(g)]
        return min(bounds, default=None)

    @property
    def updates(self) -> int | None:
        """The most updates of any run that such a bound is about; ``None`` if there is no such run."""
        return max((run.updates for run in bounded(self.found, self.runs)), default=None)

    @property
    def error_bound(self) -> float | None:
        """The least bound on a trained network's error that is below 1 and whose hypotheses hold; else ``None``.

        It may be picked after the fact: all bounds on the error hold jointly with probability 1 - delta.
        """
        best = self.best_error_bound()
        return None if best is None else best.bound

    @property
    def holdout_bound(self) -> float | None:
        """What the test sample by itself says of the error: the least limit of any run; ``None`` without one.

        With the same confidence as the bounds of theorems, and jointly with them.
        """
        return holdout_bound(self.test_error, len(self.found.y_test), self.options)

    @property
    def test_error(self) -> float | None:
        """The least error on the test sample, that of the run which ``holdout_bound`` is about."""
        return min((run.test_error for run in self.runs if run.test_error is not None), default=None)

    def best_error_bound(self) -> Guarantee | None:
        """The guarantee that ``error_bound`` is of."""
        proved = [g for g in self.guarantees if about_error(g) and not is_vacuous(g) and applies(g)]
        return min(proved, key=lambda g: g.bound or 0.0, default=None)

    def figure(self) -> Figure:
        """Updates and test error against width, with the bounds drawn in."""
        what = "not separable" if self.w_norm is None else f"separable, |w*| = {self.w_norm:.4g}"
        title = (
            f"{shown.figure(self.source, 60)}: {self.examples:,} examples, {self.features:,} features, {what}; "
            f"leaky ReLU α = {self.options.slope:g}, step η = {self.options.step:g}"
        )
        left_out = int((~self.found.kept).sum())
        tests = len(self.found.y_test)
        return draw(self._runs(), self.guarantees, title=title, tests=tests, left_out=left_out)

    def _runs(self) -> list[dict[str, Any]]:
        """The runs as plain values, each with what the test sample says of it."""
        tests = len(self.found.y_test)
        options = self.options
        return [{**r.to_json(), "holdout_bound": holdout_bound(r.test_error, tests, options)} for r in self.runs]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of the command line's contract and more."""
        found, options = self.found, self.options
        return {
            "source": shown.line(self.source, 1000),
            "examples": self.examples,
            "features": self.features,
            "classes": {"-1": plain(self.classes[0]), "+1": plain(self.classes[1])},
            "notes": list(self.notes),
            "scaling": self.scaling,
            "options": {**vars(options), "widths": list(options.widths)},
            "separable": self.separable,
            "margin": self.margin,
            "w_norm": self.w_norm,
            "duality_gap": self.duality_gap,
            "update_bound": self.update_bound,
            "updates": self.updates,
            "error_bound": self.error_bound,
            "holdout_bound": self.holdout_bound,
            "test_error": self.test_error,
            "certificate": None if self.certificate is None else self.certificate.to_json(),
            "removal": _removal(found),
            "w": found.whole.margin.w.tolist(),
            "multipliers": _weighted(found, found.whole.margin.multipliers),
            "scaling_constants": self.constants,
            "training": {
                "examples": len(found.y),
                "test_examples": len(found.y_test),
                "separable": found.sample.subset is None,
                "w_norm": found.sample.w_norm,
                "sequence_updates": sequence_updates(found, options),
                "left_out": found.rows[found.train[~found.kept]].tolist(),
                "set_the_scale": found.rows[found.train[found.setters]].tolist(),
            },
            "assumptions": [h.name for h in assumptions()],
            "guarantees": [self._stated(g) for g in self.guarantees],
            "runs": self._runs(),
            "figures": [str(path) for path in self.files],
        }

    def _stated(self, guarantee: Guarantee) -> dict[str, Any]:
        """A guarantee as plain values; of one about the error also what the test sample says of the same run."""
        own = None
        if about_error(guarantee):
            own = holdout_bound(guarantee.measured, len(self.found.y_test), self.options)
        return {**guarantee.to_json(), "vacuous": is_vacuous(guarantee), "holdout_bound": own}


def _removal(found: Findings) -> dict[str, Any] | None:
    """The examples whose removal leaves a separable part, for JSON."""
    margins: Margins = found.whole
    subset = margins.subset
    if subset is None:
        return None
    return {
        "removed": len(subset.removed),
        "rows": found.rows[subset.removed].tolist(),
        "at_least": subset.at_least,
        "smallest": subset.smallest,
        "maximal": subset.maximal,
        "rule": subset.rule,
        "disjoint_certificates": [
            [{"row": int(found.rows[i]), "weight": float(weight)} for i, weight in zip(c.index, c.multipliers)]
            for c in subset.certificates
        ],
        "margin": None if subset.rest is None else subset.rest.margin,
        "w_norm": margins.w_norm,
        "duality_gap": None if subset.rest is None else subset.rest.gap,
    }


def _weighted(found: Findings, weights: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The rows with a weight, for JSON."""
    return [{"row": int(found.rows[i]), "weight": float(weights[i])} for i in np.flatnonzero(weights)]


def plain(value: object) -> object:
    """A label that JSON can hold."""
    if isinstance(value, str):
        return shown.line(value) if any("\ud800" <= c <= "\udfff" for c in value) else value  # half a character
    return value if isinstance(value, bool | int | float) else str(value)
