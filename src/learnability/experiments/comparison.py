"""What Figures 5 and 6 share: the symmetry initialisation against a random one, samples of n, n^2, n^3, n^4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnability.experiments import Setting
from learnability.experiments.curves import TOLERANCE, claim, compression, draw, ends, setting
from learnability.problems.symmetry import UniformCube
from learnability.theory import Guarantee, Kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OURS, OURS_CONFIDENT, RANDOM = "symmetry, beta 0", "symmetry, beta n^3 h", "random"
# The steps' neighbours, reported beside the claims and not drawn. The random one is left out at the sample of n^4,
# where it would double the figure's time; symmetry/random-init has it.
OURS_NEIGHBOUR, RANDOM_NEIGHBOUR = "symmetry, h n^-4", "random, h n^-2"


def settings(n: int, target: str, epochs: dict[str, int]) -> tuple[Setting, ...]:
    """Three curves a panel and their neighbours; panel "a" has a sample of n, "b" of n^2 and so on."""
    found: list[Setting] = []
    for power, (panel, length) in enumerate(epochs.items(), start=1):
        common = {"panel": panel, "n": n, "m": n**power, "target": target, "epochs": length}
        found += [
            setting(curve=OURS, beta="0", **common),
            setting(curve=OURS_CONFIDENT, **common),
            setting(curve=OURS_NEIGHBOUR, beta="0", h_power=4, **common),
            setting(curve=RANDOM, init="he", h_power=3, **common),
        ]
        if power < 4:
            found.append(setting(curve=RANDOM_NEIGHBOUR, init="he", h_power=2, **common))
    return tuple(found)


def figure(table: pd.DataFrame) -> Figure:
    """One panel a sample size."""
    n = table["n"].iloc[0]
    titles = {panel: f"({panel}) n = {n}, sample n{power}" for panel, power in zip("abcd", ("", "²", "³", "⁴"))}
    curves = {
        OURS: "symmetry init, h = n⁻⁶, β = 0",
        OURS_CONFIDENT: "symmetry init, h = n⁻⁶, β = n³h",
        RANDOM: "random (He) init, h = n⁻³, β = n³h = 1",
    }
    return draw(table, titles, curves)


def claims(
    table: pd.DataFrame, name: str, where: str, near_half: float, of_constant: float | None
) -> list[Guarantee]:
    """Section 5.3: with our initialisation both errors vanish at every sample size, with a random one neither.

    Parameters
    ----------
    near_half : float
        Where ``of_constant`` is None: the true error that random initialisation must not fall below.
    of_constant : float or None
        Otherwise that threshold is this share of the best constant's error (a random target is unbalanced).
    """
    found = []
    random_empirical = {}
    for panel, inside in table.groupby("panel"):
        n, m = int(inside["n"].iloc[0]), int(inside["m"].iloc[0])
        at = f"{where}({panel}), sample {m}"
        ours, random = ends(inside, curve=OURS), ends(inside, curve=RANDOM)
        probabilities = UniformCube(n).weight_probabilities
        unseen = float(probabilities @ (1 - probabilities) ** m)
        for error, bound in (("empirical", TOLERANCE), ("true", unseen + TOLERANCE)):
            value, confident, neighbour = (
                ends(inside, curve=curve)[f"{error}_error"] for curve in (OURS, OURS_CONFIDENT, OURS_NEIGHBOUR)
            )
            found.append(
                claim(
                    f"{name}{panel}/ours-{error}-error",
                    at,
                    bound,
                    float(value.median()),
                    "at_most",
                    f"median final {error} error over seeds, symmetry initialisation, beta = 0 (mean "
                    f"{value.mean():.4f}, largest {value.max():.4f}); expected mass of weights that the sample "
                    f"misses: {unseen:.4f}; beta = n^3 h: {confident.median():.4f}; h = n^-4: "
                    f"{neighbour.median():.4f}",
                )
            )
        if of_constant is None:
            bound, measured, what = near_half, float(random["true_error"].mean()), "mean final true error"
        else:
            bound = of_constant
            measured = float(random["true_error"].mean() / random["constant_error"].mean())
            what = f"mean final true error ({random['true_error'].mean():.3f}) over the best constant's"
        larger = ends(inside, curve=RANDOM_NEIGHBOUR)
        other = f"; true error with h = n^-2: {larger['true_error'].mean():.3f}" if len(larger) else ""
        found.append(
            claim(
                f"{name}{panel}/random-true-error",
                at,
                bound,
                measured,
                "at_least",
                f"{what}, random (He) initialisation, h = n^-3, beta = n^3 h{other}",
            )
        )
        found.append(compression(f"{name}{panel}/compression", at, ours))
        random_empirical[panel] = random["empirical_error"].median()
    if "a" in random_empirical:
        found.append(
            claim(
                f"{name}/random-fits-small-sample",
                f"{where}(a)",
                TOLERANCE,
                float(random_empirical["a"]),
                "at_most",
                "median final empirical error with random initialisation and a sample of n",
            )
        )
    values = list(random_empirical.values())
    if len(values) > 1:
        found.append(
            claim(
                f"{name}/random-harder-to-fit",
                where,
                0.0,
                float(min(values[1:]) - values[0]),
                "at_least",
                "median final empirical error with random initialisation: the smallest over larger samples minus "
                f"that of a sample of n ({', '.join(f'{v:.3f}' for v in values)}; each panel has its own epochs)",
                Kind.TREND,
            )
        )
    return found


__all__ = ["OURS", "OURS_CONFIDENT", "RANDOM", "claims", "figure", "settings"]
