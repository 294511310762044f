"""Theorems 5 and 6 of Brutzkus et al.: that a run is a compression scheme, and how often the bounds fail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability.checks import FloatArray
from learnability.evidence.claims import Claims, judged
from learnability.evidence.intervals import exponent, exponents, share
from learnability.networks.separable import TwoLayer, forward, initial
from learnability.problems.separable import lower_bound_sequence, lower_bound_weights, random_separable
from learnability.seeding import generator
from learnability.studies.separable import PAPER, STUDY, claim
from learnability.studies.separable.theorems import thm5_compression as thm5
from learnability.study import Check
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.guarantee import statement_id
from learnability.training.orders import visits
from learnability.training.record import Outcome
from learnability.training.reference import two_layer_epoch
from learnability.training.two_layer import TwoLayerRun, train

__all__ = ["CHECKS"]

project = Claims(STUDY.name, f"this project, on {PAPER}")
"""A claim of ours on this paper."""
EPOCHS = 10**6
DELTA = 0.1
DRAWS = {"smoke": 36, "laptop": 40}
"""36 samples without a failure are the fewest whose interval ends below a tenth: .9^36 < .025."""


def scheme(scale: str) -> list[Guarantee]:
    """A run on the used examples alone, at their places in the order, gives the same network; so do its updates.

    Statement
    ---------
    The network that SGD ends at is determined by its start and by the examples that caused an update: by their
    sequence, or by the set of them and the order of visits, all others skipped. That is a compression scheme, to
    which Theorem 5 applies.
    """
    runs = examples = sequences = 0
    apart = 0.0
    shares = []
    for seed, margin, width, eta, alpha, order, layers in _runs(scale):
        planted = random_separable(generator(seed, "thm5", "direction"), 10, margin)
        X, y = planted.sample(generator(seed, "thm5", "sample", margin), 150)
        start = initial(generator(seed, "thm5", "start", width), 10, width // 2)
        step: dict[str, Any] = {"eta": eta, "alpha": alpha, "layers": layers}
        rng = generator(seed, "thm5", "order")
        run = train(start, X, y, rng=rng, epochs=EPOCHS, order=order, record=[0], **step)
        seen = visits(generator(seed, "thm5", "order"), len(y), run.epochs, order).ravel()
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
        claim(
            "thm5-scheme[examples]", "Section 6.1", 0, examples, "equal",
            f"networks of {runs} that a run on the used examples alone does not give, bit for bit; "
            f"used were {min(shares):.0%} to {max(shares):.0%} of the sample", Kind.EXACT,
        ),
        claim(
            "thm5-scheme[updates]", "Section 6.1", 0, sequences, "equal",
            f"networks of {runs} that the sequence of updates, padded, does not give bit for bit", Kind.EXACT,
        ),
        Guarantee(
            "separable/thm5-scheme[engine]", project.paper, Kind.UPPER_BOUND, 1e-9, apart,
            note="largest relative distance of the engine's network from the one of its used examples",
        ),
    ]  # fmt: skip


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


CIRCLE = 200_000
CIRCLE_WIDTH = 6
NOISE = 0.2
VISITS = {"smoke": (1,), "laptop": (1, 10)}
"""Steps of the runs on the circle, fixed in advance. After one step the last term of the bound is smaller than the
spread of L_V about the error, so that the term with the square root is needed."""

ATOMS, PART = 1600, 400
"""Orthonormal inputs, all as likely, and examples drawn of them."""

SIZES = {"smoke": (125, 250, 500, 1000), "laptop": (125, 250, 500, 1000)}
SEEDS = {"smoke": 4, "laptop": 10}
TESTED = 20_000
"""Sample sizes, runs of each and fresh inputs: how the error falls with n."""


def frequencies(scale: str) -> list[Guarantee]:
    """How often the error exceeds each bound, over independent samples, starts and orders.

    On distributions where the error comes near the bound. With L_V = 0 Theorem 5 is too far from every error for
    that: a network that is right on n - c examples it does not depend on has an error above 8 (c / n) log(n / delta)
    with a probability below (delta / n)^(7 c). There only its order in n is near the
    truth, which is a claim of ours (:func:`rate`).
    """
    found = []
    for count in VISITS[scale]:
        results, name = [_stopped(count, draw) for draw in range(DRAWS[scale])], f"stopped after {count}"
        about = f"uniform on the circle, {NOISE:.0%} of the labels flipped, n={CIRCLE}, 2k={CIRCLE_WIDTH}"
        found += [_frequency(s, name, about, results) for s in results[0].promises]
    results = [_rare(draw) for draw in range(DRAWS[scale])]
    about = f"{PART} examples of {ATOMS} orthonormal inputs, of which the start has none right"
    return found + [_frequency(s, "rare inputs", about, results) for s in results[0].promises]


def rate(scale: str) -> list[Guarantee]:
    """Whether errors fall as Theorem 6's bound or faster: at a global minimum, as log(n / delta) / n.

    Statement
    ---------
    Theorem 6: at the global minimum that SGD ends at, the error on the distribution is at most (8 / n) M log(n /
    delta) with probability at least 1 - delta over n examples and the start, M being Corollary 3's number of
    updates. No test error can refute the order of such a bound; that errors fall as log(n / delta) / n or faster is
    a claim of ours.
    """
    sizes, curves = SIZES[scale], []
    for seed in range(SEEDS[scale]):
        planted = random_separable(generator(seed, "thm6", "direction"), 30, 0.01)
        test = planted.sample(generator(seed, "thm6", "test"), TESTED)
        errors = []
        for n in sizes:
            X, y = planted.sample(generator(seed, "thm6", "sample", n), n)
            start = initial(generator(seed, "thm6", "start"), 30, 25)
            rng = generator(seed, "thm6", "order")
            run = train(start, X, y, eta=1.0, alpha=0.5, rng=rng, epochs=EPOCHS, record=[0])
            errors.append(_error(run.params, 0.5, *test) if _zero_loss(run) else math.nan)
        curves.append(errors)
    means = ", ".join(f"{n}: {error:.4g}" for n, error in zip(sizes, np.mean(curves, axis=0)))
    order = exponent(sizes, [math.log(n / DELTA) / n for n in sizes]).estimate
    what = (
        f"ours, as no test error can refute the order of an upper bound: exponent of n in the error, against that of "
        f"log(n / {DELTA:g}) / n; margin 0.01, d = 30, 2k = 50; mean errors {means}"
    )
    identity = f"thm6-rate[n={sizes[0]}..{sizes[-1]}]"
    return [project(identity, "Theorem 6", order, exponents(sizes, curves), "at_most", what, Kind.TREND)]


def _zero_loss(run: TwoLayerRun) -> bool:
    return run.outcome is Outcome.CONVERGED and run.final("train_loss") == 0


class _Result(NamedTuple):
    promises: dict[str, Guarantee]
    error: float
    left: float


def _rare(draw: int) -> _Result:
    """Inputs e_1, ..., e_d, all labelled +1, that share no weight: what is not in the sample stays as at the start.

    From the start of Theorem 4, which is wrong on all of them. One update each sets right what is in the sample, so
    the examples used are its distinct inputs, and the error is the share of the others: not far below the bound.
    """
    inputs, labels = lower_bound_sequence(ATOMS)
    X = inputs[generator(draw, "thm5", "rare sample").integers(ATOMS, size=PART)]
    start = TwoLayer(lower_bound_weights(ATOMS, 1, 1 / math.sqrt(2)), np.array([1.0, -1.0]) / math.sqrt(2))
    rng = generator(draw, "thm5", "rare order")
    run = train(start, X, labels[:PART], eta=10.0, alpha=0.5, rng=rng, epochs=EPOCHS, record=[0])
    error = _error(run.params, 0.5, inputs, labels)
    sharper = thm5.consistent_compression(
        n=PART, size=run.examples_used, delta=DELTA, coded="examples", consistent=_zero_loss(run), error=error
    )
    return _Result({"separable/compression-consistent[examples]": sharper}, error, 0.0)


def _stopped(count: int, draw: int) -> _Result:
    """A few visits, and the exact error of what they lead to where no network is right on all examples.

    Theorem 5 asks for no separability. The sequence of all visited examples, whether they caused an update or not, is
    a compression whose length ``count`` was fixed in advance; so is, with a length that was not, the set of those
    that caused one.
    """
    direction = generator(draw, "thm5", "circle").uniform(0, 2 * np.pi)
    rng = generator(draw, "thm5", "circle sample")
    angles = rng.uniform(0, 2 * np.pi, CIRCLE)
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    y = np.where(np.cos(angles - direction) > 0, 1.0, -1.0) * np.where(rng.random(CIRCLE) < NOISE, -1.0, 1.0)
    start = initial(generator(draw, "thm5", "circle start"), 2, CIRCLE_WIDTH // 2)
    order = generator(draw, "thm5", "circle order").integers(CIRCLE, size=count)
    params, updated = two_layer_epoch(start, X, y, order, eta=1.0, alpha=0.5, layers="first")
    wrong = y * forward(params, X, alpha=0.5) <= 0
    used = np.unique(order[updated])
    exact = circle_error(params, 0.5, direction, NOISE)
    left = {"updates": _rest(wrong, order), "examples": _rest(wrong, used)}
    common: dict[str, Any] = {"n": CIRCLE, "delta": DELTA, "error": exact}
    sizes = {"updates": count, "examples": len(used)}
    return _Result(
        {
            f"separable/thm5[{coded}]": thm5.theorem5(
                size=size, coded=coded, validation_error=left[coded], known_in_advance=coded == "updates", **common
            )
            for coded, size in sizes.items()
        },
        exact,
        left["updates"],
    )


def _rest(wrong: NDArray[np.bool_], used: NDArray[Any]) -> float:
    """Share of mistakes on all other examples: L_V."""
    return float(np.delete(wrong, used).mean())


def circle_error(params: TwoLayer, alpha: float, direction: float, noise: float) -> float:
    """The 0-1 error for x uniform on the unit circle and the label sign(cos(angle - direction)), flipped with
    probability ``noise``.

    Between the kinks of its units the network is a cosine of the angle, with at most one zero in there: its sign, and
    the label's, are constant between kinks, zeros and the label's own two changes.
    """
    turn = 2 * np.pi
    kinks = (np.arctan2(params.W[:, 1], params.W[:, 0])[:, None] + np.array([0.5, 1.5]) * np.pi).ravel()
    ends = np.unique(np.concatenate([kinks, direction + np.array([0.5, 1.5]) * np.pi]) % turn)
    middles = ends + np.diff(ends, append=ends[0] + turn) / 2
    rays = np.column_stack([np.cos(middles), np.sin(middles)])
    slopes = np.where(rays @ params.W.T >= 0, 1.0, alpha) * params.v  # (arcs, 2k)
    linear = slopes @ params.W  # the network on each arc
    zeros = np.arctan2(linear[:, 0], -linear[:, 1])[:, None] + np.array([0.0, np.pi])  # one or none on its arc
    ends = np.unique(np.concatenate([ends, zeros.ravel() % turn]))
    lengths = np.diff(ends, append=ends[0] + turn)
    middles = ends + lengths / 2
    outputs = forward(params, np.column_stack([np.cos(middles), np.sin(middles)]), alpha=alpha)
    apart = float(lengths[outputs * np.cos(middles - direction) <= 0].sum() / turn)
    return noise + (1 - 2 * noise) * apart


def _error(params: TwoLayer, alpha: float, X: FloatArray, y: FloatArray) -> float:
    return float(np.mean(y * forward(params, X, alpha=alpha) <= 0))


def _frequency(statement: str, name: str, about: str, results: list[_Result]) -> Guarantee:
    """How often the error exceeds the bound, against delta; nothing is tested where the bound is never below 1."""
    cases = [result.promises[statement] for result in results]
    bounds = [math.inf if case.bound is None else case.bound for case in cases]
    errors = [result.error for result in results]
    failures = [error > bound for error, bound in zip(errors, bounds)]
    empty = sum(bound >= 1 for bound in bounds)
    vacuous = f"vacuous (1 or more) in {empty} of {len(bounds)}" if empty else ""
    says = Hypothesis(
        "the bound is below 1", empty < len(bounds), f"in {len(bounds) - empty} of {len(bounds)} samples"
    )
    left = [result.left for result in results]
    notes = (
        about,
        f"bounds {_spread(bounds)}",
        vacuous,
        f"exact errors {_spread(errors)}",
        f"L_V {_spread(left)}" if max(left) > 0 else "",
    )
    head, _, inside = statement.partition("[")
    worst = min(cases, key=lambda case: all(h.holds for h in case.hypotheses))  # one outside puts all outside
    promise = Guarantee(
        statement_id(f"{head}-frequency", inside.rstrip("]"), name), worst.source, Kind.UPPER_BOUND, DELTA,
        hypotheses=(*worst.hypotheses, says), note="; ".join(filter(None, notes)),
    )  # fmt: skip
    return judged(promise, share(failures, what="share whose error exceeds the bound", unit="samples"))


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


CHECKS = (
    Check("thm5-scheme", f"{PAPER}, Section 6.1", scheme),
    Check("thm5", f"{PAPER}, Theorem 5", frequencies),
    Check("thm6", f"{PAPER}, Theorem 6", rate),
)
