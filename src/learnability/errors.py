"""What tells a wrong request from everything else that may go wrong, and what may go wrong and does no harm."""

from __future__ import annotations

__all__ = ["CacheWarning", "RequestError", "StandInWarning"]


class RequestError(ValueError):
    """What was asked for is wrong: one of this package's own checks says so, before any work.

    The message names the parameter, the constraint and what came. The command line ends with status 2 for it; for
    every other error, a library's ``ValueError`` too, with status 1 and its cause.
    """


class CacheWarning(UserWarning):
    """Compiled code could not be kept, or what was kept is damaged: it is compiled again."""


class StandInWarning(UserWarning):
    """A figure of MNIST is made of other images, because its file is not there."""
