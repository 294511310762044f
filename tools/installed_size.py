"""What an environment's packages take on the disk, bytecode counted, pip not: run by the environment's own Python.

    /path/to/environment/bin/python tools/installed_size.py [--limit MB] [--without MODULE ...]

Ends with status 1 where it is more than the limit, or a module is there that should not be. Needs nothing installed.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

PIP = "pip", "setuptools", "_distutils_hack", "distutils-precedence"
"""What an environment begins with."""


def sizes(site: Path) -> dict[str, int]:
    """Bytes of all that stands in ``site-packages``, by its name there, the largest first."""
    own = (place for place in site.iterdir() if not place.name.startswith(PIP))
    found = {place.name: sum(file.stat().st_size for file in _files(place)) for place in own}
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _files(place: Path) -> list[Path]:
    return [file for file in (place.rglob("*") if place.is_dir() else [place]) if file.is_file()]


def main(arguments: list[str] | None = None) -> int:
    """Say the sum and the ten largest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=float("inf"), help="megabytes (1e6 bytes)")
    parser.add_argument("--without", nargs="*", default=[], metavar="MODULE", help="what must not be installed")
    asked = parser.parse_args(arguments)
    found = sizes(Path(sysconfig.get_path("purelib")))
    total = sum(found.values()) / 1e6
    largest = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in list(found.items())[:10])
    print(f"{total:.0f} MB with bytecode, pip not counted: {largest} ...")
    there = [name for name in asked.without if find_spec(name)]
    if there:
        print(f"installed and should not be: {', '.join(there)}", file=sys.stderr)
    if total > asked.limit:
        print(f"more than {asked.limit:g} MB", file=sys.stderr)
    return int(bool(there) or total > asked.limit)


if __name__ == "__main__":
    sys.exit(main())
