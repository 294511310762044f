"""Tasks in this process, one after the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence

from learnability import provenance
from learnability.sweep.batches import LOAD_SECONDS
from learnability.sweep.perform import peak_memory, perform
from learnability.sweep.task import Batch, Finished, Task

__all__ = ["execute_here"]


def execute_here(pending: Sequence[Task]) -> Generator[Batch]:
    """Perform tasks and yield those of a second or two together; where something stops it, those that have ended."""
    from threadpoolctl import threadpool_limits

    ran_on, waiting = provenance.here(), deque(pending)
    while waiting:
        finished: list[Finished] = []
        try:
            with threadpool_limits(limits=1):
                start, experiment = time.monotonic(), waiting[0].experiment
                while waiting and waiting[0].experiment == experiment:
                    task = waiting[0]
                    finished.append(Finished(task, *perform(task.run, task.setting, task.seed)))
                    waiting.popleft()
                    if time.monotonic() >= start + LOAD_SECONDS:
                        break
        except BaseException:
            if finished:
                yield Batch(finished, ran_on, peak_memory())
            raise
        yield Batch(finished, ran_on, peak_memory())
