"""Studies, experiments and statements: found in the package, in installed packages, in folders and in files.

- The package's own: every folder of ``learnability/studies``.
- Installed packages that name an entry point of the group ``learnability.studies``: a package laid out like a study,
  or a module like a file below. One that cannot be loaded is named, and stops nothing else.
- A folder laid out like a study: ``figures/*.py``, ``checks/*.py``; ``STUDY`` in its ``__init__.py`` if it wants one.
- A file with ``EXPERIMENT``, ``CHECKS`` or both. ``staircase.py`` is the study ``staircase``, its experiment is
  ``staircase/figure``.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from learnability import source
from learnability.errors import RequestError
from learnability.study import Check, Experiment, Home, Study

__all__ = [
    "Catalogue",
    "adopted",
    "foreign",
    "holding",
    "installed",
    "installed_names",
    "is_path",
    "load",
    "papers",
    "taken",
]

GROUP = "learnability.studies"
_RESERVED = ("tasks", "certify", "verify")
"""Folders of results that are no study's."""


@dataclass(frozen=True)
class Catalogue:
    """What there is, each by its name or id."""

    studies: dict[str, Study] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    statements: dict[str, Check] = field(default_factory=dict)
    homes: dict[str, Home] = field(default_factory=dict)
    """Where each study stands."""
    broken: dict[str, str] = field(default_factory=dict)
    """Studies that could not be loaded, each with the reason: they stop no other."""

    def add(self, other: Catalogue) -> None:
        """Take another's over.

        Raises
        ------
        ValueError
            If two of one id are not the same.
        """
        for name, home in other.homes.items():
            if name in self.homes and self.homes[name].place != home.place:
                one, two = self.homes[name].place, home.place
                raise RequestError(f"two studies are named {name!r}: {one} and {two}")
        self.homes.update(other.homes)
        self.studies.update(other.studies)
        self.experiments.update(other.experiments)
        self.statements.update(other.statements)
        self.broken.update(other.broken)


def installed(papers: Iterable[str] | None = None) -> Catalogue:
    """Everything in this package and in installed ones: studies in alphabetic order, ids in that of study and name.

    Checks stand in the order of their modules and their own. Of the package's own studies only some, if they are
    named: a paper's modules take a second to load, and a figure of another needs none of them.
    """
    found = Catalogue()
    for name in sorted(installed_names() if papers is None else papers):
        found.add(_packaged(name))
    found.add(foreign())
    return found


def holding(patterns: Iterable[str]) -> Catalogue:
    """What is installed of the studies that ids, or patterns of ids, begin with; everything where one names none."""
    names = {pattern.partition("/")[0] for pattern in patterns}
    some = names <= installed_names() | {entry.name for entry in _entries()}
    return installed(names & installed_names() if some else None)


def _home_of(name: str) -> Home | None:
    """Where an installed study of this name stands, if there is one."""
    return installed({name} & installed_names()).homes.get(name)


@cache
def _packaged(name: str) -> Catalogue:
    """One of the package's own studies."""
    try:
        home = Home(_paper(name), Path(str(_package(name).__file__)).parent, packaged=True)
        return _of_package(_package(name).__name__, name, home)
    except (Exception, SystemExit) as error:
        return Catalogue(broken={name: _told(error)})


@cache
def foreign() -> Catalogue:
    """Everything in installed packages that name an entry point."""
    found = Catalogue()
    for entry in _entries():
        try:
            found.add(_of_entry(entry))
        except (Exception, SystemExit) as error:
            found.broken[entry.name] = _told(error)
    return found


def papers() -> list[Study]:
    """The package's own studies, those that can be loaded."""
    found = []
    for name in sorted(installed_names()):
        with suppress(Exception, SystemExit):
            found.append(_paper(name))
    return found


def _package(name: str) -> ModuleType:
    return importlib.import_module(f"learnability.studies.{name}")


def _paper(name: str) -> Study:
    study = getattr(_package(name), "STUDY", None)
    if not isinstance(study, Study):
        raise RequestError(f"{_package(name).__file__} must hold STUDY, a Study")
    return study


def _entries() -> list[metadata.EntryPoint]:
    """What installed packages name, in alphabetic order."""
    return sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name)


def _of_entry(entry: metadata.EntryPoint) -> Catalogue:
    module = entry.load()
    if not isinstance(module, ModuleType):
        raise RequestError(f"the entry point must name a module or package, got {entry.value}")
    place = Path(str(module.__file__))
    place = place.parent if hasattr(module, "__path__") else place
    top = sys.modules[module.__name__.partition(".")[0]]
    whole = Path(str(top.__file__)) if top.__file__ else place
    source.count_as_own(whole.parent if hasattr(top, "__path__") else whole)  # a new version is other code
    home = _home(module, entry.name, place, "")
    known = installed_names()
    if home.study.name in known:
        raise RequestError(f"the name {home.study.name} is taken by a study of the package")
    if hasattr(module, "__path__"):
        return _of_package(module.__name__, home.study.name, home)
    return _of_module(module, home)


@cache
def installed_names() -> frozenset[str]:
    """Names of the package's own studies."""
    package = importlib.import_module("learnability.studies")
    return frozenset(info.name for info in pkgutil.iter_modules(package.__path__))


def taken(name: str) -> bool:
    """Whether a study cannot have this name: the package has one, or results do."""
    return name in installed_names() or name in _RESERVED


def is_path(text: str) -> bool:
    """Whether a request names a file or folder and not an id: it ends in .py, has a form that no id has, or is a
    folder that no study has the name of.
    """
    if text.endswith(".py") or text.startswith((".", "/", "~")) or "\\" in text:
        return True
    try:
        folder = Path(text).is_dir()
    except OSError:  # longer than any path
        return False
    return folder and _home_of(text.rstrip("/").partition("/")[0]) is None


def load(text: str) -> Catalogue:
    """The experiments and checks of a file or folder, read afresh.

    Raises
    ------
    ValueError
        If there is no such file or folder, it holds neither, or it cannot be imported: with file and line. Of a
        folder all files must be sound; one of them can be had alone whatever the others are.
    """
    path = Path(text).expanduser()
    if not path.exists():
        raise RequestError(f"there is no file or folder {text!r}")
    only = None
    if path.is_file() and path.suffix != ".py":
        raise RequestError(f"an experiment's file must end in .py, got {text!r}")
    if path.is_file() and path.resolve().parent.name in ("figures", "checks"):  # one of a folder's
        only, path = path.resolve(), path.resolve().parents[1]
    place = path.resolve()
    name = _slug(place.stem if place.is_file() else place.name)
    taken_by = _home_of(name)
    if taken_by is not None and taken_by.place != place:
        raise RequestError(f"the name {name} is taken by a study of the package: rename {place.name}")
    if name in _RESERVED:
        raise RequestError(f"a study must not be named {name}, as folders of results are: rename {place.name}")
    package = importlib.import_module("learnability.studies").__path__
    if any(place.parent == Path(one).resolve() for one in package):
        return _only(installed([place.name]), only or place)
    alias = source.alias(place)
    module = _imported(alias, text if only is None else place.name)
    home = _home(module, name, place, text)
    if place.is_file():
        found = _of_module(module, home)
        missing = "EXPERIMENT = Experiment(...) or CHECKS = (Check(...), ...)"
    else:
        found = _of_package(alias, name, home, only)
        missing = "figures/*.py with EXPERIMENT or checks/*.py with CHECKS"
    if not found.experiments and not found.statements:
        raise RequestError(f"{text} holds no experiment and no check: it must have {missing}")
    return found


def _only(found: Catalogue, place: Path) -> Catalogue:
    """What one file of a study of the package holds, or all of the study."""
    if place.is_dir():
        names = {name for name, home in found.homes.items() if home.place == place}
        return Catalogue(
            {name: found.studies[name] for name in names},
            {id: one for id, one in found.experiments.items() if id.partition("/")[0] in names},
            {id: one for id, one in found.statements.items() if id.partition("/")[0] in names},
            {name: found.homes[name] for name in names},
        )
    part = _only(found, place.parents[1])

    def here(function: Any) -> bool:
        return source.file_of(function) == place

    experiments = {
        id: one
        for id, one in part.experiments.items()
        if place.parent.name == "figures" and id.partition("/")[2] == place.stem.replace("_", "-")
    }
    checks = {id: one for id, one in part.statements.items() if place.parent.name == "checks" and here(one.run)}
    return Catalogue(part.studies, experiments, checks, part.homes)


def adopted(experiment: Experiment) -> Experiment:
    """An experiment that a session hands over, with an id and a home.

    One of a catalogue's is taken as it is. Any other is its session's own, also if it is a changed copy of a paper's:
    its id is the one it was given, or comes from the script; a paper's it cannot have.
    """
    if installed({experiment.id.partition("/")[0]} & installed_names()).experiments.get(experiment.id) is experiment:
        return experiment
    home = experiment.home
    if home is not None and not home.packaged and home.named and experiment.id.startswith(f"{home.study.name}/"):
        return experiment  # of a file that was loaded
    own = source.file_of(experiment.run)
    script = own if own is not None and source.is_local(str(own)) else None
    if script is None:
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        script = Path(main).resolve() if main and Path(main).is_file() else None
    id = experiment.id
    if not id or id.partition("/")[0] in installed_names():
        id = f"{_slug(script.stem) if script else 'session'}/figure"
    elif "/" not in id:
        id = f"{id}/figure"
    study = id.partition("/")[0]
    if taken(study):
        raise RequestError(f"the name {study} is taken: give the experiment an id of its own, got {id!r}")
    module = sys.modules.get(getattr(experiment.run, "__module__", ""))
    whole = script is not None and getattr(module, "EXPERIMENT", None) is experiment and not experiment.id
    home = Home(Study(study, study, "an experiment of your own"), *((script, False, str(script)) if whole else ()))
    return replace(experiment, id=id, home=home)


def _home(module: ModuleType, name: str, place: Path, named: str) -> Home:
    told = getattr(module, "STUDY", None)
    if told is not None and not isinstance(told, Study):
        raise RequestError(f"{place}: STUDY must be a Study, got {type(told).__name__}")
    study = (
        Study(name, told.paper, told.citation)
        if told
        else Study(name, name, f"an experiment of your own, {place.name}")
    )
    return Home(study, place, named=named)


def _of_package(package: str, name: str, home: Home, only: Path | None = None) -> Catalogue:
    """The figures and checks of a package laid out like a study, or what one of its files holds."""
    found = Catalogue({name: home.study}, homes={name: home})
    experiments: dict[str, Experiment] = {}
    files: dict[str, str] = {}
    for stem in _stems(package, "figures"):
        id = f"{name}/{_slug(stem)}"
        if files.setdefault(id, stem) != stem:
            raise RequestError(f"two experiments have the id {id!r}: figures/{files[id]}.py and figures/{stem}.py")
    for id, stem in files.items():
        module = _module(package, "figures", stem, only)
        if module is None:
            continue
        experiment = getattr(module, "EXPERIMENT", None)
        if not isinstance(experiment, Experiment):
            told = "nothing" if experiment is None else type(experiment).__name__
            raise RequestError(f"{module.__file__} must hold EXPERIMENT, an Experiment, got {told}")
        experiments.update(_named(experiment, id, home))
    found.experiments.update(sorted(experiments.items()))
    for stem in _stems(package, "checks"):
        module = _module(package, "checks", stem, only)
        if module is not None:
            _add_checks(found, module, name, home)
    return found


def _of_module(module: ModuleType, home: Home) -> Catalogue:
    """The experiment and checks of a file."""
    name = home.study.name
    found = Catalogue({name: home.study}, homes={name: home})
    experiment = getattr(module, "EXPERIMENT", None)
    if experiment is not None:
        if not isinstance(experiment, Experiment):
            raise RequestError(f"{home.place}: EXPERIMENT must be an Experiment, got {type(experiment).__name__}")
        found.experiments.update(_named(experiment, f"{name}/figure", home))
    _add_checks(found, module, name, home)
    return found


def _named(experiment: Experiment, id: str, home: Home) -> dict[str, Experiment]:
    if home.packaged:  # the module's own object is the one, so that it can be handed to run
        object.__setattr__(experiment, "id", id)
        object.__setattr__(experiment, "home", home)
        return {id: experiment}
    return {id: replace(experiment, id=id, home=home)}


def _add_checks(found: Catalogue, module: ModuleType, name: str, home: Home) -> None:
    checks = getattr(module, "CHECKS", ())
    if not isinstance(checks, tuple | list) or not all(isinstance(check, Check) for check in checks):
        raise RequestError(f"{module.__file__}: CHECKS must be a tuple of Check, got {type(checks).__name__}")
    for check in checks:
        identity = f"{name}/{check.name}"
        if identity in found.statements:
            raise RequestError(f"{module.__file__}: two checks are named {identity!r}")
        found.statements[identity] = replace(check, home=home)


def _stems(package: str, part: str) -> list[str]:
    """Names of the modules of a part of a package, in alphabetic order; none if there is no such part."""
    if importlib.util.find_spec(f"{package}.{part}") is None:
        return []
    found = _imported(f"{package}.{part}", part)
    return [info.name for info in pkgutil.iter_modules(found.__path__) if not info.name.startswith("_")]


def _module(package: str, part: str, stem: str, only: Path | None) -> ModuleType | None:
    """A module of a part, or None where only another file was asked for."""
    if only is not None and (only.parent.name, only.stem) != (part, stem):
        return None
    return _imported(f"{package}.{part}.{stem}", f"{part}/{stem}.py")


def _imported(module: str, what: str) -> ModuleType:
    """A module of somebody's, who may have made a mistake."""
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise RequestError(f"{what} cannot be imported: {_told(error)}") from error


def _slug(text: str) -> str:
    """A part of an id."""
    return re.sub(r"[^\w.-]+", "-", text).replace("_", "-").strip("-.") or "mine"


def _told(error: BaseException) -> str:
    """An error of somebody's module in one line, with the place in the last file that is not Python's or ours."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({Path(error.filename or '').name}:{error.lineno})"
    return source.one_line(error)
