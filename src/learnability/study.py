"""What a paper is here: a study with its experiments and checks, found by looking into its folder.

A study is a package ``learnability/studies/<name>/`` with a :class:`Study` named ``STUDY`` in its ``__init__``. In it

- every module of ``figures/`` holds ``EXPERIMENT``, an :class:`Experiment`: ``figures/random_init.py`` of the study
  ``symmetry`` *is* the experiment ``symmetry/random-init`` (underscores become hyphens);
- every module of ``checks/`` holds ``CHECKS``, a tuple of :class:`Check`: one named ``lemma3`` is
  ``symmetry/lemma3`` for ``learnability verify``.

A fifth paper is one more folder: in the package, anywhere else, or in another installed package that names it as an
entry point of the group ``learnability.studies``. A single file with ``EXPERIMENT``, ``CHECKS`` or both is a study
too (:mod:`learnability.discovery`). No list of studies, figures or statements is kept anywhere.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from learnability import checks, extras, shown
from learnability.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.plotting import Plot
    from learnability.theory import Guarantee

__all__ = ["SCALES", "Check", "Experiment", "Home", "Row", "Scale", "Setting", "Study", "grid"]

SCALES = ("smoke", "laptop", "paper")
"""The scales of the package's experiments; one of your own may have others, or just one."""

Setting = Mapping[str, bool | int | float | str]
"""One cell of a figure: plain values only, so that it can be hashed, stored and read back."""

Row = dict[str, Any]
"""One row of the tidy table: plain values only (``bool``, ``int``, ``float``, ``str``)."""

_NAME = r"(?!\.)[\w.-]+"
"""What ids are made of, and names of scales: they become names of folders."""


def grid(**values: Any) -> tuple[Setting, ...]:
    """Every combination of the values, the last varying fastest.

    Parameters
    ----------
    **values : plain value, or sequence of them
        ``grid(n=[10, 20], step=0.1)`` gives ``{"n": 10, "step": 0.1}`` and ``{"n": 20, "step": 0.1}``.
    """
    lists = [
        [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
        for value in values.values()
    ]
    return tuple(dict(zip(values, cell, strict=True)) for cell in itertools.product(*lists))


@dataclass(frozen=True)
class Study:
    """A paper.

    Parameters
    ----------
    name : str
        The first part of its ids, and its folder's name.
    paper : str
        How sources name it, for instance ``"Daniely & Malach"``.
    citation : str
        Authors, title, place and year.
    """

    name: str
    paper: str
    citation: str


@dataclass(frozen=True)
class Home:
    """Where experiments and checks stand.

    Parameters
    ----------
    study : Study
        Theirs.
    place : Path or None
        The folder or file; None for objects of a running session.
    packaged : bool
        Whether it is one of this package's own studies, whose revisions alone stand for their code.
    named : str
        How the command line names it: a path for a file or folder, ``""`` where ids do.
    """

    study: Study
    place: Path | None = None
    packaged: bool = False
    named: str = ""


class _Cells(tuple[Setting, ...]):
    """Cells that know the function that made them, its free values and which of them are not at their defaults."""

    make: Callable[..., Iterable[Setting]] | None = None
    free: Mapping[str, Any] = {}
    changed: Mapping[str, Any] = {}

    @classmethod
    def of(cls, make: Callable[..., Iterable[Setting]], changed: Mapping[str, Any]) -> _Cells:
        parameters = inspect.signature(make).parameters
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty:
                raise RequestError(f"a scale's settings must be a function of values with defaults, {name} has none")
        cells = cls(make(**changed))
        cells.make, cells.changed = make, changed
        cells.free = {name: parameter.default for name, parameter in parameters.items()}
        return cells


@dataclass(frozen=True, init=False)
class Scale:
    """How much of an experiment is run.

    Parameters
    ----------
    settings : iterable of Setting, or callable returning one
        The cells. A function's keyword parameters are the scale's *free values*: ``settings(n=20)`` can be had with
        another n, and what depends on n follows. It raises ValueError for values that make no sense.
    seeds : int
        How many seeds are run where the user names no number, >= 1.
    seconds : float
        Wall time of all of it on one core, measured (or reckoned where the module says so), > 0.
    """

    settings: tuple[Setting, ...]
    seeds: int
    seconds: float

    def __init__(
        self, settings: Iterable[Setting] | Callable[..., Iterable[Setting]], seeds: int = 5, seconds: float = 60.0
    ) -> None:
        checks.integer("seeds of a scale", seeds, at_least=1)
        checks.real("seconds of a scale", seconds, above=0)
        if callable(settings):
            cells = _Cells.of(settings, {})
        elif not isinstance(settings, Iterable):
            raise RequestError(
                f"settings of a scale must be mappings, or a function returning some, got {settings!r}"
            )
        else:
            cells = settings if isinstance(settings, _Cells) else _Cells(settings)
        object.__setattr__(self, "settings", cells)
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "seconds", seconds)

    @property
    def free(self) -> Mapping[str, Any]:
        """The free values with their defaults."""
        return self.settings.free if isinstance(self.settings, _Cells) else {}

    @property
    def changed(self) -> Mapping[str, Any]:
        """Those that are not at their defaults."""
        return self.settings.changed if isinstance(self.settings, _Cells) else {}

    def at(self, values: Mapping[str, Any]) -> Scale:
        """The scale at other free values.

        Parameters
        ----------
        values : mapping
            By name. An integer serves where a number is free, and one value where several are (a tuple). Text is read
            as what the default is, as the command line needs it: ``"1,3"`` is ``(1, 3)`` where integers are free.

        Raises
        ------
        ValueError
            If a value is not free, of another type than the default, or one with which the experiment makes no sense.
        """
        fitted: dict[str, Any] = {}
        for name, value in values.items():
            if name not in self.free:
                there = ", ".join(f"{free} ({_shown(default)})" for free, default in self.free.items())
                raise RequestError(f"{name!r} is not free: {f'free are {there}' if there else 'nothing is'}")
            fitted[name] = _fitting(name, value, self.free[name])
        changed = {name: value for name, value in fitted.items() if value != self.free[name]}
        make = self.settings.make if isinstance(self.settings, _Cells) else None
        if not changed or make is None:
            return self
        return Scale(_Cells.of(make, changed), self.seeds, self.seconds)

    @property
    def tasks(self) -> int:
        """Cells times seeds."""
        return len(self.settings) * self.seeds

    @property
    def told(self) -> str:
        """What is not at its default, for a title: ``"n = 24"``."""
        return ", ".join(f"{name} = {_shown(value)}" for name, value in self.changed.items())


def _shown(value: Any) -> str:
    """A value in a message or title: however long it is, not more than 60 characters of it."""
    whole = (
        ",".join(map(_shown, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return shown.line(whole, 60)


def _fitting(name: str, value: Any, default: Any) -> Any:
    """The value in the type of the default, which says how text is to be read."""
    if isinstance(default, tuple):
        parts = value if isinstance(value, Sequence) else [value]
        if isinstance(value, str):
            parts = _parts(value, words=bool(default) and isinstance(default[0], str))
        if not parts and default:
            raise RequestError(f"{name} must hold at least one value, got none")
        if default:
            return tuple(_fitting(name, part, default[0]) for part in parts)
        return tuple(_number(part) if isinstance(part, str) else part for part in parts)
    kinds: dict[type, tuple[str, tuple[type, ...]]] = {
        bool: ("true or false", (bool,)),
        int: ("an integer", (int,)),
        float: ("a number", (int, float)),
        str: ("a word", (str,)),
    }
    said, allowed = kinds.get(type(default), ("", (type(default),)))
    read = _read(value, type(default)) if isinstance(value, str) else value
    if not isinstance(read, allowed) or (isinstance(read, bool) and bool not in allowed):
        raise RequestError(
            f"{name} must be {said or type(default).__name__}, as {_shown(default)}, got {shown.quoted(value)}"
        )
    if float in allowed:
        return checks.real(name, read)
    return type(default)(read)


def _read(text: str, kind: type) -> Any:
    """Text as a value of a kind, or as it is where it is none."""
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError, TypeError):
        return text


def _number(text: str) -> Any:
    """Text as an integer or another number if it is one."""
    found = _read(text, int)
    return _read(text, float) if isinstance(found, str) else found


def _parts(text: str, *, words: bool) -> list[str]:
    """What stands between commas; numbers may have brackets around them."""
    if not words and (text[:1], text[-1:]) in (("(", ")"), ("[", "]")):
        text = text[1:-1]
    parts = [part.strip() for part in text.split(",")]
    return parts[:-1] if parts[-1] == "" else parts


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it tells."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # compiled functions have no signature
        pass
    return True


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A figure as data and four pure functions.

    Parameters
    ----------
    title : str
        One line, as ``learnability list`` shows it.
    run : callable (setting, seed) -> list of Row
        One task. Draws only from :func:`learnability.seeding.generator`; returns rows without the setting's own
        columns and the seed, which the sweep adds.
    scales : mapping from name to Scale, or a Scale
        How much is run. The package's own have ``smoke`` (seconds, for tests), ``laptop`` (the default, minutes on
        two cores) and ``paper`` (the published parameters); a scale alone is ``laptop``.
    figure : callable (table) -> Plot or matplotlib Figure, optional
        The table holds every row of every task: the setting's columns, ``seed``, and the row's columns.
    claims : callable (table) -> list of Guarantee, optional
        What is said of the figure, as statements that can fail.
    source : str
        Paper and figure.
    revision : int
        Part of every task's key: raise it when ``run`` changes what it computes, and stored results are not used. (Of
        an experiment outside the package the key knows the code as well.)
    ready : callable (settings) -> None, optional
        Called with the settings of unfinished tasks before any is started: raises ValueError if a file that they
        need is absent or damaged.
    needs : sequence of str, or callable (setting) -> sequence of str
        Extras of this package that ``run`` needs, always or for a setting: ``("jax",)``, of
        :data:`learnability.extras.EXTRAS`. Unfinished tasks are not started where one of theirs is absent.
    id : str
        ``<study>/<name>``. That of a file comes from the file; for an object of a session it may be given.
    """

    title: str
    run: Callable[[Setting, int], list[Row]]
    scales: Mapping[str, Scale]
    figure: Callable[[pd.DataFrame], Plot | Figure] | None = None
    claims: Callable[[pd.DataFrame], Sequence[Guarantee]] | None = None
    source: str = ""
    revision: int = 1
    ready: Callable[[Sequence[Setting]], None] | None = None
    needs: Sequence[str] | Callable[[Setting], Sequence[str]] = ()
    id: str = ""
    home: Home | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.scales, Scale):
            object.__setattr__(self, "scales", {"laptop": self.scales})
        if not isinstance(self.title, str) or not self.title.strip() or "\n" in self.title:
            raise RequestError(f"title must be a line of text, got {self.title!r}")
        if not isinstance(self.scales, Mapping) or not self.scales:
            raise RequestError(f"scales must map names to a Scale each, or be a Scale, got {self.scales!r}")
        for name, scale in self.scales.items():
            if not isinstance(scale, Scale):
                raise RequestError(f"scales[{name!r}] must be a Scale, got {type(scale).__name__}")
            if not isinstance(name, str) or not re.fullmatch(_NAME, name):
                raise RequestError(f"a scale's name must be letters, digits, -, _ and dots inside, got {name!r}")
        if not isinstance(self.id, str) or (self.id and not re.fullmatch(f"{_NAME}(/{_NAME})?", self.id)):
            raise RequestError(
                f"an experiment's id must be <study>/<name> of letters, digits, -, _ and dots inside, got {self.id!r}"
            )
        takes = {"run": "(setting, seed)", "figure": "(table)", "claims": "(table)", "ready": "(settings)"}
        for name, parameters in takes.items():
            function = getattr(self, name)
            if not callable(function) and (name == "run" or function is not None):
                raise RequestError(f"{name} must be a function, got {function!r}")
            if function is not None and not _takes(function, parameters.count(",") + 1):
                told = f"{getattr(function, '__name__', name)}{inspect.signature(function)}"
                raise RequestError(f"{name} must be a function of {parameters}, got {told}")
        if isinstance(self.revision, bool) or not isinstance(self.revision, int) or self.revision < 1:
            raise RequestError(f"revision must be an integer >= 1, got {self.revision!r}")
        if not callable(self.needs):
            _known("needs", self.needs)

    def extras(self, settings: Iterable[Setting]) -> tuple[str, ...]:
        """The extras that any of the settings needs, in the order in which they come up."""
        if not callable(self.needs):
            return tuple(dict.fromkeys(self.needs))
        return tuple(dict.fromkeys(extra for s in settings for extra in _known("needs(setting)", self.needs(s))))

    def size(self, scale: str | None) -> tuple[str, Scale]:
        """A scale by its name, and the name; by default ``laptop``, or the first there is.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        name = scale if scale is not None else "laptop" if "laptop" in self.scales else next(iter(self.scales))
        if name not in self.scales:
            raise RequestError(
                f"scale must be one of {', '.join(self.scales)} for {self.id or self.title}, got {name!r}"
            )
        return name, self.scales[name]


def _known(name: str, value: object) -> Sequence[str]:
    """Names of extras."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not set(value) <= extras.EXTRAS.keys():
        raise RequestError(f"{name} must hold names of extras ({', '.join(extras.EXTRAS)}), got {value!r}")
    return value


@dataclass(frozen=True)
class Check:
    """One statement of a paper and how it is checked.

    Parameters
    ----------
    name : str
        The statement within its study, for instance ``"lemma3"``.
    source : str
        Paper and place.
    run : callable (scale) -> list of Guarantee
        ``scale`` is ``"smoke"`` (seconds, for tests) or ``"laptop"`` (the default). Must be deterministic.
    needs : sequence of str
        Extras of this package that ``run`` needs, for instance ``("jax",)``.
    """

    name: str
    source: str
    run: Callable[[str], list[Guarantee]]
    home: Home | None = field(default=None, repr=False, compare=False)
    needs: Sequence[str] = ()

    def __post_init__(self) -> None:
        _known("needs", self.needs)
