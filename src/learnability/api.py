"""Running experiments and checks from Python. The command line is a thin layer over this module.

Nothing here prints: progress goes to a callback, and what a caller must know comes as a warning.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import hashlib
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from learnability import certification, checks, discovery, plotting, report, runner, shown
from learnability.certification import Certification, Options
from learnability.datasets import DataSet
from learnability.datasets.examples import Examples, examples
from learnability.datasets.memory import budget
from learnability.datasets.source import Reading
from learnability.discovery import Catalogue
from learnability.results import Store, write_json
from learnability.runner import Planned, Progress, Result
from learnability.source import one_line
from learnability.study import Check, Experiment
from learnability.verification import Verification, check_all

if TYPE_CHECKING:
    import os

    from learnability.theory import Guarantee

__all__ = [
    "Certification",
    "Progress",
    "Result",
    "Verification",
    "catalogue",
    "certify",
    "certify_classes",
    "certify_data",
    "certify_each",
    "named",
    "run",
    "run_many",
    "select",
    "verify",
    "verify_all",
]

T = TypeVar("T")


def select(patterns: Sequence[str], known: Mapping[str, T], what: str) -> dict[str, T]:
    """The known things that ids, globs or whole studies name, in the order of ``known``.

    Raises
    ------
    ValueError
        If a pattern matches nothing; the message suggests the nearest id.
    """
    if not patterns:
        raise ValueError(f"at least one {what} must be named, for instance 'symmetry'")
    wanted: set[str] = set()
    for pattern in patterns:
        prefix = pattern.rstrip("/") + "/"
        matches = {name for name in known if fnmatch.fnmatchcase(name, pattern) or name.startswith(prefix)}
        if not matches:
            raise ValueError(f"unknown {what} {pattern!r}{_suggestion(pattern, known)}")
        wanted |= matches
    return {name: thing for name, thing in known.items() if name in wanted}


def catalogue(things: Iterable[str | Experiment], what: str) -> tuple[Catalogue, list[str]]:
    """Everything installed and all that was named beside it, and the ids of what was named.

    Parameters
    ----------
    things : iterable of str or Experiment
        Ids, globs and studies; paths of files and folders; experiments of this session.
    what : {"experiment", "statement"}
        What is asked for.

    Raises
    ------
    ValueError
        If one names nothing, a file cannot be read, or two have one id.
    """
    things = list(things)
    if not things:
        raise ValueError(f"at least one {what} must be named, for instance 'symmetry'")
    known = Catalogue()
    known.add(discovery.installed())
    part = "experiments" if what == "experiment" else "statements"
    ids: dict[str, None] = {}
    for thing in things:
        if isinstance(thing, Experiment):
            own = discovery.adopted(thing)
            if known.experiments.setdefault(own.id, own) is not own:
                raise ValueError(f"two experiments have the id {own.id!r}: give one of them another")
            if own.home is not None:
                known.studies.setdefault(own.home.study.name, own.home.study)
                known.homes.setdefault(own.home.study.name, own.home)
            ids[own.id] = None
        elif discovery.is_path(thing):
            found = discovery.load(thing)
            known.add(found)
            if not getattr(found, part):
                raise ValueError(f"{thing} holds no {what}")
            ids |= dict.fromkeys(getattr(found, part))
        else:
            try:
                ids |= dict.fromkeys(select([thing], getattr(discovery.installed(), part), what))
            except ValueError as error:
                raise ValueError(f"{error}{_broken(thing)}") from None
    order = list(getattr(known, part))
    return known, sorted(ids, key=order.index)


def _broken(thing: str) -> str:
    """What is to be said where a study is asked for that could not be loaded."""
    why = discovery.installed().broken.get(thing.partition("/")[0])
    return f" (the study {thing.partition('/')[0]!r} could not be loaded: {why})" if why else ""


def named(things: Sequence[str]) -> tuple[dict[str, Experiment], dict[str, Check]]:
    """The experiments and the statements that ids, globs, studies, files and folders name."""
    experiments: dict[str, Experiment] = {}
    statements: dict[str, Check] = {}
    for thing in things:
        if discovery.is_path(thing):
            found = discovery.load(thing)
            experiments |= found.experiments
            statements |= found.statements
            continue
        known = discovery.installed()
        both = select([thing], {**known.experiments, **known.statements}, "experiment or statement")
        experiments |= {id: known.experiments[id] for id in both if id in known.experiments}
        statements |= {id: known.statements[id] for id in both if id in known.statements}
    return experiments, statements


def _listed(patterns: object) -> list[Any]:
    """The patterns as a list; one alone may be given as it is."""
    alone = isinstance(patterns, str | Experiment | PurePath)
    listed = [patterns] if alone else list(patterns) if isinstance(patterns, Iterable) else None
    listed = listed and [str(one) if isinstance(one, PurePath) else one for one in listed]
    if listed is None or not all(isinstance(pattern, str | Experiment) for pattern in listed):
        raise ValueError(
            "patterns must be ids, globs, studies or paths such as 'symmetry/fig5' and 'staircase.py', or "
            f"experiments, got {patterns!r}"
        )
    return listed


def _suggestion(pattern: str, known: Iterable[str]) -> str:
    names = list(known)
    candidates = [*names, *dict.fromkeys(name.partition("/")[0] for name in names)]
    near = (
        difflib.get_close_matches(pattern, candidates, n=1, cutoff=0.5)
        or [name for name in names if pattern and pattern in name]
        or [name for name in names if difflib.get_close_matches(pattern, [name.partition("/")[2]], 1, 0.6)]
    )
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names) or 'none'}"


def run(
    name: str | os.PathLike[str] | Experiment,
    *,
    scale: str | None = None,
    seeds: int | None = None,
    set: Mapping[str, Any] | None = None,
    workers: int | None = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run one experiment, or whatever of it is not finished yet.

    Parameters
    ----------
    name : str, path or Experiment
        Its id, for instance ``"symmetry/fig5"``; the path of a file, ``"staircase.py"``; or an experiment.
    scale : str, optional
        ``"smoke"``, ``"laptop"`` or ``"paper"``: seconds, minutes on two cores, or the published parameters; an
        experiment of your own may have others. By default ``"laptop"``, or the first it has.
    seeds : int, optional
        How many seeds, >= 1; by default as many as the experiment says.
    set : mapping, optional
        Free values of the scale, for instance ``{"n": 24}``: what depends on them follows, and claims about published
        parameters are then outside their hypotheses.
    workers : int or None
        How many processes, >= 1. None: as many as there are cores for this process, or none but this one where the
        work is expected to take less than ten seconds.
    scheduler : str, optional
        Address of a Dask scheduler, used instead of ``workers``.
    out : path, optional
        Folder for shards, table, figure and verdicts; finished tasks found there are not run again. By
        default nothing is kept on disk.
    on_progress : callable, optional
        Called with a :class:`Progress` at the start and after each task.

    Returns
    -------
    Result
        Table, figure, verdicts, counts. Failures are listed there and warned of (:class:`FailureWarning`).

    Raises
    ------
    ValueError
        If an argument is wrong: unknown name (the nearest is suggested) or scale, a file that holds no experiment, a
        value that is not free, ``seeds`` or ``workers`` < 1, no scheduler at the address, ``out`` not writable.
        Nothing has been run then.
    """
    if not isinstance(name, str | Experiment | PurePath):
        raise ValueError(
            f"name must be an experiment, its id or its file, for instance 'symmetry/fig5', got {name!r}"
        )
    known, ids = catalogue(_listed(name), "experiment")
    if len(ids) != 1:
        raise ValueError(f"name must name one experiment, got {name!r} for {len(ids)}: use run_many")
    (result,) = run_many(
        [known.experiments[ids[0]]],
        scale=scale,
        seeds=seeds,
        set=set,
        workers=workers,
        scheduler=scheduler,
        out=out,
        on_progress=on_progress,
    )
    return result


def run_many(
    patterns: Sequence[str | Experiment],
    *,
    scale: str | None = None,
    seeds: int | None = None,
    set: Mapping[str, Any] | None = None,
    workers: int | None = 1,
    scheduler: str | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    light: bool = False,
) -> list[Result]:
    """Run every experiment that the patterns name, in one sweep.

    Parameters
    ----------
    patterns : sequence of str or Experiment
        Ids (``"symmetry/fig5"``), globs (``"symmetry/fig*"``), whole studies (``"symmetry"``), paths of files and
        folders (``"staircase.py"``), or experiments.
    scale, seeds, set, workers, scheduler, out, on_progress
        As for :func:`run`; what is set must be free in each of them.
    light : bool
        Whether to let go of each figure and table once it is saved in ``out``: the results then hold no figure
        and an empty table, and memory does not grow with their number.

    Returns
    -------
    list of Result
        In the order of ``learnability list``.

    Raises
    ------
    ValueError
        As for :func:`run`.
    """
    known, ids = catalogue(_listed(patterns), "experiment")
    for name, number in (("workers", workers), ("seeds", seeds)):
        if number is not None:
            checks.integer(name, number, at_least=1)
    planned = [_planned(known.experiments[id], scale, set or {}) for id in ids]
    sweeping = runner.iterate(
        planned,
        seeds=seeds,
        workers=workers,
        scheduler=scheduler,
        out=out,
        on_progress=on_progress,
    )
    with closing(sweeping) as results:  # closed at once by Ctrl-C too: no worker outlives the call
        done = {result.id: result for result in (map(runner.lightened, results) if light else results)}
    return [done[id] for id in ids]


def _planned(experiment: Experiment, scale: str | None, values: Mapping[str, Any]) -> Planned:
    """An experiment at a scale and with free values, if it has them."""
    name, size = experiment.size(scale)
    if not isinstance(values, Mapping):
        raise ValueError(f"set must map names to values, got {values!r}")
    try:
        return Planned(experiment, name, size.at(values))
    except ValueError as error:
        raise ValueError(f"{experiment.id} cannot be set so: {error}") from None
    except (Exception, SystemExit) as error:  # of the function that makes the settings
        raise ValueError(f"{experiment.id} cannot be set so: {one_line(error)}") from error


def verify(
    patterns: Sequence[str] = ("*",),
    *,
    scale: str = "laptop",
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Guarantee]:
    """Check theorems numerically.

    Parameters
    ----------
    patterns : sequence of str
        Statements (``"symmetry/lemma3"``), globs (``"symmetry/lemma*"``), whole studies, or paths of files and
        folders; all that is installed by default.
    scale : {"smoke", "laptop"}
        Seconds, or minutes on two cores.
    out : path, optional
        Folder to keep the verdicts in (``<study>/verify/<scale>``), beside those of statements checked before.
    on_progress : callable, optional
        Called with a :class:`Progress` before each check and at the end.

    Returns
    -------
    list of Guarantee
        Hypotheses, bound, measured value and verdict of every statement and case.

    Raises
    ------
    ValueError
        If a pattern matches nothing, the scale is unknown, or ``out`` is not writable. Nothing has been
        checked then.
    RuntimeError
        If a check could not be finished.
    """
    done = verify_all(patterns, scale=scale, out=out, on_progress=on_progress)
    if done.failures:
        raise RuntimeError("; ".join(done.failures))
    return done.guarantees


def verify_all(
    patterns: Sequence[str] = ("*",),
    *,
    scale: str = "laptop",
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Like :func:`verify`, but a check that raises is listed in ``failures`` and stops no other."""
    listed: list[str] = _listed(patterns)
    if any(isinstance(one, Experiment) for one in listed):
        raise ValueError("patterns must name statements, got an experiment")
    known, ids = catalogue(listed, "statement")
    checks.choice("scale", scale, ("smoke", "laptop"))
    chosen: dict[str, Check] = {id: known.statements[id] for id in ids}
    store = None if out is None else Store(out)
    return check_all(chosen, scale, known=known, store=store, on_progress=on_progress)


def certify(
    X: Any,
    y: Any,
    *,
    drop: str | Iterable[str] = (),
    drop_missing: bool = False,
    one_hot: str | Iterable[str] = (),
    positive: object = None,
    memory: float | None = None,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Certification:
    """What Brutzkus et al. promise for these examples, next to what SGD does on them.

    Nothing is changed in silence: what cannot be used as it is is refused, and what was left out is in ``notes``.

    Parameters
    ----------
    X : (m, d) array, SciPy sparse matrix or array, or frame of pandas, Polars or PyArrow
        A row an example: numbers or truth values, finite; they are scaled into the unit ball. Columns of an array are
        called "1", "2", ... in messages, rows are counted from 1, and an index is ignored.
    y : (m,) array, list or series, or str
        Labels of two values: numbers, text, truth values or categories. They belong to the rows of ``X`` by position;
        with an index they must not have that of ``X`` in another order. Or the name of a column of the frame ``X``.
    drop : str or iterable of str
        Columns to leave out.
    drop_missing : bool
        Whether to leave out rows in which a value is missing (NaN, None, NA); without it they are an error.
    one_hot : str or iterable of str
        Columns of categories, each to become one column of 0 and 1 for every value that it has.
    positive : optional
        The label that counts as +1, against all others; by default the larger of two, of texts the last in
        alphabetical order. For more than two see also :func:`certify_each`.
    memory : float, optional
        Bytes that the examples may take; by default half of what is available to the process.
    width : int or iterable of int, optional
        Hidden units 2k, even, 2 to 20,000; by default 10, 100 and 1,000. Beside a single one a tenth and ten times
        of it are run.
    out : path, optional
        Folder for figure, JSON and verdicts (in ``certify/data/<scale>-<digest>``, the digest being that of examples
        and options); by default nothing is written.
    on_progress : callable, optional
        Called with a :class:`Progress` before each part and at the end.
    **options
        ``slope``, ``step``, ``delta``, ``scale``, ``bias``, ``test``, ``repeats``, ``seed`` and ``budget``, as in
        :class:`learnability.certification.Options`.

    Returns
    -------
    Certification
        Margin or certificate, guarantees, runs, and what its page says as attributes; ``to_json()``, ``figure()``.

    Raises
    ------
    ValueError
        If an argument is wrong, or ``out`` not writable. Nothing has been run or written then.
    """
    certify_options(width=width, **options)
    found = _in_memory(X, y, memory, drop=drop, drop_missing=drop_missing, one_hot=one_hot)
    try:
        data = found.table(positive)
    except ValueError as error:
        each = positive is None and len(found.values) > 2
        raise ValueError(f"{error}, certify_each sets each of them" if each else str(error)) from None
    return certify_data(data, width=width, out=out, on_progress=on_progress, **options)


def certify_each(
    X: Any,
    y: Any,
    *,
    drop: str | Iterable[str] = (),
    drop_missing: bool = False,
    one_hot: str | Iterable[str] = (),
    memory: float | None = None,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> dict[Any, Certification]:
    """Like :func:`certify` for each class against all others, of labels of any number of values.

    Parameters
    ----------
    X, y, drop, drop_missing, one_hot, memory, width, out, on_progress, **options
        As for :func:`certify`; ``budget`` is that of all classes, each of which gets an equal share. Apart from that
        a class is certified as if it were asked for alone, as ``positive``.

    Returns
    -------
    dict
        A :class:`Certification` for each value of the label, which is the key, in their order.

    Raises
    ------
    ValueError
        As for :func:`certify`; if there are fewer than two values, or more than 50.
    """
    certify_options(width=width, **options)
    found = _in_memory(X, y, memory, drop=drop, drop_missing=drop_missing, one_hot=one_hot)
    return dict(certify_classes(found, width=width, out=out, on_progress=on_progress, **options))


def _in_memory(X: Any, y: Any, memory: float | None, **reading: Any) -> Examples:
    """Examples that a caller has."""
    from learnability.datasets.frames import source_of

    chosen, limits = Reading(**reading), budget(memory)
    source, label = source_of(X, y, limits)
    return examples(source, label, chosen, limits)


def certify_data(
    data: DataSet,
    *,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    command: str = "learnability.certify",
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Certification:
    """Like :func:`certify`, for examples that come with their origin, as :mod:`learnability.datasets` reads them.

    ``command`` is what the manifest in ``out`` says of how it was made.
    """
    chosen = certify_options(width=width, **options)

    def advance(label: str, done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress(label, done, total, done, total))

    return _certified(data, chosen, out, command, advance)


def certify_classes(
    found: Examples,
    *,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    command: str = "learnability.certify_each",
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Iterator[tuple[Any, Certification]]:
    """One class after the other with its certification, like :func:`certify_each`.

    In ``out`` each has a folder of its own, the name of which begins with the class.
    """
    chosen = certify_options(width=width, **options)
    classes = len(found.values)
    chosen = dataclasses.replace(chosen, budget=chosen.budget / classes)
    for number, value in enumerate(found.values):

        def advance(label: str, done: int, total: int, number: int = number, value: object = value) -> None:
            if on_progress is not None:
                label = label and f"{shown.quoted(value, 20)}: {label}"
                on_progress(Progress(label, number + done // total, classes, number + done / total, classes))

        yield value, _certified(found.against_rest(value), chosen, out, command, advance, f"{_slug(value)}-")


def _certified(
    data: DataSet,
    options: Options,
    out: str | os.PathLike[str] | None,
    command: str,
    advance: Callable[[str, int, int], None],
    place: str = "",
) -> Certification:
    inputs = certification.prepare(data, options)
    store = None if out is None else Store(out)  # nothing is written before all has been checked
    start = time.perf_counter()
    result = certification.certify(inputs, options, advance=advance)
    return result if store is None else _keep(result, store, command, time.perf_counter() - start, place)


def _slug(name: object) -> str:
    """What of a name may be that of a folder."""
    return re.sub(r"[^\w.-]+", "-", str(name)).strip("-.")[:60]


def certify_options(*, width: int | Iterable[int] | None = None, **options: Any) -> Options:
    """The options of :func:`certify`, checked.

    Raises
    ------
    ValueError
        If one is unknown or out of its range.
    """
    known = {field.name for field in dataclasses.fields(Options)} - {"widths"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"certify has no option {unknown[0]!r}, only width, out, {', '.join(sorted(known))}")
    return Options(widths=certification.chosen_widths(width), **options)


def _keep(result: Certification, store: Store, command: str, seconds: float, before: str) -> Certification:
    """Write JSON, verdicts and figure of a certification: a section of the report.

    The numbers come first: whatever a figure may lack, a font or memory, it costs a line and no more.
    """
    name = _slug(PurePath(result.source).stem) or "data"
    # another file of this name, or other options, have a folder of their own
    digest = hashlib.sha256(repr(result.options).encode())
    for part in (result.found.X, result.found.y, result.found.X_test, result.found.y_test):
        digest.update(np.ascontiguousarray(part).data)
    place = store.folder(f"certify/{name}", f"{before}{result.options.scale}-{digest.hexdigest()[:8]}")
    for old in place.glob("figure.*"):
        old.unlink(missing_ok=True)
    result = dataclasses.replace(result, folder=place)
    manifest = {
        "id": f"certify/{name}",
        "title": f"What the theorems promise for {shown.line(result.source)}, and what SGD does",
        "source": "Brutzkus et al.",
        "scale": result.options.scale,
        "failures": [],
        "seconds": seconds,
        **runner.occasion(command),
    }

    def write() -> None:
        write_json(place / "certify.json", result.to_json())
        report.write_verdicts(place, [g.to_json() for g in result.guarantees], manifest)

    def draw() -> list[Path]:
        with plotting.style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # a letter that the font has not
            return report.save_figure(result.figure(), place)

    write()
    files = runner.attempt(f"certify/{name}: figure", draw, manifest["failures"])
    result = dataclasses.replace(result, files=files or [])
    write()
    return result
