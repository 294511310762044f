"""What was run, read back from an output folder: nothing in it is believed before it has been looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from learnability import checks, shown
from learnability.errors import RequestError
from learnability.results import folder, generation, parsed
from learnability.results.generation import MANIFEST, DamagedError
from learnability.theory import Verdict

__all__ = ["FIGURES", "Section", "read_section", "read_sections"]

FIGURES = {"figure.png": b"\x89PNG", "figure.pdf": b"%PDF"}
"""The files of a figure, and how they begin."""


@dataclass(frozen=True)
class Section:
    """One experiment at one scale, or the verified statements, as found on disk.

    Parameters
    ----------
    manifest : mapping
        What, how and when; how much of it is missing, and what it was computed with.
    guarantees : sequence of mapping
        Its claims with their verdicts.
    figures : sequence of Path
        The figure's files.
    picture : bytes
        The figure as PNG, as it was when it was checked; empty if there is none.
    vouched : bool
        Whether every byte of it is as it was written; older versions wrote no checksums.
    """

    manifest: Mapping[str, Any]
    guarantees: Sequence[Mapping[str, Any]]
    figures: Sequence[Path]
    picture: bytes
    vouched: bool

    @property
    def failed(self) -> bool:
        """Whether a claim is violated or a task failed."""
        return bool(self.manifest["failures"]) or any(g["verdict"] == "violated" for g in self.guarantees)


def read_sections(out: str | os.PathLike[str]) -> tuple[list[Section], list[str]]:
    """Everything under an output folder, in the order of its path; and what is not readable, or lacks its manifest.

    Returns
    -------
    sections : list of Section
    unreadable : list of str
        A line for each result that is left out because of what is in its files.

    Raises
    ------
    ValueError
        If ``out`` is no path, or there are no results.
    """
    out = folder(out)
    sections, unreadable = [], []
    try:
        left = [out.glob(f"{at}/{name}") for at in ("verify", "*/*/*") for name in ("manifest.json", "verdicts.json")]
        found = sorted({path.parent for paths in left for path in paths})
    except OSError as error:  # a name that is too long
        raise RequestError(f"out must be a folder, got {shown.quoted(str(out))} ({error.strerror})") from None
    for place in found:
        if place.relative_to(out).parts[0] == "tasks":
            continue
        try:
            sections.append(read_section(place))
        except ValueError as error:
            unreadable.append(str(error))
    if not sections and not unreadable:
        raise RequestError(
            f"out must be a folder with results of `learnability run`, there are none in {shown.quoted(str(out))}"
        )
    newer = {g["id"] for s in sections if s.manifest["id"] != "verify" for g in s.guarantees}
    sections = [
        replace(s, guarantees=[g for g in s.guarantees if g["id"] not in newer])  # what has been verified again since
        if s.manifest["id"] == "verify"
        else s
        for s in sections
    ]
    return sections, unreadable


def read_section(place: Path) -> Section:
    """What the folder of one result holds.

    Raises
    ------
    ValueError
        If one of its files is missing, damaged or not what is written here.
    """
    try:
        found = generation.read(place, ("verdicts.json", "figure.png", "figure.pdf"))
        manifest = _checked(MANIFEST, found.manifest, _check_manifest)
        if "verdicts.json" not in found.content:
            raise DamagedError("verdicts.json", "there is none that can be read")
        verdicts = _checked("verdicts.json", found.content["verdicts.json"], _check_verdicts)
    except DamagedError as damage:
        raise RequestError(
            f"{shown.line(place, 1000)} is not readable ({damage.name}: {shown.line(damage.why, 300)}): "
            "run that experiment again"
        ) from None
    figures = {name: found.content.get(name, b"") for name in FIGURES}
    real = [name for name, magic in FIGURES.items() if figures[name].startswith(magic)]
    picture = figures["figure.png"] if "figure.png" in real else b""
    return Section(manifest, verdicts["guarantees"], [place / name for name in real], picture, found.vouched)


def _checked(name: str, found: Any, check: Callable[[Any], None]) -> Any:
    try:
        value = parsed(found) if isinstance(found, bytes) else found
        check(value)
    except ValueError as error:
        raise DamagedError(name, str(error)) from None
    return value


def _check_manifest(found: Any) -> None:
    _object("it", found)
    for name in ("id", "title", "source", "scale", "command", "date"):
        _text(name, found.get(name))
    checks.real("seconds", found.get("seconds"), at_least=0.0)
    for failure in _list("failures", found.get("failures")):
        _text("each of failures", failure)
    for line in _list("mixture", found.get("mixture", [])):
        _text("each of mixture", line)
    if found.get("unfinished") is not None:
        _object("unfinished", found["unfinished"])
        for name in ("cells", "of", "tasks"):
            checks.integer(f"unfinished: {name}", found["unfinished"].get(name), at_least=0)
    for process in _list("computed_on", found.get("computed_on", [])):
        _object("each of computed_on", process)
        checks.integer("tasks of computed_on", process.get("tasks"), at_least=0)


def _check_verdicts(found: Any) -> None:
    _object("it", found)
    for guarantee in _list("guarantees", found.get("guarantees")):
        _object("each of guarantees", guarantee)
        for name in ("id", "note", "direction"):
            _text(name, guarantee.get(name))
        checks.choice("verdict", guarantee.get("verdict"), [str(verdict) for verdict in Verdict])
        for name in ("bound", "measured", "slack"):
            if guarantee.get(name, "nothing") is not None:
                checks.real(name, guarantee.get(name))
        for hypothesis in _list("hypotheses", guarantee.get("hypotheses")):
            _object("each of hypotheses", hypothesis)
            _text("a hypothesis's name", hypothesis.get("name"))
            if not isinstance(hypothesis.get("holds"), bool):
                raise RequestError(f"holds must be true or false, got {shown.quoted(hypothesis.get('holds'), 50)}")


def _object(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be an object, got {shown.quoted(value, 50)}")


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(f"{name} must be a list, got {shown.quoted(value, 50)}")
    return value


def _text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, got {shown.quoted(value, 50)}")
