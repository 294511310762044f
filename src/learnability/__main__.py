"""``learnability`` and ``python -m learnability``: the command line, which a signal ends with a line at any moment.

It takes a third of a second to import; until then this stands in.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

__all__ = ["main"]


def main() -> None:
    """Entry point: :func:`learnability.cli.main`."""
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
        from learnability.cli import main
    except KeyboardInterrupt:
        _end("interrupted", 130)
    try:
        main()
    except KeyboardInterrupt:  # one more, while what the first has done was told
        _end("interrupted", 130)
    finally:
        _deaf()


def _deaf() -> None:
    """The answer is given: nothing is left to be interrupted, and Python's own end would say so at length."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _terminate(number: int, frame: FrameType | None) -> None:
    _end("terminated", 143)


def _end(word: str, status: int) -> None:
    _deaf()
    print(f"learnability: {word}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
