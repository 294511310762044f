"""Theorem 2, Corollary 3 and the relaxed bound of Brutzkus et al., and the two inequalities their proof runs on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponent, mean
from learnability.networks.separable import TwoLayer, initial
from learnability.problems.separable import random_separable
from learnability.seeding import generator
from learnability.studies.separable import PAPER, claim
from learnability.studies.separable.theorems import thm2_thm6 as theory
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.record import Outcome
from learnability.training.reference import two_layer_epoch
from learnability.training.two_layer import TwoLayerRun, train

__all__ = ["CHECKS"]

D, M = 20, 200
EPOCHS = 10**6
"""A budget that no run here comes near: Theorem 2 promises an end."""

TIGHT = 0.9
"""At this margin and large steps one update is enough and M_k is below 2: one update more would exceed it."""
MARGINS = {"smoke": (TIGHT, 0.3), "laptop": (TIGHT, 0.3, 0.1)}
WIDTHS = {"smoke": (2, 20, 200), "laptop": (2, 20, 200, 2000, 20000)}
STEPS = {"smoke": (0.1, 1.0, 1000.0), "laptop": (0.01, 0.1, 1.0, 10.0, 1000.0)}
SLOPES = (0.1, 0.5, 0.9)
SEEDS = 5
"""Of Theorem 2's runs: each has its own sample, start and order."""
WIDE = 2000
"""Wider networks are run at alpha = .5 in shuffled order only: time."""

WORK = 1e6
"""The most units times expected updates of a case: beyond, wide networks with small steps are left out."""

GROWTH = 0.05
"""The exponent of the width in the number of updates that counts as none."""
COUNTED = 10
"""Fewer updates than this, of which one more is a tenth, are no curve."""

STARTS: dict[str, Callable[[int], tuple[float, float]]] = {
    "R=v=1": lambda k: (1.0, 1.0),
    "R=0,v=1/sqrt(2k)": lambda k: (0.0, 1 / math.sqrt(2 * k)),
    "R=3,v=1/k": lambda k: (3.0, 1 / k),
    "R=10/sqrt(2k),v=.1": lambda k: (10 / math.sqrt(2 * k), 0.1),
}
"""R and v as functions of k, besides the paper's 1 / sqrt(2k)."""

FIRST = {"smoke": 60, "laptop": 100}
"""Updates of a run that are monitored, at most."""

BOTH = (None, 10.0)
"""Output weights at the start of runs of both layers: 1 / sqrt(2k), or large ones, that hardly move."""


class _Sample(NamedTuple):
    X: FloatArray
    y: FloatArray
    w: FloatArray
    """The shortest w* of the sample."""

    @property
    def norms(self) -> dict[str, Any]:
        """What the bounds ask of it."""
        return {"w_norm": float(np.linalg.norm(self.w)), "input_norm": float(np.linalg.norm(self.X, axis=1).max())}


@lru_cache(maxsize=16)
def _sample(margin: float, seed: int) -> _Sample:
    """Examples of a distribution with at least that margin, and the w* of their own, larger one."""
    planted = random_separable(generator(seed, "separable", "direction"), D, margin)
    X, y = planted.sample(generator(seed, "separable", "sample", margin), M)
    return _Sample(X, y, hard_margin(X, y).w)


def _run(
    sample: _Sample,
    seed: int,
    width: int,
    eta: float,
    alpha: float,
    order: str,
    layers: str = "first",
    R: float | None = None,
    v: float | None = None,
) -> TwoLayerRun:
    start = initial(generator(seed, "separable", "start", width), D, width // 2, radius=R, v=v)
    rng = generator(seed, "separable", "order")
    return train(
        start, *sample[:2], eta=eta, alpha=alpha, rng=rng, epochs=EPOCHS, order=order, layers=layers, record=[0]
    )


def theorem2(scale: str) -> list[Guarantee]:
    """Updates against Corollary 3 and Theorem 2 from 2k = 2 up, and whether they grow with the width."""
    usual: list[Guarantee] = []
    grown = [-math.inf] * SEEDS  # the largest exponent of each seed
    unfinished = left_out = 0
    for margin, eta, alpha, order in itertools.product(MARGINS[scale], STEPS[scale], SLOPES, ("shuffle", "iid")):
        counts: dict[int, list[int]] = {}
        for width in WIDTHS[scale]:
            if width > WIDE and (alpha, order) != (0.5, "shuffle"):
                continue
            if width > 200 and width * float(np.mean(counts[2])) > WORK:
                left_out += 1
                continue
            for seed in range(SEEDS):
                sample = _sample(margin, seed)
                run = _run(sample, seed, width, eta, alpha, order)
                case = f"margin={margin},2k={width},eta={eta:g},alpha={alpha},{order}"
                usual.append(theory.corollary3(**sample.norms, eta=eta, alpha=alpha, updates=run.updates, case=case))
                counts.setdefault(width, []).append(run.updates)
                unfinished += not _solved(run)
        if np.mean(counts[2]) >= COUNTED:
            grown = [max(g, exponent(list(counts), made).estimate) for g, *made in zip(grown, *counts.values())]
    runs, reach = len(usual), f"2k={WIDTHS[scale][0]}..{WIDTHS[scale][-1]}"
    near = f"w* from the sample's hard margin; {_spread(usual)}"
    found = [tightest(statement_id("separable/cor3", reach), usual, near)]
    for name in STARTS:
        cases, unsolved = _general(scale, name)
        runs, unfinished = runs + len(cases), unfinished + unsolved
        found.append(tightest(statement_id("separable/thm2", name), cases, _spread(cases)))
    ended = f"runs of {runs} that did not end at loss 0"
    note = f"exponent of the width in {COUNTED} updates or more, the largest over data, steps, slopes and orders"
    if left_out:
        note += f"; {left_out} widths left out for time, at the smallest steps"
    return [
        *found,
        claim("thm2-end", "Theorem 2", 0, unfinished, "equal", ended, Kind.EXACT),
        claim(
            f"thm2-width[{reach}]", "Section 5 (updates whatever the width)", GROWTH, mean(grown), "at_most", note,
            Kind.TREND,
        ),
    ]  # fmt: skip


def _spread(cases: Sequence[Guarantee]) -> str:
    """How near the usual runs come, not those at the margin that decides because one update is enough there."""
    usual = [g for g in cases if f"margin={TIGHT}," not in g.id]
    shares = [g.measured / g.bound for g in usual if g.measured is not None and g.bound]
    return f"updates / bound from {min(shares):.2g} to {max(shares):.2g} at margins below {TIGHT}"


def _general(scale: str, name: str) -> tuple[list[Guarantee], int]:
    """Theorem 2 at another R and v, and the number of runs that did not end at loss 0."""
    cases, unsolved = [], 0
    for margin, width, eta, alpha in itertools.product(
        MARGINS[scale][:2], WIDTHS[scale][:3], STEPS[scale][-3:], SLOPES
    ):
        sample, k = _sample(margin, 0), width // 2
        R, v = STARTS[name](k)
        run = _run(sample, 0, width, eta, alpha, "shuffle", R=R, v=v)
        unsolved += not _solved(run)
        case = f"margin={margin},2k={width},eta={eta:g},alpha={alpha}"
        cases.append(
            theory.theorem2(**sample.norms, k=k, eta=eta, v=v, R=R, alpha=alpha, updates=run.updates, case=case)
        )
    return cases, unsolved


def _solved(run: TwoLayerRun) -> bool:
    return run.outcome is Outcome.CONVERGED and run.final("train_loss") == 0


def mechanics(scale: str) -> list[Guarantee]:
    """The proof along runs of the reference: how much an update adds at most to |W|^2, and at least to <W, W*>.

    Equations 11 and 12 are the sums of these. Both layers too, with the c and C of the output weights that make the
    update (Section 9.1.2), up to the first change of a sign.

    Statement
    ---------
    Two quantities decide the proof of Theorem 2. Every non-zero update adds at most 2 k eta^2 v^2 + 2 eta to |W|^2,
    and at least 2 k eta v alpha to the inner product with W* = (w*, ..., w*, -w*, ..., -w*). After t updates the
    first is of order sqrt(t) and the second of order t, and as by Cauchy-Schwarz the second cannot exceed the first
    times |W*|, t is bounded.
    """
    sizes = {"smoke": (2, 10), "laptop": (2, 10, 100)}[scale]
    steps = {"smoke": (0.1, 1.0), "laptop": (0.03, 0.3, 3.0)}[scale]
    found = []
    for layers, etas in (("first", steps), ("both", (0.01, 0.1))):
        pairs = []
        for margin, width, eta, alpha in itertools.product(MARGINS[scale][1:], sizes, etas, SLOPES):
            case = f"margin={margin},2k={width},eta={eta:g},alpha={alpha}"
            pairs.append(_monitored(_sample(margin, 0), width, eta, alpha, layers, FIRST[scale], case))
        note = f"of one update, the first {FIRST[scale]} of each run looked at"
        for name, cases in zip(("norm", "alignment"), zip(*pairs), strict=True):
            found.append(tightest(statement_id(f"separable/thm2-{name}", f"{layers} layers"), cases, note))
    return found


def _monitored(
    sample: _Sample, width: int, eta: float, alpha: float, layers: str, most: int, case: str
) -> tuple[Guarantee, Guarantee]:
    """What updates of one run add to |W|^2 and to <W, W*>: those nearest to the steps of Equations 11 and 12."""
    k, w = width // 2, sample.w
    params = initial(generator(0, "separable", "start", width), D, k)
    v, signs = float(params.v[0]), np.repeat([1, -1], k)
    rng = generator(0, "separable", "monitored")
    grown: list[tuple[float, float]] = []  # what an update added, and the bound
    gained: list[tuple[float, float]] = []
    quiet = 0
    while quiet < M and len(grown) < most:  # M: a pass without an update
        quiet = 0
        for i in rng.permutation(M):
            before, (params, updated) = params, two_layer_epoch(
                params, sample.X, sample.y, np.array([i]), eta=eta, alpha=alpha, layers=layers
            )  # fmt: skip
            ratios = before.v * signs / v
            c, C = min(1.0, float(ratios.min())), max(1.0, float(ratios.max()))
            if c <= 0 or len(grown) == most:
                quiet = M
                break
            if not updated[0]:
                quiet += 1
                continue
            size: dict[str, Any] = {"start": 0.0, "k": k, "eta": eta, "v": v}
            grown.append((_square(params) - _square(before), float(theory.norm_bound(1, **size, C=C)[0])))
            least = float(theory.alignment_bound(1, **size, alpha=alpha, c=c)[0])
            gained.append((_aligned(params, w) - _aligned(before, w), least))
    worst = max(range(len(grown)), key=lambda t: grown[t][0] / grown[t][1])
    nearest = min(range(len(gained)), key=lambda t: gained[t][0] / gained[t][1])

    def at(t: int, equation: int, kind: Kind, pair: tuple[float, float], what: str) -> Guarantee:
        source, note = f"{PAPER}, Section 9.1.2, Equation {equation}", f"{what} by update {t + 1} of {len(grown)}"
        return Guarantee(f"[{case}]", source, kind, pair[1], pair[0], note=note, tolerance=1e-9 * pair[1])

    return (
        at(worst, 11, Kind.UPPER_BOUND, grown[worst], "added to |W|^2"),
        at(nearest, 12, Kind.LOWER_BOUND, gained[nearest], "added to <W, W*>"),
    )


def _square(params: TwoLayer) -> float:
    return float(np.sum(params.W**2))


def _aligned(params: TwoLayer, w: FloatArray) -> float:
    """<W, W*> with W* = (w*, ..., w*, -w*, ..., -w*)."""
    k = len(params.v) // 2
    along = params.W @ w
    return float(along[:k].sum() - along[k:].sum())


def both_layers(scale: str) -> list[Guarantee]:
    """The relaxed bound, Equation 13, on the runs of both layers in which no output weight changes its sign."""
    kept: list[Guarantee] = []
    ratios: list[float] = []
    flipped = 0
    for margin, width, eta, alpha, first, seed in itertools.product(
        MARGINS[scale], WIDTHS[scale][:4], (0.01, 0.1, 1.0), SLOPES, BOTH, range(2)
    ):
        sample, usual = _sample(margin, seed), 1 / math.sqrt(width)
        v, R = (usual, usual) if first is None else (first, 0.1)
        run = _run(sample, seed, width, eta, alpha, "shuffle", layers="both", R=R, v=v)
        c, C = run.ratios
        if c <= 0:
            flipped += 1
            continue
        step: dict[str, Any] = {"k": width // 2, "eta": eta, "v": v, "R": R, "alpha": alpha}
        ended = run.outcome is Outcome.CONVERGED
        case = f"margin={margin},2k={width},eta={eta:g},alpha={alpha},v={v:.3g},seed={seed}"
        kept.append(
            theory.relaxed_bound(**sample.norms, **step, c=c, C=C, updates=run.updates, ended=ended, case=case)
        )
        ratios += [c, C]
    note = f"c and C from {min(ratios):.3g} to {max(ratios):.3g}; {flipped} other runs changed a sign"
    return [tightest(statement_id("separable/thm2-relaxed", "both layers"), kept, f"{note}; {_spread(kept)}")]


CHECKS = (
    Check("thm2", f"{PAPER}, Theorem 2 and Corollary 3", theorem2),
    Check("thm2-mechanics", f"{PAPER}, Section 9.1.2 (proof of Theorem 2)", mechanics),
    Check("thm2-relaxed", f"{PAPER}, Section 9.1.2, Equation 13", both_layers),
)
