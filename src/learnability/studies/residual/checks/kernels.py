"""Kernels of the three-layer ResNet: closed forms of this project against networks drawn at random.

Section 8.1's sizes: d = 30 signs, k = 15 outputs; and, for the kernels that need it, inputs of norm 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from learnability.checks import FloatArray
from learnability.evidence.claims import judged
from learnability.evidence.intervals import at_all, exponent, exponents, mean
from learnability.kernels import closed_form, inner_product, residual, residual_empirical
from learnability.networks.residual import ResNet3, initial, lifted
from learnability.seeding import generator
from learnability.studies.residual import project
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS"]

PROJECT = "this project, on Allen-Zhu & Li, Section 8.1"
D, K = 30, 15
PARTS = ("last", "A", "V", "W")
BLOCKS = 10
"""Draws are put into so many, to see how far a spread over draws is known."""


def _exact(identity: str, bound: float, measured: float, tolerance: float, note: str = "") -> Guarantee:
    return Guarantee(identity, PROJECT, Kind.EXACT, bound, measured, note=note, tolerance=tolerance)


def _inputs() -> tuple[FloatArray, FloatArray]:
    """One input, and three others that agree with it in 24, 15 and 5 places."""
    x = generator(0, "kernels", "x").choice([-1.0, 1.0], D)
    Z = np.tile(x, (3, 1))
    for row, differ in zip(Z, (6, 15, 25)):
        row[:differ] *= -1
    return x[None], Z


def _draw(seed: int, m: int, sigma_w: float | None = None, sigma_v: float = 1.0) -> ResNet3:
    params = initial(generator(seed, "kernels", m), "3resnet", D, K, m, sigma_w=sigma_w, sigma_v=sigma_v)
    assert isinstance(params, ResNet3)
    return params


def _measured(params: ResNet3, X: FloatArray, Z: FloatArray) -> FloatArray:
    """The four kernels, (4, n r)."""
    parts = residual_empirical.tangent(params, X, Z)
    last = residual_empirical.conjugate(params, X, Z)
    return np.array([last.ravel(), *(parts[name].ravel() for name in PARTS[1:])])


def _given(params: ResNet3, X: FloatArray, Z: FloatArray, **scales: float) -> FloatArray:
    """The closed forms given the bottleneck."""
    O, P = (residual_empirical.bottleneck(params, inputs) for inputs in (X, Z))
    found = residual.given_bottleneck(X, Z, O, P, m=len(params.W), **scales)
    return np.array([found.last.ravel(), found.A.ravel(), found.V.ravel(), found.W.ravel()])


def average(scale: str) -> list[Guarantee]:
    """Mean over initialisations, Section 8.1's, against the finite-width formulas and the limit.

    Statement
    ---------
    Ours: closed forms of the ResNet's conjugate kernel (last layer trained) and of the three parts (A, V and W) of
    its tangent kernel, in the mean over starts with the variances of Section 8.1, where W0 has variance 1 / m: at
    width m up to terms of relative order 1 / m^2, and as m grows without bound.

    Errata
    ------
    Section 8.1 prints 1 for the mean of the Gaussian entries of the start in the text at hand; 0 is meant.
    """
    X, Z = _inputs()
    plan = {"smoke": ((200, 200),), "laptop": ((200, 2000), (2000, 200), (20_000, 20))}[scale]
    found: dict[str, list[Guarantee]] = {}
    for m, draws in plan:
        got = np.array([_measured(_draw(seed, m), X, Z) for seed in range(draws)])
        centre, room = got.mean(axis=0), got.std(axis=0) / math.sqrt(draws)
        forms = residual.average(X, Z, m=m, k=K)
        for row, name in enumerate(PARTS):
            for pair, (value, at, error) in enumerate(zip(getattr(forms, name).ravel(), centre[row], room[row])):
                # Terms of relative order 1 / m are in the formulas; what is left is of the next order.
                near, shown = 4 * float(error) + 5 * abs(value) / m, f"{draws} draws, standard error {error:.3g}"
                found.setdefault(name, []).append(_exact(f"[m={m},pair {pair}]", value, at, near, shown))
    widths = ", ".join(str(m) for m, _ in plan)
    merged = [tightest(f"residual/kernels[{name},average]", gs, f"widths {widths}") for name, gs in found.items()]
    return [*merged, *_limit(X, Z)]


def _limit(X: FloatArray, Z: FloatArray) -> list[Guarantee]:
    """The limit is that of the two-layer network plus constants; it is reached like 1 / m, in V like 1 / sqrt(m)."""
    limit, inputs = residual.limit(X, Z), (lifted(X), lifted(Z))
    constant = 0.5 + math.sqrt(D + 1) / math.pi
    last = limit.last - closed_form.conjugate(*inputs, weight=1.0) - constant
    ntk = limit.ntk - closed_form.tangent(*inputs, weight=1.0) - constant - 0.5
    sizes = (10**4, 10**6, 10**8)
    forms = [residual.average(X, Z, m=m, k=K) for m in sizes]
    rates = {
        name: exponent(sizes, [np.abs(getattr(f, name) - getattr(limit, name)).max() for f in forms]).estimate
        for name in PARTS
    }
    two = "on signs: largest difference from the kernels of the two-layer network plus a constant"
    off = float(np.abs([last, ntk]).max())
    found = [_exact("residual/kernels[limit,two layers and a constant]", 0, off, 1e-12, two)]
    note = "exponent in m of the distance between the averages and the limit"
    for name, rate in rates.items():
        rooted = name == "V"
        found.append(
            Guarantee(
                f"residual/kernels[limit,rate,{name}]",
                PROJECT,
                Kind.TREND,
                -0.5 if rooted else -1,
                rate,
                direction="equal",
                tolerance=0.05,
                note=note + (": kappa_0 has a root at 1, where the bottleneck's cosine goes" if rooted else ""),
            )
        )
    return found


def random_limit(scale: str) -> list[Guarantee]:
    """With sigma_w fixed the V part stays random as m grows, and agrees with the formula given the bottleneck.

    Statement
    ---------
    Ours: unless sigma_w tends to 0 the ResNet's kernels do not become deterministic as m grows, as the bottleneck
    has k units only. Given the bottleneck's outputs they do, and have a closed form.
    """
    X, Z = _inputs()
    widths, draws = {"smoke": ((200, 800), 200), "laptop": ((500, 2000, 8000), 200)}[scale]
    spread, error, general = np.zeros((BLOCKS, len(widths))), np.zeros((BLOCKS, len(widths))), []
    for place, m in enumerate(widths):
        values, ratios = [], []
        for seed in range(draws):
            params = _draw(seed, m, sigma_w=1.0)
            got, wanted = _measured(params, X, Z), _given(params, X, Z, sigma_w=1.0)
            values.append(got[2])
            ratios.append(got / wanted)
        first, ratio = np.array(values)[:, 0], np.array(ratios)
        spread[:, place] = [part.std(ddof=1) / abs(first.mean()) for part in np.array_split(first, BLOCKS)]
        error[:, place] = [part.std(ddof=1) for part in np.array_split(ratio[:, 2, 0], BLOCKS)]
        for row, name in enumerate(PARTS):
            for pair, of_pair in enumerate(ratio[:, row].T):
                room = 4 * float(of_pair.std()) / math.sqrt(draws) + 5 / m  # the formula's own error is random
                general.append(_exact(f"[{name},m={m},pair {pair}]", 1.0, float(of_pair.mean()), room))
    span = f"m={widths[0]}..{widths[-1]}"
    shown, (from_error, *_, to_error) = (np.sqrt((part**2).mean(axis=0)) for part in (spread, error))
    sizes = ", ".join(f"{value:.3g}" for value in shown)
    return [
        tightest(
            statement_id("residual/kernels", "given the bottleneck", "sigma_w=sigma_v=1"),
            general,
            "mean over draws of measured / closed form given o",
        ),
        judged(
            Guarantee(
                statement_id("residual/kernels", "V part", "not self-averaging", span), PROJECT, Kind.TREND, -0.15,
                direction="at_least",
                note=f"exponent in m of its relative spread over initialisations, {sizes}: it does not shrink",
            ),
            exponents(widths, spread, unit=f"blocks of {draws // BLOCKS} draws"),
        ),
        judged(
            Guarantee(
                statement_id("residual/kernels", "V part", "given the bottleneck", span), PROJECT, Kind.TREND,
                {"smoke": 0.35, "laptop": 0.15}[scale],
                direction="at_most",
                note=f"exponent in m of the spread of measured / closed form given o, {from_error:.3g} to "
                f"{to_error:.3g}",
            ),
            exponents(widths, error, unit=f"blocks of {draws // BLOCKS} draws").distance(-0.5),
        ),
    ]  # fmt: skip


def others(scale: str) -> list[Guarantee]:
    """The arcsine and two- and three-layer kernels against random features and networks.

    Statement
    ---------
    Ours, of the kernels that Section 8.1 compares with: the arcsine kernel is the mean of products of erf features,
    and the conjugate and tangent kernels of two- and three-layer ReLU networks are what networks of growing width
    have.
    """
    from scipy.special import erf

    m = {"smoke": 20_000, "laptop": 400_000}[scale]
    X = generator(0, "kernels", "inputs").choice([-1.0, 1.0], (4, D)) / math.sqrt(D)
    rng = generator(0, "kernels", "features")
    W, b = rng.standard_normal((m, D)), rng.standard_normal(m)
    h = X @ W.T + b
    cases: dict[str, tuple[FloatArray, Callable[[], FloatArray]]] = {
        "arcsine": (erf(h), lambda: inner_product.arcsine(X, X)),
        "conjugate, 2 layers, biases": (np.maximum(h, 0), lambda: closed_form.conjugate(X, X, weight=1.0, bias=1.0)),
    }
    found = []
    for name, (features, kernel) in cases.items():
        products = features[:, None] * features[None]
        gap, room = np.abs(products.mean(axis=2) - kernel()), products.std(axis=2) / math.sqrt(m)
        note = (
            f"unit: standard errors; largest difference over 16 pairs in those of the pair, {m} features; a standard "
            f"error is at most {(room / np.abs(kernel())).max():.2g} of the kernel, at the least {room.min():.2g}"
        )
        identity = statement_id("residual/kernels", name, "random features")
        found.append(_exact(identity, 0, float((gap / room).max()), 4, note))
    return [*found, _three_layers(scale)]


def _three_layers(scale: str) -> Guarantee:
    """NTK of the ``3layer`` network at Section 8.1's scales: its own limit, against a wide network."""
    m, draws, most = {"smoke": (200, 1500, 0.03), "laptop": (400, 4000, 0.02)}[scale]
    X = generator(0, "kernels", "inputs").choice([-1.0, 1.0], (3, D))
    got = np.array(
        [
            sum(residual_empirical.tangent(initial(generator(seed, "3layer", m), "3layer", D, K, m), X, X).values())
            for seed in range(draws)
        ]
    )
    inner = 1 + X @ X.T
    # Every variance is 1 / m: sums over m units are these, and m times the second layer's covariance is between.
    between = 1 + 0.5 * _scale(inner) * closed_form.arc_cosine1(inner / _scale(inner))
    gate, gate_2 = (closed_form.arc_cosine0(M / _scale(M)) for M in (inner, between))
    last = 0.5 * _scale(between) * closed_form.arc_cosine1(between / _scale(between))
    wanted = last + 0.5 * gate_2 * between + 0.25 * inner * gate * gate_2  # A, U, W
    pairs = (got / wanted)[:, *np.triu_indices(len(X))].T
    apart = [mean(pair, comparisons=len(pairs), unit="networks").distance(1.0) for pair in pairs]
    note = (
        "distance from 1 of the mean over networks over the limit, of the pair of 6 where it is largest: "
        f"{', '.join(f'{pair.mean():.4f}' for pair in pairs)}"
    )
    return project(f"kernels[3layer,NTK,m={m}]", "Section 8.1", most, at_all(apart, "at_most"), "at_most", note)


def _scale(M: FloatArray) -> FloatArray:
    """Products of the roots of the diagonal."""
    size = np.sqrt(np.diag(M))
    return np.asarray(size[:, None] * size[None, :])


CHECKS = (
    Check("kernels", PROJECT, average),
    Check("kernels-random", PROJECT, random_limit),
    Check("kernels-others", PROJECT, others),
)
