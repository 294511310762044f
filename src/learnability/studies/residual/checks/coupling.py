"""Lemma C.1 of Allen-Zhu & Li (coupling) at random and adversarial movements; Table 1; Corollary 7.1's numbers.

sigma_w = m^(-.126), tau_w = 1, sigma_v = m^.2, tau_v = m^(-.08): inside Table 1 if every hidden constant and every
logarithm is set to 1, which is how the orders are meant here. With polylog(m) = log m the table asks for m >= 9.6e12.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.evidence.intervals import exponent, exponents
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT, claim, project
from learnability.studies.residual.theorems.coupling import (
    ACROSS,
    Coupling,
    across_order,
    coupling_orders,
    sign_change_share,
    worst_sign_changes,
)
from learnability.studies.residual.theorems.table import table1, widths
from learnability.studies.residual.theorems.thm1 import corollary71
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS", "MOVEMENTS", "couple", "turn_across"]

D, K = 10, 4
WIDTHS = {"smoke": (250, 1000), "laptop": (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)}
DRAWS = {"smoke": 64, "laptop": 8}
MOVEMENTS = ("random", "most gates", "most left over", "largest output")


class Sizes(NamedTuple):
    """Scales of the initialisation and of the movement at one width."""

    m: int
    sigma_w: float
    tau_w: float
    sigma_v: float
    tau_v: float


def _sizes(m: int) -> Sizes:
    return Sizes(m, m**-0.126, 1.0, m**0.2, m**-0.08)


def couple(rng: np.random.Generator, sizes: Sizes, movement: str) -> tuple[Coupling[float], float]:
    """The seven quantities at one initialisation, input and movement of W and V, and |out_1|.

    The movements have spectral norm tau: a Gaussian matrix, or a rank-one one that acts on this input alone and
    turns the most gates, turns those that leave most of the initialisation in the output, or pushes the output.
    """
    m = sizes.m
    A = rng.standard_normal((K, m)) / math.sqrt(m)
    x = rng.standard_normal(D)
    x = np.append(x / np.linalg.norm(x), 1.0)
    W = sizes.sigma_w * rng.standard_normal((m, D + 1))
    V = sizes.sigma_v / math.sqrt(m) * rng.standard_normal((m, K + 1))
    h = W @ x
    moved = h + _move(rng, A, h, x, sizes.tau_w, movement)
    on = moved >= 0
    first = A @ (on * moved)
    o = np.append(first, 1.0)
    z = V @ o
    step = _move(rng, A, z, o, sizes.tau_v, movement)
    open_ = z + step >= 0
    left, size = A * open_, float(np.linalg.norm(first))
    return Coupling(
        int((on != (h >= 0)).sum()),
        float(np.linalg.norm(A @ (on * h))),
        size,
        int((open_ != (z >= 0)).sum()),
        float(np.linalg.norm(left @ z)),
        float(np.linalg.norm(left @ V, 2)),
        float(np.linalg.norm(left @ (z + step))),
    ), size


def _move(
    rng: np.random.Generator, A: FloatArray, g: FloatArray, x: FloatArray, tau: float, movement: str
) -> FloatArray:
    """What a movement of spectral norm tau adds to the pre-activations g of the input x."""
    reach = tau * float(np.linalg.norm(x))
    if movement == "random":
        M = rng.standard_normal((len(g), len(x)))
        return np.asarray(tau / np.linalg.norm(M, 2) * (M @ x))
    on = g >= 0
    direction = A @ (on * g)
    towards = direction @ A / np.linalg.norm(direction)
    if movement == "largest output":
        push = on * towards
        return np.asarray(reach / np.linalg.norm(push) * push)
    if movement == "most gates":
        turned = _affordable(np.argsort(np.abs(g)), g, reach)
    else:  # turning j changes A D g along its direction by towards_j |g_j|, at the price g_j^2
        turned = _best_turned(np.where(on, -towards, towards) * np.sign(g), np.abs(g), g, reach)
    step = np.zeros_like(g)
    step[turned] = -g[turned] * (1 + 1e-7)
    return step


def _best_turned(gain: FloatArray, price: FloatArray, g: FloatArray, reach: float) -> NDArray[np.intp]:
    """The gates to turn, in the order of gain over price."""
    order = np.argsort(-gain / np.maximum(price, 1e-300))
    return _affordable(order[gain[order] > 0], g, reach)


def _affordable(order: NDArray[np.intp], g: FloatArray, reach: float) -> NDArray[np.intp]:
    """As many of the first as a step of that length turns."""
    return order[: np.searchsorted(np.cumsum(g[order] ** 2), (reach * (1 - 1e-6)) ** 2)]


def coupling(scale: str) -> list[Guarantee]:
    """Each quantity over its order, the largest over movements, may not grow with the width.

    Table 1 is met only if its logarithms count as 1: with log m the trend is outside the hypotheses, and says so.
    """
    widths, draws = WIDTHS[scale], range(DRAWS[scale])
    ratios = np.array([[[_ratios(m, movement, i) for movement in MOVEMENTS] for m in widths] for i in draws])
    reach = f"m = {widths[0]}..{widths[-1]}"
    names = {0: "Table 1 with every constant and logarithm 1", 1: "Table 1 with log m for its logarithms"}
    inside = tuple(
        Hypothesis(name, all(table1(k=K, log_power=power, **_sizes(m)._asdict()).holds for m in widths), reach)
        for power, name in names.items()
    )
    found = []
    for name, values in zip(Coupling._fields, np.moveaxis(ratios.max(axis=2), 2, 0)):
        at = values.mean(axis=0)
        along = "of movements along z alone: see [f,printed,a V across z]; " if name == "f" else ""
        found.append(
            claim(
                statement_id("lemma-c1", name, "growth"), f"Lemma C.1 ({name})", 0.05,
                exponents(widths, values, unit="draws"), "at_most",
                f"{along}exponent in m of the largest quantity over its order, {reach}; the ratio is {at[0]:.3g} to "
                f"{at[-1]:.3g} (a measurement: the order's constant and logarithms are not known)",
                Kind.TREND, hypotheses=inside,
            )
        )  # fmt: skip
    note = f"gates that a rank-one movement turns over (6/pi)^(1/3) (tau_w/sigma_w)^(2/3) m^(2/3), m = {widths[-1]}"
    turned = float(ratios[:, -1, MOVEMENTS.index("most gates"), 0].mean())
    source, room = f"{PROJECT}, Lemma C.1 (a)", {"smoke": 0.15, "laptop": 0.03}[scale]
    found.append(
        Guarantee("residual/lemma-c1[a,constant]", source, Kind.EXACT, 1.0, turned, note=note, tolerance=room)
    )
    return [*found, *_across(scale), *_exponents(scale)]


def _ratios(m: int, movement: str, draw: int) -> FloatArray:
    """The seven quantities over their orders."""
    sizes = _sizes(m)
    found, first = couple(generator(draw, "lemma C.1", m, movement), sizes, movement)
    return np.asarray(np.array(found) / np.array(coupling_orders(k=K, first=first, **sizes._asdict())))


def turn_across(rng: np.random.Generator, sizes: Sizes) -> tuple[float, float, float]:
    """One V of rank one with |V|_2 <= tau_v that makes |A D_{V,W} V^(0)|_2 large.

    For a unit a and a unit u orthogonal to z it turns the gates in the order of what each adds to <a, A D V^(0) u>
    over what it costs. Returned: what it added there, |A D_{V,W} V^(0)|_2, and |A D_{V,W} V^(0) z| / |z|.
    """
    m = sizes.m
    A = rng.standard_normal((K, m)) / math.sqrt(m)
    V = sizes.sigma_v / math.sqrt(m) * rng.standard_normal((m, K + 1))
    z = np.append(0.3 * rng.standard_normal(K), 1.0)
    u = rng.standard_normal(K + 1)
    u -= z * (u @ z) / (z @ z)
    u /= np.linalg.norm(u)
    g, reach = V @ z, sizes.tau_v * float(np.linalg.norm(z))
    gates = g >= 0
    gain = A[0] * (V @ u) * np.where(gates, -1.0, 1.0)
    turned = _best_turned(gain, g**2, g, reach)
    gates[turned] = ~gates[turned]  # by the step -g_j (1 + 1e-7) along z
    image = (A * gates) @ V
    across, along = np.linalg.norm(image, 2), np.linalg.norm(image @ z) / np.linalg.norm(z)
    return float(gain[turned].sum()), float(across), float(along)


def _across(scale: str) -> list[Guarantee]:
    """Lemma C.1 (f) is false: its norm is not that of the image of z."""
    widths, draws = WIDTHS[scale], range(DRAWS[scale])
    sizes = [_sizes(m) for m in widths]
    drawn = np.array([[turn_across(generator(i, "across", one.m), one) for one in sizes] for i in draws])
    printed = np.array([coupling_orders(k=K, first=0.0, **one._asdict()).f for one in sizes])
    true = across_order(tau_v=sizes[-1].tau_v, sigma_v=sizes[-1].sigma_v)
    _, norms, along = (drawn.mean(axis=0) / printed[:, None]).T
    reach = f"m = {widths[0]}..{widths[-1]}"
    lemma = all(one.sigma_v * (K / one.m) ** 0.375 <= one.tau_v <= one.sigma_v for one in sizes)
    inside = Hypothesis("tau_v in [sigma_v (k/m)^(3/8), sigma_v], Lemma C.1's range", lemma, reach)
    image = Hypothesis("what bounds |A D V^(0) z| bounds |A D V^(0)|_2", False, "of z alone it is true")
    return [
        claim(
            "lemma-c1[f,printed,a V across z]", "Lemma C.1 (f)", 0.05,
            exponents(widths, drawn[..., 0] / printed, unit="draws"), "at_most",
            f"exponent in m of what one V adds to |A D_(V,W) V^(0)|_2 over tau_v (tau_v/sigma_v)^(1/3), {reach}: "
            f"2/3 of .28 and not 0; |A D V^(0)|_2 is {norms[0]:.3g} to {norms[-1]:.3g} of that order, |A D V^(0) z| "
            f"/ |z| {along[0]:.3g} to {along[-1]:.3g}",
            Kind.TREND, hypotheses=(inside, image),
        ),
        Guarantee(
            "residual/lemma-c1[f,corrected,attained]", f"{PROJECT}, Lemma C.1 (f)", Kind.EXACT, ACROSS,
            float(drawn[:, -1, 0].mean() / true), (inside,),
            f"what that V adds over sigma_v (tau_v/sigma_v)^(2/3), m = {widths[-1]}, against its limit",
            tolerance={"smoke": 0.12, "laptop": 0.03}[scale],
        ),
    ]  # fmt: skip


def _exponents(scale: str) -> list[Guarantee]:
    """Sign changes of N(0, I / m) against |g'| = delta: exponent 2/3 for the worst g', 1 for a random one."""
    m, draws = 400_000, {"smoke": 3, "laptop": 5}[scale]
    deltas = np.geomspace(0.005, 0.1, 6)
    worst, random, shares = [], [], []
    for draw in range(draws):
        rng = generator(draw, "proposition B.4", m)
        g, step = rng.standard_normal(m) / math.sqrt(m), rng.standard_normal(m)
        step /= np.linalg.norm(step)
        worst.append([worst_sign_changes(g, float(delta)) for delta in deltas])
        random.append([int(((g + delta * step >= 0) != (g >= 0)).sum()) for delta in deltas])
        for delta, count in zip(deltas, worst[-1]):
            share = sign_change_share(float(delta))
            shares.append(
                Guarantee(
                    f"[delta={delta:.3g},{draw}]", f"{PROJECT}, Proposition B.4", Kind.EXACT, share, count / m,
                    tolerance=6 * math.sqrt(share / m),
                )
            )  # fmt: skip
    return [
        tightest("residual/prop-b4[worst share]", shares, f"share of signs that the worst g' turns, m = {m}"),
        claim(
            "prop-b4[exponent,worst]", "Proposition B.4", 0.02,
            exponents(deltas, worst, unit="draws").distance(2 / 3), "at_most",
            f"exponent of the number of sign changes in delta, m = {m}", Kind.TREND,
        ),
        claim(
            "prop-b4[exponent,random]", "Proposition B.4", 2 / 3, exponents(deltas, random, unit="draws"), "at_least",
            "a random g' turns about delta m / pi signs, far fewer than the worst one", Kind.TREND,
        ),
    ]  # fmt: skip


def ranges(scale: str) -> list[Guarantee]:
    """Where Table 1 can be met, and what Corollary 7.1 promises there."""
    k = 15
    least = {
        (q, silent): math.exp((widths(k=k, log_power=q, silent=silent) or (math.inf,))[0])
        for q in (0, 1, 2)
        for silent in (False, True)
    }
    shown = "; ".join(
        f"{least[q, True]:.2g} with (log m)^{q}, {least[q, False]:.2g} without 1/sigma_v <= tau_v^2" for q in (1, 2)
    )
    d = np.array([1e3, 1e5, 1e7])
    promises = [corollary71(int(n), 4, n**-0.1, delta=n**-0.4) for n in d]
    rate, needs = exponent(d, [promise.samples for promise in promises]).estimate, promises[-1].promise.hypotheses
    consistent = f"least m with every constant 1, tau_w = 1, polylog = 1: the ranges can be met; others: {shown}"
    runnable = "least m with polylog(m) = log m: no experiment is inside Table 1"
    arithmetic = "samples T at delta = alpha^4, constants 1: arithmetic of the formula, outside its range of alpha"
    identity, source = "residual/cor71[exponent of d,alpha=d^-0.1]", f"{PAPER}, after Theorem 2"
    return [
        project("table1[consistent,k=15]", "Table 1", 1e3, least[0, True], "at_most", consistent),
        project("table1[widths that can be run,k=15]", "Table 1", 1e6, least[1, True], "at_least", runnable),
        Guarantee(identity, source, Kind.EXACT, 1.8, rate, needs, arithmetic, tolerance=1e-6),
    ]


CHECKS = (
    Check("lemma-c1", f"{PAPER}, Lemma C.1 and Proposition B.4", coupling),
    Check("table1", f"{PAPER}, Table 1 and Corollary 7.1", ranges),
)
