"""The least address space (``ulimit -v``) in which each command does the least of work: for ``NEEDS``.

``python tools/least_memory.py`` from the root of a checkout bisects to 10 MB for every command, with what the command
itself looks at taken away; what has not ended after two minutes has failed, since some libraries wait without end.
Takes about five minutes on Linux.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TABLE = "a,b,class\n0,1,no\n1,0,yes\n2,0.5,yes\n0.5,2,no\n"
COMMANDS = {
    "list": ["list"],
    "explain": ["explain", "symmetry/lemma4"],
    "verify": ["verify", "symmetry/lemma2", "--scale", "smoke"],
    "run": ["run", "symmetry/fig5", "--scale", "smoke", "--workers", "1"],
    "certify": ["certify", "t.csv", "--label", "class"],
    "report": ["report"],
}
START = (
    "from learnability.cli import surroundings\n"
    "surroundings.NEEDS.clear()\n"
    "from learnability.__main__ import main\n"
    "main()"
)
STEP, MOST = 10, 2000
"""Megabytes."""
LIMIT = 120.0
"""Seconds."""


def main() -> None:
    """A line for each command."""
    if os.name != "posix":
        sys.exit("python tools/least_memory.py needs ulimit")
    for command, arguments in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "t.csv").write_text(TABLE)
            if command == "report":
                ended(COMMANDS["run"], 10 * MOST, folder)
            ended(arguments, 10 * MOST, folder)  # compiled code is kept now
            fails, works = 0, MOST // STEP
            while works - fails > 1:
                middle = (fails + works) // 2
                fails, works = (fails, middle) if ended(arguments, middle * STEP, folder) else (middle, works)
        print(f"{command}: {works * STEP} MB", flush=True)


def ended(arguments: list[str], megabytes: int, folder: str) -> bool:
    """Whether the command ends well within so much."""
    limited = f'ulimit -v {megabytes * 10**6 // 1024}; exec "$@"'
    try:
        done = subprocess.run(
            ["bash", "-c", limited, "bash", sys.executable, "-c", START, *arguments],
            cwd=folder,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"left out" not in done.stderr  # a study that does not load


if __name__ == "__main__":
    main()
