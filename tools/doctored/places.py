"""The functions of the package that can be replaced by wrong ones, and everybody who knows them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import pkgutil
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Act = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""What happens at a call of a function: ``act(function, given, named)`` is what the caller gets."""


class Place(NamedTuple):
    """A function, method or property that can be replaced: where it is known, and by which names."""

    name: str
    original: Any
    owners: tuple[tuple[Any, str], ...]

    def put(self, other: Any) -> None:
        """Have everybody who knows the function call another."""
        for owner, name in self.owners:
            setattr(owner, name, other)

    def taken(self, act: Act) -> Any:
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
            private = name.startswith("_") and not inspect.isclass(value)  # public classes have private bases
            if private or getattr(value, "__module__", "") != module.__name__:
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


def apart(candidates: Iterable[Place], module: types.ModuleType) -> tuple[list[Place], list[Place]]:
    """Those that a module knows by name, or whose class it knows, and the others."""
    known = {id(value) for value in vars(module).values()}
    near: list[Place] = []
    far: list[Place] = []
    for place in candidates:
        knows = any(owner is module or id(owner) in known for owner, _ in place.owners)
        (near if knows else far).append(place)
    return near, far


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
