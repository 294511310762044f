"""Files and folders as modules, with what stands beside them."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from learnability.source.text import parsed

__all__ = ["FINDER", "PREFIX", "Finder", "alias", "finder_in_place"]

PREFIX = "_learnability_"
"""Of the names under which files and folders are imported."""


class Finder(MetaPathFinder):
    """Finds the files and folders that were named, and the modules beside them.

    What stands beside a user's file comes before installed packages, as in a script, but never before Python's own
    modules: nobody's ``random.py`` may break NumPy.
    """

    def __init__(self) -> None:
        self.places: dict[str, Path] = {}
        """File or folder of each alias."""
        self.folders: list[str] = []
        """Where modules beside them are."""
        self.served: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, if it is one of these."""
        place = self.places.get(fullname)
        if place is not None:
            self.served.add(fullname)
            if place.is_file():
                return importlib.util.spec_from_file_location(fullname, place)
            init = place / "__init__.py"
            if init.exists():
                return importlib.util.spec_from_file_location(fullname, init, submodule_search_locations=[str(place)])
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        top = fullname.partition(".")[0]
        if top in self.places:
            self.served.add(fullname)
        if path is not None or top in sys.stdlib_module_names or top == "learnability":
            return None
        found = PathFinder.find_spec(fullname, self.folders) if self.folders else None
        if found is None or (found.origin is None and PathFinder.find_spec(fullname) is not None):
            return None  # a folder without __init__.py does not hide a package that is installed
        self.served.add(fullname)
        return found

    def forget(self) -> None:
        """Let what was imported from here be read afresh."""
        for name in [n for n in sys.modules if n in self.served or n.partition(".")[0] in self.served]:
            del sys.modules[name]
        self.served.clear()
        importlib.invalidate_caches()
        linecache.checkcache()
        parsed.cache_clear()


FINDER = Finder()


def finder_in_place() -> Finder:
    """The one finder, first among Python's."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    return FINDER


def alias(place: Path) -> str:
    """The name under which a file or folder is imported from now on, read afresh with all that stands beside it."""
    finder = finder_in_place()
    finder.forget()
    stem = place.stem if place.is_file() else place.name
    name = PREFIX + "".join(c if c.isalnum() else "_" for c in stem)
    finder.places[name] = place
    folder = str(place.parent)
    finder.folders = [folder, *(other for other in finder.folders if other != folder)]
    return name
