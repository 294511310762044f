"""matplotlib as it comes, whatever a user's settings, backend and folders are.

Figures are made from :class:`matplotlib.figure.Figure` directly, never through ``pyplot``, and the style is a
context: it starts from matplotlib's own defaults, so that equal results give equal figures, and nobody's settings,
backend or open figures are touched.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import util
from pathlib import Path
from typing import Any

from learnability.plotting.plot import COLORS

__all__ = ["style"]


@contextmanager
def style() -> Iterator[None]:
    """The style of every figure, for as long as the context lasts.

    The sweep calls ``Experiment.figure`` and saves its figure within this context, so that an experiment
    needs to ask for nothing.
    """
    with _quiet():
        mpl = _matplotlib()
        from cycler import cycler

        own: dict[str, Any] = {
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.labelsize": 9,
            "legend.fontsize": 8,
            "legend.frameon": False,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "axes.linewidth": 0.8,
            "lines.linewidth": 1.4,
            "axes.prop_cycle": cycler(color=COLORS),
            "figure.dpi": 100,
            "savefig.dpi": 150,
            "pdf.fonttype": 42,  # text stays text
        }
        with mpl.rc_context():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # defaults that will go
                mpl.rcParams.update({name: value for name, value in _defaults(mpl).items() if name not in own} | own)
            yield


def _defaults(mpl: Any) -> dict[str, Any]:
    """The settings that matplotlib comes with, but for those of windows."""
    kept = ("backend", "backend_fallback", "interactive")
    return {name: value for name, value in mpl.rcParamsDefault.items() if name not in kept}


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what matplotlib says of settings, folders and fonts, and fontTools of dates that are left out."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("matplotlib", "fontTools"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # names in scripts that the font lacks
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _matplotlib() -> Any:
    """The module, which refuses to be imported under a backend that it does not know, or a damaged matplotlibrc."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop("MPLBACKEND", None)  # a notebook leaves it to the programs that it starts
    try:
        try:
            import matplotlib as mpl
        except Exception:  # whatever it makes of a file that is none, and of its own first half afterwards
            for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
                del sys.modules[name]
            with _elsewhere():
                import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend and _is_there(backend):
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend  # as it would have had it
    return mpl


def _is_there(backend: str) -> bool:
    try:
        return not backend.startswith("module://") or util.find_spec(backend.removeprefix("module://")) is not None
    except (ImportError, ValueError):
        return False


@contextmanager
def _elsewhere() -> Iterator[None]:
    """In the folder of matplotlib's own settings, where it looks for a user's first."""
    spec = util.find_spec("matplotlib")
    places = list(spec.submodule_search_locations or ()) if spec else []
    # By its handle where that can be: a working directory that has been removed has no name.
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY)) if os.name == "posix" else os.getcwd()
    try:
        os.chdir(Path(places[0]) / "mpl-data")
        try:
            yield
        finally:
            os.chdir(before)
    finally:
        if isinstance(before, int):
            os.close(before)
