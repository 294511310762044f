"""Theorems 5 and 6 of Brutzkus et al.: that a run is a compression scheme, and how often the bounds fail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.networks.separable import TwoLayer, forward, initial
from learnability.problems.separable import random_separable
from learnability.seeding import generator
from learnability.theory import Guarantee, Kind
from learnability.theory import separable as theory
from learnability.theory.guarantee import statement_id
from learnability.theory.margins import hard_margin
from learnability.training.orders import visits
from learnability.training.reference import two_layer_epoch
from learnability.training.trajectory import Outcome
from learnability.training.two_layer import Run, train
from learnability.verification import Check

__all__ = ["CHECKS"]

PAPER = "Brutzkus et al."
PROJECT = f"this project, on {PAPER}"
EPOCHS = 10**6
DELTA = 0.1
DRAWS = {"smoke": 29, "laptop": 40}
"""29 samples without a failure are the fewest that say anything of a tenth: .9^29 < .05."""
TESTED = 5000


def scheme(scale: str) -> list[Guarantee]:
    """A run on the used examples alone, at their places in the order, gives the same network; so do its updates."""
    runs = examples = sequences = 0
    apart = 0.0
    shares = []
    for seed, margin, width, eta, alpha, order, layers in _runs(scale):
        planted = random_separable(generator(seed, "thm5", "direction"), 10, margin)
        X, y = planted.sample(generator(seed, "thm5", "sample", margin), 150)
        start = initial(generator(seed, "thm5", "start", width), 10, width // 2)
        run = train(
            start,
            X,
            y,
            eta=eta,
            alpha=alpha,
            rng=generator(seed, "thm5", "order"),
            epochs=EPOCHS,
            layers=layers,
            order=order,
            record=[0],
        )
        seen = visits(generator(seed, "thm5", "order"), len(y), run.epochs, order).ravel()
        step: dict[str, Any] = {"eta": eta, "alpha": alpha, "layers": layers}
        whole, updated = two_layer_epoch(start, X, y, seen, **step)
        used = np.flatnonzero(run.used)
        again = two_layer_epoch(start, X, y, kept(seen, used), **step).params
        # the sequence of updates, then an example of it for padding
        coded = np.append(seen[updated], np.repeat(used[:1], 5))
        decoded = two_layer_epoch(start, X, y, coded, **step)
        runs += 1
        examples += not _same(whole, again)
        sequences += not (_same(whole, decoded.params) and decoded.updated.sum() == updated.sum())
        apart = max(apart, *(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(run.params, again)))
        shares.append(len(used) / len(y))
    return [
        Guarantee(
            "separable/thm5-scheme[examples]",
            f"{PAPER}, Section 6.1",
            Kind.EXACT,
            0,
            examples,
            note=f"networks of {runs} that a run on the used examples alone does not give, bit for bit; "
            f"used were {min(shares):.0%} to {max(shares):.0%} of the sample",
        ),
        Guarantee(
            "separable/thm5-scheme[updates]",
            f"{PAPER}, Section 6.1",
            Kind.EXACT,
            0,
            sequences,
            note=f"networks of {runs} that the sequence of updates, padded, does not give bit for bit",
        ),
        Guarantee(
            "separable/thm5-scheme[engine]",
            PROJECT,
            Kind.UPPER_BOUND,
            1e-9,
            apart,
            note="largest relative distance of the engine's network from the one of its used examples",
        ),
    ]


def kept(seen: NDArray[Any], used: NDArray[Any]) -> NDArray[Any]:
    """The visits of the examples ``used``, in their order."""
    return seen[np.isin(seen, used)]


def _same(one: TwoLayer, other: TwoLayer) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other))


def _runs(scale: str) -> Iterator[tuple[int, float, int, float, float, str, str]]:
    for seed in range({"smoke": 1, "laptop": 4}[scale]):
        for margin, width, eta in ((0.3, 2, 1.0), (0.3, 50, 10.0), (0.1, 10, 0.1), (0.1, 50, 1.0)):
            for order in ("shuffle", "iid"):
                yield seed, margin, width, eta, 0.3, order, "first"
                yield seed, margin, width, min(eta, 0.1), 0.3, order, "both"


class _Setting(NamedTuple):
    """A distribution, a network and a budget."""

    margin: float
    d: int
    n: int
    width: int
    eta: float
    alpha: float
    epochs: int = EPOCHS


SETTINGS = {
    "smoke": {"wide margin": _Setting(0.5, 10, 2000, 50, 10.0, 0.5)},
    "laptop": {
        "wide margin": _Setting(0.5, 10, 5000, 50, 10.0, 0.5),
        "small margin": _Setting(0.01, 30, 2000, 50, 1.0, 0.5),
    },
}
STOPPED = {"smoke": _Setting(0.02, 5, 2000, 20, 1.0, 0.5, 1), "laptop": _Setting(0.02, 5, 5000, 20, 1.0, 0.5, 1)}
"""One epoch only: mistakes are left on the unused examples."""


FEW = (
    "separable/thm5[examples]",
    "separable/thm6[w* of the distribution]",
    "separable/compression-consistent[examples]",
)
"""The bounds that settings beyond the first report."""


def frequencies(scale: str) -> list[Guarantee]:
    """How often the error on fresh inputs exceeds each bound, over independent samples, starts and orders."""
    found = []
    for name, setting in SETTINGS[scale].items():
        results = [_draw(setting, draw) for draw in range(DRAWS[scale])]
        found += [
            _frequency(s, name, setting, results) for s in results[0].promises if name == "wide margin" or s in FEW
        ]
    stopped = [_draw(STOPPED[scale], draw) for draw in range(DRAWS[scale])]
    found.append(_frequency("separable/thm5[examples]", "one epoch", STOPPED[scale], stopped))
    return found


class _Result(NamedTuple):
    promises: dict[str, Guarantee]
    error: float
    left: float


def _draw(s: _Setting, draw: int) -> _Result:
    """One sample, start and order: every bound beside the error on fresh inputs."""
    planted = random_separable(generator(draw, "thm6", "direction"), s.d, s.margin)
    X, y = planted.sample(generator(draw, "thm6", "sample", s.n), s.n)
    start = initial(generator(draw, "thm6", "start", s.width), s.d, s.width // 2)
    rng = generator(draw, "thm6", "order")
    run = train(start, X, y, eta=s.eta, alpha=s.alpha, rng=rng, epochs=s.epochs, record=[0])
    error = _error(run.params, s.alpha, *planted.sample(generator(draw, "thm6", "test"), TESTED))
    unused = run.used == 0
    left = _error(run.params, s.alpha, X[unused], y[unused])
    common: dict[str, Any] = {"n": s.n, "delta": DELTA, "error": error}
    sizes = {"updates": run.updates, "examples": run.examples_used}
    promises = {
        f"separable/thm5[{coded}]": theory.theorem5(size=size, coded=coded, validation_error=left, **common)
        for coded, size in sizes.items()
    }
    if s.epochs == EPOCHS:
        promises |= _at_the_minimum(s, run, hard_margin(X, y).margin, sizes, common)
    return _Result(promises, error, left)


def _at_the_minimum(
    s: _Setting, run: Run, margin: float, sizes: dict[str, int], common: dict[str, Any]
) -> dict[str, Guarantee]:
    """What holds where the loss has become 0."""
    zero = run.outcome is Outcome.CONVERGED and run.final("hinge_loss") == 0
    step: dict[str, Any] = {"eta": s.eta, "alpha": s.alpha, "converged": zero}
    found = {
        "separable/thm6[w* of the distribution]": theory.theorem6(
            w_norm=1 / s.margin, known_in_advance=True, **step, **common
        ),
        "separable/thm6[w* of the sample]": theory.theorem6(w_norm=1 / margin, **step, **common),
    }
    for coded, size in sizes.items():
        found[f"separable/compression-consistent[{coded}]"] = theory.consistent_compression(
            size=size, coded=coded, consistent=zero, **common
        )
    return found


def _error(params: TwoLayer, alpha: float, X: FloatArray, y: FloatArray) -> float:
    return float(np.mean(y * forward(params, X, alpha=alpha) <= 0))


def _frequency(statement: str, name: str, setting: _Setting, results: list[_Result]) -> Guarantee:
    """How often the error exceeds the bound, against delta."""
    cases = [result.promises[statement] for result in results]
    bounds = [math.inf if case.bound is None else case.bound for case in cases]
    errors = [result.error for result in results]
    failures = sum(error > bound for error, bound in zip(errors, bounds))
    empty = sum(bound >= 1 for bound in bounds)
    vacuous = f"vacuous (1 or more) in {empty} of {len(bounds)}" if empty else ""
    left = [result.left for result in results]
    notes = (
        f"share of {len(results)} samples whose error exceeds the bound",
        f"n={setting.n}, 2k={setting.width}, margin {setting.margin:g}",
        f"bounds {_spread(bounds)}",
        vacuous,
        f"errors on {TESTED} fresh inputs {_spread(errors)}",
        f"L_V {_spread(left)}" if max(left) > 0 else "",
    )
    head, _, inside = statement.partition("[")
    worst = min(cases, key=lambda case: all(h.holds for h in case.hypotheses))  # one outside puts all outside
    return Guarantee(
        statement_id(f"{head}-frequency", inside.rstrip("]"), name),
        worst.source,
        Kind.UPPER_BOUND,
        DELTA,
        failures / len(results),
        worst.hypotheses,
        note="; ".join(filter(None, notes)),
    )


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


CHECKS = (
    Check("thm5-scheme", f"{PAPER}, Section 6.1", scheme),
    Check("thm5", f"{PAPER}, Theorems 5 and 6", frequencies),
)
