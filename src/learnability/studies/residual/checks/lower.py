"""Theorems 2 and 3 of Allen-Zhu & Li: the best that any weights of a kernel or of features reach, for all targets.

The population problem is solved exactly on all 2^d points. The theorems are about every span of N functions, so no
kernel could break them; what a kernel decides is that they bite: from training points z and -z, few enough for
Theorem 2 (N <= C(d, k) / 1000), all kernels but three do learn x_i, and of the composite signal nothing. The sharper
statements of this project hold for every N and are checked up to N = C(d, k).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from learnability.checks import FloatArray
from learnability.kernels import closed_form, inner_product, residual, residual_empirical
from learnability.kernels.features import ACTIVATIONS, random_layer
from learnability.kernels.named import kernel as named
from learnability.networks.residual import NETWORKS, Network, initial
from learnability.networks.residual import features as network_features
from learnability.problems import boolean
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT, project
from learnability.studies.residual.theorems.lemmas import lemma_d1, lemma_d2
from learnability.studies.residual.theorems.lower import (
    ROUNDING,
    BestFits,
    best_fits,
    theorem2,
    theorem3,
    values_on_cube,
)
from learnability.study import Check
from learnability.theory import Guarantee, Kind, Verdict
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS", "KERNELS"]

ALPHAS = (0.05, 0.3, 0.9)

Kernel = Callable[[FloatArray, FloatArray], FloatArray]

KERNELS: dict[str, Kernel] = {
    "Gaussian": lambda X, Z: closed_form.rbf(X, Z, 1.0),
    "arcsin": inner_product.arcsin,
    "arcsine": inner_product.arcsine,
    "recursive, depth 2": lambda X, Z: inner_product.recursive(X, Z, depth=2),
    "polynomial, degree 8": lambda X, Z: inner_product.polynomial(X, Z, degree=8),
    "conjugate, 2 layers": closed_form.conjugate,
    "conjugate, 3 layers, biases": lambda X, Z: closed_form.conjugate(X, Z, depth=2, bias=1.0),
    "NTK, 2 layers": closed_form.tangent,
    "NTK, 2 layers, biases": lambda X, Z: closed_form.tangent(X, Z, bias=1.0),
    "NTK, 3 layers, biases": lambda X, Z: closed_form.tangent(X, Z, depth=2, bias=1.0),
    "random features, 500": lambda X, Z: _features(X.shape[1])(X, Z),
    "3layer of width 64, last": lambda X, Z: residual_empirical.conjugate(_network(X.shape[1], "3layer"), X, Z),
    "3layer of width 64, NTK": lambda X, Z: _tangent(_network(X.shape[1], "3layer"), X, Z),
    "ResNet, last": lambda X, Z: residual.limit(X, Z).last,
    "ResNet, NTK": lambda X, Z: residual.limit(X, Z).ntk,
    "ResNet of width 64, last": lambda X, Z: residual_empirical.conjugate(_network(X.shape[1]), X, Z),
    "ResNet of width 64, NTK": lambda X, Z: _tangent(_network(X.shape[1]), X, Z),
}
"""Of inputs of norm 1."""


def _tangent(params: Network, X: FloatArray, Z: FloatArray) -> FloatArray:
    return np.asarray(sum(residual_empirical.tangent(params, X, Z).values()))


def _network(d: int, network: str = "3resnet") -> Network:
    """A random network with two outputs, over which the tangent kernel is averaged."""
    return initial(generator(0, "thm2 network", d), network, d, 2, 64, sigma_w=1.0)


def _features(d: int) -> Kernel:
    """The kernel of random features, the same ones at every call."""
    return named("features", rng=generator(0, "thm2 features", d), n=d, N=500)


LEARNT = {"smoke": (12, 6, 80), "laptop": (18, 9, 48)}
"""(d, k, N) from which the kernels learn x_i; N <= C(d, k) / 1000 at ``laptop``."""
INSIDE = "NTK, 2 layers"
"""The kernel that takes the sizes of ``laptop`` at ``smoke`` too: N <= C(d, k) / 1000, and x_i is learnt."""
NOT_LEARNT: dict[str, tuple[str, ...]] = {
    "smoke": (),
    "laptop": ("polynomial, degree 8", "3layer of width 64, last", "3layer of width 64, NTK"),
}
"""Kernels that do not learn x_i from so few points of so many dimensions."""
STRONG = 0.9
"""alpha of the target of which x_i is to be learnt."""
BEYOND = {"smoke": ((8, 4),), "laptop": ((8, 3), (10, 4), (12, 4))}
"""(d, k), for N = C / 4, C / 2 and C - 1."""


def _points(d: int, N: int, *, pairs: bool = False, repeated: bool = False) -> FloatArray:
    """Distinct training points; ``pairs``: each beside its negative; ``repeated``: every fifth one a copy."""
    rows = generator(0, "thm2", d, N).choice(2 ** (d - pairs), N // (1 + pairs), replace=False)
    X = np.where(rows[:, None] >> np.arange(d) & 1, -1.0, 1.0) / math.sqrt(d)
    if repeated:  # as samples may
        X[4::5] = X[3::5][: len(X[4::5])]
    return np.vstack([X, -X]) if pairs else X


def _fits(kernel: Kernel, d: int, k: int, N: int, *, rounding: float = ROUNDING, **points: bool) -> BestFits:
    X = _points(d, N, **points)
    return best_fits(values_on_cube(lambda points: kernel(points, X), d), k, rounding=rounding)


def _learns_the_base(
    case: str, fits: BestFits, name: str = "thm2", symbol: str = "N", *, learnt: bool = True
) -> Guarantee:
    """That x_i is learnt and alpha chi_S is not: the error is alpha^2, to within a fifth of it; or that it is not."""
    ratio = float(fits.errors(STRONG).mean()) / STRONG**2
    note = (
        f"mean over S and i of the least error over alpha^2, alpha = {STRONG}, (d, k, {symbol}) = "
        f"({fits.d}, {fits.k}, {fits.functions}): x_i alone is learnt to {1 - fits.singles.mean():.2g}; largest part "
        f"of a chi_S that the span has: {fits.projections.max():.2g}"
    )
    identity, source = statement_id(f"residual/{name}-base", case), f"{PROJECT}, Theorem {name[-1]}"
    if not learnt:
        note = f"this kernel does not learn x_i from so few points; {note}"
        return Guarantee(identity, source, Kind.THRESHOLD, 1.2, ratio, note=note, direction="at_least")
    return Guarantee(identity, source, Kind.EXACT, 1.0, ratio, note=note, tolerance=0.2)


def _statement(g: Guarantee) -> str:
    """Its id without the case."""
    return g.id.partition("[")[0]


Cases = dict[str, list[tuple[str, Guarantee]]]
"""By id: the size of each case, and what was found."""


def _merge(found: Cases, sizes: str) -> list[Guarantee]:
    """One guarantee for each id, of the cases inside the hypotheses; the note has the sizes of those."""
    merged = []
    for identity, cases in found.items():
        inside = [case for case in cases if case[1].verdict is not Verdict.OUTSIDE] or cases
        shown = ", ".join(dict.fromkeys(size for size, _ in inside))
        merged.append(tightest(identity, [case for _, case in inside], f"{sizes} {shown}"))
    return merged


def kernels(scale: str) -> list[Guarantee]:
    """Every kernel where it learns x_i, and the sharper bounds far beyond."""
    learnt: list[Guarantee] = []
    others: Cases = {}
    for name, kernel in KERNELS.items():
        for d, k, N in dict.fromkeys([LEARNT[scale], *([LEARNT["laptop"]] if name == INSIDE else [])]):
            fits = _fits(kernel, d, k, N, pairs=True)
            if (d, k, N) == LEARNT[scale]:
                learnt.append(_learns_the_base(name, fits, learnt=name not in NOT_LEARNT[scale]))
            for alpha in ALPHAS:
                _add(others, theorem2(fits, alpha, case=f"{name},d={d},k={k},N={N},alpha={alpha:g}"), (d, k, N))
    for name, kernel in list(KERNELS.items())[:: 4 if scale == "smoke" else 1]:
        for d, k in BEYOND[scale]:
            C = math.comb(d, k)
            for N in (C // 4, C // 2, C - 1):
                fits = _fits(kernel, d, k, N)
                for alpha in ALPHAS:
                    found = theorem2(fits, alpha, case=f"{name},d={d},k={k},N={N},alpha={alpha:g}")
                    _add(others, found[2:4], (d, k, N))
    return [*learnt, *_merge(others, "(d, k, N) ="), _repeated(scale)]


def _add(cases: Cases, found: Sequence[Guarantee], size: tuple[int, ...]) -> None:
    """But counts of sets that succeed: random points serve none, see :func:`_made_to_succeed`."""
    for g in found:
        if "-count" not in g.id:
            cases.setdefault(f"{_statement(g)}[every kernel]", []).append((str(size), g))


def _repeated(scale: str) -> Guarantee:
    """Training points that repeat: the theorem allows any."""
    d, k, N = LEARNT[scale]
    fits = _fits(KERNELS["Gaussian"], d, k, N, pairs=True, repeated=True)
    distinct = len(np.unique(_points(d, N, pairs=True, repeated=True), axis=0))
    found = _learns_the_base("Gaussian,repeated points", fits)
    return replace(found, note=f"{distinct} of {N} points are distinct; {found.note}")


def outputs(scale: str) -> list[Guarantee]:
    """A kernel of its own for each output; no odd part; a background that is not uniform; more points."""
    d, k, N = (8, 4, 16) if scale == "smoke" else (12, 6, 40)
    spans = [_fits(kernel, d, k, N, pairs=True) for kernel in list(KERNELS.values())[:k]]
    (found,) = (
        g for g in theorem2(spans, STRONG, case=f"a kernel for each output,d={d},k={k},N={N}") if "-outputs[" in g.id
    )
    return [found, *_odd(), *_beyond(scale), _background(scale)]


def _odd() -> list[Guarantee]:
    """A kernel of two ReLU layers without bias has no part of odd degree >= 3: x_i exactly, nothing of the rest."""
    found = []
    for k in (3, 5):
        errors = np.concatenate(
            [_fits(KERNELS["NTK, 2 layers"], 8, k, N, pairs=True).errors(0.3).ravel() for N in (32, 112)]
        )
        worst = float(errors[np.abs(errors - 0.3**2).argmax()])
        identity = statement_id("residual/thm2-odd", "NTK, 2 layers, no bias", f"d=8,k={k}")
        note = "least error over S, i and N = 32, 112 that is furthest from alpha^2"
        found.append(Guarantee(identity, PROJECT, Kind.EXACT, 0.3**2, worst, note=note, tolerance=1e-9))
    return found


def _beyond(scale: str) -> list[Guarantee]:
    """More points than there are targets, where nothing is proved."""
    d, k, found = 12 if scale == "laptop" else 8, 4, []
    C = math.comb(d, k)

    def share(name: str, N: int, rounding: float = ROUNDING) -> tuple[float, int]:
        """Share of S that fail, and the dimension of the span."""
        fits = _fits(KERNELS[name], d, k, N, rounding=rounding)
        return float((fits.errors(0.3).min(axis=1) > 0.3**2 / 16).mean()), fits.dimension

    for name in ("Gaussian", "NTK, 2 layers"):
        # The cut leaves out directions that might fit: so once more with all, those of rounding among them.
        cuts = [share(name, 3 * C // 2, rounding) for rounding in (ROUNDING, 0.0)]
        shown = " and ".join(f"{part:.3g} in dimension {dimension}" for part, dimension in cuts)
        note = (
            "share of S that fail with half as many points again as there are targets (no proof covers it): "
            f"{shown}, without and with the directions that are rounding; at N = {2 * C}, twice as many, it is "
            f"{share(name, 2 * C)[0]:.3g}"
        )
        identity, least = statement_id("thm2-beyond", name, f"d={d},k={k},N={3 * C // 2}"), min(cuts)[0]
        found.append(project(identity, "Theorem 2", 0.99, least, "at_least", note))
    return found


def _background(scale: str) -> Guarantee:
    """Remark D.3: uniform on d_1 of d coordinates, any D_2 on the others: the average over D_2 is a lower bound."""
    d_1, e, k, N, alpha = (6, 3, 3, 9, 0.3) if scale == "smoke" else (8, 4, 3, 20, 0.3)
    rng = generator(0, "thm2 background")
    others = rng.standard_normal((4, e)) / math.sqrt(d_1 + e)
    X = np.hstack([rng.choice([-1.0, 1.0], (N, d_1)) / math.sqrt(d_1 + e), others[rng.integers(4, size=N)]])

    def kernel(points: FloatArray) -> FloatArray:
        return closed_form.rbf(points, X, 1.0)

    fits = best_fits(values_on_cube(kernel, d_1, others), k)
    signs = boolean.signs(d_1)
    whole = np.vstack([kernel(np.hstack([signs / math.sqrt(d_1 + e), np.tile(o, (len(signs), 1))])) for o in others])
    left = np.linalg.svd(whole, full_matrices=False)
    basis = left[0][:, left[1] > 1e-12 * left[1][0]]
    least = math.inf
    for row, S in enumerate(fits.members):
        for column, i in enumerate(S):
            y = np.tile(signs[:, i] + alpha * signs[:, S].prod(axis=1), len(others))
            error = float((y @ y - ((basis.T @ y) ** 2).sum()) / len(y))
            least = min(least, error - float(fits.errors(alpha)[row, column]))
    identity, source = f"residual/thm2-background[d_1={d_1},d={d_1 + e},k={k},N={N}]", f"{PAPER}, Remark D.3"
    note = (
        "least difference over S and i of the best error on the whole distribution (a D_2 of 4 points) and on "
        "its average over D_2"
    )
    return Guarantee(identity, source, Kind.LOWER_BOUND, 0, least, note=note, tolerance=1e-9)


def features(scale: str) -> list[Guarantee]:
    """Theorem 3: random features, last layers of random networks, and features made to succeed."""
    d, k, D = (12, 6, 150) if scale == "smoke" else (14, 7, 200)
    learnt: list[Guarantee] = []
    bounds: Cases = {}
    for name, function in _maps(d, D).items():
        fits = best_fits(values_on_cube(function, d), k)
        learnt.append(_learns_the_base(f"{name},D={D}", fits, "thm3", "D"))
        _add(bounds, theorem3(fits, 0.3, case=f"{name},D={D}")[2:4], (d, k, D))
    for name, function in _maps(14, 3).items():  # D <= C(d, k) / 1000
        fits = best_fits(values_on_cube(function, 14), 7)
        _add(bounds, theorem3(fits, 0.3, case=f"{name},D=3")[:1], (14, 7, 3))
    found = [*learnt, *_merge(bounds, "(d, k, D) =")]
    named = "random layers and last layers of networks"
    return [
        *(replace(g, id=g.id.replace("every kernel", named)) for g in found),
        *_made_to_succeed(),
    ]


def _maps(d: int, D: int) -> dict[str, Callable[[FloatArray], FloatArray]]:
    rng = generator(0, "thm3", D)
    networks = {name: initial(rng, name, d, 2, D, sigma_w=1.0) for name in NETWORKS}
    return {
        **{kind: random_layer(rng, d, D, kind, scale=1.5, bias=1.0) for kind in ACTIVATIONS},
        **{f"last, {name}": partial(network_features, params) for name, params in networks.items()},
    }


def _made_to_succeed() -> list[Guarantee]:
    """Single bits, and for groups of 16 sets the 15 directions orthogonal to their sum: 16 (D - d) / 15 succeed."""
    d, k, alpha, groups = 10, 5, 0.3, 8
    masks = boolean.subset_masks(d, k)[: 16 * groups]
    spectra = np.zeros((2**d, d + 15 * groups))
    spectra[1 << np.arange(d), np.arange(d)] = 1.0
    # The 15 contrasts of 16 sets: a Hadamard matrix without its constant row.
    contrasts = np.array([boolean.walsh_hadamard(np.eye(16)[j]) for j in range(1, 16)]).T
    for group in range(groups):
        columns = d + 15 * group + np.arange(15)
        spectra[np.ix_(masks[16 * group : 16 * (group + 1)], columns)] = contrasts
    values = np.column_stack([boolean.from_spectrum(column) for column in spectra.T])
    fits = best_fits(values, k)
    case = f"made to succeed,d={d},k={k},D={fits.functions}"
    _, count, average, _ = theorem3(fits, alpha, case=case)
    identity, source = statement_id("residual/thm3-count", "attained", case), f"{PROJECT}, Theorem 3"
    note = f"sets that succeed: 16 (D - d) / 15 with {d} of the features spent on the single bits"
    # Of the N of the sharper average the single bits are wasted: the rest attains it.
    C = fits.targets
    wanted = alpha**2 * (1 - 15 * groups / C)
    wasted = (
        f"mean over S of the least error of one output: alpha^2 (1 - (D - d) / C(d, k)), {d} of the features spent "
        f"on the single bits; C(d, k) = {C}"
    )
    return [
        count,
        Guarantee(identity, source, Kind.EXACT, 16 * groups, count.measured, note=note),
        Guarantee(
            statement_id("residual/thm3-average", "attained", case), source, Kind.EXACT, wanted, average.measured,
            note=wasted, tolerance=1e-9,
        ),
    ]  # fmt: skip


def lemmas(scale: str) -> list[Guarantee]:
    """Lemmas D.1 and D.2 on random functions and matrices, and where they are attained."""
    draws = {"smoke": 50, "laptop": 1000}[scale]
    parts: dict[str, list[Guarantee]] = {}
    for draw in range(draws):
        rng = generator(draw, "lemma D.1")
        d = int(rng.integers(2, 8))
        S = sorted(rng.choice(d, int(rng.integers(2, d + 1)), replace=False).tolist())
        i, alpha = int(rng.choice(S)), float(rng.uniform(0.05, 1))
        error = rng.standard_normal(2**d)
        if draw % 3 == 0:  # all of the error on one coefficient of level k: where the lemma is attained
            level = boolean.subset_masks(d, len(S))
            spectrum = np.zeros(2**d)
            spectrum[boolean.mask_of(S) if draw % 2 else rng.choice(level)] = -1.0
            error = boolean.from_spectrum(spectrum)
        error *= alpha / 4 * (1 if draw % 3 == 0 else rng.random()) / math.sqrt(float(np.mean(error**2)))
        signs = boolean.signs(d)
        values = signs[:, i] + alpha * boolean.character(S, signs) + error
        for g in lemma_d1(values, i, S, alpha, case=f"d={d},k={len(S)},{draw}"):
            parts.setdefault(statement_id("residual/lemma-d1", g.id.partition("[")[2].split(",")[0]), []).append(g)
    note = "random functions at error <= alpha^2 / 16"
    return [*(tightest(identity, cases, note) for identity, cases in parts.items()), _columns(draws // 5)]


def _columns(draws: int) -> Guarantee:
    """Lemma D.2: the most columns that are served, of random matrices, the identity and the attained case."""
    most: dict[str, float] = {}
    for draw in range(draws):
        rng = generator(draw, "lemma D.2")
        N = int(rng.integers(1, 25))
        M = rng.standard_normal((N, 2 * N + int(rng.integers(N + 1))))
        if draw % 2:
            M[:, :N], M[:, N:] = np.eye(N), 0.3 * rng.random() / math.sqrt(M.size) * M[:, N:]
        served = max(g.measured or 0.0 for g in lemma_d2(M))
        name = "the identity and more" if draw % 2 else "random"
        most[name] = max(most.get(name, 0.0), served / N)
    # Rows orthogonal to (1, ..., 1) in ten dimensions, once and in two blocks.
    block = np.linalg.svd(np.ones((1, 10)))[2][1:]
    for name, M in {"N = 9": block, "N = 18": np.kron(np.eye(2), block)}.items():
        sharper = lemma_d2(np.hstack([M, np.zeros_like(M)]))[1]
        most[name] = (sharper.measured or 0.0) / len(M)
    note = (
        "most columns served over 10 N / 9, attained; served over N: "
        f"{', '.join(f'{share:.4g} ({name})' for name, share in most.items())}; the paper's argument allows "
        "9 / 8, its statement 2"
    )
    source = f"{PAPER}, Lemma D.2 (10 N / 9: this project)"
    return Guarantee(
        "residual/lemma-d2", source, Kind.EXACT, 1.0, 0.9 * max(most.values()), note=note, tolerance=1e-12
    )


CHECKS = (
    Check("thm2", f"{PAPER}, Theorem 2", kernels),
    Check("thm2-outputs", f"{PAPER}, Theorem 2 (several kernels, backgrounds, more points)", outputs),
    Check("thm3", f"{PAPER}, Theorem 3", features),
    Check("lemma-d", f"{PAPER}, Lemmas D.1 and D.2", lemmas),
)
