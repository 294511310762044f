"""Section 8.2 of Allen-Zhu & Li: the Rademacher bound, against the largest correlations with random signs found."""

from __future__ import annotations

import math

import numpy as np

from learnability.evidence.claims import judged
from learnability.evidence.intervals import mean
from learnability.networks import vertices
from learnability.networks.vertices import VertexNet
from learnability.problems.residual import UniformSigns
from learnability.seeding import generator
from learnability.studies.residual import PAPER, PROJECT
from learnability.studies.residual.theorems.rademacher import best_units, rademacher_bound, sample_size, supremum
from learnability.study import Check
from learnability.theory import Guarantee, Kind
from learnability.theory.aggregate import tightest
from learnability.theory.guarantee import statement_id

__all__ = ["CHECKS"]

SIZES = {"smoke": ((6, 50), (40, 200)), "laptop": ((6, 64), (6, 1000), (40, 1000), (40, 5000))}
"""(d, N)."""
DRAWS = {"smoke": 6, "laptop": 10}
WIDTH = 200


def complexity(scale: str) -> list[Guarantee]:
    """Both bounds and the bound from below, over w / sqrt(N); the networks that attain what was found.

    Statement
    ---------
    Section 8.2: the empirical Rademacher complexity of two-layer networks with |W| <= w, on N inputs of norm 1, is
    at most 2 w / sqrt(N): so the networks of norm about 10 sqrt(d) could be learnt from a number of samples of
    order d. Ours: half of it is true, and at least w / (2 sqrt(2 N)) is needed.
    """
    found: dict[str, list[Guarantee]] = {"sharper": [], "from below": []}
    shown, off = [], 0.0
    for d, N in SIZES[scale]:
        values, lengths = [], []
        for draw in range(DRAWS[scale]):
            rng = generator(draw, "rademacher", d, N)
            X = UniformSigns(d, unit=True).sample(rng, N)
            xi = rng.choice([-1.0, 1.0], N)
            units = best_units(rng, X, xi)
            norm = 9.7 * math.sqrt(d)
            a = vertices.output_weights(WIDTH)
            total = math.hypot(units.s_plus, units.s_minus)
            parts = np.where(a[:, None] > 0, units.s_plus * units.plus, units.s_minus * units.minus)
            net = VertexNet(norm * parts / (total * math.sqrt(WIDTH / 2)), a)
            off = max(off, abs(float(xi @ vertices.forward(net, X)) / N / supremum(units, norm) - 1))
            off = max(off, abs(vertices.norm(net) / norm - 1))
            values.append(supremum(units, 1.0) * math.sqrt(N))
            lengths.append(float(np.linalg.norm(xi @ X)) / math.sqrt(N))
        drawn, case = mean(values, comparisons=len(SIZES[scale]), unit="draws"), f"[d={d},N={N}]"
        shown.append(f"{drawn.estimate:.3f} at d = {d}, N = {N}")
        bound = rademacher_bound(1.0, N, form="sharper") * math.sqrt(N)
        found["sharper"].append(judged(Guarantee(case, f"{PROJECT}, Section 8.2", Kind.UPPER_BOUND, bound), drawn))
        # Of the same draws, and true of each: no interval.
        least = float(np.mean(lengths)) / 2
        found["from below"].append(
            Guarantee(case, f"{PROJECT}, Section 8.2", Kind.LOWER_BOUND, least, drawn.estimate)
        )
    note = f"in units of w / sqrt(N), by search from below, mean of {DRAWS[scale]} draws: {'; '.join(shown)}"
    norm = 9.7 * math.sqrt(40)
    sizes = ", ".join(
        f"{form}: {rademacher_bound(norm, 5000, form=form):.3g} at N = 5000, below .3 from N = "
        f"{sample_size(norm, 0.3, form=form) / 40:.0f} d" for form in ("printed", "sharper")
    )  # fmt: skip
    notes = {
        "sharper": f"half of what is printed; {note}; for w = 9.7 sqrt(d), d = 40, {sizes}: vacuous in Figure 1's "
        "setting, as printed",
        "from below": f"E|sum xi x| / (2 sqrt(N)) against what was found; {note}",
    }
    return [
        *(
            tightest(statement_id("residual/rademacher", name), cases, notes[name])
            for name, cases in found.items()
        ),
        Guarantee(
            "residual/rademacher[attained by networks]", f"{PROJECT}, Section 8.2", Kind.EXACT, 0.0, off,
            note=f"largest relative difference of the correlation of a network with the signs from w sqrt((s_+^2 + "
            f"s_-^2) / 2), and of its norm from w; m = {WIDTH}",
            tolerance=1e-10,
        ),
    ]  # fmt: skip


CHECKS = (Check("rademacher", f"{PAPER}, Section 8.2 (Rademacher complexity)", complexity),)
