"""Running experiments and checks from Python. The command line is a thin layer over this module.

Nothing here prints: progress goes to a callback, and what a caller must know comes as a warning.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from learnability import checks, discovery, extras, runner
from learnability.discovery import Catalogue
from learnability.errors import RequestError
from learnability.results import Store
from learnability.runner import IN_PROCESS_SECONDS, Estimate, Planned, Progress, Result, Wishes
from learnability.source import one_line
from learnability.study import Check, Experiment
from learnability.verification import Verification, check_all

if TYPE_CHECKING:
    import os

    from learnability.certification import Certification
    from learnability.certifying import certify, certify_classes, certify_data, certify_each, certify_options
    from learnability.theory import Guarantee

__all__ = [
    "Certification",
    "Estimate",
    "Progress",
    "Result",
    "Verification",
    "catalogue",
    "certify",
    "certify_classes",
    "certify_data",
    "certify_each",
    "certify_options",
    "estimate",
    "named",
    "run",
    "run_many",
    "select",
    "usual_workers",
    "verify",
    "verify_all",
]

T = TypeVar("T")

_CERTIFYING = ("Certification", "certify", "certify_classes", "certify_data", "certify_each", "certify_options")


def __getattr__(name: str) -> Any:
    """What certifies loads its engines when it is asked for: a sweep that is finished needs none."""
    if name in _CERTIFYING:
        from learnability import certifying

        return getattr(certifying, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def select(patterns: Sequence[str], known: Mapping[str, T], what: str) -> dict[str, T]:
    """The known things that ids, globs or whole studies name, in the order of ``known``.

    Raises
    ------
    ValueError
        If a pattern matches nothing; the message suggests the nearest id.
    """
    if not patterns:
        raise RequestError(f"at least one {what} must be named, for instance 'symmetry'")
    wanted: set[str] = set()
    for pattern in patterns:
        prefix = pattern.rstrip("/") + "/"
        matches = {name for name in known if fnmatch.fnmatchcase(name, pattern) or name.startswith(prefix)}
        if not matches:
            raise RequestError(f"unknown {what} {pattern!r}{_suggestion(pattern, known)}")
        wanted |= matches
    return {name: thing for name, thing in known.items() if name in wanted}


def catalogue(things: Iterable[str | Experiment], what: str) -> tuple[Catalogue, list[str]]:
    """The installed studies of which something is named, whole, what else was named, and the ids of what was named.

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
        raise RequestError(f"at least one {what} must be named, for instance 'symmetry'")
    known = Catalogue()
    held = discovery.holding(thing for thing in things if isinstance(thing, str) and not discovery.is_path(thing))
    known.add(held)
    part = "experiments" if what == "experiment" else "statements"
    ids: dict[str, None] = {}
    for thing in things:
        if isinstance(thing, Experiment):
            own = discovery.adopted(thing)
            if known.experiments.setdefault(own.id, own) is not own:
                raise RequestError(f"two experiments have the id {own.id!r}: give one of them another")
            if own.home is not None:
                known.studies.setdefault(own.home.study.name, own.home.study)
                known.homes.setdefault(own.home.study.name, own.home)
            ids[own.id] = None
        elif discovery.is_path(thing):
            found = discovery.load(thing)
            known.add(found)
            if not getattr(found, part):
                raise RequestError(f"{thing} holds no {what}")
            ids |= dict.fromkeys(getattr(found, part))
        else:
            ids |= dict.fromkeys(_selected(thing, held, part, what))
    order = list(getattr(known, part))
    return known, sorted(ids, key=order.index)


def _selected(thing: str, held: Catalogue, part: str, what: str) -> Iterable[str]:
    """The ids of a part of what is installed that one pattern names."""
    try:
        return select([thing], getattr(held, part), what)
    except RequestError:
        pass
    whole = discovery.installed()  # the nearest id may be another study's
    try:
        return select([thing], getattr(whole, part), what)
    except RequestError as error:
        study = thing.partition("/")[0]
        why = f" (the study {study!r} could not be loaded: {whole.broken[study]})" if study in whole.broken else ""
        raise RequestError(f"{error}{why}") from None


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
        raise RequestError(
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
    part: tuple[int, int] | str | None = None,
    time_limit: float | None = None,
    task_timeout: float | None = None,
    retry_failed: bool = False,
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
        Folder for shards, table, figure and verdicts; finished tasks found there are not run again, and such
        as failed are not tried again. By default nothing is kept on disk.
    part : (int, int) or str, optional
        ``(i, N)`` or ``"i/N"``: do the i-th of N shares, beside processes that do the others in this ``out``.
    time_limit : float, optional
        Seconds, > 0. Nothing new is started after it, and what still runs then is given up.
    task_timeout : float, optional
        Seconds, > 0, after which a task has failed.
    retry_failed : bool
        Whether tasks that failed before are tried again.
    on_progress : callable, optional
        Called with a :class:`Progress` at the start and after each batch of a second or two.

    Returns
    -------
    Result
        Table, figure, verdicts, counts. Failures are listed there and warned of (:class:`FailureWarning`). Where
        tasks are missing (``part``, ``time_limit``) it is ``unfinished``: all of it is of the complete cells.

    Raises
    ------
    ValueError
        If an argument is wrong: unknown name (the nearest is suggested) or scale, a file that holds no experiment, a
        value that is not free, a number or limit out of range, no scheduler at the address, ``out`` not writable.
        Nothing has been run then.
    MissingExtra
        If an extra is not installed that what is not finished needs, or a scheduler. Nothing has been run then.
    """
    if not isinstance(name, str | Experiment | PurePath):
        raise RequestError(
            f"name must be an experiment, its id or its file, for instance 'symmetry/fig5', got {name!r}"
        )
    known, ids = catalogue(_listed(name), "experiment")
    if len(ids) != 1:
        raise RequestError(f"name must name one experiment, got {name!r} for {len(ids)}: use run_many")
    (result,) = run_many(
        [known.experiments[ids[0]]],
        scale=scale,
        seeds=seeds,
        set=set,
        workers=workers,
        scheduler=scheduler,
        out=out,
        part=part,
        time_limit=time_limit,
        task_timeout=task_timeout,
        retry_failed=retry_failed,
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
    part: tuple[int, int] | str | None = None,
    time_limit: float | None = None,
    task_timeout: float | None = None,
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    light: bool = False,
) -> list[Result]:
    """Run every experiment that the patterns name, in one sweep.

    Parameters
    ----------
    patterns : sequence of str or Experiment
        Ids (``"symmetry/fig5"``), globs (``"symmetry/fig*"``), whole studies (``"symmetry"``), paths of files and
        folders (``"staircase.py"``), or experiments.
    scale, seeds, set, workers, scheduler, out, part, time_limit, task_timeout, retry_failed, on_progress
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
    wishes = Wishes(seeds, workers, scheduler, out, part, time_limit, task_timeout, retry_failed)
    planned = _chosen(patterns, scale, set)
    if scheduler is not None:
        extras.need("cluster", "a scheduler")
    with closing(
        runner.iterate(planned, wishes, on_progress)
    ) as results:  # at Ctrl-C too: no worker outlives the call
        done = {result.id: result for result in (map(runner.lightened, results) if light else results)}
    return [done[plan.experiment.id] for plan in planned]


def estimate(
    patterns: Sequence[str | Experiment],
    *,
    scale: str | None = None,
    seeds: int | None = None,
    set: Mapping[str, Any] | None = None,
    workers: int | None = 1,
    out: str | os.PathLike[str] | None = None,
    part: tuple[int, int] | str | None = None,
    time_limit: float | None = None,
    task_timeout: float | None = None,
    retry_failed: bool = False,
) -> list[Estimate]:
    """What :func:`run_many` would do with these arguments: tasks, seconds and memory. Nothing is run or written.

    Returns
    -------
    list of Estimate
        In the order of ``learnability list``.

    Raises
    ------
    ValueError
        As for :func:`run`.
    """
    wishes = Wishes(seeds, workers, None, out, part, time_limit, task_timeout, retry_failed)
    return runner.estimate(_chosen(patterns, scale, set), wishes)


def usual_workers(workers: int | None, seconds: float) -> int:
    """How many processes a run of so many seconds takes where a user has named so many, or none."""
    if workers is not None:
        return workers
    import joblib

    return 1 if seconds < IN_PROCESS_SECONDS else int(joblib.cpu_count())


def _chosen(
    patterns: Sequence[str | Experiment], scale: str | None, values: Mapping[str, Any] | None
) -> list[Planned]:
    """The experiments that patterns name, at a scale."""
    known, ids = catalogue(_listed(patterns), "experiment")
    return [_planned(known.experiments[id], scale, values or {}) for id in ids]


def _planned(experiment: Experiment, scale: str | None, values: Mapping[str, Any]) -> Planned:
    """An experiment at a scale and with free values, if it has them."""
    name, size = experiment.size(scale)
    if not isinstance(values, Mapping):
        raise RequestError(f"set must map names to values, got {values!r}")
    try:
        return Planned(experiment, name, size.at(values))
    except ValueError as error:
        raise RequestError(f"{experiment.id} cannot be set so: {error}") from None
    except (Exception, SystemExit) as error:  # of the function that makes the settings
        raise RequestError(f"{experiment.id} cannot be set so: {one_line(error)}") from error


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
        raise RequestError("patterns must name statements, got an experiment")
    known, ids = catalogue(listed, "statement")
    checks.choice("scale", scale, ("smoke", "laptop"))
    chosen: dict[str, Check] = {id: known.statements[id] for id in ids}
    store = None if out is None else Store(out)
    return check_all(chosen, scale, known=known, store=store, on_progress=on_progress)
