"""A small experiment with known rows, for the tests of sweep, results, report and command line.

A module of its own, so that worker processes can import what they run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from learnability import discovery, plotting, sweep
from learnability.discovery import Catalogue
from learnability.seeding import generator
from learnability.study import Check, Experiment, Home, Row, Scale, Setting, Study
from learnability.theory import Guarantee, Hypothesis, Kind


def pass_gate(gate: Path) -> None:
    """Take away one of the files in the folder ``gate``; wait for one where there is none, and say so beside it."""
    while True:
        for ticket in gate.iterdir():
            with suppress(FileNotFoundError):  # another process was faster
                ticket.unlink()
                return
        gate.with_name(f"waiting-{os.getpid()}").touch()
        time.sleep(0.02)


def walk(setting: Setting, seed: int) -> list[Row]:
    """A random walk of ``n`` steps; slow, failing or deadly where the setting says so."""
    if "TOYS_GATE" in os.environ:
        pass_gate(Path(os.environ["TOYS_GATE"]))
    if setting.get("fails"):
        raise RuntimeError("this cell\nfails")
    if "dies" in setting and not Path(str(setting.get("once", "no such file"))).exists():
        if "once" in setting:
            Path(str(setting["once"])).touch()
        how = int(setting["dies"])  # the process's return code, as subprocess tells it
        os._exit(how) if how >= 0 or os.name != "posix" else os.kill(os.getpid(), -how)
    time.sleep(float(setting.get("sleep", 0.0)))
    position = generator(seed, "walk", int(setting["n"])).normal(size=int(setting["n"])).cumsum()
    return [
        {"step": k, "position": value, "side": "left" if value < 0 else "right", "far": abs(value) > 1}
        for k, value in enumerate(position)
    ]


def draw(table: pd.DataFrame) -> Any:
    figure, (ax,) = plotting.panels()
    for n, part in table.groupby("n"):
        plotting.band(ax, part, "step", "position", label=f"n = {n}")
    ax.legend()
    return figure


def judge(table: pd.DataFrame) -> list[Guarantee]:
    furthest = float(table["position"].abs().max())
    return [
        Guarantee("toy/walk[finite]", "Nobody, Figure 1", Kind.UPPER_BOUND, 1e3, furthest),
        Guarantee("toy/walk[moves]", "Nobody, Figure 1", Kind.LOWER_BOUND, 0.0, furthest),
    ]


def violated(table: pd.DataFrame) -> list[Guarantee]:
    return [Guarantee("toy/false[all]", "Nobody", Kind.UPPER_BOUND, -1.0, 0.5, note="a | b")]


def needs_every_cell(table: pd.DataFrame) -> Any:
    raise KeyError(f"only {len(table)} rows")


STUDIES = {name: Study(name, "Nobody", "Nobody. Nothing. 2000.") for name in ("other", "toy")}
HOMES = {name: Home(study, packaged=True) for name, study in STUDIES.items()}


def scales(*settings: Setting, seeds: tuple[int, int] = (2, 3)) -> Mapping[str, Scale]:
    """Two cells at ``smoke``, all of them at ``laptop`` and ``paper``."""
    small, full = Scale(settings[:2], seeds[0], 0.1), Scale(settings, seeds[1], 0.1)
    return {"smoke": small, "laptop": full, "paper": full}


def experiment(identity: str, *settings: Setting, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "title": f"Title of {identity}",
        "source": "Nobody, Figure 1",
        "revision": 1,
        "scales": scales(*settings),
        "run": walk,
        "figure": draw,
        "claims": judge,
        "id": identity,
        "home": HOMES[identity.partition("/")[0]],
    }
    return Experiment(**{**fields, **changes})


SMALL = ({"n": 3}, {"n": 5}, {"n": 8})

TOYS = {
    toy.id: toy
    for toy in (
        experiment("other/fig1", *SMALL),
        experiment("toy/failing", {"n": 3}, {"n": 4, "fails": True}),
        experiment("toy/false", *SMALL, claims=violated),
        experiment(
            "toy/partial", {"n": 3}, {"n": 4, "fails": True}, figure=needs_every_cell, claims=needs_every_cell
        ),
        experiment("toy/slow", scales=scales(*({"n": n, "sleep": 0.4} for n in range(1, 9)), seeds=(1, 1))),
        experiment("toy/walk", *SMALL),
    )
}


def bounded(scale: str) -> list[Guarantee]:
    n = {"smoke": 2, "laptop": 3}[scale]
    met = Hypothesis("n small", True, f"n = {n}")
    return [Guarantee(f"toy/lemma1[n={n}]", "Nobody, Lemma 1", Kind.UPPER_BOUND, 1.0, 0.25, (met,))]


def unmet(scale: str) -> list[Guarantee]:
    return [
        Guarantee("toy/lemma2", "Nobody, Lemma 2", Kind.UPPER_BOUND, 1.0, 9.0, (Hypothesis("n large", False),)),
        Guarantee("toy/lemma2[open]", "Nobody, Lemma 2", Kind.LOWER_BOUND, float("inf")),
    ]


def wrong(scale: str) -> list[Guarantee]:
    return [Guarantee("toy/theorem1", "Nobody, Theorem 1", Kind.EXACT, 1.0, 2.0)]


def crashes(scale: str) -> list[Guarantee]:
    raise ZeroDivisionError("in the middle")


CHECKS = {
    f"toy/{name}": Check(name, source, run, home=HOMES["toy"])
    for name, source, run in (
        ("lemma1", "Nobody, Lemma 1", bounded),
        ("lemma2", "Nobody, Lemma 2", unmet),
        ("theorem1", "Nobody, Theorem 1", wrong),
        ("unfinished", "Nobody", crashes),
    )
}


CATALOGUE = Catalogue(STUDIES, TOYS, CHECKS, HOMES)


def tasks(toy: Experiment, scale: str, seeds: int | None = None) -> list[sweep.Task]:
    """The tasks of a toy at a scale."""
    return sweep.tasks(toy, toy.size(scale)[1], seeds)


def main() -> None:
    """The command line with the toys in place of the real experiments, for tests in a process of its own."""
    from learnability import cli
    from learnability.cli import terminal

    terminal.FIRST_LINE = 1e3  # no line of progress, however busy the machine is
    discovery.installed = lambda *_: CATALOGUE  # type: ignore[assignment]
    cli.main()


def environment() -> dict[str, str]:
    """An environment in which ``python -m toys`` finds this module, and nothing depends on the terminal."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LEARNABILITY_DEBUG", "COLUMNS")}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


if __name__ == "__main__":
    # The module's own name, so that a function shipped to a worker is importable there.
    import toys

    toys.main()
    sys.exit()
