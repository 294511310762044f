"""What each study is known to show: the verdicts and numbers of its figures and checks, shipped with the package.

``studies/<study>/record.json`` is written from results (``learnability record``), never by hand. A run is compared
with it where it is the same computation: revision, scale, settings (and with them the data) and number of seeds;
otherwise there is no record to compare with. Only verdicts are compared: numbers move in the last digits from one
machine to the next.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnability import discovery, shown
from learnability._version import __version__
from learnability.discovery import Catalogue
from learnability.errors import RequestError
from learnability.results import folder, key_of, read_json, write_json
from learnability.sections import Section, read_sections

if TYPE_CHECKING:
    import os

    from learnability.study import Home, Setting
    from learnability.theory import Guarantee

__all__ = ["Comparison", "Update", "compare_check", "compare_figure", "digest", "read", "update"]

FORMAT = 1
_KEPT = ("id", "verdict", "measured", "bound", "direction", "note")
"""What is recorded of a guarantee."""


@dataclass(frozen=True)
class Comparison:
    """A run beside the record.

    Parameters
    ----------
    differs : list of dict, or None
        What differs, each with ``id``, ``recorded`` and ``now``: verdicts, None for a claim that is not there.
        Empty if all is as recorded, None if there is no record of this computation.
    why : str
        Why there is no record.
    """

    differs: list[dict[str, Any]] | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.differs is None:
            return f"no record{f' ({self.why})' if self.why else ''}"
        return f"{len(self.differs)} not as recorded" if self.differs else "as recorded"


def digest(settings: Iterable[Setting], code: str = "") -> str:
    """A hash of settings in their order, and of the code where it is not the package's own."""
    told = {"settings": [dict(setting) for setting in settings]}
    return key_of({**told, "code": code} if code else told)[:16]


def path_of(home: Home) -> Path | None:
    """Where the record of a study is: in its folder, beside its file, or nowhere."""
    place = home.place
    if place is None:
        return None
    return place.with_name(f"{place.stem}.record.json") if place.is_file() else place / "record.json"


def read(home: Home) -> Mapping[str, Any]:
    """The record of a study: ``figures`` (id, then scale) and ``checks`` (scale, then id); empty if there is none.

    Raises
    ------
    ValueError
        If the file cannot be read, or is of another format than this version's.
    """
    path = path_of(home)
    try:
        if path is None or not path.exists():
            return {"format": FORMAT, "figures": {}, "checks": {}}
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise RequestError(f"the record of {home.study.name} is not readable ({error})") from None


@cache
def _read(path: Path, changed: int) -> Mapping[str, Any]:
    name = shown.line(path.parent.name if path.name == "record.json" else path.name.removesuffix(".record.json"))
    try:
        found: Mapping[str, Any] = read_json(path)
        form = found["format"]
        if form == FORMAT:
            entries = [entry for scales in found["figures"].values() for entry in scales.values()]
            for entry in entries:
                entry["revision"], entry["seeds"], entry["settings"]
            entries += [entry for checks in found["checks"].values() for entry in checks.values()]
            for entry in entries:
                for guarantee in entry["guarantees"]:
                    if not (isinstance(guarantee["id"], str) and isinstance(guarantee["verdict"], str)):
                        raise TypeError("id and verdict of a claim must be text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"the record of {name} is not readable ({shown.line(error)})") from None
    if form != FORMAT:
        raise RequestError(f"the record of {name} has format {shown.line(form)}, this version reads {FORMAT}")
    return found


def compare_figure(
    id: str,
    *,
    home: Home | None,
    scale: str,
    revision: int,
    seeds: int,
    settings: str,
    guarantees: Iterable[Guarantee],
) -> Comparison:
    """A figure's claims beside the record; ``settings`` is their :func:`digest`."""
    computation = {"revision": revision, "seeds": seeds, "settings": settings}
    return _compare(home, ("figures", id, scale), guarantees, computation)


def compare_check(id: str, *, home: Home | None, scale: str, guarantees: Iterable[Guarantee]) -> Comparison:
    """The guarantees of one check (``study/statement``) beside the record."""
    return _compare(home, ("checks", scale, id), guarantees, {})


def _compare(
    home: Home | None, place: tuple[str, str, str], guarantees: Iterable[Guarantee], computation: Mapping[str, object]
) -> Comparison:
    """Guarantees beside what stands at a place of the record, if that is of the same computation."""
    part, outer, inner = place
    if home is None:
        return Comparison()
    try:
        entry = read(home)[part].get(outer, {}).get(inner)
    except ValueError as error:
        return Comparison(why=str(error))
    if entry is None:
        return Comparison()
    for name, now in computation.items():
        if entry[name] != now:
            other = "other settings, data or code" if name == "settings" else f"{name} {entry[name]}"
            return Comparison(why=f"the one there is has {other}")
    return Comparison(_differences(entry["guarantees"], [g.to_json() for g in guarantees]))


def _differences(recorded: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    before = {g["id"]: g["verdict"] for g in recorded}
    after = {g["id"]: g["verdict"] for g in now}
    return [
        {"id": id, "recorded": before.get(id), "now": after.get(id)}
        for id in dict.fromkeys([*before, *after])
        if before.get(id) != after.get(id)
    ]


# Writing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """What :func:`update` did, or would do.

    Parameters
    ----------
    entries : dict of str to list of str
        What was taken over, by study: ``"symmetry/fig5 (laptop)"``.
    differs : list of dict
        Verdicts that were recorded otherwise: ``id``, ``recorded``, ``now``.
    left_out : list of str
        Results that cannot be recorded, each with the reason.
    written : list of Path
        The records; empty where ``differs`` was not to be overwritten.
    """

    entries: dict[str, list[str]] = field(default_factory=dict)
    differs: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


def update(out: str | os.PathLike[str], *, names: Iterable[str] = (), replace: bool = False) -> Update:
    """Take results over into the records of their studies.

    Parameters
    ----------
    out : path
        Folder with results of ``run`` and ``verify``.
    names : iterable of str
        Studies, or files and folders; all that are installed by default.
    replace : bool
        Whether verdicts that are recorded otherwise may be overwritten. If there are any and it is false, nothing is
        written.

    Raises
    ------
    ValueError
        If there are no results, a study is unknown, or a record cannot be read or written.
    """
    known, wanted = Catalogue(), list(names)
    known.add(discovery.installed())
    studies: set[str] = set() if wanted else set(known.studies)
    for name in wanted:
        if discovery.is_path(name):
            found = discovery.load(name)
            known.add(found)
            studies |= set(found.studies)
        elif name in known.studies:
            studies.add(name)
        else:
            raise RequestError(f"unknown study {name!r}; there are {', '.join(known.studies)}")
    done = Update()
    records = {name: _of(name, read(known.homes[name])) for name in sorted(studies)}
    sections, unreadable = read_sections(folder(out))
    done.left_out.extend(unreadable)
    for section in sections:
        try:
            _take(section, records, done, known)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            place = f"{section.manifest['id']} ({section.manifest['scale']})"
            done.left_out.append(f"{place}: its manifest lacks something, or has it otherwise ({error!r})")
    if done.differs and not replace:
        return done
    for name in done.entries:
        record = records[name]
        record["figures"] = dict(sorted(record["figures"].items()))
        path = path_of(known.homes[name])
        if path is None:  # pragma: no cover - only what was loaded has results here
            continue
        try:
            write_json(path, {"format": FORMAT, "study": name, **record})
        except OSError as error:
            raise RequestError(f"{path} must be writable, as in a checkout: {error.strerror}") from None
        done.written.append(path)
    _read.cache_clear()
    return done


def _of(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record to be written to, without what a copied folder brought of another study."""
    mine: dict[str, Any] = copy.deepcopy(dict(record))
    own = f"{name}/"
    mine["figures"] = {id: entry for id, entry in mine["figures"].items() if id.startswith(own)}
    mine["checks"] = {
        scale: {id: entry for id, entry in found.items() if id.startswith(own)}
        for scale, found in mine["checks"].items()
    }
    return mine


def _take(section: Section, records: dict[str, Any], done: Update, known: Catalogue) -> None:
    """One result into the records in memory."""
    manifest = section.manifest
    id, scale = manifest["id"], manifest["scale"]
    place = f"{id} ({scale})"
    owner = id.partition("/")[0]
    if id == "verify":
        done.left_out.append(f"{place}: made by an older version; verify again")
    if owner not in records:
        return
    if scale == "smoke":
        done.left_out.append(f"{place}: the smoke scale is for tests")
        return
    if not section.vouched:
        done.left_out.append(f"{place}: made by an older version; {_again(id, owner)}")
        return
    if missing := manifest.get("unfinished"):
        done.left_out.append(f"{place}: unfinished, {missing['tasks']} tasks are missing")
        return
    if id == f"{owner}/verify":
        by_id = {g["id"]: g for g in section.guarantees}
        for name, check in manifest["checks"].items():
            if name in known.statements:
                entry = _entry(manifest, [by_id[g] for g in check["guarantees"]], seconds=check["seconds"])
                _put(records[owner]["checks"].setdefault(scale, {}), name, entry, done, owner, f"{name} ({scale})")
        return
    if id not in known.experiments:
        return
    if manifest.get("set"):
        told = ", ".join(f"{name} = {value}" for name, value in manifest["set"].items())
        done.left_out.append(f"{place}: with {told}; only an experiment's own values are recorded")
    elif manifest["failures"]:
        done.left_out.append(f"{place}: {len(manifest['failures'])} failed")
    else:
        entry = {
            "revision": manifest["revision"],
            "seeds": manifest["seeds"],
            "settings": manifest["settings"],
            "tasks": sum(manifest["tasks"].values()),
            **_entry(manifest, section.guarantees, seconds=manifest["seconds"]),
        }
        _put(records[owner]["figures"].setdefault(id, {}), scale, entry, done, owner, place)


def _again(id: str, owner: str) -> str:
    """How a result of before is had again."""
    return "verify again" if id == f"{owner}/verify" else "run it again, which takes its finished tasks over"


def _entry(manifest: Mapping[str, Any], guarantees: Sequence[Mapping[str, Any]], *, seconds: float) -> dict[str, Any]:
    return {
        "version": __version__,
        "date": str(manifest.get("date", datetime.date.today()))[:10],
        "seconds": float(f"{seconds:.3g}"),
        "guarantees": [{name: g[name] for name in _KEPT} for g in guarantees],
    }


def _put(into: dict[str, Any], key: str, entry: dict[str, Any], done: Update, owner: str, place: str) -> None:
    if key in into:
        before = into[key]
        for name in ("revision", "seeds", "settings"):
            if before.get(name) != entry.get(name):
                done.differs.append(
                    {"id": f"{place}: {name}", "recorded": str(before[name]), "now": str(entry[name])}
                )
        done.differs.extend(_differences(before["guarantees"], entry["guarantees"]))
    into[key] = entry
    done.entries.setdefault(owner, []).append(place)
