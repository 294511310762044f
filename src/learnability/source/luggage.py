"""The way of a function to other processes, with the files that it needs."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learnability import scratch
from learnability.errors import RequestError
from learnability.source.files import FINDER, finder_in_place
from learnability.source.local import one_line
from learnability.source.reach import reach

__all__ = ["Luggage"]


@dataclass(frozen=True)
class Luggage:
    """A function with the files that it needs, for another process that may have none of them.

    Parameters
    ----------
    payload : bytes
        The function, pickled: by name where it stands in a file, by value where not.
    places : mapping of str to str
        File or folder of each alias.
    folders : tuple of str
        Where modules beside them are.
    files : mapping of str to bytes
        Content of the files by their paths.
    digest : str
        Of all of it.
    """

    payload: bytes
    places: Mapping[str, str]
    folders: tuple[str, ...]
    files: Mapping[str, bytes]
    digest: str = field(default="")

    @classmethod
    def of(cls, function: Any) -> Luggage:
        """Pack a function.

        Raises
        ------
        ValueError
            If it cannot be sent, for instance since it holds an open file.
        """
        import cloudpickle

        try:
            payload = cloudpickle.dumps(function)
        except Exception as error:
            raise RequestError(f"run cannot be sent to other processes ({one_line(error)})") from None
        found = reach(function)
        files = {str(path): path.read_bytes() for path in found.files}
        folders = [*FINDER.folders]
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        if main:  # what stands beside a script
            folders.append(str(Path(main).resolve().parent))
        folders += [str(path.parent) for path in found.files]
        folders = [folder for folder in dict.fromkeys(folders) if any(_below(path, folder) for path in found.files)]
        packed = hashlib.sha256(payload)
        for name, content in files.items():
            packed.update(name.encode() + content)
        places = {
            name: str(place)
            for name, place in FINDER.places.items()
            if any(_below(f, str(place)) for f in found.files)
        }
        return cls(payload, places, tuple(folders), files, packed.hexdigest()[:32])

    def unpack(self) -> Any:
        """The function, here."""
        import cloudpickle

        if _UNPACKED.get("digest") == self.digest:
            return _UNPACKED["function"]
        finder = finder_in_place()
        finder.forget()
        moved = {} if self._at_home() else self._copied()
        finder.places = {name: Path(moved.get(place, place)) for name, place in self.places.items()}
        finder.folders = [moved.get(folder, folder) for folder in self.folders]
        function = cloudpickle.loads(self.payload)
        _UNPACKED.update(digest=self.digest, function=function)
        return function

    def _at_home(self) -> bool:
        """Whether the files are at their places here, as they were packed."""
        try:
            return all(Path(name).read_bytes() == content for name, content in self.files.items())
        except OSError:
            return False

    def _copied(self) -> dict[str, str]:
        """Write the files below a temporary folder; where each path of the luggage now is."""
        scratch.clear()  # what the luggage of killed processes became
        root = scratch.make()
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        moved: dict[str, str] = {}

        def put(name: str) -> Path:
            return root / Path(*[part.replace(":", "") for part in Path(name).parts if part not in ("/", "\\")])

        for name, content in self.files.items():
            target = put(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for name in (*self.places.values(), *self.folders):
            moved[name] = str(put(name))
        return moved


_UNPACKED: dict[str, Any] = {}


def _below(path: Path, place: str) -> bool:
    return path == Path(place) or Path(place) in path.parents
