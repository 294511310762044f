"""MNIST from a folder of the user's, or downloaded once on request; what is read is checked against a digest.

The file is ``mnist.npz`` with the arrays x_train (60000, 28, 28), y_train (60000,), x_test (10000, 28, 28) and
y_test (10000,), all uint8. It is looked for in the folder that the environment variable ``LEARNABILITY_DATA``
names, then in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from learnability import extras
from learnability.datasets.records import DataSet, pair_of_digits
from learnability.datasets.source import first_line
from learnability.errors import RequestError, StandInWarning

__all__ = [
    "FOLDER_VARIABLE",
    "Mnist",
    "StandInWarning",
    "announce_stand_in",
    "fetch_mnist",
    "has_mnist",
    "mnist",
    "mnist_pair",
    "mnist_path",
]

FOLDER_VARIABLE = "LEARNABILITY_DATA"
"""The environment variable that names the folder of data files."""

FILE = "mnist.npz"
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
FILE_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
"""Of the file behind ``URL``: what a download must match."""
CONTENT_SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
"""Of the bytes of the four arrays one after the other: what any file must match, however it was compressed. (The
arrays are those of the four original IDX files, whose MD5 sums are in wide use.)"""
SHAPES = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))

DAMAGE = (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file may raise."""


class Mnist(NamedTuple):
    """The whole of MNIST, as it is in the file."""

    x_train: NDArray[np.uint8]
    """(60000, 28, 28)"""
    y_train: NDArray[np.uint8]
    """(60000,)"""
    x_test: NDArray[np.uint8]
    """(10000, 28, 28)"""
    y_test: NDArray[np.uint8]
    """(10000,)"""


def mnist_path() -> Path | None:
    """The file ``mnist.npz`` that would be read, damaged or not; ``None`` if there is none."""
    return next((place for place in _places() if place.is_file()), None)


def has_mnist() -> bool:
    """Whether there is a file ``mnist.npz`` that looks like MNIST: the directory and the headers of its arrays.

    What the arrays hold is not read; :func:`mnist` does that, and may still find them damaged.
    """
    path = mnist_path()
    if path is None:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            for name, shape in zip(Mnist._fields, SHAPES, strict=True):
                with archive.open(f"{name}.npy") as member:
                    first = np.lib.format.read_magic(member) == (1, 0)
                    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                    found, _, dtype = header(member)
                if found != shape or dtype != np.uint8:
                    return False
    except DAMAGE:
        return False
    return True


def announce_stand_in() -> None:
    """Warn (:class:`StandInWarning`) that 8x8 digits stand in for MNIST, before the work starts.

    Raises
    ------
    ValueError
        If ``LEARNABILITY_DATA`` names something that is no folder: a mistyped name is not a wish for the stand-in.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and not Path(folder).expanduser().is_dir():
        raise RequestError(f"{FOLDER_VARIABLE} must name a folder, got {folder!r}, which is none")
    warnings.warn(
        f"MNIST is not there, scikit-learn's 8x8 digits stand in: {_by_hand()}, or call "
        "learnability.datasets.fetch_mnist()",
        StandInWarning,
        stacklevel=2,
    )


def fetch_mnist() -> Path:
    """Download MNIST (11 MB) unless it is there, and return where it is.

    The file goes to the folder that ``LEARNABILITY_DATA`` names, or to the user's cache if that is not set, and
    only if its SHA-256 is the known one. A file that is there is checked and never replaced.

    Raises
    ------
    ValueError
        If the download fails or has another checksum, or the file that is there is not MNIST.
    MissingExtra
        If the file is not there and the extra ``data``, which downloads it, is not either.
    """
    found = mnist_path()
    if found is not None:
        _read(found)
        return found
    extras.need("data", "fetch_mnist")
    import pooch

    place = _places()[0]
    try:
        pooch.retrieve(URL, known_hash=f"sha256:{FILE_SHA256}", fname=place.name, path=place.parent)
    except (OSError, ValueError) as error:  # no network, no space, no permission; or another checksum
        raise ValueError(  # the surroundings' fault, not the request's
            f"MNIST could not be downloaded from {URL} to {place} ({first_line(error)}); {_by_hand()}"
        ) from error
    return place


def mnist(*, download: bool = False) -> Mnist:
    """MNIST as unsigned bytes.

    Parameters
    ----------
    download : bool
        Whether to download the file if it is absent (see :func:`fetch_mnist`).

    Raises
    ------
    ValueError
        If the file is absent and ``download`` is false, or the download fails, or the file that is there is
        truncated or holds anything but MNIST.
    """
    return _read(_found(download))


def mnist_pair(positive: int = 3, negative: int = 5, *, download: bool = False) -> DataSet:
    """All images of two digits, those to train on first: the pool from which Figures 1 to 3 draw.

    Parameters
    ----------
    positive, negative : int
        Two different digits; ``positive`` gets the label +1. There are 13,454 images of 3 and 5.
    download : bool
        Whether to download the file if it is absent (see :func:`fetch_mnist`).

    Returns
    -------
    DataSet
        X (m, 784), the pixels divided by the largest norm of these m images; y (m,); origin "MNIST".

    Raises
    ------
    ValueError
        As :func:`mnist`, and if the digits are equal or not in 0..9.
    """

    def images(one: int, other: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        path = _found(download)
        state = path.stat()
        return _images(path, state.st_mtime_ns, state.st_size, min(one, other), max(one, other))

    return pair_of_digits(images, positive, negative, "MNIST")


@lru_cache(maxsize=2)
def _images(path: Path, modified: int, size: int, low: int, high: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pixels and digits of a pair. Kept (10 MB) while the file is as it was: reading it takes a second."""
    data = _read(path)
    digits = np.concatenate([data.y_train, data.y_test])
    chosen = (digits == low) | (digits == high)
    to_train = chosen[: len(data.y_train)]
    pixels = np.concatenate([data.x_train[to_train], data.x_test[chosen[len(data.y_train) :]]])
    pair = pixels.reshape(len(pixels), -1), digits[chosen]
    for array in pair:
        array.setflags(write=False)
    return pair


def _places() -> list[Path]:
    """Where the file may be, in order."""
    folder = os.environ.get(FOLDER_VARIABLE)
    cache = cache_folder() / FILE
    return [Path(folder).expanduser() / FILE, cache] if folder else [cache]


def cache_folder() -> Path:
    """The user's folder for what can be had again, where each system keeps such."""
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "learnability/learnability/Cache"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/learnability"
    named = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(named) if named else Path.home() / ".cache") / "learnability"


def _found(download: bool) -> Path:
    if download:
        return fetch_mnist()
    found = mnist_path()
    if found is not None:
        return found
    looked = " and ".join(str(place.parent) for place in _places())
    raise RequestError(
        f"MNIST is not there (looked for {FILE} in {looked}): call learnability.datasets.fetch_mnist() to download "
        f"it, or {_by_hand()}; scikit-learn's digits are the stand-in that needs no file"
    )


def _by_hand() -> str:
    return f"put {URL} as {FILE} into a folder and set {FOLDER_VARIABLE} to that folder"


def _read(path: Path) -> Mnist:
    """The four arrays, if they are MNIST's to the byte."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = []
            for name in Mnist._fields:
                with archive.open(f"{name}.npy") as member:
                    array = np.lib.format.read_array(member, allow_pickle=False)
                arrays.append(np.ascontiguousarray(array))
                digest.update(arrays[-1].data)
    except DAMAGE as error:
        raise RequestError(f"{path} cannot be read as MNIST ({first_line(error)}); {_replace()}") from error
    as_published = all(a.dtype == np.uint8 and a.shape == shape for a, shape in zip(arrays, SHAPES, strict=True))
    if not as_published or digest.hexdigest() != CONTENT_SHA256:
        came = ", ".join(f"{name} {a.dtype}{list(a.shape)}" for name, a in zip(Mnist._fields, arrays, strict=True))
        raise RequestError(
            f"{path} is not MNIST: its arrays ({came}) have the SHA-256 {digest.hexdigest()}, not {CONTENT_SHA256}; "
            f"{_replace()}"
        )
    return Mnist(*arrays)


def _replace() -> str:
    return f"delete it and call learnability.datasets.fetch_mnist(), or {_by_hand()}"
