"""Hard margins beside quadratic solvers and support vector machines: ``python -m benchmarks.margins``.

The least w with y_k w . v_k >= 1 for all k, float64, one thread each. Gaussian points (m, d), labelled by a random
direction and moved apart along it by ``margin`` to each side; or by 1, with one point midway between two of the other
label; or with random labels. Beside
:func:`learnability.theory.margins.hard_margin`, which also proves what it says:

- ``quadprog``: the same method (Goldfarb and Idnani's) in C; ``DAQP``: a dual active-set method in C;
- ``Clarabel``: an interior point method;
- ``SVC``: scikit-learn's, linear, C = 1e10, tol 1e-6, on the points and their mirror images (whose best intercept is
  0: the hyperplanes here go through the origin); ``one class``: scikit-learn's OneClassSVM with nu = 1 / m, which
  poses the same problem without the mirror images;
- ``LP``: HiGHS (SciPy) asked only whether there is such a w.

Each way runs in a process of its own, which is given up after a time and may take 8 GiB. ``gap`` is how much of the
largest margin a way's w does not reach, relative, by what :func:`hard_margin` proves no hyperplane exceeds; x: wrong
verdict on whether the points are separable. They are if any way's w separates them in directed rounding. Ratios are
medians of alternating calls over this library's, with the interval for the fastest rival that is right: its verdict,
and where the points are separable a gap of at most 1e-6. The worst cells come first.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import common
from learnability import seeding
from learnability.theory.margins import hard_margin
from learnability.theory.margins.points import Points

MINUTES = {"full": 15, "short": 1}

Array = NDArray[np.float64]
Answer = tuple[Array | None, bool]
"""w, and whether the points are said to be separable."""
MEMORY = 8 * 2**30
"""Bytes of addresses that a way may take."""
FINE = 1e-6
"""Gap up to which a margin counts as found."""
CONTRADICTED, RANDOM = "contradicted", "random labels"


# Ways ---------------------------------------------------------------------------------------------------------


def ours(V: Array, y: Array) -> Answer:
    found = hard_margin(V, y)
    return found.w, found.separable


def quadprog(V: Array, y: Array) -> Answer:
    from quadprog import solve_qp

    m, d = V.shape
    try:
        return solve_qp(np.eye(d), np.zeros(d), (y[:, None] * V).T, np.ones(m))[0], True
    except ValueError as error:
        if "inconsistent" not in str(error):
            raise
        return None, False


def daqp(V: Array, y: Array) -> Answer:
    from daqp import solve

    m, d = V.shape
    P, kinds = y[:, None] * V, np.zeros(m, dtype=np.int32)
    w, _, flag, _ = solve(np.eye(d), np.zeros(d), P, np.full(m, 1e30), np.ones(m), kinds, iter_limit=10**7)
    return w, flag > 0


def clarabel(V: Array, y: Array) -> Answer:
    from clarabel import DefaultSettings, DefaultSolver, NonnegativeConeT
    from scipy import sparse

    m, d = V.shape
    settings = DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    P, rows = sparse.identity(d, format="csc"), sparse.csc_matrix(-y[:, None] * V)
    found = DefaultSolver(P, np.zeros(d), rows, -np.ones(m), [NonnegativeConeT(m)], settings).solve()
    return np.array(found.x), "Solved" in str(found.status)


def svc(V: Array, y: Array) -> Answer:
    from sklearn.svm import SVC

    P = y[:, None] * V
    machine = SVC(kernel="linear", C=1e10, tol=1e-6, cache_size=1000)
    machine.fit(np.vstack([P, -P]), np.repeat([1.0, -1.0], len(P)))
    w = machine.coef_.ravel()
    return w, bool((P @ w).min() > 0)


def one_class(V: Array, y: Array) -> Answer:
    from sklearn.svm import OneClassSVM

    P = y[:, None] * V
    w = OneClassSVM(kernel="linear", nu=1 / len(P), tol=1e-6, cache_size=1000).fit(P).coef_.ravel()
    return w, bool((P @ w).min() > 0)


def lp(V: Array, y: Array) -> Answer:
    from scipy.optimize import linprog

    m, d = V.shape
    found = linprog(np.zeros(d), A_ub=-y[:, None] * V, b_ub=-np.ones(m), bounds=(None, None), method="highs")
    return found.x, found.status == 0


class Way(NamedTuple):
    """A function, the module that it needs, and whether it looks for the largest margin."""

    label: str
    solve: Callable[[Array, Array], Answer]
    needs: str
    largest: bool = True


WAYS = {
    "ours": Way("this library", ours, "numpy"),
    "quadprog": Way("quadprog", quadprog, "quadprog"),
    "daqp": Way("DAQP", daqp, "daqp"),
    "clarabel": Way("Clarabel", clarabel, "clarabel"),
    "svc": Way("SVC", svc, "sklearn"),
    "one_class": Way("one class", one_class, "sklearn"),
    "lp": Way("LP", lp, "scipy", False),
}


# Cells --------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """Points and labels: how many, of how many coordinates, and how far apart."""

    m: int
    d: int
    margin: float | str

    def __str__(self) -> str:
        kind = self.margin if isinstance(self.margin, str) else f"{self.margin:g}"
        return f"{self.m:,} x {self.d} {kind}"

    def points(self) -> tuple[Array, Array]:
        """The points (m, d) and labels (m,)."""
        rng = seeding.generator(0, "benchmark margins", self.m, self.d)
        V, w = rng.standard_normal((self.m, self.d)), rng.standard_normal(self.d)
        w /= np.linalg.norm(w)
        y = np.where(V @ w >= 0, 1.0, -1.0)
        if self.margin == RANDOM:
            return V, rng.choice([-1.0, 1.0], self.m)
        V += np.multiply.outer((1.0 if isinstance(self.margin, str) else self.margin) * y, w)
        if self.margin == CONTRADICTED:
            V[0], y[0] = V[np.flatnonzero(y[1:] > 0)[:2] + 1].mean(axis=0), -1.0
        return V, y


class Effort(NamedTuple):
    """Cells, the rounds of each, and seconds after which a way is given up: a call, and all rounds of one."""

    cells: tuple[Cell, ...]
    windows: int
    limit: float


def _cells(sizes: tuple[tuple[int, int], ...], margins: tuple[float | str, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(m, d, margin) for m, d in sizes for margin in margins)


SMALL = ((100, 10), (1000, 20), (200, 400), (1000, 200))
PLANTED = Cell(60_000, 784, 0.1)
FULL = Effort(
    (*_cells((*SMALL, (5000, 100), (2000, 784)), (1.0, 1e-2, 1e-6, CONTRADICTED, RANDOM)), PLANTED), 5, 6.0
)  # fmt: skip
SHORT = Effort(_cells(SMALL, (1.0, 1e-6, CONTRADICTED)), 5, 1.0)
QUICK = Effort(_cells(((30, 3),), (1.0, 1e-6, CONTRADICTED, RANDOM)), 2, 20.0)


# Measuring ----------------------------------------------------------------------------------------------------


def _work(way: Way, cell: Cell, pipe: Any) -> None:
    """Answer every call of the pipe with seconds, w and the verdict, or with what went wrong."""
    warnings.simplefilter("ignore")
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    V, y = cell.points()
    while pipe.recv():
        begin = time.perf_counter()
        try:
            w, separable = way.solve(V, y)
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return
        pipe.send((time.perf_counter() - begin, w, separable))


class Worker:
    """A way on a cell in a process of its own."""

    def __init__(self, way: Way, cell: Cell, limit: float) -> None:
        context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork")
        self.pipe, other = context.Pipe()
        self.limit, self.process = limit, context.Process(target=_work, args=(way, cell, other), daemon=True)
        self.process.start()

    def call(self) -> tuple[float, Array | None, bool]:
        """Solve once; TimeoutError after the limit, RuntimeError of what the way could not do."""
        self.pipe.send(True)
        if not self.pipe.poll(self.limit):
            raise TimeoutError(f"> {self.limit:g} s")
        answer = self.pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer  # type: ignore[no-any-return]

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def compare(cell: Cell, effort: Effort) -> dict[str, Any]:
    """Time all ways on a cell in turns, and judge what they found."""
    V, y = cell.points()
    proved, points = hard_margin(V, y), Points(V, y)
    limit = effort.limit * (10 if cell == PLANTED else 1)
    workers: dict[str, Worker] = {}
    rows: dict[str, dict[str, Any]] = {}
    try:
        for name, way in WAYS.items():
            if not common.is_installed(way.needs):
                continue
            worker = Worker(way, cell, limit)
            rows[name] = {"label": way.label}
            try:
                _, w, said = worker.call()
            except (TimeoutError, RuntimeError, EOFError) as reason:
                rows[name]["failed"] = "ended" if isinstance(reason, EOFError) else str(reason)
                worker.stop()
                continue
            workers[name] = worker
            usable = w is not None and bool(np.isfinite(w).all()) and bool(np.any(w))
            rows[name] |= {"said": said, "margin": points.at_least(w) * points.unit if usable and said else 0.0}
        loops = {name: (lambda worker=worker: worker.call()[0]) for name, worker in workers.items()}
        times = common.alternating(loops, effort.windows if cell != PLANTED else 1, warm=False)
    finally:
        for worker in workers.values():
            worker.stop()
    separable = any(row.get("margin", 0.0) > 0 for row in rows.values())
    for name, samples in times.items():
        row = rows[name]
        row |= {"seconds": samples.median, "seconds_each": samples.values, "wrong": row["said"] != separable}
        row["ratio"] = common.ratio(samples, times["ours"])._asdict()
        row["gap"] = max(0.0, 1 - row["margin"] / proved.upper) if separable and WAYS[name].largest else None
    return {"cell": str(cell), **cell._asdict(), "separable": separable, "rows": rows}


def fastest(case: dict[str, Any]) -> tuple[str, dict[str, float]] | None:
    """The rival that is right in the least time, and its ratio; None if there is none."""
    right = [
        (row["ratio"]["ratio"], row["label"], row["ratio"])
        for name, row in case["rows"].items()
        if name != "ours" and "ratio" in row and not row["wrong"] and (row["gap"] or 0.0) <= FINE
        and (WAYS[name].largest or not case["separable"])
    ]  # fmt: skip
    return min(right)[1:] if right else None


def _table(cases: list[dict[str, Any]]) -> Any:
    names = [name for name in WAYS if any(name in case["rows"] for case in cases) and name != "ours"]

    def cells() -> Iterator[list[str]]:
        for case in sorted(cases, key=_worst):
            own, rival = case["rows"]["ours"], fastest(case)
            shown = "–" if rival is None else f"{rival[0]} {common.Ratio(**rival[1])}".replace(" to ", "-")
            yield [
                case["cell"], "yes" if case["separable"] else "no", _seconds(own["seconds"]), _judged(own), shown,
                *(_against(case["rows"][name]) for name in names),
            ]  # fmt: skip

    headings = ["m x d margin", "sep.", "ours", "gap", "fastest that is right", *(WAYS[name].label for name in names)]
    return common.table("Hard margins: times over this library's, and gaps", headings, cells())


def _worst(case: dict[str, Any]) -> float:
    rival = fastest(case)
    return float("inf") if rival is None else rival[1]["ratio"]


def _judged(row: dict[str, Any]) -> str:
    return "x" if row["wrong"] else "" if row["gap"] is None else f"{row['gap']:.0e}"


def _against(row: dict[str, Any]) -> str:
    return row["failed"][:9] if "failed" in row else f"{row['ratio']['ratio']:.2g} {_judged(row)}".strip()


def _seconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser("margins", __doc__, "few points", "up to 1,000 points")
    options = common.parse(parser, arguments)
    effort = QUICK if options.quick else SHORT if options.short else FULL
    console = common.console()
    for way in WAYS.values():
        if not common.is_installed(way.needs):
            console.print(f"{way.label} left out: {way.needs} is not installed (python -m pip install '.[bench]')")
    report: dict[str, Any] = {
        "machine": common.machine(),
        "load_average": {"start": psutil.getloadavg()},
        "cases": [],
    }
    for cell in effort.cells:
        report["cases"].append(compare(cell, effort))
        if sys.stderr.isatty():
            print(cell, file=sys.stderr)
    report["load_average"]["end"] = psutil.getloadavg()
    Console(width=max(console.width, 150)).print(_table(report["cases"]))  # cut, it would say little
    console.print(common.described(report["machine"]))
    console.print(common.load(report["load_average"]["start"], report["load_average"]["end"]))
    common.write(report, options.json)
    return report


if __name__ == "__main__":
    main(sys.argv[1:])
