"""Figure, table, verdicts and manifest of a result in the output folder, and what does it again."""

from __future__ import annotations

import dataclasses
import datetime
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from learnability import provenance, report, shown
from learnability.results import Store
from learnability.runner.attempts import attempt
from learnability.runner.claims import source_of
from learnability.runner.result import Result, word
from learnability.study import Experiment, Home

__all__ = ["command", "keep", "occasion"]


def keep(
    result: Result,
    experiment: Experiment,
    store: Store,
    settings: str,
    ran_on: Sequence[tuple[Mapping[str, str], int]],
) -> Result:
    """Write a result into its folder, all of it at once.

    Parameters
    ----------
    result : Result
        What came of the experiment.
    experiment : Experiment
        The experiment itself.
    store : Store
        The output folder.
    settings : str
        Digest of the settings.
    ran_on : sequence of (provenance, number of tasks)
        What the rows were computed with.
    """
    folder = store.folder(result.id, result.folder)
    pictures: dict[str, bytes] = {}
    if (figure := result.figure) is not None:
        lines = result.failures if result.unfinished is None else result.unfinished.notes
        drawn = attempt(
            f"{result.id}: figure", lambda: report.pictures(figure), lines, tell=result.unfinished is None
        )
        pictures = drawn or {}
    said = result.to_json()
    manifest = {
        "id": result.id,
        "title": experiment.title + _instead(result, experiment),
        "source": source_of(experiment),
        "revision": experiment.revision,
        "scale": result.scale,
        **({"set": said["set"]} if result.changed else {}),
        "seeds": result.seeds,
        "settings": settings,
        "tasks": result.tasks,
        "failures": result.failures,
        "seconds": result.seconds,
        "memory": result.memory,
        "unfinished": said["unfinished"],
        "computed_on": [{**one, "tasks": number} for one, number in ran_on],
        "mixture": result.mixture,
        **occasion(_again(result, experiment.home)),
    }
    report.write_result(folder, manifest, said["guarantees"], pictures=pictures, table=result.table)
    table_file = folder / "table.parquet" if len(result.table) else None
    return dataclasses.replace(result, files=[folder / name for name in pictures], table_file=table_file)


def _instead(result: Result, experiment: Experiment) -> str:
    """What was set, for a title: " (n = 24 instead of 20)"."""
    free = experiment.scales[result.scale].free
    told = [
        f"{name} = {shown.line(word(value), 60)} instead of {shown.line(word(free[name]), 60)}"
        for name, value in result.changed.items()
    ]
    return f" ({', '.join(told)})" if told else ""


def _again(result: Result, home: Home | None) -> str:
    """What does it again: a command, or a call for what belongs to a running session."""
    if home is not None and home.place is None and not home.packaged:
        values = f", set={dict(result.changed)!r}" if result.changed else ""
        call = f"learnability.run(EXPERIMENT, scale={result.scale!r}, seeds={result.seeds}{values})"
        return f"{call}  # in {home.study.name}, a session or script"
    told = ["--scale", result.scale, "--seeds", str(result.seeds)]
    for name, value in result.changed.items():
        told += ["--set", f"{name}={word(value)}"]
    return command("run", result.id, home, told)


def command(verb: str, id: str, home: Home | None, options: Sequence[str]) -> str:
    """The command that does it again."""
    named = id
    if home is not None and home.named and home.place is not None:
        place = home.place
        if place.is_dir():
            name = id.partition("/")[2]
            place = next((p for p in (place / "figures").glob("*.py") if p.stem.replace("_", "-") == name), place)
        named = str(place)
        with suppress(OSError, ValueError):  # the working directory is gone, or on another drive
            here = os.path.relpath(place)
            named = named if here.startswith("..") else here
    return shlex.join(["learnability", verb, named, *options])


def occasion(command: str) -> dict[str, Any]:
    """What a manifest says of how and when."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"command": command, "date": now, "versions": provenance.here()}
