"""From where a run goes on: everything that its engine keeps, in a file without pickle.

Training 10 epochs is training 4, saving the state, loading it in another process and training on to 10: bit for bit,
on the same machine and with the same version. A state knows its engine, form, version and problem (a digest of each
argument that the trajectory depends on) and is refused elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import secrets
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Rational
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability._version import __version__
from learnability.errors import RequestError
from learnability.training.record import Outcome

__all__ = ["State", "digests", "position", "set_position"]

_HEADER = "header"
_INSTALLED = (Path(__file__).parents[1], Path(sysconfig.get_path("stdlib")))
"""Functions of these are the same wherever the version is."""


@dataclass(frozen=True, eq=False)
class State:
    """A run that can go on.

    Parameters
    ----------
    engine : str
        ``"online"``, ``"two_layer"``, ``"minibatch"``, ``"grid"`` or ``"population"``.
    form : str
        The engine's ``form`` argument, ``""`` where it has none.
    problem : mapping of str to str
        A digest of every argument that the trajectory depends on (:func:`digests`), by the argument's name.
    epoch : int
        Epochs (steps, for ``population``) that are done.
    updates : int
        Updates that were made.
    outcome : Outcome
        How the run stood: a run that had converged has nothing left to do.
    arrays : mapping of str to array
        What the engine keeps, numbers and truth values only.
    generators : mapping of str to dict
        Positions of the generators that were in use (:func:`position`).
    version : str
        Of Learnability.
    """

    engine: str
    form: str
    problem: Mapping[str, str]
    epoch: int
    updates: int
    outcome: Outcome
    arrays: Mapping[str, NDArray[Any]]
    generators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: str = __version__

    def __repr__(self) -> str:
        size = sum(array.nbytes for array in self.arrays.values())
        return f"State({self.engine!r}, epoch={self.epoch}, updates={self.updates}, {self.outcome}, {size:,} bytes)"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the state as NPZ, whole or not at all, and return the path; ``.npz`` is added where it is missing."""
        target = Path(path)
        target = target if target.suffix == ".npz" else target.with_name(f"{target.name}.npz")
        told = {
            "engine": self.engine, "form": self.form, "problem": dict(self.problem), "epoch": self.epoch,
            "updates": self.updates, "outcome": str(self.outcome), "version": self.version,
            "generators": {name: dict(found) for name, found in self.generators.items()},
        }  # fmt: skip
        content = io.BytesIO()
        header = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
        np.savez(content, allow_pickle=False, **{_HEADER: header, **{f"_{k}": v for k, v in self.arrays.items()}})
        own = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            own.write_bytes(content.getvalue())
            os.replace(own, target)
        except BaseException:
            own.unlink(missing_ok=True)
            raise
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> State:
        """Read a state that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is not one.
        OSError
            If there is no file, or it cannot be read.
        """
        content = Path(path).read_bytes()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                told = json.loads(found[_HEADER].tobytes())
                arrays = {name[1:]: found[name] for name in found.files if name != _HEADER}
            told["outcome"] = Outcome(told["outcome"])
            return cls(arrays=arrays, **told)
        except Exception as error:  # zip, NumPy and JSON each have their own
            raise RequestError(f"{os.fspath(path)} is not a state of a training run ({error})") from None

    def check(self, engine: str, form: str, problem: Mapping[str, str], *, epochs: int) -> None:
        """Refuse a state of another engine, form, version or problem.

        Parameters
        ----------
        engine, form, problem
            Of the run that is to go on.
        epochs : int
            Its budget, counted from the very start.

        Raises
        ------
        ValueError
            Naming what differs.
        """
        for what, mine, asked in (
            ("engine", self.engine, engine),
            ("version", self.version, __version__),
            ("form", self.form, form),
        ):
            if mine != asked:
                raise RequestError(f"resume must be a state of {what} {asked!r}, got one of {mine!r}")
        other = [
            name for name in dict.fromkeys([*problem, *self.problem]) if problem.get(name) != self.problem.get(name)
        ]
        if "dtype" in other and "X" in other:  # digests of a sample are of its numbers in that type
            other.remove("X")
        if other:
            raise RequestError(
                f"resume must be a state of the same problem, got one with another {' and '.join(other)}"
            )
        if epochs < self.epoch:
            raise RequestError(f"epochs must be >= {self.epoch}, the epochs that resume has behind it, got {epochs}")


def digests(**arguments: Any) -> dict[str, str]:
    """A digest of each argument, the same in every process.

    Arrays count by type, shape and bytes, rationals and plain values by what they say, named tuples, dataclasses,
    mappings and sequences by their parts. A function counts by what it does: its compiled code, defaults, closure and
    the globals that it reads, one of an installed package by its name and closure. Anything else counts by its type.
    """
    return {name: hashlib.sha256(_canonical(value, {})).hexdigest()[:16] for name, value in arguments.items()}


def _canonical(value: Any, seen: dict[int, int]) -> bytes:
    """``seen`` numbers the functions that were met and the containers around: either may hold itself."""

    def parts(kind: str, values: Iterable[Any]) -> bytes:
        return b"%s(%s)" % (kind.encode(), b",".join(_canonical(part, seen) for part in values))

    def in_order(values: Iterable[Any]) -> list[Any]:
        return sorted(values, key=lambda one: _canonical(one, dict(seen)))

    if id(value) in seen:
        return b"again %d" % seen[id(value)]
    if isinstance(value, Mapping | tuple | list | set | frozenset) or (
        is_dataclass(value) and not isinstance(value, type)
    ):
        seen[id(value)] = len(seen)
        if isinstance(value, Mapping):
            found = parts("mapping", ((name, value[name]) for name in in_order(value)))
        elif isinstance(value, tuple | list):
            found = parts("", value)
        elif isinstance(value, set | frozenset):
            found = parts("set", in_order(value))
        else:
            found = parts("", (type(value), *(getattr(value, part.name) for part in fields(value))))
        del seen[id(value)]
        return found
    if value is None or value is ... or isinstance(value, bool | str | bytes | complex):
        return repr(value).encode()
    if isinstance(value, Rational):
        return f"{value.numerator}/{value.denominator}".encode()
    if isinstance(value, CodeType):
        return parts("code", (value.co_code, value.co_consts, value.co_names))
    if isinstance(value, ModuleType):
        return value.__name__.encode()
    if isinstance(value, type):
        return _name(value)
    if callable(value):
        return parts("function", _of_callable(value, seen))
    if isinstance(value, float) or hasattr(value, "__array__"):
        with suppress(TypeError):  # keys of JAX have no entries to show
            array = np.asarray(value)
            if array.dtype == object:
                return parts(str(array.shape), array.ravel().tolist())
            # no copy of a sample
            content: Any = np.ascontiguousarray(array) if array.nbytes >= 2**20 else array.tobytes()
            return f"{array.dtype.str}{array.dtype}{array.shape}".encode() + hashlib.sha256(content).digest()
    return _name(type(value))


def _of_callable(function: Any, seen: dict[int, int]) -> tuple[Any, ...]:
    """What a function does, as far as can be seen."""
    if isinstance(function, functools.partial):
        return function.func, function.args, function.keywords
    if isinstance(function, MethodType):
        return function.__func__, function.__self__
    if not isinstance(function, FunctionType):
        if hasattr(function, "__wrapped__"):  # compiled
            return (function.__wrapped__,)
        named = hasattr(function, "__name__")
        return (_name(function),) if named else (type(function), type(function).__call__)
    seen[id(function)] = len(seen)
    code, around = function.__code__, function.__globals__
    closure = [_content(cell) for cell in function.__closure__ or ()]
    place = Path(code.co_filename)
    if not {"site-packages", "dist-packages"}.isdisjoint(place.parts) or any(map(place.is_relative_to, _INSTALLED)):
        return _name(function), closure
    read = {name: around[name] for name in _global_names(code) & around.keys()}
    return code, function.__defaults__, function.__kwdefaults__, closure, read


def _name(thing: Any) -> bytes:
    name = getattr(thing, "__qualname__", None) or thing.__name__
    return f"{getattr(thing, '__module__', '')}:{name}".encode()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _global_names(code: CodeType) -> set[str]:
    """Names of globals (and of attributes) in a function and those inside it."""
    inner = [_global_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def position(rng: np.random.Generator) -> dict[str, Any]:
    """Where a generator stands, as plain values for JSON."""
    return _plain(rng.bit_generator.state)  # type: ignore[no-any-return]


def set_position(rng: np.random.Generator, found: Mapping[str, Any], name: str = "rng") -> None:
    """Put a generator where another of its kind stood.

    Raises
    ------
    ValueError
        If it is of another kind.
    """
    own = rng.bit_generator.state["bit_generator"]
    if own != found["bit_generator"]:
        raise RequestError(
            f"{name} must be of the kind that resume was drawn with, {found['bit_generator']}, got {own}"
        )
    rng.bit_generator.state = _arrays(dict(found))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _arrays(part) for name, part in value.items()}
    return np.array(value, dtype=np.uint64) if isinstance(value, list) else value
