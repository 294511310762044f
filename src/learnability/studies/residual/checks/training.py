r"""Theorem 1 and Corollary 7.1 of Allen-Zhu & Li beside Algorithm 1: online SGD on W and V, fresh samples, A fixed.

The hard instance of Section 7, labels divided by sqrt(k) so that it is in Concept 1. sigma_w = m^(-.126) and
sigma_v = m^.2, as in the check of Lemma C.1. No width that can be run is within Table 1 (m >= 1e13 with log m for its
polylogarithms), and no constant of the theorem is printed: what is checked are claims about runs, with the constants
that the proof has for wide networks.

At d = 8, k = 2, with the theorem's rates and number of samples T, every constant 1: a wide network goes towards the
shortest W* that fits H - out to first order at the start, as least mean squares do, and

.. math:: (2 \eta_w - \eta_w^2) \sum_t E \|H - out(W_t)\|^2 \approx \|W^*\|_F^2 - \|W_T - W^*\|_F^2 ,

(C.4) as an equality (:math:`\|\nabla_W\| \approx \|H - out\|`: Claim C.5's check). So the average risk is at most
:math:`\|W^*\|_F^2 / ((2 - \eta_w) \eta_w T)`: the theorem's O(delta) with the constant
:math:`\|W^*\|_F^2 / (2 (k p_F C_s(F))^2)`. (That delta falls like :math:`T^{-1/2}` is its definition.)

Where alpha and delta are within the theorem's ranges with constants 1 (alpha = .005), that is F alone: the risk at
the end is above alpha^2, what F alone leaves, and G is not seen. It is at alpha = .05, which is within the range of
alpha; delta is below the floor there, so the theorem does not promise it.

Corollary 7.1 is run where its number of samples k^2 d / alpha^8 means something: d = 60, k = 4, C(d, k) = 487,635,
and no kernel on N samples averages less than k alpha^2 (1 - N / C(d, k)). W and V have one rate there: in the
theorem's, with constants 1, eta_v / eta_w is 61 at alpha = .8. The exponent of alpha in that average is a product of
two choices, of rate and samples, and says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.evidence.intervals import at_all, mean
from learnability.networks import residual as networks
from learnability.networks.residual import ResNet3
from learnability.problems import boolean
from learnability.problems.concepts import General, general_form, hard_concept
from learnability.problems.residual import HardInstance, UniformSigns
from learnability.seeding import generator
from learnability.studies.residual import PAPER, claim, project
from learnability.studies.residual.theorems.competitor import least_norm
from learnability.studies.residual.theorems.thm1 import (
    Promise,
    corollary71,
    hard_complexities,
    kernel_samples,
    theorem1,
)
from learnability.study import Check
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import optax

__all__ = ["CHECKS", "Case", "Trained", "algorithm1", "promised", "shortest"]

D, SUPPORT = 8, (1, 4)
K = len(SUPPORT)
EPOCH = 128
"""Steps of one compiled call."""

ALPHA = 0.005
"""Within the theorem's range with constants 1, and its floor is far below 1."""
ACCURACIES = {"smoke": (0.5, 0.25), "laptop": (0.5, 0.25, 0.125)}
WIDTH = {"smoke": 2000, "laptop": 8000}
DRAWS = {"smoke": 3, "laptop": 5}
ROOM = {"smoke": 0.5, "laptop": 0.1}
"""For the sum of risks against what the distance to W* loses, at finite widths."""
NOISE = 0.1
"""Standard deviation of the labels in the agnostic case: OPT = .01."""
SEEN = {"smoke": (0.2, 0.2, 1000), "laptop": (0.05, 0.05, 2000)}
"""Alpha, delta and m where G is learnt too."""
WIDE = (60, (3, 14, 15, 41), 300, 0.6)
"""Corollary 7.1: d, S, m and the rate of W and of V."""
SHARES = {"smoke": (0.8,), "laptop": (0.8, 0.7)}
"""Its alpha, at k^2 d / alpha^8 samples: 5,722 and 16,653."""


@dataclass(frozen=True)
class Case:
    """One run of Algorithm 1."""

    m: int
    alpha: float
    eta_w: float
    eta_v: float
    steps: int
    noise: float = 0.0
    draw: int = 0
    """Of start, inputs and noise."""
    power: float = 0.126
    """sigma_w = m^(-power); Table 1 has .01 to .49."""
    d: int = D
    support: tuple[int, ...] = SUPPORT

    @property
    def k(self) -> int:
        """Outputs."""
        return len(self.support)

    @property
    def target(self) -> HardInstance:
        """The hard instance, whose labels are divided by sqrt(k) here."""
        return HardInstance(self.d, self.support, self.alpha)

    @property
    def sigma_w(self) -> float:
        """Standard deviation of W^(0)."""
        return float(self.m**-self.power)

    @property
    def sigma_v(self) -> float:
        """Standard deviation of V^(0), times sqrt(m)."""
        return float(self.m**0.2)

    def labels(self, X: FloatArray) -> FloatArray:
        """H without noise."""
        return self.target(X) / math.sqrt(self.k)

    def functions(self) -> tuple[General, General]:
        """F and G in the form of Definition A.1."""
        concept = hard_concept(self.target)
        return general_form(concept.base), general_form(concept.composite)  # type: ignore[arg-type]

    def start(self) -> ResNet3:
        """The initialisation."""
        rng, sizes = generator(self.draw, "algorithm 1", self.m), {"sigma_w": self.sigma_w, "sigma_v": self.sigma_v}
        params = networks.initial(rng, "3resnet", self.d, self.k, self.m, **sizes)
        assert isinstance(params, ResNet3)
        return params

    def inputs(self) -> FloatArray:
        """All inputs of the distribution, or as many as a mean needs."""
        if self.d <= 12:
            return cube(self.d)
        return UniformSigns(self.d, unit=True).sample(generator(self.draw, "algorithm 1", "test"), 4000)


def cube(d: int = D) -> FloatArray:
    """All inputs of the distribution, (2^d, d)."""
    return boolean.signs(d) / math.sqrt(d)


@dataclass(frozen=True)
class _TwoRates:
    """Gradient descent with one rate for W and another for V, which is ``ratio`` times as large."""

    ratio: float

    def __call__(self, learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
        import optax

        rates = {"W": optax.scale(-learning_rate), "V": optax.scale(-learning_rate * self.ratio)}
        return optax.multi_transform(rates, {"W": "W", "V": "V"})


class Trained(NamedTuple):
    """What came of a run."""

    start: ResNet3
    stops: tuple[tuple[int, ResNet3], ...]
    """Steps, and the network after them; the last is the end."""
    average: float
    """Mean over the run of E|H - out|^2, by the fresh example of each step before it is used (less |y - H|^2)."""
    final: float
    """E|H - out|^2 at the end, over all inputs or a sample."""


@lru_cache(maxsize=32)
def algorithm1(case: Case, stops: tuple[int, ...] = ()) -> Trained:
    """Train; ``stops`` are numbers of epochs (of :data:`EPOCH` steps) at which the network is kept as well."""
    from learnability.training import minibatch
    from learnability.training.minibatch.sources import fresh

    inputs, noise, alone = UniformSigns(case.d, unit=True), case.noise, list[float]()

    def draw(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        X = inputs.sample(rng, EPOCH)
        added = noise * rng.standard_normal((EPOCH, case.k))
        alone.append(float((added**2).sum(axis=1).mean()))
        return X, case.labels(X) + added

    source, rng, start = fresh(draw, EPOCH), generator(case.draw, "algorithm 1", "samples"), case.start()
    now, kept, total, last = start, [], 0.0, -(-case.steps // EPOCH)
    ends = sorted({stop for stop in stops if stop < last} | {last})
    for begin, end in zip([0, *ends], ends, strict=False):
        (part,) = minibatch.train(
            networks.apply,
            now,
            source,
            rule=_TwoRates(case.eta_v / case.eta_w),
            learning_rate=case.eta_w,
            batch=1,
            epochs=end - begin,
            rng=rng,
            loss="squared",
            trainable=("W", "V"),
            record=range(1, end - begin + 1),
            dtype="float64",
        )
        if part.epochs < end - begin or not len(part.columns["running_loss"]):
            raise RequestError(f"the run must not diverge, got {part.outcome} after {begin + part.epochs} epochs")
        total += 2 * float(part.columns["running_loss"].sum())
        now = part.params
        kept.append((EPOCH * end, now))
    X = case.inputs()
    final = float(((networks.forward(now, X) - case.labels(X)) ** 2).sum() / len(X))
    return Trained(start, tuple(kept), (total - sum(alone[:last])) / last, final)


def shortest(start: ResNet3, X: FloatArray, targets: FloatArray) -> FloatArray:
    """The least W* with f(W*) = targets at X, f as in Fact C.4 at the start: the network linearised in W."""
    on, open_ = networks.gates(start, X)
    through = (open_[:, None, :] * start.A) @ start.V[:, :-1]  # (n, k, k)
    return least_norm((start.A + through @ start.A) * on[:, None, :], networks.lifted(X), targets)


# Theorem 1 ----------------------------------------------------------------------------------------------------


def promised(alpha: float, delta: float, *, noise: float = 0.0) -> Promise:
    """Theorem 1 for the hard instance at d = 8, k = 2, every constant 1."""
    numbers = hard_complexities(D, K)._asdict()
    return theorem1(alpha=alpha, k=K, B_F=1.0, delta=delta, opt=K * noise**2 / 2, **numbers)


def _case(alpha: float, delta: float, m: int, draw: int, noise: float = 0.0) -> Case:
    found = promised(alpha, delta, noise=noise)
    return Case(m, alpha, found.eta_w, found.eta_v, round(found.samples), noise, draw)


def theorem(scale: str) -> list[Guarantee]:
    """What SGD pays at the theorem's rates and times, with label noise too; whether it learns G; Corollary 7.1.

    Statement
    ---------
    Theorem 1: for alpha up to about 1 / (k p_G C_s(G)) and delta from about OPT + alpha^4 (k p_G C_s(G))^4 on (OPT
    is what the best H of the class leaves), SGD with steps eta_w of order delta and eta_v in a fixed ratio to it,
    on T of order (k p_F C_s(F))^2 / delta^2 fresh samples, has an average risk E |H - out|^2 of order delta, at
    large widths. Corollary 7.1: the hard instance is learnt to the order alpha^4 from k^2 d / alpha^8 samples.

    Hypotheses
    ----------
    The width is in the ranges of Table 1, at which nobody can run; the orders' constants, which the paper does not
    print, are 1.
    """
    return [*_paid(scale), _noise(scale), _learnt(scale), *corollary(scale), _telescoping(scale)]


def _paid(scale: str) -> list[Guarantee]:
    """The average risk, with the shortest W* that fits H - out at the start."""
    m, accuracies, X = WIDTH[scale], ACCURACIES[scale], cube()
    most, lost, over, end = (np.zeros((len(accuracies), DRAWS[scale])) for _ in range(4))
    for j in range(DRAWS[scale]):
        case = _case(ALPHA, accuracies[0], m, j)
        start = case.start()
        other = shortest(start, X, case.labels(X) - networks.forward(start, X))
        first = float((other**2).sum())
        for i, delta in enumerate(accuracies):
            case = _case(ALPHA, delta, m, j)
            run = algorithm1(case)
            paid = (2 - case.eta_w) * case.eta_w * case.steps * run.average
            most[i, j], over[i, j], end[i, j] = paid / first, run.average / delta, run.final
            lost[i, j] = paid / (first - float(((run.stops[-1][1].W - start.W - other) ** 2).sum()))
    aims, where = ", ".join(f"{delta:g}" for delta in accuracies), f"alpha={ALPHA:g},m={m}"
    note = (
        "average risk over |W*|^2 / ((2 - eta_w) eta_w T), this project's constant, W* the shortest that fits H - "
        f"out at the start, largest over delta = {aims}; over delta, "
        f"where the theorem has O(delta) and no constant, {_listed(over)}; risk at "
        f"the end {end[-1].mean():.2g}, where F alone leaves {ALPHA**2:.2g}: F is learnt, G not seen"
    )
    exact = (
        "distance from 1 of (2 - eta_w) eta_w times the sum of risks over what |W_t - W*|^2 loses: "
        f"{_listed(lost)} at delta = {aims}"
    )
    needs = tuple(h for delta in accuracies for h in promised(ALPHA, delta).hypotheses)
    risks, losses = ([mean(row, comparisons=len(rows), unit="draws") for row in rows] for rows in (most, lost))
    apart = at_all([one.distance(1.0) for one in losses], "at_most")
    bounded = at_all(risks, "at_most")
    return [
        project(
            f"thm1[average risk,{where}]", "Theorem 1 with a constant of ours for O(delta)", 1.0, bounded, "at_most",
            note, hypotheses=needs,
        ),
        project(f"thm1[what is paid,{where}]", "(C.4)", ROOM[scale], apart, "at_most", exact),
    ]  # fmt: skip


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{value:.3g}" for value in values.mean(axis=1))


def _noise(scale: str) -> Guarantee:
    """What label noise adds to the average risk, on the same inputs."""
    m, delta, added = WIDTH[scale], ACCURACIES[scale][1], []
    for draw in range(DRAWS[scale]):
        # With both signs of the noise what is linear in it cancels.
        up, down, plain = (algorithm1(_case(ALPHA, delta, m, draw, noise)).average for noise in (NOISE, -NOISE, 0.0))
        added.append((up + down) / 2 - plain)
    found = promised(ALPHA, delta, noise=NOISE)
    limit = K * NOISE**2 * found.eta_w / (2 - found.eta_w)
    note = (
        "what label noise adds to the average risk, over the 2 OPT eta_w / (2 - eta_w) that it adds to least mean "
        f"squares in the end; the theorem allows O(OPT), OPT = {K * NOISE**2 / 2:.2g}; delta = {delta:g}"
    )
    over = mean(np.array(added) / limit, unit="draws")
    identity = f"thm1[label noise,alpha={ALPHA:g},m={m}]"
    return claim(identity, "Theorem 1", 1.0, over, "at_most", note, hypotheses=found.hypotheses)


def _learnt(scale: str) -> Guarantee:
    """Where G is learnt."""
    alpha, delta, m = SEEN[scale]
    over = mean([algorithm1(_case(alpha, delta, m, draw)).final / alpha**2 for draw in range(3)], unit="draws")
    found = promised(alpha, delta)
    small, reached = found.hypotheses
    note = (
        f"risk at the end over alpha^2, which F alone leaves; T = {round(found.samples)}; alpha is "
        f"{'within' if small.holds else 'beyond'} the theorem's range ({small.detail}), delta "
        f"{'within' if reached.holds else 'below'} it ({reached.detail}): a claim of this project about runs beyond "
        "the theorem's hypotheses; half is ours: most of G is learnt"
    )
    identity = f"thm1[G is learnt,alpha={alpha:g},delta={delta:g},m={m}]"
    return project(identity, "beyond the hypotheses of Theorem 1", 0.5, over, "at_most", note)


# Corollary 7.1 ------------------------------------------------------------------------------------------------


def corollary(scale: str) -> list[Guarantee]:
    """Average risk over k^2 d / alpha^8 samples against k alpha^4, in units of the instance's own labels."""
    d, support, m, rate = WIDE
    k, found = len(support), []
    for alpha in SHARES[scale]:
        steps = math.ceil(k**2 * d / alpha**8)
        cases = [Case(m, alpha, rate, rate, steps, draw=j, d=d, support=support) for j in range(5)]
        runs = [algorithm1(case) for case in cases]
        final = k * float(np.mean([run.final for run in runs]))
        least = k * alpha**2 * (1 - steps / (1000 * kernel_samples(d, k)))
        rates = corollary71(d, k, alpha).promise
        ratio = rates.eta_v / rates.eta_w
        note = (
            f"average of E|H - out|^2 over {steps} = k^2 d / alpha^8 samples against k alpha^4, with 1 for 2^O(k); "
            f"at the end {final:.3g}, where F alone leaves {k * alpha**2:.3g} and no kernel on as many averages less "
            f"than {least:.3g}; W and V have the rate {rate:g}, ours: the theorem's with constants 1 are {ratio:.3g} "
            "apart"
        )
        average = mean([k * run.average for run in runs], unit="draws")
        identity = f"cor71[alpha={alpha:g},d={d},k={k},m={m}]"
        found.append(claim(identity, "Corollary 7.1", k * alpha**4, average, "at_most", note))
    return found


# The first step of the proof -----------------------------------------------------------------------------------


def _telescoping(scale: str) -> Guarantee:
    """Fact C.4 along a run with noise: what is telescoped in (C.4), without an O."""
    steps, m = {"smoke": (60, 200), "laptop": (400, 2000)}[scale]
    found, rng = promised(ALPHA, 0.2, noise=NOISE), generator(0, "descent")
    case = Case(m, ALPHA, found.eta_w, found.eta_v, steps, NOISE, power=0.3)
    start = now = case.start()
    other = start._replace(W=shortest(start, cube(), case.labels(cube())), V=case.sigma_v * start.V)
    X = UniformSigns(D, unit=True).sample(rng, steps)
    Y = case.labels(X) + NOISE * rng.standard_normal((steps, K))

    def far(params: ResNet3) -> float:
        """|W - W*|^2 / (2 eta_w) + |V - V*|^2 / (2 eta_v)."""
        parts = ((params.W - start.W - other.W) ** 2).sum(), ((params.V - start.V - other.V) ** 2).sum()
        return float(parts[0] / (2 * case.eta_w) + parts[1] / (2 * case.eta_v))

    slope, lost = 0.0, far(start)
    for x, y in zip(X[:, None], Y[:, None], strict=True):
        _, gradient = networks.gradient(now, x, y)
        # By Fact C.4's f and g, not by the gradient that is used to move.
        along = sum(networks.increment(now, x, start.W + other.W - now.W, start.V + other.V - now.V))
        slope += float(((y - networks.forward(now, x)) * along).sum())
        lost += float(case.eta_w * (gradient.W**2).sum() + case.eta_v * (gradient.V**2).sum()) / 2
        now = now._replace(W=now.W - case.eta_w * gradient.W, V=now.V - case.eta_v * gradient.V)
    off = slope / (lost - far(now)) - 1
    note = f"<y - out, f(W* - W_t) + g(V* - V_t)> over {steps} steps against what the distances to W*, V* lose"
    identity, source = "residual/thm1[telescoping]", f"{PAPER}, proof of Theorem 1"
    return Guarantee(identity, source, Kind.EXACT, 0.0, off, note=note, tolerance=1e-8)


CHECKS = (Check("thm1", f"{PAPER}, Theorem 1 and Corollary 7.1", theorem, needs=("jax",)),)
