"""The sweep: tasks that are missing are executed, kept batch by batch, and made into results."""

from __future__ import annotations

import dataclasses
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from learnability import extras, plotting, provenance, records, scratch, signals, sweep
from learnability.errors import RequestError
from learnability.results import Damaged, Entry, Failure, Store, presence
from learnability.runner.attempts import FailureWarning, attempt
from learnability.runner.claims import checked, of_paper
from learnability.runner.keep import keep
from learnability.runner.plan import Planned, Standing, Wishes, standings
from learnability.runner.result import Progress, Result, Unfinished
from learnability.source import place_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from learnability.theory import Guarantee

__all__ = ["IN_PROCESS_SECONDS", "iterate", "lightened"]

IN_PROCESS_SECONDS = 10
"""Work that is expected to take less is done in this process unless the caller has named a number of workers."""

_NAMED, _KINDS = 5, 10
"""Failed tasks of an experiment that are named as they fail; up to so many, where each fails in its own way. The
others are counted when it ends."""

_LOOKS = 3
"""How often rows are computed again that are found damaged when the table is made."""


def iterate(
    chosen: Sequence[Planned], wishes: Wishes, on_progress: Callable[[Progress], None] | None = None
) -> Generator[Result]:
    """Run experiments in one sweep, and yield each as soon as its last task is done.

    All experiments share one pool of workers. Stopping early (Ctrl-C, or closing the iterator) loses only the batches
    that are running: what is finished is in ``wishes.out``.
    """
    until = None if wishes.time_limit is None else time.monotonic() + wishes.time_limit
    with ExitStack() as stack:
        kept = wishes.out is not None
        scratch.clear()  # what killed runs without a folder of their own have left
        store = Store(wishes.out if wishes.out is not None else stack.enter_context(scratch.folder()))
        runs = [_Run(standing, store, wishes) for standing in standings(chosen, wishes, store)]
        if kept:
            _check_places(store, runs)
        extras.require({run.experiment.id: run.needs for run in runs})
        if kept and any(run.pending for run in runs):
            _announce(stack, store, [run.experiment.id for run in runs if run.pending], wishes)
        for run in runs:
            if run.pending and run.experiment.ready is not None:
                run.experiment.ready([task.setting for task in run.pending.values()])
        meter = _Meter(runs, on_progress)
        workers = wishes.workers
        if workers is None and meter.work_total < IN_PROCESS_SECONDS:
            workers = 1
        waiting = {run.experiment.id: run for run in runs}
        while waiting:
            for run in list(waiting.values()):
                if not run.pending and (result := run.result()):
                    del waiting[run.experiment.id]
                    yield result
            # Experiments with long tasks first: no worker is left alone with one at the end.
            order = list(waiting.values())
            if workers != 1 or wishes.scheduler:
                order.sort(key=lambda run: -run.weight)
            batches = sweep.execute(
                [task for run in order for task in run.pending.values()],
                workers=workers,
                scheduler=wishes.scheduler,
                expected={run.experiment.id: run.weight for run in order},
                until=until,
                task_timeout=wishes.task_timeout,
            )
            with closing(batches), _keeping(batches, waiting):
                for batch in batches:
                    run = waiting[batch.finished[0].task.experiment]
                    run.take(batch)
                    meter.advance(run, len(batch.finished))
                    if not run.pending and (result := run.result()):
                        del waiting[run.experiment.id]
                        yield result
            if until is not None and time.monotonic() >= until:
                yield from filter(None, [run.result(last=True) for run in waiting.values()])
                return


@contextmanager
def _keeping(batches: Generator[sweep.Batch], runs: Mapping[str, _Run]) -> Iterator[None]:
    """Where Ctrl-C comes while something is stored or drawn, what has ended meanwhile is stored, too."""
    try:
        yield
    except signals.STOPS as stop:
        with suppress(type(stop)):  # the sweep ends with it, sooner or later
            batch = batches.throw(stop)
            while True:
                runs[batch.finished[0].task.experiment].take(batch)
                batch = next(batches)
        raise


def _check_places(store: Store, runs: Sequence[_Run]) -> None:
    """Refuse an output folder in which a file stands where a result's folder must be."""
    for run in runs:
        place = store.folder(run.experiment.id, run.scale)
        for folder in (place, place.parent, place.parent.parent):
            if folder.exists() and not folder.is_dir():
                raise RequestError(f"out must have room for the folder {place}, got a file at {folder}")


def _announce(stack: ExitStack, store: Store, ids: list[str], wishes: Wishes) -> None:
    """Tell other processes of this one, and the user of them."""
    part = None if wishes.part is None else wishes.share
    what = f"run {' '.join(ids)}{f' --part {part[0]}/{part[1]}' if part else ''}"
    others = stack.enter_context(presence.announced(store.root, what=what, part=part, on=ids))
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        warnings.warn(
            f"another process is at work in {store.root}: {others[0]}{more}; what both find unfinished both do, "
            "unless each is started with --part i/N",
            sweep.SweepWarning,
            stacklevel=3,
        )


class _Run:
    """One experiment while it is being run."""

    def __init__(self, standing: Standing, store: Store, wishes: Wishes) -> None:
        self.standing, self.store, self.wishes = standing, store, wishes
        self.experiment, self.scale, self.size = standing.experiment, standing.scale, standing.size
        self.tasks = tasks = standing.tasks
        self.settings = records.digest((task.setting for task in tasks if task.seed == 0), tasks[0].code)
        self.before = len(standing.failed)
        self.weight = standing.measured or standing.usual
        self.done = set[str]()
        self.looks = 0
        self.named, self.unnamed = Counter[str](), Counter[str]()  # failed tasks by what has happened to them
        # Of the user's own experiments: the kind of each column, and each cell's columns. No seed may have others.
        self.columns: dict[str, str] | None = None
        self.cells: dict[str, dict[str, str]] = {}
        if self.before:
            tried = "were not tried again" if self.before > 1 else "was not tried again"
            said = f"{self.experiment.id}: {_tasks(self.before)} failed before and {tried} (--retry-failed does)"
            warnings.warn(said, FailureWarning, stacklevel=3)

    @property
    def pending(self) -> dict[str, sweep.Task]:
        return self.standing.pending

    @property
    def needs(self) -> tuple[str, ...]:
        """The extras that what is not finished needs."""
        return self.experiment.extras(task.setting for task in self.pending.values())

    def _stored_columns(self) -> dict[str, str]:
        inventory = self.standing.inventory
        done = next((task.key for task in self.tasks if task.key in inventory.seconds), None)
        if done is None:
            return {}
        try:
            return _kinds(inventory.read([done]).iloc[0].to_dict())
        except Damaged:
            return {}  # noticed again when the table is made

    def take(self, batch: sweep.Batch) -> None:
        """Keep what a worker has done, whole before Ctrl-C is told."""
        with signals.deferred():
            entries = [self._entry(done) for done in batch.finished]
            shard = self.store.write(self.experiment.id, entries, batch.ran_on, batch.memory)
            self.standing.inventory.add(shard)
            self.done |= {stored.key for stored in shard.tasks}
        for done in batch.finished:
            task = self.pending.pop(done.task.key)
            if task.key in shard.failed:
                self._tell(task, shard.failed[task.key])

    def _tell(self, task: sweep.Task, failure: Failure) -> None:
        """Say that a task has failed, as long as not many have."""
        kind = _kind(failure)
        if self.named.total() < (_NAMED if kind in self.named else _KINDS):
            self.named[kind] += 1
            warnings.warn(f"{task.shown}: {failure.error}", FailureWarning, stacklevel=4)
        else:
            self.unnamed[kind] += 1

    def _count(self, result: Result) -> None:
        """Say how many more have failed, and where all of them are listed."""
        if more := self.unnamed.total():
            kinds = ", ".join(f"{kind}: {count:,}" for kind, count in self.unnamed.most_common(3))
            where = "in the result"
            if self.wishes.out is not None:
                where = f"under failures in {self.store.folder(result.id, result.folder) / 'manifest.json'}"
            said = f"{_tasks(more)} more ({kinds}); all {result.tasks['failed']:,} are listed {where}"
            warnings.warn(f"{result.id}: {said}", FailureWarning, stacklevel=4)
            self.unnamed.clear()

    def _entry(self, done: sweep.Finished) -> Entry:
        task, rows, error = done.task, done.rows, done.error
        if rows is not None and task.code:
            try:
                self._check_columns(task, rows[0])
            except ValueError as refused:
                rows, error = None, str(refused)
        return Entry(task.key, task.record, rows, error, done.seconds, done.fate)

    def _check_columns(self, task: sweep.Task, row: Mapping[str, Any]) -> None:
        if self.columns is None:
            self.columns = self._stored_columns()
        kinds = _kinds(row)
        usual_kinds = {name: self.columns.get(name, kind) for name, kind in kinds.items()}
        same_cell = self.cells.setdefault(str(task.setting), usual_kinds)
        self.columns = {**kinds, **self.columns}
        if kinds != same_cell:
            other, usual = kinds.items() - same_cell.items(), same_cell.items() - kinds.items()
            raise ValueError(
                f"rows must have the same columns for every seed, got {_listed(other)} where others have "
                f"{_listed(usual)}{place_of(task.run)}"
            )

    def result(self, last: bool = False) -> Result | None:
        """What has come of it; None if stored rows are damaged, whose tasks are pending again.

        Parameters
        ----------
        last : bool
            Whether nothing can be computed any more: such rows are then missing.
        """
        if self.wishes.part is not None:  # what other parts have done meanwhile
            self.standing.look_again(self.store.look(self.experiment.id))
        while True:
            try:
                result = self._result()
                self._count(result)
                return result
            except Damaged as damaged:
                self.standing.redo(damaged.keys)
                self.looks += 1
                if self.looks > _LOOKS:
                    raise OSError(f"{damaged}; {self.store.root} cannot be trusted to keep what is written") from None
                if self.pending and not last:
                    return None

    def _result(self) -> Result:
        inventory, name = self.standing.inventory, self.experiment.id
        missing = self.standing.missing
        open_cells = {str(task.setting) for task in missing}
        finished = [t.key for t in self.tasks if t.key in inventory.seconds and str(t.setting) not in open_cells]
        failed = self.standing.failed
        failures = [f"{task}: {failed[task.key].error}" for task in self.tasks if task.key in failed]
        table = inventory.read(finished)
        unfinished = None
        if missing:
            of = len(self.tasks) // self.standing.seeds
            unfinished = Unfinished(of - len(open_cells), of, len(missing))
        # What cannot be drawn of some cells may well be drawn of all.
        lines = failures if unfinished is None else unfinished.notes
        figure, guarantees = None, []
        draw, judge = self.experiment.figure, self.experiment.claims
        if finished and draw is not None:
            figure = attempt(f"{name}: figure", lambda: _drawn(draw, table), lines, tell=unfinished is None)
        if finished and judge is not None:
            judged = attempt(
                f"{name}: claims", lambda: checked(judge(table), self.experiment), lines, tell=unfinished is None
            )
            guarantees = [of_paper(claim, self.experiment, self.scale, self.size) for claim in judged or []]
        if unfinished is not None:
            figure, guarantees = _marked(figure, unfinished), [_noted(g, unfinished) for g in guarantees]
        recorded = records.Comparison(why="not everything is finished" if failed or missing else "something failed")
        if self.size.changed:
            recorded = records.Comparison(why=f"it has other values than {self.size.told}")
        elif not failures and unfinished is None:
            recorded = records.compare_figure(
                name, home=self.experiment.home, scale=self.scale, revision=self.experiment.revision,
                seeds=self.standing.seeds, settings=self.settings, guarantees=guarantees,
            )  # fmt: skip
        run = len(self.done & inventory.seconds.keys())
        ran_on = inventory.ran_on(finished)
        mixture = provenance.mixture([one for one, _ in ran_on])
        if mixture:
            warnings.warn(f"{name}: {'; '.join(mixture)}", sweep.SweepWarning, stacklevel=4)
        result = Result(
            id=name,
            scale=self.scale,
            seeds=self.standing.seeds,
            table=table,
            figure=figure,
            guarantees=guarantees,
            tasks={
                "run": run,
                "cached": self.standing.finished - run,
                "failed": len(failed),
                "missing": len(missing),
            },
            failures=failures,
            seconds=sum(inventory.seconds[key] for key in finished),
            recorded=recorded,
            changed=self.size.changed,
            unfinished=unfinished,
            mixture=mixture,
            memory=inventory.memory,
        )  # fmt: skip
        if self.wishes.out is not None:
            result = keep(result, self.experiment, self.store, self.settings, ran_on)
        return result


def _kind(failure: Failure) -> str:
    """What has happened to a task, in a word or two."""
    fates = {"died": "its worker died", "timeout": "stopped"}
    error = re.match(r"[A-Za-z_]\w*(?=: )", failure.error)
    return fates.get(failure.fate) or (error[0] if error else "other")


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def _kinds(row: Mapping[Any, Any]) -> dict[str, str]:
    """What sort of value each column holds."""
    kinds = {bool: "true or false", str: "text"}
    return {
        name: next((said for kind, said in kinds.items() if isinstance(value, kind)), "number")
        for name, value in ((name, getattr(value, "item", lambda v=value: v)()) for name, value in row.items())
    }


def _listed(kinds: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(kinds)) or "nothing"


def lightened(result: Result) -> Result:
    """The result without its figure and rows, whose memory is free again."""
    kept = dataclasses.replace(result, table=result.table.iloc[:0].copy(), figure=None)
    if result.figure is not None:
        result.figure.clear()  # the artists hold each other in cycles, which would wait for the collector
    return kept


def _drawn(draw: Callable[[pd.DataFrame], Any], table: pd.DataFrame) -> Figure:
    with plotting.style():
        from matplotlib.figure import Figure

        found = draw(table)
        if not isinstance(found, plotting.Plot | Figure):
            raise TypeError(
                f"figure must return a Plot or a matplotlib Figure, got {type(found).__name__}{place_of(draw)}"
            )
        return plotting.drawn(found, plotting.names(table))


def _marked(figure: Figure | None, unfinished: Unfinished) -> Figure | None:
    """The figure with a line under it: nobody shall take it for the whole."""
    if figure is not None:
        note = figure.get_supxlabel()  # a plot without a legend has its note there
        told = "\n".join(filter(None, [note, f"unfinished: {unfinished}"]))
        figure.supxlabel(told, fontsize="small", color="#B00000", x=0.99, ha="right")
    return figure


def _noted(claim: Guarantee, unfinished: Unfinished) -> Guarantee:
    note = "; ".join(filter(None, [f"unfinished: {unfinished}", claim.note]))
    return dataclasses.replace(claim, note=note)


class _Meter:
    """Turns finished tasks into calls of ``on_progress``."""

    def __init__(self, runs: Sequence[_Run], callback: Callable[[Progress], None] | None) -> None:
        self.callback = callback
        self.total = sum(len(run.pending) for run in runs)
        self.work_total = sum(sum(run.standing.seconds_each().values()) for run in runs)
        self.each = {run.experiment.id: run.weight for run in runs}
        self.done, self.work_done = 0, 0.0
        self._tell("")

    def advance(self, run: _Run, count: int) -> None:
        self.done += count
        self.work_done += count * self.each[run.experiment.id]
        self._tell(run.experiment.id)

    def _tell(self, label: str) -> None:
        if self.callback is not None:
            self.callback(Progress(label, self.done, self.total, self.work_done, self.work_total))
