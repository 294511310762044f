"""What the statements of Daniely & Malach share: ids and sources, and that k is odd."""

from __future__ import annotations

from collections.abc import Iterable

from learnability import checks
from learnability.errors import RequestError
from learnability.studies.parity import PAPER
from learnability.theory.guarantee import Guarantee, Hypothesis, Kind, joined, statement_id

__all__ = ["in_form", "odd", "odd_parity", "stated", "with_outside"]


def stated(
    statement: str,
    case: Iterable[str],
    where: str,
    kind: Kind,
    bound: float | None,
    measured: float | None,
    *notes: str,
    hypotheses: Iterable[Hypothesis] = (),
    tolerance: float = 0.0,
) -> Guarantee:
    """A statement of the paper: id ``parity/<statement>[<case>]``, source ``Daniely & Malach, <where>``.

    ``where`` is the whole source if it names the paper: what is ours is "on" it.

    Parameters
    ----------
    statement : str
        Name of the statement, the first part of the id.
    case : iterable of str
        What stands in the id's brackets.
    where : str
        Place in the paper, or the whole source.
    kind, bound, measured, hypotheses, tolerance
        As in :class:`learnability.theory.guarantee.Guarantee`.
    *notes : str
        Joined to one.

    Returns
    -------
    Guarantee

    Raises
    ------
    ValueError
        If the tolerance is negative or not finite.
    """
    name, source = statement_id(f"parity/{statement}", *case), where if PAPER in where else f"{PAPER}, {where}"
    needed, note = tuple(hypotheses), joined(*notes)
    return Guarantee(name, source, kind, bound, measured, needed, note, tolerance=tolerance)


def in_form(where: str, form: str) -> str:
    """The source of a bound as printed, and of what the same argument gives with nothing thrown away.

    Parameters
    ----------
    where : str
        Place in the paper.
    form : {"printed", "sharp"}
        Which form the bound has.

    Returns
    -------
    str
    """
    return where if form == "printed" else f"{where} (sharp form: this project)"


def odd(k: int, *, least: int = 3, n: int | None = None) -> int:
    """The size of A, checked: odd, least <= k (<= n).

    Parameters
    ----------
    k : int
        Odd, least <= k <= n.
    least : int
        The least that is allowed.
    n : int, optional
        The dimension, if there is one.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    least = checks.size("least", least, at_least=1)
    n = None if n is None else checks.size("n", n, at_least=least)
    k = checks.size("k", k, at_least=least, at_most=n)
    if k % 2 == 0:
        raise RequestError(f"k must be odd, got {k}: with an even k the labels of D_A^(2) are all +1")
    return k


def odd_parity(n: int, k: int, *, least: int = 3) -> tuple[int, int]:
    """Dimension and size of A, checked: k odd, least <= k <= n.

    Parameters
    ----------
    n : int
        Dimension, >= least.
    k : int
        Size of A, odd, least <= k <= n.
    least : int
        The least that is allowed.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    least = checks.size("least", least, at_least=1)
    n = checks.size("n", n, at_least=least)
    return n, odd(k, least=least, n=n)


def with_outside(n: int, k: int) -> tuple[int, int]:
    """As :func:`odd_parity`, with a coordinate outside A.

    Parameters
    ----------
    n : int
        Dimension, > k.
    k : int
        Size of A, odd, 3 <= k < n.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If an argument is outside its range, or k is even.
    """
    n, k = odd_parity(n, k)
    if k == n:
        raise RequestError(f"k must be < n, so that a coordinate lies outside A, got k = n = {n}")
    return n, k
