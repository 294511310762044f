"""One sweep over several experiments: what is missing is executed, and figures and claims follow.

Nothing here prints: progress goes to a callback, and what a caller must know comes as a warning.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
import re
import shlex
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from learnability import discovery, plotting, records, report, sweep
from learnability.results import Store, versions, write_table
from learnability.source import one_line, place_of
from learnability.study import Experiment, Home, Scale
from learnability.theory import Guarantee, Hypothesis, Kind
from learnability.theory.guarantee import counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


__all__ = [
    "FailureWarning",
    "Planned",
    "Progress",
    "Result",
    "as_guarantees",
    "attempt",
    "command",
    "different",
    "iterate",
    "lightened",
    "occasion",
    "own_id",
    "without_study",
]

T = TypeVar("T")

IN_PROCESS_SECONDS = 10
"""Work that is expected to take less is done in this process unless the caller has named a number of workers."""

_LONGEST = 120
"""Characters of a folder's name."""


class FailureWarning(UserWarning):
    """A task failed, or a figure or its claims could not be made from what there is."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    ``work_done`` and ``work_total`` are in expected seconds of computing, so that they make a fair estimate
    of the time left where some tasks take long and others none.
    """

    label: str
    done: int
    total: int
    work_done: float
    work_total: float


@dataclass(frozen=True)
class Result:
    """One experiment that was run.

    Parameters
    ----------
    id, scale : str
        What was run.
    seeds : int
        How many seeds.
    table : DataFrame
        Every row of every finished task: the setting's columns, ``seed``, and what was measured.
    figure : matplotlib Figure or None
        ``None`` if it could not be drawn.
    guarantees : list of Guarantee
        The figure's claims with their verdicts.
    tasks : dict
        How many tasks were ``"run"``, ``"cached"`` (finished before) and ``"failed"``.
    failures : list of str
        What failed, one line each; empty if all is well.
    seconds : float
        Computing time of the finished tasks, whenever they ran.
    files : list of Path
        The figure's files; empty where nothing was kept.
    table_file : Path or None
        The table as Parquet.
    recorded : Comparison
        The verdicts beside those that the study's record has for this computation.
    changed : mapping
        Free values that were set to something else than the scale's own.
    """

    id: str
    scale: str
    seeds: int
    table: pd.DataFrame
    figure: Figure | None
    guarantees: list[Guarantee]
    tasks: dict[str, int]
    failures: list[str]
    seconds: float
    files: list[Path] = field(default_factory=list)
    table_file: Path | None = None
    recorded: records.Comparison = field(default_factory=records.Comparison)
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Scale and what was set, in words: ``"laptop, n = 24"``."""
        return ", ".join([self.scale, *(f"{name} = {_word(value)}" for name, value in self.changed.items())])

    @property
    def folder(self) -> str:
        """Name of its folder in that of the experiment: the scale, and what was set."""
        told = ",".join(f"{name}={_word(value)}" for name, value in self.changed.items())
        if not told:
            return self.scale
        name = re.sub(r"[^\w.,=+-]", "-", f"{self.scale}+{told}")
        if len(name) <= _LONGEST:
            return name
        return f"{name[: _LONGEST - 9]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"  # another may begin alike

    def __repr__(self) -> str:
        verdicts = counts(str(g.verdict) for g in self.guarantees)
        failed = f"; {len(self.failures)} failed" if self.failures else ""
        kept = f"; {self.files[0].parent}" if self.files else ""
        return (
            f"Result({self.id!r}, {self.place!r}, seeds={self.seeds}: {verdicts}; {self.recorded}{failed}; "
            f"table of {len(self.table)} rows{kept})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of the command line's contract."""
        return {
            "id": self.id,
            "scale": self.scale,
            "seeds": self.seeds,
            "tasks": self.tasks,
            "table": None if self.table_file is None else str(self.table_file),
            "figures": [str(path) for path in self.files],
            "guarantees": [guarantee.to_json() for guarantee in self.guarantees],
            "failures": self.failures,
            "compute_seconds": self.seconds,
            "differs": self.recorded.differs,
            "set": {name: list(v) if isinstance(v, tuple) else v for name, v in self.changed.items()},
        }


@dataclass(frozen=True)
class Planned:
    """An experiment, and how much of it: a scale by its name, perhaps at other free values."""

    experiment: Experiment
    scale: str
    size: Scale


def iterate(
    chosen: Sequence[Planned],
    *,
    seeds: int | None,
    workers: int | None,
    scheduler: str | None,
    out: str | os.PathLike[str] | None,
    on_progress: Callable[[Progress], None] | None,
) -> Generator[Result]:
    """Run experiments in one sweep, and yield each as soon as its last task is done.

    All experiments share one pool of workers. Stopping early (Ctrl-C, or closing the iterator) loses only the
    tasks that are running: finished ones are in ``out``. Arguments as for :func:`learnability.run`.
    """
    planned = [(plan, sweep.tasks(plan.experiment, plan.size, seeds)) for plan in chosen]
    with ExitStack() as stack:
        kept = out is not None
        store = Store(out if out is not None else stack.enter_context(tempfile.TemporaryDirectory()))
        runs = [_Run(plan, tasks, store, kept) for plan, tasks in planned]
        for run in runs:
            if run.pending and run.experiment.ready is not None:
                run.experiment.ready([task.setting for task in run.pending.values()])
        owner = {run.experiment.id: run for run in runs}
        meter = _Meter(runs, on_progress)
        for run in runs:
            if not run.pending:
                yield run.result()
        if workers is None and meter.work_total < IN_PROCESS_SECONDS:
            workers = 1
        # Experiments with long tasks first: no worker is left alone with one at the end.
        order = sorted(runs, key=lambda run: -run.weight) if workers != 1 or scheduler else runs
        pending = [task for run in order for task in run.pending.values()]
        finished = stack.enter_context(closing(sweep.execute(pending, workers=workers, scheduler=scheduler)))
        for done in finished:
            run = owner[done.task.experiment]
            run.take(done)
            meter.advance(run)
            if not run.pending:
                yield run.result()


class _Run:
    """One experiment while it is being run."""

    def __init__(self, plan: Planned, tasks: list[sweep.Task], store: Store, kept: bool) -> None:
        self.experiment, self.scale, self.size = plan.experiment, plan.scale, plan.size
        self.tasks, self.store, self.kept = tasks, store, kept
        experiment = self.experiment
        self.seeds = 1 + max(task.seed for task in tasks)
        self.settings = records.digest((task.setting for task in tasks if task.seed == 0), tasks[0].code)
        taken = {task.key: store.seconds(experiment.id, task.key) for task in tasks}
        self.seconds = {key: seconds for key, seconds in taken.items() if seconds is not None}
        self.cached = len(self.seconds)
        self.pending = {task.key: task for task in tasks if task.key not in self.seconds}
        self.errors: dict[str, str] = {}
        # Of the user's own experiments: the kind of each column, and each cell's columns. No seed may have others.
        self.columns: dict[str, str] = {}
        self.cells: dict[str, dict[str, str]] = {}
        if tasks[0].code and self.seconds:
            done = next(task.key for task in tasks if task.key in self.seconds)
            self.columns = _kinds(store.read(experiment.id, [done]).iloc[0].to_dict())
        usual = experiment.scales[plan.scale]
        self.weight = max(usual.seconds / usual.tasks, 1e-3)  # expected seconds of a task

    def take(self, done: sweep.Finished) -> None:
        task, error = self.pending.pop(done.task.key), done.error
        if done.rows is not None:
            try:
                if task.code:
                    kinds = _kinds(done.rows[0])
                    usual_kinds = {name: self.columns.get(name, kind) for name, kind in kinds.items()}
                    same_cell = self.cells.setdefault(str(task.setting), usual_kinds)
                    self.columns = {**kinds, **self.columns}
                    if kinds != same_cell:
                        other, usual = kinds.items() - same_cell.items(), same_cell.items() - kinds.items()
                        raise ValueError(
                            f"rows must have the same columns for every seed, got {_listed(other)} where others have "
                            f"{_listed(usual)}{place_of(task.run)}"
                        )
                self.store.write(task.experiment, task.key, done.rows, done.seconds, task.record)
                self.seconds[task.key] = done.seconds
            except (ValueError, IsADirectoryError) as refused:
                # The rows make no table, or a folder is in the file's place. Other errors of the system, such
                # as a full disk, would meet every task: they stop the sweep.
                error = str(refused)
        if task.key not in self.seconds:
            self.errors[task.key] = f"{task}: {error}"
            warnings.warn(self.errors[task.key], FailureWarning, stacklevel=3)

    def result(self) -> Result:
        finished = [task.key for task in self.tasks if task.key in self.seconds]
        name = self.experiment.id
        failures = [self.errors[task.key] for task in self.tasks if task.key in self.errors]
        table = self.store.read(name, finished)
        figure, guarantees = None, []
        draw, judge = self.experiment.figure, self.experiment.claims
        if finished and draw is not None:
            with plotting.style():
                figure = attempt(f"{name}: figure", lambda: _drawn(draw, table), failures)
        if finished and judge is not None:
            claims = attempt(f"{name}: claims", lambda: _checked(judge(table), self.experiment), failures) or []
            guarantees = [_of_paper(claim, self.experiment, self.scale, self.size) for claim in claims]
        recorded = records.Comparison(why="not everything is finished")
        if self.size.changed:
            recorded = records.Comparison(why=f"it has other values than {self.size.told}")
        elif not failures:
            recorded = records.compare_figure(
                name, home=self.experiment.home, scale=self.scale, revision=self.experiment.revision,
                seeds=self.seeds, settings=self.settings, guarantees=guarantees,
            )  # fmt: skip
        result = Result(
            id=self.experiment.id,
            scale=self.scale,
            seeds=self.seeds,
            table=table,
            figure=figure,
            guarantees=guarantees,
            tasks={"run": len(finished) - self.cached, "cached": self.cached, "failed": len(self.errors)},
            failures=failures,
            seconds=sum(self.seconds.values()),
            recorded=recorded,
            changed=self.size.changed,
        )
        if self.kept:
            result = _keep(result, self.experiment, self.store, self.settings)
        return result


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
    from matplotlib.figure import Figure

    found = draw(table)
    if not isinstance(found, plotting.Plot | Figure):
        raise TypeError(
            f"figure must return a Plot or a matplotlib Figure, got {type(found).__name__}{place_of(draw)}"
        )
    return plotting.drawn(found)


def _checked(claims: Any, experiment: Experiment) -> list[Guarantee]:
    """The claims, under the experiment's own id and with a source: a copied figure's claims are not its paper's."""
    found = as_guarantees(claims, "claims must return a list of Guarantee")
    if experiment.home is None or experiment.home.packaged:
        return found
    source, id = _source(experiment), experiment.id
    own = [dataclasses.replace(c, id=own_id(c.id, id), source=c.source or source) for c in found]
    different(own, "claims")
    return own


def as_guarantees(found: Any, must: str) -> list[Guarantee]:
    """What claims or a check have returned, if they are guarantees."""
    if not isinstance(found, Iterable):
        raise TypeError(f"{must}, got {type(found).__name__}")
    listed = list(found)
    for one in listed:
        if not isinstance(one, Guarantee):
            raise TypeError(f"{must}, got one of {type(one).__name__}")
    return listed


def different(claims: Sequence[Guarantee], what: str) -> None:
    """Refuse two of one id."""
    ids = [claim.id for claim in claims]
    twice = next((id for number, id in enumerate(ids) if id in ids[:number]), None)
    if twice is not None:
        raise ValueError(f"{what} must have different ids, got {twice!r} twice")


def own_id(claim: str, experiment: str) -> str:
    """``<study>/<name>/...`` for whatever a claim is called."""
    study = experiment.partition("/")[0]
    rest = without_study(claim, study)
    return f"{study}/{rest}" if f"{study}/{rest}".startswith(f"{experiment}/") else f"{experiment}/{rest}"


def without_study(id: str, study: str) -> str:
    """A claim's id without the name of its study: its own, or one of the package's that it was copied from."""
    first, _, rest = id.partition("/")
    return rest if rest and (first == study or first in discovery.installed_names()) else id


def _source(experiment: Experiment) -> str:
    """What a claim's source is where it names none: of a changed copy of a paper's figure not the paper."""
    home, source = experiment.home, experiment.source
    if home is None or home.packaged:
        return source or experiment.id
    return f"an experiment of your own, after {source}" if _is_paper(source) else source or home.study.citation


def _is_paper(source: str) -> bool:
    """Whether a source is one of the package's papers."""
    known = discovery.installed()
    papers = [study.paper for name, study in known.studies.items() if known.homes[name].packaged]
    return source.startswith(tuple(papers))


def _of_paper(claim: Guarantee, experiment: Experiment, scale: str, size: Scale) -> Guarantee:
    """A paper's empirical claims are about its parameters: other ones can neither confirm nor refute them."""
    packaged = experiment.home is None or experiment.home.packaged
    if claim.kind not in (Kind.THRESHOLD, Kind.TREND):
        return claim
    why = [f"{size.told} was set"] if size.changed and packaged else []
    if not packaged and _is_paper(claim.source):
        why.append("an experiment of your own")
    if scale == "smoke":
        why.append("the smoke scale is for tests")
    if not why:
        return claim
    named = Hypothesis("published parameters", False, "; ".join(why))
    return dataclasses.replace(claim, hypotheses=(*claim.hypotheses, named))


def attempt(what: str, function: Callable[[], T], failures: list[str]) -> T | None:
    """The function's value, or ``None`` and a line in ``failures``: shards outlive a faulty figure."""
    try:
        return function()
    except (Exception, SystemExit) as error:
        if sweep.debugging():
            raise
        failures.append(f"{what}: {one_line(error)}")
        warnings.warn(failures[-1], FailureWarning, stacklevel=3)
        return None


def _keep(result: Result, experiment: Experiment, store: Store, settings: str) -> Result:
    """Write figure, table, verdicts and manifest."""
    folder = store.folder(result.id, result.folder)
    for old in [*folder.glob("figure.*"), *folder.glob("table.*")]:  # whatever cannot be made now would be stale
        old.unlink(missing_ok=True)
    files: list[Path] = []
    if (figure := result.figure) is not None:
        with plotting.style():
            drawn = attempt(f"{result.id}: figure", lambda: report.save_figure(figure, folder), result.failures)
        files = drawn or []
    table_file = None
    if len(result.table):
        table_file = folder / "table.parquet"
        write_table(table_file, result.table)
    manifest = {
        "id": result.id,
        "title": experiment.title + _instead(result, experiment),
        "source": _source(experiment),
        "revision": experiment.revision,
        "scale": result.scale,
        **({"set": result.to_json()["set"]} if result.changed else {}),
        "seeds": result.seeds,
        "settings": settings,
        "tasks": result.tasks,
        "failures": result.failures,
        "seconds": result.seconds,
    }
    verdicts = [g.to_json() for g in result.guarantees]
    report.write_verdicts(folder, verdicts, {**manifest, **occasion(_again(result, experiment.home))})
    return dataclasses.replace(result, files=files, table_file=table_file)


def _word(value: Any) -> str:
    """A free value as the command line takes it."""
    return ",".join(map(_word, value)) if isinstance(value, tuple) else str(value)


def _instead(result: Result, experiment: Experiment) -> str:
    """What was set, for a title: " (n = 24 instead of 20)"."""
    free = experiment.scales[result.scale].free
    told = [f"{name} = {_word(value)} instead of {_word(free[name])}" for name, value in result.changed.items()]
    return f" ({', '.join(told)})" if told else ""


def _again(result: Result, home: Home | None) -> str:
    """What does it again: a command, or a call for what belongs to a running session."""
    if home is not None and home.place is None and not home.packaged:
        values = f", set={dict(result.changed)!r}" if result.changed else ""
        call = f"learnability.run(EXPERIMENT, scale={result.scale!r}, seeds={result.seeds}{values})"
        return f"{call}  # in {home.study.name}, a session or script"
    told = ["--scale", result.scale, "--seeds", str(result.seeds)]
    for name, value in result.changed.items():
        told += ["--set", f"{name}={_word(value)}"]
    return command("run", result.id, home, told)


def command(verb: str, id: str, home: Home | None, options: Sequence[str]) -> str:
    """The command that does it again."""
    named = id
    if home is not None and home.named and home.place is not None:
        place = home.place
        if place.is_dir():
            name = id.partition("/")[2]
            place = next((p for p in (place / "figures").glob("*.py") if p.stem.replace("_", "-") == name), place)
        here = os.path.relpath(place)
        named = str(place) if here.startswith("..") else here
    return shlex.join(["learnability", verb, named, *options])


def occasion(command: str) -> dict[str, Any]:
    """What a manifest says of how and when."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"command": command, "date": now, "versions": versions()}


class _Meter:
    """Turns finished tasks into calls of ``on_progress``."""

    def __init__(self, runs: list[_Run], callback: Callable[[Progress], None] | None) -> None:
        self.callback = callback
        self.total = sum(len(run.pending) for run in runs)
        self.work_total = sum(len(run.pending) * run.weight for run in runs)
        self.done, self.work_done = 0, 0.0
        self._tell("")

    def advance(self, run: _Run) -> None:
        self.done += 1
        self.work_done += run.weight
        self._tell(run.experiment.id)

    def _tell(self, label: str) -> None:
        if self.callback is not None:
            self.callback(Progress(label, self.done, self.total, self.work_done, self.work_total))
