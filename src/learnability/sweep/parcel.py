"""The way of what a task runs to another process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from learnability.errors import RequestError
from learnability.source import Luggage, one_line
from learnability.sweep.task import Task

__all__ = ["Parcel", "unpacked"]


@dataclass(frozen=True)
class Parcel:
    """What tasks run, as bytes, and the digest by which a process knows that it has it already.

    The package's own functions go by name, a user's with the files that they stand in
    (:class:`learnability.source.Luggage`).
    """

    digest: str
    content: bytes

    @classmethod
    def of(cls, task: Task) -> Parcel:
        """What a task runs.

        Raises
        ------
        RequestError
            If it is a user's own and cannot be sent.
        Exception
            Whatever stops another function from being sent.
        """
        import cloudpickle

        what: Any = task.run
        if task.code:
            try:
                what = Luggage.of(task.run)
            except ValueError as error:
                raise RequestError(f"{task.experiment}: {error}") from None
        content = cloudpickle.dumps(what)
        return cls(hashlib.sha256(content).hexdigest()[:32], content)


def unpacked(content: bytes) -> Callable[..., Any]:
    """What is in a parcel, in the process that performs it.

    Raises
    ------
    RuntimeError
        If its code cannot be read here.
    """
    import cloudpickle

    try:
        what = cloudpickle.loads(content)
        return what.unpack() if isinstance(what, Luggage) else what  # type: ignore[no-any-return]
    except (Exception, SystemExit) as error:
        raise RuntimeError(f"the code could not be read there: {one_line(error)}") from error
