"""A Dask scheduler and workers as processes of their own, as on a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tools.survive.desk import Sweep, Trial
from tools.survive.processes import Process, family, fresh

__all__ = ["Cluster", "certificates", "free_port", "kill", "stranger"]

START = 120.0
"""Seconds that a scheduler or a worker may take to be there."""


class Cluster:
    """A scheduler on a port of its own and what workers there are; all are ended at the end of ``with``.

    With ``tls`` all sides need certificates: ``environment`` names theirs, and the command's.
    """

    def __init__(self, trial: Trial, workers: int = 2, nannies: bool = False, tls: bool = False) -> None:
        self.trial, self.count, self.nannies = trial, workers, nannies
        self.processes: list[Process] = []
        self.port = free_port()
        self.protocol = "tls" if tls else "tcp"
        self.address = f"{self.protocol}://127.0.0.1:{self.port}"
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Cluster:
        if self.protocol == "tls":
            self.environment = certificates(self.trial.place / "certificates")
        self.scheduler = self.start_scheduler()
        self.workers = self.start_workers(self.count)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            for one in family(process.pid):
                one.kill()
            process.wait()

    def sweep(self) -> Sweep:
        """The trial's sweep on this cluster."""
        return replace(self.trial.sweep, more=(*self.trial.sweep.more, "--scheduler", self.address))

    def start_scheduler(self) -> Process:
        """A scheduler at the address, ready."""
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        options += ["--protocol", self.protocol]
        process = self._start("distributed.cli.dask_scheduler", options, {})
        until = time.monotonic() + START
        while time.monotonic() < until and process.status is None:
            with socket.socket() as asking:
                asking.settimeout(1)
                if asking.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.1)
        raise RuntimeError(f"a scheduler did not start: {self._said(process)[-1000:]}")

    def start_workers(self, count: int, more: Mapping[str, str] = {}) -> list[Process]:
        """Workers of one thread that the scheduler knows."""
        options = [self.address, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        options += ["--nanny" if self.nannies else "--no-nanny"]
        options += ["--local-directory", str(self.trial.place / "dask")]
        started = [self._start("distributed.cli.dask_worker", options, more) for _ in range(count)]
        until = time.monotonic() + START
        for process in started:
            while "Starting established connection" not in self._said(process):
                if process.status is not None or time.monotonic() > until:
                    raise RuntimeError(f"a worker did not start: {self._said(process)[-1000:]}")
                time.sleep(0.1)
        return started

    def _start(self, module: str, options: list[str], more: Mapping[str, str]) -> Process:
        place = self.trial.place / f"cluster{len(self.processes)}"
        program = (sys.executable, "-P", "-m", module)
        surroundings = {**self.trial.environment, **self.environment, **more}
        process = fresh(options, self.trial.desk.home, place, surroundings, program)
        self.processes.append(process)
        return process

    def _said(self, process: Process) -> str:
        return (process.place / "err").read_text(errors="replace")


def certificates(place: Path) -> dict[str, str]:
    """An authority and one certificate signed by it, as Dask's configuration in the environment.

    Raises
    ------
    FileNotFoundError
        Without OpenSSL's command.
    """
    place.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    openssl("req", *key, "-keyout", "one.key", "-out", "one.csr", "-subj", "/CN=one")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    openssl("x509", "-req", "-in", "one.csr", *signing, "-out", "one.pem")
    told = {"REQUIRE_ENCRYPTION": "True", "TLS__CA_FILE": str(place / "ca.pem")}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        told |= {f"TLS__{role}__CERT": str(place / "one.pem"), f"TLS__{role}__KEY": str(place / "one.key")}
    return {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in told.items()}


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port


def stranger(trial: Trial) -> dict[str, str]:
    """The environment of a process with another version of the package: a copy whose source was changed.

    What it computes is told elsewhere, in ``strange`` beside the trial's own file.
    """
    import learnability

    copy = trial.place / "elsewhere"
    source = Path(learnability.__file__).parent
    shutil.copytree(source, copy / "learnability", ignore=shutil.ignore_patterns("__pycache__"))
    seeding = copy / "learnability" / "seeding.py"
    seeding.write_text(seeding.read_text() + "\n\nCHANGED = True\n")
    path = os.pathsep.join(filter(None, [str(copy), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "SURVIVE_TALLY": str(trial.place / "strange")}


def kill(process: Process, number: int = signal.SIGKILL) -> None:
    """A signal to a process and all that come from it."""
    for one in family(process.pid):
        one.send_signal(number)
