"""Statements checked one after the other, compared with the record, and kept beside the figures' verdicts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from learnability import checks, extras, records, report, runner
from learnability.discovery import Catalogue
from learnability.results import Store
from learnability.runner import Progress
from learnability.sections import read_section
from learnability.study import Check
from learnability.theory import Guarantee
from learnability.theory.guarantee import counts

__all__ = ["Checked", "Verification", "check_all"]


@dataclass(frozen=True)
class Checked:
    """One statement that was checked: its cases, the seconds it took, and the record beside it."""

    guarantees: list[Guarantee]
    seconds: float
    recorded: records.Comparison


@dataclass(frozen=True)
class Verification:
    """Statements that were checked, by id, and the checks that could not be finished, one line each."""

    checks: dict[str, Checked] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def guarantees(self) -> list[Guarantee]:
        """All cases of all statements."""
        return [guarantee for check in self.checks.values() for guarantee in check.guarantees]

    @property
    def differs(self) -> list[dict[str, Any]] | None:
        """What is not as recorded; None if none of it has a record."""
        found = [check.recorded.differs for check in self.checks.values() if check.recorded.differs is not None]
        return [one for several in found for one in several] if found else None

    def __repr__(self) -> str:
        verdicts = counts(str(g.verdict) for g in self.guarantees)
        return f"Verification({len(self.checks)} statements: {verdicts}; {len(self.failures)} failed)"


def check_all(
    chosen: Mapping[str, Check],
    scale: str,
    *,
    known: Catalogue,
    store: Store | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Run checks in their order; one that raises is listed in ``failures`` and stops no other.

    What needs an extra that is not installed, or does not work, is a failure too, told first; if all do, nothing is
    checked.

    With a ``store`` the verdicts of each study are kept in ``<study>/verify/<scale>``, beside those of its statements
    that were checked before.
    """
    from threadpoolctl import threadpool_limits

    found = Verification()
    told = partial(extras.told, tried=True)
    if absent := {name: check.needs for name, check in chosen.items() if told({name: check.needs})}:
        if len(absent) == len(chosen):
            extras.require(absent)
        warnings.warn(told(absent), runner.FailureWarning, stacklevel=2)
        found.failures.extend(told({name: needs}) for name, needs in absent.items())
        chosen = {name: check for name, check in chosen.items() if name not in absent}
    tried: list[str] = []
    try:
        for done, (name, check) in enumerate(chosen.items()):
            if on_progress is not None:
                on_progress(Progress(name, done, len(chosen), done, len(chosen)))
            start = time.perf_counter()
            with threadpool_limits(limits=1):
                guarantees = runner.attempt(name, partial(_run, name, check, scale), found.failures)
            if guarantees is not None:
                recorded = records.compare_check(name, home=check.home, scale=scale, guarantees=guarantees)
                found.checks[name] = Checked(guarantees, time.perf_counter() - start, recorded)
            tried.append(name)
        if on_progress is not None:
            on_progress(Progress("", len(chosen), len(chosen), len(chosen), len(chosen)))
    finally:  # Ctrl-C loses only the check that was running
        if store is not None:
            for owner in known.studies:
                mine = [name for name in tried if name.startswith(f"{owner}/")]
                _keep(owner, mine, found, scale, store, known)
    return found


def _run(name: str, check: Check, scale: str) -> list[Guarantee]:
    """A check's guarantees; outside the package, under its study's name whatever they are called there."""
    found = runner.as_guarantees(check.run(scale), "run must return a list of Guarantee")
    if check.home is None or check.home.packaged:
        return found
    owner = check.home.study.name

    def own(id: str) -> str:
        rest = runner.without_study(id, owner)
        return f"{owner}/{rest}" if id.startswith(f"{owner}/") or rest.startswith(check.name) else f"{name}/{rest}"

    named = [replace(one, id=own(one.id)) for one in found]
    runner.different(named, "guarantees")
    return named


def _keep(owner: str, names: Sequence[str], found: Verification, scale: str, store: Store, known: Catalogue) -> None:
    """Write the verdicts of one study, with those of its other statements that were kept before."""
    if not names:
        return
    place = store.folder(f"{owner}/verify", scale)
    kept: dict[str, dict[str, Any]] = {}
    try:
        section = read_section(place)
        by_id = {g["id"]: g for g in section.guarantees}
        for name, check in section.manifest["checks"].items():
            if name in known.statements and name not in names:
                seconds = checks.real("seconds", check["seconds"], at_least=0.0)
                kept[name] = {"seconds": seconds, "shown": [by_id[id] for id in check["guarantees"]]}
    except (ValueError, KeyError, TypeError, AttributeError):
        kept = {}  # nothing there, or nothing that can be believed: the statements can be checked again
    for name in names:
        if name in found.checks:
            shown = [g.to_json() for g in found.checks[name].guarantees]
            kept[name] = {"seconds": found.checks[name].seconds, "shown": shown}
    order = [name for name in known.statements if name in kept]
    manifest = {
        "id": f"{owner}/verify",
        "title": "Lemmas and theorems, checked numerically",
        "source": known.studies[owner].citation,
        "scale": scale,
        "failures": [line for line in found.failures if line.startswith(tuple(f"{name}:" for name in names))],
        "seconds": sum(kept[name]["seconds"] for name in order),
        "checks": {
            name: {"seconds": kept[name]["seconds"], "guarantees": [g["id"] for g in kept[name]["shown"]]}
            for name in order
        },
    }
    home = known.homes[owner]
    some = names if len(order) > len(names) and not home.named else [owner]
    command = " ".join([runner.command("verify", some[0], home, []), *some[1:], "--scale", scale])
    guarantees = [g for name in order for g in kept[name]["shown"]]
    report.write_result(place, {**manifest, **runner.occasion(command)}, guarantees)
