"""Enumerate the tasks of an experiment and execute them: in this process, in others on this machine, or on a Dask
cluster.

However tasks are executed, the rows are the same, and they come back to the caller, who alone writes files: a remote
cluster needs no shared disk. Tasks travel in loads of a second or two, whose size is measured as they are done
(:mod:`learnability.sweep.batches`). What computes, here and on a cluster, is a process of one numerical thread
(:mod:`learnability.sweep.process`), which can be ended whatever it does and takes nothing but its task at hand with
it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from learnability import checks, provenance
from learnability.errors import RequestError
from learnability.source import one_line
from learnability.sweep.batches import Line
from learnability.sweep.crew import Crew, SweepWarning, conduct
from learnability.sweep.here import execute_here
from learnability.sweep.local import LocalCrew
from learnability.sweep.parcel import Parcel
from learnability.sweep.perform import debugging, peak_memory
from learnability.sweep.task import Batch, Finished, Task, tasks

__all__ = ["Batch", "Finished", "SweepWarning", "Task", "debugging", "execute", "tasks"]


def execute(
    pending: Sequence[Task],
    *,
    workers: int | None = 1,
    scheduler: str | None = None,
    expected: Mapping[str, float] = MappingProxyType({}),
    until: float | None = None,
    task_timeout: float | None = None,
) -> Generator[Batch]:
    """Execute tasks and yield them as they end. One that fails is reported as such and stops no other.

    Parameters
    ----------
    pending : sequence of Task
        What to do; started in this order.
    workers : int or None
        1 works in this process, or in another one where there is a limit of time; more start that many processes,
        each with one numerical thread, but never more than there are tasks. None: as many as there are cores for this
        process.
    scheduler : str, optional
        Address of a running Dask scheduler, for instance ``"tcp://10.0.0.5:8786"``; its workers are used, and
        ``workers`` is not. They need this version of Learnability and of what it computes with.
    expected : mapping of str to float
        Guesses of the seconds that a task takes, by the experiment's id.
    until : float, optional
        When to stop, as :func:`time.monotonic` tells it: nothing is started after that, and what still runs is
        abandoned. The tasks that were not yielded are not done.
    task_timeout : float, optional
        Seconds that a task may take, > 0. One that takes longer is stopped, whatever it does, and has failed.

    Yields
    ------
    Batch
        Tasks of one experiment, in order of completion.

    Raises
    ------
    RequestError
        If ``workers`` < 1 or ``task_timeout`` <= 0, a user's own function cannot be sent to other processes, or no
        scheduler with workers that can be used answers at the address within a few seconds.
    RuntimeError
        If the worker processes do not start.

    Notes
    -----
    Close the iterator (``contextlib.closing``) to stop early: running tasks are then abandoned. Whatever else ends
    it, Ctrl-C and an error alike, what has ended is yielded first. A task whose process dies is tried again by
    itself, and has failed if that happens three times.
    """
    if workers is not None:
        workers = checks.integer("workers", workers, at_least=1)
    if task_timeout is not None:
        task_timeout = checks.real("task_timeout", task_timeout, above=0)
    if not pending:
        return
    if workers is None:
        import joblib

        workers = joblib.cpu_count()  # those that affinity and cgroup allow
    if scheduler is None and workers == 1 and until is None and task_timeout is None:
        yield from execute_here(pending)
        return
    wanted = provenance.here()
    packed, unsendable = _packed(pending)
    if unsendable:
        for finished in unsendable:
            yield Batch([finished], wanted, peak_memory())
    if not packed:
        return
    line = Line([task for task, _ in packed], [parcel for _, parcel in packed], expected)
    crew: Crew
    if scheduler is None:
        crew = LocalCrew(min(workers, len(packed)), wanted, task_timeout)
    else:
        from learnability.sweep.cluster import DaskCrew

        crew = DaskCrew(scheduler, wanted, task_timeout)
    yield from conduct(crew, line, wanted, task_timeout, until)


def _packed(pending: Sequence[Task]) -> tuple[list[tuple[Task, Parcel]], list[Finished]]:
    """Each task with what it runs, and those that cannot be sent to another process."""
    parcels: dict[Any, Parcel | str] = {}
    packed: list[tuple[Task, Parcel]] = []
    unsendable: list[Finished] = []
    for task in pending:
        if task.run not in parcels:
            try:
                parcels[task.run] = Parcel.of(task)
            except RequestError:
                raise
            except Exception as error:
                if debugging():
                    raise
                parcels[task.run] = one_line(error)
        parcel = parcels[task.run]
        if isinstance(parcel, str):
            unsendable.append(Finished(task, None, parcel, 0.0))
        else:
            packed.append((task, parcel))
    return packed, unsendable
