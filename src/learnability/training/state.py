"""From where a run goes on: everything that its engine keeps, in a file without pickle.

Training 10 epochs is training 4, saving the state, loading it in another process and training on to 10: bit for bit,
on the same machine and with the same version. A state knows its engine, form, version and problem (a digest of each
argument that the trajectory depends on) and is refused elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Rational
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnability._version import __version__
from learnability.training.record import Outcome

__all__ = ["State", "digests", "position", "set_position"]

_HEADER = "header"


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
            raise ValueError(f"{os.fspath(path)} is not a state of a training run ({error})") from None

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
                raise ValueError(f"resume must be a state of {what} {asked!r}, got one of {mine!r}")
        other = [
            name for name in dict.fromkeys([*problem, *self.problem]) if problem.get(name) != self.problem.get(name)
        ]
        if other:
            raise ValueError(
                f"resume must be a state of the same problem, got one with another {' and '.join(other)}"
            )
        if epochs < self.epoch:
            raise ValueError(f"epochs must be >= {self.epoch}, the epochs that resume has behind it, got {epochs}")


def digests(**arguments: Any) -> dict[str, str]:
    """A digest of each argument: arrays by type, shape and bytes, rationals and plain values by what they say,
    named tuples, mappings and sequences by their parts, and functions by module and name.
    """
    return {name: hashlib.sha256(_canonical(value)).hexdigest()[:16] for name, value in arguments.items()}


def _canonical(value: Any) -> bytes:
    if isinstance(value, Mapping):
        return b"{%s}" % b",".join(b"%s:%s" % (_canonical(k), _canonical(value[k])) for k in sorted(value))
    if isinstance(value, tuple | list):
        return b"(%s)" % b",".join(map(_canonical, value))
    if value is None or isinstance(value, bool | str):
        return repr(value).encode()
    if isinstance(value, Rational):
        return f"{value.numerator}/{value.denominator}".encode()
    if callable(value):
        return f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', repr(value))}".encode()
    array = np.ascontiguousarray(value)
    return f"{array.dtype.str}{array.shape}".encode() + hashlib.sha256(array.data).digest()


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
        raise ValueError(
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
