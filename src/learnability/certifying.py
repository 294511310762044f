"""Certifying somebody's data from Python: examples in, figure and verdicts out; :mod:`learnability.api` offers it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from learnability import certification, report, runner, shown
from learnability.certification import Certification, Options
from learnability.datasets import DataSet
from learnability.datasets.examples import Examples, examples
from learnability.datasets.memory import budget
from learnability.datasets.source import Reading
from learnability.errors import RequestError
from learnability.results import Store
from learnability.runner import Progress

if TYPE_CHECKING:
    import os

__all__ = ["certify", "certify_classes", "certify_data", "certify_each", "certify_options"]


def certify(
    X: Any,
    y: Any,
    *,
    drop: str | Iterable[str] = (),
    drop_missing: bool = False,
    one_hot: str | Iterable[str] = (),
    positive: object = None,
    memory: float | None = None,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Certification:
    """What Brutzkus et al. promise for these examples, next to what SGD does on them.

    Nothing is changed in silence: what cannot be used as it is is refused, and what was left out is in ``notes``.

    Parameters
    ----------
    X : (m, d) array, SciPy sparse matrix or array, or frame of pandas, Polars or PyArrow
        A row an example: numbers or truth values, finite; they are scaled into the unit ball. Columns of an array are
        called "1", "2", ... in messages, rows are counted from 1, and an index is ignored.
    y : (m,) array, list or series, or str
        Labels of two values: numbers, text, truth values or categories. They belong to the rows of ``X`` by position;
        with an index they must not have that of ``X`` in another order. Or the name of a column of the frame ``X``.
    drop : str or iterable of str
        Columns to leave out.
    drop_missing : bool
        Whether to leave out rows in which a value is missing (NaN, None, NA); without it they are an error.
    one_hot : str or iterable of str
        Columns of categories, each to become one column of 0 and 1 for every value that it has.
    positive : optional
        The label that counts as +1, against all others; by default the larger of two, of texts the last in
        alphabetical order. For more than two see also :func:`certify_each`.
    memory : float, optional
        Bytes that the examples may take; by default half of what is available to the process.
    width : int or iterable of int, optional
        Hidden units 2k, even, 2 to 20,000; by default 10, 100 and 1,000. Beside a single one a tenth and ten times
        of it are run.
    out : path, optional
        Folder for figure, JSON and verdicts (in ``certify/data/<scale>-<digest>``, the digest being that of examples
        and options); by default nothing is written.
    on_progress : callable, optional
        Called with a :class:`Progress` before each part and at the end.
    **options
        ``slope``, ``step``, ``delta``, ``scale``, ``bias``, ``test``, ``repeats``, ``seed`` and ``budget``, as in
        :class:`learnability.certification.Options`.

    Returns
    -------
    Certification
        Margin or certificate, guarantees, runs, and what its page says as attributes; ``to_json()``, ``figure()``.

    Raises
    ------
    ValueError
        If an argument is wrong, or ``out`` not writable. Nothing has been run or written then.
    """
    certify_options(width=width, **options)
    found = _in_memory(X, y, memory, drop=drop, drop_missing=drop_missing, one_hot=one_hot)
    try:
        data = found.table(positive)
    except RequestError as error:
        each = positive is None and len(found.values) > 2
        raise RequestError(f"{error}, certify_each sets each of them" if each else str(error)) from None
    return certify_data(data, width=width, out=out, on_progress=on_progress, **options)


def certify_each(
    X: Any,
    y: Any,
    *,
    drop: str | Iterable[str] = (),
    drop_missing: bool = False,
    one_hot: str | Iterable[str] = (),
    memory: float | None = None,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> dict[Any, Certification]:
    """Like :func:`certify` for each class against all others, of labels of any number of values.

    Parameters
    ----------
    X, y, drop, drop_missing, one_hot, memory, width, out, on_progress, **options
        As for :func:`certify`; ``budget`` is that of all classes, each of which gets an equal share. Apart from that
        a class is certified as if it were asked for alone, as ``positive``.

    Returns
    -------
    dict
        A :class:`Certification` for each value of the label, which is the key, in their order.

    Raises
    ------
    ValueError
        As for :func:`certify`; if there are fewer than two values, or more than 50.
    """
    certify_options(width=width, **options)
    found = _in_memory(X, y, memory, drop=drop, drop_missing=drop_missing, one_hot=one_hot)
    return dict(certify_classes(found, width=width, out=out, on_progress=on_progress, **options))


def _in_memory(X: Any, y: Any, memory: float | None, **reading: Any) -> Examples:
    """Examples that a caller has."""
    from learnability.datasets.frames import source_of

    chosen, limits = Reading(**reading), budget(memory)
    source, label = source_of(X, y, limits)
    return examples(source, label, chosen, limits)


def certify_data(
    data: DataSet,
    *,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    command: str = "learnability.certify",
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Certification:
    """Like :func:`certify`, for examples that come with their origin, as :mod:`learnability.datasets` reads them.

    ``command`` is what the manifest in ``out`` says of how it was made.
    """
    chosen = certify_options(width=width, **options)

    def advance(label: str, done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress(label, done, total, done, total))

    return _certified(data, chosen, out, command, advance)


def certify_classes(
    found: Examples,
    *,
    width: int | Iterable[int] | None = None,
    out: str | os.PathLike[str] | None = None,
    command: str = "learnability.certify_each",
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Iterator[tuple[Any, Certification]]:
    """One class after the other with its certification, like :func:`certify_each`.

    In ``out`` each has a folder of its own, the name of which begins with the class.
    """
    chosen = certify_options(width=width, **options)
    classes = len(found.values)
    chosen = dataclasses.replace(chosen, budget=chosen.budget / classes)
    for number, value in enumerate(found.values):

        def advance(label: str, done: int, total: int, number: int = number, value: object = value) -> None:
            if on_progress is not None:
                label = label and f"{shown.quoted(value, 20)}: {label}"
                on_progress(Progress(label, number + done // total, classes, number + done / total, classes))

        yield value, _certified(found.against_rest(value), chosen, out, command, advance, f"{_slug(value)}-")


def _certified(
    data: DataSet,
    options: Options,
    out: str | os.PathLike[str] | None,
    command: str,
    advance: Callable[[str, int, int], None],
    place: str = "",
) -> Certification:
    inputs = certification.prepare(data, options)
    store = None if out is None else Store(out)  # nothing is written before all has been checked
    start = time.perf_counter()
    result = certification.certify(inputs, options, advance=advance)
    return result if store is None else _keep(result, store, command, time.perf_counter() - start, place)


def _slug(name: object) -> str:
    """What of a name may be that of a folder."""
    return re.sub(r"[^\w.-]+", "-", str(name)).strip("-.")[:60]


def certify_options(*, width: int | Iterable[int] | None = None, **options: Any) -> Options:
    """The options of :func:`certify`, checked.

    Raises
    ------
    ValueError
        If one is unknown or out of its range.
    """
    known = {field.name for field in dataclasses.fields(Options)} - {"widths"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise RequestError(f"certify has no option {unknown[0]!r}, only width, out, {', '.join(sorted(known))}")
    return Options(widths=certification.chosen_widths(width), **options)


def _keep(result: Certification, store: Store, command: str, seconds: float, before: str) -> Certification:
    """Write JSON, verdicts and figure of a certification: a section of the report.

    The numbers come first: whatever a figure may lack, a font or memory, it costs a line and no more.
    """
    name = _slug(PurePath(result.source).stem) or "data"
    # another file of this name, or other options, have a folder of their own
    digest = hashlib.sha256(repr(result.options).encode())
    for part in (result.found.X, result.found.y, result.found.X_test, result.found.y_test):
        digest.update(np.ascontiguousarray(part).data)
    place = store.folder(f"certify/{name}", f"{before}{result.options.scale}-{digest.hexdigest()[:8]}")
    result = dataclasses.replace(result, folder=place)
    manifest = {
        "id": f"certify/{name}",
        "title": f"What the theorems promise for {shown.line(result.source)}, and what SGD does",
        "source": "Brutzkus et al.",
        "scale": result.options.scale,
        "failures": [],
        "seconds": seconds,
        **runner.occasion(command),
    }

    def write(pictures: dict[str, bytes]) -> Certification:
        kept = dataclasses.replace(result, files=[place / name for name in pictures])
        more = {"certify.json": (shown.to_json(kept.to_json()) + "\n").encode()}
        report.write_result(place, manifest, [g.to_json() for g in kept.guarantees], pictures=pictures, more=more)
        return kept

    write({})
    drawn = runner.attempt(f"certify/{name}: figure", lambda: report.pictures(result.figure()), manifest["failures"])
    return write(drawn or {})
