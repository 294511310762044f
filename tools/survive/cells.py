"""Cells that survive: nothing but integer arithmetic, the same on every machine, for ``python -m tools.survive``.

A cell goes ``work`` steps through a generator of whole numbers, sleeps ``pause`` seconds and returns ``rows`` rows
with a column of every kind. The cell number ``bad`` with seed 0 may have another fate: it fails, dies or hangs, at
every attempt, or dies once (``once``). What ran how often is told by a file, if the environment names one: a byte
that is appended there at the start of each cell and another at its end, never a part of the rows.
"""

import os
import signal
import time

from learnability.evidence import claim, mean
from learnability.plotting import Panel, Plot, over_seeds
from learnability.study import Experiment, Scale

TALLY = "SURVIVE_TALLY"
"""Environment variable with the path of the file that tells what ran."""
MODULUS = 2**61 - 1


def walked(state, steps):
    """The state after so many steps of Lehmer's generator."""
    for _ in range(steps):
        state = state * 437799614237992725 % MODULUS
    return state


def tell(word):
    """Append a byte to the file that tells, in one step: any number of processes may."""
    if os.environ.get(TALLY):
        file = os.open(os.environ[TALLY], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, word)
        os.close(file)


def meet(fate):
    """Fail, die or hang."""
    if fate == "fails":
        raise RuntimeError("this cell always fails")
    if fate == "dies" or (fate == "once" and not os.path.exists(os.environ[TALLY] + ".once")):
        if fate == "once":
            open(os.environ[TALLY] + ".once", "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    while fate == "hangs":
        time.sleep(0.1)


def run(setting, seed):
    """A cell."""
    tell(b"(")
    if seed == 0:
        meet(setting["fate"])
    state = walked(1 + 1000 * setting["cell"] + seed, setting["work"] + 10)
    time.sleep(setting["pause"])
    rows = []
    for step in range(setting["rows"]):
        state = walked(state, 1)
        share = state / MODULUS
        rows.append({"step": step, "share": share, "state": state, "upper": share > 0.5, "side": "<$>"[state % 3]})
    tell(b")")
    return rows


def figure(table):
    """Shares against steps, a band for each third of the cells: their mean for each seed."""
    means = table.groupby([table["cell"] % 3, "seed", "step"])["share"].mean().reset_index()
    curves = [over_seeds(part, "step", "share", label=f"cells {third}") for third, part in means.groupby("cell")]
    return Plot([Panel(curves, xlabel="step", ylabel="share", ylim=(0, 1))])


def claims(table):
    """Half of the way on average, and what nobody can deny."""
    shares = table.groupby("seed")["share"].mean()
    return [
        claim("half", 0.25, mean(shares - 0.5).distance(), "at_most", "mean share over cells, less a half"),
        claim("within", 1.0, float(table["share"].max()), "at_most"),
        claim("both-sides", 0.0, float(table["upper"].mean()), "at_least"),
    ]


def settings(cells=20, work=1000, pause=0.0, rows=3, bad=0, fate=""):
    """Cells 0, 1, ...; all but the bad one fare well."""
    if fate not in ("", "fails", "dies", "once", "hangs"):
        raise ValueError(f"fate must be fails, dies, once or hangs, got {fate!r}")
    plain = {"work": work, "pause": pause, "rows": rows}
    return [{"cell": k, **plain, "fate": fate if fate and k == bad else "well"} for k in range(cells)]


EXPERIMENT = Experiment(
    title="Cells that survive", run=run, figure=figure, claims=claims, scales=Scale(settings, 3, 3)
)
