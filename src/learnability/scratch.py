"""Temporary folders that tell whose they are, so that those of killed processes can be removed.

They stand where Python puts temporary files (``TMPDIR``), and are called
``learnability-<host>-<process>-<when it was started>-...``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from learnability import processes

__all__ = ["clear", "folder", "make"]

_NAME = re.compile(r"learnability-(?P<host>[0-9a-f]{8})-(?P<number>\d+)-(?P<born>\d+)-\w+", re.ASCII)


def make() -> Path:
    """Make an empty folder, which its maker removes, or :func:`clear` in a later process."""
    return Path(tempfile.mkdtemp(prefix=f"learnability-{processes.mark()}-"))


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder that is gone afterwards."""
    found = make()
    try:
        yield found
    finally:
        shutil.rmtree(found, ignore_errors=True)


def clear() -> None:
    """Remove the folders of this user's processes on this machine that are dead.

    Whatever goes wrong with that is no reason to stop.
    """
    with suppress(OSError):
        for entry in list(os.scandir(tempfile.gettempdir())):
            told = _NAME.fullmatch(entry.name)
            with suppress(OSError):
                if told and told["host"] == processes.host() and _own(entry) and not _lives(told):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _lives(told: re.Match[str]) -> bool:
    return processes.alive(int(told["number"]), float(told["born"]))


def _own(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, no link to one, and belongs to this user."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return os.name != "posix" or entry.stat(follow_symlinks=False).st_uid == os.getuid()
