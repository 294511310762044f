"""What a process computes with: versions, a digest of the package's source, and the kernels of its linear algebra.

Rows are the same wherever they are computed as long as these are; so each process that computes says what it has,
and what another one has is compared here.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from learnability._version import __version__

__all__ = ["here", "mixture", "strange"]

_ROWS_DEPEND_ON = ("numpy", "scipy", "numba", "scikit-learn", "jax", "jaxlib", "optax")
ABSENT = "absent"
"""Instead of the version of a library that is not installed."""
_OTHERS = ("pandas", "duckdb", "matplotlib", "distributed")

_NAMES = {
    "learnability": "learnability",
    "source": "source of learnability",
    "python": "Python",
    **{library: library for library in _ROWS_DEPEND_ON},
}
"""What rows depend on, and what it is called in a sentence."""


@cache
def here() -> dict[str, str]:
    """What this process computes with.

    Versions of Learnability, Python, the platform and the libraries that results depend on; ``"source"``, a digest of
    the package's own source, since every checkout of a version has the same number; and ``"blas"``, the architectures
    that the loaded linear algebra has kernels for (``"SkylakeX"``).

    Notes
    -----
    The source is read once, at the first call: ask before long work, during which somebody may edit it.
    """
    found = {
        "learnability": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for library in (*_ROWS_DEPEND_ON, *_OTHERS):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:  # of an extra
            found[library] = ABSENT
    return {**found, "source": digest(Path(__file__).parent), "blas": _kernels()}


def digest(folder: Path) -> str:
    """Digest of the Python files under a folder: names and content, whatever their line endings; 16 hex digits."""
    whole = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.py")):
        if path.name.startswith(".") or not path.is_file():  # an editor's locks are links to nowhere
            continue
        content = path.read_bytes().replace(b"\r\n", b"\n")
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:16]


def _kernels() -> str:
    import scipy.linalg  # noqa: F401 - has its own copy of the library, as NumPy has: what is not loaded is not told
    from threadpoolctl import threadpool_info

    loaded = [found for found in threadpool_info() if found["user_api"] == "blas"]
    told = {str(found.get("architecture") or found["internal_api"]) for found in loaded}
    return ", ".join(sorted(told)) or "unknown"


def strange(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """How rows of another process could differ from this one's beyond rounding, in words, or ``None``.

    Parameters
    ----------
    mine, theirs : mapping
        What two processes compute with (:func:`here`). What one of them does not tell, as older ones, is not strange;
        nor is a library that one of them has not: its rows do not depend on it.
    """
    told = [
        f"{name} {theirs[key]} instead of {mine[key]}"
        for key, name in _NAMES.items()
        if _tells(mine, key) and _tells(theirs, key) and _matters(key, mine[key]) != _matters(key, theirs[key])
    ]
    return "; ".join(told) or None


def mixture(several: Iterable[Mapping[str, str]]) -> list[str]:
    """How some processes differ among themselves and from this one, a line for each thing that differs.

    Beside what makes rows :func:`strange` the kernels of the linear algebra are compared: under others rows differ in
    their last digits.
    """
    several, mine = list(several), here()
    lines = []
    for key, name in {**_NAMES, "blas": "kernel of the linear algebra"}.items():
        own = {_matters(key, one[key]) for one in (mine,) if _tells(one, key)}
        found = {_matters(key, one[key]) for one in several if _tells(one, key)}
        if len(own | found) > 1:
            told = [*sorted(found - own), *(found & own)]
            lines.append(f"{name}: {_and(told)} ({next(iter(own), 'none')} here)")
    return lines


def _tells(one: Mapping[str, str], key: str) -> bool:
    """Whether a process tells what it has of something that it has."""
    return one.get(key, ABSENT) != ABSENT


def _matters(key: str, value: str) -> str:
    """What of a version matters: of Python's the first two numbers."""
    return ".".join(value.split(".")[:2]) if key == "python" else value


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
