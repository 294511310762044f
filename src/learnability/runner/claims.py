"""Whose an experiment's claims are: ids, sources, and what other parameters do to a paper's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from learnability import discovery
from learnability.study import Experiment, Scale
from learnability.theory import Guarantee, Hypothesis, Kind

__all__ = ["as_guarantees", "checked", "different", "of_paper", "own_id", "source_of", "without_study"]


def checked(claims: Any, experiment: Experiment) -> list[Guarantee]:
    """The claims, under the experiment's own id and with a source: a copied figure's claims are not its paper's."""
    found = as_guarantees(claims, "claims must return a list of Guarantee")
    if experiment.home is None or experiment.home.packaged:
        return found
    source, id = source_of(experiment), experiment.id
    own = [dataclasses.replace(c, id=own_id(c.id, id), source=c.source or source) for c in found]
    different(own, "claims")
    return own


def as_guarantees(found: Any, must: str) -> list[Guarantee]:
    """What claims or a check have returned, if they are guarantees."""
    if not isinstance(found, Iterable):
        raise TypeError(f"{must}, got {type(found).__name__}")
    listed = list(found)
    for one in listed:
        if not isinstance(one, Guarantee):
            raise TypeError(f"{must}, got one of {type(one).__name__}")
    return listed


def different(claims: Sequence[Guarantee], what: str) -> None:
    """Refuse two of one id."""
    ids = [claim.id for claim in claims]
    twice = next((id for number, id in enumerate(ids) if id in ids[:number]), None)
    if twice is not None:
        raise ValueError(f"{what} must have different ids, got {twice!r} twice")


def own_id(claim: str, experiment: str) -> str:
    """``<study>/<name>/...`` for whatever a claim is called."""
    study = experiment.partition("/")[0]
    rest = without_study(claim, study)
    return f"{study}/{rest}" if f"{study}/{rest}".startswith(f"{experiment}/") else f"{experiment}/{rest}"


def without_study(id: str, study: str) -> str:
    """A claim's id without the name of its study: its own, or one of the package's that it was copied from."""
    first, _, rest = id.partition("/")
    return rest if rest and (first == study or first in discovery.installed_names()) else id


def source_of(experiment: Experiment) -> str:
    """What a claim's source is where it names none: of a changed copy of a paper's figure not the paper."""
    home, source = experiment.home, experiment.source
    if home is None or home.packaged:
        return source or experiment.id
    return f"an experiment of your own, after {source}" if _is_paper(source) else source or home.study.citation


def _is_paper(source: str) -> bool:
    """Whether a source is one of the package's papers."""
    return source.startswith(tuple(study.paper for study in discovery.papers()))


def of_paper(claim: Guarantee, experiment: Experiment, scale: str, size: Scale) -> Guarantee:
    """A paper's empirical claims are about its parameters: other ones can neither confirm nor refute them."""
    packaged = experiment.home is None or experiment.home.packaged
    if claim.kind not in (Kind.THRESHOLD, Kind.TREND):
        return claim
    why = [f"{size.told} was set"] if size.changed and packaged else []
    if not packaged and _is_paper(claim.source):
        why.append("an experiment of your own")
    if scale == "smoke":
        why.append("the smoke scale is for tests")
    if not why:
        return claim
    named = Hypothesis("published parameters", False, "; ".join(why))
    return dataclasses.replace(claim, hypotheses=(*claim.hypotheses, named))
