"""Enumerate the tasks of an experiment and execute them: in this process, in others on this machine, or on a Dask
cluster.

A task is (experiment, revision, setting, seed) and its key is a hash of exactly that. The scale is no part of
it, so a cell that two scales share is computed once. However tasks are executed, the rows are the same, and
they come back to the caller, who alone writes files: a remote cluster needs no shared disk.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import Any

from learnability import checks, results, worker
from learnability._version import __version__
from learnability.source import Luggage, one_line, place_of, reach
from learnability.study import Experiment, Row, Scale, Setting

__all__ = ["Finished", "Task", "debugging", "execute", "tasks"]

_UNBORN = 3
"""Workers that may die at their start, one after the other, before that is taken for the machine's fault."""

CONNECT_SECONDS = 5
"""How long a scheduler may take to answer, and to have a worker."""


@dataclass(frozen=True)
class Task:
    """One cell of a figure with one seed.

    Parameters
    ----------
    experiment : str
        The experiment's id.
    revision : int
        The experiment's revision.
    setting : mapping of plain values
        The cell.
    seed : int
        >= 0.
    run : callable (setting, seed) -> list of Row
        What computes it. No part of the key: the revision and ``code`` stand for it.
    code : str
        Digest of the code that ``run`` reaches (:func:`learnability.source.reach`); empty for the package's own
        experiments, whose revision says enough.
    """

    experiment: str
    revision: int
    setting: Setting
    seed: int
    run: Callable[[Setting, int], list[Row]] = field(compare=False, repr=False)
    code: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """What the key is a hash of."""
        told = {
            "experiment": self.experiment,
            "revision": self.revision,
            "setting": dict(self.setting),
            "seed": self.seed,
        }
        return {**told, "code": self.code} if self.code else told

    @cached_property
    def key(self) -> str:
        """The record's hash (:func:`learnability.results.key_of`)."""
        return results.key_of(self.record)

    def __str__(self) -> str:
        cell = ", ".join(f"{name}={value}" for name, value in self.setting.items())
        return f"{self.experiment} [{cell}] seed {self.seed}" if cell else f"{self.experiment} seed {self.seed}"


@dataclass(frozen=True)
class Finished:
    """A task that has ended: ``rows``, or the ``error`` that stopped it, and how long it took."""

    task: Task
    rows: list[Row] | None
    error: str | None
    seconds: float


def tasks(experiment: Experiment, scale: Scale, seeds: int | None = None) -> list[Task]:
    """Every task of an experiment at a scale: settings in their order, and for each the seeds 0, 1, ...

    Parameters
    ----------
    experiment : Experiment
        What to run.
    scale : Scale
        Which settings: one of the experiment's, perhaps at other free values.
    seeds : int, optional
        How many seeds, >= 1. The experiment says how many if this is not given.

    Raises
    ------
    ValueError
        If an argument is out of range, there is no setting, or a setting holds something else than plain finite
        values, a column named ``seed``, or comes twice.
    """
    count = scale.seeds if seeds is None else checks.integer("seeds", seeds, at_least=1)
    packaged = experiment.home is None or experiment.home.packaged
    code = "" if packaged else reach(experiment.run).digest
    found: list[Task] = []
    for cell in scale.settings:
        if not isinstance(cell, Mapping):
            raise ValueError(f"{experiment.id}: a setting must map names to plain values, got {cell!r}")
        if not all(isinstance(name, str) for name in cell):
            raise ValueError(f"{experiment.id}: a setting must have names of text, got {dict(cell)!r}")
        if "seed" in cell:
            raise ValueError(f"{experiment.id}: a setting must not name a seed, got {dict(cell)!r}")
        setting = {name: _plain(f"{experiment.id}: setting {name}", value) for name, value in cell.items()}
        found += [
            Task(experiment.id, experiment.revision, setting, seed, experiment.run, code) for seed in range(count)
        ]
    if not found:
        raise ValueError(f"{experiment.id} must have at least one setting, got none")
    first = found[0].setting
    other = next((task.setting for task in found if task.code and task.setting.keys() != first.keys()), None)
    if other is not None:
        told = f"{', '.join(other) or 'nothing'} after {', '.join(first) or 'nothing'}"
        raise ValueError(f"{experiment.id}: settings must name the same things, got {told}")
    try:
        distinct = len({task.key for task in found})
    except ValueError:  # JSON knows no NaN
        raise ValueError(f"{experiment.id}: settings must hold finite numbers") from None
    if distinct != len(found):
        raise ValueError(f"{experiment.id}: settings must differ from each other")
    return found


def execute(pending: Sequence[Task], *, workers: int | None = 1, scheduler: str | None = None) -> Generator[Finished]:
    """Execute tasks and yield each as it ends. One that fails is reported as such and stops no other.

    Parameters
    ----------
    pending : sequence of Task
        What to do; started in this order.
    workers : int or None
        1 works in this process; more start that many processes, each with one numerical thread, but never more
        than there are tasks. None: as many as there are cores for this process.
    scheduler : str, optional
        Address of a running Dask scheduler, for instance ``"tcp://10.0.0.5:8786"``; its workers are used, and
        ``workers`` is not. They need this version of Learnability.

    Yields
    ------
    Finished
        In order of completion.

    Raises
    ------
    ValueError
        If ``workers`` < 1, or no scheduler with workers answers at the address within a few seconds.
    RuntimeError
        If the worker processes do not start.

    Notes
    -----
    Close the iterator (``contextlib.closing``) to stop early: running tasks are then abandoned. A task whose worker
    dies is tried once more in another, and only if that dies too has it failed.
    """
    if workers is not None:
        workers = checks.integer("workers", workers, at_least=1)
    if not pending:
        return
    if workers is None:
        import loky

        workers = loky.cpu_count()  # those that affinity and cgroup allow
    if scheduler is not None or workers > 1:
        jobs = _packed(pending)
        if scheduler is None:
            yield from _execute_here(jobs, min(workers, len(pending)))
            return
        with _quiet(), _remote_client(scheduler) as client:
            yield from _execute_on(client, jobs)
        return
    for task in pending:
        yield Finished(task, *_perform(task.run, task.setting, task.seed))


def _packed(pending: Sequence[Task]) -> list[tuple[Task, Callable[..., Any], Any]]:
    """Each task, the function that performs it in another process, and what that takes beside setting and seed.

    The package's own functions go by name, others with the files that they stand in.
    """
    luggage: dict[Any, Luggage] = {}
    jobs: list[tuple[Task, Callable[..., Any], Any]] = []
    for task in pending:
        if not task.code:
            jobs.append((task, _perform, task.run))
            continue
        if task.run not in luggage:
            try:
                luggage[task.run] = Luggage.of(task.run)
            except ValueError as error:
                raise ValueError(f"{task.experiment}: {error}") from None
        jobs.append((task, _perform_packed, luggage[task.run]))
    return jobs


def _execute_here(jobs: Sequence[tuple[Task, Callable[..., Any], Any]], count: int) -> Generator[Finished]:
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

    from loky import BrokenProcessPool

    waiting, tried = deque(jobs), set[str]()
    executors: list[Any] = []
    running: dict[Future[Any], tuple[Any, Any]] = {}

    def start() -> None:
        try:
            executor, started = worker.start()
        except Exception as error:  # loky stumbles over its own handling of some
            raise RuntimeError(f"a worker process did not start: {error.__context__ or error}") from None
        executors.append(executor)
        running[started] = executor, None

    def stop() -> None:
        for executor in executors:
            executor.shutdown(kill_workers=True)

    def go_on(executor: Any) -> None:
        if not waiting:
            executor.shutdown(kill_workers=True)
            return
        job = waiting.popleft()
        task, perform, what = job
        try:
            future = executor.submit(perform, what, dict(task.setting), task.seed)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            future = Future()
            future.set_exception(error)
        running[future] = executor, job

    worker.make_room(count)
    unborn = 0
    keeper = ThreadPoolExecutor(1, initializer=worker.deafen)  # Ctrl-C, and a second one, leave its work whole
    try:
        for _ in range(count):
            keeper.submit(start).result()
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                executor, job = running.pop(future)
                task = job and job[0]
                error = future.exception()
                told = error and worker.fate(error)
                if not isinstance(error, BrokenProcessPool):
                    unborn = 0
                    go_on(executor)
                elif task is None:
                    unborn += 1
                    if unborn == _UNBORN:
                        raise RuntimeError(f"a worker process did not start, it ended {told}")
                    keeper.submit(start).result()
                else:
                    told = f"its worker died twice, the last time {told}"
                    if task.key not in tried:  # the death may have had another cause
                        tried.add(task.key)
                        waiting.appendleft(job)
                        task = None
                    if waiting:
                        keeper.submit(start).result()
                if task is None:
                    continue
                if error is not None and debugging():
                    raise RuntimeError(told) from error
                yield Finished(task, *(future.result() if error is None else (None, told, 0.0)))
    finally:
        keeper.submit(stop)
        keeper.shutdown()


def _execute_on(client: Any, jobs: Sequence[tuple[Task, Callable[..., Any], Any]]) -> Generator[Finished]:
    from distributed import as_completed

    waiting = {
        client.submit(perform, what, dict(task.setting), task.seed, pure=False): task for task, perform, what in jobs
    }
    for future in as_completed(list(waiting)):
        task = waiting.pop(future)
        if future.status == "finished":
            rows, error, seconds = future.result()
        elif future.status != "error":
            raise ConnectionError("the Dask scheduler went away: finished tasks are kept, run again for the rest")
        elif debugging():
            future.result()  # raises
        else:  # not the task's own exception, which _perform reports: the worker died, or lacks the package
            rows, error, seconds = None, one_line(future.exception()), 0.0
        yield Finished(task, rows, error, seconds)
        future.release()


def _perform(
    run: Callable[[Setting, int], list[Row]], setting: Setting, seed: int
) -> tuple[list[Row] | None, str | None, float]:
    """Run one task, wherever this is: its rows or its error, and the seconds it took."""
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    try:
        with threadpool_limits(limits=1):
            rows = run(setting, seed)
        return _complete(rows, setting, seed, place_of(run)), None, time.perf_counter() - start
    except (Exception, SystemExit) as error:
        if debugging():
            raise
        return None, one_line(error), time.perf_counter() - start


def _perform_packed(luggage: Luggage, setting: Setting, seed: int) -> tuple[list[Row] | None, str | None, float]:
    """Run one task of a user's own function."""
    try:
        run = luggage.unpack()
    except (Exception, SystemExit) as error:
        if debugging():
            raise
        return None, f"the code could not be read there: {one_line(error)}", 0.0
    return _perform(run, setting, seed)


def _complete(rows: list[Row], setting: Setting, seed: int, place: str) -> list[Row]:
    """Rows of plain values with the setting's columns and the seed in front."""
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"run must return a list of rows, each a dict of plain values, got {_said(rows)}{place}")
    if not rows:
        raise ValueError(f"run must return at least one row, got none{place}")
    for row in rows:
        for name in row:
            if not isinstance(name, str):
                raise ValueError(f"columns must have names of text, got {name!r}{place}")
        if row.keys() != rows[0].keys():
            told = f"{', '.join(row)} after {', '.join(rows[0])}"
            raise ValueError(f"rows must have the same columns, got {told}{place}")
    identity = {**setting, "seed": seed}
    clash = identity.keys() & {name for row in rows for name in row}
    if clash:
        raise ValueError(f"rows must not repeat the setting or the seed, got the columns {sorted(clash)}{place}")
    try:
        return [{**identity, **{name: _plain(f"column {name!r}", v) for name, v in row.items()}} for row in rows]
    except ValueError as error:
        raise ValueError(f"{error}{place}") from None


def _said(rows: Any) -> str:
    """What something is that should be a list of rows."""
    if isinstance(rows, list | tuple) and rows:
        return f"a list of {type(rows[0]).__name__}"
    return type(rows).__name__


def _plain(what: str, value: Any) -> bool | int | float | str:
    """A bool, int, float or str, from NumPy's scalars too."""
    if type(value) in (bool, int, float, str):
        return value  # type: ignore[no-any-return]
    import numpy as np

    if isinstance(value, np.generic):
        value = value.item()
    for kind in (bool, int, float, str):  # subclasses such as enums become what they are
        if isinstance(value, kind):
            return kind(value)
    raise ValueError(f"{what} must be a bool, int, float or str, got {type(value).__name__}")


def debugging() -> bool:
    """Whether errors keep their traceback: the environment variable ``LEARNABILITY_DEBUG`` is set."""
    return bool(os.environ.get("LEARNABILITY_DEBUG"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's client from logging a traceback where the scheduler goes away: we raise one clear error."""
    import distributed.client  # noqa: F401 - its import sets the level

    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _remote_client(address: str) -> Any:
    from distributed import Client

    wrong = f"scheduler must be the address of a running Dask scheduler, got {address!r}"
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{wrong}: {' '.join(str(error).split()) or type(error).__name__}") from None
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        client.close()
        raise ValueError(f"{wrong}: it has no workers") from None
    try:
        # Without the package a worker does not fail a task, it dies of it, again and again.
        question = (metadata.version, "learnability")
        answers = {"the scheduler": client.run_on_scheduler(*question), **client.run(*question, on_error="return")}
    except metadata.PackageNotFoundError as error:
        answers = {"the scheduler": error}
    strangers = {place: answer for place, answer in answers.items() if answer != __version__}
    if strangers:
        client.close()
        place, answer = next(iter(strangers.items()))
        found = "none" if isinstance(answer, BaseException) else answer
        raise ValueError(f"{wrong}: {place} needs learnability {__version__}, it has {found}")
    return client
