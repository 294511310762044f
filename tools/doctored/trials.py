"""Trials of one check: what it calls, what can be wrong there, and which of its rows each wrong turns."""

from __future__ import annotations

import functools
import inspect
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tools.doctored.places import Act, Place, apart, everything, fresh, places
from tools.doctored.wrong import is_array, kinds, wrong

ROOMS = ("problems", "networks", "training", "kernels", "theory")


class Wrong(NamedTuple):
    """One thing that is wrong: what, and with what effect on a call."""

    told: str
    place: Place
    act: Act


def traced(run: Callable[[], Any], candidates: Sequence[Place]) -> tuple[Any, dict[str, dict[str, set[str]]]]:
    """What a check returns, and for each function that it calls the kinds of values given (by name) and returned."""
    seen: dict[str, dict[str, set[str]]] = {}
    lock = threading.Lock()

    def watch(place: Place) -> Act:
        def act(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            returned = function(*given, **named)
            with lock:
                entry = seen.setdefault(place.name, {"return": set()})
                entry["return"] |= kinds(returned)
                for name, there in _arguments(function, given, named).items():
                    entry.setdefault(name, set()).update(there)
            return returned

        return act

    for place in candidates:
        place.put(place.taken(watch(place)))
    try:
        return run(), seen
    finally:
        for place in candidates:
            place.put(place.original)


def _argument_kinds(value: Any) -> set[str]:
    """What there is to be wrong in an argument: a real number, labels, or the rows of points."""
    if isinstance(value, tuple | list):
        return kinds(value) & {"labels"}
    if is_array(value) and value.ndim == 2:
        return {"points"}
    plain = isinstance(value, float | np.floating | Fraction) or (is_array(value) and value.ndim == 1)
    return kinds(value) if plain else set()


def _arguments(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, set[str]]:
    """What there is to be wrong in each argument of a call; ``option``: one that may be left out, and is not."""
    try:
        signature = inspect.signature(function)
        arguments = signature.bind(*given, **named).arguments
    except (TypeError, ValueError):
        return {}
    found = {name: _argument_kinds(value) for name, value in arguments.items()}
    for name, value in arguments.items():
        default = signature.parameters[name].default
        plain = isinstance(value, float | Fraction | str)
        if plain and default is not inspect.Parameter.empty and value != default:
            found[name] = {*found[name], "option"}
    return {name: there for name, there in found.items() if there}


def wrongs(seen: Mapping[str, Mapping[str, set[str]]], candidates: Sequence[Place], *, few: bool) -> Iterator[Wrong]:
    """What can be wrong in the functions that a check called, the smallest wrong first."""
    places = {place.name: place for place in candidates if place.name in seen}
    needs = {
        "off by 1 %": {"number"},
        "one more": {"count"},
        "permuted": {"rows"},
        "flipped": {"labels", "truth", "number"},
    }

    def returned(how: str, need: set[str]) -> Iterator[Wrong]:
        for name, place in places.items():
            if seen[name]["return"] & need:
                yield Wrong(
                    f"{name} {how}", place, lambda function, given, named: wrong(function(*given, **named), how)
                )

    for how, need in needs.items():
        if not few or how in ("off by 1 %", "one more"):  # a bound that is negated shows nothing
            yield from returned(how, need)
    yield from returned("halved", {"number", "count"})
    yield from returned("doubled", {"number", "count"})
    if few:
        return
    yield from returned("shifted", {"rows"})
    yield from returned("averaged", {"rows"})
    for name, place in places.items():
        for argument, there in seen[name].items():
            hows = {"labels": "permuted", "points": "shifted", "number": "doubled"}
            if argument != "return" and (kind := next((kind for kind in hows if kind in there), "")):
                how = hows[kind]
                yield Wrong(f"{name}({argument} {how})", place, functools.partial(_given, argument, how))
    for name, place in places.items():
        for argument, there in seen[name].items():
            if "option" in there:
                yield Wrong(f"{name}({argument} left out)", place, functools.partial(_given, argument, "left out"))
    yield from returned("a tenth", {"number"})
    yield from returned("tenfold", {"number", "count"})


def _given(
    argument: str, how: str, function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
) -> Any:
    try:
        bound = inspect.signature(function).bind(*given, **named)
    except (TypeError, ValueError):
        return function(*given, **named)
    if argument in bound.arguments and how == "left out":
        del bound.arguments[argument]
    elif argument in bound.arguments:
        bound.arguments[argument] = wrong(bound.arguments[argument], how)
    return function(*bound.args, **bound.kwargs)


def answers(
    verdicts: Callable[[], Mapping[str, str]],
    near: Sequence[Place],
    far: Sequence[Place] = (),
    formulas: Sequence[Place] = (),
    *,
    start: int = 0,
    only: str = "",
) -> Iterator[dict[str, Any]]:
    """The verdicts as they are and how many wrongs there are to try, and then which rows each of them turned.

    Parameters
    ----------
    near, far, formulas : sequence of Place
        Functions that the check itself knows, those behind them, and the formulas of its study.
    start : int
        The first wrong to try.
    only : str
        What the names of the wrongs to try contain.
    """
    _, seen = traced(verdicts, [*near, *far, *formulas])
    begun = time.perf_counter()  # what is compiled is compiled by now
    base = verdicts()
    seconds = time.perf_counter() - begun
    # Formulas first, as they are few: what they turn is said at the end only if no room's function does.
    tried = [*wrongs(seen, formulas, few=True), *wrongs(seen, near, few=False), *wrongs(seen, far, few=False)]
    tried = [one for one in tried if only in one.told]
    yield {"base": base, "seconds": seconds, "count": len(tried)}
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


def work(statement: str, scale: str, **named: Any) -> None:
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
    near, far = apart(places(ROOMS), sys.modules[check.run.__module__])
    for answer in answers(verdicts, near, far, places([f"studies.{study}.theorems"]), **named):
        tell(**answer)
    tell(done=True)
