"""What a disk may hold after a power cut: what was synced for certain, of the rest anything."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.survive.watched import Event

__all__ = ["WORST", "Disk"]

WORST = ("nothing unsynced", "names without contents", "half of the contents", "zeros for contents", "some of each")
"""What is left of what was not synced."""


@dataclass
class Disk:
    """A folder as processes see it, and as much of it as is synced.

    Contents and names are synced apart, as POSIX has it: ``fsync`` of a file is for its bytes, ``fsync`` of a folder
    for the names in it. A folder's names are worth nothing before its own name is synced.
    """

    root: str
    bytes_: dict[int, bytearray] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, dict[str, int | None]] = field(default_factory=dict)
    """Of each folder: files by number, folders None."""
    synced_names: dict[str, dict[str, int | None]] = field(default_factory=dict)

    def play(self, event: Event) -> None:
        """Do what was done."""
        word, *what = event
        if word == "create":
            path, file = what
            self._folder(path)[os.path.basename(path)] = file
            self.bytes_[file] = bytearray()
        elif word == "cut":
            file, length = what
            content = self.bytes_.setdefault(file, bytearray())
            content[:] = content[:length] + bytes(max(length - len(content), 0))
        elif word == "write":
            file, at, part = what
            content = self.bytes_.setdefault(file, bytearray())
            content.extend(bytes(max(at - len(content), 0)))
            content[at : at + len(part)] = part
        elif word == "sync":
            self.synced[what[0]] = bytes(self.bytes_.get(what[0], b""))
        elif word == "sync folder":
            self.synced_names[what[0]] = dict(self.names.get(what[0], {}))
        elif word in ("rename", "link"):
            old, new = what
            file = self._folder(old)[os.path.basename(old)] if old else None
            if word == "rename" and old:
                del self._folder(old)[os.path.basename(old)]
            if new:
                self._folder(new)[os.path.basename(new)] = file
            if file is None and old and new:  # a folder takes what is in it along
                for kept in (self.names, self.synced_names):
                    for place in [p for p in kept if p == old or p.startswith(old + "/")]:
                        kept[new + place[len(old) :]] = kept.pop(place)
        elif word in ("unlink", "rmdir"):
            self._folder(what[0]).pop(os.path.basename(what[0]), None)
        elif word == "mkdir":
            if what[0] != self.root:
                self._folder(what[0])[os.path.basename(what[0])] = None
            self.names[what[0]], self.synced_names[what[0]] = {}, {}

    def _folder(self, path: str) -> dict[str, int | None]:
        return self.names.setdefault(os.path.dirname(path), {})

    def write(self, out: Path, what: str, draw: random.Random) -> None:
        """Make a folder of what is left; ``what`` is "all", or one of ``WORST``."""
        self._write_folder(self.root, out, what, draw)

    def _write_folder(self, place: str, out: Path, what: str, draw: random.Random) -> None:
        out.mkdir(parents=True, exist_ok=True)
        now, synced = self.names.get(place, {}), self.synced_names.get(place, {})
        names: Mapping[str, int | None] = synced if what == "nothing unsynced" else now
        if what == "some of each":
            names = {}
            for name in dict.fromkeys([*synced, *now]):
                chosen = draw.choice((now, synced))
                if name in chosen:
                    names[name] = chosen[name]
        for name, file in names.items():
            if file is None:
                self._write_folder(f"{place}/{name}", out / name, what, draw)
            else:
                (out / name).write_bytes(self._content(file, what, draw))

    def _content(self, file: int, what: str, draw: random.Random) -> bytes:
        now, synced = bytes(self.bytes_.get(file, b"")), self.synced.get(file, b"")
        if what == "all" or now == synced:
            return now
        half = now[: len(now) // 2]
        left = {
            "nothing unsynced": synced, "names without contents": synced, "half of the contents": half,
            "zeros for contents": bytes(len(now)),
        }  # fmt: skip
        return draw.choice([*left.values(), now]) if what == "some of each" else left[what]
