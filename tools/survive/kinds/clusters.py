"""Clusters that go away in part, all at once or for a while; strangers among workers; addresses of something else.

A sweep goes on as long as somebody may come back, and otherwise ends with a line within a limit; the same command
with a cluster that works does the rest. A worker with another version of the package computes nothing. An address
at which no scheduler answers is told within seconds, whatever listens there. The command itself listens nowhere; over
TLS it gets in with a certificate, and is told that it does not without.
"""

from __future__ import annotations

import http.server
import shutil
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tools.survive.cluster import Cluster, free_port, kill, stranger
from tools.survive.desk import Desk, Sweep, Tally, Trial
from tools.survive.processes import Ended, Process, family

SIZES = {"full": (5, 3), "short": (0, 1)}
"""Trials of each blow, and knocks at each wrong address; the short form only knocks."""
SWEEP = Sweep(cells=60, pause=0.05)
PATIENCE = 60.0
"""Seconds in which a wrong address must be told."""
GONE = 900.0
"""Seconds in which a run must end if nobody comes back."""


def tried(desk: Desk) -> Iterator[Tally]:
    """The blows."""
    count, knocks = desk.size(SIZES)
    for blow, strike in BLOWS.items() if count else ():
        tally = Tally("clusters", blow)
        for _ in range(count):
            with desk.trial(SWEEP) as trial, Cluster(trial) as cluster:
                tally.count(strike(trial, cluster, tally))
        yield tally
    if count and shutil.which("openssl"):
        tally = Tally("clusters", "over TLS: a worker killed, one back; and a command without a certificate")
        for _ in range(count):
            with desk.trial(SWEEP) as trial, Cluster(trial, tls=True) as cluster:
                tally.count(_over_tls(trial, cluster, tally))
        yield tally
    for what, listening in LISTENERS.items() if count else list(LISTENERS.items())[2:4]:
        tally = Tally("clusters", f"the address of {what}")
        for _ in range(knocks):
            with desk.trial(Sweep(cells=2)) as trial, listening() as port:
                sweep = Sweep(cells=2, more=("--scheduler", f"tcp://127.0.0.1:{port}"))
                tally.count(_refused(trial.forked(sweep=sweep).wait(PATIENCE)))
        yield tally


def _running(trial: Trial, cluster: Cluster) -> Process:
    """A run some of whose cells are finished."""
    process = trial.fresh(cluster.sweep(), cluster.environment)
    until = time.monotonic() + 120
    while trial.finished() < 10 and process.status is None and time.monotonic() < until:
        time.sleep(0.05)
    return process


def _all_killed(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    for worker in cluster.workers:
        kill(worker)
    time.sleep(3)
    cluster.start_workers(1)
    return trial.again(tally, process)


def _scheduler_restarted(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    for one in (cluster.scheduler, *cluster.workers):
        kill(one)
    cluster.start_scheduler()
    cluster.start_workers(2)
    return trial.again(tally, process)


def _stopped_worker(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    kill(cluster.workers[0], signal.SIGSTOP)
    process.wait(GONE)
    kill(cluster.workers[0], signal.SIGCONT)
    return trial.again(tally, process)


def _stopped_for_a_while(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    kill(cluster.scheduler, signal.SIGSTOP)
    time.sleep(10)
    kill(cluster.scheduler, signal.SIGCONT)
    return trial.again(tally, process)


def _gone_for_good(who: Callable[[Cluster], list[Process]], number: int) -> Callable[..., list[str]]:
    def strike(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
        process = _running(trial, cluster)
        for one in who(cluster):
            kill(one, number)
        ended = process.wait(GONE)
        tally.note = f"told after {max(ended.seconds, float((tally.note or '- - 0').split()[2])):.0f} s"
        with Cluster(trial) as other:
            return _told(ended) + trial.again(tally, trial.fresh(other.sweep()))

    return strike


def _main_killed(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    _running(trial, cluster).signal(signal.SIGKILL)
    return trial.again(tally, trial.fresh(cluster.sweep()))


def _stranger_joins(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    cluster.start_workers(1, stranger(trial))
    return _nothing_strange(trial) or trial.again(tally, process) or _nothing_strange(trial)


def _stranger_first(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    cluster.start_workers(1, stranger(trial))
    return trial.again(tally, trial.fresh(cluster.sweep())) or _nothing_strange(trial)


def _strangers_only(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    for worker in cluster.workers:
        kill(worker)
    cluster.start_workers(1, stranger(trial))
    wrong = _told(trial.fresh(cluster.sweep()).wait(GONE)) or _nothing_strange(trial)
    cluster.start_workers(1)
    return wrong or trial.again(tally, trial.fresh(cluster.sweep())) or _nothing_strange(trial)


def _undisturbed(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    process = _running(trial, cluster)
    ports = [
        connection.laddr.port
        for one in family(process.pid)
        for connection in one.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    return [f"the command listens at {len(ports)} ports"] * bool(ports) + trial.again(tally, process)


def _over_tls(trial: Trial, cluster: Cluster, tally: Tally) -> list[str]:
    stranger = trial.fresh(cluster.sweep())
    wrong = _refused(stranger.wait(PATIENCE))
    process = _running(trial, cluster)
    kill(cluster.workers[0])
    cluster.start_workers(1)
    return wrong + trial.again(tally, process)


def _nothing_strange(trial: Trial) -> list[str]:
    file = trial.place / "strange"
    count = file.read_bytes().count(b"(") if file.exists() else 0
    return [f"a stranger computed {count} cells"] if count else []


def _told(ended: Ended) -> list[str]:
    """What is wrong with how a run ended that could not go on."""
    if ended.complaint or ended.status not in (1, 2):
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    return []


def _refused(ended: Ended) -> list[str]:
    """What is wrong with how an address was refused: status 2 and a line that says so."""
    if ended.hung:
        return [f"no answer within {PATIENCE:g} s"]
    if ended.complaint or ended.status != 2:
        return [ended.complaint or f"status {ended.status}: {ended.err.strip()[-200:]}"]
    return [] if "scheduler must be" in ended.err else [f"it is not said: {ended.err.strip()[-200:]}"]


BLOWS: dict[str, Callable[[Trial, Cluster, Tally], list[str]]] = {
    "none: the command listens at no port": _undisturbed,
    "all workers killed, one back after 3 s": _all_killed,
    "all workers killed, none back": _gone_for_good(lambda cluster: cluster.workers, signal.SIGKILL),
    "scheduler and workers killed, all back": _scheduler_restarted,
    "scheduler killed, not back": _gone_for_good(lambda cluster: [cluster.scheduler], signal.SIGKILL),
    "scheduler stopped (SIGSTOP)": _gone_for_good(lambda cluster: [cluster.scheduler], signal.SIGSTOP),
    "scheduler stopped for 10 s": _stopped_for_a_while,
    "a worker stopped (SIGSTOP)": _stopped_worker,
    "all workers stopped (SIGSTOP)": _gone_for_good(lambda cluster: cluster.workers, signal.SIGSTOP),
    "main process killed": _main_killed,
    "a worker of another version joins late": _stranger_joins,
    "a worker of another version is there first": _stranger_first,
    "only a worker of another version": _strangers_only,
}


class _Serving:
    """A server in a thread."""

    def __init__(self, server: socketserver.BaseServer, port: int) -> None:
        self.server, self.port = server, port

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.port

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _serving(handler: type[socketserver.BaseRequestHandler]) -> _Serving:
    kind = type("Server", (socketserver.ThreadingTCPServer,), {"daemon_threads": True, "block_on_close": False})
    server = kind(("127.0.0.1", 0), handler)
    return _Serving(server, server.server_address[1])


class _Web(http.server.BaseHTTPRequestHandler):
    """A web server that answers whatever it is asked."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


class _Banner(socketserver.BaseRequestHandler):
    """Somebody who speaks first, as an SSH server does."""

    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
        self.request.recv(1000)
        time.sleep(PATIENCE)


class _Silent(socketserver.BaseRequestHandler):
    """Somebody who listens and says nothing."""

    def handle(self) -> None:
        time.sleep(2 * PATIENCE)


class _Hanging(socketserver.BaseRequestHandler):
    """Somebody who hangs up at once."""

    def handle(self) -> None:
        self.request.close()


@contextmanager
def _closed() -> Iterator[int]:
    yield free_port()


@contextmanager
def _deaf() -> Iterator[int]:
    """A port whose queue is full: connections wait."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        yield listening.getsockname()[1]


LISTENERS: dict[str, Callable[[], Any]] = {
    "nobody": _closed,
    "a web server, as a dashboard's is": lambda: _serving(_Web),
    "a server that greets, as SSH does": lambda: _serving(_Banner),
    "a server that says nothing": lambda: _serving(_Silent),
    "a server that hangs up": lambda: _serving(_Hanging),
    "a server that never accepts": _deaf,
}
