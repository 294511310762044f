"""What a certification says, as numbers, words and JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learnability.certification.figure import draw
from learnability.certification.findings import Findings, Inputs, Margins
from learnability.certification.options import Options
from learnability.certification.runs import SgdRun
from learnability.certification.statements import assumptions, is_vacuous, sequence_updates
from learnability.theory import Guarantee

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Certificate", "Certification", "certificate"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Why no hyperplane separates the examples: the weighted sum of y x over a few of them vanishes."""

    kind: str
    """"duplicates" (two examples at one point with different labels), "opposites" (x and -x with one label), "zero"
    (an example at the origin) or "combination"."""
    index: NDArray[np.intp]
    """(s,): which examples, from 0."""
    labels: tuple[object, ...]
    """Their labels, as in the data."""
    weights: NDArray[np.float64]
    """(s,): > 0 with sum 1."""
    residual: float
    """The norm of the weighted sum, 0 up to rounding; the inputs' norms are at most 1."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; rows are counted from 1."""
        return {
            "kind": self.kind,
            "rows": [int(i) + 1 for i in self.index],
            "labels": list(self.labels),
            "weights": self.weights.tolist(),
            "residual": self.residual,
        }


def certificate(margins: Margins, inputs: Inputs) -> Certificate | None:
    """The certificate of the whole, or ``None`` where it is separable."""
    if margins.subset is None:
        return None
    weights = margins.margin.multipliers
    index = np.flatnonzero(weights)
    labels = inputs.data.y[index]
    if len(index) == 1:
        kind = "zero"
    elif len(index) == 2 and (inputs.V[index[0]] == inputs.V[index[1]]).all():
        kind = "duplicates"
    elif len(index) == 2 and (inputs.V[index[0]] == -inputs.V[index[1]]).all():
        kind = "opposites"
    else:
        kind = "combination"
    named = tuple(inputs.data.classes[int(label > 0)] for label in labels)
    return Certificate(kind, index, named, weights[index], margins.margin.upper)


@dataclass(frozen=True, eq=False)
class Certification:
    """What the theorems promise for some labelled examples, next to what SGD does on them.

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
        The numbers of the scaling, x -> (x - centre) / divisor / radius, then (x, 1) / sqrt(2) with ``bias``: so that
        ``w`` and ``multipliers`` can be checked by hand.
    options : Options
    found : Findings
        Margins, separable part and split.
    certificate : Certificate or None
        Why the examples are not separable, if so.
    guarantees : list of Guarantee
    runs : list of SgdRun
    files : list of Path
        The figure's files, where they were asked for.
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

    def __repr__(self) -> str:
        what = "not separable" if self.w_norm is None else f"separable, |w*| = {self.w_norm:.4g}"
        verdicts = Counter(str(g.verdict) for g in self.guarantees)
        return (
            f"Certification({self.source}: {self.examples} examples, {self.features} features, {what}; "
            f"{len(self.runs)} runs; {', '.join(f'{count} {name}' for name, count in verdicts.items())})"
        )

    @property
    def separable(self) -> bool:
        """Whether a hyperplane (with an offset, unless that was not wanted) separates all examples."""
        return self.certificate is None

    @property
    def margin(self) -> float:
        """The hard margin of all scaled examples; 0 if they are not separable."""
        return self.found.whole.margin.margin

    @property
    def w_norm(self) -> float | None:
        """|w*| = 1 / margin; ``None`` if the examples are not separable."""
        return None if self.certificate is not None else self.found.whole.w_norm

    @property
    def duality_gap(self) -> float:
        """The margin is known to within it."""
        return self.found.whole.margin.gap

    def figure(self) -> Figure:
        """Updates and test error against width, with the bounds drawn in."""
        what = "not separable" if self.w_norm is None else f"separable, |w*| = {self.w_norm:.4g}"
        title = (
            f"{self.source}: {self.examples:,} examples, {self.features:,} features, {what}; "
            f"leaky ReLU α = {self.options.slope:g}, step η = {self.options.step:g}"
        )
        left_out = int((~self.found.kept).sum())
        sequence = sequence_updates(self.found, self.options)
        return draw(
            self.runs,
            self.guarantees,
            title=title,
            tests=len(self.found.y_test),
            left_out=left_out,
            sequence=sequence,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of the command line's contract and more."""
        found, options = self.found, self.options
        return {
            "source": self.source,
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
            "certificate": None if self.certificate is None else self.certificate.to_json(),
            "removal": _removal(found.whole),
            "w": found.whole.margin.w.tolist(),
            "multipliers": [
                {"row": int(i) + 1, "weight": float(found.whole.margin.multipliers[i])}
                for i in np.flatnonzero(found.whole.margin.multipliers)
            ],
            "scaling_constants": self.constants,
            "training": {
                "examples": len(found.y),
                "test_examples": len(found.y_test),
                "separable": found.sample.subset is None,
                "w_norm": found.sample.w_norm,
                "sequence_updates": sequence_updates(found, options),
                "left_out": [int(i) + 1 for i in found.train[~found.kept]],
            },
            "assumptions": [h.name for h in assumptions()],
            "guarantees": [{**g.to_json(), "vacuous": is_vacuous(g)} for g in self.guarantees],
            "runs": [run.to_json() for run in self.runs],
            "figures": [str(path) for path in self.files],
        }


def _removal(margins: Margins) -> dict[str, Any] | None:
    """The examples whose removal leaves a separable part, for JSON."""
    subset = margins.subset
    if subset is None:
        return None
    return {
        "removed": len(subset.removed),
        "rows": [int(i) + 1 for i in subset.removed],
        "at_least": subset.at_least,
        "smallest": subset.smallest,
        "maximal": subset.maximal,
        "rule": subset.rule,
        "disjoint_certificates": [
            [{"row": int(i) + 1, "weight": float(weight)} for i, weight in zip(c.index, c.multipliers)]
            for c in subset.certificates
        ],
        "margin": None if subset.rest is None else subset.rest.margin,
        "w_norm": margins.w_norm,
        "duality_gap": None if subset.rest is None else subset.rest.gap,
    }


def plain(value: object) -> object:
    """A label that JSON can hold."""
    return value if isinstance(value, str | bool | int | float) else str(value)
