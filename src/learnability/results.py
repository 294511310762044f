"""Finished tasks on disk: one Parquet shard per task, believed only if its sidecar vouches for every byte.

Layout under the output folder::

    tasks/<study>/<name>/<key>.parquet   the rows of one task
    tasks/<study>/<name>/<key>.json      its sidecar: SHA-256 of the shard, task, seconds, versions
    <study>/<name>/<scale>/...           figure, table, verdicts and manifest of one experiment

The sidecar is written last and is the commit: a shard without one, whose bytes do not match it, or which is
another task's, counts as absent. Every file is written beside its place and moved there in one step, and
equal rows give equal bytes, so two processes that work in one folder at the same time can only write the same
thing twice. Timings stand in sidecars alone: the shards of two runs are identical.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import stat
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learnability import checks, shown
from learnability._version import __version__
from learnability.study import Row

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DamagedShardWarning",
    "Store",
    "folder",
    "key_of",
    "read_json",
    "tidy",
    "versions",
    "write_atomically",
    "write_json",
    "write_table",
]


class DamagedShardWarning(UserWarning):
    """A stored shard cannot be trusted and will be computed again."""


_LIBRARIES = (
    "numpy", "scipy", "numba", "scikit-learn", "jax", "jaxlib", "optax", "pandas", "duckdb", "matplotlib",
    "distributed",
)  # fmt: skip


@cache
def versions() -> dict[str, str]:
    """Versions of Learnability, Python, the platform and the libraries that results depend on."""
    found = {
        "learnability": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:  # pragma: no cover - all of them are dependencies
            found[library] = "absent"
    return found


def key_of(task: Mapping[str, Any]) -> str:
    """SHA-256 of a task's record as canonical JSON (keys sorted, no spaces, ASCII), in hexadecimal.

    Raises
    ------
    ValueError
        If the record holds a NaN or an infinity.
    """
    canonical = json.dumps(task, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def folder(out: str | os.PathLike[str]) -> Path:
    """The path of an output folder, which need not exist.

    Raises
    ------
    ValueError
        If ``out`` is no path, or empty: that would silently be the working directory.
    """
    if not isinstance(out, str | os.PathLike):
        raise ValueError(f"out must be a path, got {out!r}")
    if not os.fspath(out):
        raise ValueError(f"out must be the path of a folder, got {os.fspath(out)!r}")
    return Path(out)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or leave the old one: never a part, whoever else writes at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        own.write_bytes(content)
        os.replace(own, path)
    except BaseException:
        own.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically. NaN and infinities are refused."""
    write_atomically(path, (shown.to_json(value) + "\n").encode())


LARGEST, DEEPEST = 2**25, 50
"""Bytes of a JSON file that is read, and how deep lists and objects may stand in each other."""


def read_json(path: Path) -> Any:
    """What is in a JSON file that may have been damaged, or come from a stranger.

    Raises
    ------
    OSError
        If it cannot be opened.
    ValueError
        If it is no JSON, or larger, deeper or of larger numbers (NaN is none) than anything that is written here.
    """
    with open(path, "rb", opener=_without_waiting) as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_size > LARGEST:
            raise ValueError(f"it has {found.st_size:,} bytes, more than {LARGEST:,}")
        content = stream.read(LARGEST)
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(f"its lists stand more than {DEEPEST} deep in each other") from None
    _check_plain(value, DEEPEST)
    return value


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to would be waited for without end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_plain(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth == 0:
            raise ValueError(f"its lists stand more than {DEEPEST} deep in each other")
        for part in value.values() if isinstance(value, dict) else value:
            _check_plain(part, depth - 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        checks.real("each number", value)


def tidy(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows of plain values as a DataFrame of bool, int64, float64 and text columns.

    A value missing from some rows is NaN (and makes a column of numbers or truth values float64), or missing
    text. Infinities become NaN, as Parquet readers disagree about them.

    Raises
    ------
    ValueError
        If a column mixes text, numbers and truth values, an integer does not fit into 64 bits, or two columns differ
        by case alone.
    """
    import numpy as np
    import pandas as pd

    names = list(dict.fromkeys(name for row in rows for name in row))
    folded: dict[str, str] = {}
    for name in names:  # DuckDB would rename the second silently
        if folded.setdefault(name.lower(), name) != name:
            raise ValueError(f"columns must differ by more than case, got {folded[name.lower()]!r} and {name!r}")
    columns: dict[str, Any] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        present = [value for value in values if value is not None]
        complete = len(present) == len(values)
        kinds = {float if type(value) in (int, float) else type(value) for value in present}
        if len(kinds) > 1:
            raise ValueError(f"column {name!r} must hold one kind of value, got {sorted(k.__name__ for k in kinds)}")
        if kinds == {str}:
            columns[name] = pd.array(values, dtype="string")
        elif complete and kinds == {bool}:
            columns[name] = np.array(values, dtype=bool)
        elif complete and all(type(value) is int for value in present):
            if not all(-(2**63) <= value < 2**63 for value in present):
                raise ValueError(f"column {name!r} must hold integers of 64 bits")
            columns[name] = np.array(values, dtype=np.int64)
        else:
            numbers = np.array([np.nan if value is None else float(value) for value in values])
            columns[name] = np.where(np.isfinite(numbers), numbers, np.nan)
    return pd.DataFrame(columns)


class Store:
    """The output folder: what is finished, and its rows.

    Parameters
    ----------
    root : path
        The folder; made if it is missing.

    Raises
    ------
    ValueError
        If ``root`` is no path, or cannot be made or written to. Raised here, before any work starts.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = folder(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise ValueError(f"out must be a writable folder, got {str(root)!r}: {error.strerror}") from None

    def shard(self, experiment: str, key: str) -> Path:
        """Where a task's rows are, or will be."""
        return self.root / "tasks" / experiment / f"{key}.parquet"

    def folder(self, experiment: str, scale: str) -> Path:
        """Where an experiment's figure, table, verdicts and manifest are."""
        return self.root / experiment / scale

    def write(self, experiment: str, key: str, rows: Sequence[Row], seconds: float, task: Mapping[str, Any]) -> None:
        """Store a finished task: the shard, then the sidecar that vouches for it.

        Parameters
        ----------
        experiment, key : str
            Whose task, and the task's key.
        rows : sequence of Row
            At least one row of plain values, with the setting's columns and the seed.
        seconds : float
            How long the task took.
        task : mapping
            What the key is a hash of: a shard under another key is not believed.
        """
        shard = self.shard(experiment, key)
        content = _parquet(tidy(rows))
        write_atomically(shard, content)
        sidecar = {
            "task": dict(task),
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": len(rows),
            "seconds": seconds,
            "versions": versions(),
        }
        write_json(shard.with_suffix(".json"), sidecar)

    def seconds(self, experiment: str, key: str) -> float | None:
        """How long a finished task took, or ``None`` if there is no trustworthy result.

        A shard that is damaged, unreadable or another task's, or lacks its sidecar, is named in a
        :class:`DamagedShardWarning`. It stays where it is until a new result replaces it: removing it could
        remove what another process is about to commit.
        """
        shard = self.shard(experiment, key)
        sidecar = shard.with_suffix(".json")
        try:
            if not shard.exists() and not sidecar.exists():
                return None
            record = read_json(sidecar)
            seconds = checks.real("seconds", record["seconds"], at_least=0)
            if key_of(record["task"]) != key:  # copied or renamed, with its sidecar
                reason = f"{sidecar.name} is another task's"
            elif hashlib.sha256(shard.read_bytes()).hexdigest() != record["sha256"]:
                reason = "its content does not match its checksum"
            else:
                return seconds
        except FileNotFoundError as error:
            reason = f"{Path(error.filename).name} is missing"
        except OSError as error:  # a folder in its place, no permission, a failing disk
            reason = f"{Path(error.filename or shard).name} cannot be read ({error.strerror})"
        except (ValueError, KeyError, TypeError):
            reason = f"{sidecar.name} is not readable"
        warnings.warn(f"{shard}: {reason}; the task counts as not done", DamagedShardWarning, stacklevel=2)
        return None

    def read(self, experiment: str, keys: Iterable[str]) -> pd.DataFrame:
        """The rows of these tasks as one table: in the order of ``keys``, and within a task in its own order.

        Columns are united by name; numbers and truth values that some tasks lack make a float64 column with
        NaN. An empty ``keys`` gives an empty table.
        """
        import pandas as pd

        paths = [_escape(self.shard(experiment, key)) for key in keys]
        if not paths:
            return pd.DataFrame()
        with _connection() as connection:
            # DuckDB keeps the order of the files and of the rows in them (preserve_insertion_order).
            query = "SELECT * FROM read_parquet($1, union_by_name = true)"
            table: pd.DataFrame = connection.execute(query, [paths]).df()
        masked = [name for name, kind in table.dtypes.items() if str(kind) in ("Int64", "boolean")]
        return table.astype(dict.fromkeys(masked, "float64"))


def _connection() -> Any:
    import duckdb

    connection = duckdb.connect(":memory:")
    # One thread: it makes equal tables equal bytes, and small shards gain nothing from more.
    connection.execute("SET threads = 1")
    return connection


def _parquet(frame: pd.DataFrame) -> bytes:
    """A DataFrame as the bytes of a Parquet file."""
    with tempfile.TemporaryDirectory() as folder, _connection() as connection:
        path = Path(folder) / "table.parquet"
        connection.register("frame", frame)
        target = str(path).replace("'", "''")
        connection.execute(f"COPY frame TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table with at least one column as Parquet, atomically."""
    write_atomically(path, _parquet(frame))


def _escape(path: Path) -> str:
    """A path in which DuckDB finds no glob."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
