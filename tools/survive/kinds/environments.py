"""Nothing happens, elsewhere: on 1, 2 and 4 workers, a cluster, with any hash seed, locale, time zone and umask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tools.survive.cluster import Cluster
from tools.survive.desk import Desk, Sweep, Tally

SIZES = {"full": (10,), "short": (1,)}
"""Runs on each number of workers."""
SWEEP = Sweep(cells=10, pause=0.02)
LOCALES = ("C", "C.UTF-8", "POSIX", "de_DE.UTF-8", "tr_TR.UTF-8")
"""Those that a machine lacks are C to it."""
ZONES = ("UTC", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu")


def tried(desk: Desk) -> Iterator[Tally]:
    """The runs."""
    (count,) = desk.size(SIZES)
    for workers in (1, 2, 4) if desk.form == "full" else (2,):
        sweep = replace(SWEEP, workers=workers)
        tally = Tally("environments", f"{workers} worker{'s' * (workers > 1)}, any hash seed, locale and time zone")
        for number in range(count):
            with desk.trial(sweep) as trial:
                tally.count(trial.again(tally, trial.fresh(more=_surroundings(desk, workers, number))))
        yield tally
    if desk.form == "full":
        tally = Tally("environments", "two Dask workers, any hash seed, locale and time zone")
        for number in range(count):
            with desk.trial(SWEEP) as trial, Cluster(trial, 0) as cluster:
                for worker in range(2):
                    cluster.start_workers(1, _surroundings(desk, "dask", number, worker))
                process = trial.fresh(cluster.sweep(), _surroundings(desk, "client", number))
                tally.count(trial.again(tally, process))
        yield tally


def _surroundings(desk: Desk, *names: object) -> dict[str, str]:
    draw = desk.random("environments", *names)
    return {
        "PYTHONHASHSEED": str(draw.randrange(2**32)),
        "LC_ALL": draw.choice(LOCALES),
        "TZ": draw.choice(ZONES),
        "PYTHONIOENCODING": "utf-8",
    }
