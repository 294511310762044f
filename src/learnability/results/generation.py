"""Figure, table, verdicts and manifest of one result as one unit: written, swapped, believed and read together.

``manifest.json`` is the commit: it vouches (SHA-256) for every other file of the unit and for itself. A new
generation is written beside the old one, as ``.NAME.TOKEN.new``, and has reached the disk, its manifest last, before
anything is moved; then the files go to their places, the manifest last. A file is first looked for beside its place:
so a swap that was killed, at whatever point, leaves the old generation whole or the new one, and the next to write
here clears up. Nothing is locked: of two that write at once each looks at what is there in the end, and the one that
finds a mixture, which nobody believes, writes again.

Other files in the folder are their owner's. A manifest of before, which vouches for nothing, is read with the files
that stand beside it.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learnability import shown
from learnability.results import files as disk
from learnability.results.files import LARGEST, make_folder, parsed

__all__ = ["MANIFEST", "DamagedError", "Generation", "read", "write"]

MANIFEST = "manifest.json"
_OURS = ("figure.png", "figure.pdf", "table.parquet", "certify.json", "verdicts.json", "verdicts.md")
"""What stands beside a manifest that does not say it."""

_NEW = re.compile(r"\.(?P<name>.+)\.(?P<token>(?P<number>\d{6,})-[0-9a-f]{8})\.new")
_SEAL = re.compile(rb'(?P<sealed>.*"sha256": ")(?P<seal>[0-9a-f]{64})"\n}\n', re.DOTALL)
"""A manifest ends with the checksum of all its bytes before that."""

_PAUSE = 0.02
"""Seconds between two looks at what another process may be replacing."""
_LARGEST = 2**28
"""Bytes of a file whose content is wanted."""


class DamagedError(ValueError):
    """A unit cannot be believed: which of its files, and why."""

    def __init__(self, name: str, why: str, seen: object = None) -> None:
        super().__init__(f"{name}: {why}")
        self.name, self.why = name, why
        self.state = (name, why, seen)


@dataclass(frozen=True)
class Generation:
    """A unit that was read.

    Parameters
    ----------
    manifest : mapping
        As it was given to :func:`write`.
    names : collection of str
        Its other files.
    content : mapping from str to bytes
        Those that were wanted.
    vouched : bool
        Whether every byte is as it was written; false for a unit of before, of which nobody knows.
    """

    manifest: Mapping[str, Any]
    names: Collection[str]
    content: Mapping[str, bytes]
    vouched: bool


def write(place: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Replace the unit in a folder, which is made if it is missing, by a new one.

    Parameters
    ----------
    place : Path
    files : mapping from str to bytes
        All files of the unit but its manifest. Those of the unit before that are not among them are removed.
    manifest : mapping
        Plain values.

    Raises
    ------
    OSError
        If a file cannot be written. Until all are written, the old unit stands as it was.
    """
    for attempt in range(20):
        make_folder(place)
        with suppress(FileNotFoundError):  # a later one, by another process, has cleared ours away
            _swap(place, files, manifest)
        try:
            read(place, wanted=())
        except DamagedError:  # another process has written between ours: one of us two comes last
            time.sleep(random.uniform(0, min(1.0, _PAUSE * 2**attempt)))
        else:
            return
    raise OSError(f"{place} cannot be written: what is written there is replaced or damaged again and again")


def read(place: Path, wanted: Collection[str] = _OURS) -> Generation:
    """The unit in a folder, every file of it checked, with the content of those that are wanted.

    Raises
    ------
    DamagedError
        If there is no manifest, or a file is not what the manifest vouches for, also when looked at again: until
        then another process may be replacing it.
    """
    before: object = None
    for _ in range(100):
        try:
            return _believed(place, wanted)
        except DamagedError as damage:
            last = damage
        if last.state == before:
            break
        before = last.state
        time.sleep(_PAUSE)
    raise last


# Writing ------------------------------------------------------------------------------------------------------------


def _swap(place: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write a generation beside the one that is there, and move it to its place."""
    last, before = _known(place)
    token = f"{last + 1:06d}-{secrets.token_hex(4)}"
    new = {name: place / f".{name}.{token}.new" for name in (*files, MANIFEST)}
    name = MANIFEST
    try:
        for name, content in {**files, MANIFEST: _sealed(manifest, token, files)}.items():
            _write_through(new[name], content)
        disk._sync(place)  # from here on whoever reads finds it
    except BaseException as error:
        for path in new.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):  # say which file, and not under what name it was first written
            error.filename = str(place / name)
        raise
    for name, path in new.items():
        if name == MANIFEST:
            for gone in before - files.keys():
                (place / gone).unlink(missing_ok=True)
        os.replace(path, place / name)
    disk._sync(place)
    for found in _new(place):  # of whoever was killed before its end
        if int(found["number"]) <= last:
            (place / found[0]).unlink(missing_ok=True)


def _sealed(manifest: Mapping[str, Any], token: str, files: Mapping[str, bytes]) -> bytes:
    """A manifest that vouches for files and for itself."""
    plain = {name: value for name, value in manifest.items() if name not in ("generation", "sha256")}
    vouched = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = shown.to_json({**plain, "generation": {"token": token, "files": vouched}, "sha256": ""})
    body = text.removesuffix('"\n}').encode()
    return body + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def _known(place: Path) -> tuple[int, set[str]]:
    """The number of the last generation in a folder, and the files of all that are there or on their way."""
    new = list(_new(place))
    numbers, names = [0, *(int(found["number"]) for found in new)], set()
    for name in (MANIFEST, *(found[0] for found in new if found["name"] == MANIFEST)):
        token, files = "", dict[str, str]()
        with suppress(OSError, ValueError):
            token, files = _files(_manifest(disk.read(place / name, _LARGEST)))
        if token:
            numbers.append(int(token.partition("-")[0]))
        names |= set(files if token or name != MANIFEST else _OURS)
    return max(numbers), names


def _new(place: Path) -> Iterator[re.Match[str]]:
    """The files beside their places, those that were written last first."""
    found = [match for name in os.listdir(place) if (match := _NEW.fullmatch(name))]
    yield from sorted(found, key=lambda match: (int(match["number"]), match["token"]), reverse=True)


def _write_through(path: Path, content: bytes) -> None:
    """Write a file, to the disk."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


# Reading ------------------------------------------------------------------------------------------------------------


def _believed(place: Path, wanted: Collection[str]) -> Generation:
    """The generation whose manifest is in its place if it is whole, or the last one that is on its way there."""
    found: Generation | None = None
    damage = DamagedError(MANIFEST, "it is being replaced")
    try:
        raw = disk.read(place / MANIFEST, LARGEST)
        found = _whole(place, raw, wanted)
        if found.vouched:
            return found
    except DamagedError as error:
        damage = error
    except (OSError, ValueError) as error:
        damage = DamagedError(MANIFEST, _reason(error))
    # Looked for after the files beside a manifest of before were read: had a swap begun by then, it is found here.
    try:
        coming = [match for match in _new(place) if match["name"] == MANIFEST]
    except OSError:
        coming = []
    for match in coming:
        with suppress(OSError, ValueError):
            later = _whole(place, disk.read(place / match[0], LARGEST), wanted)
            if later.vouched:
                return later
    if found is not None:
        with suppress(OSError, ValueError):
            if disk.read(place / MANIFEST, LARGEST) == raw:
                return found
    raise damage


def _whole(place: Path, raw: bytes, wanted: Collection[str]) -> Generation:
    """The unit that a manifest describes, or a DamagedError."""
    try:
        manifest = _manifest(raw)
        token, files = _files(manifest)
    except ValueError as error:
        raise DamagedError(MANIFEST, str(error), raw) from None
    plain = {name: value for name, value in manifest.items() if name not in ("generation", "sha256")}
    content: dict[str, bytes] = {}
    if not token:
        for name in _OURS:
            if name in wanted:
                with suppress(OSError, ValueError):
                    content[name] = disk.read(place / name, _LARGEST)
        return Generation(plain, list(content), content, vouched=False)
    for name, digest in files.items():
        content[name] = _vouched(place, name, token, digest, keep=name in wanted)
    return Generation(plain, list(files), {name: content[name] for name in files if name in wanted}, vouched=True)


def _vouched(place: Path, name: str, token: str, digest: str, *, keep: bool) -> bytes:
    """A file with this checksum, beside its place or there: it moves from one to the other."""
    damage = DamagedError(name, "it is missing")
    for path in (place / f".{name}.{token}.new", place / name):
        try:
            content = disk.read(path, _LARGEST if keep else None)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            damage = DamagedError(name, _reason(error))
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == digest:
            return content if keep else b""
        damage = DamagedError(name, "its content does not match its checksum", found)
    raise damage


def _manifest(raw: bytes) -> dict[str, Any]:
    """What is in a manifest, if it is as it was written."""
    found = parsed(raw)
    if not isinstance(found, dict):
        raise ValueError(f"it must be an object, got {shown.quoted(found, 50)}")
    if "generation" in found or "sha256" in found:  # either: one changed byte cannot take both away
        sealed = _SEAL.fullmatch(raw)
        if sealed is None or hashlib.sha256(sealed["sealed"]).hexdigest() != sealed["seal"].decode():
            raise ValueError("its content does not match its checksum")
    return found


def _files(manifest: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Token and checksums of a manifest; no token where it vouches for nothing."""
    if "generation" not in manifest:
        return "", {}
    try:
        token, files = manifest["generation"]["token"], dict(manifest["generation"]["files"])
        plain = all(name == Path(name).name and isinstance(digest, str) for name, digest in files.items())
    except (KeyError, TypeError, ValueError):
        plain = False
    if not plain or not isinstance(token, str) or not _NEW.fullmatch(f".{MANIFEST}.{token}.new"):
        raise ValueError("it vouches for its files in another way than this version")
    return token, files


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
