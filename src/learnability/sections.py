"""What was run, read back from an output folder: nothing in it is believed before it has been looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from learnability import checks, shown
from learnability.results import folder, read_json
from learnability.theory import Verdict

__all__ = ["FIGURES", "Section", "read_section", "read_sections"]

FIGURES = {"figure.png": b"\x89PNG", "figure.pdf": b"%PDF"}
"""The files of a figure, and how they begin."""


@dataclass(frozen=True)
class Section:
    """One experiment at one scale, or the verified statements, as found on disk."""

    manifest: Mapping[str, Any]
    guarantees: Sequence[Mapping[str, Any]]
    figures: Sequence[Path]

    @property
    def failed(self) -> bool:
        """Whether a claim is violated or a task failed."""
        return bool(self.manifest["failures"]) or any(g["verdict"] == "violated" for g in self.guarantees)


def read_sections(out: str | os.PathLike[str]) -> tuple[list[Section], list[str]]:
    """Everything under an output folder that has a manifest, in the order of its path; and what is not readable.

    Returns
    -------
    sections : list of Section
    unreadable : list of str
        A line for each result that is left out because of what is in its files.

    Raises
    ------
    ValueError
        If ``out`` is no path, or there is nothing that can be read.
    """
    out = folder(out)
    sections, unreadable = [], []
    try:
        found = sorted([*out.glob("verify/manifest.json"), *out.glob("*/*/*/manifest.json")])
    except OSError as error:  # a name that is too long
        raise ValueError(f"out must be a folder, got {shown.quoted(str(out))} ({error.strerror})") from None
    for path in found:
        if path.relative_to(out).parts[0] == "tasks":
            continue
        try:
            sections.append(read_section(path.parent))
        except ValueError as error:
            unreadable.append(str(error))
    if not sections:
        if unreadable:
            more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
            raise ValueError(unreadable[0] + more)
        raise ValueError(
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
        If its manifest or verdicts are missing, no JSON, or not what is written here.
    """
    manifest = _read(place / "manifest.json", _check_manifest)
    verdicts = _read(place / "verdicts.json", _check_verdicts)
    figures = [path for name, magic in FIGURES.items() if _begins(path := place / name, magic)]
    return Section(manifest, verdicts["guarantees"], figures)


def _read(path: Path, check: Callable[[Any], None]) -> Any:
    try:
        found = read_json(path)
        check(found)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(
            f"{shown.line(path.parent, 1000)} is not readable ({path.name}: {shown.line(why, 300)}): "
            "run that experiment again"
        ) from None
    return found


def _check_manifest(found: Any) -> None:
    _object("it", found)
    for name in ("id", "title", "source", "scale", "command", "date"):
        _text(name, found.get(name))
    checks.real("seconds", found.get("seconds"), at_least=0.0)
    for failure in _list("failures", found.get("failures")):
        _text("each of failures", failure)


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
                raise ValueError(f"holds must be true or false, got {shown.quoted(hypothesis.get('holds'), 50)}")


def _begins(path: Path, magic: bytes) -> bool:
    """Whether there is a file that begins like that: a figure that is none costs nothing else."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError:
        return False


def _object(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, got {shown.quoted(value, 50)}")


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {shown.quoted(value, 50)}")
    return value


def _text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {shown.quoted(value, 50)}")
