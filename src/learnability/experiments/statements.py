"""What a paper says of a figure in words or numbers, as a guarantee: the form that all studies share."""

from __future__ import annotations

from typing import Any, Protocol

from learnability.theory import Guarantee, Kind

__all__ = ["Claim", "claims_of"]


class Claim(Protocol):
    """See :func:`claims_of`."""

    def __call__(
        self,
        id: str,
        where: str,
        bound: float,
        measured: float | None,
        direction: str,
        note: str,
        kind: Kind = ...,
        **more: Any,
    ) -> Guarantee:
        """An empirical claim of a paper."""


def claims_of(study: str, paper: str) -> Claim:
    """A function that makes the empirical claims of one paper: id ``<study>/<id>``, source ``<paper>, <where>``.

    Its other arguments are those of :class:`~learnability.theory.Guarantee`; ``kind`` is a threshold if not given.
    """

    def claim(
        id: str,
        where: str,
        bound: float,
        measured: float | None,
        direction: str,
        note: str,
        kind: Kind = Kind.THRESHOLD,
        **more: Any,
    ) -> Guarantee:
        return Guarantee(
            id=f"{study}/{id}",
            source=f"{paper}, {where}",
            kind=kind,
            bound=bound,
            measured=measured,
            direction=direction,
            note=note,
            **more,
        )

    return claim
