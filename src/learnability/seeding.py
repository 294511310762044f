"""Random generators from named components: the same name gives the same stream, whatever else is drawn.

Data, initialisation and order of examples each get a generator of their own, so that two methods compared on
one seed see the same data in the same order, and adding a method changes nobody else's draws.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *names: str | int | float) -> np.random.Generator:
    """A generator that depends on ``seed`` and on every name, and on nothing else.

    Parameters
    ----------
    seed : int
        The task's seed, >= 0.
    *names : str, int or float
        What the stream is for, for instance ``"data", n, m``. Equal names give equal streams.

    Returns
    -------
    numpy.random.Generator
        PCG64 seeded with the first 256 bits of SHA-256 over ``repr((seed, names))``.
    """
    digest = hashlib.sha256(repr((int(seed), names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.frombuffer(digest, dtype=np.uint32)))
