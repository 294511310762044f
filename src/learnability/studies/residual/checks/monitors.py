"""Appendix C of Allen-Zhu & Li along runs of Algorithm 1: Table 1's movements, Lemmas C.1 and C.3, Claims C.5 to C.7.

Runs on the hard instance (:mod:`learnability.studies.residual.checks.training`) at growing widths: within the
theorem's range of alpha with every hidden constant 1, where V hardly moves, and with alpha = .5, where it does.
Everything is taken at the end of a run, over inputs drawn from the distribution, W* and V* the shortest that fit
(they exist at every width here, where Lemma E.1's formula needs m = 1e13).

No width is within Table 1, and a printed order with an unknown constant can hardly fail: each row says what can.

Three printed orders are not met with constant 1 at any of these widths. **C.3 (a)** (E|A D_W W* x~ - F|^2 of order
alpha_tilde^4 = 1e-11): what the turned gates change is 1e-3 to 1e-5 and falls faster than 1/m, its proof's bound only
like m^-.25: the width is at fault, not the order. **C.3 (c)** has, besides, what is left of the initialisation in
out_1, of order sqrt(k) sigma_w, so that alpha_tilde^4 asks for sigma_w <= alpha_tilde^2 / sqrt(k): with sigma_w =
m^(-.126) for m >= 1e44, with Table 1's largest, m^(-.01), for no width that can be written down. "Sufficiently large
m" of its proof is that; Err of **Claim C.6** is the same number here. **|grad_W| <= O(1) |y - out|**, "used in the
end" of Claim C.5: true with the constant 1.7 instead of 1, which is 1 + (the slope of what V has learnt), and does
not grow with sigma_v: the order is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.intervals import Interval, at_all, exponents, mean
from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.seeding import generator
from learnability.studies.residual import PAPER, claim, project
from learnability.studies.residual.checks.competitor import directions, shortest
from learnability.studies.residual.checks.training import Case, K, algorithm1, cube, promised
from learnability.studies.residual.theorems.competitor import Competitor, Fit, fit
from learnability.studies.residual.theorems.coupling import coupling_orders, random_share
from learnability.studies.residual.theorems.monitors import Monitors, Run, measured
from learnability.studies.residual.theorems.table import movements
from learnability.studies.residual.theorems.thm1 import hard_complexities
from learnability.study import Check
from learnability.theory import Guarantee, Kind

__all__ = ["CHECKS"]

WIDTHS = {"smoke": (250, 1000), "laptop": (500, 2000, 8000, 32_000)}
DRAWS = {"smoke": 4, "laptop": 8}
STEPS = {"smoke": 512, "laptop": 1024}
RUNS = ((0.05, 0.1), (0.5, 0.5**4))
"""Alpha and delta."""
INPUTS = 48
"""Of the 256, at which everything is measured."""


class Moment(NamedTuple):
    """The end of one run."""

    case: Case
    run: Run
    found: Monitors
    fit: Fit
    slopes: FloatArray
    """Norms of the gradients in W and in V over |y - out|, (2, inputs)."""
    least: tuple[float, float]
    """Norms of W* and V*."""
    off: float
    """Relative difference of the gradient's slope towards W*, V* from Fact C.4's."""


def training(scale: str) -> list[Guarantee]:
    """All of Appendix C, over draws, widths and both runs.

    Statement
    ---------
    Appendix C along a run of SGD: W and V stay within tau_w and tau_v of the start (Table 1); the seven quantities
    of Lemma C.1 stay within their orders; W* and V* still fit with the gates of the moved network (Lemma C.3); the
    gradients are of the order of |y - out| times sigma_v + 1 and tau_w + 1 (Claim C.5); H - out is f(W* - W) + g(V*
    - V) up to a small Err (Claim C.6); and out_1 is F to within 2 |out - H| and small terms (Claim C.7).

    Errata
    ------
    The final proof takes |grad_W| <= O(1) |y - out|, where Claim C.5 gives sigma_v + 1 times as much and sigma_v may
    grow like m^(3/8).
    """
    widths = WIDTHS[scale]
    moments = [
        [[_moment(alpha, delta, m, draw, STEPS[scale]) for m in widths] for draw in range(DRAWS[scale])]
        for alpha, delta in RUNS
    ]
    return [*_movements(moments), *_coupling(moments), *_gradients(moments), *_fits(moments)]


Moments = list[list[list[Moment]]]
"""By run, draw and width."""
Number = Callable[[Moment], float]


@lru_cache(maxsize=2)
def _competitor(m: int, draw: int) -> tuple[ResNet3, FloatArray, FloatArray]:
    """Start, W* and V* / alpha, which are those of both runs."""
    case, X, Z = Case(m, 0.5, 1.0, 1.0, 0, draw=draw), cube(), directions(60)
    (F, G), start = case.functions(), case.start()
    return start, shortest(start.W, start.A, X, F(X)), shortest(start.V, start.A, Z, G(Z))


def _moment(alpha: float, delta: float, m: int, draw: int, steps: int) -> Moment:
    rates = promised(alpha, delta)
    case = Case(m, alpha, rates.eta_w, rates.eta_v, steps, draw=draw)
    X = generator(draw, "monitors").permutation(cube())[:INPUTS]
    start, W, V = _competitor(m, draw)
    (F, G), now = case.functions(), algorithm1(case).stops[-1][1]
    other, run, Y = Competitor(W, alpha * V, F, G, alpha), Run(start, now, X), case.labels(X)
    at, slopes, along, size = fit(run, other), [], 0.0, 0.0
    for x, y in zip(X[:, None], Y[:, None], strict=True):
        loss, gradient = networks.gradient(now, x, y)
        norms = np.linalg.norm(gradient.W), np.linalg.norm(gradient.V)
        slopes.append(np.array(norms) / math.sqrt(2 * loss))
        parts = gradient.W * (other.W - run.W), gradient.V * (other.V - run.V)
        along += sum(float(part.sum()) for part in parts)
        size += sum(float(np.abs(part).sum()) for part in parts)
    off = abs(along + float(at.descent.sum())) / size
    least = float(np.linalg.norm(other.W)), float(np.linalg.norm(other.V))
    return Moment(case, run, measured(run), at, np.array(slopes).T, least, off)


# What is judged: a number of a moment, over draws and widths ---------------------------------------------------


def _values(moments: Moments, number: Number) -> FloatArray:
    """(runs, draws, widths)"""
    return np.array([[[number(one) for one in row] for row in rows] for rows in moments])


def _grows(moments: Moments, number: Number) -> Interval:
    """Exponent in the width, of the run in which it is largest."""
    widths = [one.case.m for one in moments[0][0]]
    return at_all([exponents(widths, curves, unit="draws") for curves in _values(moments, number)], "at_most")


def _largest(moments: Moments, number: Number) -> Interval:
    """Mean over draws, at the run and width where it is largest."""
    means = [mean(v, unit="draws") for values in _values(moments, number) for v in values.T]
    return at_all(means, "at_most")


def _apart(moments: Moments, number: Number) -> Interval:
    """Distance from 1 of the mean over draws, at the run and width where it is largest."""
    means = [mean(v, unit="draws").distance(1.0) for values in _values(moments, number) for v in values.T]
    return at_all(means, "at_most")


def _shown(moments: Moments, number: Number) -> str:
    """Geometric means at the first and the last width, by run."""
    ends = np.exp(np.log(_values(moments, number)[:, :, [0, -1]]).mean(axis=1))
    first, last = moments[0][0][0].case.m, moments[0][0][-1].case.m
    pairs = (f"{a:.3g} to {b:.3g} at alpha = {rows[0][0].case.alpha:g}" for (a, b), rows in zip(ends, moments))
    return f"{', '.join(pairs)}, m = {first} to {last}"


def _rms(values: FloatArray) -> float:
    return float(np.sqrt((values**2).mean()))


def _orders(one: Moment) -> dict[str, float]:
    """Table 1's tau_w, tau_v and the printed orders of Lemma C.1 with constant 1."""
    tau_w, tau_v = movements(alpha=one.case.alpha, k=K, **hard_complexities(one.case.d, K)._asdict())
    sizes = {"tau_w": tau_w, "tau_v": tau_v, "sigma_w": one.case.sigma_w, "sigma_v": one.case.sigma_v}
    return {**sizes, **coupling_orders(m=one.case.m, k=K, first=_rms(one.found.c), **sizes)._asdict()}


# Statements ---------------------------------------------------------------------------------------------------


def _movements(moments: Moments) -> list[Guarantee]:
    """W and V move about as far as the shortest W*, V*: (C.3) with |W*|, |V*| for tau / 10."""
    found = []
    for place, (name, bound) in enumerate({"W": 1.2, "V": 1.0}.items()):

        def moved(one: Moment, place: int = place, name: str = name) -> float:
            return float(np.linalg.norm(getattr(one.run, name))) / one.least[place]

        def over(one: Moment, name: str = name) -> float:
            return float(np.linalg.norm(getattr(one.run, name))) / _orders(one)[f"tau_{name.lower()}"]

        note = (
            f"|{name}_t|_F over |{name}*|_F, largest; {_shown(moments, moved)}; over tau_{name.lower()}, constant 1"
        )
        ours = "" if bound == 1 else f"; {bound:g} is ours: 1, and a fifth more for finite widths"
        found.append(
            claim(
                f"table1[|{name}|,training]", "(C.3)", bound, _largest(moments, moved), "at_most",
                f"{note}, {_shown(moments, over)}{ours}",
            )
        )  # fmt: skip
    return found


def _coupling(moments: Moments) -> list[Guarantee]:
    """Lemma C.1 at what SGD does, which is far from the worst movement."""

    def turned_W(one: Moment) -> float:
        reach = np.linalg.norm(one.run.moved, axis=1) / (one.case.sigma_w * np.linalg.norm(one.run.lifted, axis=1))
        return float(one.found.a.mean() / _random(one.case.m, reach))

    def turned_V(one: Moment) -> float:
        # The reach over sqrt(m) is against sigma_v |z| / sqrt(m).
        reach = np.linalg.norm(one.run.moved_V, axis=1) / (one.case.sigma_v * np.linalg.norm(one.run.z, axis=1))
        return float(one.found.d.mean() / _random(one.case.m, reach * math.sqrt(one.case.m)))

    def left(one: Moment) -> float:
        at_start = (one.run.on0 * one.run.before) @ one.run.A.T
        return _rms(one.found.b) / _rms(np.linalg.norm(at_start, axis=1))

    def over(letter: str) -> Number:
        return lambda one: _rms(getattr(one.found, letter)) / _orders(one)[letter]

    like = "gates that {}_t turns over those that a random movement of its length turns, arctan(reach) / pi of all"
    growing = {letter: _grows(moments, over(letter)) for letter in "cefg"}
    printed = "; ".join(f"({letter}) {_shown(moments, over(letter))}" for letter in "abcdefg")
    return [
        project(
            "lemma-c1[a,training]", "Lemma C.1 (a)", 0.15, _apart(moments, turned_W), "at_most",
            f"{like.format('W')}, distance from 1, largest; {_shown(moments, turned_W)}",
        ),
        project(
            "lemma-c1[d,training]", "Lemma C.1 (d)", 1.2, _largest(moments, turned_V), "at_most",
            f"{like.format('V')}, largest; {_shown(moments, turned_V)}; 1.2 is ours: no more "
            "than a random movement, 1, and a fifth more for the spread over draws",
        ),
        project(
            "lemma-c1[b,training]", "Lemma C.1 (b)", 0.05, _apart(moments, left), "at_most",
            "what is left of the initialisation, |A D_W W^(0) x~|, over what was there at the start, of order "
            f"sqrt(k) sigma_w: distance from 1, largest; {_shown(moments, left)}",
        ),
        claim(
            "lemma-c1[orders,training]", "Lemma C.1 (c), (e), (f), (g)", 0.1, at_all(growing.values(), "at_most"),
            "at_most",
            "exponent in m of the quantity over its printed order, tau_w and tau_v as in Table 1, constant 1; the "
            f"largest of (c), (e), (f), (g); ratios: {printed}",
            Kind.TREND,
        ),
    ]  # fmt: skip


def _random(m: int, reach: FloatArray) -> float:
    """Mean number of m Gaussian signs that a Gaussian movement turns, of that length over one sign's deviation."""
    return float(m * random_share(reach / math.sqrt(m)).mean())


def _gradients(moments: Moments) -> list[Guarantee]:
    """Claim C.5: the constants at the start are |x~| / sqrt(2) and |z| / sqrt(2), and V's slope adds to the first."""
    last = [[row[-1:] for row in rows] for rows in moments]
    apart = {
        "W": lambda one: float((one.slopes[0] / np.linalg.norm(one.run.lifted, axis=1)).mean()) * math.sqrt(2),
        "V": lambda one: float((one.slopes[1] / np.linalg.norm(one.run.z, axis=1)).mean()) * math.sqrt(2),
    }
    found = [
        project(
            f"claim-c5[{name},training]", "Claim C.5", 0.05, _apart(last[:1], apart[name]), "at_most",
            f"at alpha = {last[0][0][0].case.alpha:g} the distance from 1 of |grad_{name}| over |y - out| |{of}| / "
            f"sqrt(2), its value for wide networks, at m = {last[0][0][0].case.m}; {_shown(moments, apart[name])}",
        )
        for name, of in (("W", "x~"), ("V", "z"))
    ]  # fmt: skip

    def most(one: Moment) -> float:
        return float(one.slopes[0].max())

    note = (
        "exponent in m of the largest |grad_W| / |y - out|: Claim C.5 has O(sigma_v + 1), and sigma_v = m^.2; the "
        f"final proof uses O(1); largest: {_shown(moments, most)}"
    )
    grows = _grows(moments, most)
    return [
        *found,
        claim("claim-c5[W,used in the end,training]", "Claim C.5", 0.05, grows, "at_most", note, Kind.TREND),
    ]


def _fits(moments: Moments) -> list[Guarantee]:
    """Lemma C.3, Claims C.6 and C.7 and Fact C.4 with the shortest W* and V*."""

    def square(part: str) -> Number:
        return lambda one: _rms(getattr(one.fit, part)) ** 2

    def second(one: Moment) -> float:
        return _rms(one.fit.second / np.linalg.norm(one.run.z, axis=1)) ** 2 / one.case.alpha**2

    def near(one: Moment) -> float:
        return _rms(one.fit.distance) / (2 * _rms(one.fit.risk) + one.case.alpha)

    def err(one: Moment) -> float:
        return square("error")(one) / _rms(one.found.b) ** 2

    off = max(one.off for rows in moments for row in rows for one in row)
    trends = {
        "lemma-c3[a,training]": ("E|A D_W W* x~ - F|^2; its proof has m^-.25", -1.0, square("first")),
        "lemma-c3[b,training]": (
            "E(|A D_(V,W) V* z - alpha G(out_1)| / |z|)^2 / alpha^2, its order",
            -2 / 15,
            second,
        ),
    }
    found = [
        claim(
            identity, f"Lemma C.3 ({identity[9]})", bound,
            _grows(moments, number), "at_most", f"exponent in m of {what}; {_shown(moments, number)}", Kind.TREND,
        )
        for identity, (what, bound, number) in trends.items()
    ]  # fmt: skip
    return [
        *found,
        project(
            "claim-c6[Err,training]", "Claim C.6", 2.0, _largest(moments[:1], err), "at_most",
            f"at alpha = {moments[0][0][0].case.alpha:g} E|Err|^2 over E|A D_W W^(0) x~|^2: where V hardly moves, "
            "Err is mostly what is left of the start, as in C.3 (c), and as much again for all the rest: 2 is ours, "
            f"the claim has no constant; {_shown(moments, err)}; E|Err|^2 {_shown(moments, square('error'))}",
        ),
        claim(
            "claim-c7[training]", "Claim C.7", 1.0, _largest(moments, near), "at_most",
            "|out_1 - F| over 2 |out - H| + alpha (root mean squares, |F| = |G(F)| = 1): the claim without its term "
            f"in tau_v; {_shown(moments, near)}",
        ),
        Guarantee(
            "residual/fact-c4[towards W* and V*,training]", f"{PAPER}, Fact C.4", Kind.EXACT, 0.0, off,
            note="largest relative difference of the gradient's slope from <H - out, f(W* - W) + g(V* - V)>",
            tolerance=1e-10,
        ),
    ]  # fmt: skip


CHECKS = (
    Check(
        "training", f"{PAPER}, Table 1, Lemmas C.1 and C.3, Claims C.5 to C.7 along a run", training, needs=("jax",)
    ),
)
