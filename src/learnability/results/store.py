"""The output folder: where everything in it is, and what is finished.

::

    tasks/<study>/<name>/batch-*     the rows of finished tasks (:mod:`learnability.results.shards`)
    <study>/<name>/<scale>/...       figure, table, verdicts and manifest of one experiment

Timings stand in sidecars alone, and equal rows make equal tables however tasks were put together.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from learnability import shown
from learnability.errors import RequestError
from learnability.results import files, presence, shards
from learnability.results.inventory import Inventory, distrust
from learnability.results.shards import Entry, Shard, Untrusted

__all__ = ["Store"]


class Store:
    """The output folder.

    Parameters
    ----------
    root : path
        The folder; made if it is missing. What killed processes have left unfinished in it is removed.

    Raises
    ------
    ValueError
        If ``root`` is no path, or cannot be made or written to. Raised here, before any work starts.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = files.folder(root)
        try:
            files.make_folder(self.root)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(bytes(2**16))  # on a full disk an empty file may still be made
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            told = f"{shown.quoted(str(root), 1000)}: {error.strerror}"
            raise RequestError(f"out must be a writable folder, got {told}") from None
        files.clean(self.root)
        presence.clear(self.root)

    def tasks(self, experiment: str) -> Path:
        """Where an experiment's finished tasks are."""
        return self.root / "tasks" / experiment

    def folder(self, experiment: str, scale: str) -> Path:
        """Where an experiment's figure, table, verdicts and manifest are."""
        return self.root / experiment / scale

    def write(
        self, experiment: str, entries: Sequence[Entry], ran_on: Mapping[str, str], memory: int | None = None
    ) -> Shard:
        """Store a batch of tasks that have ended. When this returns they have reached the disk.

        Parameters
        ----------
        experiment : str
            Whose tasks.
        entries : sequence of Entry
            At least one.
        ran_on : mapping
            What they were computed with (:func:`learnability.provenance.here`, there).
        memory : int, optional
            Most bytes that the process which computed them has had.

        Returns
        -------
        Shard
            What is stored, for :meth:`Inventory.add`. A task whose rows make no table is among those that failed.

        Raises
        ------
        OSError
            If it cannot be written: nothing of it is, and all that was stored before is as it was.
        """
        if not entries:
            raise ValueError("entries must be at least one, got none")
        self.check()
        shard, contents = shards.packed(self.tasks(experiment), entries, ran_on, memory)
        files.write_together(contents)
        return shard

    def check(self) -> None:
        """Make sure that the folder is still there: made anew it would have the results of half a run.

        Raises
        ------
        FileNotFoundError
            If it is not.
        """
        if not self.root.is_dir():
            told = "the output folder was renamed or removed while it was written to; what is finished is in it"
            raise FileNotFoundError(errno.ENOENT, told, str(self.root))

    def look(self, experiment: str) -> Inventory:
        """What is stored of an experiment, verified: every byte of every sidecar and shard is looked at.

        What is damaged is named in a :class:`DamagedShardWarning` and counts as not done; so does a task that stands
        in two shards with different rows, unless most of several agree.

        Raises
        ------
        ValueError
            If the folder cannot be read, or its path is too long for the files in it.
        """
        place = self.tasks(experiment)
        try:
            with suppress(FileNotFoundError):
                os.stat(place / shards.LONGEST_NAME)
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            names = []
        except OSError as error:
            told = f"{shown.quoted(str(self.root), 1000)}: {error.strerror} (tasks/{experiment})"
            raise RequestError(f"out must be a folder whose finished tasks can be read, got {told}") from None
        found, doubted = [], []
        for name in filter(shards.SIDECAR.fullmatch, names):
            try:
                found.append(shards.look(place / name))
            except Untrusted as why:
                doubted.append(why)
        inventory = Inventory(found)
        for one in doubted:
            if one.shard.sidecar.exists():  # else somebody has just put it aside
                distrust(one, inventory.seconds)
        return inventory
