r"""A test of the tests: run every check with something wrong underneath, and list the rows that never turn.

``python tools/doctored.py symmetry`` traces which functions of the pure rooms (``problems``, ``networks``,
``training``, ``kernels``, ``theory``) each check of the study calls, replaces them one at a time by a doctored one,
runs the check again and looks at its verdicts. A row that holds must be violated by some of these wrongs, otherwise
no measurement could have refuted it. The wrongs, the smallest first:

======================  ==============================================================================================
off by 1 %              numbers that a function returns times 1.01, weights each by up to 1 %; 0.01 where all are 0
one more                whole numbers (updates, counts) that it returns, and one
permuted                labels or rows that it returns, or labels that it is given, in another order
flipped                 labels and truth values that it returns, negated
halved, doubled         numbers and weights that it returns
an argument doubled     a real number that it is given (a step, a margin, a scale), one at a time
======================  ==============================================================================================

Bounds are never doctored while a room's function serves: a statement that compares a formula with itself is to be
found out. Only for rows that no room's function turns are the helpers of the study's own ``theorems`` off by 1 %
("formula"): where a statement is about formulas, as when a closed form is compared with an enumeration, that is all
there can be. A check that raises turns nothing. Rows that are violated already can fail, rows outside their
hypotheses or without a verdict say nothing: they are counted, not tried.

Each check is tried in a process of its own, so that a doctored loop that never ends costs a time limit and no more.
``--out FILE`` keeps what was found as JSON; a statement that is there already is not tried again.
``--page`` writes ``docs/verdicts/doctored.md`` from it.

``--tables FOLDER`` tries the claims of figures instead, on the tables that ``learnability run --out FOLDER`` left
there: what was measured is doctored column by column (halved, doubled, less by one, taken from 1, permuted over the
rows, negated). A claim is a function of the table alone, so that this takes seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import functools
import importlib
import inspect
import json
import math
import os
import pkgutil
import queue
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

ROOMS = ("problems", "networks", "training", "kernels", "theory")
PAGE = Path(__file__).parents[1] / "docs" / "verdicts" / "doctored.md"
SMALL, HALF, TWICE = Fraction(101, 100), Fraction(1, 2), Fraction(2)
REASONS: Mapping[str, str] = {}
"""Why a row that never turns stays, by the start of its id."""


# Wrong values -------------------------------------------------------------------------------------------------


def kinds(value: Any, depth: int = 0) -> set[str]:
    """What there is to be wrong in a value: number, count, labels, truth, rows."""
    if value is None or depth > 4 or isinstance(value, str | np.random.Generator):
        return set()
    if isinstance(value, bool | np.bool_):
        return {"truth"}
    if isinstance(value, int | np.integer):
        return {"count"}
    if isinstance(value, float | np.floating | Fraction):
        return {"number"}
    if _is_array(value):
        return _array_kinds(value)
    if isinstance(value, types.FunctionType | functools.partial):
        return {"number", "rows"}  # what it will return is not known yet
    if isinstance(value, types.GeneratorType):
        return {"number", "count", "rows"}
    return {kind for part in _parts(value).values() for kind in kinds(part, depth + 1)}


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _array_kinds(value: Any) -> set[str]:
    found = {"rows"} if value.ndim and len(value) > 1 else set()
    if not _concrete(value):
        return {*found, "number"}
    if value.dtype.kind == "b":
        return {*found, "truth"}
    if value.size and value.dtype.kind in "fi" and bool(np.all(np.abs(np.asarray(value)) == 1)):
        return {*found, "labels"}
    return found | {"f": {"number"}, "i": {"count"}, "u": {"count"}}.get(value.dtype.kind, set())


def _concrete(value: Any) -> bool:
    """Whether an array holds numbers: one that JAX is tracing does not."""
    return "Tracer" not in type(value).__name__


def _parts(value: Any) -> dict[Any, Any]:
    """Fields, entries or items of a value that is made of others."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and type(value).__name__ not in ("Guarantee", "Hypothesis"):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}


def wrong(value: Any, how: str) -> Any:
    """The value as a function that is wrong would have returned it."""
    if value is None or isinstance(value, str | np.random.Generator):
        return value
    if isinstance(value, bool | np.bool_):
        return (not value) if how == "flipped" else value
    if isinstance(value, int | np.integer):
        return value + 1 if how == "one more" else value * 2 if how == "doubled" else value
    if isinstance(value, float | np.floating | Fraction):
        if how == "off by 1 %" and value == 0:
            return value + 0.01
        factor = _FACTORS.get(how, Fraction(1))
        return value * factor if isinstance(value, Fraction) else type(value)(float(value) * float(factor))
    if _is_array(value):
        return _wrong_array(value, how)
    if isinstance(value, types.FunctionType | functools.partial):
        return lambda *given, **named: wrong(value(*given, **named), how)
    if isinstance(value, types.GeneratorType):
        return (wrong(item, how) for item in value)
    parts = {name: wrong(part, how) for name, part in _parts(value).items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*parts.values())
    if isinstance(value, tuple | list):
        return type(value)(parts.values())
    if isinstance(value, dict):
        return parts
    if parts:
        other = copy.copy(value)
        for name, part in parts.items():
            object.__setattr__(other, name, part)
        return other
    return value


_FACTORS = {"off by 1 %": SMALL, "halved": HALF, "doubled": TWICE}


def _wrong_array(value: Any, how: str) -> Any:
    there = _array_kinds(value)
    if how == "permuted" and "rows" in there:
        return value[[*range(1, len(value)), 0]]
    if how == "flipped":
        return -value if "labels" in there else ~value if "truth" in there else value
    if how == "one more" and "count" in there:
        return value + 1
    if how not in _FACTORS or "number" not in there or value.dtype.kind != "f":
        return value
    if how == "off by 1 %" and _concrete(value):
        if not np.any(np.asarray(value)):
            return value + value.dtype.type(0.01)
        signs = np.cos(np.arange(1.0, value.size + 1.0)).reshape(value.shape)  # entry by entry: networks scale
        return value * (1 + 0.01 * signs).astype(value.dtype)
    return value * value.dtype.type(float(_FACTORS[how]))


# Functions and their places -----------------------------------------------------------------------------------


class Place(NamedTuple):
    """A function, method or property that can be replaced: where it is known, and by which names."""

    name: str
    original: Any
    owners: tuple[tuple[Any, str], ...]

    def put(self, other: Any) -> None:
        """Have everybody who knows the function call another."""
        for owner, name in self.owners:
            setattr(owner, name, other)

    def taken(self, act: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]) -> Any:
        """What stands in its place and lets ``act(function, given, named)`` do the work."""
        kind = type(self.original)
        if kind in (property, functools.cached_property):
            inner = self.original.fget if kind is property else self.original.func
            return property(functools.wraps(inner)(lambda *given: act(inner, given, {})))
        inner = self.original.__func__ if kind in (staticmethod, classmethod) else self.original

        @functools.wraps(inner)
        def doctored(*given: Any, **named: Any) -> Any:
            return act(inner, given, named)

        return kind(doctored) if kind in (staticmethod, classmethod) else doctored


def places(rooms: Iterable[str]) -> list[Place]:
    """Every public function, method and property of the rooms, with all modules and classes that know it."""
    known: dict[int, tuple[str, Any, list[tuple[Any, str]]]] = {}
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("learnability")]
    inside = tuple(f"learnability.{room}" for room in rooms)
    for module in modules:
        if not module.__name__.startswith(inside) or module.__name__.endswith(
            ("theory.guarantee", "theory.aggregate")
        ):
            continue  # what judges is no part of what is judged
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            short = module.__name__.removeprefix("learnability.")
            if inspect.isclass(value):
                for part, member in sorted(vars(value).items()):
                    if _replaceable(member) and (part == "__call__" or not part.startswith("_")):
                        known[id(member)] = f"{short}.{name}.{part}", member, [(value, part)]
            elif _replaceable(value):
                known[id(value)] = f"{short}.{name}", value, []
    for module in modules:
        for name, value in list(vars(module).items()):
            if id(value) in known and not inspect.isclass(value):
                known[id(value)][2].append((module, name))
    return [Place(name, value, tuple(owners)) for name, value, owners in known.values() if owners]


def _replaceable(value: Any) -> bool:
    # A compiled function is skipped: others have compiled it into themselves, and what calls it from Python does not.
    plain = isinstance(
        value,
        types.FunctionType | functools._lru_cache_wrapper | property | functools.cached_property | staticmethod
        | classmethod,
    )  # fmt: skip
    return plain or type(value).__name__ == "PjitFunction"


def everything() -> None:
    """Import the whole package, so that every module that knows a function is there."""
    import learnability

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.walk_packages(learnability.__path__, "learnability."):
            if "__main__" not in module.name and ".cli" not in module.name and ".explore" not in module.name:
                with contextlib.suppress(ImportError):  # an extra that is not installed
                    importlib.import_module(module.name)


def fresh() -> None:
    """Forget what functions remember of what others returned."""
    for module in [module for name, module in sys.modules.items() if name.startswith("learnability")]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


# One check ----------------------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """One thing that is wrong: what, and with what effect on a call."""

    told: str
    place: Place
    act: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def traced(run: Callable[[], Any], candidates: Sequence[Place]) -> tuple[Any, dict[str, dict[str, set[str]]]]:
    """What a check returns, and for each function that it calls the kinds of values given (by name) and returned."""
    seen: dict[str, dict[str, set[str]]] = {}
    lock = threading.Lock()

    def watch(place: Place) -> Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]:
        def act(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            returned = function(*given, **named)
            with lock:
                entry = seen.setdefault(place.name, {"return": set()})
                entry["return"] |= kinds(returned)
                for name, value in _named(function, given, named).items():
                    if isinstance(value, float | np.floating | Fraction) or (_is_array(value) and value.ndim == 1):
                        entry.setdefault(name, set()).update(kinds(value))
            return returned

        return act

    for place in candidates:
        place.put(place.taken(watch(place)))
    try:
        return run(), seen
    finally:
        for place in candidates:
            place.put(place.original)


def _named(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(inspect.signature(function).bind(*given, **named).arguments)
    except (TypeError, ValueError):
        return dict(named)


def wrongs(seen: Mapping[str, Mapping[str, set[str]]], candidates: Sequence[Place], *, few: bool) -> Iterator[Wrong]:
    """What can be wrong in the functions that a check called, the smallest wrong first."""
    places = {place.name: place for place in candidates if place.name in seen}
    needs = {
        "off by 1 %": {"number"},
        "one more": {"count"},
        "permuted": {"rows"},
        "flipped": {"labels", "truth"},
    }

    def returned(how: str, need: set[str]) -> Iterator[Wrong]:
        for name, place in places.items():
            if seen[name]["return"] & need:
                yield Wrong(
                    f"{name} {how}", place, lambda function, given, named: wrong(function(*given, **named), how)
                )

    for how, need in needs.items():
        yield from returned(how, need)
    if few:
        return
    yield from returned("halved", {"number"})
    yield from returned("doubled", {"number", "count"})
    for name, place in places.items():
        for argument, there in seen[name].items():
            if argument != "return" and there & {"number", "labels"}:
                how = "permuted" if "labels" in there else "doubled"
                yield Wrong(f"{name}({argument} {how})", place, functools.partial(_given, argument, how))


def _given(
    argument: str, how: str, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    try:
        bound = inspect.signature(function).bind(*given, **named)
    except (TypeError, ValueError):
        return function(*given, **named)
    if argument in bound.arguments:
        bound.arguments[argument] = wrong(bound.arguments[argument], how)
    return function(*bound.args, **bound.kwargs)


def answers(
    verdicts: Callable[[], Mapping[str, str]],
    base: Mapping[str, str],
    rooms: Sequence[Place],
    formulas: Sequence[Place] = (),
    start: int = 0,
) -> Iterator[dict[str, Any]]:
    """How many wrongs there are to try, and then which rows each of them turned."""
    _, seen = traced(verdicts, [*rooms, *formulas])
    tried = [*wrongs(seen, rooms, few=False), *wrongs(seen, formulas, few=True)]
    yield {"count": len(tried)}
    for number, one in enumerate(tried[start:], start):
        one.place.put(one.place.taken(one.act))
        try:
            after = verdicts()
            turned = [id for id, verdict in base.items() if verdict == "holds" and after.get(id) == "violated"]
            yield {"number": number, "told": one.told, "formula": one.place in formulas, "turned": turned}
        except Exception as error:
            yield {"number": number, "told": one.told, "raised": f"{type(error).__name__}: {error}"[:200]}
        finally:
            one.place.put(one.place.original)


def work(statement: str, scale: str, start: int) -> None:
    """Try one check, and say on standard output what came of each wrong, a line of JSON each."""
    said = sys.stdout
    sys.stdout = sys.stderr  # what a check prints is not an answer
    warnings.simplefilter("ignore")
    everything()
    from learnability.discovery import installed

    check = installed().statements[statement]

    def verdicts() -> dict[str, str]:
        fresh()
        return {g.id: str(g.verdict) for g in check.run(scale)}

    def tell(**what: Any) -> None:
        said.write(json.dumps(what) + "\n")
        said.flush()

    study = statement.partition("/")[0]
    verdicts()  # compiled now, and not within the time that is taken
    begun = time.perf_counter()
    base = verdicts()
    tell(base=base, seconds=time.perf_counter() - begun)
    for answer in answers(verdicts, base, places(ROOMS), places([f"studies.{study}.theorems"]), start):
        tell(**answer)
    tell(done=True)


# Figures ------------------------------------------------------------------------------------------------------


def tables(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """For every figure with a table in a folder of results what turned each of its claims that hold."""
    import duckdb

    from learnability.discovery import installed

    for id, experiment in installed().experiments.items():
        path = folder / id / "laptop" / "table.parquet"
        if not path.exists() or experiment.claims is None or (names and not {id, id.partition("/")[0]} & set(names)):
            continue
        table: Any = duckdb.read_parquet(str(path)).df()
        given = {name for scale in experiment.scales.values() for cell in scale.settings for name in cell}
        base = {g.id: str(g.verdict) for g in experiment.claims(table)}
        one: dict[str, Any] = {"rows": base, "turned": {}}
        for told, doctored in _doctored_tables(table, sorted(given & {*table})):
            if not never(one):
                break
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                after = {g.id: str(g.verdict) for g in experiment.claims(doctored)}
                for row in never(one):
                    if after.get(row) == "violated":
                        one["turned"][row] = [told, False]
        yield id, one


def _doctored_tables(table: Any, given: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """A table with a measured column wrong everywhere, or wherever a setting has one of its few values."""
    rng = np.random.default_rng(0)
    changes: dict[str, Callable[[Any], Any]] = {
        "halved": lambda column: column / 2,
        "doubled": lambda column: column * 2,
        "one more": lambda column: column + 1,
        "one less": lambda column: column - 1,
        "taken from 1": lambda column: 1 - column,
        "negated": lambda column: -column,
        "permuted": lambda column: column.to_numpy()[rng.permutation(len(column))],
    }
    cells = {
        f" where {name} is {value}": table[name] == value for name in given for value in table[name].unique()[:4]
    }
    for where, rows in {"": np.full(len(table), True), **cells}.items():
        for how, change in changes.items():
            for name in table.columns.difference([*given, "seed"]):
                column = table[name]
                if column.dtype.kind == "b":
                    other = ~column if how == "taken from 1" else change(column) if how == "permuted" else column
                elif column.dtype.kind in "fi" or how == "permuted":
                    other = change(column)
                else:
                    continue
                yield f"{name} {how}{where}", table.assign(**{name: column.where(~np.asarray(rows), other)})


# All of them --------------------------------------------------------------------------------------------------


def tried(statement: str, scale: str, limit: float) -> dict[str, Any]:
    """What came of one check: its rows, what turned each first, what raised and what never ended."""
    found: dict[str, Any] = {"rows": {}, "turned": {}, "tried": 0, "raised": 0, "hung": []}
    start, last = 0, ""
    begun = time.monotonic()
    while True:
        command = [sys.executable, __file__, "--worker", statement, "--scale", scale, "--start", str(start)]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **threads}
        ) as worker:
            lines: queue.Queue[str] = queue.Queue()
            assert worker.stdout is not None
            threading.Thread(target=_forward, args=(worker.stdout, lines)).start()
            patience, ended = 600.0, False
            try:
                while not ended:
                    line = lines.get(timeout=patience)
                    answer: dict[str, Any] = json.loads(line) if line else {"died": True}
                    if "base" in answer:
                        found["rows"], found["seconds"] = answer["base"], answer["seconds"]
                    elif "count" in answer:
                        found["count"], patience = answer["count"], 10.0 + 5 * found["seconds"]
                    elif "number" in answer:
                        start, last = answer["number"] + 1, answer["told"]
                        found["tried"] += 1
                        found["raised"] += "raised" in answer
                        for id in answer.get("turned", ()):
                            found["turned"].setdefault(id, [answer["told"], bool(answer["formula"])])
                    waits = [id for id, v in found["rows"].items() if v == "holds" and id not in found["turned"]]
                    ended = bool("done" in answer or "died" in answer or (bool(found["rows"]) and not waits))
                    if "died" in answer and start == 0:
                        raise RuntimeError(f"{statement} cannot be run at all")
                    if time.monotonic() - begun > limit:
                        found["unfinished"] = ended = True
                if "died" not in answer:
                    return found
            except queue.Empty:
                pass
            finally:
                worker.kill()
        found["hung"].append(f"after {last or 'the first'}")  # a loop that never ends, or a process that died
        start += 1


def _forward(stream: IO[str], lines: queue.Queue[str]) -> None:
    """Lines of a process as they come, and an empty one when it has ended."""
    for line in stream:
        lines.put(line)
    lines.put("")


def never(found: Mapping[str, Any]) -> list[str]:
    """Rows of a check that held and that nothing turned."""
    return [id for id, verdict in found["rows"].items() if verdict == "holds" and id not in found["turned"]]


def reason(id: str) -> str:
    """Why such a row stays."""
    return next((text for start, text in REASONS.items() if id.startswith(start)), "")


def page(found: Mapping[str, Mapping[str, Any]], scale: str) -> str:
    """The table of the documentation."""
    lines = [
        "# Could it have failed?",
        "",
        f"Made by `python tools/doctored.py --scale {scale} --out FILE --page`, which runs every check with",
        "something wrong underneath: numbers and weights off by 1 %, counts by one, labels permuted or flipped, a",
        "step or a margin doubled, weights halved or doubled. A row that holds must be violated by some of it. *By a",
        "formula only* counts rows that only a wrong formula of the study's own turns: they compare formulas.",
        "",
        "| statement | rows | hold | turn | of these by a formula only | outside | without a verdict | never turn |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        verdicts = list(one["rows"].values())
        formula = sum(by for _, by in one["turned"].values())
        numbers = [
            len(verdicts),
            verdicts.count("holds"),
            len(one["turned"]),
            formula,
            verdicts.count("outside_hypotheses"),
            verdicts.count("number"),
            len(never(one)),
        ]
        lines.append(f"| `{name}` | {' | '.join(str(number or '') for number in numbers)} |")
    open_ = [id for one in found.values() for id in never(one)]
    lines += ["", f"Rows that never turn: {len(open_) or 'none'}."]
    if open_:
        lines += ["", "| row | why it stays |", "|---|---|", *(f"| `{id}` | {reason(id)} |" for id in open_)]
    lines += ["", "What turns each row first:", "", "| row | turned by |", "|---|---|"]
    lines += [f"| `{id}` | {told} |" for one in found.values() for id, (told, _) in one["turned"].items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the checks named, or all; status 1 if a row never turns and no reason stands for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="studies or statements; by default all")
    parser.add_argument("--scale", default="smoke", choices=("smoke", "laptop"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds for one check")
    parser.add_argument("--out", type=Path, help="JSON file of what was found, read first if it is there")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--tables", type=Path, help="folder of results: try the claims of figures on their tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.worker:
        work(chosen.worker, chosen.scale, chosen.start)
        return 0
    if chosen.tables:
        open_ = 0
        for id, one in tables(chosen.tables, chosen.names):
            verdicts = list(one["rows"].values())
            print(f"{id}: {len(one['turned'])} of {verdicts.count('holds')} that hold turn", flush=True)
            for row in never(one):
                print(f"    never: {row} {reason(row)}")
                open_ += not reason(row)
        return int(bool(open_))
    from learnability.discovery import installed

    every = list(installed().statements)
    wanted = [name for name in every if not chosen.names or {name, name.partition("/")[0]} & set(chosen.names)]
    if not wanted:
        parser.error(f"no statement is called {', '.join(chosen.names)}")
    found: dict[str, Any] = {}
    if chosen.out and chosen.out.exists():
        found = {name: one for name, one in json.loads(chosen.out.read_text()).items() if name in every}
    waiting = [name for name in wanted if name not in found or found[name].get("unfinished")]
    lock = threading.Lock()

    def attempt(name: str) -> None:
        result = tried(name, chosen.scale, chosen.limit)
        with lock:
            found[name] = result
            told = f"{name}: {len(result['turned'])} turn, {len(never(result))} never; {result['tried']} wrongs tried"
            ended = f"{result['raised']} raised, {len(result['hung'])} never ended"
            print(f"{told}, {ended}{', out of time' if 'unfinished' in result else ''}", flush=True)
            for id in never(result):
                print(f"    never: {id} {reason(id)}", flush=True)
            if chosen.out:
                chosen.out.write_text(json.dumps({name: found[name] for name in every if name in found}, indent=1))

    with ThreadPoolExecutor(chosen.workers) as pool:
        list(pool.map(attempt, waiting))
    ordered = {name: found[name] for name in every if name in found}
    if chosen.page:
        PAGE.write_text(page(ordered, chosen.scale))
    unexplained = [id for name in wanted for id in never(found[name]) if not reason(id)]
    print(f"{len(unexplained)} rows never turn and no reason is given")
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
