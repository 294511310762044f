"""What the statements of Daniely & Malach share: ids and sources, and that k is odd."""

from __future__ import annotations

from collections.abc import Iterable

from learnability import checks
from learnability.studies.parity import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, statement_id

__all__ = ["in_form", "joined", "odd", "odd_parity", "stated"]


def joined(*notes: str) -> str:
    """What there is to note."""
    return "; ".join(filter(None, notes))


def stated(
    statement: str,
    case: Iterable[str],
    where: str,
    kind: Kind,
    bound: float,
    measured: float | None,
    *notes: str,
    hypotheses: Iterable[Hypothesis] = (),
    tolerance: float = 0.0,
) -> Guarantee:
    """A statement of the paper: id ``parity/<statement>[<case>]``, source ``Daniely & Malach, <where>``.

    ``where`` is the whole source if it names the paper: what is ours is "on" it.
    """
    name, source = statement_id(f"parity/{statement}", *case), where if PAPER in where else f"{PAPER}, {where}"
    needed, note = tuple(hypotheses), joined(*notes)
    return Guarantee(name, source, kind, bound, measured, needed, note, tolerance=tolerance)


def in_form(where: str, form: str) -> str:
    """The source of a bound as printed, and of what the same argument gives with nothing thrown away."""
    return where if form == "printed" else f"{where} (sharp form: this project)"


def odd(k: int, *, least: int = 3, n: int | None = None) -> int:
    """The size of A, checked: odd, least <= k (<= n)."""
    k = checks.integer("k", k, at_least=least, at_most=n)
    if k % 2 == 0:
        raise ValueError(f"k must be odd, got {k}: with an even k the labels of D_A^(2) are all +1")
    return k


def odd_parity(n: int, k: int, *, least: int = 3) -> tuple[int, int]:
    """Dimension and size of A, checked: k odd, least <= k <= n."""
    n = checks.integer("n", n, at_least=least)
    return n, odd(k, least=least, n=n)
