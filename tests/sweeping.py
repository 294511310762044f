"""What the tests of the sweep share: tasks that end badly or not at all, and short ways to have them executed.

A module of its own, so that worker processes can import what they run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

import toys
from learnability import sweep
from learnability.sweep import Task, process


def task(setting, *, seed=0, revision=1, experiment="toy/walk", run=toys.walk):
    return Task(experiment, revision, setting, seed, run)


def execute(pending, **options):
    """Every task as it ended."""
    return [done for batch in sweep.execute(pending, **options) for done in batch.finished]


def collect(found, sweeping):
    """Add every task to ``found`` as it ends."""
    for batch in sweeping:
        found += batch.finished


def by_key(finished):
    return {done.task.key: done.rows for done in finished}


def worker_processes(caller):
    """The processes on this machine that perform tasks for a process."""
    found = []
    for child in caller.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a process that has ended since, zombies among them
            if process._BOOT in child.cmdline():
                found.append(child)
    return found


def stuck(setting, seed):
    """Never ends: in Python, asleep, or in compiled code that never returns to the interpreter; fine otherwise."""
    if "mark" in setting:
        Path(setting["mark"]).write_text(str(os.getpid()))
    if setting["how"] == "loop":
        while True:
            pass
    if setting["how"] == "sleep":
        time.sleep(1e6)
    if setting["how"] == "compiled":  # the way to call C that keeps the interpreter's lock
        ctypes.PyDLL(None).sleep(10**6)
    return [{"x": seed}]


def gated(setting, seed):
    """Waits for a file, or makes one."""
    if "makes" in setting:
        Path(setting["makes"]).touch()
    while "needs" in setting and not Path(setting["needs"]).exists():
        time.sleep(0.02)
    return [{"pid": os.getpid()}]


def leaves_a_child(setting, seed):
    """Dies, and leaves a copy of its process behind that holds all its pipes open."""
    child = os.fork()
    if child == 0:
        time.sleep(1e6)
    Path(setting["mark"]).write_text(str(child))
    os._exit(3)


def stops(setting, seed):
    """Is stopped, the first time."""
    if not Path(setting["once"]).exists():
        Path(setting["once"]).touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return [{"x": seed}]


class Deadly:
    """Cannot be unpacked: the process ends."""

    def __call__(self, setting, seed):
        raise AssertionError

    def __reduce__(self):
        return os._exit, (4,)


def who(setting, seed):
    time.sleep(setting.get("sleep", 0.0))
    return [{"pid": os.getpid(), "worker": os.getppid()}]


def dask(kind, *arguments, **environment):
    """A scheduler or worker of Dask, in a process of its own that says nothing."""
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
        env={**toys.environment(), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
